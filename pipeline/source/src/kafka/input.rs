//! All partitions of a source as one input.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_catalog::Catalog;
use centinel_model::{
    DecodedChunk, HorizonOf, LineContent, Position, Positions, SourceId, TableId, Timestamp,
};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connection::{Consumer, Found, connect, discover, refused, watermarks};
use super::ends::{EndWatch, Ends};
use super::gap::{self, Resumption};
use super::options::{KafkaOptions, KafkaProgress, Start};
use super::partition::{Lost, Partition, Polled};
use crate::format::{Format, MessageDecoder};
use crate::{Backlog, Input, InputError, Reading, Unit, Until};

/// How often offsets are shown to the brokers.
const SHOWN_EVERY: Duration = Duration::from_secs(5);
/// How long a partition may seem to be at its end before its end is asked for anew: records that only mark
/// transactions hold offsets and are never given out.
const STALE_END: Duration = Duration::from_millis(300);

/// The topics of one source.
pub struct KafkaInput {
    options: Arc<KafkaOptions>,
    source: SourceId,
    /// The table whose changes are heartbeats, if these move the progress.
    heartbeat_table: Option<TableId>,
    consumer: Arc<Consumer>,
    /// For each entry of the options' topics the event that it holds, where it holds nothing else.
    events: Vec<Option<TableId>>,
    /// One for each entry of the options' topics.
    decoders: Vec<MessageDecoder>,
    partitions: Vec<Partition>,
    /// Positions of partitions that were read before, those that are not there any more among them.
    stored: BTreeMap<String, Position>,
    /// Chunks to be given out before anything is read: gaps.
    ready: Vec<DecodedChunk>,
    watch: EndWatch,
    /// What must be read before the progress moves, and to where.
    awaited: Option<(Ends, Timestamp)>,
    /// The newest heartbeat that was read, and when.
    heartbeat: Option<(Timestamp, Instant)>,
    progress: Timestamp,
    /// Unless the topics are followed: where each partition ended at the start, and when that was.
    finish: Option<(BTreeMap<Found, u64>, Timestamp)>,
    shown: Instant,
    read: u64,
    /// The newest ends, to tell what is left.
    ends: BTreeMap<Found, u64>,
}

impl KafkaInput {
    /// Connects to the brokers, and resumes each partition where it was left.
    ///
    /// # Errors
    /// When the brokers do not answer, refuse, or have no such topic.
    pub fn open(
        catalog: &Catalog,
        options: KafkaOptions,
        positions: &Positions,
        until: Until,
    ) -> Result<KafkaInput, InputError> {
        let options = Arc::new(options);
        let source = catalog.source_id(&options.source).ok_or_else(|| {
            refused(
                &options,
                "no schema is read from this source",
                "name it as `source` in the schemas of its tables, or correct its name",
            )
        })?;
        let heartbeat_table = match &options.progress {
            KafkaProgress::Broker { .. } => None,
            KafkaProgress::Heartbeat { table } => {
                Some(catalog.table_id(table).ok_or_else(|| {
                    refused(
                        &options,
                        &format!("no schema describes the heartbeat table `{table}`"),
                        "describe it as a table or an event of this source",
                    )
                })?)
            }
        };
        let decoders = options
            .topics
            .iter()
            .map(|topic| {
                let decoder = MessageDecoder::new(catalog, topic.format.clone())?;
                Ok(decoder.reading(catalog, &[source]))
            })
            .collect::<Result<_, String>>()
            .map_err(|what| refused(&options, &what, "correct the topic's format"))?;
        let events = options.topics.iter().map(|topic| match &topic.format {
            Format::JsonEvent { event } => catalog.table_id(event),
            _ => None,
        });
        let events = events.collect();
        let found = discover(&connect(&options, 1)?, &options)?;
        let opened_at = super::ends::wall_clock();
        let consumer = Arc::new(connect(&options, found.len())?);
        let prefix = format!("{}/", options.source);
        let stored = positions.0.iter();
        let stored = stored.filter(|(name, _)| name.starts_with(&prefix));
        let watch = EndWatch::start(Arc::clone(&consumer), Arc::clone(&options))
            .map_err(|error| refused(&options, &error.to_string(), "free some threads"))?;
        let mut input = KafkaInput {
            source,
            heartbeat_table,
            events,
            decoders,
            partitions: Vec::new(),
            stored: stored
                .map(|(name, position)| (name.clone(), position.clone()))
                .collect(),
            ready: Vec::new(),
            watch,
            awaited: None,
            heartbeat: None,
            progress: Timestamp::MIN,
            finish: None,
            shown: Instant::now(),
            read: 0,
            ends: BTreeMap::new(),
            consumer,
            options,
        };
        let bounds = input.bounds(&found)?;
        let finish = input.take_on(&found, &bounds)?;
        if until != Until::Stopped {
            for partition in &mut input.partitions {
                partition.limit = finish.get(&partition.found).copied();
            }
            input.finish = Some((finish, opened_at));
        }
        Ok(input)
    }

    /// The first and the next offset of each of these partitions.
    fn bounds(&self, found: &[Found]) -> Result<Vec<(u64, u64)>, InputError> {
        let bounds = found.iter().map(|partition| {
            watermarks(&self.consumer, &partition.topic, partition.number)
                .map_err(|error| self.failed(&error.to_string()))
        });
        bounds.collect()
    }

    /// Begins to read these partitions, which have these bounds, beside those that are read; gives where they end.
    fn take_on(
        &mut self,
        found: &[Found],
        bounds: &[(u64, u64)],
    ) -> Result<BTreeMap<Found, u64>, InputError> {
        let mut ends = BTreeMap::new();
        let mut resumptions = Vec::new();
        for (partition, (low, high)) in found.iter().zip(bounds) {
            ends.insert(partition.clone(), *high);
            resumptions.push(self.resumption(partition, *low, *high));
        }
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            add(&mut list, &partition.found, partition.next);
        }
        for (partition, (resumption, _)) in found.iter().zip(&resumptions) {
            add(&mut list, partition, resumption.ask);
        }
        let assigned = self.consumer.assign(&list);
        assigned.map_err(|error| self.failed(&error.to_string()))?;
        // Assigning anew takes the old queues away, and what waited in them.
        for index in 0..self.partitions.len() {
            let found = self.partitions[index].found.clone();
            self.partitions[index].queue = self.queue_of(&found)?;
        }
        for (partition, (resumption, begins_late)) in found.iter().zip(resumptions) {
            let input = self.input_name(partition);
            if let Some(gap) = &resumption.gap
                && let Some(from) = self.stored.get(&input)
            {
                let chunk = gap::chunk(&input, self.source, from, resumption.next, gap.clone());
                self.ready.push(chunk);
            }
            let queue = self.queue_of(partition)?;
            self.partitions.push(Partition::new(
                partition.clone(),
                input,
                queue,
                &resumption,
                begins_late,
            ));
        }
        Ok(ends)
    }

    fn queue_of(
        &self,
        found: &Found,
    ) -> Result<
        rdkafka::consumer::base_consumer::PartitionQueue<super::connection::Complaints>,
        InputError,
    > {
        let queue = self
            .consumer
            .split_partition_queue(&found.topic, found.number);
        queue.ok_or_else(|| self.failed("a partition that was just listed is not there"))
    }

    /// Where to go on in a partition, and whether older records are left out from the start.
    fn resumption(&self, found: &Found, low: u64, high: u64) -> (Resumption, bool) {
        match self.stored.get(&self.input_name(found)) {
            Some(Position::Partition { next, known }) => {
                let resumption = gap::resume(*next, known.clone(), low, high);
                let begins_late = resumption.gap.is_some();
                (resumption, begins_late)
            }
            _ => {
                // All that a partition holds which came while its topic was read is new.
                let next = match self.options.start {
                    Start::Latest if !self.was_read(&found.topic) => high,
                    Start::Latest | Start::Earliest => low,
                };
                (gap::resume(next, None, low, high), next > 0)
            }
        }
    }

    /// Whether reading had begun before a partition of this topic without a position was found.
    fn was_read(&self, topic: &str) -> bool {
        let partition = format!("{}/{topic}/", self.options.source);
        let mut stored = self.stored.keys();
        !self.partitions.is_empty()
            || stored.any(|name| {
                let number = name.strip_prefix(&partition);
                number.is_some_and(|number| !number.contains('/'))
            })
    }

    fn input_name(&self, found: &Found) -> String {
        format!("{}/{}/{}", self.options.source, found.topic, found.number)
    }

    fn failed(&self, what: &str) -> InputError {
        let what = match self.consumer.context().last() {
            Some(complaint) => format!("{what}; the client says: {complaint}"),
            None => what.to_owned(),
        };
        refused(
            &self.options,
            &what,
            "see whether the brokers run and are reached",
        )
    }
}

impl Input for KafkaInput {
    fn name(&self) -> &str {
        &self.options.source
    }

    fn read(&mut self, now: Timestamp) -> Result<Reading, InputError> {
        if !self.ready.is_empty() {
            return Ok(chunk_of(self.ready.remove(0)));
        }
        // Serves what the client has to say.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let mut order: Vec<usize> = (0..self.partitions.len()).collect();
        order.sort_by_key(|index| self.partitions[*index].newest);
        for index in order {
            if let Some(chunk) = self.read_partition(index, now)? {
                return Ok(chunk_of(chunk));
            }
        }
        let ends = self.watch.ends.try_recv().ok();
        if let Some(ends) = ends.filter(|_| self.finish.is_none()) {
            self.take_in_ends(ends)?;
        }
        self.ask_stale_ends()?;
        if let Some(chunk) = self.progress_chunk() {
            return Ok(chunk_of(chunk));
        }
        let Some((finish, opened_at)) = &self.finish else {
            return Ok(Reading::Nothing);
        };
        if !self.passed(finish) {
            return Ok(Reading::Nothing);
        }
        // Nothing behind the end was read, so every heartbeat that was read stands before it.
        let to = match &self.options.progress {
            KafkaProgress::Broker { delay } => Some(Timestamp(opened_at.0.saturating_sub(delay.0))),
            KafkaProgress::Heartbeat { .. } => self.heartbeat.map(|(time, _)| time),
        };
        let last = to
            .filter(|to| *to > self.progress)
            .and_then(|to| self.progress_to(to));
        Ok(last.map_or(Reading::End, chunk_of))
    }

    fn durable(&mut self, positions: &Positions) {
        if self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            if let Some(Position::Partition { next, .. }) = positions.0.get(&partition.input) {
                add(&mut list, &partition.found, *next);
            }
        }
        // Only for those who watch the brokers; nothing depends on it.
        let _ = self.consumer.commit(&list, CommitMode::Async);
    }

    fn backlog(&self) -> Option<Backlog> {
        let left = self.partitions.iter().filter_map(|partition| {
            let end = self.ends.get(&partition.found)?;
            Some(end.saturating_sub(partition.passed()))
        });
        Some(Backlog {
            read: self.read,
            left: left.sum(),
            unit: Unit::Records,
        })
    }
}

impl KafkaInput {
    fn read_partition(
        &mut self,
        index: usize,
        now: Timestamp,
    ) -> Result<Option<DecodedChunk>, InputError> {
        let partition = &mut self.partitions[index];
        let messages = match partition.poll() {
            Polled::Nothing => return Ok(None),
            Polled::Lost(lost) => return self.lost(index, &lost).map(Some),
            Polled::Refused(what) => return Err(self.failed(&what)),
            Polled::Messages(messages) => messages,
        };
        let decoder = &mut self.decoders[partition.found.options];
        if !decoder.ready(&messages) {
            partition.hold(messages);
            return Ok(None);
        }
        self.read += messages.messages.len() as u64;
        let decoded = decoder.decode(messages, now);
        let mut chunk = decoded
            .map_err(|error| refused(&self.options, &error.to_string(), "lower `batch_rows`"))?;
        let partition = &mut self.partitions[index];
        let times = chunk.tables.iter().flat_map(|table| &table.committed_at);
        let newest = times.copied().max();
        partition.newest = partition.newest.max(newest.unwrap_or(Timestamp::MIN));
        if partition.begins_late && newest.is_some() {
            let times = chunk.tables.iter().flat_map(|table| &table.committed_at);
            let first = times.copied().min().unwrap_or(now);
            let event = self.events[partition.found.options];
            let of = event.map_or(HorizonOf::Source(self.source), HorizonOf::Table);
            chunk.horizons.push((of, first));
            partition.begins_late = false;
        }
        self.note_heartbeats(&mut chunk);
        // Whatever a record is that cannot be read, only this source's rows would have been read of it.
        for hole in &mut chunk.holes {
            hole.source.get_or_insert(self.source);
        }
        Ok(Some(chunk))
    }

    /// A heartbeat in a partition speaks for its writer, so it counts when all partitions were read up to where
    /// they stood when it was read.
    fn note_heartbeats(&mut self, chunk: &mut DecodedChunk) {
        let mut newest = None;
        for line in &mut chunk.lines {
            if let LineContent::Heartbeat {
                source,
                committed_at,
            } = line.content
            {
                line.content = LineContent::Nothing;
                if source == self.source {
                    newest = newest.max(Some(committed_at));
                }
            }
        }
        let beats = chunk
            .tables
            .iter()
            .filter(|table| Some(table.table) == self.heartbeat_table);
        newest = newest.max(beats.flat_map(|table| &table.committed_at).copied().max());
        let known = self.heartbeat.map(|(time, _)| time);
        if newest > known
            && let Some(time) = newest
        {
            self.heartbeat = Some((time, Instant::now()));
        }
    }

    fn take_in_ends(&mut self, ends: Ends) -> Result<(), InputError> {
        let new: Vec<Found> = ends
            .ends
            .keys()
            .filter(|found| {
                !self
                    .partitions
                    .iter()
                    .any(|partition| partition.found == **found)
            })
            .cloned()
            .collect();
        if !new.is_empty() {
            // Without a leader yet, they are found again with the next ends.
            let Ok(bounds) = self.bounds(&new) else {
                return Ok(());
            };
            self.take_on(&new, &bounds)?;
        }
        self.ends = ends.ends.clone();
        if self.awaited.is_some() {
            return Ok(());
        }
        let to = match &self.options.progress {
            KafkaProgress::Broker { delay } => {
                Some(Timestamp(ends.listed.time.0.saturating_sub(delay.0)))
            }
            KafkaProgress::Heartbeat { .. } => self
                .heartbeat
                .filter(|(_, seen)| *seen <= ends.listed.instant)
                .map(|(time, _)| time),
        };
        if let Some(to) = to.filter(|to| *to > self.progress) {
            self.awaited = Some((ends, to));
        }
        Ok(())
    }

    fn passed(&self, ends: &BTreeMap<Found, u64>) -> bool {
        ends.iter().all(|(found, end)| {
            self.partitions
                .iter()
                .filter(|partition| partition.found == *found)
                .all(|partition| partition.has_passed(*end))
        })
    }

    /// The progress, as a chunk without lines, once everything before it was given out.
    fn progress_chunk(&mut self) -> Option<DecodedChunk> {
        let (ends, to) = self.awaited.take()?;
        if !self.passed(&ends.ends) {
            self.awaited = Some((ends, to));
            return None;
        }
        self.progress_to(to)
    }

    fn progress_to(&mut self, to: Timestamp) -> Option<DecodedChunk> {
        self.progress = to;
        let partition = self.partitions.first()?;
        let position = partition.position();
        let input = partition.input.clone();
        let reached = partition.reached();
        let mut chunk = DecodedChunk::new(input, position.clone(), reached, position);
        chunk.progress.push((self.source, to));
        Some(chunk)
    }

    /// Asks again for the end of partitions that seem to be at their end before the end that is awaited.
    fn ask_stale_ends(&mut self) -> Result<(), InputError> {
        let Some(ends) = self
            .awaited
            .as_ref()
            .map(|(ends, _)| &ends.ends)
            .or(self.finish.as_ref().map(|(finish, _)| finish))
        else {
            return Ok(());
        };
        let asked = self.awaited.as_ref().map(|(ends, _)| ends.asked);
        for partition in &mut self.partitions {
            let Some(end) = ends.get(&partition.found).copied() else {
                continue;
            };
            let Some(seen) = partition.end_seen else {
                continue;
            };
            if partition.has_passed(end) {
                continue;
            }
            if asked.is_none_or(|asked| seen > asked) {
                partition.empty_until = end;
            } else if seen.elapsed() > STALE_END {
                partition.end_seen = None;
                let offset = Offset::Offset(partition.next as i64);
                let found = &partition.found;
                let sought = self.consumer.seek(
                    &found.topic,
                    found.number,
                    offset,
                    super::connection::REQUEST,
                );
                if sought.is_err() {
                    // The brokers are away: the end is seen again when they are back.
                    partition.end_seen = Some(Instant::now() - STALE_END);
                }
            }
        }
        Ok(())
    }

    /// Records are gone: says so, and goes on where the partition has some.
    fn lost(&mut self, index: usize, lost: &Lost) -> Result<DecodedChunk, InputError> {
        let partition = &self.partitions[index];
        let (low, high) = watermarks(
            &self.consumer,
            &partition.found.topic,
            partition.found.number,
        )
        .map_err(|error| self.failed(&error.to_string()))?;
        let (next, message) = match lost {
            Lost::MadeAnew { known } => (low, gap::made_anew(*known)),
            Lost::OutOfRange => {
                let resumption = gap::resume(partition.next, None, low, high);
                let message = resumption.gap.unwrap_or_else(|| {
                    "the brokers do not have the next record any more; what was lost is unknown"
                        .to_owned()
                });
                (resumption.next, message)
            }
        };
        let chunk = gap::chunk(
            &partition.input,
            self.source,
            &partition.position(),
            next,
            message,
        );
        self.partitions[index].restart(next);
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            add(&mut list, &partition.found, partition.next);
        }
        let assigned = self.consumer.assign(&list);
        assigned.map_err(|error| self.failed(&error.to_string()))?;
        for index in 0..self.partitions.len() {
            let found = self.partitions[index].found.clone();
            self.partitions[index].queue = self.queue_of(&found)?;
        }
        Ok(chunk)
    }
}

fn chunk_of(chunk: DecodedChunk) -> Reading {
    Reading::Chunk(Box::new(chunk))
}

fn add(list: &mut TopicPartitionList, found: &Found, next: u64) {
    let offset = Offset::Offset(next.min(i64::MAX as u64) as i64);
    // Fails only for offsets that Kafka does not have.
    let _ = list.add_partition_offset(&found.topic, found.number, offset);
}
