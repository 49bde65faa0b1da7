//! What the state remembers of rules: a small number for each id, the version it was judged by, and how
//! far the documents have been looked at again since rules changed.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Present while documents are looked at again: numbers of the rules that changed.
    changed: Vec<u16>,
    /// The last document that was looked at again.
    reached: Option<Vec<u8>>,
}

/// What is remembered of one rule, enough to close its findings when it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Stands for the id in documents; never given again.
    pub number: u16,
    /// The version that findings were judged by; empty once the rule is not loaded any more.
    pub version: String,
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
            if known.is_none_or(|known| known.version != registered.version) {
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
            self.reached = None;
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

    /// Whether this rule is another than the one that this document was judged by last.
    pub fn is_changed(&self, number: u16, document: &[u8]) -> bool {
        let reached = self.reached.as_deref();
        self.changed.binary_search(&number).is_ok()
            && reached.is_none_or(|reached| document > reached)
    }

    /// Whether documents are still to be looked at again; those after the given key.
    pub fn rescan(&self) -> Option<Option<&[u8]>> {
        (!self.changed.is_empty()).then_some(self.reached.as_deref())
    }

    /// The documents up to this one have been looked at again; none: all have.
    pub fn reached(&mut self, last: Option<Vec<u8>>) {
        if last.is_none() {
            self.changed.clear();
        }
        self.reached = last;
    }
}
