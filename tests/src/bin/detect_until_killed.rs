//! Runs detection over a log and kills itself at a chosen step of a commit: `FOLDER LOG [STEP COUNT]`. It keeps an
//! archive, in small segments, where there is `FOLDER/archive`, and begins with `FOLDER/snapshot` where there is one.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use centinel_engine::detect::{BootstrapOptions, Step};
use centinel_outlet::archive::ArchiveOptions;
use centinel_tests::{Detection, rules, schemas};

/// A few micro-batches.
const SEGMENT_BYTES: u64 = 60_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, log) = (Path::new(&arguments[1]), Path::new(&arguments[2]));
    let last = match arguments.get(3).map(String::as_str) {
        Some("prepared") => Some(Step::Prepared),
        Some("committed") => Some(Step::Committed),
        Some("delivered") => Some(Step::Delivered),
        _ => None,
    };
    let count = AtomicU32::new(
        arguments
            .get(4)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0),
    );
    let at_step = |step| {
        if Some(step) == last && count.fetch_sub(1, Ordering::SeqCst) == 0 {
            let own = std::process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &own]).status();
            // The signal may take a moment; nothing more may happen here.
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    };
    let catalog = schemas();
    let place = folder.join("archive");
    let archive = place.is_dir().then(|| ArchiveOptions {
        segment_bytes: SEGMENT_BYTES,
        ..ArchiveOptions::new(
            place.display().to_string(),
            folder.join("state").join("archive"),
        )
    });
    let snapshot = folder.join("snapshot");
    let bootstrap = snapshot.is_dir().then(|| BootstrapOptions {
        location: snapshot.display().to_string(),
        store_options: Vec::new(),
        as_of: None,
    });
    let detection = Detection {
        batch_rows: 40,
        cache_bytes: 0,
        archive,
        bootstrap,
        ..Detection::over(log, folder)
    };
    let detected = detection.run_with(&catalog, &rules(&catalog), &at_step);
    println!("{}", detected.open.len());
}
