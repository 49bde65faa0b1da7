//! The entities of one kind: their slices, the rules over them, and what the rules say.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use centinel_catalog::{Catalog, EntityPath, TableKind};
use centinel_model::{EntityId, TableId, Timestamp};
use centinel_rules::{
    EntityNames, Evaluator, Rule, RuleOutcome, Slice, Spent, TimeBound, Violations,
};
use centinel_state::{Record, RowDecoder, Wake, current_rows};
use centinel_verdict::Patience;

use super::drift::without_nulls;
use super::forget::why_returned;
use super::keys::{DocumentKind, Documents};
use crate::EngineError;
use crate::rule_facts::RuleRegister;

/// Later than any deadline a rule can name: the end of year 9999.
pub(super) const FOREVER: Timestamp = Timestamp::LATEST;
/// How often one rule that could not answer is asked again over parts of a slice.
const QUESTIONS_AGAIN: u32 = 256;

/// One document to be judged and written.
pub struct Work<'b> {
    /// Number of the document.
    pub document: u32,
    /// Its number in the store; none for one that comes.
    pub stored_as: Option<u64>,
    /// All records, those that arrived included.
    pub records: Vec<Record<'b>>,
    /// The cases as stored.
    pub verdicts: &'b [u8],
    /// The wakes as stored.
    pub wakes: Vec<Wake>,
    /// Tables in which something arrived, bit by table id.
    pub touched: u128,
    /// Whether its time had come.
    pub woken: bool,
    /// Whether its records are other than stored.
    pub changed: bool,
    /// The newest commit time of records that were forgotten and are missing here.
    pub forgotten: Option<Timestamp>,
    /// The rules that read what one of its rows lacks, by index in their group.
    pub suspended: Vec<usize>,
}

/// A rule, and what detection derives from it once.
pub(super) struct Judged {
    pub rule: Arc<Rule>,
    /// Its number in the state's register.
    pub number: u16,
    pub patience: Patience,
    /// The tables it reads, bit by table id.
    pub tables: u128,
    /// It concerns only entities that have or had rows in one of these.
    pub triggers: u128,
    /// The tables it reads and those that links of them lead through.
    pub depends_on: u128,
    /// The events among those it reads.
    pub events: u128,
    /// The sources it depends on, bit by source id.
    pub sources: u64,
    bounds: Vec<TimeBound>,
}

/// The rules over one kind of entity.
pub struct EntityGroup {
    /// The kind.
    pub entity: EntityId,
    pub(super) rules: Vec<Judged>,
    evaluator: Evaluator,
    tables: Vec<TableReader>,
    /// By table id: index into `tables`.
    readers: Vec<Option<usize>>,
    catalog: Arc<Catalog>,
}

struct TableReader {
    decoder: RowDecoder,
    ids: Vec<u32>,
    /// Position of the entity's key among the columns.
    key: Option<usize>,
    schema: arrow::datatypes::SchemaRef,
}

/// One row that a rule returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Answer {
    /// Index among the works.
    pub work: u32,
    /// Index of the rule.
    pub rule: usize,
    /// Index into [`Answers::results`].
    pub result: usize,
    /// Row of that result.
    pub row: usize,
}

/// What the rules said of the works.
#[derive(Default)]
pub(super) struct Answers {
    pub results: Vec<Violations>,
    /// Sorted by work and rule.
    pub rows: Vec<Answer>,
    /// Rules that could not be judged, by work and rule, with the reason; sorted.
    pub unjudged: Vec<(u32, usize, String)>,
    /// Works that a rule will find at a later time though nothing changes.
    pub later: Vec<(u32, usize)>,
}

impl EntityGroup {
    /// One group for each entity that the state keeps, with its rules, if any are left. A rule that cannot run in detection is an
    /// error that says why.
    pub fn for_rules(
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        entities: &[EntityId],
        register: &RuleRegister,
    ) -> Result<Vec<EntityGroup>, EngineError> {
        let mut groups = Vec::new();
        for entity in entities.iter().copied() {
            let rules: Vec<_> = rules
                .iter()
                .filter(|rule| rule.entity == entity)
                .cloned()
                .collect();
            let judged = rules
                .iter()
                .map(|rule| Judged::new(catalog, rule, register));
            let judged = judged.collect::<Result<Vec<_>, _>>()?;
            let evaluator = Evaluator::new(catalog, rules, entity)
                .map_err(|error| EngineError::Rules(error.to_string()))?;
            let tables: Vec<TableReader> = evaluator
                .layout()
                .tables
                .iter()
                .map(|table| {
                    let position = |place: &usize| Some(*place) != table.key;
                    let wanted: Vec<usize> = (0..table.columns.len())
                        .filter(position)
                        .map(|place| table.columns[place])
                        .collect();
                    TableReader {
                        decoder: RowDecoder::new(catalog.table(table.table), &wanted),
                        ids: Vec::new(),
                        key: table.key,
                        schema: Arc::clone(&table.schema),
                    }
                })
                .collect();
            let readers = catalog
                .table_ids()
                .map(|id| evaluator.layout().position(id))
                .collect();
            let catalog = Arc::clone(catalog);
            groups.push(EntityGroup {
                entity,
                rules: judged,
                evaluator,
                tables,
                readers,
                catalog,
            });
        }
        Ok(groups)
    }

    /// What each of its rules took so far.
    pub(super) fn spent(&self) -> &[Spent] {
        self.evaluator.spent()
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Asks the rules over the works, each as of its own clock. All works have the same rules suspended.
    pub(super) fn ask(
        &mut self,
        works: &[Work<'_>],
        documents: &Documents,
        clocks: &[Timestamp],
    ) -> Result<Answers, EngineError> {
        let mut answers = Answers::default();
        let aside = self.set_aside(works, &mut answers);
        answers.unjudged.extend(self.set_aside_suspended(works));
        let suspended = works.first().map_or(&[][..], |work| &work.suspended);
        let triggered: Vec<bool> = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, judged)| {
                if suspended.contains(&index) {
                    return false;
                }
                // A rule about time is always asked: its wakes are made anew whenever a document is written.
                judged.rule.uses_as_of
                    || works
                        .iter()
                        .any(|work| work.woken || work.touched & judged.tables != 0)
            })
            .collect();
        let mut again = vec![QUESTIONS_AGAIN; self.rules.len()];
        let all = 0..works.len() as u32;
        let question = Question {
            works,
            documents,
            clocks,
            aside: &aside,
        };
        self.ask_part(&question, all, &triggered, &mut again, &mut answers)?;
        answers.rows.sort_unstable();
        answers.unjudged.sort_unstable();
        answers.later.sort_unstable();
        Ok(answers)
    }

    /// Entities that no rule can judge.
    fn set_aside(&self, works: &[Work<'_>], answers: &mut Answers) -> Vec<bool> {
        let mut aside = vec![false; works.len()];
        for (index, work) in works.iter().enumerate() {
            if let Some(reason) = self.cannot_be_judged(work) {
                aside[index] = true;
                answers
                    .unjudged
                    .extend((0..self.rules.len()).map(|rule| (index as u32, rule, reason.clone())));
            }
        }
        aside
    }

    /// Entities with more rows than the catalog allows are not judged, and never cut short; nor are those of which
    /// rows were forgotten.
    fn cannot_be_judged(&self, work: &Work<'_>) -> Option<String> {
        let forgotten = work.forgotten.filter(|_| !work.records.is_empty());
        if let Some(forgotten) = forgotten {
            return Some(why_returned(forgotten));
        }
        let entity = self.catalog.entity(self.entity);
        let limit = entity.max_rows as usize;
        if work.records.len() <= limit {
            return None;
        }
        let rows = current_rows(&work.records).count();
        (rows > limit).then(|| {
            format!(
                "it has {rows} rows; `{}` allows {limit} (max_rows)",
                entity.name
            )
        })
    }

    fn ask_part(
        &mut self,
        question: &Question<'_, '_>,
        part: std::ops::Range<u32>,
        wanted: &[bool],
        again: &mut [u32],
        answers: &mut Answers,
    ) -> Result<(), EngineError> {
        let slice = self.slice(question, &part)?;
        let rules = &self.rules;
        let timed = |rule: usize| wanted[rule] && rules[rule].rule.uses_as_of;
        let mut outcomes: Vec<RuleOutcome> = Vec::new();
        // What no time to come can break needs no second look and no wake.
        if (0..rules.len()).any(timed) {
            outcomes = self.evaluator.evaluate(&slice, &|_| FOREVER, &timed);
        }
        outcomes.resize_with(rules.len(), || RuleOutcome::Skipped);
        let breakable = |rule: usize| match &outcomes[rule] {
            RuleOutcome::Skipped => true,
            RuleOutcome::Violations(ever) => !ever.is_empty() || !ever.unjudged().is_empty(),
            RuleOutcome::CouldNotJudge(_) => false,
        };
        let as_of = |rule: usize| question.clocks[rule].clamp(Timestamp(0), FOREVER);
        let asked = |rule: usize| wanted[rule] && breakable(rule);
        let present = self.evaluator.evaluate(&slice, &as_of, &asked);
        drop(slice);
        for (rule, (present, ever)) in present.into_iter().zip(outcomes).enumerate() {
            match (present, ever) {
                (RuleOutcome::Violations(found), RuleOutcome::Violations(ever)) => {
                    answers.take_in(rule, part.start, found, Some(&ever));
                }
                (RuleOutcome::Violations(found), _) => {
                    answers.take_in(rule, part.start, found, None)
                }
                (RuleOutcome::CouldNotJudge(reason), _)
                | (RuleOutcome::Skipped, RuleOutcome::CouldNotJudge(reason)) => {
                    self.ask_again(question, part.clone(), rule, reason, again, answers)?;
                }
                (RuleOutcome::Skipped, _) => {}
            }
        }
        Ok(())
    }

    /// A rule failed over a whole part: the halves are asked, so that one entity does not take others along.
    fn ask_again(
        &mut self,
        question: &Question<'_, '_>,
        part: std::ops::Range<u32>,
        rule: usize,
        reason: String,
        again: &mut [u32],
        answers: &mut Answers,
    ) -> Result<(), EngineError> {
        if part.len() <= 1 || again[rule] < 2 {
            answers
                .unjudged
                .extend(part.map(|work| (work, rule, reason.clone())));
            return Ok(());
        }
        again[rule] -= 2;
        let only: Vec<bool> = (0..self.rules.len()).map(|other| other == rule).collect();
        let middle = part.start + part.len() as u32 / 2;
        for half in [part.start..middle, middle..part.end] {
            self.ask_part(question, half, &only, again, answers)?;
        }
        Ok(())
    }

    /// The rows of some works as the evaluator wants them; the entity's dense id is its place in the part.
    fn slice(
        &mut self,
        question: &Question<'_, '_>,
        part: &std::ops::Range<u32>,
    ) -> Result<Slice, EngineError> {
        for index in part.clone() {
            if question.aside[index as usize] {
                continue;
            }
            for record in current_rows(&question.works[index as usize].records) {
                if let Some(reader) = self.readers[usize::from(record.table.0)] {
                    let reader = &mut self.tables[reader];
                    reader.decoder.decode(record.image)?;
                    reader.ids.push(index - part.start);
                }
            }
        }
        let tables = self.tables.iter_mut().map(TableReader::batch);
        let names = part.clone().map(|index| {
            let key = question
                .documents
                .key(question.works[index as usize].document);
            DocumentKind::read(key).map_or("", |(_, text)| text)
        });
        Ok(Slice {
            entity_count: part.len() as u32,
            tables: tables.collect::<Result<_, _>>()?,
            keys: Arc::new(Names::from_iter(names)),
        })
    }

    /// When time alone will break a rule for an entity, after `clock`.
    pub(super) fn breaks_at(
        &self,
        rule: usize,
        work: &Work<'_>,
        clock: Timestamp,
    ) -> Option<Timestamp> {
        let mut soonest: Option<Timestamp> = None;
        for bound in &self.rules[rule].bounds {
            let mut decoder = RowDecoder::new(self.catalog.table(bound.table), &[bound.column]);
            for record in current_rows(&work.records).filter(|record| record.table == bound.table) {
                decoder.decode(record.image).ok()?;
            }
            let columns = decoder.finish();
            let column = columns.first()?;
            let times = arrow::array::AsArray::as_primitive_opt::<
                arrow::datatypes::TimestampMicrosecondType,
            >(column)?;
            for time in times.iter().flatten() {
                let at = Timestamp(time).plus(bound.offset);
                if at > clock && soonest.is_none_or(|soonest| at < soonest) {
                    soonest = Some(at);
                }
            }
        }
        soonest
    }
}

struct Question<'q, 'b> {
    works: &'q [Work<'b>],
    documents: &'q Documents,
    /// By rule.
    clocks: &'q [Timestamp],
    /// By work: whether it cannot be judged.
    aside: &'q [bool],
}

impl Answers {
    fn take_in(&mut self, rule: usize, first: u32, found: Violations, ever: Option<&Violations>) {
        let result = self.results.len();
        self.rows.extend((0..found.len()).map(|row| Answer {
            work: first + found.entity(row),
            rule,
            result,
            row,
        }));
        let unjudged = found
            .unjudged()
            .iter()
            .filter_map(|entity| Some((first + entity.entity?, rule, entity.reason.clone())));
        self.unjudged.extend(unjudged);
        if let Some(ever) = ever {
            self.later
                .extend((0..ever.len()).map(|row| (first + ever.entity(row), rule)));
        }
        self.results.push(found);
    }
}

impl TableReader {
    fn batch(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        let mut columns = self.decoder.finish();
        let key = self.key;
        let fields = self.schema.fields().iter().enumerate();
        let fields = fields.filter(|(index, _)| Some(*index) != key);
        for (column, (_, field)) in columns.iter_mut().zip(fields) {
            if !field.is_nullable() && column.null_count() > 0 {
                *column = without_nulls(Arc::clone(column)).map_err(damaged)?;
            }
        }
        let ids: ArrayRef = Arc::new(UInt32Array::from(std::mem::take(&mut self.ids)));
        let rows = ids.len();
        if let Some(place) = self.key {
            columns.insert(place, ids);
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map(Some)
            .map_err(damaged)
    }
}

fn damaged(error: ArrowError) -> EngineError {
    EngineError::Damaged(error.to_string())
}

/// The keys of a slice's entities, in one string.
#[derive(Default)]
struct Names {
    text: String,
    ends: Vec<u32>,
}

impl<'k> FromIterator<&'k str> for Names {
    fn from_iter<I: IntoIterator<Item = &'k str>>(keys: I) -> Names {
        let mut names = Names::default();
        for key in keys {
            names.text.push_str(key);
            names.ends.push(names.text.len() as u32);
        }
        names
    }
}

impl EntityNames for Names {
    fn name(&self, id: u32) -> &str {
        let end = self.ends[id as usize] as usize;
        let start = id
            .checked_sub(1)
            .map_or(0, |before| self.ends[before as usize] as usize);
        &self.text[start..end]
    }
}

impl Judged {
    fn new(
        catalog: &Catalog,
        rule: &Arc<Rule>,
        register: &RuleRegister,
    ) -> Result<Judged, EngineError> {
        let bounds = rule.detection().map_err(|reason| {
            EngineError::Rules(format!(
                "{} cannot run in detection: {reason}; it runs in audits",
                rule.id
            ))
        })?;
        let bit = |tables: &mut dyn Iterator<Item = u16>| {
            tables.fold(0u128, |set, table| set | 1 << table)
        };
        let tables = bit(&mut rule.reads.iter().map(|used| used.table.0));
        let guarded = rule
            .reads
            .iter()
            .filter_map(|used| match catalog.table(used.table).kind {
                TableKind::History(table) => Some(table.0),
                _ => None,
            });
        let targets = link_targets(catalog, rule).map(|table| table.0);
        let depends_on = tables | bit(&mut targets.chain(guarded));
        let is_event = |table: &TableId| catalog.table(*table).kind == TableKind::Events;
        let is_waited_for = |table: &TableId| depends_on & (1 << table.0) != 0;
        let sources = catalog.table_ids().filter(is_waited_for);
        let sources = sources.fold(0u64, |set, table| set | 1 << catalog.table(table).source.0);
        Ok(Judged {
            number: register.number(&rule.id).ok_or_else(|| {
                EngineError::Rules(format!("{} is not in the register of rules", rule.id))
            })?,
            patience: Patience {
                settle: rule.settle,
                retries: rule.retries,
                retry_interval: rule.retry_interval,
                max_wait: rule.max_wait,
            },
            tables,
            triggers: bit(&mut rule.triggers.iter().map(|table| table.0)),
            depends_on,
            events: bit(&mut rule
                .reads
                .iter()
                .map(|used| used.table)
                .filter(is_event)
                .map(|table| table.0)),
            sources,
            bounds: bounds.to_vec(),
            rule: Arc::clone(rule),
        })
    }
}

/// A row that reaches its entity through another table is only seen once that table's row has come.
fn link_targets<'r>(catalog: &'r Catalog, rule: &'r Rule) -> impl Iterator<Item = TableId> + 'r {
    rule.reads.iter().filter_map(
        |used| match catalog.table(used.table).path_to(rule.entity) {
            Some(EntityPath::Through { target, .. }) => Some(*target),
            _ => None,
        },
    )
}

/// The entities of these rules, each once, in order.
pub(super) fn entities_of(rules: &[Arc<Rule>]) -> Vec<EntityId> {
    let mut entities: Vec<EntityId> = rules.iter().map(|rule| rule.entity).collect();
    entities.sort_unstable();
    entities.dedup();
    entities
}
