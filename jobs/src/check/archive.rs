//! Whether the archive that the configuration names could be kept there.

use std::time::Duration;

use centinel_outlet::archive::{Obstacle, Unusable, probe};

use super::Probe;
use crate::config::{ArchiveConfig, ArchiveLocation, Config, Problem};
use crate::detect::wall_clock;
use crate::plan;
use crate::printer::complain;

/// How long a store has to answer to everything.
const LIMIT: Duration = Duration::from_secs(20);

/// Tries the place of the archive: it is listed, and an object of a name of its own is created and removed.
pub struct ArchiveProbe<'a>(pub &'a Config, pub &'a ArchiveConfig);

impl Probe for ArchiveProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let ArchiveProbe(config, archive) = self;
        let options = match plan::archive(config) {
            Ok(Some(options)) => options,
            Ok(None) => return Vec::new(),
            Err(problem) => return vec![problem],
        };
        let name = format!("centinel-check-{}-{}", wall_clock().0, std::process::id());
        let probed = probe(&options.location, &options.store_options, &name, LIMIT);
        if let Some(left) = &probed.left_behind {
            complain(format_args!(
                "note: {left}; remove it by hand, the archive itself needs no right to remove"
            ));
        }
        let placed = |found: Unusable| {
            let remedy = remedy(archive, found.obstacle);
            Problem::new(&config.file, archive.line, found.what, remedy)
        };
        probed.problems.into_iter().map(placed).collect()
    }
}

fn remedy(archive: &ArchiveConfig, obstacle: Obstacle) -> String {
    let keys = match &archive.access_key {
        Some(_) => "correct `access_key_id` and `secret_access_key`",
        None => "give `access_key_id` and `secret_access_key`",
    };
    match (obstacle, &archive.location) {
        (_, ArchiveLocation::Folder(_)) => {
            "correct `url`, or let the account that runs Centinel make and write files there".into()
        }
        (Obstacle::NoBucket, _) => "create the bucket, or correct `url`".into(),
        (Obstacle::Refused, _) => format!("{keys}, or let that account list, read and write there"),
        (Obstacle::Unreachable, _) => {
            let server = match &archive.endpoint {
                Some(_) => "correct `endpoint`, or start the server there",
                None => "let this machine reach Amazon's servers, or name another `endpoint`",
            };
            match &archive.access_key {
                Some(_) => server.into(),
                None => format!("{server}; and {keys} where this machine has no role of its own"),
            }
        }
        (Obstacle::Folder | Obstacle::Other, _) => {
            "correct `url`, `endpoint` or `region` as the server says".into()
        }
    }
}
