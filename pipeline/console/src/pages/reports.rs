//! Scheduled audits, drills and repairs: what became of each run, and the reports that they left.

mod plans;
mod runs;

use std::path::PathBuf;

use axum::routing::get;

use crate::Console;
use crate::problem::Problem;
use crate::role::Needs;
use crate::routes::{Route, look};

pub const ROUTES: &[Route] = &[
    look("/audits", Needs::Look, || get(runs::list)),
    look("/audits/{name}", Needs::Look, || get(runs::history)),
    look("/audits/{name}/{run}", Needs::Look, || get(runs::run)),
    // It holds evidence with identifiers as they are.
    look("/audits/{name}/{run}/report.html", Needs::Plain, || {
        get(runs::report)
    }),
    look("/repairs/{file}", Needs::Look, || get(plans::plan)),
];

/// Reads what lies on a disk, on a thread that may wait for it.
async fn read<T: Send + 'static>(
    console: &Console,
    look: impl FnOnce(&[PathBuf]) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let folders = console.settings.reports.clone();
    let done = tokio::task::spawn_blocking(move || look(&folders)).await;
    let broken = |_| Problem::unavailable("the look at the reports was broken off");
    let wrong = |error| Problem::unavailable(format!("the reports cannot be read: {error}"));
    done.map_err(broken)?.map_err(wrong)
}

/// A span in the unit that fits.
fn span(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}
