//! `<id>.sql` → [`Rule`], or every mistake.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use centinel_catalog::{Catalog, Diagnostic, TableKind, read_file};
use centinel_model::{EntityId, TableId};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{SchemaError, Span};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::executor::block_on;
use sha2::{Digest, Sha256};

use crate::as_of::AsOf;
use crate::checkpoint::load_checkpoints;
use crate::guards::guard_rules;
use crate::head::{Head, TripHead};
use crate::mistakes::{Mistakes, SourceFile, suggest};
use crate::rule::{Rule, RuleCurrency, TableUse, Trip};
use crate::{RulesError, exact, lineage, lint, locality, plan, session, wake};

/// What the circuit breaker can hold by, as entities are named.
const TRIPS_BY: [&str; 3] = ["order", "merchant", "business_code"];
/// The most rule files of one folder.
const MAX_FILES: usize = 2_000;
/// The most bytes of one rule file.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// All rules of a folder, by id.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// In order of id.
    pub rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// The rule with this exact id.
    pub fn get(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

/// Reads all `*.sql` files of a folder (not of folders in it), and adds a rule for each guarded table. Either everything is right, or every mistake
/// is listed, by file and line.
pub fn load(folder: &Path, catalog: &Catalog) -> Result<RuleSet, Vec<Diagnostic>> {
    let shown = folder.display().to_string();
    let paths = list(folder).map_err(|problem| {
        vec![whole(
            &shown,
            problem,
            "name a folder that holds rule files (*.sql)",
        )]
    })?;
    let context = planning_context(catalog)
        .map_err(|error| vec![whole(&shown, error.to_string(), "report this")])?;
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path).and_then(|file| check(&file, catalog, &context)) {
            Ok(rule) => rules.push(Arc::new(rule)),
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() {
        let checkpoints = load_checkpoints(folder, &rules);
        match checkpoints
            .and_then(|checkpoints| guard_rules(catalog, &rules, checkpoints.as_deref()))
        {
            Ok(guards) => rules.extend(guards),
            Err(more) => mistakes.extend(more),
        }
    }
    rules.sort_by(|left: &Arc<Rule>, right| left.id.cmp(&right.id));
    for pair in rules.windows(2).filter(|pair| pair[0].id == pair[1].id) {
        let problem = format!("`{}` is the id of the rule of a guarded table", pair[0].id);
        mistakes.push(whole(&pair[0].path, problem, "give the file another name"));
    }
    mistakes.sort_by(|left: &Diagnostic, right| {
        (&left.file, left.line).cmp(&(&right.file, right.line))
    });
    if mistakes.is_empty() {
        Ok(RuleSet { rules })
    } else {
        Err(mistakes)
    }
}

/// Reads one rule from the text of a file named `path`.
pub fn load_text(path: &str, text: &str, catalog: &Catalog) -> Result<Rule, Vec<Diagnostic>> {
    let context = planning_context(catalog)
        .map_err(|error| vec![whole(path, error.to_string(), "report this")])?;
    let file = SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    check(&file, catalog, &context)
}

fn whole(path: &str, problem: impl Into<String>, remedy: &str) -> Diagnostic {
    let file = SourceFile {
        path: path.to_owned(),
        text: String::new(),
    };
    let mut mistakes = Mistakes::new(&file);
    mistakes.add(None, problem, remedy);
    mistakes.list.swap_remove(0)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("the folder cannot be read: {error}"))?;
    for entry in entries {
        let path = entry
            .map_err(|error| format!("the folder cannot be read: {error}"))?
            .path();
        if path.extension().is_some_and(|end| end == "sql") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err("the folder holds no rule file".into());
    }
    if paths.len() > MAX_FILES {
        return Err(format!(
            "{} rule files; keep at most {MAX_FILES} in one folder",
            paths.len()
        ));
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<SourceFile, Vec<Diagnostic>> {
    let shown = path.display().to_string();
    let refuse = |problem: String, remedy| vec![whole(&shown, problem, remedy)];
    let bytes = read_file(path, MAX_FILE_BYTES + 1).map_err(|error| {
        refuse(
            format!("the file cannot be read: {error}"),
            "make it a file that this user may read",
        )
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refuse(
            "the file is larger than 64 KiB".into(),
            "write one rule in each file",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| refuse("the file is not UTF-8 text".into(), "save it as UTF-8"))?;
    Ok(SourceFile { path: shown, text })
}

/// A context whose tables are the catalog's, without rows.
fn planning_context(catalog: &Catalog) -> Result<SessionContext, RulesError> {
    let context = session::context(Arc::new(RuntimeEnv::default()), 1, &AsOf::default())?;
    for table in &catalog.tables {
        let empty = EmptyTable::new(table.rule_schema());
        context.register_table(table.name.as_str(), Arc::new(empty))?;
    }
    Ok(context)
}

fn check(
    file: &SourceFile,
    catalog: &Catalog,
    context: &SessionContext,
) -> Result<Rule, Vec<Diagnostic>> {
    let mut mistakes = Mistakes::new(file);
    let head = Head::read(file, &mut mistakes);
    let select = lint::one_select(&file.text, context, catalog, &mut mistakes);
    let plans = match (mistakes.is_empty(), select) {
        (true, Some(select)) => block_on(plan::plan(context, select))
            .map_err(|error| explain_planning(&error, &mut mistakes))
            .ok(),
        _ => None,
    };
    if let Some(inexact) = plans
        .as_ref()
        .and_then(|plans| exact::inexact(&plans.analysed))
    {
        let place = inexact
            .span
            .and_then(|span| place(&mistakes, span))
            .or_else(|| mistakes.word(inexact.column.as_deref()?));
        mistakes.add(place, inexact.problem, inexact.remedy);
    }
    match (head, plans) {
        (Some(head), Some(plans)) => {
            let rule = assemble(file, catalog, head, &plans.optimised, &mut mistakes);
            rule.filter(|_| mistakes.is_empty()).ok_or(mistakes.list)
        }
        (Some(head), None) => {
            check_names(file, catalog, &head, &mut mistakes);
            Err(mistakes.list)
        }
        _ => Err(mistakes.list),
    }
}

fn place(mistakes: &Mistakes<'_>, span: Span) -> Option<std::ops::Range<usize>> {
    mistakes.range(
        (span.start.line, span.start.column),
        (span.end.line, span.end.column),
    )
}

fn explain_planning(error: &DataFusionError, mistakes: &mut Mistakes<'_>) {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let (problem, remedy) = match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                let right: Vec<&str> = valid_fields
                    .iter()
                    .map(|column| column.name.as_str())
                    .collect();
                (
                    format!("there is no column `{field}` here"),
                    suggest(&field.name, right),
                )
            }
            SchemaError::AmbiguousReference { field } => (
                format!("`{}` is a column of several tables here", field.name),
                "say which one: put the table's name and a point before it".to_owned(),
            ),
            other => (
                other.to_string(),
                "give each output column its own name".to_owned(),
            ),
        },
        root => {
            let said = root.message().into_owned();
            (
                said.lines().next().unwrap_or_default().to_owned(),
                "write it in standard SQL".to_owned(),
            )
        }
    };
    let span = span.or_else(|| match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. }
            | SchemaError::AmbiguousReference { field } => field.spans.first(),
            _ => None,
        },
        _ => None,
    });
    let place = span.and_then(|span| place(mistakes, span));
    mistakes.add(place, problem, remedy);
}

/// Names of the head that need no plan: id, entity, tables.
fn check_names(
    file: &SourceFile,
    catalog: &Catalog,
    head: &Head,
    mistakes: &mut Mistakes<'_>,
) -> Option<(EntityId, Vec<TableId>, Option<Trip>)> {
    let stem = Path::new(&file.path)
        .file_stem()
        .and_then(|stem| stem.to_str());
    if stem != Some(head.id.as_str()) {
        let place = mistakes.field("id");
        let remedy = format!("the id is the file's name: `{}`", stem.unwrap_or_default());
        mistakes.add(
            place,
            format!("the id `{}` is not the file's name", head.id),
            remedy,
        );
    }
    if let Some(trip) = &head.trip {
        check_trip(catalog, trip, mistakes);
    }
    let mut entity = |field: &str, name: &str| {
        let id = catalog.entity_id(name);
        if id.is_none() {
            let place = mistakes.field(field);
            let remedy = suggest(
                name,
                catalog.entities.iter().map(|entity| entity.name.as_str()),
            );
            mistakes.add(place, format!("there is no entity `{name}`"), remedy);
        }
        id
    };
    let found = entity("entity", &head.entity);
    let trip = match &head.trip {
        None => None,
        Some(trip) => entity("trip", &trip.by).map(|by| Trip {
            points: trip.points.clone(),
            by,
        }),
    };
    let mut triggers = Vec::new();
    for name in &head.on {
        match catalog.table_id(name) {
            Some(id) => triggers.push(id),
            None => {
                let place = mistakes.field("on");
                let remedy = suggest(name, catalog.tables.iter().map(|table| table.name.as_str()));
                mistakes.add(
                    place,
                    format!("there is no table or event `{name}`"),
                    remedy,
                );
            }
        }
    }
    Some((found?, triggers, trip))
}

/// The breaker knows orders, merchants and business codes, each by one number.
fn check_trip(catalog: &Catalog, trip: &TripHead, mistakes: &mut Mistakes<'_>) {
    let by = catalog.entity_id(&trip.by).map(|id| catalog.entity(id));
    let (problem, remedy) = match by {
        Some(by) if !TRIPS_BY.contains(&by.name.as_str()) => (
            format!("the circuit breaker cannot hold by `{}`", by.name),
            "write `by: order`, `merchant` or `business_code`, and return its key",
        ),
        Some(by) if by.key.len() != 1 => (
            format!(
                "`{}` has a key of {} columns: the circuit breaker knows one number",
                by.name,
                by.key.len()
            ),
            "trip by an entity whose key is one column",
        ),
        _ if trip.points.is_empty() => (
            "`trip` names no point".to_owned(),
            "name one of refund, settlement, cash_out",
        ),
        _ => return,
    };
    mistakes.add(mistakes.field("trip"), problem, remedy);
}

fn assemble(
    file: &SourceFile,
    catalog: &Catalog,
    head: Head,
    plan: &LogicalPlan,
    mistakes: &mut Mistakes<'_>,
) -> Option<Rule> {
    let waiting = head.waiting(mistakes);
    let names = check_names(file, catalog, &head, mistakes);
    let output = output_schema(plan);
    let currency = check_output(catalog, &head, &names, &output, mistakes);
    let (entity, triggers, trip) = names?;
    let reads = reads(plan, catalog);
    let is_history =
        |used: &TableUse| matches!(catalog.table(used.table).kind, TableKind::History(_));
    let reads_history = reads.iter().any(is_history);
    let triggers = check_triggers(catalog, triggers, &reads, mistakes);
    let uses_as_of = wake::uses_as_of(plan);
    let key = match catalog.entity(entity).key.as_slice() {
        [only] => output
            .fields()
            .iter()
            .position(|field| field.name() == only),
        _ => None,
    };
    let origins = lineage::origins(plan, catalog);
    let sensitive: Vec<bool> = origins.iter().map(|origin| origin.sensitive).collect();
    for (field, _) in output
        .fields()
        .iter()
        .zip(&sensitive)
        .filter(|(_, masked)| **masked)
    {
        if head.key.contains(field.name()) {
            let problem = format!(
                "`{}` derives from a sensitive column, and keys are shown",
                field.name()
            );
            let remedy = "name rows by a number of their own, such as payment_no";
            mistakes.add(mistakes.field("key"), problem, remedy);
        }
    }
    check_trip_is_shown(catalog, trip.as_ref(), &output, &sensitive, mistakes);
    let digest = Sha256::digest(file.text.as_bytes());
    Some(Rule {
        locality: locality::prove(plan, catalog, entity, key),
        time_bounds: match uses_as_of {
            true => wake::time_bounds(plan, catalog),
            false => Ok(Vec::new()),
        },
        sensitive,
        reads_sensitive: reads.iter().any(|used| {
            let columns = &catalog.table(used.table).columns;
            used.columns.iter().any(|column| columns[*column].sensitive)
        }),
        entity_column: key,
        id: head.id,
        title: head.title,
        entity,
        severity: head.severity,
        key: head.key,
        amount: head.amount,
        currency,
        owner: head.owner,
        tags: head.tags,
        settle: waiting.settle,
        retries: waiting.retries,
        retry_interval: waiting.retry_interval,
        max_wait: waiting.max_wait,
        since: head.since,
        triggers,
        trip,
        status: head.status,
        runbook: head.runbook,
        version: digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        path: file.path.clone(),
        text: file.text.clone(),
        reads,
        output,
        uses_as_of,
        reads_history,
        guards: None,
    })
}

/// What is held is shown, in findings and by the breaker.
fn check_trip_is_shown(
    catalog: &Catalog,
    trip: Option<&Trip>,
    output: &Schema,
    sensitive: &[bool],
    mistakes: &mut Mistakes<'_>,
) {
    let by = trip.and_then(|trip| catalog.entity(trip.by).key.first());
    let masked = |(field, masked): (&Arc<Field>, &bool)| *masked && Some(field.name()) == by;
    if output.fields().iter().zip(sensitive).any(masked) {
        let problem = format!(
            "`{}` derives from a sensitive column, and what is held is shown",
            by.map_or("", String::as_str)
        );
        let remedy = "trip by a number that may be shown, or leave `trip` out";
        mistakes.add(mistakes.field("trip"), problem, remedy);
    }
}

/// What `on` names must be read; by default all that is read.
fn check_triggers(
    catalog: &Catalog,
    named: Vec<TableId>,
    reads: &[TableUse],
    mistakes: &mut Mistakes<'_>,
) -> Vec<TableId> {
    if named.is_empty() {
        return reads.iter().map(|read| read.table).collect();
    }
    for trigger in &named {
        if !reads.iter().any(|read| read.table == *trigger) {
            let problem = format!("the rule does not read `{}`", catalog.table(*trigger).name);
            mistakes.add(mistakes.field("on"), problem, "name tables that it reads");
        }
    }
    named
}

fn output_schema(plan: &LogicalPlan) -> Arc<Schema> {
    let fields: Vec<Field> = plan
        .schema()
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Columns that the head names must be there, in the type that their use needs.
fn check_output(
    catalog: &Catalog,
    head: &Head,
    names: &Option<(EntityId, Vec<TableId>, Option<Trip>)>,
    output: &Schema,
    mistakes: &mut Mistakes<'_>,
) -> Option<RuleCurrency> {
    for name in &head.key {
        output_column("key", name, output, mistakes);
    }
    if let Some((entity, _, trip)) = names {
        for part in &catalog.entity(*entity).key {
            if !head.key.contains(part) {
                let problem = format!("`key` does not hold `{part}`, the key of {}", head.entity);
                let remedy = "name the entity's key among the key, and return it";
                mistakes.add(mistakes.field("key"), problem, remedy);
            }
        }
        for part in trip.iter().flat_map(|trip| &catalog.entity(trip.by).key) {
            output_column("trip", part, output, mistakes);
        }
    }
    if let Some(name) = &head.since
        && let Some(kind) = output_column("since", name, output, mistakes)
        && kind != DataType::Timestamp(TimeUnit::Microsecond, None)
    {
        let problem = format!("`{name}` is {kind}, not a timestamp");
        mistakes.add(mistakes.field("since"), problem, "name a timestamp column");
    }
    check_money(head, output, mistakes)
}

fn check_money(head: &Head, output: &Schema, mistakes: &mut Mistakes<'_>) -> Option<RuleCurrency> {
    if let Some(name) = &head.amount
        && let Some(kind) = output_column("amount", name, output, mistakes)
        && !matches!(kind, DataType::Decimal128(..))
    {
        let problem = format!("the amount `{name}` is {kind}, not a decimal");
        mistakes.add(
            mistakes.field("amount"),
            problem,
            "cast it to DECIMAL(20, 2)",
        );
    }
    if head.amount.is_some() != head.currency.is_some() {
        let place = mistakes
            .field("amount")
            .or_else(|| mistakes.field("currency"));
        mistakes.add(
            place,
            "`amount` and `currency` go together",
            "name both or neither",
        );
    }
    let currency = head.currency.as_ref()?;
    if is_currency_code(currency) {
        return Some(RuleCurrency::Fixed(currency.clone()));
    }
    output_column("currency", currency, output, mistakes);
    Some(RuleCurrency::Column(currency.clone()))
}

/// The type of an output column that a field of the head names.
fn output_column(
    field: &str,
    name: &str,
    output: &Schema,
    mistakes: &mut Mistakes<'_>,
) -> Option<DataType> {
    let found = output.fields().iter().find(|column| column.name() == name);
    if found.is_none() {
        let columns = output.fields().iter().map(|column| column.name().as_str());
        let problem = format!("`{name}` is not an output column of the SELECT");
        mistakes.add(mistakes.field(field), problem, suggest(name, columns));
    }
    found.map(|column| column.data_type().clone())
}

fn is_currency_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Tables and columns that a plan scans.
fn reads(plan: &LogicalPlan, catalog: &Catalog) -> Vec<TableUse> {
    let mut reads: Vec<TableUse> = Vec::new();
    // Walking cannot fail, as the closure does not.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = catalog.table_id(scan.table_name.table())
        {
            let all = || (0..catalog.table(table).columns.len()).collect();
            let columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
            match reads.iter_mut().find(|read| read.table == table) {
                Some(read) => read.columns.extend(columns),
                None => reads.push(TableUse { table, columns }),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    for read in &mut reads {
        read.columns.sort_unstable();
        read.columns.dedup();
    }
    reads.sort_by_key(|read| read.table);
    reads
}
