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
    // What came before the last take-over counts.
    assert!(said.contains("4 changes in "), "{said}");
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

/// How often something was told of sources.
fn told_of_sources(platform: &Platform, state: &str) -> usize {
    let text = std::fs::read_to_string(platform.path("findings.jsonl")).unwrap_or_default();
    let told = format!("\"state\":\"{state}\"");
    text.matches(&told).count()
}

/// What counts is what is in the files, not when they were written; and what was told of sources is not told again.
#[test]
fn only_other_contents_take_over() {
    let mut platform = Platform::new();
    let large = |amount: u32| rule("too-large", &format!("amount > {amount}"));
    platform.write("rules/too-large.sql", &large(500));
    platform.log(&[(None, &payment("P1", "300.00", ""))]);
    let mut running = platform.detect(&["--follow", "--silent-after", "1s"]);
    running.wait("the silent source", |_| {
        told_of_sources(&platform, "behind") == 1
    });

    // Written over themselves, and touched.
    platform.write("rules/too-large.sql", &large(500));
    platform.write("schemas/payment.yaml", PAYMENT);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let said = running.said();
    assert!(
        !said.contains("taken over") && !said.contains("say again"),
        "{said}"
    );

    // Other contents of the same length and time.
    let path = platform.path("rules/too-large.sql");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let text = large(200);
    std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    running.wait_told("confirmed too-large P1");
    assert_eq!(running.times_said("taken over: "), 1, "{}", running.said());
    assert_eq!(told_of_sources(&platform, "behind"), 1);
    platform.log(&[(None, &payment("P2", "900.00", ""))]);
    running.wait_told("confirmed too-large P2");
    running.wait("the source that moves", |_| {
        told_of_sources(&platform, "moving") == 1
    });
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
}

/// What was refused is not in force: the files may go back to what is.
#[test]
fn after_a_refusal_the_files_are_compared_with_what_is_in_force() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.log(&[(None, &payment("P1", "700.00", ""))]);
    let mut running = platform.detect(&["--follow"]);
    running.wait_told("confirmed too-large P1");
    let retyped = PAYMENT.replace("  status: text\n", "  status: json\n");
    platform.write("schemas/payment.yaml", &retyped);
    running.wait_said("column `status` was text and is json");

    // Only a rule changes: the schemas in the files are refused again, with it.
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 600"));
    running.wait("the second refusal", |running| {
        running.times_said(STAYS) == 2
    });
    platform.write("schemas/payment.yaml", PAYMENT);
    running.wait_said("taken over: `too-large` changed");
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    assert!(!said.contains("taken over: schemas"), "{said}");
}

/// Where sources are read is in the configuration, which is read at the start.
#[test]
fn a_source_that_nothing_reads_does_not_take_over() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.log(&[(None, &payment("P1", "700.00", ""))]);
    let mut running = platform.detect_configured();
    running.wait_told("confirmed too-large P1");
    let refund = PAYMENT
        .replace("payment-db", "refund-db")
        .replace("payment", "refund");
    platform.write("schemas/refund.yaml", &refund);
    running.wait_said("nothing says where the source `refund-db` of the schemas is read");
    running.wait_said("add [sources.refund-db] with its `kind`");
    running.wait_said("the configuration is read at the start only: mend it, and start again");
    running.wait_said(STAYS);
    platform.log(&[(None, &payment("P2", "800.00", ""))]);
    running.wait_told("confirmed too-large P2");
    std::fs::remove_file(platform.path("schemas/refund.yaml")).unwrap();
    running.wait_said("the files say again what is in force");
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    assert!(!said.contains("taken over"), "{said}");
}

/// Opening a pipe would wait for whoever writes to it.
#[test]
fn a_pipe_among_the_files_is_refused_by_name() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.log(&[(None, &payment("P1", "700.00", ""))]);
    let mut running = platform.detect(&["--follow"]);
    running.wait_told("confirmed too-large P1");
    let pipe = platform.path("rules/piped.sql");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    running.wait_said("it is a pipe, not a file");
    running.wait_said("rules/piped.sql");
    running.wait_said(STAYS);
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    let (status, said) = platform.detect(&[]).wait_for_end();
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("it is a pipe, not a file"), "{said}");
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

/// What is asked about a row that somebody changed by hand changes while detection runs.
#[test]
fn checkpoints_take_over_and_broken_ones_leave_the_old_in_force() {
    const GUARD: &str = "guard:\n  window: 1s\n  checkpoint: chain\n  explained_by:\n    - { operations: [insert] }\n";
    let mut platform = Platform::new();
    platform.write("schemas/payment.yaml", &format!("{PAYMENT}{GUARD}"));
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.write("rules/is-round.sql", &rule("is-round", "amount = 100"));
    let chain = |rules: &str| {
        format!(
            "centinel: checkpoints/1\ncheckpoints:\n  chain: {{ rules: [{rules}], settle: 0s, retries: 0, \
             retry_interval: 0s }}\n"
        )
    };
    platform.write("rules/checkpoints.yaml", &chain("too-large"));
    let small = |number: &str| payment(number, "7.00", "");
    let large = |number: &str| payment(number, "700.00", "");
    platform.log(&[
        (None, &small("P1")),
        (None, &small("P2")),
        (None, &small("P3")),
    ]);
    let mut running = platform.detect(&["--follow"]);
    let findings = platform.path("findings.jsonl");
    // What the checkpoint of a change says: the rules that were asked, and their answers.
    let asked = |id: &str| -> Vec<(String, String)> {
        let told = std::fs::read_to_string(&findings).unwrap();
        let told = told
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told: Vec<serde_json::Value> = told.filter(|told| told["key"][1][1] == id).collect();
        let rules = told.last().unwrap()["checkpoint"]["rules"]
            .as_array()
            .unwrap()
            .clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        rules
            .iter()
            .map(|rule| (text(&rule["rule"]), text(&rule["verdict"])))
            .collect()
    };
    let answer = |rule: &str, verdict: &str| vec![(rule.to_owned(), verdict.to_owned())];
    // The rows behind the change move the clock beyond its window.
    platform.log(&[
        (Some(&small("P1")), &large("P1")),
        (None, &small("P4")),
        (None, &small("P5")),
    ]);
    running.wait_told("confirmed manual-change-payment P1@1.4.0");
    assert_eq!(asked("P1@1.4.0"), answer("too-large", "violated"));

    platform.write("rules/checkpoints.yaml", &chain("is-round"));
    running.wait_said("`manual-change-payment` changed");
    platform.log(&[
        (Some(&small("P2")), &large("P2")),
        (None, &small("P6")),
        (None, &small("P7")),
    ]);
    running.wait_told("confirmed manual-change-payment P2@1.7.0");
    assert_eq!(asked("P2@1.7.0"), answer("is-round", "passed"));

    platform.write("rules/checkpoints.yaml", &chain("is-rond"));
    running.wait_said("is-rond");
    running.wait("the refusal", |running| running.times_said(STAYS) == 1);
    platform.log(&[
        (Some(&small("P3")), &payment("P3", "100.00", "")),
        (None, &small("P8")),
        (None, &small("P9")),
    ]);
    running.wait_told("confirmed manual-change-payment P3@1.10.0");
    assert_eq!(asked("P3@1.10.0"), answer("is-round", "violated"));
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
}
