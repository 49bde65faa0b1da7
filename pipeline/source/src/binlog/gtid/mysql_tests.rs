#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ONE: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const TWO: &str = "53ad11f5-e8a1-11ee-87e0-0242ac110002";

fn set(text: &str) -> GtidSet {
    GtidSet::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn gtid(server: u8, tag: &str, number: u64) -> Gtid {
    Gtid {
        origin: Origin::new([server; 16], tag).unwrap(),
        number,
    }
}

#[test]
fn sets_are_written_as_mysql_writes_them() {
    for text in [
        format!("{ONE}:1"),
        format!("{ONE}:1-5:7:9-11"),
        format!("{ONE}:1-3:11:47-49,{TWO}:1-9223372036854775806"),
        format!("{ONE}:1-3:domain_1:1-3:5:domain_2:8,{TWO}:_:4"),
    ] {
        assert_eq!(set(&text).to_string(), text);
    }
}

#[test]
fn other_ways_to_write_a_set_are_read() {
    let upper = ONE.to_ascii_uppercase();
    let bare = ONE.replace('-', "");
    for text in [
        format!("{upper}:4-5:1-3,\n{TWO}:2"),
        format!("{bare}:1-3:2-5 , {TWO}:2,"),
        format!("{TWO}:2,{ONE}:1,{ONE}:2-5"),
    ] {
        assert_eq!(
            set(&text).to_string(),
            format!("{ONE}:1-5,{TWO}:2"),
            "{text}"
        );
    }
    assert_eq!(
        set(&format!("{ONE}:Tag:1")).to_string(),
        format!("{ONE}:tag:1")
    );
}

#[test]
fn what_is_no_set_is_refused() {
    for tail in [
        "",
        ":",
        ":0",
        ":0-3",
        ":5-3",
        ":1-2-3",
        ":a",
        ":tag:",
        ":1:tag",
        ":ta g:1",
        ":-5",
        ":1-",
        ":9223372036854775807",
        ":18446744073709551616",
        ":tag:tag2:1:x",
        ":abcdefghijklmnopqrstuvwxyzabcdefg:1",
    ] {
        assert_eq!(GtidSet::parse(&format!("{ONE}{tail}")), None, "{tail}");
    }
    assert_eq!(GtidSet::parse("3e11fa47:1"), None);
    assert_eq!(GtidSet::parse(&format!("g{}:1", &ONE[1..])), None);
}

#[test]
fn a_set_covers_what_lies_in_one_of_its_intervals() {
    let own = set(&format!("{ONE}:1-5:7-9:tag:1-3"));
    for covered in [":1-5", ":2", ":7-9:1", ":tag:1-3:9"] {
        let other = set(&format!("{ONE}{covered}"));
        assert_eq!(own.covers(&other), covered != ":tag:1-3:9", "{covered}");
    }
    assert!(!own.covers(&set(&format!("{ONE}:5-7"))));
    assert!(!own.covers(&set(&format!("{ONE}:6"))));
    assert!(!own.covers(&set(&format!("{TWO}:1"))));
    assert!(!own.covers(&set(&format!("{ONE}:gat:1"))));
    let mut united = own.clone();
    united.unite(&set(&format!("{ONE}:6,{TWO}:1")));
    assert_eq!(united.to_string(), format!("{ONE}:1-9:tag:1-3,{TWO}:1"));
}

/// Few servers, tags and numbers, so that they meet.
fn any_gtid() -> impl Strategy<Value = (u8, &'static str, u64)> {
    (
        0..3u8,
        prop_oneof![Just(""), Just("a"), Just("b_2")],
        1..40u64,
    )
}

proptest! {
    /// A set of intervals is the set of its members, in whatever order they come.
    #[test]
    fn a_set_holds_what_it_took_in(members in prop::collection::vec(any_gtid(), 0..120)) {
        let mut own = GtidSet::default();
        let mut model = BTreeSet::new();
        for (server, tag, number) in &members {
            own.advance(&gtid(*server, tag, *number));
            model.insert((*server, *tag, *number));
        }
        for server in 0..3u8 {
            for tag in ["", "a", "b_2"] {
                for number in 1..41u64 {
                    let mut one = GtidSet::default();
                    one.advance(&gtid(server, tag, number));
                    prop_assert_eq!(own.covers(&one), model.contains(&(server, tag, number)));
                }
            }
        }
        // Intervals rise and do not touch.
        for intervals in own.0.values() {
            prop_assert!(intervals.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert!(intervals.iter().all(|(first, last)| first <= last));
        }
        let mut parts = GtidSet::default();
        own.parts().for_each(|part| parts.unite(&part));
        prop_assert_eq!(&parts, &own);
        if !members.is_empty() {
            prop_assert_eq!(GtidSet::parse(&own.to_string()), Some(own));
        }
    }

    #[test]
    fn a_union_covers_both(
        left in prop::collection::vec(any_gtid(), 0..60),
        right in prop::collection::vec(any_gtid(), 0..60),
    ) {
        let of = |members: &[(u8, &str, u64)]| {
            let mut set = GtidSet::default();
            members.iter().for_each(|(server, tag, number)| set.advance(&gtid(*server, tag, *number)));
            set
        };
        let mut united = of(&left);
        united.unite(&of(&right));
        prop_assert!(united.covers(&of(&left)) && united.covers(&of(&right)));
        prop_assert_eq!(united, of(&[left, right].concat()));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f:,_ -]{0,80}", other in ".{0,80}") {
        for text in [text, other] {
            if let Some(read) = GtidSet::parse(&text) {
                prop_assert_eq!(GtidSet::parse(&read.to_string()), Some(read));
            }
        }
    }
}
