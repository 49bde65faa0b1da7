//! The messages of topics → changes: Debezium, Canal, Maxwell, plain JSON events, and the project's own lines.
//!
//! Each format reads a [`Message`] and says what it holds by an [`Output`]. What cannot be read exactly is
//! refused there and becomes one hole for the message, with the entities of all rows that were refused.

mod avro;
mod canal;
mod ddl;
mod debezium;
mod event;
pub(crate) mod made_by;
mod maxwell;
mod mysql;
mod number;
mod output;
mod row;
mod time;

use std::collections::HashMap;

use arrow::error::ArrowError;
use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, HoleReason, SourceId, Timestamp};

use crate::avro::AvroOptions;
use crate::chunk::{Building, Record};
use crate::decode::Decoder;
use crate::message::{RawMessage, RawMessages};
use crate::notes::Notes;
use crate::physical::PhysicalTables;
use crate::shape::Lost;
use crate::value::Refusal;

pub use debezium::{DebeziumOptions, Decimals, IntegerTimes};

use avro::DebeziumAvro;
use canal::Canal;
use debezium::Debezium;
use event::JsonEvents;
use maxwell::Maxwell;
use output::{Output, Refused};

/// What the messages of a topic are.
#[derive(Clone, Debug)]
pub enum Format {
    /// The project's own form, one line in each message.
    Lines,
    /// Plain JSON, read as this event's schema says.
    JsonEvent {
        /// The event's name in the schemas.
        event: String,
    },
    /// Row changes of MySQL, MariaDB or PostgreSQL as Debezium writes them in JSON.
    Debezium(DebeziumOptions),
    /// The same in Avro, each message with the id of its schema before it.
    DebeziumAvro(AvroOptions),
    /// Flat messages of Canal, of a topic that is partitioned by primary key.
    Canal,
    /// Row changes as Maxwell writes them in JSON.
    Maxwell,
}

/// Decodes the messages of topics that have one format. It keeps what it learned of each partition by the
/// partition's name, so one decoder serves all partitions of its topics.
#[derive(Debug)]
pub struct MessageDecoder {
    lines: Decoder,
    reader: Reader,
    tables: Tables,
    partitions: HashMap<String, Partition>,
}

/// What reads one format.
#[derive(Debug)]
enum Reader {
    Lines,
    Event(JsonEvents),
    Debezium(Box<Debezium>),
    DebeziumAvro(Box<DebeziumAvro>),
    Canal(Canal),
    Maxwell(Maxwell),
}

/// The tables that physical tables belong to, and what was noticed about their shapes.
#[derive(Debug)]
struct Tables {
    physical: PhysicalTables,
    notes: Notes,
    /// The columns that the row at hand comes without.
    lost: Lost,
}

/// What is remembered of one partition while the program runs.
#[derive(Debug, Default)]
struct Partition {
    /// The newest time of a change in formats that are ordered by their place in the partition.
    newest: Option<Timestamp>,
    /// The newest place in a binary log, in a format that carries it, and the time of it.
    newest_position: Option<(u64, Timestamp)>,
    /// Whether changes carry their place in the binary log.
    positioned: Option<bool>,
}

/// One message.
struct Message<'a> {
    offset: u64,
    written_at: Option<Timestamp>,
    key: Option<&'a [u8]>,
    /// Names and values.
    headers: Vec<(&'a [u8], &'a [u8])>,
    text: &'a str,
}

impl MessageDecoder {
    /// A decoder of this format.
    ///
    /// # Errors
    /// What the format asks for and the schemas do not have, with the remedy.
    pub fn new(catalog: &Catalog, format: Format) -> Result<MessageDecoder, String> {
        let lines = Decoder::new(catalog);
        let reader = match format {
            Format::Lines => Reader::Lines,
            Format::JsonEvent { event } => Reader::Event(JsonEvents::new(catalog, &event)?),
            Format::Debezium(options) => Reader::Debezium(Box::new(Debezium::new(options)?)),
            Format::DebeziumAvro(options) => {
                Reader::DebeziumAvro(Box::new(DebeziumAvro::new(options)?))
            }
            Format::Canal => Reader::Canal(Canal::default()),
            Format::Maxwell => Reader::Maxwell(Maxwell::default()),
        };
        Ok(MessageDecoder {
            tables: Tables {
                physical: PhysicalTables::new(catalog, None),
                notes: Notes::default(),
                lost: Lost::default(),
            },
            lines,
            reader,
            partitions: HashMap::new(),
        })
    }

    /// Passes over the rows of tables that other sources order.
    #[must_use]
    pub fn reading(mut self, catalog: &Catalog, sources: &[SourceId]) -> MessageDecoder {
        self.tables.physical = PhysicalTables::new(catalog, Some(sources));
        self
    }

    /// Whether everything is there that is needed to decode these messages, which for Avro are their schemas.
    /// What is not is asked for, and comes later.
    pub fn ready(&mut self, messages: &RawMessages) -> bool {
        match &mut self.reader {
            Reader::DebeziumAvro(avro) => avro.ready(messages),
            _ => true,
        }
    }

    /// Decodes the messages. One that cannot be read exactly becomes a hole and takes nothing else with it. A
    /// commit time more than a day after `latest_sane` is absurd. Waits until they are
    /// [ready](MessageDecoder::ready), however long that takes.
    ///
    /// # Errors
    /// Only when Arrow refuses the columns: more than 2 GiB of text, or a type that Arrow does not have.
    pub fn decode(
        &mut self,
        messages: RawMessages,
        latest_sane: Timestamp,
    ) -> Result<DecodedChunk, ArrowError> {
        while !self.ready(&messages) {
            self.wait();
        }
        let RawMessages {
            input,
            start,
            end,
            after,
            bytes,
            messages,
        } = messages;
        let MessageDecoder {
            lines,
            reader,
            tables,
            partitions,
        } = self;
        let partition = partitions.entry(input.clone()).or_default();
        let decoded = DecodedChunk::new(input, start, end, after);
        let mut building = Building::new(&lines.layouts, latest_sane, decoded);
        for message in &messages {
            tables.notes.at(message.offset);
            one(
                message,
                &bytes,
                lines,
                reader,
                tables,
                partition,
                &mut building,
            );
        }
        if let Reader::DebeziumAvro(avro) = reader {
            avro.tidy();
        }
        let mut chunk = building.finish(bytes)?;
        chunk.notes = tables.notes.take(&chunk.input, &chunk.start);
        Ok(chunk)
    }

    /// Whether nothing but their place in a partition orders the changes that were decoded.
    pub(crate) fn orders_by_place(&self) -> bool {
        let unplaced = |partition: &Partition| partition.positioned == Some(false);
        match &self.reader {
            Reader::Canal(_) => true,
            Reader::Maxwell(_) => self.partitions.values().any(unplaced),
            _ => false,
        }
    }

    /// Waits a moment for what messages need to be ready.
    pub(crate) fn wait(&self) {
        if let Reader::DebeziumAvro(avro) = &self.reader {
            avro.wait();
        }
    }
}

/// Decodes one message.
fn one(
    raw: &RawMessage,
    bytes: &[u8],
    lines: &Decoder,
    reader: &mut Reader,
    tables: &mut Tables,
    partition: &mut Partition,
    building: &mut Building<'_>,
) {
    let value = raw.value.as_ref().map(|range| part(bytes, range));
    let start = raw.value.as_ref().map_or(0, |range| range.start as u32);
    let value_bytes = value.unwrap_or_default();
    let record = Record {
        offset: raw.offset,
        bytes: value_bytes,
        bytes_total: value_bytes.len() as u64,
    };
    let mut output = Output::new(record, start, building);
    // A message without a value says that the key before it was deleted, which its own message has said.
    let Some(value) = value else {
        return output.end();
    };
    let text = std::str::from_utf8(value).ok();
    if let Reader::Lines = reader {
        let text = text.map(|text| text.trim_end_matches(['\n', '\r']));
        let content = lines.line(record, text, output.building());
        output.line(content);
        return output.end();
    }
    let message = Message {
        offset: raw.offset,
        written_at: raw.written_at,
        key: raw.key.as_ref().map(|range| part(bytes, range)),
        headers: raw
            .headers
            .iter()
            .map(|(name, value)| (part(bytes, name), part(bytes, value)))
            .collect(),
        text: text.unwrap_or_default(),
    };
    let read = match reader {
        Reader::DebeziumAvro(avro) => avro.read(value, message, tables, &mut output),
        _ if text.is_none() => {
            let message = "the message is not UTF-8";
            Err(Refusal::new(HoleReason::InvalidUtf8, message).into())
        }
        Reader::Lines => Ok(()),
        Reader::Event(events) => events.read(&message, &mut output),
        Reader::Debezium(debezium) => debezium.read(&message, tables, &mut output),
        Reader::Canal(canal) => canal.read(&message, tables, partition, &mut output),
        Reader::Maxwell(maxwell) => maxwell.read(&message, tables, partition, &mut output),
    };
    if let Err(Refused { refusal, known }) = read {
        output.hole(refusal, *known);
    }
    output.end();
}

/// A part of a message's bytes; nothing where it would stand outside of them.
fn part<'a>(bytes: &'a [u8], range: &std::ops::Range<usize>) -> &'a [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}
