use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a broken rule is. The order is from harmless to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it in working hours. Alone, it makes the exit status 1 only if asked.
    Warn,
    /// A loss or a wrong state: exit status 2.
    Error,
    /// Money is leaving: exit status 2.
    Critical,
}

impl Severity {
    /// The word used in rule files, findings and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
