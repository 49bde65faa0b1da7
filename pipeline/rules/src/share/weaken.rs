//! Joins that differ in the conditions on their inputs alone: the one with fewer conditions can be read for the
//! one with more, which are asked of its rows then.

use datafusion::common::JoinType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use hashbrown::HashMap;

use super::relation::{Id, Relation, Relations, SIDES, prefixed};

/// For inner joins of tables the same join with the fewest conditions, and the condition that makes this of it.
pub(super) fn weaker(relations: &Relations) -> HashMap<Id, (Id, Expr)> {
    let mut weaker = HashMap::new();
    for id in relations.ids() {
        let others = relations.ids().filter(|other| *other != id);
        let more = others.filter_map(|other| Some((other, beyond(relations, id, other)?)));
        let most = more.max_by_key(|(_, conditions)| conditions.len());
        if let Some((other, conditions)) = most
            && let Some(condition) = conjunction(conditions)
        {
            weaker.insert(id, (other, condition));
        }
    }
    weaker
}

/// The conditions that an inner join has and another has not, if that is all in which they differ.
fn beyond(relations: &Relations, id: Id, other: Id) -> Option<Vec<Expr>> {
    let (this, that) = (relations.relation(id), relations.relation(other));
    let (
        Relation::Join {
            left,
            right,
            on,
            filter: None,
            kind: JoinType::Inner,
            nulls,
        },
        Relation::Join {
            left: other_left,
            right: other_right,
            on: other_on,
            filter: None,
            kind: JoinType::Inner,
            nulls: other_nulls,
        },
    ) = (this, that)
    else {
        return None;
    };
    if on != other_on || nulls != other_nulls {
        return None;
    }
    let mut conditions = Vec::new();
    for (side, (input, other)) in SIDES.iter().zip([(left, other_left), (right, other_right)]) {
        for condition in beyond_scan(relations, *input, *other)? {
            conditions.push(prefixed(condition, side)?);
        }
    }
    Some(conditions)
}

fn beyond_scan(relations: &Relations, id: Id, other: Id) -> Option<Vec<&Expr>> {
    if id == other {
        return Some(Vec::new());
    }
    match (relations.relation(id), relations.relation(other)) {
        (
            Relation::Scan {
                table,
                forms,
                filters,
            },
            Relation::Scan {
                table: other_table,
                forms: other_forms,
                filters: other_filters,
            },
        ) if table == other_table && forms == other_forms => {
            let fewer = other_filters.iter().all(|filter| filters.contains(filter));
            let more = filters
                .iter()
                .filter(|filter| !other_filters.contains(filter));
            fewer.then(|| more.collect())
        }
        _ => None,
    }
}
