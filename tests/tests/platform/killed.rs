//! Centinel itself is killed, at every step of a commit and at any moment.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use centinel_tests::platform::Platform;
use data_fixtures::Draw;

use crate::{assert_true, begin, history, judged_by, watching};

const KILLS: usize = 24;
const SIGKILL: i32 = 9;

#[test]
fn killed_at_every_step_it_goes_on_as_if_nothing_had_been() {
    let mut platform = Platform::start();
    let history = history(24, 1_000);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let addresses = platform.addresses();
    let first = watching(addresses.inputs(), folder.path(), &judged, &history);
    begin(first, &mut platform, &history);
    let mut draw = Draw::new(5, 0);
    let (mut kills, mut at_steps) = (0, 0);
    let parts = history
        .records
        .chunks(history.records.len().div_ceil(KILLS + 2));
    for (number, part) in parts.enumerate() {
        platform.live(part);
        let step = ["prepared", "committed", "delivered", "moment"][number % 4];
        let mut child = Command::new(env!("CARGO_BIN_EXE_watch_until_killed"))
            .args([folder.path(), platform.schemas()])
            .args([&addresses.mariadb.to_string(), &addresses.kafka])
            .args([&addresses.user.0, &addresses.user.1])
            .args([step, &draw.below(2).to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let moment = match step {
            "moment" => Duration::from_millis(300 + draw.below(700)),
            // It kills itself, unless so many commits do not come.
            _ => Duration::from_secs(5),
        };
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < moment {
            std::thread::sleep(Duration::from_millis(5));
        }
        let itself = child.try_wait().unwrap().is_some();
        at_steps += usize::from(itself);
        if !itself {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "{step}: {status}");
        kills += 1;
    }
    assert!(kills >= KILLS, "{kills}");
    assert!(at_steps > KILLS / 3, "{at_steps} at a step of a commit");
    platform.say_that_it_ended(history.end);
    let watching = watching(addresses.inputs(), folder.path(), &judged, &history);
    let detected = watching.run(&|_| {}, |_| {}).unwrap();
    assert_true(&detected, &judged.1, &history);
}
