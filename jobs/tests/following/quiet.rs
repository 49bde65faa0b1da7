//! `--until-quiet`: in a test environment, until nothing happens any more.

use crate::platform::{Platform, payment, rule};

#[test]
fn it_ends_when_the_log_is_quiet_and_says_what_broke() {
    let mut platform = Platform::new();
    // It waits a minute for more; that nothing more comes is what makes it sure.
    let large = rule("too-large", "amount > 500").replace("settle: 0s", "settle: 60s");
    platform.write("rules/too-large.sql", &large);
    platform.log(&[(None, &payment("P1", "100.00", ""))]);
    let junit = platform.path("junit.xml");
    let mut running = platform.detect(&["--until-quiet", "3s", "--junit", junit.to_str().unwrap()]);
    running.wait("the first payment", |_| {
        platform.path("state/state.redb").exists()
    });
    platform.log(&[
        (None, &payment("P2", "700.00", "")),
        (None, &payment("P3", "20.00", "")),
    ]);
    let findings = platform.path("findings.jsonl");
    let (status, said) = running.wait_for_end();
    assert_eq!(status, 2, "{said}");
    let found = std::fs::read_to_string(findings).unwrap();
    assert_eq!(found.lines().count(), 1, "{found}");
    let report = std::fs::read_to_string(&junit).unwrap();
    assert!(report.contains("<testcase name=\"too-large\""), "{report}");
    assert!(
        report.contains("O-P2") && report.contains("700.00"),
        "{report}"
    );
    assert!(
        !report.contains("O-P1") && !report.contains("O-P3"),
        "{report}"
    );
}

#[test]
fn a_quiet_platform_without_faults_is_clean() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.log(&[(None, &payment("P1", "100.00", ""))]);
    let (status, said) = platform.detect(&["--until-quiet", "500ms"]).wait_for_end();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("1 change in "), "{said}");
}

#[test]
fn stopped_before_it_was_quiet_it_could_not_judge() {
    let mut platform = Platform::new();
    platform.write("rules/too-large.sql", &rule("too-large", "amount > 500"));
    platform.log(&[(None, &payment("P1", "100.00", ""))]);
    let junit = platform.path("junit.xml");
    let arguments = ["--until-quiet", "600s", "--junit", junit.to_str().unwrap()];
    let mut running = platform.detect(&arguments);
    running.wait("the first payment", |_| {
        platform.path("state/state.redb").exists()
    });
    let (status, said) = running.terminate();
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("stopped before its end"), "{said}");
    let report = std::fs::read_to_string(&junit).unwrap();
    assert!(report.contains("stopped before its end"), "{report}");
}
