//! Prints how many lines of about 400 bytes are decoded in a second on one core.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use centinel_model::Timestamp;
use centinel_source::Decoder;

fn main() {
    let lines: String = (0..10_000)
        .map(|number| {
            let update = common::insert(number).replace("insert", "update");
            let before = format!(r#""before":{},"after""#, common::columns(number));
            update.replace(r#""after""#, &before) + "\n"
        })
        .collect();
    let decoder = Decoder::new(&common::catalog());
    let now = Timestamp::parse(common::NOW).unwrap();
    println!("{} bytes per line", lines.len() / 10_000);
    for _ in 0..5 {
        let chunks: Vec<_> = (0..50).map(|_| common::chunk(lines.clone())).collect();
        let start = Instant::now();
        for chunk in chunks {
            assert!(decoder.decode(chunk, now).unwrap().holes.is_empty());
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{:.0} lines/s, {:.0} MB/s",
            500_000.0 / seconds,
            lines.len() as f64 * 50.0 / seconds / 1e6
        );
    }
}
