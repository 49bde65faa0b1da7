//! One record of an input, decoded once more from the bytes that were kept of it.

use std::time::{Duration, Instant};

use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, Position, Timestamp};

use crate::format::{Format, MessageDecoder};
use crate::{Decoder, InputOptions, KafkaOptions, RawChunk, RawMessage, RawMessages};

/// How long the schemas of a registry may take.
const MOST_WAITED: Duration = Duration::from_secs(10);

/// A record as it was kept: all of its bytes.
#[derive(Clone, Copy, Debug)]
pub struct KeptRecord<'a> {
    /// Name of the input that it came from.
    pub input: &'a str,
    /// Where it stands there.
    pub position: &'a Position,
    /// The line without its end, or the value of the message.
    pub bytes: &'a [u8],
}

/// Decodes a record again under the schemas of this catalog, as its input would now. What still cannot be read stands
/// among the chunk's holes. May wait for a schema registry, ten seconds at most.
///
/// # Errors
/// Why records of this kind, or of this input, cannot be decoded from their bytes alone.
pub fn decode_again(
    catalog: &Catalog,
    inputs: &[InputOptions],
    record: KeptRecord<'_>,
    latest_sane: Timestamp,
) -> Result<DecodedChunk, String> {
    match record.position {
        Position::File { offset, first_line } => {
            let chunk = RawChunk {
                input: record.input.to_owned(),
                first_line: first_line.clone(),
                offset: *offset,
                bytes: record.bytes.to_vec(),
                oversized: None,
            };
            let decoded = Decoder::new(catalog).decode(chunk, latest_sane);
            decoded.map_err(|error| error.to_string())
        }
        Position::Partition { next, .. } => {
            let (options, format) = inputs
                .iter()
                .find_map(|input| match input {
                    InputOptions::Kafka(options) => {
                        Some((options, options.format_of(record.input)?))
                    }
                    _ => None,
                })
                .ok_or_else(|| {
                    format!(
                        "the configuration reads no partition `{}` any more, so that nobody knows the form of its \
                         messages",
                        record.input
                    )
                })?;
            message(catalog, (options, format), record, *next, latest_sane)
        }
        Position::Binlog { .. } => {
            Err("a row of a binary log cannot be read without the log around it".into())
        }
        Position::Snapshot { .. } => {
            Err("a row of a snapshot cannot be read without its file".into())
        }
    }
}

fn message(
    catalog: &Catalog,
    (options, format): (&KafkaOptions, &Format),
    record: KeptRecord<'_>,
    offset: u64,
    latest_sane: Timestamp,
) -> Result<DecodedChunk, String> {
    if let Format::JsonEvent { event } = format {
        let table = catalog.table_id(event).map(|id| catalog.table(id));
        let mapping = table.and_then(|table| table.message.as_ref());
        if mapping.is_some_and(|mapping| !mapping.is_in_the_value()) {
            return Err(format!(
                "messages of `{event}` carry values in their keys, headers or times, of which none were kept"
            ));
        }
    }
    let source = catalog.source_id(&options.source);
    let sources: Vec<_> = source.into_iter().collect();
    let mut decoder = MessageDecoder::new(catalog, format.clone())?.reading(catalog, &sources);
    let after = record.position.advanced_to(offset + 1);
    let messages = RawMessages {
        input: record.input.to_owned(),
        start: record.position.clone(),
        end: offset + 1,
        after,
        bytes: record.bytes.to_vec(),
        messages: vec![RawMessage {
            offset,
            value: Some(0..record.bytes.len()),
            ..RawMessage::default()
        }],
    };
    let began = Instant::now();
    while !decoder.ready(&messages) {
        if began.elapsed() > MOST_WAITED {
            return Err("the schema registry did not answer in time".into());
        }
        decoder.wait();
    }
    let decoded = decoder.decode(messages, latest_sane);
    let decoded = decoded.map_err(|error| error.to_string())?;
    if decoder.orders_by_place() {
        return Err(
            "the form of its topic orders changes by their place alone, and what came before it there is not known any \
             more: whether it is an old change that was delivered again cannot be told"
                .into(),
        );
    }
    Ok(decoded)
}
