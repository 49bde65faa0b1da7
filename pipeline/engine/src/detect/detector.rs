//! One micro-batch: records to their documents, rules over the touched entities, verdicts, one commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{
    EntityId, HoleReason, HorizonOf, MicroBatch, Positions, SourceId, TableChanges, TableId,
    Timestamp,
};
use centinel_state::{Commit, Store, Wake};
use hashbrown::HashSet;

use super::doubts::Doubts;
use super::drift::Drifts;
use super::entities::{EntityGroup, Work, entities_of};
use super::facts::SourceFacts;
use super::forget::{FORGETTING_FACT, Forgetting};
use super::gather::{Arrived, Loaded, resolve_links};
use super::horizon::{Horizons, Joined};
use super::keys::Documents;
use super::limits::DetectorLimits;
use super::links::LinkReader;
use super::memory::Memory;
use super::open::Open;
use super::plans::{PLANS_FACT, Plans};
use super::quarantine::Quarantine;
use super::routing::Router;
use super::settle::Settled;
use super::shapes::Shapes;
use super::stages::{Stages, Stopwatch};
use super::suspicions::SUSPICIONS_FACT;
use crate::EngineError;
use crate::rule_facts::{RuleRegister, Sweep};

/// One micro-batch worked through: what must be committed before anything is told.
#[derive(Debug, Default)]
pub struct Prepared {
    /// To be made durable as a whole.
    pub commit: Commit,
    /// Whether entities are still waiting for their turn at the present clocks.
    pub more_due: bool,
    /// Whether documents are still to be looked at again because rules have changed.
    pub more_to_look_at: bool,
}

/// Counters since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Changes read.
    pub changes: u64,
    /// Changes that had been read before.
    pub repeated: u64,
    /// Messages written.
    pub messages: u64,
    /// Documents written.
    pub documents: u64,
    /// Wakes added and removed.
    pub wakes: u64,
}

/// The detection of one set of rules over one state. Not tied to any thread or input.
pub struct Detector {
    pub(super) catalog: Arc<Catalog>,
    pub(super) store: Arc<dyn Store>,
    pub(super) limits: DetectorLimits,
    router: Router,
    pub(super) links: LinkReader,
    pub(super) groups: Vec<EntityGroup>,
    pub(super) register: RuleRegister,
    pub(super) memory: Memory,
    /// Whether something was worked through that did not become durable: nobody may go on from there.
    pub(super) astray: bool,
    /// By source id.
    pub(super) progress: Vec<Timestamp>,
    /// Whether all inputs have ended: every clock stands at the end.
    ended: bool,
    pub(super) positions: Positions,
    pub(super) doubts: Doubts,
    pub(super) settled: Settled,
    pub(super) quarantine: Quarantine,
    pub(super) horizons: Horizons,
    pub(super) forgetting: Forgetting,
    pub(super) joined: Joined,
    pub(super) shapes: Shapes,
    pub(super) drifts: Drifts,
    next_message: u64,
    /// About sources, to go out with the next micro-batch.
    pub(super) unsent: Vec<Vec<u8>>,
    /// Facts as last put into a commit.
    written: BTreeMap<&'static str, Vec<u8>>,
    /// Announced, and not at their end.
    pub(super) plans: Plans,
    /// By the rule's number in the register.
    pub(super) open: Vec<Open>,
    /// Whether suspicions are told.
    pub(super) suspicions: bool,
    /// Links whose rows have waited too long.
    pub(super) unreached: i64,
    /// How many documents are looked at again with the next micro-batch, while there are some.
    pub(super) rescan: usize,
    /// How many were with this one, and the place of the last, if there was one left.
    rescanned: Option<(usize, Option<Vec<u8>>)>,
    /// Removed by commits that may not be durable yet, oldest first: the store still has them.
    removed_wakes: VecDeque<HashSet<(Wake, Vec<u8>)>>,
    /// Added by the same commits: the store does not have them yet.
    added_wakes: VecDeque<Vec<(Wake, Vec<u8>)>>,
    /// Up to when the same commits judge, and those before them did.
    judging: VecDeque<Timestamp>,
    judged_up_to: Timestamp,
    /// What was counted.
    pub counters: Counters,
    /// Where the time went.
    pub stages: Stages,
    /// By source id.
    pub(super) source_facts: Vec<SourceFacts>,
    /// Records that could not be read, by source and reason, since the start.
    pub(super) unread: BTreeMap<(Option<SourceId>, HoleReason), u64>,
}

/// The name of the fact that holds [`Positions`] in JSON.
const POSITIONS_FACT: &str = "positions";
pub(super) const PROGRESS_FACT: &str = "progress";
const DOUBTS_FACT: &str = "doubts";
const JOINED_FACT: &str = "joined";
const DRIFTS_FACT: &str = "drifts";
const NEXT_MESSAGE_FACT: &str = "next_message";
pub(super) const RULES_FACT: &str = "rules";
const OPEN_FACT: &str = "open";
const UNREACHED_FACT: &str = "unreached";
/// Bits of a set of tables.
const MOST_TABLES: usize = 128;
/// Documents looked at again in one go when rules have changed.
pub(super) const RESCAN_PER_BATCH: usize = 20_000;

impl Detector {
    /// Takes up the detection where the state left it. Schemas of another shape take the state over where its rows
    /// can be read under them; that is durable with the first commit.
    pub fn new(
        catalog: Arc<Catalog>,
        rules: &[Arc<centinel_rules::Rule>],
        store: Arc<dyn Store>,
        limits: DetectorLimits,
    ) -> Result<Detector, EngineError> {
        if catalog.tables.len() > MOST_TABLES {
            return Err(EngineError::Unsupported(format!(
                "{} tables and events: detection knows up to {MOST_TABLES}",
                catalog.tables.len()
            )));
        }
        let entities = entities_of(rules);
        let mut register: RuleRegister = read_fact(store.as_ref(), RULES_FACT)?.unwrap_or_default();
        let names = entities
            .iter()
            .map(|entity| catalog.entity(*entity).name.clone());
        register.take_in(rules, &catalog, names.collect(), limits.rules_may_retire)?;
        let shapes = Shapes::take_up(store.as_ref(), &catalog, register.entities())?;
        let suspicions: Option<bool> = read_fact(store.as_ref(), SUSPICIONS_FACT)?;
        // What is suspected already was not told.
        let begins = limits.suspicions && suspicions.is_none();
        if shapes.lost_tables || begins {
            register.look_again();
        }
        let store = shapes.numbered(store)?;
        let mut doubts: Doubts = read_fact(store.as_ref(), DOUBTS_FACT)?.unwrap_or_default();
        doubts.follow(shapes.conversion(doubts.shape())?, shapes.number());
        let positions: Positions = read_fact(store.as_ref(), POSITIONS_FACT)?.unwrap_or_default();
        let mut joined: Joined = read_fact(store.as_ref(), JOINED_FACT)?.unwrap_or_default();
        // What is announced of a table is announced from then on that its schema says so: nothing of that is missing.
        let has_a_past = |table: &&TableId| catalog.table(**table).plans_for.is_none();
        let came = shapes.joined.iter().filter(has_a_past);
        for table in came.filter(|_| !positions.0.is_empty()) {
            joined.join(&catalog.table(*table).name);
        }
        let kept = register.entities().iter().map(|name| {
            catalog.entity_id(name).ok_or_else(|| {
                EngineError::Damaged(format!(
                    "the state keeps rows by `{name}`, which no schema names"
                ))
            })
        });
        let entities: Vec<EntityId> = kept.collect::<Result<_, _>>()?;
        let groups = EntityGroup::for_rules(&catalog, rules, &entities, &register)?;
        let progress: BTreeMap<String, i64> =
            read_fact(store.as_ref(), PROGRESS_FACT)?.unwrap_or_default();
        let by_source = |name: &String| {
            progress
                .get(name)
                .map_or(Timestamp::MIN, |time| Timestamp(*time))
        };
        Ok(Detector {
            router: Router::new(&catalog, rules, &entities)?,
            links: LinkReader::new(&catalog),
            groups,
            register,
            memory: Memory::over(store.as_ref(), limits.cache_bytes)?,
            astray: false,
            progress: catalog.sources.iter().map(by_source).collect(),
            ended: false,
            positions,
            doubts,
            settled: Settled::read(store.as_ref())?,
            quarantine: Quarantine::default(),
            horizons: Horizons::read(&catalog, store.as_ref())?,
            forgetting: read_fact(store.as_ref(), FORGETTING_FACT)?.unwrap_or_default(),
            joined,
            shapes,
            drifts: read_fact(store.as_ref(), DRIFTS_FACT)?.unwrap_or_default(),
            next_message: read_fact(store.as_ref(), NEXT_MESSAGE_FACT)?.unwrap_or(1),
            plans: read_fact(store.as_ref(), PLANS_FACT)?.unwrap_or_default(),
            open: read_fact(store.as_ref(), OPEN_FACT)?.unwrap_or_default(),
            suspicions: begins || suspicions.unwrap_or_default(),
            unreached: read_fact(store.as_ref(), UNREACHED_FACT)?.unwrap_or_default(),
            unsent: Vec::new(),
            written: BTreeMap::new(),
            rescan: RESCAN_PER_BATCH,
            rescanned: None,
            removed_wakes: VecDeque::new(),
            added_wakes: VecDeque::new(),
            judging: VecDeque::new(),
            judged_up_to: Timestamp::MIN,
            counters: Counters::default(),
            stages: Stages::default(),
            unread: BTreeMap::new(),
            source_facts: vec![SourceFacts::default(); catalog.sources.len()],
            catalog,
            store,
            limits,
        })
    }

    /// Where each input is to be resumed.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// How far a source has been read, on its own clock.
    pub fn progress(&self, source: SourceId) -> Timestamp {
        match self.ended {
            true => Timestamp::MAX,
            false => self.progress[usize::from(source.0)],
        }
    }

    /// Up to when all that rules depend on was judged by commits that are durable; before everything until the first.
    pub fn judged_up_to(&self) -> Timestamp {
        self.judged_up_to
    }

    /// How far each source has been read, by source id.
    pub fn every_progress(&self) -> impl Iterator<Item = Timestamp> + '_ {
        (0..self.progress.len()).map(|source| self.progress(SourceId(source as u16)))
    }

    /// What came before detection began.
    pub fn horizons(&self) -> &Horizons {
        &self.horizons
    }

    /// Lets people settle records that could not be read by this way, while it runs.
    pub fn answer(&mut self, quarantine: &Quarantine) {
        self.quarantine = quarantine.clone();
    }

    /// How many records could not be read, ever.
    pub fn holes(&self) -> u64 {
        self.doubts.count
    }

    /// How many columns that rules use are not as their schemas say.
    pub fn drifts(&self) -> i64 {
        self.drifts.open()
    }

    /// How many links lead nowhere though rows have waited for them long enough.
    pub fn unreached(&self) -> i64 {
        self.unreached
    }

    /// Whether the batch holds anything that a rule depends on; heartbeats that are written as rows are nothing.
    pub(super) fn concerns_rules(&self, batch: &MicroBatch) -> bool {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let tables = rules.fold(0, |set, judged| set | judged.depends_on);
        let read = |changes: &TableChanges| tables & (1 << changes.table.0) != 0;
        !batch.holes.is_empty() || batch.tables.iter().any(read)
    }

    /// Whether every clock stands at the end.
    pub fn at_the_end(&self) -> bool {
        self.ended
    }

    /// All inputs have ended for good: nothing more can come, so every clock stands at the end.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The least progress among a set of sources.
    pub(super) fn clock(&self, sources: u64) -> Timestamp {
        (0..self.progress.len() as u16)
            .filter(|source| sources & (1 << source) != 0)
            .map(|source| self.progress(SourceId(source)))
            .min()
            .unwrap_or(Timestamp::MIN)
    }

    /// Works one micro-batch through. Its commit must be made durable before the one after the next. Where that fails,
    /// or this does, the detector knows of things that state does not: another one takes up what is durable.
    pub fn process(&mut self, batch: &MicroBatch) -> Result<Prepared, EngineError> {
        let mut watch = Stopwatch::start();
        self.counters.changes += batch.len() as u64;
        for changes in &batch.tables {
            let source = self.catalog.table(changes.table).source;
            self.source_facts[usize::from(source.0)].changes += changes.len() as u64;
        }
        let before = self.progress.clone();
        for (source, time) in &batch.progress {
            let known = &mut self.progress[usize::from(source.0)];
            *known = (*known).max(*time);
        }
        for (source, time) in &batch.progress {
            for table in self.joined.settle(&self.catalog, *source) {
                let of = HorizonOf::Table(table);
                self.horizons.set(&self.catalog, of, *time);
            }
        }
        for (of, time) in &batch.horizons {
            self.horizons.set(&self.catalog, *of, *time);
        }
        self.positions.0.extend(batch.positions.0.clone());
        let mut prepared = Prepared::default();
        for message in std::mem::take(&mut self.unsent) {
            self.send(message, &mut prepared.commit);
        }
        self.take_in_settled(&mut prepared.commit)?;
        self.take_in_holes(batch, &before, &mut prepared.commit)?;
        self.take_in_plans(batch);
        let more = self.take_in_shapes(batch, &mut prepared.commit)?;

        let mut documents = Documents::default();
        let mut routed = self.router.route(&self.catalog, batch, &mut documents)?;
        watch.lap(&mut self.stages.route);
        let mut loaded = Loaded::default();
        let woken = self.wake(&mut documents, &mut prepared)?;
        let resting = self.find_resting(&mut documents)?;
        prepared.more_due |= more;
        self.load(&documents, &mut loaded)?;
        let (links, moves) = resolve_links(&mut routed, &mut documents, &loaded)?;
        self.load(&documents, &mut loaded)?;
        watch.lap(&mut self.stages.read);
        let arrived = Arrived {
            routed: &routed,
            documents: &documents,
            loaded: &loaded,
            links,
            moves,
            woken,
            resting,
        };
        let works = self.gather(&arrived, &mut prepared.commit)?;
        watch.lap(&mut self.stages.merge);
        self.judge_and_write(&works, &documents, &mut prepared.commit)?;
        // Where entities wait for their turn, not all was judged.
        let judged = Some(self.clock(self.needed_sources())).filter(|_| !prepared.more_due);
        self.judging.push_back(judged.unwrap_or(Timestamp::MIN));
        if !(prepared.more_due || self.sweeps()) {
            self.tell_ended_plans(&mut prepared.commit)?;
        }
        self.write_facts(&mut prepared.commit)?;
        Ok(prepared)
    }

    /// To be called when the oldest commit that was prepared and not yet reported here is durable.
    pub fn committed(&mut self) {
        self.removed_wakes.pop_front();
        self.added_wakes.pop_front();
        let judged = self.judging.pop_front().unwrap_or(Timestamp::MIN);
        self.judged_up_to = self.judged_up_to.max(judged);
        self.memory.committed();
    }

    /// The documents whose time has come, and those to be looked at because rules have changed.
    fn wake(
        &mut self,
        documents: &mut Documents,
        prepared: &mut Prepared,
    ) -> Result<HashSet<u32>, EngineError> {
        let ended = self.settled.take_documents().into_iter();
        let mut woken: HashSet<u32> = ended.map(|key| documents.number_of_key(&key)).collect();
        let limit = self.limits.wakes_per_batch;
        let mut more = false;
        for sources in self.store.wake_sets()? {
            let clock = self.clock(sources);
            if clock < Timestamp(0) || woken.len() >= limit {
                continue;
            }
            let due = self.store.due(sources, clock, limit)?;
            more |= due.len() >= limit;
            for due in due {
                if !self
                    .removed_wakes
                    .iter()
                    .any(|removed| removed.contains(&due))
                {
                    woken.insert(documents.number_of_key(&due.1));
                }
            }
        }
        for (wake, key) in self.added_wakes.iter().flatten() {
            if self.clock(wake.sources) >= wake.at {
                woken.insert(documents.number_of_key(key));
            }
        }
        prepared.more_due = more || woken.len() >= limit;
        if let Some(after) = self.register.rescan().filter(|_| self.rescan > 0) {
            let found = self.store.documents_after(after, self.rescan)?;
            woken.extend(found.iter().map(|(key, _)| documents.number_of_key(key)));
            let last = found.last().map(|(key, _)| self.store.place_of(key));
            self.rescanned = Some((found.len(), last.transpose()?));
            prepared.more_to_look_at = !found.is_empty();
        }
        Ok(woken)
    }

    /// Whether a document was judged by another version of this rule last.
    pub(super) fn is_changed(&self, rule: u16, document: &[u8]) -> bool {
        let ahead = |place: Vec<u8>| self.register.is_ahead(&place);
        self.register.is_changed(rule) && self.store.place_of(document).is_ok_and(ahead)
    }

    /// Whether documents in state are being looked at again.
    pub(super) fn sweeps(&self) -> bool {
        self.register.rescan().is_some()
    }

    /// How far documents in state have been looked at again, while that is under way.
    pub fn sweep(&self) -> Result<Option<Sweep>, EngineError> {
        let Some(looked) = self.register.looked() else {
            return Ok(None);
        };
        let of = self.store.count()?.max(looked);
        Ok(Some(Sweep { looked, of }))
    }

    /// The state, under the numbers of the catalog: what is prepared here is to be committed to it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn judge_and_write(
        &mut self,
        works: &[Vec<Work<'_>>],
        documents: &Documents,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let mut groups = std::mem::take(&mut self.groups);
        let mut result = Ok(());
        for (group, works) in groups.iter_mut().zip(works) {
            if result.is_ok() {
                result = group.judge_and_write(self, works, documents, commit);
            }
        }
        self.groups = groups;
        if let Some((count, last)) = self.rescanned.take() {
            self.register.reached(count, last);
        }
        self.removed_wakes
            .push_back(commit.wakes_removed.iter().cloned().collect());
        self.added_wakes.push_back(commit.wakes_added.clone());
        self.counters.messages += commit.outbox.len() as u64;
        self.counters.documents += commit.documents.len() as u64;
        self.counters.wakes += (commit.wakes_added.len() + commit.wakes_removed.len()) as u64;
        result
    }

    /// Puts a message into the outbox.
    pub(super) fn send(&mut self, message: Vec<u8>, commit: &mut Commit) {
        commit.outbox.push((self.next_message, message));
        self.next_message += 1;
    }

    pub(super) fn write_facts(&mut self, commit: &mut Commit) -> Result<(), EngineError> {
        commit.facts.extend(self.shapes.unsaved()?);
        let progress: BTreeMap<&str, i64> = self
            .progress
            .iter()
            .enumerate()
            .filter(|(_, time)| **time > Timestamp::MIN)
            .map(|(source, time)| (self.catalog.source(SourceId(source as u16)), time.0))
            .collect();
        for (name, value) in [
            (POSITIONS_FACT, serde_json::to_vec(&self.positions)),
            (PROGRESS_FACT, serde_json::to_vec(&progress)),
            (DOUBTS_FACT, serde_json::to_vec(&self.doubts)),
            (JOINED_FACT, serde_json::to_vec(&self.joined)),
            (DRIFTS_FACT, serde_json::to_vec(&self.drifts)),
            (NEXT_MESSAGE_FACT, serde_json::to_vec(&self.next_message)),
            (RULES_FACT, serde_json::to_vec(&self.register)),
            (PLANS_FACT, serde_json::to_vec(&self.plans)),
            (OPEN_FACT, serde_json::to_vec(&self.open)),
            (UNREACHED_FACT, serde_json::to_vec(&self.unreached)),
            (FORGETTING_FACT, serde_json::to_vec(&self.forgetting)),
        ]
        .into_iter()
        .chain(
            self.suspicions
                .then(|| (SUSPICIONS_FACT, Ok(b"true".to_vec()))),
        )
        .chain(self.horizons.facts())
        {
            let bytes = value.map_err(|error| EngineError::Damaged(error.to_string()))?;
            if self.written.get(name) != Some(&bytes) {
                self.written.insert(name, bytes.clone());
                commit.facts.push((name.into(), bytes));
            }
        }
        Ok(())
    }
}

/// A fact of state, in JSON.
pub(super) fn read_fact<T: serde::de::DeserializeOwned>(
    store: &dyn Store,
    name: &str,
) -> Result<Option<T>, EngineError> {
    let Some(bytes) = store.fact(name)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| EngineError::Damaged(format!("`{name}` cannot be read: {error}")))
}
