//! Servers that stop, connections that break, a source that says nothing for a while.

use centinel_tests::platform::{Addresses, Platform};
use data_fixtures::{Delivered, Source};
use test_servers::Proxy;

use crate::{assert_nothing_false, assert_true, count, history, judged_by, wait_for, watching};

#[test]
fn servers_that_stop_and_connections_that_break_lose_and_repeat_nothing() {
    let mut platform = Platform::start();
    let history = history(22, 1_500);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let mariadb = Proxy::to(platform.mariadb.port());
    let kafka = platform.kafka.proxy();
    let through = Addresses {
        mariadb: mariadb.port(),
        kafka: kafka.address(),
        ..platform.addresses()
    };
    let watching = watching(through.inputs(), folder.path(), &judged, &history);
    let platform = &mut platform;
    let detected = watching
        .run(&|_| {}, |_| {
            let parts = history.records.chunks(history.records.len().div_ceil(24));
            for (number, part) in parts.enumerate() {
                match number % 6 {
                    1 => {
                        platform.kafka.stop();
                        platform.kafka.start_again();
                    }
                    2 => mariadb.cut_after(20_000),
                    3 => {
                        platform.mariadb.stop();
                        platform.mariadb.start_again();
                    }
                    4 => kafka.cut_after(5_000),
                    5 => mariadb.flip_after(30_000),
                    _ => {}
                }
                platform.live(part);
            }
            platform.say_that_it_ended(history.end);
        })
        .unwrap();
    assert!(
        mariadb.accepted() > 12,
        "connections were cut and made again"
    );
    assert_true(&detected, &judged.1, &history);
}

#[test]
fn a_source_that_is_silent_hides_nothing_and_makes_nothing_false() {
    let mut platform = Platform::start();
    let history = history(23, 1_000);
    let judged = judged_by(platform.schemas());
    let folder = tempfile::tempdir().unwrap();
    let silent = |record: &&Delivered| record.source == Source::BusinessEvents;
    let (held, others): (Vec<&Delivered>, Vec<&Delivered>) =
        history.records.iter().partition(silent);
    let copied =
        |records: Vec<&Delivered>| -> Vec<Delivered> { records.into_iter().copied().collect() };
    let (held, others) = (copied(held), copied(others));
    let changes = count(&others);
    let watching = watching(
        platform.addresses().inputs(),
        folder.path(),
        &judged,
        &history,
    );
    let platform = &mut platform;
    let detected = watching
        .run(&|_| {}, |read| {
            platform.live(&others);
            wait_for(read, changes);
            // The databases have long said that nothing more comes; events come all the same.
            platform.live(&held);
            platform.say_that_it_ended(history.end);
        })
        .unwrap();
    assert_true(&detected, &judged.1, &history);
    assert_nothing_false(&detected, &history.truth(history.end));
}
