//! Prints how many changes are decoded and batched in a second on one core, in good and bad logs.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../source/tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_batch::{Batcher, Limits};
use centinel_model::Timestamp;
use centinel_source::{Decoder, RawChunk};

const LINES: u64 = 10_000;
const CHUNKS: u64 = 50;

fn main() {
    let catalog = Arc::new(common::catalog());
    let pair = |number: u64| (number / 2, number % 2);
    measure("one row per transaction", &catalog, common::insert);
    measure(
        "two rows per transaction, two sources",
        &catalog,
        |number| {
            let (transaction, ordinal) = pair(number);
            let table = if transaction % 2 == 0 {
                "payment"
            } else {
                "refund"
            };
            let row = common::insert(transaction).replace("\"payment\"", &format!("\"{table}\""));
            row.replace(
                r#""ordinal":0,"last":true"#,
                &format!(r#""ordinal":{ordinal},"last":{}"#, ordinal == 1),
            )
        },
    );
    measure("every line bad", &catalog, |number| {
        common::insert(number).replace("12.50", "12.505")
    });
}

fn measure(title: &str, catalog: &Arc<centinel_catalog::Catalog>, line: impl Fn(u64) -> String) {
    let lines: String = (0..LINES).map(|number| line(number) + "\n").collect();
    let decoder = Decoder::new(catalog);
    let mut batcher = Batcher::new(Arc::clone(catalog), Limits::default());
    let now = Timestamp::parse(common::NOW).unwrap();
    let (mut decoding, mut batching) = (Duration::ZERO, Duration::ZERO);
    let mut records = 0;
    for chunk in 0..CHUNKS {
        let raw = RawChunk {
            offset: chunk * lines.len() as u64,
            ..common::chunk(lines.clone())
        };
        let start = Instant::now();
        let decoded = decoder.decode(raw, now).unwrap();
        decoding += start.elapsed();
        let start = Instant::now();
        let batches = batcher.push(decoded, now).unwrap();
        records += batches
            .iter()
            .map(|batch| batch.len() + batch.holes.len())
            .sum::<usize>();
        batching += start.elapsed();
    }
    records += batcher
        .finish(true, now)
        .unwrap()
        .iter()
        .map(|b| b.len() + b.holes.len())
        .sum::<usize>();
    assert_eq!(records as u64, LINES * CHUNKS);
    let rate = |time: Duration| (LINES * CHUNKS) as f64 / time.as_secs_f64();
    println!(
        "{title}: {} bytes per line, decoded {:.0} lines/s, batched {:.0} lines/s",
        lines.len() as u64 / LINES,
        rate(decoding),
        rate(batching)
    );
}
