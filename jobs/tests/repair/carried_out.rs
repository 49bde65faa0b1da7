//! What is carried out beside what was approved: `repair approve --announce`, `detect`, `repair status`.

use std::io::Write;
use std::process::Command;

use serde_json::{Map, Value};

use crate::platform::Platform;

fn number(row: &Map<String, Value>) -> &str {
    row["payment_no"].as_str().unwrap()
}

#[test]
fn what_is_done_otherwise_than_planned_is_told_and_the_plan_is_broken() {
    let mut platform = Platform::new();
    let payments = platform.payments();
    let [exact, other, never, unplanned, ..] = &payments[..] else {
        panic!("{} payments", payments.len())
    };
    assert_eq!(platform.detect().status, 0, "the platform is healthy");
    let plan = platform.plan(&[number(exact), number(other), number(never)]);
    platform.approve(&plan, "6s");
    let announced = platform.read("plans.jsonl");
    assert_eq!(announced.lines().count(), 3, "{announced}");

    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    assert!(out.contains("not known\n  there is time until 2"), "{out}");
    platform.change(exact, "business_code", "B9");
    platform.change(other, "business_code", "B7");
    platform.change(unplanned, "business_code", "B9");
    platform.wait_for_its_end();
    // Silence is not success: nobody has looked yet.
    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    assert!(
        out.contains("detection has not told yet") && out.contains("--announce"),
        "{out}"
    );
    let told = platform.detect();
    assert_eq!(told.status, 2);
    let manual = told.confirmed("manual-change-payment");
    let of = |row: &Map<String, Value>| {
        manual
            .iter()
            .filter(|key| key.starts_with(&format!("{}@", number(row))))
            .count()
    };
    assert_eq!(
        [of(exact), of(other), of(never), of(unplanned), manual.len()],
        [0, 1, 0, 1, 2],
        "{manual:?}"
    );
    let planned = told.confirmed("planned-change-payment");
    let numbers: Vec<&str> = planned
        .iter()
        .filter_map(|key| Some(key.rsplit_once('/')?.1))
        .collect();
    assert_eq!(numbers.len(), 2, "{planned:?}");
    let named = |number: &str| {
        let id = format!("/{number}\"");
        let line = announced.lines().find(|line| line.contains(&id)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        line["after"]["payment_no"].as_str().unwrap().to_owned()
    };
    let mut named: Vec<String> = numbers.iter().map(|number| named(number)).collect();
    named.sort();
    let mut expected = [number(other), number(never)];
    expected.sort();
    assert_eq!(named, expected);

    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 2, "{out}");
    assert!(out.contains("approved by Lin at "), "{out}");
    assert!(out.contains("\nbroken\n"), "{out}");
    let lines = |rule: &str| out.matches(&format!("  {rule} of ")).count();
    assert_eq!(
        (
            lines("manual-change-payment"),
            lines("planned-change-payment")
        ),
        (1, 2),
        "the change of a row that nobody planned is no part of the plan: {out}"
    );
    // What could not be judged is not broken and not verified.
    let findings = platform.read("findings.jsonl");
    let unsure = findings.replace("\"verdict\":\"confirmed\"", "\"verdict\":\"undetermined\"");
    platform.write("findings.jsonl", &unsure);
    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    assert!(out.contains(": could not be judged"), "{out}");
}

#[test]
fn a_plan_that_was_carried_out_is_verified_and_every_other_answer_says_what_to_do() {
    let mut platform = Platform::new();
    let payments = platform.payments();
    let plan = platform.plan(&[number(&payments[0])]);
    let (status, _, said) = platform.status(&plan);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("approvals.jsonl") && said.contains("approve the plan first"),
        "{said}"
    );
    platform.approve(&plan, "3s");
    let (status, _, said) = platform.status(&plan);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("findings.jsonl") && said.contains("name the file that detection writes"),
        "{said}"
    );
    platform.change(&payments[0], "business_code", "B9");
    platform.wait_for_its_end();
    let told = platform.detect();
    assert_eq!((told.status, told.findings.len()), (0, 0), "{told:?}");
    let (status, out, said) = platform.status(&plan);
    assert_eq!((status, said.as_str()), (0, ""), "{out}");
    assert!(
        out.ends_with("verified: every change was made as planned\n"),
        "{out}"
    );

    // A source that is behind may hold anything.
    let findings = platform.read("findings.jsonl");
    let source = |state: &str| {
        format!(
            "{{\"schema\":\"centinel/source/1\",\"source\":\"payment-db\",\"state\":\"{state}\"}}\n"
        )
    };
    platform.write("findings.jsonl", &(findings.clone() + &source("behind")));
    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    assert!(out.contains("source payment-db is behind"), "{out}");
    let mended = findings.clone() + &source("behind") + &source("moving");
    platform.write("findings.jsonl", &mended);
    assert_eq!(platform.status(&plan).0, 0);

    // Approved once more, it has time again.
    platform.approve(&plan, "1h");
    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    assert!(out.contains("there is time until"), "{out}");

    let text = platform.read("plan.json");
    let edited = platform.write("edited.json", &text.replacen("\"B9\"", "\"B8\"", 1));
    let other = platform.write("other.json", "{\"schema\":\"centinel/finding/1\"}");
    let missing = platform.at("nowhere.json");
    for (plan, status, told) in [
        (&edited, 3, "was changed after it was planned; plan again"),
        (&other, 3, "is not a form that this version reads"),
        (&missing, 64, "name the plan that `repair plan --out` wrote"),
    ] {
        let (found, out, said) = platform.status(plan);
        assert_eq!((found, out.as_str()), (status, ""), "{said}");
        assert!(said.contains(told), "{said}");
    }
    // One that others approved.
    let approvals = platform.read("approvals.jsonl");
    let id: Value = serde_json::from_str(&text).unwrap();
    let others = approvals.replace(id["id"].as_str().unwrap(), "another");
    platform.write("approvals.jsonl", &others);
    let (status, _, said) = platform.status(&plan);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("the plan is not approved in it; approve it"),
        "{said}"
    );
}

/// Nothing waits for the other end of a pipe.
#[test]
fn pipes_are_refused_in_the_place_of_plans_and_findings() {
    let platform = Platform::new();
    let pipe = platform.at("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let plan = platform.plan(&[number(&platform.payments()[0])]);
    platform.approve(&plan, "1h");
    for (arguments, status) in [
        (
            vec![
                "repair",
                "status",
                pipe.as_str(),
                "--findings",
                "nowhere.jsonl",
            ],
            64,
        ),
        (
            vec![
                "repair",
                "status",
                plan.as_str(),
                "--findings",
                pipe.as_str(),
            ],
            3,
        ),
        (vec!["repair", "approve", pipe.as_str(), "--by", "Lin"], 64),
        (vec!["changes", "--findings", pipe.as_str()], 3),
    ] {
        let (found, out, said) = crate::centinel_in_time(&arguments);
        assert_eq!((found, out.as_str()), (status, ""), "{arguments:?}: {said}");
        assert!(
            said.contains("it is a pipe, not a file; name the "),
            "{said}"
        );
    }
    let snapshot = crate::snapshot();
    let location = snapshot.path().display().to_string();
    let (status, _, said) =
        crate::centinel_in_time(&["repair", "plan", "--snapshot", &location, "--sql", &pipe]);
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("it is a pipe, not a file"), "{said}");
}

/// A crash while plans are announced leaves half a line: nothing is told on it, and the next announcement ends it.
#[test]
fn half_an_announcement_is_waited_for() {
    let mut platform = Platform::new();
    let payments = platform.payments();
    platform.detect();
    let plan = platform.plan(&[number(&payments[0])]);
    platform.approve(&plan, "3s");
    let announced = platform.read("plans.jsonl");
    platform.write("plans.jsonl", &announced[..announced.len() / 2]);
    platform.change(&payments[0], "business_code", "B9");
    platform.wait_for_its_end();
    let told = platform.detect();
    assert!(told.findings.is_empty(), "{told:?}");
    let (status, out, _) = platform.status(&plan);
    assert_eq!(status, 3, "{out}");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(platform.path("plans.jsonl"))
        .unwrap();
    file.write_all(&announced.as_bytes()[announced.len() / 2..])
        .unwrap();
    let told = platform.detect();
    assert!(told.findings.is_empty(), "{told:?}");
    assert_eq!(platform.status(&plan).0, 0);
}
