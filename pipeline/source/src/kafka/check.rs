//! What would keep topics from being read, found before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, HoleReason, Position, Timestamp};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connection::{Consumer, Found, connect, discover, refused, watermarks};
use super::keys;
use super::options::{KafkaOptions, KafkaProgress, TopicName};
use super::partition::append;
use crate::avro;
use crate::format::{Format, MessageDecoder};
use crate::{InputError, Problem, RawMessages, Registry};

/// How long the newest messages are waited for.
const WAIT: Duration = Duration::from_secs(10);

/// What a check of topics found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would keep them from being read, or from being read rightly.
    pub problems: Vec<Problem>,
    /// What could not be seen, which is no problem by itself.
    pub notes: Vec<String>,
}

/// Connects to the brokers and schema registries, tries to read the newest message of each partition, and looks
/// whether rows of one primary key keep to one partition where nothing else orders them.
pub fn check_kafka(catalog: &Catalog, options: &KafkaOptions, now: Timestamp) -> Checked {
    let mut checked = Checked {
        problems: declared(catalog, options),
        notes: Vec::new(),
    };
    let away = registries_away(options, &mut checked.problems);
    match newest_messages(options) {
        Err(error) => checked.problems.push(problem_of(error)),
        Ok(Seen {
            consumer,
            bounds,
            mut newest,
        }) => {
            for topic in &options.topics {
                let named = bounds.keys().any(|found| topic.name.matches(&found.topic));
                if !named && matches!(topic.name, TopicName::Pattern(_)) {
                    checked.problems.push(Problem {
                        what: format!("no topic fits: {}", topic.name),
                        remedy: "correct the pattern, or create the topics".into(),
                    });
                }
            }
            checked.notes.extend(empty(&bounds));
            checked
                .problems
                .extend(unregistered(options, &bounds, &newest, &away));
            // Without its registry no message can be tried, which was said.
            newest.retain(|found, _| {
                let registry = registry_of(options, found);
                registry.is_none_or(|registry| !away.iter().any(|away| away.is(registry)))
            });
            checked
                .problems
                .extend(unreadable(catalog, options, newest, now));
            keys::check(catalog, options, &consumer, &bounds, now, &mut checked);
        }
    }
    checked
}

/// What is said of topics without a message.
fn empty(bounds: &Bounds) -> Vec<String> {
    let mut holds: BTreeMap<&str, bool> = BTreeMap::new();
    for (found, (low, high)) in bounds {
        *holds.entry(&found.topic).or_default() |= high > low;
    }
    let empty = holds.into_iter().filter(|(_, holds)| !holds);
    let note = |topic| {
        format!(
            "topic `{topic}` has no message yet: nothing shows whether its messages can be read, nor how they are \
             spread over its partitions; check again when it has"
        )
    };
    empty.map(|(topic, _)| note(topic)).collect()
}

/// What schemas and options say of each other.
fn declared(catalog: &Catalog, options: &KafkaOptions) -> Vec<Problem> {
    let mut problems = Vec::new();
    if catalog.source_id(&options.source).is_none() {
        problems.push(Problem {
            what: "no schema is read from this source".into(),
            remedy: format!(
                "write `source: {}` in the schemas of its tables, or correct the source's name",
                options.source
            ),
        });
    }
    if let KafkaProgress::Heartbeat { table } = &options.progress {
        let id = catalog.table_id(table);
        let own = id.is_some_and(|id| catalog.source(catalog.table(id).source) == options.source);
        if !own {
            problems.push(Problem {
                what: format!("the heartbeat table `{table}` is not a table or event of this source in the schemas"),
                remedy: "describe it in a schema file with this source, or name another".into(),
            });
        }
    }
    problems
}

type Newest = BTreeMap<Found, RawMessages>;
/// First and next offset of each partition.
pub(super) type Bounds = BTreeMap<Found, (u64, u64)>;

/// What the brokers have.
struct Seen {
    consumer: Arc<Consumer>,
    bounds: Bounds,
    newest: Newest,
}

fn newest_messages(options: &KafkaOptions) -> Result<Seen, InputError> {
    let consumer = Arc::new(connect(options, 1)?);
    let found = discover(&consumer, options)?;
    let mut list = TopicPartitionList::new();
    let mut awaited: Vec<&Found> = Vec::new();
    let mut bounds = Bounds::new();
    for partition in &found {
        let (low, high) = watermarks(&consumer, &partition.topic, partition.number)
            .map_err(|error| failed(options, &consumer, &error.to_string()))?;
        bounds.insert(partition.clone(), (low, high));
        if high > low {
            let offset = Offset::Offset(high as i64 - 1);
            // Fails only for offsets that Kafka does not have.
            let _ = list.add_partition_offset(&partition.topic, partition.number, offset);
            awaited.push(partition);
        }
    }
    let mut newest = Newest::new();
    if !awaited.is_empty() {
        let assigned = consumer.assign(&list);
        assigned.map_err(|error| failed(options, &consumer, &error.to_string()))?;
    }
    let begun = Instant::now();
    // A marker of a transaction may stand last, which is never given out: then the wait ends the look.
    while newest.len() < awaited.len() && begun.elapsed() < WAIT {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let partition = awaited
            .iter()
            .find(|found| found.topic == message.topic() && found.number == message.partition());
        let Some(partition) = partition else { continue };
        let offset = message.offset().max(0) as u64;
        let mut raw = beginning(options, partition, offset);
        take(&mut raw, &message, offset);
        newest.insert((*partition).clone(), raw);
    }
    Ok(Seen {
        consumer,
        bounds,
        newest,
    })
}

/// No messages yet, from this offset on.
pub(super) fn beginning(options: &KafkaOptions, partition: &Found, offset: u64) -> RawMessages {
    let start = Position::Partition {
        next: offset,
        known: None,
    };
    RawMessages {
        input: format!(
            "{}/{}/{}",
            options.source, partition.topic, partition.number
        ),
        after: start.clone(),
        start,
        end: offset,
        bytes: Vec::new(),
        messages: Vec::new(),
    }
}

/// Adds a message to those of its partition.
pub(super) fn take(raw: &mut RawMessages, message: &BorrowedMessage<'_>, offset: u64) {
    append(raw, message, offset);
    raw.end = offset + 1;
    raw.after = raw.start.advanced_to(offset + 1);
}

fn registry_of<'a>(options: &'a KafkaOptions, found: &Found) -> Option<&'a Registry> {
    match &options.topics[found.options].format {
        Format::DebeziumAvro(avro) => Some(&avro.registry),
        _ => None,
    }
}

/// The schema registries that do not answer or not to this account, each tried once.
fn registries_away<'a>(
    options: &'a KafkaOptions,
    problems: &mut Vec<Problem>,
) -> Vec<&'a Registry> {
    let mut tried: Vec<&Registry> = Vec::new();
    let mut away = Vec::new();
    for topic in &options.topics {
        if let Format::DebeziumAvro(avro) = &topic.format
            && !tried.iter().any(|tried| tried.is(&avro.registry))
        {
            tried.push(&avro.registry);
            if let Err(problem) = avro::check(&avro.registry) {
                problems.push(problem);
                away.push(&avro.registry);
            }
        }
    }
    away
}

/// Topics without a message have nothing that shows whether they can be read, but a subject in the registry.
fn unregistered(
    options: &KafkaOptions,
    bounds: &Bounds,
    newest: &Newest,
    away: &[&Registry],
) -> Vec<Problem> {
    let mut topics: BTreeMap<&str, &Registry> = BTreeMap::new();
    for partition in bounds.keys() {
        let registry = registry_of(options, partition);
        let registry = registry.filter(|registry| !away.iter().any(|away| away.is(registry)));
        topics.extend(registry.map(|registry| (partition.topic.as_str(), registry)));
    }
    for partition in newest.keys() {
        topics.remove(partition.topic.as_str());
    }
    let subjects = topics.into_iter();
    subjects
        .filter_map(|(topic, registry)| avro::check_subject(registry, topic).err())
        .collect()
}

/// One problem for each topic and reason.
fn unreadable(
    catalog: &Catalog,
    options: &KafkaOptions,
    newest: Newest,
    now: Timestamp,
) -> Vec<Problem> {
    let mut told: BTreeMap<(String, HoleReason), Problem> = BTreeMap::new();
    let mut problems = Vec::new();
    for (partition, messages) in newest {
        let format = options.topics[partition.options].format.clone();
        match decoded(catalog, format, messages, now) {
            Err(problem) => problems.push(problem),
            Ok(chunk) => {
                for hole in chunk.holes {
                    told.entry((partition.topic.clone(), hole.reason))
                        .or_insert(Problem {
                            what: format!(
                                "the newest message of `{}`, partition {}, cannot be read: {}",
                                partition.topic, partition.number, hole.message
                            ),
                            remedy: "correct the topic's `format`, or the schema of its table"
                                .into(),
                        });
                }
            }
        }
    }
    problems.extend(told.into_values());
    problems
}

fn decoded(
    catalog: &Catalog,
    format: Format,
    messages: RawMessages,
    now: Timestamp,
) -> Result<DecodedChunk, Problem> {
    let registry = match &format {
        Format::DebeziumAvro(avro) => Some(avro.registry.clone()),
        _ => None,
    };
    let mut decoder = MessageDecoder::new(catalog, format).map_err(|what| Problem {
        what,
        remedy: "correct the topic's format".into(),
    })?;
    let begun = Instant::now();
    while !decoder.ready(&messages) {
        if begun.elapsed() > WAIT {
            let complaint = registry.as_ref().and_then(Registry::complaint);
            return Err(complaint.map_or_else(|| too_late(&messages), Problem::from));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    decoder.decode(messages, now).map_err(|error| Problem {
        what: error.to_string(),
        remedy: "correct the schemas".into(),
    })
}

fn too_late(messages: &RawMessages) -> Problem {
    Problem {
        what: format!(
            "the schema of the newest message of {} does not come",
            messages.input
        ),
        remedy: "see whether the schema registry answers".into(),
    }
}

pub(super) fn failed(options: &KafkaOptions, consumer: &Consumer, what: &str) -> InputError {
    let what = match consumer.context().last() {
        Some(complaint) => format!("{what}; the client says: {complaint}"),
        None => what.to_owned(),
    };
    refused(
        options,
        &what,
        "see whether the brokers run and are reached",
    )
}

pub(super) fn problem_of(error: InputError) -> Problem {
    match error {
        InputError::Refused { what, remedy, .. } => Problem { what, remedy },
        other => Problem {
            what: other.to_string(),
            remedy: "see whether the brokers run and are reached".into(),
        },
    }
}
