//! `centinel schedule` and the reports of audits as a person or a script meets them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod following;
mod platform;

use std::process::Command;

use serde_json::Value;

use platform::*;

const NIGHTLY: &str = "snapshot = \"snapshot\"\ncron = \"30 2 * * *\"\nzone = \"Asia/Shanghai\"";

#[test]
fn a_run_ends_with_the_audits_status_and_keeps_reports_and_history() {
    let platform = Platform::new(NIGHTLY);
    platform.lay("faulty", "snapshot");
    let (status, out, complaint) = platform.schedule(&["--list"]);
    assert_eq!((status, complaint.as_str()), (0, ""));
    assert!(
        out.contains("T02:30:00+08:00 (30 2 * * *, Asia/Shanghai)\n  never run\n"),
        "{out}"
    );

    let (status, out, complaint) = platform.once();
    assert_eq!((status, complaint.as_str()), (2, ""), "{out}");
    let [run] = &platform.ended()[..] else {
        panic!("{:#?}", platform.history())
    };
    assert_eq!(
        (&run["outcome"], &run["exit_status"]),
        (&"finished".into(), &2.into())
    );
    let result = &run["result"];
    assert_eq!(result["as_of"], "2026-11-22T08:25:30Z");
    assert_eq!(result["rules_version"].as_str().unwrap().len(), 16);
    let findings = result["findings"].as_u64().unwrap();
    assert!(
        findings > 10 && result["rows"].as_u64().unwrap() > 100,
        "{result}"
    );
    assert!(
        out.contains(&format!("nightly: finished, exit 2: {findings} findings, ")),
        "{out}"
    );

    let lines = platform.left("findings.jsonl");
    let told = lines
        .lines()
        .filter(|line| line.contains("\"schema\":\"centinel/finding/1\""));
    assert_eq!(told.count() as u64, findings);
    assert!(platform.left("junit.xml").contains("<testsuite"));
    let page = platform.left("report.html");
    for part in [
        "Something is wrong",
        "order-paid-once",
        "money at risk",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for loaded in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(loaded), "the page loads nothing: {loaded}");
    }
    let (_, out, _) = platform.schedule(&["--list"]);
    assert!(out.contains("finished, exit 2"), "{out}");
}

#[test]
fn runs_are_compared_with_the_one_before() {
    let platform = Platform::new(NIGHTLY);
    platform.lay("faulty", "snapshot");
    platform.once();
    let findings = platform.ended()[0]["result"]["findings"].as_u64().unwrap();
    assert_eq!(platform.ended()[0]["result"]["compared"], Value::Null);
    let compared = |new: u64, still: u64, gone: u64, unsure: u64| {
        let compared = platform.ended().pop().unwrap()["result"]["compared"].clone();
        let of = |name: &str| compared[name].as_u64().unwrap();
        assert_eq!(
            (of("new"), of("still_there"), of("gone"), of("unsure")),
            (new, still, gone, unsure)
        );
    };
    platform.once();
    compared(0, findings, 0, 0);
    assert!(
        platform.left("report.html").contains("<svg"),
        "plots over past runs"
    );

    // A table that is missing mends nothing.
    std::fs::remove_file(platform.path("snapshot/refund.parquet")).unwrap();
    let (status, ..) = platform.once();
    assert_eq!(status, 3);
    let of_missing = platform.ended().pop().unwrap()["result"].clone();
    let left = of_missing["findings"].as_u64().unwrap();
    assert!(left < findings);
    compared(0, left, 0, findings - left);
    assert!(
        platform
            .left("report.html")
            .contains("it could not be judged")
    );

    platform.lay("faulty", "snapshot");
    platform.once();
    platform.lay("healthy", "snapshot");
    let (status, ..) = platform.once();
    assert_eq!(status, 0);
    compared(0, 0, findings, 0);
    assert!(platform.left("report.html").contains("Nothing was found"));
    platform.lay("faulty", "snapshot");
    platform.once();
    compared(findings, 0, 0, 0);
}

/// A baseline that accepts everything the last run found.
fn baseline_of(platform: &Platform, until: &str) -> String {
    let lines = platform.left("findings.jsonl");
    let findings = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids = findings.filter_map(|line| line["finding_id"].as_str().map(str::to_owned));
    let entries = ids.map(|id| {
        format!("  - finding: \"{id}\"\n    reason: known\n    by: somebody\n    until: {until}\n")
    });
    format!(
        "centinel: baseline/1\naccepted:\n{}",
        entries.collect::<String>()
    )
}

#[test]
fn accepted_findings_are_shown_and_do_not_set_the_status_until_they_expire() {
    let platform = Platform::new(NIGHTLY);
    platform.lay("faulty", "snapshot");
    platform.once();
    let findings = platform.ended()[0]["result"]["findings"].as_u64().unwrap();
    let (known, expired) = (
        baseline_of(&platform, "9999-12-30"),
        baseline_of(&platform, "2020-01-01"),
    );
    platform.configure(&format!("{NIGHTLY}\nbaseline = \"known.yaml\""));
    std::fs::write(platform.path("known.yaml"), known).unwrap();
    let (status, ..) = platform.once();
    let result = platform.ended().pop().unwrap()["result"].clone();
    assert_eq!(
        (status, &result["findings"], &result["accepted"]),
        (0, &0.into(), &findings.into())
    );
    assert_eq!(result["compared"]["still_there"], findings);
    let page = platform.left("report.html");
    assert!(page.contains("Accepted findings") && page.contains("somebody"));
    assert!(platform.left("junit.xml").contains("all accepted"));

    std::fs::write(platform.path("known.yaml"), &expired).unwrap();
    let (status, ..) = platform.once();
    assert_eq!(status, 2);
    assert!(platform.left("report.html").contains("count again"));

    // The same file on a snapshot without them.
    let healthy = small("healthy").join("snapshot");
    let (page, known) = (platform.path("page.html"), platform.path("known.yaml"));
    let audit = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_centinel"));
        program.args([
            "audit",
            "--snapshot",
            healthy.to_str().unwrap(),
            "--baseline",
            known.to_str().unwrap(),
        ]);
        shown(program.args(more).current_dir(root()).output().unwrap())
    };
    let (status, out, complaint) = audit(&["--report", page.to_str().unwrap()]);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("known.yaml:3: accepted until 2020-01-01 and expired; it matched nothing"),
        "{out}"
    );
    assert!(
        std::fs::read_to_string(&page)
            .unwrap()
            .contains("matched nothing")
    );

    std::fs::write(&known, expired.replacen("reason:", "reson:", 1)).unwrap();
    let (status, _, complaint) = audit(&[]);
    assert_eq!(status, 64);
    assert!(
        complaint.contains("known.yaml:4: unknown field `reson`\n  help: did you mean `reason`?"),
        "{complaint}"
    );
}

/// Orders whose numbers are HTML, by way of detection and its archive.
#[test]
fn the_archive_is_audited_as_of_the_time_and_what_it_holds_is_text() {
    let platform = Platform::new("archive = \"archive\"\ncron = \"@daily\"\nlag = \"1h\"");
    let log = std::fs::read_to_string(small("faulty").join("jsonl/log.jsonl")).unwrap();
    // Every order number begins with this.
    let hostile = log.replace(
        "\"order_no\":\"20261122",
        "\"order_no\":\"<SCRIPT>ALERT('1')</SCRIPT>&20261122",
    );
    assert_ne!(log, hostile);
    std::fs::write(platform.path("log.jsonl"), hostile).unwrap();
    let at = |name: &str| platform.path(name).display().to_string();
    let mut detect = Command::new(env!("CARGO_BIN_EXE_centinel"));
    detect.args([
        "detect",
        "--until-end",
        "--state",
        &at("state"),
        "--input",
        &at("log.jsonl"),
        "--out",
        &at("out.jsonl"),
    ]);
    let detected = detect
        .args(["--archive", &at("archive")])
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(
        detected.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&detected.stderr)
    );

    let at_end = ["--once", "nightly", "--for", "2026-11-22T09:25:30Z"];
    let (status, _, complaint) = platform.schedule(&at_end);
    assert_eq!((status, complaint.as_str()), (2, ""));
    assert_eq!(
        platform.ended()[0]["result"]["as_of"],
        "2026-11-22T08:25:30Z"
    );
    let page = platform.left("report.html");
    assert!(page.contains("&lt;SCRIPT&gt;ALERT(&#39;1&#39;)&lt;/SCRIPT&gt;&amp;20261122"));
    assert!(!page.to_lowercase().contains("<script"));
    // Cards and accounts are masked as everywhere.
    for line in log.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        for column in ["payer_account", "card_no", "bank_card"] {
            if let Some(secret) = row["after"][column].as_str() {
                assert!(!page.contains(secret), "{column} is shown");
            }
        }
    }

    let (status, ..) = platform.schedule(&["--once", "nightly", "--for", "2026-11-22T10:00:00Z"]);
    assert_eq!(status, 3, "the archive is not so far");
    let ended = platform.ended().pop().unwrap();
    assert_eq!(
        (&ended["outcome"], &ended["result"]),
        (&"failed".into(), &Value::Null)
    );
    assert!(
        platform
            .left("report.html")
            .contains("Something could not be judged")
    );
    // A run without a result is not what the next is compared with.
    platform.schedule(&at_end);
    let compared = platform.ended().pop().unwrap()["result"]["compared"].clone();
    assert_eq!(
        (&compared["new"], &compared["gone"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn sudden_changes_against_past_runs_are_found() {
    let limits = "sudden_change = { rows_percent = 40, totals_percent = 40, from = 2 }";
    let platform = Platform::new(&format!("{NIGHTLY}\ntags = [\"balance\"]\n{limits}"));
    platform.lay("healthy", "snapshot");
    for _ in 0..2 {
        assert_eq!(platform.once().0, 0);
    }
    assert!(
        platform
            .left("findings.jsonl")
            .contains("is not judged before there are 2 past runs")
    );
    assert_eq!(platform.once().0, 0, "nothing has changed");
    let tables = platform.ended().pop().unwrap()["result"]["tables"].clone();
    let payment = tables
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["table"] == "payment")
        .unwrap();
    assert!(payment["totals"]["amount"]["CNY"].is_string(), "{payment}");
    platform.lay("faulty", "snapshot");
    assert_eq!(platform.once().0, 2);
    let lines = platform.left("findings.jsonl");
    let sudden: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["rule"] == "centinel/sudden-change" && line["entity_key"] == "payment")
        .collect();
    let measures: Vec<&str> = sudden
        .iter()
        .map(|line| line["key"][1][1].as_str().unwrap())
        .collect();
    assert_eq!(measures, ["rows", "total of amount in CNY"]);
}

#[test]
fn old_reports_are_removed_and_the_history_stays() {
    let platform = Platform::new(&format!(
        "{NIGHTLY}\nkeep = 2\nrules = [\"order-paid-once\"]"
    ));
    platform.lay("healthy", "snapshot");
    for _ in 0..4 {
        assert_eq!(platform.once().0, 0);
    }
    assert_eq!(platform.ended().len(), 4);
    let entries = std::fs::read_dir(platform.path("reports/nightly")).unwrap();
    let folders = entries.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 2);
    assert!(platform.left("report.html").contains("4 runs"));
}

#[test]
fn check_tells_what_is_wrong_with_audits() {
    let platform = Platform::new(&format!(
        "{NIGHTLY}\nrules = [\"order-paid-onse\"]\ntags = [\"balanse\"]\nbaseline = \"none.yaml\""
    ));
    let check = || shown(platform.command("check", &[]).output().unwrap());
    let (status, _, complaint) = check();
    assert_eq!(status, 64);
    for told in [
        "did you mean `order-paid-once`?",
        "did you mean `balance`?",
        "none.yaml: the baseline cannot be read",
    ] {
        assert!(complaint.contains(told), "{told}: {complaint}");
    }
    platform.configure(NIGHTLY);
    let (status, out, complaint) = check();
    assert_eq!(status, 3);
    assert!(out.contains("audit nightly: cannot be run"), "{out}");
    assert!(complaint.contains("snapshot"), "{complaint}");
    platform.lay("healthy", "snapshot");
    let (status, out, complaint) = check();
    assert_eq!((status, complaint.as_str()), (0, ""));
    assert!(out.contains("audit nightly: can be run"), "{out}");
}

#[test]
fn rules_of_several_folders_are_asked_together() {
    let (rules, quality) = (root().join("sql-rules"), root().join("sql-rules/quality"));
    let platform = Platform::new(&format!("{NIGHTLY}\nfolders = [{rules:?}, {quality:?}]"));
    platform.lay("healthy", "snapshot");
    let (status, out, complaint) = platform.once();
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    let lines = platform.left("findings.jsonl");
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let asked: Vec<&str> = summary["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect();
    assert!(
        asked.contains(&"order-paid-once") && asked.contains(&"settled-after-paid"),
        "{asked:?}"
    );
}

#[test]
fn an_audit_that_nobody_declared_is_wrong_usage() {
    let platform = Platform::new(NIGHTLY);
    let (status, _, complaint) = platform.schedule(&["--once", "nigthly"]);
    assert_eq!(status, 64);
    assert!(complaint.contains("did you mean `nightly`?"), "{complaint}");
}
