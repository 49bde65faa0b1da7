//! The configuration of the demonstration. It stands in the demonstration's folder, so that every other command can be pointed
//! at it: `centinel trace … --config .centinel/demo/centinel.toml`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::breaker;
use crate::folders::Folders;

/// The file, in the demonstration's folder.
pub const FILE: &str = "centinel.toml";
/// Holds what shows who may ask the interface.
pub const TOKEN: &str = "interface.token";
/// The log of the simulated platform.
pub const LOG: &str = "log.jsonl";
/// Where people find the console, unless something else listens there.
const CONSOLE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8470);

/// Writes the configuration for these folders and sources, with addresses that are free, and a new token beside it. Returns its path.
///
/// # Errors
/// What cannot be written, or that no address is free.
pub fn write(folder: &Path, folders: &Folders, sources: &[String]) -> io::Result<PathBuf> {
    let random = centinel_breaker_service::random_text(32).map_err(io::Error::other)?;
    secret(&folder.join(TOKEN), &random)?;
    let quoted = |path: &Path| -> io::Result<String> {
        let path = std::fs::canonicalize(path)?;
        Ok(toml::Value::String(path.display().to_string()).to_string())
    };
    // Held until all are chosen, so that they differ.
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (for_breaker, for_interface) = (free()?, free()?);
    let (breaker, interface) = (for_breaker.local_addr()?, for_interface.local_addr()?);
    let console = TcpListener::bind(CONSOLE)
        .or_else(|_| free())?
        .local_addr()?;
    let mut text = format!(
        r#"# Written by `centinel run` at each start; changes are lost.
centinel = "config/1"
schemas = {schemas}
rules = {rules}
state = "state"

[findings]
file = "findings.jsonl"
store = "findings.db"

[archive]
url = "archive"
segment_age = "1m"

[interface]
listen = "{interface}"
token = {{ file = "{TOKEN}" }}

[console]
listen = "{console}"
breaker = "http://{breaker}"

[self_check]
every = "1m"
within = "30s"

[alerts.file]
kind = "file"
path = "alerts.jsonl"
severity = "error"
"#,
        schemas = quoted(&folders.schemas)?,
        rules = quoted(&folders.rules)?,
    );
    text.push_str(&breaker::settings(breaker));
    for source in sources {
        let name = toml::Value::String(source.clone());
        text.push_str(&format!(
            "\n[sources.{name}]\nkind = \"file\"\npath = \"{LOG}\"\n"
        ));
    }
    let path = folder.join(FILE);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Writes what only the owner of the file may read.
fn secret(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
