//! From TOML values to texts, numbers, words and spans; each refusal says what the field wants.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use centinel_model::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{Problem, nearest, shorten, suggest};
use super::secret::{Secret, SecretOrigin};

/// A value and where it stands.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;
/// Names and their values.
pub(super) type Entries<'i> = Vec<(Spanned<DeString<'i>>, Node<'i>)>;

/// More problems than a person reads at once.
const MAX_PROBLEMS: usize = 200;

/// What was read, and the byte at which it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub at: usize,
}

/// Reads the values of one file and notes what is wrong with them.
pub(super) struct Form<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

/// The fields of one table, each taken once.
pub(super) struct Fields<'i> {
    /// The table, for messages.
    pub what: String,
    /// Where a missing field is missed.
    pub at: usize,
    entries: Entries<'i>,
}

impl<'i> Fields<'i> {
    pub fn new(what: impl Into<String>, at: usize, table: DeTable<'i>) -> Fields<'i> {
        Fields {
            what: what.into(),
            at,
            entries: table.into_iter().collect(),
        }
    }

    /// The value of this field, if the table has it.
    pub fn take(&mut self, name: &str) -> Option<Node<'i>> {
        self.take_entry(name).map(|(_, value)| value)
    }

    /// The same with its name, which says where the field stands.
    pub fn take_entry(&mut self, name: &str) -> Option<(Spanned<DeString<'i>>, Node<'i>)> {
        let found = |(key, _): &(Spanned<DeString>, Node)| key.get_ref() == name;
        let index = self.entries.iter().position(found)?;
        Some(self.entries.swap_remove(index))
    }

    /// Whether the table has this field.
    pub fn has(&self, name: &str) -> bool {
        self.place_of(name).is_some()
    }

    /// Where this field stands.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let mut keys = self.entries.iter().map(|(key, _)| key);
        let key = keys.find(|key| key.get_ref() == name)?;
        Some(key.span().start)
    }

    /// Whether some field is itself a table with this field.
    pub fn has_table_with(&self, field: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(_, value)| {
            let table = value.get_ref().as_table();
            table.is_some_and(|table| table.contains_key(field))
        })?;
        Some(found.0.get_ref())
    }

    /// A field whose name is nearly this one.
    pub fn names_like(&self, name: &str) -> Option<&str> {
        let mut names = self.entries.iter().map(|(key, _)| key.get_ref().as_ref());
        names.find(|wrong| nearest(wrong, &[name]).is_some())
    }

    /// All fields.
    pub fn into_entries(self) -> Entries<'i> {
        self.entries
    }
}

impl<'a> Form<'a> {
    pub fn new(path: &'a Path, text: &'a str) -> Form<'a> {
        Form {
            path,
            text,
            problems: Vec::new(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        self.path
    }

    /// All of its text.
    pub fn document(&self) -> &'a str {
        self.text
    }

    pub fn refuse(&mut self, at: usize, problem: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::new(self.path, self.line(at), problem, remedy);
        self.problems.push(problem);
    }

    /// A refusal of a line whose place is not at hand any more.
    pub fn refuse_line(&mut self, line: usize, problem: impl Into<String>, remedy: &str) {
        let problem = Problem::new(self.path, line, problem, remedy);
        self.problems.push(problem);
    }

    /// All problems in the order of the file, at most as many as a person reads.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.dedup();
        let left_out = self.problems.len().saturating_sub(MAX_PROBLEMS);
        if left_out > 0 {
            self.problems.truncate(MAX_PROBLEMS);
            let problem = format!("{left_out} more problems are not shown");
            let more = Problem::new(self.path, 0, problem, "mend those shown first");
            self.problems.push(more);
        }
        self.problems
    }

    /// The line, from 1, in which this byte stands.
    pub fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Refuses every field that is not among `known`. The value is never shown: it may be a secret under a
    /// misspelt name.
    pub fn only(&mut self, fields: &mut Fields, known: &[&str]) {
        fields.entries.retain(|(key, _)| {
            let name = key.get_ref().as_ref();
            let right = known.contains(&name);
            if !right {
                let problem = format!("unknown field `{}` in {}", shorten(name), fields.what);
                self.refuse(key.span().start, problem, suggest(name, known));
            }
            right
        });
    }

    /// The value of a field that must be there; `example` is how it may look.
    pub fn require<'i>(
        &mut self,
        fields: &mut Fields<'i>,
        name: &str,
        example: &str,
    ) -> Option<Node<'i>> {
        let value = fields.take(name);
        if value.is_none() {
            let problem = format!("{} has no `{name}`", fields.what);
            self.refuse(fields.at, problem, format!("add `{name} = {example}`"));
        }
        value
    }

    /// A table; `example` is how it may look.
    pub fn table<'i>(&mut self, what: &str, node: Node<'i>, example: &str) -> Option<Fields<'i>> {
        let at = node.span().start;
        match node.into_inner() {
            DeValue::Table(table) => Some(Fields::new(what, at, table)),
            other => {
                self.wrong_kind(what, "a table", &other, at, &format!("write {example}"));
                None
            }
        }
    }

    /// The items of a list.
    pub fn list<'i>(&mut self, what: &str, node: Node<'i>, example: &str) -> Option<Vec<Node<'i>>> {
        let at = node.span().start;
        match node.into_inner() {
            DeValue::Array(items) => Some(items.into_iter().collect()),
            other => {
                self.wrong_kind(what, "a list", &other, at, &format!("write {example}"));
                None
            }
        }
    }

    /// One text, not empty.
    pub fn text(&mut self, what: &str, node: Node) -> Option<Placed<String>> {
        let at = node.span().start;
        match node.into_inner() {
            DeValue::String(text) if text.is_empty() => {
                let remedy = "write its value, or remove the line";
                self.refuse(at, format!("{what} is empty"), remedy);
                None
            }
            DeValue::String(text) => Some(Placed {
                value: text.into_owned(),
                at,
            }),
            other => {
                self.wrong_kind(what, "a text", &other, at, "write it in quotes: \"…\"");
                None
            }
        }
    }

    /// A text that `right` accepts; `wanted` says what it must be. The text is not shown: what does not fit
    /// may hold a password, as `user:password@host` does.
    pub fn fitting(
        &mut self,
        what: &str,
        node: Node,
        right: impl Fn(&str) -> bool,
        wanted: &str,
        remedy: &str,
    ) -> Option<Placed<String>> {
        let text = self.text(what, node)?;
        if !right(&text.value) {
            self.refuse(text.at, format!("{what} is not {wanted}"), remedy);
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, what: &str, node: Node) -> Option<bool> {
        let at = node.span().start;
        match node.into_inner() {
            DeValue::Boolean(flag) => Some(flag),
            other => {
                let remedy = "write true or false, without quotes";
                self.wrong_kind(what, "true or false", &other, at, remedy);
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn number(&mut self, what: &str, node: Node, range: RangeInclusive<u64>) -> Option<u64> {
        let at = node.span().start;
        let (least, most) = (range.start(), range.end());
        match node.into_inner() {
            DeValue::Integer(number) => {
                let value = u64::from_str_radix(number.as_str(), number.radix());
                let value = value.ok().filter(|value| range.contains(value));
                if value.is_none() {
                    let problem = format!("{what} cannot be {}", shorten(number.as_str()));
                    let remedy = format!("write a whole number from {least} to {most}");
                    self.refuse(at, problem, remedy);
                }
                value
            }
            other => {
                let remedy = format!("write a whole number from {least} to {most}, without quotes");
                self.wrong_kind(what, "a whole number", &other, at, &remedy);
                None
            }
        }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, what: &str, node: Node, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let at = node.span().start;
        let DeValue::String(text) = node.get_ref() else {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let remedy = format!("write one of {}", quoted.join(", "));
            self.wrong_kind(what, "a text", node.get_ref(), at, &remedy);
            return None;
        };
        let chosen = choices.iter().find(|(word, _)| *word == text.as_ref());
        if chosen.is_none() {
            let problem = format!("{what} cannot be `{}`", shorten(text));
            self.refuse(at, problem, suggest(text, &words));
        }
        chosen.map(|(_, value)| *value)
    }

    /// A span of time within a range.
    pub fn span(
        &mut self,
        what: &str,
        node: Node,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (least, most) = (range.start(), range.end());
        let remedy =
            format!("write a whole number and ms, s, m, h or d, from \"{least}\" to \"{most}\"");
        let at = node.span().start;
        let DeValue::String(text) = node.get_ref() else {
            self.wrong_kind(what, "a span of time", node.get_ref(), at, &remedy);
            return None;
        };
        let span = Duration::parse(text)
            .ok()
            .filter(|span| range.contains(span));
        if span.is_none() {
            self.refuse(at, format!("{what} cannot be `{}`", shorten(text)), remedy);
        }
        span
    }

    /// The path of a file or folder; relative ones begin at the configuration file.
    pub fn path(&mut self, what: &str, node: Node) -> Option<PathBuf> {
        let text = self.text(what, node)?;
        Some(self.beside(&text.value))
    }

    /// This path, seen from where the configuration file lies.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Where a secret is. A secret that stands in the file itself is refused.
    pub fn secret(&mut self, what: &str, node: Node) -> Option<Secret> {
        const EXAMPLE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
        let at = node.span().start;
        let DeValue::Table(table) = node.into_inner() else {
            self.refuse(
                at,
                format!("{what} stands in the file itself"),
                format!("write {EXAMPLE}, and change the secret: others may have read it here"),
            );
            return None;
        };
        let mut fields = Fields::new(what, at, table);
        self.only(&mut fields, &["env", "file"]);
        let origin = match (fields.take("env"), fields.take("file")) {
            (Some(name), None) => {
                let remedy =
                    "write a name such as PAYMENT_DB_PASSWORD: capital letters, digits and `_`";
                let wanted = "the name of an environment variable";
                let what = format!("`env` of {what}");
                let name = self.fitting(&what, name, is_variable, wanted, remedy)?;
                SecretOrigin::Variable(name.value)
            }
            (None, Some(path)) => {
                SecretOrigin::File(self.path(&format!("`file` of {what}"), path)?)
            }
            (Some(_), Some(_)) => {
                let problem = format!("{what} has both `env` and `file`");
                self.refuse(at, problem, "keep one of them");
                return None;
            }
            (None, None) => {
                let problem = format!("{what} has neither `env` nor `file`");
                self.refuse(at, problem, format!("write {EXAMPLE}"));
                return None;
            }
        };
        Some(Secret {
            origin,
            what: what.to_owned(),
            file: self.path.to_owned(),
            line: self.line(at),
        })
    }

    fn wrong_kind(&mut self, what: &str, wanted: &str, got: &DeValue, at: usize, remedy: &str) {
        let got = match got {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.refuse(at, format!("{what} must be {wanted}, not {got}"), remedy);
    }
}

/// Whether this is how environment variables are named. A password that was written there instead is seldom so,
/// and what is not so is never shown.
pub(super) fn is_variable(name: &str) -> bool {
    let right = |(index, byte): (usize, u8)| match byte {
        b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => index > 0,
        _ => false,
    };
    name.len() <= 100 && name.bytes().enumerate().all(right)
}
