//! The first admin of a new store.

use std::io::BufRead;

use centinel_breaker_service::first_admin;

use super::failed;
use crate::config::BreakerConfig;
use crate::exit::Status;
use crate::printer::complain;

/// Where the password may be.
const VARIABLE: &str = "BREAKER_PASSWORD";
/// Longer lines are no password.
const LONGEST: u64 = 4 << 10;

/// Makes it. A password is never an argument: every account of the machine may see those.
pub fn make(config: &BreakerConfig, name: &str) -> Result<Status, Status> {
    let password = password().map_err(|problem| {
        complain(format_args!(
            "error: {problem}: set {VARIABLE}, or write the password to standard input"
        ));
        Status::WrongUsage
    })?;
    first_admin(&config.service, name, &password).map_err(|error| failed(&error))?;
    complain(format_args!(
        "`{name}` is the first admin of {}: it makes the other accounts and the keys",
        config.service.store.display()
    ));
    Ok(Status::Clean)
}

fn password() -> Result<String, String> {
    match std::env::var(VARIABLE) {
        Ok(password) => return Ok(password),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(format!("{VARIABLE} is not UTF-8 text"));
        }
        Err(std::env::VarError::NotPresent) => {}
    }
    let mut line = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), LONGEST);
    input
        .read_line(&mut line)
        .map_err(|error| format!("the password cannot be read: {error}"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.is_empty() {
        true => Err("there is no password".into()),
        false => Ok(password.to_owned()),
    }
}
