//! Rows that wait for the row that leads to their entity: once they have waited too long, that is a finding
//! of its own.

use std::collections::BTreeMap;

use centinel_model::{
    EntityId, Evidence, FINDING_SCHEMA, Finding, FindingId, Severity, SourceId, TableId, Timestamp,
    Verdict,
};
use centinel_state::{Commit, Record, Wake, current_rows, newest_commit};

use super::detector::Detector;
use super::doubts::Life;
use super::horizon::why_beyond;
use super::keys::DocumentKind;
use super::links::Target;
use super::messages::line_of;
use crate::EngineError;
use crate::finding::UNREACHED_RULE;

/// Rows shown with such a finding.
const SHOWN: usize = 20;

impl Detector {
    /// Judges the rows that wait under a link: tells when they have waited too long, when that became sure, and when
    /// they have reached their entity after all. Returns when to look again.
    pub(super) fn judge_waiting(
        &mut self,
        key: &[u8],
        target: &mut Target,
        records: &[Record<'_>],
        commit: &mut Commit,
    ) -> Result<Option<Wake>, EngineError> {
        let Some((
            DocumentKind::Link {
                target: table,
                entity,
            },
            link,
        )) = DocumentKind::read(key)
        else {
            return Ok(None);
        };
        let waiting: Vec<&Record<'_>> = match target.entity_key {
            None => current_rows(records).collect(),
            Some(_) => Vec::new(),
        };
        let overdue = match self.waits_until(table, &waiting, records) {
            None => false,
            Some(wake) if self.clock(wake.sources) < wake.at && !target.overdue => {
                return Ok(Some(wake));
            }
            Some(_) => true,
        };
        let patience = self.catalog.table(table).link_patience;
        let doubts = &self.doubts;
        let doubtful =
            overdue && doubts.concern_waiting(table, self.life(table, records), patience);
        let made_sure = overdue && target.overdue && target.unsure && !doubtful;
        if overdue != target.overdue || made_sure {
            target.told += 1;
            match made_sure {
                true => target.made_sure += 1,
                false => self.unreached += if overdue { 1 } else { -1 },
            }
            (target.overdue, target.unsure) = (overdue, doubtful);
            let mut finding = self.unreached_finding(table, entity, link, &waiting);
            finding.sequence = target.told;
            finding.occurrence = (target.told - target.made_sure).div_ceil(2) as u32;
            if !overdue {
                finding.verdict = Verdict::Recovered;
            } else if doubtful {
                finding.verdict = Verdict::Undetermined;
            } else if let Some(horizon) = self.awaited_beyond_horizon(table, records) {
                finding.verdict = Verdict::Undetermined;
                finding.hint = Some(why_beyond(&self.catalog, (horizon, table)));
            }
            // Rows that have reached their entity are not here any more.
            let anchor = match waiting.is_empty() {
                true => self.clock(1 << self.catalog.table(table).source.0),
                false => self.newest(records),
            };
            finding.anchor = anchor.to_string();
            finding.judged_at = finding.anchor.clone();
            self.send(line_of(&finding)?, commit);
        }
        Ok(None)
    }

    /// The horizon of the awaited row's table, where that row may be from before it.
    fn awaited_beyond_horizon(&self, table: TableId, records: &[Record<'_>]) -> Option<Timestamp> {
        let horizon = self.horizons.of_table(table)?;
        let oldest = records.iter().map(|record| record.committed_at).min()?;
        let lookback = self.catalog.table(table).lookback;
        (oldest < horizon.plus(lookback)).then_some(horizon)
    }

    fn waits_until(
        &self,
        target: TableId,
        waiting: &[&Record<'_>],
        records: &[Record<'_>],
    ) -> Option<Wake> {
        let own = |table: TableId| self.catalog.table(table);
        let patience = waiting
            .iter()
            .map(|row| own(row.table).link_patience)
            .max()?;
        let bit = |SourceId(source): SourceId| 1u64 << source;
        let sources = waiting.iter().map(|row| bit(own(row.table).source));
        let sources = sources.fold(bit(own(target).source), |set, source| set | source);
        let at = self.newest(records).plus(patience);
        Some(Wake { sources, at })
    }

    /// The awaited row may be older than the rows that wait for it.
    fn life(&self, awaited: TableId, records: &[Record<'_>]) -> Life {
        let oldest = records.iter().map(|record| record.committed_at).min();
        let lookback = self.catalog.table(awaited).lookback;
        let since = oldest.map_or(i64::MIN, |oldest| oldest.0.saturating_sub(lookback.0));
        Life {
            since: Timestamp(since),
            newest: self.newest(records),
        }
    }

    fn newest(&self, records: &[Record<'_>]) -> Timestamp {
        let newest = newest_commit(records, self.catalog.tables.len());
        newest.into_iter().max().unwrap_or(Timestamp::MIN)
    }

    fn unreached_finding(
        &self,
        target: TableId,
        entity: EntityId,
        link: &str,
        waiting: &[&Record<'_>],
    ) -> Finding {
        let (name, entity) = (
            &self.catalog.table(target).name,
            &self.catalog.entity(entity).name,
        );
        let shown = waiting.iter().take(SHOWN).map(|row| {
            let value = |text: &str| Some(text.to_owned());
            let primary_key = String::from_utf8_lossy(row.primary_key);
            BTreeMap::from([
                (
                    "table".to_owned(),
                    value(&self.catalog.table(row.table).name),
                ),
                ("primary_key".to_owned(), value(&primary_key)),
            ])
        });
        Finding {
            schema: FINDING_SCHEMA.into(),
            finding_id: FindingId::new(UNREACHED_RULE, [name.as_str(), link]),
            sequence: 1,
            rule: UNREACHED_RULE.into(),
            rule_version: String::new(),
            title: format!("Every row that names a {name} reaches its {entity} through it"),
            entity: entity.clone(),
            entity_key: String::new(),
            key: vec![(name.clone(), link.to_owned())],
            verdict: Verdict::Confirmed,
            occurrence: 1,
            severity: Severity::Error,
            owner: String::new(),
            amount: None,
            currency: None,
            hint: None,
            evidence: Evidence {
                rows: shown.collect(),
                total: waiting.len() as u64,
            },
            positions: self.positions.clone(),
            anchor: String::new(),
            judged_at: String::new(),
            checkpoint: None,
            status: None,
            trip: None,
        }
    }
}
