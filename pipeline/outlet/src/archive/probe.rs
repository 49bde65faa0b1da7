//! Whether an archive could be kept at a place: tried, and nothing left behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::{Obstacle, understand};
use super::location::Location;

/// What the object that is written says, for whoever finds one that could not be removed.
const SAYS: &[u8] = b"Centinel tried whether it can write here. This can be removed.\n";

/// What keeps an archive from being kept at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its kind.
    pub obstacle: Obstacle,
    /// What failed, and why.
    pub what: String,
}

/// How a place was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// Nothing where an archive can be kept.
    pub problems: Vec<Unusable>,
    /// An object that was written and could not be removed, and why. An archive removes nothing itself.
    pub left_behind: Option<String>,
}

/// Lists the place, creates an object of this `name` there, which must be unused, and removes it. Of a folder that is
/// not there yet, its nearest parent that is there is tried. Takes about `limit` at most. Not for use within an
/// asynchronous runtime.
pub fn probe(location: &str, options: &[(String, String)], name: &str, limit: Duration) -> Probed {
    let place = nearest(location);
    let opened = Location::open_to_write(&place.display().to_string(), options);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string());
    let (location, runtime) = match opened.and_then(|opened| Ok((opened, runtime?))) {
        Ok(both) => both,
        Err(what) => {
            let obstacle = match location.contains("://") {
                true => Obstacle::Other,
                false => Obstacle::Folder,
            };
            return Probed {
                problems: vec![Unusable { obstacle, what }],
                left_behind: None,
            };
        }
    };
    let tried = runtime.block_on(async { tokio::time::timeout(limit, ask(&location, name)).await });
    // A file system that hangs must not keep the caller.
    runtime.shutdown_background();
    tried.unwrap_or_else(|_| Probed {
        problems: vec![Unusable {
            obstacle: Obstacle::Unreachable,
            what: format!(
                "{} did not answer within {} s",
                location.shown(),
                limit.as_secs_f32()
            ),
        }],
        left_behind: None,
    })
}

/// The folder itself, or where it would be made; URLs as they are.
fn nearest(location: &str) -> PathBuf {
    let named = Path::new(location);
    if location.contains("://") {
        return named.into();
    }
    let there = |folder: &&Path| folder.as_os_str().is_empty() || folder.symlink_metadata().is_ok();
    match named.ancestors().find(there) {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    }
}

async fn ask(location: &Location, name: &str) -> Probed {
    let mut probed = Probed::default();
    let shown = location.shown();
    let mut refuse = |verb: &str, error: &object_store::Error| {
        let (obstacle, why) = understand(error);
        probed.problems.push(Unusable {
            obstacle,
            what: format!("{shown} cannot be {verb}: {why}"),
        });
        obstacle
    };
    if let Err(error) = location.look().await {
        let obstacle = refuse("listed", &error);
        // Writing would only say the same.
        if matches!(obstacle, Obstacle::Unreachable | Obstacle::NoBucket) {
            return probed;
        }
    }
    match location.try_create(name, SAYS.into()).await {
        Err(error) => {
            refuse("written", &error);
        }
        Ok(()) => {
            if let Err(error) = location.delete(name).await {
                let (_, why) = understand(&error);
                probed.left_behind = Some(format!("{shown}/{name} could not be removed: {why}"));
            }
        }
    }
    probed
}
