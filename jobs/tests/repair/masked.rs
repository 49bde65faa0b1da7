//! Personal data is masked in everything that is printed or told of a repair; the plan and what is announced of it hold
//! the values that are to be written.

use serde_json::{Map, Value};

use crate::centinel;
use crate::platform::Platform;

const NEW: &str = "6222020012345678";
const WRONG: &str = "6222999988887777";

#[test]
fn values_of_sensitive_columns_are_told_nowhere() {
    let mut platform = Platform::new();
    let payments = platform.payments();
    let row = payments.iter().find(|row| row["card_no"].is_string());
    let row: &Map<String, Value> = row.unwrap();
    let old = row["card_no"].as_str().unwrap().to_owned();
    let key = row["payment_no"].as_str().unwrap();
    let secrets = [NEW, WRONG, old.as_str()];
    let check = |what: &str, text: &str| {
        for secret in secrets {
            assert!(!text.contains(secret), "{what} tells {secret}: {text}");
        }
    };
    let line = |old: &str| {
        format!(
            "{{\"table\":\"payment\",\"operation\":\"update\",\"key\":{{\"payment_no\":\"{key}\"}},\
             \"old\":{{\"card_no\":\"{old}\"}},\"new\":{{\"card_no\":\"{NEW}\"}}}}\n"
        )
    };
    // The data does not fit the plan: that is shown.
    let wrong = platform.write("wrong.jsonl", &line(WRONG));
    let report = platform.at("report.txt");
    let plan = platform.at("wrong.json");
    let tried = ["--changes", &wrong, "--out", &plan, "--report", &report];
    let (status, out, said) = platform.try_plan(&tried);
    assert_eq!(status, 2, "{out}{said}");
    assert!(out.contains("****"), "{out}");
    check("the plan's text", &out);
    check("its complaints", &said);
    check("its report", &platform.read("report.txt"));
    let written: Value = serde_json::from_str(&platform.read("wrong.json")).unwrap();
    check("its result", &written["result"].to_string());
    assert_eq!(written["changes"][0]["new"]["card_no"], NEW);
    let (status, out, said) = centinel(&["repair", "approve", &plan, "--by", "Lin"]);
    assert_eq!(status, 2);
    check("a refusal", &(out + &said));

    // One that fits is announced, and something else is done.
    let right = platform.write("right.jsonl", &line(&old));
    let plan = platform.at("plan.json");
    let (status, out, said) = platform.try_plan(&["--changes", &right, "--out", &plan]);
    assert_eq!(status, 0, "{out}{said}");
    check("the plan's text", &(out + &said));
    platform.approve(&plan, "2s");
    assert!(platform.read("plans.jsonl").contains(NEW));
    check("the approval", &platform.read("approvals.jsonl"));
    platform.change(row, "card_no", WRONG);
    platform.wait_for_its_end();
    let told = platform.detect();
    assert_eq!(told.confirmed("manual-change-payment").len(), 1, "{told:?}");
    assert_eq!(
        told.confirmed("planned-change-payment").len(),
        1,
        "{told:?}"
    );
    let findings = platform.read("findings.jsonl");
    assert!(findings.contains("before_card_no"), "{findings}");
    check("detection", &findings);
    let (status, out, said) = platform.status(&plan);
    assert_eq!(status, 2);
    check("the status", &(out + &said));
    for format in ["text", "jsonl"] {
        let findings = platform.at("findings.jsonl");
        let (status, out, said) =
            centinel(&["changes", "--findings", &findings, "--format", format]);
        assert_eq!(status, 2);
        assert!(out.contains("****"), "{out}");
        check("the list of changes", &(out + &said));
    }
}
