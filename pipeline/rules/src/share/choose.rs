//! Which relations of some plans are computed once, and which of their columns.

use std::collections::{BTreeMap, BTreeSet};

use super::relation::{Id, Node, Relation, Relations, names};

/// Joins and aggregates that are wanted at two places or more, in plans or in what is shared itself.
pub(super) fn shared(relations: &Relations, plans: &[Node]) -> BTreeSet<Id> {
    let mut shared = BTreeSet::new();
    // The largest first: what lies within them is wanted once, by them.
    for id in relations.ids().rev() {
        let is_work = matches!(
            relations.relation(id),
            Relation::Join { .. } | Relation::Aggregate { .. }
        );
        if !is_work {
            continue;
        }
        let in_plans: usize = plans.iter().map(|plan| times(plan, id, &shared)).sum();
        let within: usize = shared
            .iter()
            .map(|outer| times_within(relations, *outer, id, &shared))
            .sum();
        if in_plans + within > 1 {
            shared.insert(id);
        }
    }
    shared
}

fn times(node: &Node, id: Id, shared: &BTreeSet<Id>) -> usize {
    match node.core {
        Some(core) if core == id => 1,
        Some(core) if shared.contains(&core) => 0,
        _ => node
            .children
            .iter()
            .map(|child| times(child, id, shared))
            .sum(),
    }
}

fn times_within(relations: &Relations, outer: Id, id: Id, shared: &BTreeSet<Id>) -> usize {
    let inputs = relations.needs(outer, &BTreeSet::new()).into_iter();
    inputs
        .map(|(input, _)| match input {
            _ if input == id => 1,
            _ if shared.contains(&input) => 0,
            _ => times_within(relations, input, id, shared),
        })
        .sum()
}

/// Of each shared relation the columns that plans and other shared relations need.
pub(super) fn wanted(
    relations: &Relations,
    plans: &[Node],
    shared: &BTreeSet<Id>,
) -> BTreeMap<Id, BTreeSet<String>> {
    let mut wanted = BTreeMap::new();
    for plan in plans {
        want(relations, plan, shared, &mut wanted);
    }
    for id in shared.iter().rev() {
        let columns = wanted.get(id).cloned().unwrap_or_default();
        for (input, needed) in relations.needs(*id, &columns) {
            ask(relations, input, needed, shared, &mut wanted);
        }
    }
    wanted
}

fn want(
    relations: &Relations,
    node: &Node,
    shared: &BTreeSet<Id>,
    wanted: &mut BTreeMap<Id, BTreeSet<String>>,
) {
    match (&node.meaning, node.core) {
        (Some(meaning), Some(core)) if shared.contains(&core) => {
            let columns = meaning.columns.iter().flat_map(names).collect();
            ask(relations, meaning.relation, columns, shared, wanted);
        }
        _ => {
            for child in &node.children {
                want(relations, child, shared, wanted);
            }
        }
    }
}

fn ask(
    relations: &Relations,
    id: Id,
    columns: BTreeSet<String>,
    shared: &BTreeSet<Id>,
    wanted: &mut BTreeMap<Id, BTreeSet<String>>,
) {
    if shared.contains(&id) {
        wanted.entry(id).or_default().extend(columns);
        return;
    }
    for (input, needed) in relations.needs(id, &columns) {
        ask(relations, input, needed, shared, wanted);
    }
}
