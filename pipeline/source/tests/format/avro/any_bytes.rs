//! Whatever follows a schema id: no panic, and one line for each message, a change or a hole.

use std::sync::OnceLock;

use centinel_model::{LineContent, Timestamp};
use centinel_source::MessageDecoder;
use proptest::prelude::*;

use super::{reader, sent};
use crate::encoder::{Column, counted, datum, long, message, row, schema};
use crate::support::{NOW, partition};
use crate::test_registry::TestRegistry;

/// A schema with every shape.
const EVERYTHING: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"before","type":["null",{"type":"record","name":"V","fields":[
        {"name":"payment_no","type":"string"},{"name":"order_no","type":["null","string"]},
        {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},
        {"name":"fen","type":"double"},{"name":"live","type":"boolean"},{"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"paid_at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"extra","type":{"type":"map","values":{"type":"array","items":["null","V"]}}}]}]},
    {"name":"after","type":{"type":"fixed","name":"F","size":2}},
    {"name":"op","type":{"type":"enum","name":"O","symbols":["c","u","d"]}},{"name":"ts_ms","type":"float"}]}"#;

fn registry() -> &'static TestRegistry {
    static REGISTRY: OnceLock<TestRegistry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = TestRegistry::start();
        registry.register(7, &schema(&columns()));
        // A union of two types beside null is not read; without it, every shape is.
        registry.register(
            8,
            &EVERYTHING.replace(r#""V",{"type":"fixed","name":"F","size":2}"#, r#""V""#),
        );
        registry
    })
}

fn columns() -> Vec<Column> {
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#;
    let mut columns = row(
        1,
        Column::new("amount", decimal, "", counted([4, 0xe2]), ""),
    );
    columns.push(Column::new(
        "fen",
        r#"["null","long"]"#,
        "",
        [long(1), long(-5)].concat(),
        "",
    ));
    columns.push(Column::new("live", r#""boolean""#, "", vec![1], ""));
    columns
}

fn good() -> Vec<Vec<u8>> {
    let columns = columns();
    let image = Some(columns.as_slice());
    vec![
        message(7, &datum("c", None, image, 5)),
        message(7, &datum("u", image, image, 6)),
        message(7, &datum("d", image, None, 7)),
        message(7, &datum("r", None, image, 8)),
    ]
}

/// Decodes the messages; gives which of them are changes.
fn check(values: &[Vec<u8>]) -> Vec<bool> {
    static DECODER: OnceLock<std::sync::Mutex<MessageDecoder>> = OnceLock::new();
    let decoder = DECODER.get_or_init(|| reader(registry()).into());
    let sent: Vec<_> = values.iter().map(|value| sent(value)).collect();
    let chunk = decoder
        .lock()
        .unwrap()
        .decode(partition("t/0", &sent), Timestamp::parse(NOW).unwrap())
        .unwrap();
    assert_eq!(chunk.lines.len(), values.len());
    let mut changes = Vec::new();
    let mut holes = 0;
    for (index, (line, value)) in chunk.lines.iter().zip(values).enumerate() {
        assert_eq!(
            (line.offset, line.length),
            (100 + 2 * index as u64, value.len() as u64)
        );
        changes.push(match line.content {
            LineContent::Change { .. } => true,
            LineContent::Hole { hole, .. } => {
                assert_eq!(chunk.holes[hole as usize].bytes, *value);
                holes += 1;
                false
            }
            // Tables that no schema reads, heartbeats.
            LineContent::Nothing => false,
            LineContent::Event { .. } | LineContent::Heartbeat { .. } => panic!("{line:?}"),
        });
    }
    assert_eq!(holes, chunk.holes.len());
    let rows: usize = chunk.tables.iter().map(|table| table.len()).sum();
    assert_eq!(rows, changes.iter().filter(|change| **change).count());
    changes
}

#[test]
fn good_messages_are_changes() {
    assert_eq!(check(&good()), [true; 4]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_are_lines(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
        // Not so many ids that the registry is asked for.
        let values: Vec<_> = values.into_iter().map(|value| match value.first() {
            Some(0) => [&[0, 0, 0, 0, 9], &value[1..]].concat(),
            _ => value,
        }).collect();
        check(&values);
    }

    #[test]
    fn any_value_of_a_schema_is_a_line(id in 7_u32..9, value in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..4], 0..80)) {
        check(&[message(id, &value)]);
    }

    #[test]
    fn good_messages_that_were_changed_are_lines(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 0..3),
        how in 0_u8..4,
    ) {
        let good = good();
        let mut value = good[which].clone();
        let place = cut.index(value.len() - 5) + 5;
        match how {
            0 => value.truncate(place),
            1 => value.extend(more),
            2 => drop(value.splice(place..place, more)),
            _ => for (place, byte) in changes {
                let place = place.index(value.len() - 5) + 5;
                value[place] = byte;
            },
        }
        let changes = check(&[good[0].clone(), value.clone(), good[1].clone()]);
        prop_assert!(changes[0] && changes[2], "a neighbour is lost");
        if value.len() < good[which].len() && how == 0 {
            prop_assert!(!changes[1], "a message that was cut off is read");
        }
    }
}
