//! The proof that a rule's answer for an entity depends on that entity's rows alone.
//!
//! The proof walks the optimised plan, which is what runs. A relation is *local* when it is the disjoint
//! union, over all entities, of itself over that entity's rows. Beside that, some of its columns *name*
//! the entity. A [`Cover`] is a set of columns of which in each row at least one is not null, and each one
//! that is not null names the entity to which the row belongs; most covers are a single column. Whatever
//! brings rows together (joins, groups, windows, sets) keeps a relation local if it brings them together
//! by a cover. What is not on the list below is not local.

mod relation;

use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Span};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, TableScan, Union, Volatility, Window,
};

use crate::as_of::AS_OF;
use relation::{Class, Cover, Relation, bare, is_plain};

/// Whether a rule may be answered slice by slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locality {
    /// Its answer for an entity depends on that entity's rows alone.
    Local,
    /// That could not be proved; the rule runs in audits, over whole tables.
    NotLocal {
        /// Why, in a sentence.
        reason: String,
        /// The line of the file where it shows, from 1, if known.
        line: Option<usize>,
    },
}

impl Locality {
    /// Whether it was proved.
    pub fn is_local(&self) -> bool {
        *self == Locality::Local
    }
}

/// Why a plan is not local, and a place that shows it.
struct Refusal {
    reason: String,
    span: Option<Span>,
}

impl Refusal {
    fn new(reason: impl Into<String>) -> Refusal {
        Refusal {
            reason: reason.into(),
            span: None,
        }
    }

    fn at<'a>(mut self, exprs: impl IntoIterator<Item = &'a Expr>) -> Refusal {
        let spans = exprs.into_iter().flat_map(|expr| {
            let columns = expr.column_refs().into_iter();
            columns
                .filter_map(|column| column.spans.first())
                .collect::<Vec<_>>()
        });
        self.span = self
            .span
            .or(spans.min_by_key(|span| (span.start.line, span.start.column)));
        self
    }
}

type Proof = Result<Relation, Refusal>;

/// Proves an optimised plan local to an entity whose key must stand in the output column `key`.
pub(crate) fn prove(
    plan: &LogicalPlan,
    catalog: &Catalog,
    entity: EntityId,
    key: Option<usize>,
) -> Locality {
    let prover = Prover {
        catalog,
        entity,
        key_name: catalog.entity(entity).key.join(", "),
        name: &catalog.entity(entity).name,
    };
    match prover.whole(plan, key) {
        Ok(()) => Locality::Local,
        Err(refusal) => Locality::NotLocal {
            reason: refusal.reason,
            line: refusal
                .span
                .and_then(|span| usize::try_from(span.start.line).ok()),
        },
    }
}

struct Prover<'a> {
    catalog: &'a Catalog,
    entity: EntityId,
    /// The key as people call it, for messages.
    key_name: String,
    /// The entity's name, for messages.
    name: &'a str,
}

impl Prover<'_> {
    fn whole(&self, plan: &LogicalPlan, key: Option<usize>) -> Result<(), Refusal> {
        if self.catalog.entity(self.entity).key.len() != 1 {
            return Err(Refusal::new(format!(
                "the key of {} has several columns, over which slices cannot be cut yet",
                self.name
            )));
        }
        let relation = self.relation(plan)?;
        let named = relation.covers.iter().any(|cover| {
            cover.class == Class::Entity
                && Some(cover.columns.as_slice()) == key.as_ref().map(std::slice::from_ref)
        });
        if named {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "the output's `{}` is not the key of the {} in every row: it comes through a function or a cast, or \
             from the side of an outer join that may be missing; take it from the side that is always there",
            self.key_name, self.name
        )))
    }

    fn relation(&self, plan: &LogicalPlan) -> Proof {
        self.expressions(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Filter(node) => self.relation(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.relation(&node.input),
            LogicalPlan::Projection(node) => {
                let below = self.relation(&node.input)?;
                Ok(below.through(&node.expr, node.input.schema()))
            }
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.relation(&node.input),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(node) => self.aggregate(node),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Window(node) => self.window(node),
            LogicalPlan::Union(node) => self.union(node),
            other => Err(Refusal::new(unknown_shape(other))),
        }
    }

    /// Rows with a null key or an unresolved link belong to no slice, so here no key is null.
    fn scan(&self, scan: &TableScan) -> Proof {
        let name = scan.table_name.table();
        let Some(id) = self.catalog.table_id(name) else {
            return Err(Refusal::new(format!(
                "`{name}` is not a table of the schemas"
            )));
        };
        let table = self.catalog.table(id);
        let Some(path) = table.path_to(self.entity) else {
            return Err(Refusal::new(format!(
                "rows of {name} do not belong to one {}: schemas/ names no way from {name} to it",
                self.name
            )));
        };
        let position = |column: usize| match &scan.projection {
            Some(projection) => projection.iter().position(|kept| *kept == column),
            None => Some(column),
        };
        let mut relation = Relation::default();
        let class = match path {
            EntityPath::Direct { .. } => Class::Entity,
            EntityPath::Through { target, .. } => Class::Row(*target),
        };
        relation.name(path.columns(), class, position);
        if self.is_link_target(id) {
            relation.name(&table.primary_key, Class::Row(id), position);
        }
        if let [key] = table.primary_key[..] {
            relation.unique.extend(position(key));
        }
        Ok(relation)
    }

    fn is_link_target(&self, id: TableId) -> bool {
        self.catalog.tables.iter().any(|table| {
            matches!(table.path_to(self.entity), Some(EntityPath::Through { target, .. }) if *target == id)
        })
    }

    fn join(&self, join: &Join) -> Proof {
        let (left, right) = (self.relation(&join.left)?, self.relation(&join.right)?);
        if join.null_aware {
            return Err(Refusal::new(
                "NOT IN over a column that may be null: one null anywhere decides for all rows; write NOT EXISTS",
            )
            .at(join.on.iter().flat_map(|pair| [&pair.0, &pair.1])));
        }
        let pairs: Vec<(Cover, Cover)> = join
            .on
            .iter()
            .filter_map(|(one, other)| {
                let left = left.cover_of(one, join.left.schema())?;
                let right = right.cover_of(other, join.right.schema())?;
                (left.class == right.class).then_some((left, right))
            })
            .collect();
        if pairs.is_empty() {
            return Err(self.refuse_join(join, &left, &right));
        }
        let width = join.left.schema().fields().len();
        Ok(match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
            JoinType::Inner => Relation::joined(Some(&left), Some(&right), &pairs, width),
            JoinType::Left => Relation::joined(Some(&left), None, &pairs, width),
            JoinType::Right => Relation::joined(None, Some(&right), &pairs, width),
            JoinType::Full => Relation::joined(None, None, &pairs, width),
        })
    }

    fn refuse_join(&self, join: &Join, left: &Relation, right: &Relation) -> Refusal {
        let hidden = |expr: &Expr, relation: &Relation, schema: &DFSchema| {
            !matches!(expr, Expr::Column(_)) && relation.hides_key(expr, schema)
        };
        let sides = join.on.iter().flat_map(|pair| [&pair.0, &pair.1]);
        let through = join.on.iter().any(|(one, other)| {
            hidden(one, left, join.left.schema()) || hidden(other, right, join.right.schema())
        });
        let reason = if through {
            format!(
                "the key of the {} passes through a function or a cast in a join",
                self.name
            )
        } else if join.on.is_empty() {
            format!(
                "rows of different {}s are combined: a join, a subquery or a list of tables is not tied by {} = {}",
                self.name, self.key_name, self.key_name
            )
        } else {
            let pairs: Vec<String> = join
                .on
                .iter()
                .map(|(one, other)| format!("{} = {}", shown(one), shown(other)))
                .collect();
            format!(
                "rows of different {}s meet where {}: neither {} nor a declared link ties both sides",
                self.name,
                pairs.join(" and "),
                self.key_name
            )
        };
        Refusal::new(reason).at(sides.chain(join.filter.as_ref()))
    }

    fn aggregate(&self, node: &Aggregate) -> Proof {
        let below = self.relation(&node.input)?;
        if node
            .group_expr
            .iter()
            .any(|expr| matches!(expr, Expr::GroupingSet(_)))
        {
            return Err(Refusal::new(format!(
                "GROUPING SETS, ROLLUP and CUBE also group rows of all {}s together",
                self.name
            ))
            .at(&node.group_expr));
        }
        for expr in &node.aggr_expr {
            plain_aggregate(expr)?;
        }
        let mut above = below.through(&node.group_expr, node.input.schema());
        if above.covers.is_empty() {
            return Err(self.refuse_group("GROUP BY or DISTINCT", node)?);
        }
        above.unique = match node.group_expr.len() {
            1 => vec![0],
            _ => Vec::new(),
        };
        Ok(above)
    }

    fn refuse_group(&self, what: &str, node: &Aggregate) -> Result<Refusal, Refusal> {
        let (by, input) = as_written(node);
        let below = self.relation(input)?;
        let hides = by.iter().any(|expr| below.hides_key(expr, input.schema()));
        let reason = if by.is_empty() {
            format!(
                "an aggregate without GROUP BY adds up over all {}s",
                self.name
            )
        } else if hides {
            format!(
                "the key of the {} passes through a function or a cast in {what}",
                self.name
            )
        } else {
            format!(
                "{what} brings rows of different {}s together: it does not include {} or a declared link",
                self.name, self.key_name
            )
        };
        Ok(Refusal::new(reason).at(by.iter().chain(&node.aggr_expr)))
    }

    fn distinct(&self, input: &LogicalPlan) -> Proof {
        let below = self.relation(input)?;
        if below.covers.is_empty() {
            return Err(Refusal::new(format!(
                "DISTINCT or UNION brings rows of different {}s together: {} is not among its columns",
                self.name, self.key_name
            )));
        }
        Ok(below)
    }

    fn window(&self, node: &Window) -> Proof {
        let below = self.relation(&node.input)?;
        for expr in &node.window_expr {
            let Expr::WindowFunction(call) = bare(expr) else {
                return Err(Refusal::new("a window of an unknown form"));
            };
            let by = &call.params.partition_by;
            if below.through(by, node.input.schema()).covers.is_empty() {
                return Err(Refusal::new(format!(
                    "the window's PARTITION BY does not include {} or a declared link, so it runs over rows of \
                     different {}s",
                    self.key_name, self.name
                ))
                .at(std::iter::once(expr)));
            }
            below.settled_order(call, node.input.schema())?;
        }
        Ok(below)
    }

    fn union(&self, node: &Union) -> Proof {
        let mut branches = node.inputs.iter().map(|input| self.relation(input));
        let mut covers = branches
            .next()
            .ok_or_else(|| Refusal::new("an empty UNION"))??
            .covers;
        for branch in branches {
            let branch = branch?;
            covers.retain(|cover| branch.covers.contains(cover));
        }
        if covers.is_empty() {
            return Err(Refusal::new(format!(
                "the branches of a UNION do not hold the key of the {} in the same column",
                self.name
            )));
        }
        Ok(Relation {
            covers,
            unique: Vec::new(),
        })
    }

    /// Refuses expressions whose value depends on more than their row (and `as_of()`).
    fn expressions(&self, plan: &LogicalPlan) -> Result<(), Refusal> {
        for expr in plan.expressions() {
            let mut refusal = None;
            let walked = expr.apply(|inner| {
                refusal = self.row_local(inner).err();
                Ok(match refusal {
                    Some(_) => TreeNodeRecursion::Stop,
                    None => TreeNodeRecursion::Continue,
                })
            });
            if walked.is_err() {
                return Err(Refusal::new("an expression of an unknown form"));
            }
            if let Some(refusal) = refusal {
                return Err(refusal.at(std::iter::once(&expr)));
            }
        }
        Ok(())
    }

    fn row_local(&self, expr: &Expr) -> Result<(), Refusal> {
        match expr {
            Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_) => Err(Refusal::new(format!(
                "a subquery looks at rows of all {}s: tie it to the row by {} = {}",
                self.name, self.key_name, self.key_name
            ))),
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable
                    && call.func.name() != AS_OF =>
            {
                Err(Refusal::new(format!(
                    "{}() does not return the same for the same row",
                    call.func.name()
                )))
            }
            Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_)
            | Expr::ScalarVariable(..)
            | Expr::Placeholder(_)
            | Expr::HigherOrderFunction(_)
            | Expr::Lambda(_)
            | Expr::LambdaVariable(_) => Err(Refusal::new(format!(
                "`{expr}` is of a form that is not known to stay within one {}",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}

/// The groups as the rule names them, and what they are of: what is computed is computed below.
fn as_written(node: &Aggregate) -> (Vec<Expr>, &LogicalPlan) {
    if let LogicalPlan::Projection(below) = node.input.as_ref() {
        let computed = node.group_expr.iter().map(|group| match bare(group) {
            Expr::Column(column) => {
                let index = below.schema.maybe_index_of_column(column)?;
                below.expr.get(index).cloned()
            }
            _ => None,
        });
        if let Some(by) = computed.collect() {
            return (by, &below.input);
        }
    }
    (node.group_expr.clone(), &node.input)
}

fn plain_aggregate(expr: &Expr) -> Result<(), Refusal> {
    match bare(expr) {
        Expr::AggregateFunction(call) if is_plain(call.func.name()) => Ok(()),
        Expr::AggregateFunction(call) => Err(Refusal::new(format!(
            "{}() (or DISTINCT ON) depends on the order in which rows come",
            call.func.name()
        ))
        .at(std::iter::once(expr))),
        _ => Err(Refusal::new("an aggregate of an unknown form")),
    }
}

/// An expression without the names that the planner gives to subqueries.
fn shown(expr: &Expr) -> String {
    let text = expr.to_string();
    let mut parts = text.split("__");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        shown.push_str(name.strip_prefix('.').unwrap_or(part));
    }
    shown
}

fn unknown_shape(plan: &LogicalPlan) -> String {
    let said = match plan {
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            "rows that stand in the rule itself belong to no entity, or a condition can never be true"
        }
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => {
            "LIMIT takes some rows of all, whichever entities they belong to"
        }
        LogicalPlan::RecursiveQuery(_) => "a recursive query is not proved local",
        LogicalPlan::Distinct(_) => "DISTINCT ON takes any one of several rows",
        LogicalPlan::Unnest(_) => "UNNEST is not proved local",
        _ => return format!("`{}` is of a form that is not proved local", plan.display()),
    };
    said.to_owned()
}
