//! Finds what `.ci/setup-servers` installed.

use std::env;
use std::path::PathBuf;

pub(crate) const REMEDY: &str = "Run .ci/setup-servers, which installs what is missing";

/// The project's folder for everything fetched or shared on this machine.
pub(crate) fn cache() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    cache
        .expect("HOME or XDG_CACHE_HOME names the folder for caches")
        .join("centinel")
}

/// A program of that name, in PATH or where Debian keeps servers.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.unwrap_or_else(|| panic!("the program {name} is not installed. {REMEDY}"))
}

/// The version that a `tests/servers/<name>/pom.xml` names.
pub(crate) fn version(pom: &str) -> &str {
    let rest = pom.split_once("<server.version>").map(|(_, rest)| rest);
    let version = rest.and_then(|rest| rest.split_once("</server.version>"));
    version.expect("the pom names its server's version").0
}

/// The class path of the jars that `tests/servers/<name>/pom.xml` names.
pub(crate) fn jars(name: &str, pom: &str) -> String {
    let folder = cache().join(format!("{name}-{}", version(pom)));
    assert!(folder.is_dir(), "{} is missing. {REMEDY}", folder.display());
    format!("{}/*", folder.display())
}
