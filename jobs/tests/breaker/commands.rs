//! The commands by themselves.

use std::io::Write;
use std::process::Stdio;

use crate::shop::{PASSWORD, Shop, payment, shown, until};

#[test]
fn the_log_is_right_until_somebody_changes_the_store() {
    let mut shop = Shop::new(false);
    shop.rule(
        "too-large",
        "status: stable\ntrip: { points: [settlement], by: order }",
        "amount > 500",
    );
    let (status, _, said) = shop.run(&["breaker", "verify-log"]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("there is no such store"), "{said}");

    let breaker = shop.begin();
    let detection = shop.detect();
    shop.log(&[(None, &payment("P1", "M1", "700.00"))]);
    until("the trip", || (breaker.trips().len() == 1).then_some(()));
    // While it runs, too.
    let (status, out, said) = shop.run(&["breaker", "verify-log", "--config", "centinel.toml"]);
    assert_eq!(status, 0, "{out}{said}");
    let head = out.trim().rsplit(' ').next().unwrap().to_owned();
    drop(detection);
    assert_eq!(breaker.running.terminate(), 0);
    let (status, out, _) = shop.run(&["breaker", "verify-log", "--noted", &head]);
    assert_eq!(status, 0, "{out}");
    let (sequence, hash) = head.split_once(':').unwrap();
    let other = format!("{sequence}:{}", hash.chars().rev().collect::<String>());
    let (status, out, _) = shop.run(&["breaker", "verify-log", "--noted", &other]);
    assert_eq!(status, 2, "{out}");
    assert!(out.contains("is not the one that was noted"), "{out}");
    assert_eq!(shop.run(&["breaker", "verify-log", "--noted", "17"]).0, 64);

    // One letter of what the log says of the trip.
    let path = shop.path("breaker.db");
    let mut store = std::fs::read(&path).unwrap();
    let wanted = b"rule too-large is broken";
    let places: Vec<usize> = (0..store.len() - wanted.len())
        .filter(|place| store[*place..].starts_with(wanted))
        .collect();
    assert!(places.len() >= 2, "in the log and in the record");
    let mut wrong = 0;
    for place in places {
        let kept = std::mem::replace(&mut store[place], b'm');
        std::fs::write(&path, &store).unwrap();
        let (status, out, said) = shop.run(&["breaker", "verify-log"]);
        // What lies in a page that is not used any more says nothing.
        assert_eq!(
            status == 2,
            out.starts_with("wrong: "),
            "{status} {out}{said}"
        );
        wrong += usize::from(status == 2);
        store[place] = kept;
    }
    assert!(wrong >= 2, "{wrong}");
    std::fs::write(&path, &store).unwrap();
    assert_eq!(shop.run(&["breaker", "verify-log"]).0, 0);
    store[..100].fill(0);
    std::fs::write(&path, &store).unwrap();
    assert_eq!(shop.run(&["breaker", "verify-log"]).0, 3);
}

#[test]
fn there_is_one_first_admin_and_the_password_is_no_argument() {
    let shop = Shop::new(false);
    let admin = |name: &str, line: &str| {
        let mut command = shop.centinel(&["breaker", "first-admin", name]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        shown(child.wait_with_output().unwrap())
    };
    let (status, _, said) = admin("root", "\n");
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("BREAKER_PASSWORD"), "{said}");
    let (status, _, said) = admin("root", "short\n");
    assert_eq!(status, 3, "{said}");
    let (status, _, said) = admin("root", &format!("{PASSWORD}\nmore\n"));
    assert_eq!(status, 0, "{said}");
    let (status, _, said) = admin("other", &format!("{PASSWORD}\n"));
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("there is an admin"), "{said}");
    assert_eq!(
        shop.run(&["breaker", "first-admin", "root", PASSWORD]).0,
        64
    );

    // The one who was made signs in; a second service over the store is refused.
    let breaker = shop.serve();
    let (status, _, said) = shop.run(&["breaker", "serve"]);
    assert_eq!(status, 3, "{said}");
    let (status, _, said) = admin("late", &format!("{PASSWORD}\n"));
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("another process uses this store"), "{said}");
    assert_eq!(breaker.running.terminate(), 0);
}

#[test]
fn check_says_what_is_wrong_with_either_table() {
    let shop = Shop::new(true);
    shop.rule("too-large", "status: stable", "amount > 500");
    let check = || {
        let (status, out, said) = shop.run(&["check"]);
        (status, format!("{out}{said}"))
    };
    let (status, said) = check();
    assert_eq!(status, 3, "nobody serves the breaker yet: {said}");
    assert!(said.contains("breaker: can be served"), "{said}");
    assert!(said.contains("breaker_report: cannot be told"), "{said}");
    let breaker = shop.begin();
    let (status, said) = check();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("breaker_report: can be told"), "{said}");
    assert!(
        breaker.get("/v1/status")["staleness_ms"].is_null(),
        "it was told nothing"
    );
    shop.write("report.key", &breaker.checks);
    let (status, said) = check();
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("make a key of scope `findings`"), "{said}");

    let config = std::fs::read_to_string(shop.path("centinel.toml")).unwrap();
    let said_of = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        shop.write("centinel.toml", &config.replace(from, to));
        let (status, said) = check();
        assert_eq!(status, 64, "{said}");
        said
    };
    let said = said_of("suspicions = true", "suspicions = false");
    assert!(said.contains("`on_suspected` holds at cash_out"), "{said}");
    let said = said_of("on_undetermined = \"hold\"\n", "");
    assert!(said.contains("missing field `on_undetermined`"), "{said}");
    let said = said_of("[findings]\nfile = \"findings.jsonl\"\n", "");
    assert!(
        said.contains("[breaker_report] needs the file of findings"),
        "{said}"
    );
    // A breaker that is wrong does not start, and says why.
    said_of("on_error = \"hold\"", "on_error = \"perhaps\"");
    let (status, _, said) = shop.run(&["breaker", "serve", "--config", "centinel.toml"]);
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("unknown variant `perhaps`"), "{said}");
}

/// One place to look at everything, without any configuration.
#[test]
fn the_demonstration_has_a_breaker_inside() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let run = |time: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_centinel"));
        command
            .current_dir(&root)
            .args(["run", "--for", time, "--folder"]);
        shown(command.arg(folder.path()).output().unwrap())
    };
    let (status, out, said) = run("25s");
    assert_eq!(status, 0, "{out}{said}");
    assert!(
        out.contains("A circuit breaker listens on http://127.0.0.1:"),
        "{out}"
    );
    let last = out
        .lines()
        .rfind(|line| line.contains("breaker: "))
        .unwrap();
    let (_, tally) = last.split_once("breaker: ").unwrap();
    assert!(!tally.starts_with("0 tripped"), "{out}");
    let checks = tally.rsplit_once(" of ").unwrap().1;
    assert_ne!(checks, "0 checks held", "{out}");
    let place = folder.path().join("state/breaker-report.json");
    assert!(place.exists() && folder.path().join("breaker.db").exists());
    // The next run goes on with the same store.
    let (status, out, said) = run("5s");
    assert_eq!(status, 0, "{out}{said}");
}
