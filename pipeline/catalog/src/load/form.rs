//! From YAML values to texts, lists, flags and spans; each refusal says what the field wants.

use centinel_model::Duration;

use super::mistakes::{Mistakes, SourceFile, shorten, suggest};
use super::yaml::{Node, Place, Placed};

/// Names and their values, in the order of the file.
pub(super) type Entries = Vec<(Placed<String>, Placed<Node>)>;

/// Reads the values of one file and notes what is wrong with them.
pub(super) struct Form<'a> {
    pub file: &'a SourceFile,
    pub mistakes: &'a mut Mistakes,
}

/// The fields of one map, each taken once.
pub(super) struct Fields {
    /// Where a missing field is missed.
    pub place: Place,
    what: String,
    entries: Entries,
}

impl Fields {
    /// The value of this field, if the map has it.
    pub fn take(&mut self, name: &str) -> Option<Placed<Node>> {
        let index = self.entries.iter().position(|(key, _)| key.value == name)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// The value of this field, which must be there; `example` is how it may look.
    pub fn require(&mut self, form: &mut Form, name: &str, example: &str) -> Option<Placed<Node>> {
        let value = self.take(name);
        if value.is_none() {
            form.refuse(
                self.place,
                format!("{} has no `{name}`", self.what),
                format!("add `{name}: {example}`"),
            );
        }
        value
    }

    /// Where the key of this field stands.
    pub fn key_place(&self, name: &str) -> Option<Place> {
        self.entries
            .iter()
            .find(|(key, _)| key.value == name)
            .map(|(key, _)| key.place)
    }
}

impl Form<'_> {
    pub fn refuse(&mut self, place: Place, problem: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.at(self.file, place, problem, remedy);
    }

    /// A map whose names are all among `known`.
    pub fn fields(&mut self, what: &str, node: Placed<Node>, known: &[&str]) -> Option<Fields> {
        let place = node.place;
        let mut entries = self.entries(what, node)?;
        entries.retain(|(key, _)| {
            let right = known.contains(&key.value.as_str());
            if !right {
                let problem = format!("unknown field `{}` in {what}", shorten(&key.value));
                self.refuse(
                    key.place,
                    problem,
                    suggest(&key.value, known.iter().copied()),
                );
            }
            right
        });
        Some(Fields {
            place,
            what: what.to_owned(),
            entries,
        })
    }

    /// A map of any names, each once.
    pub fn entries(&mut self, what: &str, node: Placed<Node>) -> Option<Entries> {
        let Node::Map(all) = node.value else {
            self.refuse(
                node.place,
                format!("{what} is not a map"),
                "write `name: value` lines, or `{ name: value, … }`",
            );
            return None;
        };
        let mut lines = std::collections::BTreeMap::new();
        let mut kept = Vec::with_capacity(all.len());
        for (key, value) in all {
            if let Some(line) = lines.insert(key.value.clone(), key.place.line) {
                lines.insert(key.value.clone(), line);
                let problem = format!("`{}` stands twice in {what}", shorten(&key.value));
                self.refuse(
                    key.place,
                    problem,
                    format!("keep one of them; the first is on line {line}"),
                );
            } else {
                kept.push((key, value));
            }
        }
        Some(kept)
    }

    /// One text, not empty.
    pub fn text(&mut self, what: &str, node: Placed<Node>) -> Option<Placed<String>> {
        match node.value {
            Node::Text(value) if !value.is_empty() => Some(Placed {
                value,
                place: node.place,
            }),
            Node::Text(_) | Node::Empty => {
                self.refuse(
                    node.place,
                    format!("{what} is empty"),
                    "write its value, or remove the line",
                );
                None
            }
            Node::Cut(value) => {
                let problem = format!("`{}` stands in braces without quotes", shorten(&value));
                self.refuse(
                    node.place,
                    problem,
                    format!(
                        "write \"{}\": YAML ends a text in braces at a comma",
                        shorten(&value)
                    ),
                );
                None
            }
            Node::List(_) | Node::Map(_) => {
                self.refuse(
                    node.place,
                    format!("{what} is not a single value"),
                    "write one value, such as `name: value`",
                );
                None
            }
        }
    }

    /// A list of at least one text, each once.
    pub fn texts(&mut self, what: &str, node: Placed<Node>) -> Option<Vec<Placed<String>>> {
        let place = node.place;
        let Node::List(items) = node.value else {
            self.refuse(
                place,
                format!("{what} is not a list"),
                "write `[first, second]`, also for a single one",
            );
            return None;
        };
        let count = items.len();
        let texts: Vec<_> = items
            .into_iter()
            .filter_map(|item| self.text(what, item))
            .collect();
        if count == 0 {
            self.refuse(
                place,
                format!("{what} is an empty list"),
                "name at least one, or remove the line",
            );
        }
        for (index, text) in texts.iter().enumerate() {
            if texts[..index]
                .iter()
                .any(|earlier| earlier.value == text.value)
            {
                self.refuse(
                    text.place,
                    format!("`{}` stands twice in {what}", shorten(&text.value)),
                    "keep one of them",
                );
            }
        }
        (count > 0 && texts.len() == count).then_some(texts)
    }

    /// `true` or `false`; `false` without the field.
    pub fn flag(&mut self, what: &str, node: Option<Placed<Node>>) -> bool {
        let choices = [("true", true), ("false", false)];
        node.and_then(|node| self.choice(what, node, &choices))
            .unwrap_or(false)
    }

    /// One of some words.
    pub fn choice<T: Copy>(
        &mut self,
        what: &str,
        node: Placed<Node>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(what, node)?;
        let chosen = choices
            .iter()
            .find(|(word, _)| *word == text.value)
            .map(|(_, value)| *value);
        if chosen.is_none() {
            let remedy = suggest(&text.value, choices.iter().map(|(word, _)| *word));
            self.refuse(
                text.place,
                format!("`{}` is not a value of {what}", shorten(&text.value)),
                remedy,
            );
        }
        chosen
    }

    /// A span of time; `default` without the field.
    pub fn span(&mut self, what: &str, node: Option<Placed<Node>>, default: Duration) -> Duration {
        let Some(text) = node.and_then(|node| self.text(what, node)) else {
            return default;
        };
        Duration::parse(&text.value).unwrap_or_else(|_| {
            let remedy =
                "write a whole number and ms, s, m, h or d, such as 30s or 90d; at most 3650d";
            self.refuse(
                text.place,
                format!("{what}: `{}` is not a span of time", shorten(&text.value)),
                remedy,
            );
            default
        })
    }

    /// A whole number within a range; `default` without the field.
    pub fn number(
        &mut self,
        what: &str,
        node: Option<Placed<Node>>,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(text) = node.and_then(|node| self.text(what, node)) else {
            return default;
        };
        match text
            .value
            .parse()
            .ok()
            .filter(|number| range.contains(number))
        {
            Some(number) => number,
            None => {
                let remedy = format!(
                    "write a whole number from {} to {}",
                    range.start(),
                    range.end()
                );
                self.refuse(
                    text.place,
                    format!("{what} cannot be `{}`", shorten(&text.value)),
                    remedy,
                );
                default
            }
        }
    }
}
