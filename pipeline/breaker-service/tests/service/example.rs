//! The example caller in the README, as it stands there.

use std::process::Command;

use serde_json::json;

use crate::support::{Service, release, trip};

const README: &str = include_str!("../../README.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_python_caller_of_the_readme_works() {
    let program = README
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let program = program
        .expect("the README has an example in Python")
        .to_owned();
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check", "dispositions"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("caller.py");
    std::fs::write(&file, program).unwrap();
    let call = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(&file).args(arguments);
        command
            .env("BREAKER_URL", &service.url)
            .env("BREAKER_KEY", &key);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let refund = ["check", "r1", "refund", "B1", "M1", "O1", "10.00", "CNY"];
    assert_eq!(tokio::task::block_in_place(|| call(&refund)), "allow");
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["refund"]))
        .await;
    assert_eq!(
        tokio::task::block_in_place(|| call(&refund)),
        "hold: double refunds"
    );
    service
        .post("/v1/releases", &ann, release("a1", "T1", None, "resume"))
        .await;
    assert_eq!(
        tokio::task::block_in_place(|| call(&["dispositions", "0"])),
        "1 r1 resume"
    );
    assert_eq!(tokio::task::block_in_place(|| call(&refund)), "allow");

    // Nobody there: the caller's own default.
    let output = Command::new("python3")
        .arg(&file)
        .args(refund)
        .env("BREAKER_URL", "http://127.0.0.1:1")
        .env("BREAKER_KEY", "none")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("allow by default"), "{said}");
    assert_eq!(
        json!(service.get("/v1/trips/T1", &ann).await["state"]),
        "released"
    );
    service.stop().await;
}
