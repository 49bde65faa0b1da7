use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use centinel_catalog::read_file;

use super::problem::Problem;

/// The longest secret: certificates with their keys are a few kilobytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Where a secret is to be found. The secret itself is read when it is needed, and not kept here.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Where it is.
    pub origin: SecretOrigin,
    /// What it is for, as in "password of source `payment-db`".
    pub what: String,
    /// The configuration file that names it.
    pub file: PathBuf,
    /// The line there.
    pub line: usize,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretOrigin {
    /// An environment variable.
    Variable(String),
    /// A file that holds nothing else; one newline at its end does not belong to it.
    File(PathBuf),
}

/// A secret that was read. It is shown only by [`SecretText::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself, for the one who must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("****")
    }
}

impl PartialEq for Secret {
    /// Two secrets that are found at the same place are the same.
    fn eq(&self, other: &Secret) -> bool {
        self.origin == other.origin
    }
}

impl Secret {
    /// Reads the secret from the process's environment or from its file.
    ///
    /// # Errors
    /// When it is missing, empty, not text, or longer than 64 KiB.
    pub fn read(&self) -> Result<SecretText, Problem> {
        self.read_from(|name| std::env::var_os(name))
    }

    /// Reads the secret; `variable` is the environment.
    ///
    /// # Errors
    /// As [`Secret::read`].
    pub fn read_from(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<SecretText, Problem> {
        match &self.origin {
            SecretOrigin::Variable(name) => {
                let place = format!("the environment variable `{name}`");
                let value = variable(name).ok_or_else(|| {
                    self.refuse(
                        format!("{place} is not set"),
                        format!("set `{name}` where Centinel is started"),
                    )
                })?;
                let value = value.into_string().map_err(|_| self.not_text(&place))?;
                self.not_empty(value, &place)
            }
            SecretOrigin::File(path) => {
                let place = format!("the file {}", path.display());
                let bytes = read_file(path, MAX_SECRET_BYTES + 1).map_err(|error| {
                    self.refuse(
                        format!("{place} cannot be read: {error}"),
                        "write the secret there, in a file that the account that runs Centinel may read",
                    )
                })?;
                if bytes.len() as u64 > MAX_SECRET_BYTES {
                    return Err(self.refuse(
                        format!("{place} is longer than {MAX_SECRET_BYTES} bytes"),
                        "name a file that holds the secret and nothing else",
                    ));
                }
                let mut value = String::from_utf8(bytes).map_err(|_| self.not_text(&place))?;
                if value.ends_with('\n') {
                    value.pop();
                    if value.ends_with('\r') {
                        value.pop();
                    }
                }
                self.not_empty(value, &place)
            }
        }
    }

    /// What is unwise about how the secret is kept, though it can be read. A file that everybody may read is
    /// no mistake: container platforms mount secrets so, in folders that only the container sees.
    pub fn remark(&self) -> Option<String> {
        let SecretOrigin::File(path) = &self.origin else {
            return None;
        };
        everybody_may_read(path).then(|| {
            format!(
                "{}: every account of this machine may read {}; chmod o-r it unless a container has it for itself",
                self.what,
                path.display()
            )
        })
    }

    fn not_empty(&self, value: String, place: &str) -> Result<SecretText, Problem> {
        match value.is_empty() {
            true => Err(self.refuse(format!("{place} is empty"), "put the secret there")),
            false => Ok(SecretText(value)),
        }
    }

    fn not_text(&self, place: &str) -> Problem {
        self.refuse(
            format!("{place} does not hold UTF-8 text"),
            "put the secret there as text",
        )
    }

    fn refuse(&self, problem: String, remedy: impl Into<String>) -> Problem {
        let problem = format!("{}: {problem}", self.what);
        Problem::new(&self.file, self.line, problem, remedy)
    }
}

#[cfg(unix)]
fn everybody_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn everybody_may_read(_: &Path) -> bool {
    false
}
