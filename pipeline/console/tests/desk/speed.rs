//! How long a trace takes on the server. No speed is asserted here: it is said.

use std::time::Instant;

use serde_json::json;

use crate::fake::order;
use crate::support::{Stage, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_500_changes() {
    let stage = Stage::with(&[told("settled-equals-paid", "O-500", json!({}))]).await;
    stage.detection.known().histories.push(order("O-500", 498));
    let olga = stage.person("olga").await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let page = olga.page("/trace/order/O-500").await;
        times.push(begun.elapsed());
        assert_eq!(page.body.matches("data-stage=").count(), 501);
    }
    times.sort_unstable();
    println!(
        "a trace of 500 changes: median {:?}, slowest of 20 {:?}",
        times[10], times[19]
    );
    let begun = Instant::now();
    olga.page("/trace/order/O-500?stage=250&of=501").await;
    println!("one stage of it: {:?}", begun.elapsed());
}
