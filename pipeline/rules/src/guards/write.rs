//! The text of the rules that a guarded table brings.

use std::fmt::Write;

use centinel_catalog::{
    Catalog, Currency, EntityPath, ExplainingEvent, Explanation, Guard, Table, history_name,
    planned_name,
};
use centinel_model::{Duration, Operation, TableId};

use super::{guard_rule_id, planned_rule_id};
use crate::checkpoint::Checkpoint;

/// What is written from.
pub(super) struct Writer<'w> {
    pub catalog: &'w Catalog,
    pub table: &'w Table,
    pub guard: &'w Guard,
    /// The way to the entity that judges the changes.
    pub path: &'w EntityPath,
    /// The event that announces planned changes.
    pub planned: Option<TableId>,
    pub checkpoint: Option<&'w Checkpoint>,
}

/// What of a rule's head differs.
struct Head<'h> {
    id: String,
    title: String,
    key: &'h str,
    tags: &'h str,
    settle: Duration,
    /// How much longer it waits.
    rest: Duration,
    since: &'h str,
    on: String,
    runbook: &'h str,
}

impl Writer<'_> {
    /// The rule about changes made by hand.
    pub fn manual(&self) -> String {
        let name = &self.table.name;
        // The checkpoint's answer is told with the change, so it waits for that, too.
        let patience = self.checkpoint.map_or(Duration::ZERO, Checkpoint::patience);
        let window = self.guard.window;
        let mut text = self.head(Head {
            id: guard_rule_id(name),
            title: format!("Every change of `{name}` is explained by an event"),
            key: "change_id",
            tags: "manual-change, loss-5",
            settle: window,
            rest: Duration((patience.0 - window.0).max(0)),
            since: "committed_at",
            on: history_name(name),
            runbook: "Find out who changed the row and why; the transaction, thread and account say where to ask.",
        });
        if let Some(Checkpoint { name, rules, .. }) = self.checkpoint {
            let _ = writeln!(text, "-- checkpoint {name}: {}", rules.join(", "));
        }
        let own = [
            "change_id",
            "operation",
            "committed_at",
            "transaction_id",
            "thread_id",
            "account",
        ];
        text.push_str(&self.select("c", &own));
        let _ = write!(
            text,
            "\nFROM {} c\n{}",
            history_name(name),
            self.target("c")
        );
        let mut conditions: Vec<String> = self
            .guard
            .explained_by
            .iter()
            .map(|explanation| self.unexplained(explanation))
            .collect();
        if self.planned.is_some() {
            let planned = planned_name(name);
            let made = self.made_as_planned();
            conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM {planned} plan WHERE {made})"
            ));
        }
        if !conditions.is_empty() {
            let _ = writeln!(text, "WHERE {}", conditions.join("\n  AND "));
        }
        text
    }

    /// The rule about planned changes that were not made, or otherwise than planned; none where plans are not
    /// announced.
    pub fn planned(&self) -> Option<String> {
        self.planned?;
        let name = &self.table.name;
        let mut text = self.head(Head {
            id: planned_rule_id(name),
            title: format!("Every planned change of `{name}` is made as it was planned"),
            key: "message_id",
            tags: "planned-change, loss-5",
            settle: Duration::ZERO,
            rest: Duration::ZERO,
            since: "due_at",
            on: planned_name(name),
            runbook: "Compare the row with the plan: it was not changed in time, or otherwise than planned.",
        });
        let own = [
            "message_id",
            "plan_id",
            "approved_by",
            "approved_at",
            "due_at",
            "operation",
            "sets",
        ];
        text.push_str(&self.select("plan", &own));
        let _ = write!(
            text,
            "\nFROM {} plan\n{}",
            planned_name(name),
            self.target("plan")
        );
        let history = history_name(name);
        let made = self.made_as_planned();
        let _ = writeln!(
            text,
            "WHERE NOT EXISTS (SELECT 1 FROM {history} c WHERE {made})"
        );
        Some(text)
    }

    fn head(&self, head: Head<'_>) -> String {
        let entity = self.catalog.entity(self.path.entity());
        let mut text = format!(
            "/* ---\nid: {}\ntitle: {}\nentity: {}\nseverity: error\nkey: [{}, {}]\n",
            head.id, head.title, entity.name, entity.key[0], head.key
        );
        let currency = self.amount().map(|(_, currency)| match currency {
            Currency::Fixed(code) => code.clone(),
            Currency::Column(_) => "moved_currency".to_owned(),
        });
        if let Some(currency) = currency {
            let _ = write!(text, "amount: at_risk\ncurrency: {currency}\n");
        }
        let _ = write!(
            text,
            "owner: {}\ntags: [{}]\nsettle: {}ms\nretries: {}\nretry_interval: {}ms\nsince: {}\non: [{}]\n\
             status: stable\nrunbook: \"{}\"\n--- */\n",
            self.table.system,
            head.tags,
            millis(head.settle),
            u8::from(head.rest > Duration::ZERO),
            millis(head.rest),
            head.since,
            head.on,
            head.runbook,
        );
        text
    }

    /// The money column whose change is the money moved.
    fn amount(&self) -> Option<(&str, &Currency)> {
        let column = &self.table.columns[self.guard.amount?];
        Some((&column.name, &column.money.as_ref()?.currency))
    }

    /// The entity's key, the row's key, what the relation has of its own, every column before and after, and the money.
    fn select(&self, relation: &str, own: &[&str]) -> String {
        let key = &self.catalog.entity(self.path.entity()).key[0];
        let name = |column: &usize| self.table.columns[*column].name.as_str();
        let of_entity = match self.path {
            EntityPath::Direct { columns, .. } => format!("{relation}.{}", name(&columns[0])),
            EntityPath::Through { target, entity, .. } => {
                let target = self.catalog.table(*target);
                let way = target.path_to(*entity).map(|path| path.columns()[0]);
                format!(
                    "target.{}",
                    way.map_or(key, |column| &target.columns[column].name)
                )
            }
        };
        let mut columns = vec![format!("{of_entity} AS {key}")];
        let primary = self
            .table
            .primary_key
            .iter()
            .map(name)
            .filter(|name| name != key);
        columns.extend(
            primary
                .chain(own.iter().copied())
                .map(|name| format!("{relation}.{name}")),
        );
        for column in &self.table.columns {
            columns.push(format!("{relation}.before_{}", column.name));
            columns.push(format!("{relation}.after_{}", column.name));
        }
        if let Some((amount, currency)) = self.amount() {
            let (before, after) = (
                format!("{relation}.before_{amount}"),
                format!("{relation}.after_{amount}"),
            );
            let moved = format!("COALESCE({after}, 0) - COALESCE({before}, 0)");
            columns.push(format!("{moved} AS moved"));
            columns.push(format!(
                "CASE WHEN ({after} IS DISTINCT FROM {before}) THEN {moved} ELSE COALESCE({after}, 0) END AS at_risk"
            ));
            if let Currency::Column(currency) = currency {
                columns.push(format!(
                    "COALESCE({relation}.after_{currency}, {relation}.before_{currency}) AS moved_currency"
                ));
            }
        }
        format!("SELECT {}", columns.join(",\n       "))
    }

    /// The row through which the table reaches its entity, if it does so.
    fn target(&self, relation: &str) -> String {
        let EntityPath::Through {
            columns, target, ..
        } = self.path
        else {
            return String::new();
        };
        let target = self.catalog.table(*target);
        let pairs = target.primary_key.iter().zip(columns).map(|(own, by)| {
            let (own, by) = (&target.columns[*own].name, &self.table.columns[*by].name);
            format!("target.{own} = {relation}.{by}")
        });
        let tied: Vec<String> = pairs.collect();
        format!("JOIN {} target ON {}\n", target.name, tied.join(" AND "))
    }

    /// That this does not explain the change. A condition that is null explains nothing.
    fn unexplained(&self, explanation: &Explanation) -> String {
        let mut conditions = vec![operations(&explanation.operations)];
        if let Some(columns) = &explanation.columns {
            let others = self.table.columns.iter().enumerate();
            let others = others.filter(|(index, _)| !columns.contains(index));
            let touched: Vec<String> = others
                .map(|(_, column)| {
                    format!("(c.after_{0} IS DISTINCT FROM c.before_{0})", column.name)
                })
                .collect();
            if !touched.is_empty() {
                let touched = touched.join(" OR ");
                conditions.push(format!("(c.operation <> 'update' OR NOT ({touched}))"));
            }
        }
        if let Some(when) = &explanation.when {
            conditions.push(format!("({when})"));
        }
        match &explanation.event {
            None => format!("({}) IS NOT TRUE", conditions.join(" AND ")),
            Some(event) => {
                let name = &self.catalog.table(event.event).name;
                let mut all = self.tied(event);
                all.extend(conditions);
                let all = all.join(" AND ");
                format!("NOT EXISTS (SELECT 1 FROM {name} event WHERE {all})")
            }
        }
    }

    /// That an event belongs to the change: to its entity, by its key, and at its time.
    fn tied(&self, event: &ExplainingEvent) -> Vec<String> {
        let table = self.catalog.table(event.event);
        let pair = |own: usize, other: usize| {
            format!(
                "event.{} = c.{}",
                table.columns[other].name,
                self.image(own)
            )
        };
        let others = table.path_to(self.path.entity());
        let others = others.map_or(&[][..], EntityPath::columns);
        let ways = self.path.columns().iter().zip(others);
        let mut tied: Vec<String> = ways.map(|(own, other)| pair(*own, *other)).collect();
        for (own, other) in &event.key {
            let pair = pair(*own, *other);
            if !tied.contains(&pair) {
                tied.push(pair);
            }
        }
        if let Some(published) = table.changed_at {
            let time = &table.columns[published].name;
            let window = millis(self.guard.window);
            tied.push(format!(
                "event.{time} >= c.committed_at - INTERVAL '{window} milliseconds'"
            ));
            tied.push(format!(
                "event.{time} <= c.committed_at + INTERVAL '{window} milliseconds'"
            ));
        }
        tied
    }

    /// A column of the changed row as its history holds it.
    fn image(&self, column: usize) -> String {
        let name = &self.table.columns[column].name;
        match self.table.named_in_history().contains(&column) {
            true => name.clone(),
            false => format!("after_{name}"),
        }
    }

    /// That change `c` is what `plan` says: of that row, in its time, every column that it sets has that value, and no
    /// other column changed, but for the one that says when the row changed. An insertion may fill others by itself.
    fn made_as_planned(&self) -> String {
        let name = |column: usize| self.table.columns[column].name.as_str();
        let ways = self.path.columns().iter().copied();
        let mut named: Vec<usize> = self.table.primary_key.iter().copied().chain(ways).collect();
        named.sort_unstable();
        named.dedup();
        let mut all: Vec<String> = named
            .into_iter()
            .map(|column| format!("plan.{0} = c.{0}", name(column)))
            .collect();
        all.push("plan.operation = c.operation".into());
        all.push("c.committed_at >= plan.approved_at AND c.committed_at <= plan.due_at".into());
        let columns = self.table.columns.iter().enumerate().map(|(index, column)| {
            let name = &column.name;
            let stays = match self.table.changed_at == Some(index) {
                true => "TRUE".to_owned(),
                false => format!("(c.operation = 'insert' OR (c.after_{name} IS NOT DISTINCT FROM c.before_{name}))"),
            };
            format!(
                "CASE WHEN strpos(plan.sets, ',{name},') > 0 THEN (c.after_{name} IS NOT DISTINCT FROM plan.after_{name}) \
                 ELSE {stays} END"
            )
        });
        let columns: Vec<String> = columns.collect();
        all.push(format!(
            "(c.operation = 'delete' OR ({}))",
            columns.join(" AND ")
        ));
        all.join(" AND ")
    }
}

fn millis(span: Duration) -> i64 {
    span.0 / 1_000
}

fn operations(allowed: &[Operation]) -> String {
    let names = allowed.iter().map(|operation| match operation {
        Operation::Update => "'update'",
        Operation::Delete => "'delete'",
        Operation::Insert | Operation::Snapshot => "'insert'",
    });
    format!("c.operation IN ({})", names.collect::<Vec<_>>().join(", "))
}
