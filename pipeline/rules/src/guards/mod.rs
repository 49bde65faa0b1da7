//! Guarded tables → rules. A change that nothing explains is a violation of `manual-change-<table>`; a planned change
//! that was not made is one of `planned-change-<table>`.
//!
//! Such a rule is SQL like any other, over the table's history and the events that its schema names. It waits for
//! `window`, so that events that come late, or before their change, explain it all the same.

mod write;

use std::sync::Arc;

use centinel_catalog::{Catalog, Diagnostic, EntityPath, ExplainingEvent, Guard, Table};
use centinel_model::TableId;

use crate::checkpoint::Checkpoint;
use crate::load::load_text;
use crate::mistakes::suggest;
use crate::rule::{Guarded, Rule};
use write::Writer;

/// The ids of rules about changes made by hand begin so.
pub const GUARD_PREFIX: &str = "manual-change-";
/// The ids of rules about planned changes begin so.
pub const PLANNED_PREFIX: &str = "planned-change-";

/// The rule about changes of a guarded table that were made by hand.
pub fn guard_rule_id(table: &str) -> String {
    format!("{GUARD_PREFIX}{}", table.replace('_', "-"))
}

/// The rule about planned changes of a guarded table.
pub fn planned_rule_id(table: &str) -> String {
    format!("{PLANNED_PREFIX}{}", table.replace('_', "-"))
}

/// The rules that guarded tables bring, or what is wrong with their guards.
pub(crate) fn guard_rules(
    catalog: &Catalog,
    known: &[Arc<Rule>],
    checkpoints: Option<&[Checkpoint]>,
) -> Result<Vec<Arc<Rule>>, Vec<Diagnostic>> {
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for id in catalog.table_ids() {
        let table = catalog.table(id);
        if let Some(guard) = &table.guard {
            let guarding = Guarding {
                catalog,
                id,
                table,
                guard,
            };
            match guarding.rules(known, checkpoints) {
                Ok(guards) => rules.extend(guards.into_iter().map(Arc::new)),
                Err(more) => mistakes.extend(more),
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok(rules),
        false => Err(mistakes),
    }
}

/// One guarded table.
struct Guarding<'g> {
    catalog: &'g Catalog,
    id: TableId,
    table: &'g Table,
    guard: &'g Guard,
}

impl Guarding<'_> {
    fn rules(
        &self,
        known: &[Arc<Rule>],
        checkpoints: Option<&[Checkpoint]>,
    ) -> Result<Vec<Rule>, Vec<Diagnostic>> {
        let checkpoint = self.checkpoint(checkpoints)?;
        let writer = Writer {
            catalog: self.catalog,
            table: self.table,
            guard: self.guard,
            path: self.path()?,
            planned: self.catalog.planned_for(self.id),
            checkpoint,
        };
        let name = &self.table.name;
        let guard = self.rule(&guard_rule_id(name), &writer.manual(), checkpoint)?;
        self.check_checkpoint(&guard, known)?;
        let mut rules = vec![guard];
        if let Some(planned) = writer.planned() {
            rules.push(self.rule(&planned_rule_id(name), &planned, None)?);
        }
        Ok(rules)
    }

    /// Loads a rule that was written here.
    fn rule(
        &self,
        id: &str,
        text: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Rule, Vec<Diagnostic>> {
        let name = &self.table.name;
        let loaded = load_text(&format!("{id}.sql"), text, self.catalog);
        let mut rule = loaded.map_err(|mistakes| {
            let said: Vec<&str> = mistakes.iter().map(|mistake| mistake.problem.as_str()).collect();
            let problem = format!("the guard of `{name}`: {}", said.join("; "));
            let remedy = "mend its `when`: a condition over operation, committed_at, account, thread_id, statement, \
                          before_<column>, after_<column> and event.<column>";
            self.mistake(problem, remedy)
        })?;
        if let Err(reason) = rule.detection() {
            let problem = format!("the guard of `{name}` cannot be judged: {reason}");
            return Err(self.mistake(problem, "let its `when` stay with the row and the event"));
        }
        rule.path = self.guard.place.clone();
        rule.guards = Some(Guarded {
            table: self.id,
            window: self.guard.window,
            checkpoint: checkpoint.cloned(),
        });
        Ok(rule)
    }

    /// A mistake of the guard, with its place in the schema.
    fn mistake(&self, problem: String, remedy: &str) -> Vec<Diagnostic> {
        let place = &self.guard.place;
        let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
        vec![Diagnostic {
            file: file.to_owned(),
            line: line.parse().unwrap_or(0),
            rendered: format!("error: {problem}\n --> {place}\n  help: {remedy}"),
            problem,
            remedy: remedy.to_owned(),
        }]
    }

    /// The checkpoint that the guard names. Rules that have no file of checkpoints, such as some of somebody's own beside
    /// the shipped schemas, are used without.
    fn checkpoint<'c>(
        &self,
        checkpoints: Option<&'c [Checkpoint]>,
    ) -> Result<Option<&'c Checkpoint>, Vec<Diagnostic>> {
        let (Some(name), Some(checkpoints)) = (&self.guard.checkpoint, checkpoints) else {
            return Ok(None);
        };
        let mut known = checkpoints.iter();
        let found = known.find(|checkpoint| checkpoint.name == *name);
        found.map(Some).ok_or_else(|| {
            let known = checkpoints
                .iter()
                .map(|checkpoint| checkpoint.name.as_str());
            let remedy = suggest(name, known);
            let remedy = format!("declare it in checkpoints.yaml beside the rules; {remedy}");
            self.mistake(format!("there is no checkpoint `{name}`"), &remedy)
        })
    }

    /// The rules of the checkpoint must judge what the guard judges.
    fn check_checkpoint(&self, rule: &Rule, known: &[Arc<Rule>]) -> Result<(), Vec<Diagnostic>> {
        let guarded = rule.guards.iter().flat_map(|guarded| &guarded.checkpoint);
        for id in guarded.flat_map(|checkpoint| &checkpoint.rules) {
            let other = known.iter().find(|other| other.id == *id);
            let judges =
                |other: &Arc<Rule>| other.entity == rule.entity && other.detection().is_ok();
            if !other.is_some_and(judges) {
                let problem = format!(
                    "the checkpoint names `{id}`, which does not judge the same entity in detection"
                );
                let remedy = "name rules of the entity whose rows the table has";
                return Err(self.mistake(problem, remedy));
            }
        }
        Ok(())
    }

    /// The way to the entity that judges the changes: the first that all events go as well.
    fn path(&self) -> Result<&EntityPath, Vec<Diagnostic>> {
        let events = || {
            let explanations = self.guard.explained_by.iter();
            explanations.filter_map(|explanation| explanation.event.as_ref())
        };
        let alike = |path: &EntityPath, event: &ExplainingEvent| {
            let other = self.catalog.table(event.event).path_to(path.entity());
            match (path, other) {
                (EntityPath::Direct { .. }, Some(EntityPath::Direct { .. })) => true,
                (
                    EntityPath::Through { target, .. },
                    Some(EntityPath::Through { target: other, .. }),
                ) => target == other,
                _ => false,
            }
        };
        let mut paths = self.table.entities.iter();
        let found = paths.find(|path| {
            let single = self.catalog.entity(path.entity()).key.len() == 1;
            single && events().all(|event| alike(path, event))
        });
        found.ok_or_else(|| {
            let problem = format!(
                "no entity of `{}` is reached in the same way by all events that explain its changes",
                self.table.name
            );
            let remedy = "let the events reach the entity as the table does: by its key, or by the same link";
            self.mistake(problem, remedy)
        })
    }
}
