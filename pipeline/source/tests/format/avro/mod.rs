//! Debezium in Avro: the same changes as in JSON, and everything that a registry or a message may have wrong.

mod any_bytes;
mod registry;
mod same;
mod shapes;

use centinel_model::DecodedChunk;
use centinel_source::{AvroOptions, Format, MessageDecoder};

use crate::support::{Sent, decode_sent, decoder, told};
use crate::test_registry::TestRegistry;

fn avro(registry: &TestRegistry) -> Format {
    Format::DebeziumAvro(AvroOptions {
        registry: registry.client(),
        servers: Vec::new(),
    })
}

fn reader(registry: &TestRegistry) -> MessageDecoder {
    decoder(avro(registry))
}

fn sent(value: &[u8]) -> Sent {
    Sent {
        // Keys are Avro too, of a schema of their own.
        key: Some("\0\0\0\0\u{9}\u{2}x".into()),
        value: Some(value.to_vec()),
        ..Sent::default()
    }
}

fn decode_bytes(decoder: &mut MessageDecoder, values: &[Vec<u8>]) -> DecodedChunk {
    let sent: Vec<Sent> = values.iter().map(|value| sent(value)).collect();
    decode_sent(decoder, &sent)
}

/// Asserts that both hold the same changes and the same holes, whatever their messages look like.
#[track_caller]
fn assert_same(avro: &DecodedChunk, json: &DecodedChunk) {
    assert_eq!(told(avro), told(json));
    assert_eq!(format!("{:?}", avro.tables), format!("{:?}", json.tables));
    let holes = |chunk: &DecodedChunk| {
        let holes = chunk.holes.iter();
        let holes = holes.map(|hole| (hole.reason, hole.table, hole.entities.clone()));
        holes.collect::<Vec<_>>()
    };
    assert_eq!(holes(avro), holes(json));
    let transactions = |chunk: &DecodedChunk| {
        let lines = chunk.lines.iter();
        lines
            .map(|line| (line.offset, line.content))
            .collect::<Vec<_>>()
    };
    assert_eq!(transactions(avro), transactions(json));
}
