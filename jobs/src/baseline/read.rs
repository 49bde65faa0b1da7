//! The file: `centinel: baseline/1` and a list of what is accepted. Either everything is right, or every mistake is
//! told with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use centinel_model::{Amount, Duration, Timestamp};
use centinel_outlet::Acceptance;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Baseline, Entry, FORM, Target};
use crate::config::{Problem, suggest};

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;
const FIELDS: [&str; 7] = ["finding", "rule", "key", "at_most", "reason", "by", "until"];
const A_DAY: Duration = Duration::seconds(86_400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    centinel: Spanned<String>,
    accepted: Vec<Spanned<WrittenEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    finding: Option<Spanned<String>>,
    rule: Option<Spanned<String>>,
    key: Option<BTreeMap<String, String>>,
    at_most: Option<Spanned<String>>,
    reason: Option<Spanned<String>>,
    by: Option<Spanned<String>>,
    until: Option<Spanned<String>>,
}

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    /// Every problem, in the order of the file; of a file whose form is wrong the first.
    pub fn load(path: &Path) -> Result<Baseline, Vec<Problem>> {
        let refuse = |problem: String, remedy: &str| vec![Problem::new(path, 0, problem, remedy)];
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
        read.map_err(|error| {
            let problem = format!("the baseline cannot be read: {error}");
            refuse(
                problem,
                "name a YAML file of accepted findings; jobs/README.md says what it holds",
            )
        })?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(refuse(
                "the baseline is larger than 8 MiB".into(),
                "see whether this is the right file",
            ));
        }
        Baseline::parse(&text, path)
    }

    /// Reads the text of a file that lies at `path`.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Baseline, Vec<Problem>> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |place| place.line() as usize);
            let (problem, remedy) = explain(&error.to_string());
            vec![Problem::new(path, line, problem, remedy)]
        })?;
        let line = line_of(&written.centinel);
        if written.centinel.value != FORM {
            let problem = "this form is not one that this program reads";
            return Err(vec![Problem::new(
                path,
                line,
                problem,
                format!("write centinel: {FORM}"),
            )]);
        }
        let mut problems = Vec::new();
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeSet<Target> = BTreeSet::new();
        for entry in written.accepted {
            let line = line_of(&entry);
            let mut reader = EntryReader {
                path,
                line,
                problems: &mut problems,
            };
            let Some(entry) = reader.read(entry.value) else {
                continue;
            };
            if !seen.insert(entry.target.clone()) {
                reader.refuse(line, "the same is accepted twice", "keep one of them");
            }
            entries.push(entry);
        }
        match problems.is_empty() {
            true => Ok(Baseline {
                file: path.to_owned(),
                entries,
            }),
            false => Err(problems),
        }
    }
}

fn line_of<T>(value: &Spanned<T>) -> usize {
    value.referenced.line() as usize
}

struct EntryReader<'a> {
    path: &'a Path,
    line: usize,
    problems: &'a mut Vec<Problem>,
}

impl EntryReader<'_> {
    fn refuse(&mut self, line: usize, problem: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::new(self.path, line, problem, remedy);
        self.problems.push(problem);
    }

    fn read(&mut self, written: WrittenEntry) -> Option<Entry> {
        let target = self.target(written.finding, written.rule, written.key);
        let at_most = written.at_most.map(|text| self.at_most(&text));
        let reason = self.words(
            "reason",
            written.reason,
            "why it is no loss, or who mends it",
        );
        let by = self.words("by", written.by, "the person who answers for it");
        let until = self.words(
            "until",
            written.until,
            "the last day on which it is accepted: 2026-12-31",
        );
        let (until, line) = until?;
        let Some(expires) = expiry(&until) else {
            self.refuse(
                line,
                "`until` is no day",
                "write the last day, as 2026-12-31",
            );
            return None;
        };
        Some(Entry {
            line: self.line,
            target: target?,
            at_most: match at_most {
                None => None,
                Some(read) => Some(read?),
            },
            acceptance: Acceptance {
                reason: reason?.0,
                by: by?.0,
                until,
            },
            expires,
        })
    }

    fn target(
        &mut self,
        finding: Option<Spanned<String>>,
        rule: Option<Spanned<String>>,
        key: Option<BTreeMap<String, String>>,
    ) -> Option<Target> {
        let both = "name a finding by `finding: <its id>`, or by `rule` and `key`";
        match (finding, rule, key) {
            (Some(id), None, None) => {
                let right = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                if id.value.len() != 32 || !id.value.bytes().all(right) {
                    let remedy = "write the 32 hexadecimal digits of `finding_id`, in quotes if they are all digits";
                    self.refuse(line_of(&id), "`finding` is no id of a finding", remedy);
                    return None;
                }
                Some(Target::Finding(id.value))
            }
            (None, Some(rule), Some(key)) if !key.is_empty() => Some(Target::Key {
                rule: rule.value,
                key,
            }),
            (None, Some(rule), _) => {
                let remedy = "add `key: {order_no: …}`; a whole rule is not accepted: set its status to shadow or draft";
                self.refuse(line_of(&rule), "the entry names a rule and no key", remedy);
                None
            }
            (Some(_), ..) => {
                self.refuse(
                    self.line,
                    "the entry has `finding` beside `rule` or `key`",
                    both,
                );
                None
            }
            (None, None, _) => {
                self.refuse(self.line, "the entry says not what is accepted", both);
                None
            }
        }
    }

    fn at_most(&mut self, text: &Spanned<String>) -> Option<(Amount, String)> {
        let parts: Vec<&str> = text.value.split_whitespace().collect();
        let read = match parts[..] {
            [amount, currency] if is_currency(currency) => {
                let amount = Amount::exact(amount)
                    .ok()
                    .filter(|amount| amount.units >= 0);
                amount.map(|amount| (amount, currency.to_owned()))
            }
            _ => None,
        };
        if read.is_none() {
            let remedy = "write an amount in major units and its currency: 12.50 CNY";
            self.refuse(line_of(text), "`at_most` is no amount of money", remedy);
        }
        read
    }

    fn words(
        &mut self,
        name: &str,
        text: Option<Spanned<String>>,
        wanted: &str,
    ) -> Option<(String, usize)> {
        let Some(text) = text else {
            self.refuse(
                self.line,
                format!("the entry has no `{name}`"),
                format!("add it: {wanted}"),
            );
            return None;
        };
        let line = line_of(&text);
        if text.value.trim().is_empty() {
            self.refuse(
                line,
                format!("`{name}` is empty"),
                format!("write {wanted}"),
            );
            return None;
        }
        Some((text.value.trim().to_owned(), line))
    }
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The end of a day in UTC.
fn expiry(day: &str) -> Option<Timestamp> {
    let right = day.len() == 10
        && day
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let start = right.then(|| Timestamp::parse(&format!("{day}T00:00:00Z")).ok());
    start.flatten().map(|start| start.plus(A_DAY))
}

/// What is wrong and what would be right, from what the YAML reader says.
fn explain(said: &str) -> (String, String) {
    let said = said.lines().next().unwrap_or(said);
    let named = |mark: &str| {
        let (_, rest) = said.split_once(mark)?;
        rest.split(['`', '\'', '"']).nth(1)
    };
    if let Some(wrong) = named("unknown field") {
        let all: Vec<&str> = FIELDS.into_iter().chain(["centinel", "accepted"]).collect();
        return (format!("unknown field `{wrong}`"), suggest(wrong, &all));
    }
    if let Some(missing) = named("missing field") {
        let remedy = match missing {
            "centinel" => format!("begin with centinel: {FORM}"),
            _ => "add accepted: and below it an entry for each finding".to_owned(),
        };
        return (format!("the file has no `{missing}`"), remedy);
    }
    let remedy = "write centinel: baseline/1 and accepted:, each with rule and key (or finding), reason, by and until";
    (
        format!("the file cannot be read: {said}"),
        remedy.to_owned(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RIGHT: &str = "centinel: baseline/1
accepted:
  - finding: 0123456789abcdef0123456789abcdef
    reason: known
    by: somebody
    until: 2026-12-31
  - rule: a
    key: {order_no: E1}
    at_most: 12.50 CNY
    reason: known
    by: somebody
    until: 2026-12-31
";

    #[test]
    fn a_file_is_read() {
        let baseline = Baseline::parse(RIGHT, Path::new("known.yaml")).unwrap();
        let lines: Vec<usize> = baseline.entries.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [3, 7]);
    }

    #[test]
    fn mistakes_are_told_with_line_and_remedy() {
        #[rustfmt::skip]
        let table = [
            ("baseline/1", "baseline/2", 1, "not one that this program reads", "centinel: baseline/1"),
            ("centinel: baseline/1\n", "", 1, "has no `centinel`", "begin with"),
            ("accepted:", "acepted:", 2, "unknown field `acepted`", "did you mean `accepted`?"),
            ("    by: somebody\n    until: 2026-12-31\n  - rule", "    bye: x\n  - rule", 5, "unknown field `bye`", "did you mean `by`?"),
            ("0123456789abcdef0123456789abcdef", "0123", 3, "`finding` is no id", "32 hexadecimal digits"),
            ("    key: {order_no: E1}\n", "", 7, "names a rule and no key", "add `key"),
            ("key: {order_no: E1}", "key: {}", 7, "names a rule and no key", "add `key"),
            ("  - rule: a\n", "  - finding: 0123456789abcdef0123456789abcdee\n", 7, "`finding` beside", "or by `rule` and `key`"),
            ("12.50 CNY", "12.50", 9, "no amount of money", "12.50 CNY"),
            ("12.50 CNY", "-12.50 CNY", 9, "no amount of money", "12.50 CNY"),
            ("12.50 CNY", "1e3 CNY", 9, "no amount of money", "12.50 CNY"),
            ("    at_most: 12.50 CNY\n    reason: known\n", "", 7, "has no `reason`", "add it"),
            ("    at_most: 12.50 CNY\n    reason: known\n", "    reason: ' '\n", 9, "`reason` is empty", "write"),
            ("until: 2026-12-31\n  - rule", "until: someday\n  - rule", 6, "`until` is no day", "2026-12-31"),
            ("until: 2026-12-31\n  - rule", "until: 2026-02-30\n  - rule", 6, "`until` is no day", "2026-12-31"),
            ("  - rule: a\n    key: {order_no: E1}\n    at_most: 12.50 CNY\n", "  - finding: 0123456789abcdef0123456789abcdef\n", 7, "accepted twice", "keep one"),
            ("accepted:\n", "accepted: [\n", 3, "cannot be read", "write centinel"),
        ];
        for (from, to, line, problem, remedy) in table {
            let text = RIGHT.replacen(from, to, 1);
            assert_ne!(text, RIGHT, "{from}");
            let found = Baseline::parse(&text, Path::new("known.yaml")).expect_err(to);
            assert_eq!(found.len(), 1, "{to}: {found:?}");
            let shown = (&found[0].problem, &found[0].remedy);
            assert!(found[0].problem.contains(problem), "{to}: {shown:?}");
            assert!(found[0].remedy.contains(remedy), "{to}: {shown:?}");
            // A reader of YAML may tell the place where it noticed.
            let off = found[0].line.abs_diff(line);
            assert!(
                off == 0 || (problem.contains("cannot be read") && found[0].line > 0),
                "{to}: line {}",
                found[0].line
            );
        }
    }
}
