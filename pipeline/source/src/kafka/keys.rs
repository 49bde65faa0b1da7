//! Whether a topic keeps the order of each row's changes: where nothing but their place in a partition orders them,
//! rows of one primary key must keep to one partition. Seen from the newest messages; it cannot be seen for sure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::util::display::array_value_to_string;
use centinel_catalog::{Catalog, Table};
use centinel_model::{DecodedChunk, LineContent, TableChanges, TableId, Timestamp};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::check::{Bounds, Checked, beginning, failed, problem_of, take};
use super::connection::{Consumer, Found};
use super::options::KafkaOptions;
use crate::format::{Format, MessageDecoder};
use crate::{InputError, Problem, RawMessages};

/// Messages that are looked at in each partition.
const SAMPLED: u64 = 200;
/// Messages and bytes that are looked at in all partitions of a topic.
const MOST_MESSAGES: u64 = 20_000;
const MOST_BYTES: usize = 64 << 20;
/// How long all topics together are looked at.
const WAIT: Duration = Duration::from_secs(15);

/// Looks at the newest messages of every topic whose format needs that.
pub(super) fn check(
    catalog: &Catalog,
    options: &KafkaOptions,
    consumer: &Arc<Consumer>,
    bounds: &Bounds,
    now: Timestamp,
    checked: &mut Checked,
) {
    let until = Instant::now() + WAIT;
    let mut topics: BTreeMap<&str, Vec<(&Found, u64, u64)>> = BTreeMap::new();
    for (found, (low, high)) in bounds {
        let format = &options.topics[found.options].format;
        if matches!(format, Format::Canal | Format::Maxwell) {
            let partitions = topics.entry(&found.topic).or_default();
            partitions.push((found, *low, *high));
        }
    }
    for (topic, mut partitions) in topics {
        let several = partitions.len() > 1;
        partitions.retain(|(_, low, high)| high > low);
        let Some((first, ..)) = partitions.first().filter(|_| several) else {
            continue;
        };
        let format = options.topics[first.options].format.clone();
        let sample = match sample(options, consumer, topic, &partitions, until) {
            Ok(sample) => sample,
            Err(error) => {
                checked.problems.push(problem_of(error));
                continue;
            }
        };
        if !sample.whole {
            checked.notes.push(format!(
                "topic `{topic}`: not all of its newest messages came in time, so that only some show how they are \
                 spread over its partitions"
            ));
        }
        let remedy = remedy(&format);
        let spread = spread(catalog, options, format, sample.messages, now);
        checked.problems.extend(spread.map_or_else(
            |problem| vec![problem],
            |spread| spread.problems(catalog, topic, remedy),
        ));
    }
}

/// The newest messages of a topic, by partition.
struct Sample {
    messages: BTreeMap<i32, RawMessages>,
    /// Whether all came that were asked for.
    whole: bool,
}

fn sample(
    options: &KafkaOptions,
    consumer: &Arc<Consumer>,
    topic: &str,
    partitions: &[(&Found, u64, u64)],
    until: Instant,
) -> Result<Sample, InputError> {
    let each = (MOST_MESSAGES / partitions.len() as u64).clamp(1, SAMPLED);
    let mut list = TopicPartitionList::new();
    let mut messages = BTreeMap::new();
    let mut awaited = BTreeMap::new();
    for (found, low, high) in partitions {
        let first = high.saturating_sub(each).max(*low);
        // Fails only for offsets that Kafka does not have.
        let _ = list.add_partition_offset(topic, found.number, Offset::Offset(first as i64));
        messages.insert(found.number, beginning(options, found, first));
        awaited.insert(found.number, *high);
    }
    let assigned = consumer.assign(&list);
    assigned.map_err(|error| failed(options, consumer, &error.to_string()))?;
    let mut bytes = 0;
    while !awaited.is_empty() && bytes < MOST_BYTES && Instant::now() < until {
        let message = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.topic() == topic => message,
            // Markers of transactions may stand last, which are never given out.
            Some(Err(KafkaError::PartitionEOF(number))) => {
                awaited.remove(&number);
                continue;
            }
            _ => continue,
        };
        let (number, offset) = (message.partition(), message.offset().max(0) as u64);
        let (Some(raw), Some(high)) = (messages.get_mut(&number), awaited.get(&number).copied())
        else {
            continue;
        };
        if offset < high {
            let before = raw.bytes.len();
            take(raw, &message, offset);
            bytes += raw.bytes.len() - before;
        }
        if offset + 1 >= high {
            awaited.remove(&number);
        }
    }
    Ok(Sample {
        messages,
        whole: awaited.is_empty(),
    })
}

/// A message: its partition and its offset there.
type Place = (i32, u64);

/// What messages show of how they are spread.
#[derive(Default)]
struct Spread {
    /// By table: two messages in two partitions with rows of one primary key.
    apart: BTreeMap<TableId, (Place, Place)>,
    /// A message with rows and without a key, of a tool that always writes one.
    keyless: Option<Place>,
}

fn spread(
    catalog: &Catalog,
    options: &KafkaOptions,
    format: Format,
    messages: BTreeMap<i32, RawMessages>,
    now: Timestamp,
) -> Result<Spread, Problem> {
    // Canal chooses the partition itself, and never writes a key.
    let writes_keys = matches!(format, Format::Maxwell);
    let problem = |what: String| Problem {
        what,
        remedy: "correct the topic's format, or the schemas".into(),
    };
    let mut decoder = MessageDecoder::new(catalog, format).map_err(problem)?;
    if let Some(source) = catalog.source_id(&options.source) {
        decoder = decoder.reading(catalog, &[source]);
    }
    let mut first: HashMap<(TableId, String), Place> = HashMap::new();
    let mut spread = Spread::default();
    for (partition, raw) in messages {
        let without = raw.messages.iter().filter(|message| message.key.is_none());
        let without: BTreeSet<u64> = without.map(|message| message.offset).collect();
        let decoded = decoder.decode(raw, now);
        let chunk = decoded.map_err(|error| problem(error.to_string()))?;
        for (changes, row, offset) in changes_of(&chunk) {
            let place = (partition, offset);
            if writes_keys && without.contains(&offset) {
                spread.keyless.get_or_insert(place);
            }
            let Some(key) = key_of(catalog.table(changes.table), changes, row) else {
                continue;
            };
            let known = *first.entry((changes.table, key)).or_insert(place);
            if known.0 != partition {
                spread.apart.entry(changes.table).or_insert((known, place));
            }
        }
    }
    // With their place in the binary log, rows may come by any way.
    Ok(match decoder.orders_by_place() {
        true => spread,
        false => Spread::default(),
    })
}

/// Every change of rows, as an index in its table's changes, and the offset of its message.
fn changes_of(chunk: &DecodedChunk) -> impl Iterator<Item = (&TableChanges, usize, u64)> {
    chunk.lines.iter().filter_map(|line| match line.content {
        LineContent::Change { table, row, .. } => {
            let changes = chunk.tables.get(usize::from(table))?;
            Some((changes, row as usize, line.offset))
        }
        _ => None,
    })
}

/// The primary key of the row as it is or, where it was deleted, was.
fn key_of(table: &Table, changes: &TableChanges, row: usize) -> Option<String> {
    let images = [&changes.after, &changes.before].into_iter();
    let mut images = images.filter_map(|images| Some((images, (*images.row.get(row)?)? as usize)));
    let (images, place) = images.next()?;
    let mut key = String::new();
    for column in &table.primary_key {
        key += &array_value_to_string(images.rows.column(*column), place).ok()?;
        key.push('\u{1f}');
    }
    Some(key)
}

impl Spread {
    fn problems(self, catalog: &Catalog, topic: &str, remedy: &str) -> Vec<Problem> {
        let why = "nothing but their place in a partition orders these messages, so an older row could replace a newer";
        let mut problems: Vec<Problem> = Vec::new();
        for (table, ((one, at), (other, other_at))) in self.apart {
            let table = &catalog.table(table).name;
            problems.push(Problem {
                what: format!(
                    "rows of `{table}` with one primary key stand in two partitions of `{topic}`: in {one} at offset \
                     {at}, in {other} at offset {other_at}; {why}"
                ),
                remedy: remedy.into(),
            });
        }
        if let Some((partition, offset)) = self.keyless.filter(|_| problems.is_empty()) {
            problems.push(Problem {
                what: format!(
                    "messages of `{topic}` have no key, such as the one in partition {partition} at offset {offset}, so \
                     that nothing keeps the rows of one primary key in one partition; {why}"
                ),
                remedy: remedy.into(),
            });
        }
        problems
    }
}

fn remedy(format: &Format) -> &'static str {
    match format {
        Format::Maxwell => {
            "let Maxwell write output_binlog_position=true, which orders rows, or producer_partition_by=primary_key, \
             and write to a new topic"
        }
        _ => {
            "let Canal choose the partition by primary key (canal.mq.partitionHash=.*\\\\..*:$pk$), or write to a topic \
             of one partition; in both cases to a new topic"
        }
    }
}
