//! A plan tried on a snapshot: quality, rules before and after, money, verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{Duration, EntityId, TableId, Timestamp};
use centinel_outlet::{Report, WithoutEntity};
use centinel_rules::Rule;

use super::change::{Changes, Planned};
use super::compare::{compare, violations_of};
use super::money::money;
use super::needed::{ColumnsOf, Needed};
use super::quality::{Examination, wrong_units};
use super::reader::{Reader, set_of};
use super::report::{
    DryRun, Money, Quality, QualityFinding, QualityKind, RowCounts, Unjudged, Verdict, Violations,
};
use super::rows::Effects;
use super::slices::{self, Slices, batch_of};
use crate::EngineError;
use crate::audit::{
    AuditOptions, Clock, Input, Overlaid, Replaced, Snapshot, audit_as_of, clock_of, needed_by,
};

/// How a plan is tried.
#[derive(Clone, Copy, Debug)]
pub struct RepairOptions {
    /// As for an audit.
    pub audit: AuditOptions,
    /// The time now; says how old the snapshot is, and nothing else.
    pub now: Timestamp,
}

/// What has been done of trying a plan, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Every file is hashed.
    Identified,
    /// The changed rows are found by their keys, and the entities that they touch.
    LookedUp,
    /// The rows of these entities are read, and every page that rules need is unpacked.
    Sliced,
    /// The rules have answered, before the plan and after it.
    Asked,
}

/// What was tried: the verdict, and every row as the snapshot has it and as the plan leaves it.
pub(super) struct Tried {
    pub report: DryRun,
    pub effects: Effects,
}

/// Everything that is needed on the way.
struct Trial<'a> {
    catalog: &'a Arc<Catalog>,
    snapshot: &'a Arc<Snapshot>,
    changes: &'a Changes,
    options: &'a RepairOptions,
    reached: &'a dyn Fn(Stage),
    unjudged: BTreeSet<Unjudged>,
    notes: Vec<String>,
}

/// Tries a plan by these rules. What cannot be judged is told in the report.
pub(super) fn dry_run(
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    snapshot: &Arc<Snapshot>,
    changes: &Changes,
    options: &RepairOptions,
    reached: &dyn Fn(Stage),
) -> Result<Tried, EngineError> {
    let trial = Trial {
        catalog,
        snapshot,
        changes,
        options,
        reached,
        unjudged: BTreeSet::new(),
        notes: Vec::new(),
    };
    trial.run(rules)
}

impl Trial<'_> {
    fn run(mut self, rules: &[Arc<Rule>]) -> Result<Tried, EngineError> {
        let mut rules = rules.to_vec();
        rules.sort_by(|left, right| left.id.cmp(&right.id));
        rules.dedup_by(|left, right| left.id == right.id);
        let (clock, told) = clock_of(self.catalog, &rules, self.snapshot, &self.options.audit);
        self.notes.extend(told.notes);
        self.unjudged
            .extend(told.could_not_judge.into_iter().map(Unjudged::from));
        let mut needed = Needed::open(self.catalog, self.snapshot, &rules);
        let mut able = self.able(&rules, &mut needed);
        self.refuse_unread_tables(&rules);
        let entities: BTreeSet<EntityId> = able.local.iter().map(|rule| rule.entity).collect();
        let looked_up = Effects::look_up(&self.reader(), self.changes, &entities);
        let mut effects = match looked_up {
            Ok(effects) => effects,
            Err(problem) => {
                self.doubt(None, problem);
                let (none, outcome) = (Effects::default(), Outcome::default());
                return Ok(self.give_up(&rules, &mut needed, clock, none, outcome));
            }
        };
        self.reached(Stage::LookedUp);
        let judged = clock.filter(|_| self.changes.unfit.is_empty());
        let slices = match judged {
            Some(_) => self.slices(&rules, &mut able, &mut needed, &mut effects),
            None => Vec::new(),
        };
        let completed = effects.complete_rest(&self.reader());
        if let Err(problem) = completed {
            self.doubt(None, problem);
            return Ok(self.finish(clock, Effects::default(), Outcome::default()));
        }
        self.reached(Stage::Sliced);
        let Some(known) = clock else {
            let outcome = Outcome::default();
            return Ok(self.give_up(&rules, &mut needed, clock, effects, outcome));
        };
        let examination = Examination {
            catalog: self.catalog,
            rules: &rules,
            clock: known,
        };
        let mut outcome = Outcome {
            quality: examination.run(self.changes, &effects),
            ..Outcome::default()
        };
        if judged.is_none() {
            self.notes
                .push("the rules were not asked: a value does not fit its column".into());
            return Ok(self.give_up(&rules, &mut needed, clock, effects, outcome));
        }
        let (mut before, mut after) = (Report::default(), Report::default());
        for slices in slices {
            let name = self.catalog.entity(slices.entity).name.clone();
            outcome.entities.insert(name, slices.touched.len() as u64);
            let own = able.local.iter();
            let own = own.filter(|rule| rule.entity == slices.entity);
            let own: Vec<Arc<Rule>> = own.cloned().collect();
            let ask = |tables| {
                let input = Input::Tables(Arc::new(tables));
                audit_as_of(self.catalog, &own, input, &self.options.audit, known)
            };
            append(&mut before, ask(slices.before)?);
            append(&mut after, ask(slices.after)?);
        }
        let whole = &able.whole;
        if !whole.is_empty() {
            let snapshot = Input::Snapshot(Arc::clone(self.snapshot));
            let overlaid = Input::Overlaid(Arc::new(self.overlay(&effects)?));
            for (report, input) in [(&mut before, snapshot), (&mut after, overlaid)] {
                let told = audit_as_of(self.catalog, whole, input, &self.options.audit, known)?;
                append(report, told);
            }
        }
        self.reached(Stage::Asked);
        self.take_in_doubts(&before, &after);
        left_behind(
            &effects,
            self.catalog,
            &before,
            &after,
            &mut outcome.quality,
        );
        outcome.violations = compare(
            violations_of(self.catalog, &rules, &before),
            violations_of(self.catalog, &rules, &after),
        );
        wrong_units(
            self.catalog,
            &effects,
            &outcome.violations,
            &mut outcome.quality,
        );
        outcome.money = money(self.catalog, &effects, &mut self.notes);
        Ok(self.finish(clock, effects, outcome))
    }

    fn reached(&self, stage: Stage) {
        (self.reached)(stage);
    }

    fn doubt(&mut self, rule: Option<&str>, reason: impl Into<String>) {
        self.unjudged.insert(Unjudged {
            rule: rule.map(str::to_owned),
            entity_key: None,
            reason: reason.into(),
        });
    }

    /// The rules whose tables are all there; what is wrong with the others is told.
    fn able(&mut self, rules: &[Arc<Rule>], needed: &mut Needed<'_>) -> Able {
        for problem in needed.take_problems() {
            self.doubt(None, problem);
        }
        let mut able = Able::default();
        for rule in rules {
            let missing = needed.missing(rule);
            if !missing.is_empty() {
                self.doubt(Some(&rule.id), format!("it needs {}", missing.join(", ")));
                continue;
            }
            let kind = match rule.locality.is_local() {
                true => &mut able.local,
                false => &mut able.whole,
            };
            kind.push(Arc::clone(rule));
        }
        able
    }

    /// The slices of what the plan touches, and the rules that can be asked about them. Every page that rules need is
    /// unpacked on the way, most of them by what reads the slices; where one is damaged, they are read again for the
    /// rules that do not need it.
    fn slices(
        &mut self,
        rules: &[Arc<Rule>],
        able: &mut Able,
        needed: &mut Needed<'_>,
        effects: &mut Effects,
    ) -> Vec<Slices> {
        let threads = self.threads();
        let read = slices::read(&self.reader(), &able.local, effects, true);
        let (slices, columns) = match read {
            Ok(read) => (Some(read.slices), read.columns),
            Err(_) => Default::default(),
        };
        let whole = needed.check_pages(&columns, threads);
        if let (Some(slices), true) = (slices, whole) {
            return slices;
        }
        *able = self.able(rules, needed);
        match slices::read(&self.reader(), &able.local, effects, false) {
            Ok(read) => read.slices,
            Err(problem) => {
                self.doubt(None, problem);
                Vec::new()
            }
        }
    }

    fn threads(&self) -> usize {
        self.options.audit.threads.max(1)
    }

    fn reader(&self) -> Reader<'_> {
        let memory = self.options.audit.memory_bytes / 2;
        Reader::new(self.catalog, self.snapshot, self.threads(), memory)
    }

    /// Nothing is asked; what is damaged is told all the same.
    fn give_up(
        mut self,
        rules: &[Arc<Rule>],
        needed: &mut Needed<'_>,
        clock: Option<Clock>,
        effects: Effects,
        outcome: Outcome,
    ) -> Tried {
        needed.check_pages(&ColumnsOf::new(), self.threads());
        self.able(rules, needed);
        self.finish(clock, effects, outcome)
    }

    /// A change that no rule could ever see is judged by nobody.
    fn refuse_unread_tables(&mut self, rules: &[Arc<Rule>]) {
        let changed: BTreeSet<TableId> = self
            .changes
            .rows
            .iter()
            .map(|change| change.table)
            .collect();
        for id in changed {
            let read = rules
                .iter()
                .any(|rule| needed_by(self.catalog, rule).contains(&id));
            if !read {
                let name = self.catalog.table(id).name.clone();
                self.doubt(
                    None,
                    format!(
                        "no rule looks at {name}, so nothing says what its changes do; write one"
                    ),
                );
            }
        }
    }

    /// The snapshot as the plan leaves it, for rules that look at everything.
    fn overlay(&self, effects: &Effects) -> Result<Overlaid, EngineError> {
        let mut tables = BTreeMap::new();
        let changed: BTreeSet<TableId> = effects
            .rows
            .iter()
            .map(|effect| effect.change.table)
            .collect();
        for id in changed {
            let own = || {
                effects
                    .rows
                    .iter()
                    .filter(move |effect| effect.change.table == id)
            };
            let rows: Vec<_> = own().filter_map(|effect| effect.after.as_ref()).collect();
            let replaced = Replaced {
                keys: set_of(own().filter_map(|effect| effect.key.as_deref())),
                rows: batch_of(self.catalog, id, &rows).map_err(EngineError::Input)?,
            };
            tables.insert(id, Arc::new(replaced));
        }
        Ok(Overlaid {
            snapshot: Arc::clone(self.snapshot),
            tables,
        })
    }

    /// What was not judged before or after, and what is in flight.
    fn take_in_doubts(&mut self, before: &Report, after: &Report) {
        for report in [before, after] {
            let told = report.could_not_judge.iter().cloned().map(Unjudged::from);
            self.unjudged.extend(told);
            for rule in &report.rules {
                let listed = report
                    .in_flight
                    .iter()
                    .filter(|flying| flying.rule == rule.rule)
                    .count() as u64;
                if rule.in_flight > listed {
                    let reason = format!(
                        "{} violations are in flight and only {listed} of them are told; plan later",
                        rule.in_flight
                    );
                    self.doubt(Some(&rule.rule), reason);
                }
            }
        }
        for flying in &before.in_flight {
            self.unjudged.insert(Unjudged {
                rule: Some(flying.rule.clone()),
                entity_key: Some(flying.entity_key.clone()),
                reason: format!(
                    "it is in flight until {}: rows on their way may mend it; take the snapshot later",
                    flying.confirmed_at
                ),
            });
        }
    }

    fn finish(mut self, clock: Option<Clock>, effects: Effects, outcome: Outcome) -> Tried {
        let mut rows: BTreeMap<String, RowCounts> = BTreeMap::new();
        for effect in &effects.rows {
            let table = self.catalog.table(effect.change.table).name.clone();
            let counts = rows.entry(table).or_default();
            match effect.change.planned {
                Planned::Insert => counts.inserted += 1,
                Planned::Update => counts.updated += 1,
                Planned::Delete => counts.deleted += 1,
            }
        }
        self.note_times(&effects);
        let as_of = clock.filter(|clock| clock.as_of < Timestamp::LATEST);
        let age = as_of.map(|clock| self.options.now.since(clock.as_of));
        let mut report = DryRun {
            verdict: Verdict::Safe,
            reasons: Vec::new(),
            as_of: as_of.map(|clock| clock.as_of.to_string()),
            at_rest: clock.is_some_and(|clock| clock.at_rest),
            age: age.map(whole_seconds),
            cuts: self.snapshot.cuts(),
            rows,
            entities: outcome.entities,
            quality: outcome.quality,
            violations: outcome.violations,
            money: outcome.money,
            could_not_judge: self.unjudged.into_iter().collect(),
            notes: self.notes,
        };
        (report.verdict, report.reasons) = verdict(&report);
        Tried { report, effects }
    }

    /// A database may fill in the time of the change by itself.
    fn note_times(&mut self, effects: &Effects) {
        let silent: BTreeSet<TableId> = effects
            .rows
            .iter()
            .filter(|effect| effect.change.planned == Planned::Update)
            .filter(|effect| {
                let changed_at = self.catalog.table(effect.change.table).changed_at;
                changed_at.is_some_and(|column| !effect.change.new.contains_key(&column))
            })
            .map(|effect| effect.change.table)
            .collect();
        for id in silent {
            let table = self.catalog.table(id);
            let column = table
                .changed_at
                .map(|column| table.columns[column].name.as_str());
            self.notes.push(format!(
                "{}: the plan leaves {} as it is; a database that sets it by itself changes it, too",
                table.name,
                column.unwrap_or_default()
            ));
        }
    }
}

/// The rules that can be asked.
#[derive(Default)]
struct Able {
    /// About the entities that the plan touches.
    local: Vec<Arc<Rule>>,
    /// About the whole snapshot.
    whole: Vec<Arc<Rule>>,
}

/// What came of it, but for the verdict.
#[derive(Default)]
struct Outcome {
    quality: Quality,
    violations: Violations,
    money: Money,
    entities: BTreeMap<String, u64>,
}

fn append(all: &mut Report, more: Report) {
    all.rules.extend(more.rules);
    all.findings.extend(more.findings);
    all.in_flight.extend(more.in_flight);
    all.could_not_judge.extend(more.could_not_judge);
    all.without_entity.extend(more.without_entity);
}

/// Rows that the plan does not change and that belong to no entity any more, because the row they name goes.
fn left_behind(
    effects: &Effects,
    catalog: &Catalog,
    before: &Report,
    after: &Report,
    quality: &mut Quality,
) {
    for rows in &after.without_entity {
        let same =
            |other: &&WithoutEntity| other.table == rows.table && other.entity == rows.entity;
        let known = before
            .without_entity
            .iter()
            .find(same)
            .map_or(0, |known| known.unresolved);
        let own = effects
            .rows
            .iter()
            .filter(|effect| catalog.table(effect.change.table).name == rows.table)
            .filter(|effect| {
                let mut led = effect.nowhere[1].iter();
                led.any(|entity| catalog.entity(*entity).name == rows.entity)
            })
            .count() as u64;
        let lost = rows.unresolved.saturating_sub(known + own);
        if lost > 0 {
            quality.add(QualityFinding {
                kind: QualityKind::Orphan,
                table: rows.table.clone(),
                key: String::new(),
                column: None,
                message: format!(
                    "{lost} rows that the plan does not change belong to no {} after it: the row they name goes",
                    rows.entity
                ),
                place: String::new(),
            });
        }
    }
}

fn verdict(report: &DryRun) -> (Verdict, Vec<String>) {
    let mut wrong = Vec::new();
    let mut doubts = Vec::new();
    let count = |number: usize, one: &str, several: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {several}"),
    };
    let violations = &report.violations;
    if !violations.introduced.is_empty() {
        let number = violations.introduced.len();
        wrong.push(format!(
            "it introduces {}",
            count(number, "violation", "violations")
        ));
    }
    if !violations.changed.is_empty() {
        let number = violations.changed.len();
        wrong.push(format!(
            "it leaves {} by another amount",
            count(number, "violation", "violations")
        ));
    }
    for (kind, number) in &report.quality.counts {
        let number = usize::try_from(*number).unwrap_or(usize::MAX);
        let text = count(number, said(*kind).0, said(*kind).1);
        match kind.is_doubt() {
            true => doubts.push(text),
            false => wrong.push(text),
        }
    }
    if !report.could_not_judge.is_empty() {
        doubts.push(format!(
            "{} could not be judged",
            count(report.could_not_judge.len(), "thing", "things")
        ));
    }
    let verdict = match (wrong.is_empty(), doubts.is_empty()) {
        (false, _) => Verdict::Unsafe,
        (true, false) => Verdict::CouldNotJudge,
        (true, true) => Verdict::Safe,
    };
    wrong.extend(doubts);
    (verdict, wrong)
}

fn said(kind: QualityKind) -> (&'static str, &'static str) {
    match kind {
        QualityKind::MissingRow => ("row is not there", "rows are not there"),
        QualityKind::OldValueDiffers => ("old value differs", "old values differ"),
        QualityKind::RepeatedChange => ("row is named twice", "rows are named twice"),
        QualityKind::KeyExists => ("new key is there already", "new keys are there already"),
        QualityKind::RepeatedKey => (
            "key stands in the snapshot more than once",
            "keys stand in the snapshot more than once",
        ),
        QualityKind::NullInKey => ("key has a null", "keys have a null"),
        QualityKind::NullInRequired => ("required value is null", "required values are null"),
        QualityKind::ForbiddenTransition => {
            ("transition is forbidden", "transitions are forbidden")
        }
        QualityKind::UnknownState => ("state is not known", "states are not known"),
        QualityKind::OutOfRange => ("value does not fit", "values do not fit"),
        QualityKind::WrongUnit => (
            "amount changes by its unit and mends nothing",
            "amounts change by their unit and mend nothing",
        ),
        QualityKind::Orphan => ("orphan is left", "orphans are left"),
        QualityKind::StillChanging => (
            "touched row is still changing",
            "touched rows are still changing",
        ),
    }
}

fn whole_seconds(span: Duration) -> String {
    Duration::seconds(span.0 / 1_000_000).to_string()
}
