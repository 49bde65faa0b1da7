//! Debezium's messages in Avro, each with the id of its schema before it: read as the JSON that stands for them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use centinel_model::HoleReason;

use super::debezium::{Debezium, DebeziumOptions};
use super::output::{Output, Refused};
use super::{Message, Tables, part};
use crate::RawMessages;
use crate::avro::{AvroOptions, Known, Registry};
use crate::value::Refusal;

/// Schemas that are kept between chunks.
const MAX_KEPT: usize = 1_000;
/// A buffer that a large message left is given back.
const USUAL_TEXT: usize = 1 << 20;
/// How long a wait for the registry is before it is looked at again.
const WAIT: Duration = Duration::from_millis(100);

/// Reads Debezium's messages in Avro. Keys are not looked at: a row's images hold its primary key.
#[derive(Debug)]
pub(super) struct DebeziumAvro {
    registry: Registry,
    /// What the messages of this chunk need, and what those before it did.
    schemas: HashMap<u32, Arc<Known>>,
    /// Where messages are written as JSON.
    text: String,
    debezium: Debezium,
}

impl DebeziumAvro {
    pub(super) fn new(options: AvroOptions) -> Result<DebeziumAvro, String> {
        Ok(DebeziumAvro {
            registry: options.registry,
            schemas: HashMap::new(),
            text: String::new(),
            debezium: Debezium::new(DebeziumOptions {
                servers: options.servers,
                ..DebeziumOptions::default()
            })?,
        })
    }

    /// Whether the schemas of these messages are there; asks for those that are not.
    pub(super) fn ready(&mut self, messages: &RawMessages) -> bool {
        let values = messages
            .messages
            .iter()
            .filter_map(|raw| raw.value.as_ref());
        let ids = values.filter_map(|range| split(part(&messages.bytes, range)).ok());
        let missing: HashSet<u32> = ids
            .map(|(id, _)| id)
            .filter(|id| !self.schemas.contains_key(id))
            .collect();
        missing.is_empty()
            || self
                .registry
                .look_up(missing.into_iter(), &mut self.schemas)
    }

    /// Waits a moment for schemas to come.
    pub(super) fn wait(&self) {
        self.registry.wait(WAIT);
    }

    pub(super) fn read(
        &mut self,
        value: &[u8],
        message: Message<'_>,
        tables: &mut Tables,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let (id, datum) = split(value)?;
        let unusable = |why: &str| {
            let message = format!("schema {id}: {why}");
            Refused::from(Refusal::new(HoleReason::UnknownForm, message))
        };
        match self.schemas.get(&id).map(|known| &**known) {
            Some(Known::Schema(schema)) => schema.write_json(datum, &mut self.text)?,
            Some(Known::Unusable(why)) => return Err(unusable(why)),
            None => return Err(unusable("it was not fetched")),
        }
        let text = &self.text;
        let message = Message { text, ..message };
        self.debezium.read(&message, tables, output)
    }

    /// Ends a chunk: an id that the registry did not know may be known by the next.
    pub(super) fn tidy(&mut self) {
        let usable = |known: &Arc<Known>| matches!(**known, Known::Schema(_));
        self.schemas.retain(|_, known| usable(known));
        if self.schemas.len() > MAX_KEPT {
            self.schemas.clear();
        }
        if self.text.capacity() > USUAL_TEXT {
            self.text = String::new();
        }
    }
}

/// The id of a message's schema, and what stands behind it.
fn split(value: &[u8]) -> Result<(u32, &[u8]), Refusal> {
    let split = value
        .strip_prefix(&[0])
        .and_then(|rest| rest.split_first_chunk());
    let (id, datum) = split.ok_or_else(|| {
        let message = "the message does not begin with a zero byte and the 4 bytes of a schema id, as Confluent's \
                       converter writes it; correct the topic's format, or let the converter write it so";
        Refusal::new(HoleReason::UnknownForm, message)
    })?;
    let id = u32::from_be_bytes(*id);
    // Registries number in 32 bits with a sign.
    if i32::try_from(id).is_err() {
        let message = "the message begins with a schema id that no registry gives";
        return Err(Refusal::new(HoleReason::UnknownForm, message));
    }
    Ok((id, datum))
}
