//! Drills with the built program: every fault is noticed in its time, the breaker holds what it has to, and nothing of a
//! drill is ever found among what is real.
#![allow(clippy::unwrap_used, clippy::panic)]

mod beside;
mod copied;
mod place;

use std::collections::BTreeSet;

use place::*;

#[test]
fn every_fault_is_detected_in_its_time_and_the_breaker_holds() {
    let place = Place::new();
    let (status, out, complaint) = place.drill(&["--with-breaker", "--format", "jsonl"]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    let mut all = lines(&out);
    let last = all.pop().unwrap();
    assert_all_detected(&all, true);
    let drill = text(&last, "drill").to_owned();
    for line in &all {
        assert_eq!(text(line, "schema"), "centinel/drill-fault/1");
        assert_eq!(text(line, "drill"), drill);
    }
    assert_eq!(text(&last, "schema"), "centinel/drill/1");
    assert_eq!(
        (number(&last, "detected"), number(&last, "false_alarms")),
        (42, 0)
    );
    assert_eq!(place.history("drills"), std::slice::from_ref(&last));
    let asked = number(&last["breaker"], "asked");
    let held = number(&last["breaker"]["held"], "requests");
    assert!(
        asked > 500 && held > 0 && held < asked / 2,
        "{held} of {asked}"
    );

    // Again, for people: it is a drill, it is as before, and the history has both.
    let (status, out, complaint) = place.drill(&["--with-breaker"]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with("DRILL ") && out.contains("nothing here is real"),
        "{out}"
    );
    assert!(out.contains(&format!("as in drill {drill}")), "{out}");
    assert_eq!(place.history("drills").len(), 2);
    let left: BTreeSet<String> = std::fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        left,
        ["drills".to_owned()].into(),
        "a drill leaves its history alone"
    );
}

#[test]
fn drills_of_other_seeds_and_sizes_detect_the_same() {
    for (seed, orders) in [("7", "300"), ("11", "1500")] {
        let place = Place::new();
        let arguments = [
            "--seed",
            seed,
            "--orders",
            orders,
            "--format",
            "jsonl",
            "--out",
            "out.jsonl",
        ];
        let (status, out, complaint) = place.drill(&arguments);
        assert_eq!((status, out.as_str(), complaint.as_str()), (0, "", ""));
        let mut all = lines(&std::fs::read_to_string(place.path("out.jsonl")).unwrap());
        all.pop();
        assert_all_detected(&all, false);
        assert!(all.iter().all(|fault| fault["breaker"].is_null()));
    }
}

#[test]
fn a_fault_whose_rule_is_missing_is_named_and_ends_with_2() {
    let whole = Place::new();
    let kinds = [
        "--kind",
        "missing-billing",
        "duplicate-payment",
        "zero-payment",
    ];
    let (status, out, _) = whole.drill(&kinds);
    assert_eq!(status, 0, "{out}");

    // One fault is seen by no other rule, one by three others.
    let place = Place::without(&["paid-order-is-billed", "order-paid-once"]);
    std::fs::rename(whole.path("drills"), place.path("drills")).unwrap();
    let (status, out, complaint) = place.drill(&kinds);
    assert_eq!((status, complaint.as_str()), (2, ""), "{out}");
    let row = |kind: &str| -> Vec<&str> {
        let row = out
            .lines()
            .find(|line| line.starts_with(&format!("{kind} ")));
        row.unwrap().split_whitespace().collect()
    };
    assert_eq!(row("missing-billing")[2..4], ["UNNOTICED", "-"]);
    assert_eq!(row("duplicate-payment")[2], "incomplete");
    assert_eq!(
        row("zero-payment")[2..4],
        ["detected", "payment-amount-is-positive"]
    );
    for told in [
        "missing-billing: paid-order-is-billed must find it and is not among the rules",
        "duplicate-payment: order-paid-once must find it and is not among the rules",
        "worse than in drill",
        ": missing-billing, duplicate-payment",
        "detected 1, incomplete 1, unnoticed 1",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    let history = place.history("drills");
    assert_eq!(
        history[1]["compared"]["worse"],
        serde_json::json!(["missing-billing", "duplicate-payment"])
    );
    assert_eq!(
        (
            number(&history[0], "exit_status"),
            number(&history[1], "exit_status")
        ),
        (0, 2)
    );
}

/// A rule that waits longer is slower than before; one that is wrong about the money is no detection as it has to be.
#[test]
fn a_rule_that_waits_longer_or_tells_other_money_is_told() {
    let place = Place::without(&[]);
    let kinds = ["--kind", "missing-billing", "zero-payment"];
    let (status, ..) = place.drill(&kinds);
    assert_eq!(status, 0);
    let change = |rule: &str, from: &str, to: &str| {
        let path = place.path("rules").join(format!("{rule}.sql"));
        let before = std::fs::read_to_string(&path).unwrap();
        let after = before.replacen(from, to, 1);
        assert_ne!(before, after);
        std::fs::write(path, after).unwrap();
    };
    change("paid-order-is-billed", "settle: 2m", "settle: 3m");
    let (status, out, _) = place.drill(&kinds);
    assert_eq!(status, 2, "{out}");
    assert!(
        out.contains("missing-billing: paid-order-is-billed was sure "),
        "{out}"
    );
    assert!(out.contains("slower than in drill"), "{out}");
    assert_eq!(
        place.history("drills")[1]["compared"]["slower"][0]["kind"],
        "missing-billing"
    );
    // Later than the drill lasts: it did not find it.
    change("paid-order-is-billed", "settle: 3m", "settle: 10h");
    let (status, out, _) = place.drill(&kinds);
    assert_eq!(status, 2, "{out}");
    assert!(
        out.contains("paid-order-is-billed must find it and did not"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_drilled_is_said() {
    let place = Place::new();
    let (status, out, complaint) = place.drill(&["--kind", "duplicate-refnd"]);
    assert_eq!((status, out.as_str()), (64, ""));
    assert!(
        complaint.contains("did you mean `duplicate-refund`?"),
        "{complaint}"
    );
    let (status, _, complaint) = place.drill(&["--orders", "10"]);
    assert_eq!(status, 64);
    assert!(complaint.contains("60..=20000"), "{complaint}");

    // Schemas of another platform: nobody can say.
    let schemas = place.path("schemas");
    std::fs::create_dir(&schemas).unwrap();
    std::fs::write(
        schemas.join("entities.yaml"),
        "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n",
    )
    .unwrap();
    std::fs::write(
        schemas.join("payment.yaml"),
        "centinel: schema/1\ntable: payment\nsystem: payment\nsource: payment-db\nprimary_key: [payment_no]\n\
         entities: { order: [order_no] }\ncolumns:\n  payment_no: text\n  order_no: text\n",
    )
    .unwrap();
    let rules = place.path("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(
        rules.join("one.sql"),
        "/* ---\nid: one\ntitle: One\nentity: order\nseverity: warn\nkey: [order_no]\nowner: payment\nstatus: shadow\n\
         --- */\nSELECT order_no FROM payment WHERE payment_no = 'P1'\n",
    )
    .unwrap();
    let mut command = centinel(place.folder.path(), &["drill", "run", "--folder", "drills"]);
    command
        .arg("--schemas")
        .arg(schemas)
        .arg("--rules")
        .arg(rules);
    let (status, out, _) = shown(command.output().unwrap());
    assert_eq!(status, 3, "{out}");
    assert!(out.contains("the schemas lack refund-db"), "{out}");
    assert!(out.contains("records could not be read"), "{out}");
}
