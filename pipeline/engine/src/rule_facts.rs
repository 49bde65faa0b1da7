//! What the state remembers of rules: a small number for each id, the version it was judged by, and how
//! far the documents have been looked at again since rules changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::Severity;
use centinel_rules::Rule;
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Rule ids and their numbers. Persisted as one fact, in JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RuleRegister {
    rules: BTreeMap<String, Registered>,
    /// The entities whose rows are kept; set when the state is new.
    entities: Vec<String>,
    /// While documents are looked at again: numbers of the rules that changed.
    changed: Vec<u16>,
    /// Whether documents are looked at again though no rule changed.
    #[serde(default)]
    again: bool,
    /// The place of the last document that was looked at again.
    reached: Option<Vec<u8>>,
    /// How many were looked at again.
    #[serde(default)]
    looked: u64,
}

/// How far documents in state have been looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Documents that were looked at.
    pub looked: u64,
    /// All there are now; those that came since the beginning are among them.
    pub of: u64,
}

/// What is remembered of one rule, enough to close its findings when it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Stands for the id in documents; never given again.
    pub number: u16,
    /// The version that findings were judged by; empty once the rule is not loaded any more.
    pub version: String,
    /// What it saw of the schemas ([`Rule::seen_version`]); none in states of earlier programs.
    #[serde(default)]
    pub seen: Option<String>,
    /// As in the rule's head.
    pub title: String,
    /// As in the rule's head.
    pub severity: Severity,
    /// As in the rule's head.
    pub owner: String,
}

impl RuleRegister {
    /// Takes in the loaded rules. New, changed and missing ones make all documents be looked at again.
    pub fn take_in(
        &mut self,
        rules: &[Arc<Rule>],
        catalog: &Catalog,
        entities: Vec<String>,
        may_retire: bool,
    ) -> Result<(), EngineError> {
        self.keep_entities(entities)?;
        let mut changed = Vec::new();
        for rule in rules {
            let next = self.rules.values().map(|known| known.number + 1).max();
            let registered = Registered {
                number: self
                    .rules
                    .get(&rule.id)
                    .map_or(next.unwrap_or(0), |known| known.number),
                version: rule.version.clone(),
                seen: Some(rule.seen_version(catalog)),
                title: rule.title.clone(),
                severity: rule.severity,
                owner: rule.owner.clone(),
            };
            if registered.number == u16::MAX {
                return Err(EngineError::Unsupported(
                    "this state has seen 65,535 rules: start with a new state folder".into(),
                ));
            }
            let known = self.rules.insert(rule.id.clone(), registered.clone());
            if known.is_none_or(|known| registered.differs(&known)) {
                changed.push(registered.number);
            }
        }
        for (id, known) in &mut self.rules {
            let gone = rules.iter().all(|rule| rule.id != *id);
            if gone && !known.version.is_empty() {
                if !may_retire {
                    return Err(EngineError::Unsupported(format!(
                        "this state also judges by `{id}`: leaving it out would close its findings; name a \
                         state folder of its own, or leave no rule out"
                    )));
                }
                known.version.clear();
                changed.push(known.number);
            }
        }
        if !changed.is_empty() {
            self.start_again();
            self.changed.extend(changed);
            self.changed.sort_unstable();
            self.changed.dedup();
        }
        Ok(())
    }

    fn keep_entities(&mut self, entities: Vec<String>) -> Result<(), EngineError> {
        if self.rules.is_empty() {
            self.entities = entities;
            return Ok(());
        }
        match entities
            .iter()
            .find(|entity| !self.entities.contains(entity))
        {
            None => Ok(()),
            Some(new) => Err(EngineError::Unsupported(format!(
                "this state keeps rows by {} and none by `{new}`, which a rule now asks for: start with a new \
                 state folder and read the sources again, or leave that rule out",
                self.entities.join(", ")
            ))),
        }
    }

    /// The number of a loaded rule.
    pub fn number(&self, id: &str) -> Option<u16> {
        self.rules.get(id).map(|known| known.number)
    }

    /// The id behind a number.
    pub fn by_number(&self, number: u16) -> Option<(&str, &Registered)> {
        let found = self.rules.iter().find(|(_, known)| known.number == number);
        found.map(|(id, known)| (id.as_str(), known))
    }

    /// The entities whose rows are kept, by name.
    pub fn entities(&self) -> &[String] {
        &self.entities
    }

    /// Whether this rule is another than the one that documents after [`RuleRegister::reached`] were judged by.
    pub fn is_changed(&self, number: u16) -> bool {
        self.changed.binary_search(&number).is_ok()
    }

    /// Whether the document at this place is still to be looked at again.
    pub fn is_ahead(&self, place: &[u8]) -> bool {
        self.reached
            .as_deref()
            .is_none_or(|reached| place > reached)
    }

    /// All documents are to be looked at again, though no rule changed.
    pub fn look_again(&mut self) {
        self.again = true;
        self.start_again();
    }

    fn start_again(&mut self) {
        (self.reached, self.looked) = (None, 0);
    }

    /// Whether documents are still to be looked at again; those after the given place.
    pub fn rescan(&self) -> Option<Option<&[u8]>> {
        (self.again || !self.changed.is_empty()).then_some(self.reached.as_deref())
    }

    /// How many documents have been looked at again, while there are some left.
    pub fn looked(&self) -> Option<u64> {
        self.rescan().map(|_| self.looked)
    }

    /// So many more documents have been looked at again, up to this place; none: all have.
    pub fn reached(&mut self, count: usize, last: Option<Vec<u8>>) {
        self.looked += count as u64;
        if last.is_none() {
            self.changed.clear();
            self.again = false;
            self.looked = 0;
        }
        self.reached = last;
    }
}

impl Registered {
    /// Whether findings may be others than by a version known before.
    fn differs(&self, known: &Registered) -> bool {
        self.version != known.version || (known.seen.is_some() && known.seen != self.seen)
    }
}
