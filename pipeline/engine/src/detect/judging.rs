//! What the rules say of the works → verdicts, messages, documents to write.

use std::sync::Arc;

use centinel_model::{
    Amount, CheckpointAnswer, Finding, SUSPICION_SCHEMA, TableId, Timestamp, Verdict,
};
use centinel_state::{Commit, Wake, newest_commit};
use centinel_verdict::{Case, Observation, Question, Transition, judge, read_cases, write_cases};

use super::checkpoint::answer;
use super::detector::Detector;
use super::doubts::Life;
use super::entities::{Answer, Answers, EntityGroup, Judged, Work};
use super::horizon::{lives_since, why_beyond};
use super::keys::{DocumentKind, Documents};
use super::memory::Written;
use super::messages::line_of;
use super::open::open;
use super::stages::Stopwatch;
use crate::EngineError;
use crate::finding::{Judgement, of_violation, without_row};

/// Entities of one slice: enough that plans pay, few enough that their rows stay near the processor.
const SLICE_ENTITIES: usize = 16_384;
/// Between the values of a key of several columns.
const KEY_SEPARATOR: char = '\u{1f}';

/// What one rule says of one entity.
enum Seen<'a> {
    /// Nothing it depends on has changed, or it does not concern this entity.
    NotAsked,
    /// It could not be asked, for this reason.
    CouldNotJudge(&'a str),
    /// Its bad rows; none is good.
    Rows(&'a [Answer]),
}

/// The answers of a group's rules over some works, to be judged.
pub(super) struct Judging<'g> {
    pub group: &'g EntityGroup,
    answers: &'g Answers,
    /// By rule.
    clocks: &'g [Timestamp],
}

/// One entity, to be judged.
pub(super) struct Subject<'w> {
    index: u32,
    pub work: &'w Work<'w>,
    /// Of its document.
    pub document: &'w [u8],
    pub entity_key: &'w str,
    /// By table: the newest commit time.
    newest: Vec<Timestamp>,
    /// Tables in which it has rows or had some, bit by table id.
    tables: u128,
}

impl EntityGroup {
    /// Asks the rules over the works, judges, and puts what has changed into the commit.
    pub(super) fn judge_and_write(
        &mut self,
        detector: &mut Detector,
        works: &[Work<'_>],
        documents: &Documents,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let sources = self.rules.iter().map(|judged| judged.sources);
        let clocks: Vec<Timestamp> = sources.map(|sources| detector.clock(sources)).collect();
        let alike = works.chunk_by(|left, right| left.suspended == right.suspended);
        for works in alike.flat_map(|works| works.chunks(SLICE_ENTITIES)) {
            let mut watch = Stopwatch::start();
            let answers = self.ask(works, documents, &clocks)?;
            watch.lap(&mut detector.stages.evaluate);
            let judging = Judging {
                group: self,
                answers: &answers,
                clocks: &clocks,
            };
            for (index, work) in works.iter().enumerate() {
                let key = documents.key(work.document);
                judging.judge_and_write(detector, index as u32, work, key, commit)?;
            }
            watch.lap(&mut detector.stages.judge);
        }
        Ok(())
    }
}

impl Judging<'_> {
    fn judge_and_write(
        &self,
        detector: &mut Detector,
        index: u32,
        work: &Work<'_>,
        key: &Arc<[u8]>,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let mut cases = read_cases(work.verdicts).map_err(damaged)?;
        let before = cases.clone();
        let answers = self.answers;
        let silent = part_of(&answers.rows, |answer| answer.work.cmp(&index)).is_empty()
            && part_of(&answers.unjudged, |unjudged| unjudged.0.cmp(&index)).is_empty();
        if !(cases.is_empty() && silent) {
            let subject = Subject::new(index, work, key, detector);
            self.judge(detector, &subject, &mut cases, commit)?;
            self.tell_suspicions(detector, &subject, (&before, &cases), commit)?;
            detector.close_unloaded(subject.entity_key, self.group.entity, &mut cases, commit)?;
            detector.count_open(&before, &cases);
        }
        let later = part_of(&answers.later, |later| later.0.cmp(&index));
        let wakes = self.group.wakes(&cases, later, work, self.clocks);
        if work.changed || cases != before || wakes != work.wakes {
            let verdicts = write_cases(&cases).map_err(damaged)?;
            let written = Written {
                key,
                stored_as: work.stored_as,
                verdicts: &verdicts,
                wakes: &wakes,
                records: &work.records,
                forgotten: work.forgotten,
            };
            detector.write(&written, &work.wakes, commit);
        }
        Ok(())
    }

    fn judge(
        &self,
        detector: &mut Detector,
        subject: &Subject<'_>,
        cases: &mut Vec<Case>,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        // Rules of guarded tables last: they tell what their checkpoint's rules say.
        let rules = || self.group.rules.iter().enumerate();
        let plain = rules().filter(|(_, judged)| judged.rule.guards.is_none());
        let guards = rules().filter(|(_, judged)| judged.rule.guards.is_some());
        for (rule, judged) in plain.chain(guards) {
            let seen = self.seen(rule, subject, cases);
            let (observations, aside) = match &seen {
                Seen::NotAsked => continue,
                Seen::Rows(rows) => (observations(judged, self.answers, rows), Vec::new()),
                Seen::CouldNotJudge(_) => {
                    // It says nothing of what was found before: that stays as it is.
                    let told = |case: &mut Case| case.rule == judged.number && open(case);
                    let aside: Vec<Case> = cases.extract_if(.., told).collect();
                    let known = aside.iter().any(|case| case.key.is_empty());
                    (
                        if known {
                            Vec::new()
                        } else {
                            vec![Observation::default()]
                        },
                        aside,
                    )
                }
            };
            let question = self.question(detector, rule, subject, &seen);
            for told in judge(cases, question, &observations) {
                let answer = self.checkpoint(rule, cases, &told);
                self.tell(detector, rule, subject, &told, (&seen, answer), commit)?;
            }
            cases.extend(aside);
        }
        Ok(())
    }

    /// What a rule says of an entity. A rule with `on:` concerns entities to which that has happened.
    fn seen(&self, rule: usize, subject: &Subject<'_>, cases: &[Case]) -> Seen<'_> {
        let judged = &self.group.rules[rule];
        let asked = subject.work.woken || subject.work.touched & judged.tables != 0;
        let concerned = subject.tables & judged.triggers != 0
            || cases.iter().any(|case| case.rule == judged.number);
        if !(asked && concerned) {
            return Seen::NotAsked;
        }
        let place = (subject.index, rule);
        let unjudged = &self.answers.unjudged;
        match part_of(unjudged, |unjudged| (unjudged.0, unjudged.1).cmp(&place)).first() {
            Some((_, _, reason)) => Seen::CouldNotJudge(reason),
            None => Seen::Rows(part_of(&self.answers.rows, |answer| {
                (answer.work, answer.rule).cmp(&place)
            })),
        }
    }

    fn question(
        &self,
        detector: &Detector,
        rule: usize,
        subject: &Subject<'_>,
        seen: &Seen<'_>,
    ) -> Question<'_> {
        let judged = &self.group.rules[rule];
        let read = (0..subject.newest.len()).filter(|table| judged.tables & (1 << table) != 0);
        let newest_commit = read
            .map(|table| subject.newest[table])
            .max()
            .unwrap_or(Timestamp::MIN);
        let patience = judged.patience.total();
        let doubtful = || {
            let records = &subject.work.records;
            let life = Life {
                since: lives_since(&detector.catalog, self.group.entity, records),
                newest: newest_commit,
            };
            let doubts = &detector.doubts;
            doubts.concern(subject.document, judged.depends_on, life, patience)
        };
        Question {
            rule: judged.number,
            patience: &judged.patience,
            clock: self.clocks[rule],
            newest_commit,
            hole: matches!(seen, Seen::CouldNotJudge(_))
                || doubtful()
                || self.beyond_horizon(detector, rule, subject, seen).is_some(),
            rule_changed: detector.is_changed(judged.number, subject.document),
        }
    }

    /// The horizon of the rule's tables, where rows of this entity from before it may be missing.
    fn beyond_horizon(
        &self,
        detector: &Detector,
        rule: usize,
        subject: &Subject<'_>,
        seen: &Seen<'_>,
    ) -> Option<(Timestamp, TableId)> {
        let judged = &self.group.rules[rule];
        if let Some(guarded) = &judged.rule.guards {
            // Of what came before a change only the events near it matter.
            let horizon = detector.horizons.of(judged.events)?;
            let Seen::Rows(rows) = seen else { return None };
            let changed = rows
                .iter()
                .filter_map(|row| self.answers.results[row.result].since(row.row));
            let near = changed.min()? < horizon.0.plus(guarded.window);
            return near.then_some(horizon);
        }
        let tables = judged.depends_on;
        let joined = detector.joined.of(&detector.catalog, tables);
        let joined = joined.map(|table| (Timestamp::LATEST, table));
        let horizon = detector.horizons.of(tables).max(joined)?;
        let records = &subject.work.records;
        let since = lives_since(&detector.catalog, self.group.entity, records);
        (since < horizon.0).then_some(horizon)
    }

    /// What the checkpoint says, of a change by hand that is told.
    fn checkpoint(
        &self,
        rule: usize,
        cases: &[Case],
        told: &Transition,
    ) -> Option<CheckpointAnswer> {
        let guarded = self.group.rules[rule].rule.guards.as_ref()?;
        let checkpoint = guarded.checkpoint.as_ref()?;
        let (rules, changed_at) = (&self.group.rules, told.case.anchor());
        let is_told = told.verdict == Verdict::Confirmed;
        is_told.then(|| answer(checkpoint, rules, cases, self.clocks, changed_at))
    }

    /// One transition as a message in the outbox.
    fn tell(
        &self,
        detector: &mut Detector,
        rule: usize,
        subject: &Subject<'_>,
        told: &Transition,
        (seen, checkpoint): (&Seen<'_>, Option<CheckpointAnswer>),
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let row = match seen {
            Seen::Rows(rows) => told
                .observation
                .and_then(|observation| rows.get(observation)),
            _ => None,
        };
        let mut finding = self.finding(detector, rule, subject, (&told.case, told.verdict), row);
        finding.checkpoint = checkpoint;
        if told.verdict == Verdict::Undetermined {
            let catalog = &detector.catalog;
            let horizon = self.beyond_horizon(detector, rule, subject, seen);
            finding.hint = Some(match (seen, horizon) {
                (Seen::CouldNotJudge(reason), _) => format!("could not judge: {reason}"),
                (_, Some(horizon)) => why_beyond(catalog, horizon),
                _ => "a record that could not be read may belong to it, or it never comes to rest"
                    .into(),
            });
        }
        detector.send(line_of(&finding)?, commit);
        Ok(())
    }

    /// What is known of a case, with the row that shows it, if one does.
    fn finding(
        &self,
        detector: &Detector,
        rule: usize,
        subject: &Subject<'_>,
        (case, verdict): (&Case, Verdict),
        row: Option<&Answer>,
    ) -> Finding {
        let (judged, clock) = (&self.group.rules[rule], self.clocks[rule]);
        let ends = judged.patience.ends(case.anchor());
        let judgement = Judgement {
            verdict,
            sequence: case.sequence,
            occurrence: case.occurrence,
            anchor: case.anchor(),
            judged_at: if clock == Timestamp::MAX { ends } else { clock },
            positions: &detector.positions,
        };
        let catalog = &detector.catalog;
        match row {
            Some(answer) => of_violation(
                catalog,
                &self.answers.results[answer.result],
                answer.row,
                judgement,
            ),
            None => without_row(
                catalog,
                &judged.rule,
                subject.entity_key.into(),
                key_values(&case.key, subject.entity_key),
                case.amount(),
                judgement,
            ),
        }
    }

    /// What is suspected, or was and passes, under the schema of suspicions.
    pub(super) fn suspicion(
        &self,
        detector: &Detector,
        rule: usize,
        subject: &Subject<'_>,
        (case, verdict): (&Case, Verdict),
    ) -> Finding {
        let judged = &self.group.rules[rule];
        let place = (subject.index, rule);
        let rows = part_of(&self.answers.rows, |answer| {
            (answer.work, answer.rule).cmp(&place)
        });
        let shown = observations(judged, self.answers, rows);
        let row = shown.iter().position(|shown| shown.key == case.key);
        let row = row.and_then(|row| rows.get(row));
        Finding {
            schema: SUSPICION_SCHEMA.into(),
            ..self.finding(detector, rule, subject, (case, verdict), row)
        }
    }
}

impl<'w> Subject<'w> {
    fn new(index: u32, work: &'w Work<'w>, document: &'w [u8], detector: &Detector) -> Subject<'w> {
        let tables = work
            .records
            .iter()
            .fold(0, |set, record| set | 1u128 << record.table.0);
        Subject {
            index,
            work,
            document,
            entity_key: DocumentKind::read(document).map_or("", |(_, text)| text),
            newest: newest_commit(&work.records, detector.catalog.tables.len()),
            tables,
        }
    }
}

impl EntityGroup {
    /// When the entity must be looked at again: the earliest time for each set of sources, sorted.
    fn wakes(
        &self,
        cases: &[Case],
        later: &[(u32, usize)],
        work: &Work<'_>,
        clocks: &[Timestamp],
    ) -> Vec<Wake> {
        let mut wakes: Vec<Wake> = Vec::new();
        let mut want = |rule: usize, at: Option<Timestamp>| {
            let Some(at) = at.filter(|at| *at > clocks[rule]) else {
                return;
            };
            let sources = self.rules[rule].sources;
            match wakes.iter_mut().find(|wake| wake.sources == sources) {
                Some(wake) => wake.at = wake.at.min(at),
                None => wakes.push(Wake { sources, at }),
            }
        };
        for case in cases {
            let rule = self
                .rules
                .iter()
                .position(|judged| judged.number == case.rule);
            if let Some(rule) = rule {
                want(rule, case.wake());
            }
        }
        for (_, rule) in later {
            want(*rule, self.breaks_at(*rule, work, clocks[*rule]));
        }
        wakes.sort_unstable();
        wakes
    }
}

fn observations(judged: &Judged, answers: &Answers, rows: &[Answer]) -> Vec<Observation> {
    rows.iter()
        .map(|answer| {
            let result = &answers.results[answer.result];
            let key = match judged.rule.key.len() {
                1 => String::new(),
                _ => result.key_text(answer.row).join(&KEY_SEPARATOR.to_string()),
            };
            Observation {
                key,
                amount: result.amount(answer.row),
                since: result.since(answer.row),
            }
        })
        .collect()
}

/// The key values that a case stands for.
pub(super) fn key_values(case_key: &str, entity_key: &str) -> Vec<String> {
    match case_key {
        "" => vec![entity_key.to_owned()],
        several => several.split(KEY_SEPARATOR).map(str::to_owned).collect(),
    }
}

/// The stretch of sorted items that compare as equal.
fn part_of<T>(sorted: &[T], compare: impl Fn(&T) -> std::cmp::Ordering) -> &[T] {
    let start = sorted.partition_point(|item| compare(item).is_lt());
    let end = sorted.partition_point(|item| compare(item).is_le());
    &sorted[start..end]
}

fn damaged(error: impl std::fmt::Display) -> EngineError {
    EngineError::Damaged(error.to_string())
}

/// The money of a case as last told, in text.
pub(super) fn amount_text(amount: Option<Amount>) -> Option<String> {
    amount
        .and_then(Amount::absolute)
        .map(|amount| amount.to_string())
}
