#![allow(clippy::unwrap_used)]

use mysql_async::binlog::events::{BinlogEventFooter, FormatDescriptionEvent};
use mysql_async::binlog::{BinlogChecksumAlg, BinlogVersion};

use super::*;

fn event(kind: u8, position: u32, checksums: bool) -> Event {
    let mut footer = BinlogEventFooter::new(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
    footer.set_checksum_enabled(checksums);
    let head = FormatDescriptionEvent::new(BinlogVersion::Version4).with_footer(footer);
    let mut bytes = vec![0; 4];
    bytes.push(kind);
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(27u32.to_le_bytes());
    bytes.extend(position.to_le_bytes());
    bytes.extend([0; 10]);
    Event::read(&head, bytes.as_slice()).unwrap()
}

#[test]
fn mysql_is_idle_where_it_stands_still() {
    let mut dumped = Dumped::default();
    let mut next = |kind, position| dumped.next(&event(kind, position, true), Flavour::MySql, true);
    assert_eq!(next(kinds::XID, 500), Some(Seen::Event));
    // It passes over transactions that were read before.
    assert_eq!(next(kinds::HEARTBEAT, 900), Some(Seen::Skipping));
    assert_eq!(next(kinds::HEARTBEAT, 1_300), Some(Seen::Skipping));
    assert_eq!(next(kinds::HEARTBEAT_2, 1_300), Some(Seen::Idle));
    assert_eq!(next(kinds::XID, 1_700), Some(Seen::Event));
    assert_eq!(next(kinds::HEARTBEAT, 1_700), Some(Seen::Idle));
}

#[test]
fn a_word_that_lay_unread_says_nothing_of_now() {
    for flavour in [Flavour::MariaDb, Flavour::MySql] {
        let mut dumped = Dumped::default();
        let mut next = |rested| dumped.next(&event(kinds::HEARTBEAT, 4, true), flavour, rested);
        assert_eq!(next(false), Some(Seen::Skipping));
        assert_eq!(next(true), Some(Seen::Idle));
    }
}

#[test]
fn what_the_library_takes_out_of_a_compressed_transaction_is_left_out() {
    let mut dumped = Dumped::default();
    let outer = event(kinds::TRANSACTION_PAYLOAD, 700, true);
    assert_eq!(dumped.next(&outer, Flavour::MySql, true), Some(Seen::Event));
    let inner = event(kinds::XID, 0, false);
    assert_eq!(dumped.next(&inner, Flavour::MySql, true), None);
    let heartbeat = event(kinds::HEARTBEAT, 700, true);
    assert_eq!(
        dumped.next(&heartbeat, Flavour::MySql, true),
        Some(Seen::Idle)
    );
}

#[test]
fn sets_are_asked_for_by_server_and_tag() {
    let one = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    let two = "53ad11f5-e8a1-11ee-87e0-0242ac110002";
    let set = GtidSet::parse(&format!("{one}:1-5:7:tag:3,{two}:2")).unwrap();
    let blocks: Vec<String> = blocks(&set).unwrap().iter().map(Sid::to_string).collect();
    assert_eq!(
        blocks,
        [
            format!("{one}:1-5:7"),
            format!("{one}:tag:3"),
            format!("{two}:2")
        ]
    );
    assert!(super::blocks(&GtidSet::Empty).unwrap().is_empty());
}
