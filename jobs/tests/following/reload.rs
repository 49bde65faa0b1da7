//! Rules and schemas change while detection runs.

use crate::platform::{PAYMENT, Platform, payment, rule};

const STAYS: &str = "stay in force until this is mended";

#[test]
fn rules_take_over_and_broken_ones_leave_the_old_in_force() {
    let mut platform = Platform::new();
    let large = |condition: &str| rule("too-large", condition);
    platform.write("rules/too-large.sql", &large("amount > 500"));
    platform.log(&[
        (None, &payment("P1", "100.00", "")),
        (None, &payment("P2", "700.00", "")),
    ]);
    let mut running = platform.detect(&["--follow"]);
    running.wait_told("confirmed too-large P2");
    assert_eq!(running.told().len(), 1);

    // What was there before is looked at by the changed rule, and by a new one.
    platform.write("rules/too-large.sql", &large("amount > 50"));
    platform.write("rules/is-round.sql", &rule("is-round", "amount = 100"));
    running.wait_told("confirmed too-large P1");
    running.wait_told("confirmed is-round P1");
    running.wait_said("taken over: `is-round` is new, `too-large` changed");
    running.wait_said("looking again at what is in state: ");
    running.wait_said("everything in state has been looked at again");

    // A mistake is shown in its file; the old rule goes on.
    platform.write("rules/too-large.sql", &large("amuont > 5"));
    running.wait_said("did you mean `amount`?");
    running.wait_said(STAYS);
    platform.log(&[
        (None, &payment("P3", "60.00", "")),
        (None, &payment("P4", "7.00", "")),
    ]);
    running.wait_told("confirmed too-large P3");

    // Tests of rules are not what runs.
    platform.write("rules/too-large.test.yaml", "tests: 5");
    platform.write("rules/too-large.sql", &large("amount > 80"));
    running.wait_told("rule_changed too-large P3");
    assert_eq!(running.times_said(STAYS), 1, "{}", running.said());

    // A rule that goes takes its findings along.
    std::fs::remove_file(platform.path("rules/is-round.sql")).unwrap();
    running.wait_told("rule_changed is-round O-P1");
    running.wait_said("taken over: `is-round` is gone");

    let told = running.told();
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("too-large: 2 confirmed, 0 undetermined"),
        "{said}"
    );
    assert!(!said.contains("is-round:"), "{said}");
    assert!(
        said.contains("4 changes") || said.contains("(0 delivered again)"),
        "{said}"
    );
    assert_eq!(told.len(), 6, "{told:#?}");
}

#[test]
fn a_column_comes_while_detection_runs_and_what_cannot_be_is_refused() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    let old = payment("P1", "100.00", "");
    platform.log(&[(None, &old), (None, &payment("P2", "700.00", ""))]);
    let mut running = platform.detect(&["--follow"]);
    running.wait_told("confirmed too-large P2");

    // Rows that are in state have no value there.
    let channel = |kind: &str| {
        PAYMENT.replace(
            "  status: text\n",
            &format!("  channel: {kind}\n  status: text\n"),
        )
    };
    platform.write("schemas/payment.yaml", &channel("text"));
    running.wait_said("column `channel` is new and not nullable");
    running.wait("the refusal", |running| running.times_said(STAYS) == 1);
    platform.log(&[(None, &payment("P3", "800.00", ""))]);
    running.wait_told("confirmed too-large P3");

    platform.write(
        "schemas/payment.yaml",
        &channel("{ type: text, nullable: true }"),
    );
    platform.write(
        "rules/by-voucher.sql",
        &rule("by-voucher", "channel = 'VOUCHER'"),
    );
    running.wait_said("taken over: schemas, `by-voucher` is new");
    let new = payment("P1", "100.00", r#","channel":"VOUCHER""#);
    platform.log(&[
        (Some(&old), &new),
        (None, &payment("P4", "20.00", r#","channel":"VOUCHER""#)),
        (None, &payment("P5", "900.00", r#","channel":"CARD""#)),
    ]);
    for finding in [
        "confirmed by-voucher P1",
        "confirmed by-voucher P4",
        "confirmed too-large P5",
    ] {
        running.wait_told(finding);
    }

    // Of another type it would be misread.
    platform.write("rules/by-voucher.sql", &rule("by-voucher", "channel = 7"));
    platform.write(
        "schemas/payment.yaml",
        &channel("{ type: integer, nullable: true }"),
    );
    running.wait_said("column `channel` was text and is integer");
    platform.log(&[(None, &payment("P6", "30.00", r#","channel":"VOUCHER""#))]);
    running.wait_told("confirmed by-voucher P6");
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");

    // A start refuses them as well; with those that were in force it goes on, and with the column gone too.
    let (status, said) = platform.detect(&[]).wait_for_end();
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("was text and is integer"), "{said}");
    platform.write("schemas/payment.yaml", PAYMENT);
    std::fs::remove_file(platform.path("rules/by-voucher.sql")).unwrap();
    let (status, said) = platform.detect(&[]).wait_for_end();
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("too-large: 3 confirmed, 0 undetermined"),
        "{said}"
    );
}

/// Asked to end while a new rule is being looked for in a large state, it ends, and the next start goes on there.
#[test]
fn it_ends_when_asked_while_it_looks_again() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    let payments: Vec<String> = (0..3_000)
        .map(|number| payment(&format!("P{number}"), "1.00", ""))
        .collect();
    let rows: Vec<(Option<&str>, &str)> = payments.iter().map(|row| (None, row.as_str())).collect();
    platform.log(&rows);
    let (status, said) = platform.detect(&[]).wait_for_end();
    assert_eq!(status, 0, "{said}");
    platform.write("rules/is-one.sql", &rule("is-one", "amount = 1"));
    let mut running = platform.detect(&["--follow"]);
    running.wait_said("looking again at what is in state: ");
    let (_, said) = running.terminate();
    assert!(said.contains("3,000 documents"), "{said}");
    let running = platform.detect(&[]);
    let (status, said) = running.wait_for_end();
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("is-one: 3000 confirmed, 0 undetermined"),
        "{said}"
    );
    let found = std::fs::read_to_string(platform.path("findings.jsonl")).unwrap();
    assert_eq!(found.lines().count(), 3_000, "each is told once");
}
