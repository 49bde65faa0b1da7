//! The little system of the self-check: its schemas and its rule, loaded beside those of the folders.

use std::path::Path;
use std::sync::Arc;

use centinel_catalog::{Catalog, Diagnostic};
use centinel_rules::{RuleSet, load_text};

use super::log::FOLDER;
use crate::config::Config;

const SCHEMAS: [(&str, &str); 3] = [
    (
        "entities.yaml (built in)",
        include_str!("built_in/entities.yaml"),
    ),
    (
        "self_check_payment.yaml (built in)",
        include_str!("built_in/self_check_payment.yaml"),
    ),
    (
        "self_check_settlement.yaml (built in)",
        include_str!("built_in/self_check_settlement.yaml"),
    ),
];
const RULE: (&str, &str) = (
    "centinel-self-check.sql",
    include_str!("built_in/centinel-self-check.sql"),
);

/// The self-check's own part of schemas and rules. Where a state has it, its rows are kept by the entity of the synthetic
/// orders, so the schemas stay when the self-check is turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Whether the rule is in force.
    pub rule: bool,
}

impl BuiltIn {
    /// What a state of this folder needs: none where nobody has ever turned on the self-check.
    pub fn of(config: Option<&Config>, state: &Path) -> Option<BuiltIn> {
        let rule = config.is_some_and(|config| config.self_check.is_some());
        (rule || state.join(FOLDER).is_dir()).then_some(BuiltIn { rule })
    }

    /// The schemas of a folder, with these.
    ///
    /// # Errors
    /// Every mistake.
    pub fn catalog(folder: &Path) -> Result<Catalog, Vec<Diagnostic>> {
        centinel_catalog::load_with(folder, &SCHEMAS)
    }

    /// Adds the rule, if it is in force.
    ///
    /// # Errors
    /// Where a rule of the folder has its id.
    pub fn add_rule(self, rules: &mut RuleSet, catalog: &Catalog) -> Result<(), Vec<Diagnostic>> {
        if !self.rule {
            return Ok(());
        }
        let rule = load_text(RULE.0, RULE.1, catalog)?;
        if let Some(other) = rules.get(&rule.id) {
            let problem = format!("`{}` is the id of the self-check's own rule", other.id);
            let remedy = "give the file another name".to_owned();
            return Err(vec![Diagnostic {
                file: other.path.clone(),
                line: 0,
                rendered: format!("error: {}: {problem}\n  help: {remedy}", other.path),
                problem,
                remedy,
            }]);
        }
        rules.rules.push(Arc::new(rule));
        rules.rules.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use centinel_model::SELF_CHECK_RULE;

    #[test]
    fn it_stands_beside_the_schemas_and_rules_of_the_folders() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let alone = centinel_catalog::load(&root.join("schemas")).unwrap();
        let catalog = BuiltIn::catalog(&root.join("schemas")).unwrap();
        assert_eq!(catalog.tables.len(), alone.tables.len() + 2);
        assert_eq!(catalog.entities.len(), alone.entities.len() + 1);
        let mut rules = RuleSet::default();
        BuiltIn { rule: true }
            .add_rule(&mut rules, &catalog)
            .unwrap();
        let rule = rules.get(SELF_CHECK_RULE).unwrap();
        assert!(rule.detection().is_ok());
        // What detection needs to know of time is there.
        assert_eq!(rule.status, centinel_rules::Status::Shadow);
        // Twice is once too often.
        assert!(
            BuiltIn { rule: true }
                .add_rule(&mut rules, &catalog)
                .is_err()
        );
    }

    #[test]
    fn its_names_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let entities = "centinel: entities/1\nentities: { self_check_order: { key: [a] } }\n";
        std::fs::write(folder.path().join("entities.yaml"), entities).unwrap();
        let mistakes = BuiltIn::catalog(folder.path()).unwrap_err();
        let said: Vec<&str> = mistakes
            .iter()
            .map(|mistake| mistake.problem.as_str())
            .collect();
        assert_eq!(
            said,
            ["the entity `self_check_order` is declared by the folder, too"]
        );
    }
}
