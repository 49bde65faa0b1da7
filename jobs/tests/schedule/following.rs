//! The schedule as it is followed: missed runs, and runs that are stopped.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::NIGHTLY;
use crate::platform::*;

#[test]
fn missed_runs_are_caught_up_with_each_for_its_own_day() {
    let platform = Platform::new(
        "snapshot = \"lake/%Y-%m-%d\"\ncron = \"@daily\"\nmissed = \"catch-up\"\nlag = \"1d\"",
    );
    let today = wall_clock_days();
    let day = |back: i64| date(today - back);
    // Three midnights have passed since; each run is for the day before.
    platform.declared(&format!("{}T12:00:00Z", day(3)));
    for back in [3, 2, 1] {
        platform.lay("healthy", &format!("lake/{}", day(back)));
    }
    let running = platform.start(&[]);
    platform.wait_for("ended", 3);
    let (status, complaint) = running.stop(Signal::TERM);
    assert_eq!(status, Some(0), "{complaint}");
    let began: Vec<(String, String)> = platform
        .history()
        .iter()
        .filter(|line| line["event"] == "began")
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("run_for"), text("input"))
        })
        .collect();
    let expected = [2, 1, 0].map(|back| {
        let place = platform.path(&format!("lake/{}", day(back + 1)));
        let place = place.file_name().unwrap().to_str().unwrap().to_owned();
        (format!("{}T00:00:00Z", day(back)), format!("lake/{place}"))
    });
    assert_eq!(began, expected);
    assert!(
        platform
            .ended()
            .iter()
            .all(|ended| ended["exit_status"] == 0),
        "{:#?}",
        platform.ended()
    );

    // What was run is not run again.
    let running = platform.start(&[]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(running.stop(Signal::TERM).0, Some(0));
    assert_eq!(platform.ended().len(), 3);
}

#[test]
fn missed_runs_are_skipped_where_that_is_declared_and_it_is_said() {
    let platform = Platform::new(&format!("{NIGHTLY}\nmissed = \"skip\""));
    platform.lay("healthy", "snapshot");
    platform.declared("2026-01-01T00:00:00Z");
    let running = platform.start(&[]);
    platform.wait_for("skipped", 1);
    // Nobody else follows the same schedule meanwhile.
    let (status, _, complaint) = platform.schedule(&[]);
    assert_eq!(status, 3);
    assert!(
        complaint.contains("another `centinel schedule` runs this audit"),
        "{complaint}"
    );
    let (status, complaint) = running.stop(Signal::INT);
    assert_eq!(status, Some(0));
    assert!(
        complaint.contains("were missed and are skipped"),
        "{complaint}"
    );
    let skipped = platform.history().pop().unwrap();
    assert!(skipped["count"].as_u64().unwrap() > 300, "{skipped}");
    assert_eq!(platform.ended(), [] as [Value; 0]);
}

#[test]
fn a_run_that_is_stopped_ends_at_once_and_stands_in_the_history() {
    let (_listener, audit) = silent_server();
    let platform = Platform::new(&audit);
    let running = platform.start(&["--once", "nightly"]);
    platform.wait_for("began", 1);
    // One at a time.
    let (status, _, complaint) = platform.once();
    assert_eq!(status, 3);
    assert!(
        complaint.contains("another run of this audit is under way"),
        "{complaint}"
    );
    let asked = Instant::now();
    assert_eq!(running.stop(Signal::TERM).0, Some(3));
    assert!(asked.elapsed() < Duration::from_secs(5));
    let ended = platform.ended();
    assert_eq!((ended.len(), &ended[0]["outcome"]), (1, &"stopped".into()));

    // One that is killed cannot say so; the next does.
    let running = platform.start(&["--once", "nightly"]);
    platform.wait_for("began", 2);
    assert_eq!(running.stop(Signal::KILL).0, None);
    assert_eq!(platform.ended().len(), 1);
    platform.configure(&format!("{audit}\ntimeout = \"1s\""));
    let (status, _, complaint) = platform.once();
    assert_eq!(status, 3);
    assert!(complaint.contains("took longer than 1s"), "{complaint}");
    let outcomes: Vec<Value> = platform
        .ended()
        .iter()
        .map(|ended| ended["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["stopped", "cut_off", "timed_out"]);
    let (_, out, _) = platform.schedule(&["--list"]);
    assert!(
        out.contains("timed out, exit 3: it took longer than 1s"),
        "{out}"
    );
}

#[test]
fn a_schedule_that_is_stopped_during_a_run_stops_the_run() {
    let (_listener, audit) = silent_server();
    let platform = Platform::new(&audit);
    platform.declared("2026-01-01T00:00:00Z");
    platform.configure(&audit.replace("0 0 1 1 *", "@daily"));
    let running = platform.start(&[]);
    platform.wait_for("began", 1);
    let (status, complaint) = running.stop(Signal::TERM);
    assert_eq!(status, Some(3), "{complaint}");
    assert_eq!(platform.ended()[0]["outcome"], "stopped");
    let began = platform
        .history()
        .into_iter()
        .find(|line| line["event"] == "began")
        .unwrap();
    assert_eq!(began["started_by"], "schedule");
}

fn wall_clock_days() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_secs() / 86_400).unwrap()
}

/// Days since 1970 as `2026-11-22`.
fn date(days: i64) -> String {
    let day = chrono::DateTime::from_timestamp(days * 86_400, 0).unwrap();
    day.format("%Y-%m-%d").to_string()
}
