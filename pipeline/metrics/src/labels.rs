//! Labels with a limit: each value of a label is a series of its own for those who keep metrics, and data must not make
//! more of them than they can bear.

use std::collections::HashSet;
use std::sync::Arc;

/// What stands for all values beyond the limit.
pub const OTHER: &str = "other";
/// Letters of a value; longer ones are cut.
const LONGEST: usize = 120;

/// One series: names and values of its labels.
pub(crate) type Labels = Vec<(&'static str, Arc<str>)>;

/// The values that a label has had. The first so many keep their names, for as long as the process lives; every later one is
/// [`OTHER`].
#[derive(Debug)]
pub struct Values {
    most: usize,
    known: HashSet<Arc<str>>,
    other: Arc<str>,
}

impl Values {
    /// At most so many beside [`OTHER`].
    pub fn new(most: usize) -> Values {
        Values {
            most,
            known: HashSet::new(),
            other: OTHER.into(),
        }
    }

    /// The label's value for this name.
    pub fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        let clean = clean(name);
        if let Some(known) = self.known.get(clean.as_str()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.most {
            return Arc::clone(&self.other);
        }
        let value: Arc<str> = clean.into();
        self.known.insert(Arc::clone(&value));
        value
    }
}

/// Without control characters, and not too long.
fn clean(name: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => '\u{fffd}',
        false => letter,
    };
    name.chars().take(LONGEST).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_limit_is_other() {
        let mut values = Values::new(3);
        let first: Vec<Arc<str>> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|name| values.of(name))
            .collect();
        let first: Vec<&str> = first.iter().map(|value| &**value).collect();
        assert_eq!(first, ["a", "b", "c", OTHER, OTHER]);
        assert_eq!(&*values.of("b"), "b");
    }

    #[test]
    fn hostile_names_are_short_and_without_control() {
        let mut values = Values::new(10);
        assert_eq!(
            &*values.of("a\n# TYPE x counter\r\u{1b}[2J"),
            "a\u{fffd}# TYPE x counter\u{fffd}\u{fffd}[2J"
        );
        assert_eq!(values.of(&"長".repeat(10_000)).chars().count(), LONGEST);
        // What is the same when it is clean is one series.
        assert_eq!(values.of("a\n"), values.of("a\r"));
    }
}
