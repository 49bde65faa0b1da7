//! Runs detection over the platform's servers until it kills itself at a chosen step of a commit, or is killed:
//! `FOLDER SCHEMAS MARIADB-PORT KAFKA USER PASSWORD STEP COUNT`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use centinel_engine::detect::Step;
use centinel_tests::platform::{Addresses, Watching};
use centinel_tests::rules;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |place: usize| arguments.get(place).map_or("", String::as_str);
    let last = match text(7) {
        "prepared" => Some(Step::Prepared),
        "committed" => Some(Step::Committed),
        "delivered" => Some(Step::Delivered),
        _ => None,
    };
    let count = AtomicU32::new(text(8).parse().unwrap_or(0));
    let at_step = |step| {
        if Some(step) == last && count.fetch_sub(1, Ordering::SeqCst) == 0 {
            let own = std::process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &own]).status();
            // The signal may take a moment; nothing more may happen here.
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    };
    let catalog = centinel_catalog::load(Path::new(text(2))).expect("the schemas load");
    let catalog = Arc::new(catalog);
    let rules = rules(&catalog);
    let addresses = Addresses {
        mariadb: text(3).parse().expect("a port"),
        kafka: text(4).into(),
        user: (text(5).into(), text(6).into()),
    };
    let watching = Watching {
        inputs: addresses.inputs(),
        folder: PathBuf::from(text(1)),
        catalog: &catalog,
        rules: &rules,
        until: i64::MAX,
    };
    watching.run(&at_step, |_| {}).expect("detection runs");
}
