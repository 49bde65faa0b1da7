//! Ten thousand messages that cannot be read, among good ones.

use std::collections::BTreeMap;
use std::time::Duration;

use centinel_engine::detect::read_hole;
use centinel_state::{FileStore, Store};
use centinel_tests::platform::Platform;
use data_fixtures::Delivered;

use crate::{
    assert_nothing_false, between_transactions, broken, count, judged_by, open, slow_history,
    told_holes, wait_for, watching,
};

const TOPIC: &str = "payment_completed";
const COUNT: usize = 10_000;
/// They come in so many parts, with good ones between them.
const PARTS: usize = 20;
const KEPT_BYTES: usize = 1 << 20;
const HUGE: usize = 2 << 20;
/// What a source needs, and more, to say how far it stands.
const PROGRESS: Duration = Duration::from_secs(2);

/// One of each kind in turn. Those whose order can be read name orders that nobody else knows.
fn poison(number: usize) -> Vec<u8> {
    let event = |amount: &str, at: &str| {
        format!(
            r#"{{"message_id":"bad-{number}","committed_at":"{at}","payment_no":"BAD{number}","order_no":"BAD{number}","amount":{amount},"channel":"WX","published_at":"{at}"}}"#
        )
    };
    let now = "2026-11-22T08:00:00Z";
    match number % 8 {
        0 => format!("message {number} is not JSON").into_bytes(),
        1 => {
            let mut half = event("\"1.00\"", now);
            half.truncate(60);
            half.into_bytes()
        }
        2 => format!("[{number}]").into_bytes(),
        3 => event("\"twelve\"", now).into_bytes(),
        4 => event("\"1.00\"", "9999-01-01T00:00:00Z").into_bytes(),
        5 => Vec::new(),
        6 => vec![0xff, 0xfe, number as u8],
        _ if number % 1_000 == 7 => {
            let mut huge = format!("{number} ").into_bytes();
            huge.resize(HUGE, b'x');
            huge
        }
        _ => br#"{"hello":"world"}"#.to_vec(),
    }
}

#[test]
fn ten_thousand_poison_messages_are_kept_and_neither_hide_nor_invent_anything() {
    let mut platform = Platform::start();
    let history = slow_history(29, 1_500);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let inputs = platform.addresses().inputs();
    let watching = watching(inputs, folder.path(), &judged, &history);
    let live = &mut platform;
    let detected = watching
        .run(&|_| {}, |read| {
            // Within a minute of the middle.
            let records = &history.records;
            let middle = between_transactions(records, records.len() / 2);
            let end = between_transactions(records, middle + 200);
            let (before, among, after) =
                (&records[..middle], &records[middle..end], &records[end..]);
            for part in before.chunks(before.len().div_ceil(10)) {
                live.live(part);
            }
            // What came shortly before and after is in doubt, too: not more than must be.
            wait_for(read, count(before));
            std::thread::sleep(PROGRESS);
            let parts: Vec<&[Delivered]> = among.chunks(among.len().div_ceil(PARTS)).collect();
            for number in 0..PARTS {
                let first = number * COUNT / PARTS;
                for number in first..first + COUNT / PARTS {
                    live.send(TOPIC, &number.to_string(), &poison(number));
                }
                live.live(parts.get(number).copied().unwrap_or_default());
            }
            wait_for(read, count(before) + count(among));
            std::thread::sleep(PROGRESS);
            for part in after.chunks(after.len().div_ceil(10)) {
                live.live(part);
            }
            live.say_that_it_ended(history.end);
        })
        .unwrap();

    // All of them are kept, each with its bytes and its own place.
    assert_eq!(detected.holes, COUNT as u64);
    let store = FileStore::open(&folder.path().join("state"), 1 << 20).unwrap();
    let (mut kept, mut places) = (BTreeMap::<_, usize>::new(), Vec::new());
    for (_, bytes) in store.holes(0, 2 * COUNT).unwrap() {
        let (message, record) = read_hole(&bytes).unwrap();
        assert!(message.input.contains(TOPIC), "{message:?}");
        places.push((message.input, message.position.place()));
        *kept
            .entry((record.to_vec(), message.bytes_total))
            .or_default() += 1;
    }
    let mut sent = BTreeMap::<_, usize>::new();
    for mut bytes in (0..COUNT).map(poison) {
        let total = bytes.len() as u64;
        bytes.truncate(KEPT_BYTES);
        *sent.entry((bytes, total)).or_default() += 1;
    }
    assert!(kept == sent, "other bytes were kept than sent");
    places.sort();
    places.dedup();
    assert_eq!(places.len(), COUNT, "each has its own place");

    // Those on call hear of each kind, and of how many there are.
    let told = told_holes(&detected);
    assert!((8..100).contains(&told.len()), "{} were told", told.len());
    let many = told.iter().filter(|hole| hole["alike"] == 1_000).count();
    assert!(many >= 4, "{told:#?}");

    // What the messages might have belonged to is not sure; all else is, and everything is there.
    let truth = history.truth(history.end);
    assert_nothing_false(&detected, &truth);
    let (sure, unsure, truth) = (
        open(&detected, true),
        open(&detected, false),
        broken(&truth),
    );
    let missed: Vec<_> = truth
        .iter()
        .filter(|broken| !sure.contains(*broken) && !unsure.contains(*broken))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    let invented: Vec<_> = unsure.difference(&truth).collect();
    assert!(invented.is_empty(), "{invented:#?}");
    assert!(!unsure.is_empty(), "what came at that moment is in doubt");
    assert!(!sure.is_empty(), "what came long before and after is sure");
}
