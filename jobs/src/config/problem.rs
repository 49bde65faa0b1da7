use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong, and what would be right. Unlike mistakes in schemas it never shows the line's text,
/// which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// Line, from 1; 0 when it concerns the whole file.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

impl Problem {
    /// A problem at a line of a file.
    pub fn new(
        file: &Path,
        line: usize,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem {
            file: file.to_owned(),
            line,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.file.display(), self.line);
        match line {
            0 => write!(out, "{file}: {}", self.problem)?,
            _ => write!(out, "{file}:{line}: {}", self.problem)?,
        }
        write!(out, "\n  help: {}", self.remedy)
    }
}

impl std::error::Error for Problem {}

/// How a wrong name may be mended: the nearest right one, else all of them.
pub fn suggest(wrong: &str, right: &[&str]) -> String {
    const MOST_SHOWN: usize = 24;
    if let Some(nearest) = nearest(wrong, right) {
        return format!("did you mean `{nearest}`?");
    }
    let shown: Vec<_> = right.iter().take(MOST_SHOWN).collect();
    let shown: Vec<_> = shown.iter().map(|name| format!("`{name}`")).collect();
    match shown.as_slice() {
        [] => "remove it".to_owned(),
        [only] => format!("write {only}"),
        several if right.len() > MOST_SHOWN => format!("use one of {}, …", several.join(", ")),
        several => format!("use one of {}", several.join(", ")),
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(wrong: &str, right: &[&'a str]) -> Option<&'a str> {
    const LONGEST: usize = 100;
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
    let best = right.iter().min_by_key(|name| distance(name))?;
    if distance(best) <= wrong.chars().count().max(3) / 3 {
        return Some(best);
    }
    let extends = |name: &&&str| {
        name.len().min(wrong.len()) > 2 && (wrong.starts_with(**name) || name.starts_with(&wrong))
    };
    right.iter().find(extends).copied()
}

/// Text from a file as it may stand in a message: cut short, and without characters that steer a terminal.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let harmless = |c: char| match c {
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut shown: String = text.chars().take(LONGEST).map(harmless).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
