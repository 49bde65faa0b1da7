//! Whether a server can be read, before it is.

use centinel_catalog::Catalog;
use centinel_model::SourceId;

use super::failure::Failure;
use super::gtid::Flavour;
use super::needs::{advice, hindrances};
use super::options::{BinlogOptions, Idle};
use super::server::{Facts, Server};
use super::tables::{self, WatchedTable, full_name};
use crate::Problem;
use crate::physical::PhysicalTables;
use crate::rows::Layout;

/// Connects to the server and tells everything that hinders reading it, now or later, with what mends each.
/// Nothing is changed on the server.
pub fn check(catalog: &Catalog, options: &BinlogOptions) -> Vec<Problem> {
    let Some(source) = catalog.source_id(&options.source) else {
        let what = format!("no schema is read from the source `{}`", options.source);
        return vec![Problem::new(
            what,
            "name the source in the schemas of its tables",
        )];
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(cause) => {
            let what = format!("nothing can be checked: {cause}");
            return vec![Problem::new(
                what,
                "let the process have more threads and open files",
            )];
        }
    };
    let mut problems = Vec::new();
    let checked = runtime.block_on(all(catalog, options, source, &mut problems));
    runtime.shutdown_background();
    if let Err(failure) = checked {
        problems.push(problem(failure, options));
    }
    problems
}

async fn all(
    catalog: &Catalog,
    options: &BinlogOptions,
    source: SourceId,
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let mut server = Server::connect(options).await?;
    let facts = server.facts().await?;
    problems.extend(hindrances(&facts, options.server_id));
    grants(&mut server, &facts, options, problems).await?;
    let mut physical = PhysicalTables::new(catalog, Some(&[source]));
    let described = tables::described(&mut server, &mut physical).await?;
    for table in tables::missing(catalog, source, &described) {
        problems.push(Problem::new(
            format!("no table of the server belongs to `{table}` of the schemas"),
            format!(
                "create it, give its schema a `from` that matches it, or run GRANT SELECT on it to '{}'",
                options.user
            ),
        ));
    }
    for table in &described {
        let layout = Layout::new(catalog, catalog_id(table));
        check_table(&mut server, table, &layout, &mut physical, problems).await?;
    }
    heartbeat_table(&mut server, options, problems).await?;
    readers(&mut server, options, &facts, problems).await;
    problems.extend(advice(&facts));
    Ok(())
}

fn catalog_id(table: &WatchedTable) -> centinel_model::TableId {
    centinel_model::TableId(table.physical.layout as u16)
}

/// What the user may do, by the server's own list.
async fn grants(
    server: &mut Server,
    facts: &Facts,
    options: &BinlogOptions,
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let rows = server.rows("SHOW GRANTS").await?;
    let all: Vec<String> = rows
        .iter()
        .filter_map(|row| row.first())
        // A password's hash may stand behind this word.
        .map(|grant| {
            grant
                .split(" IDENTIFIED ")
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
        })
        .collect();
    let global = |right: &str| {
        all.iter().any(|grant| {
            grant.contains(" ON *.* TO ")
                && (grant.contains(right) || grant.contains("ALL PRIVILEGES"))
        })
    };
    let mut lacks = |right: &str, others: &[&str], why: &str| {
        if !global(right) && !others.iter().any(|other| global(other)) {
            problems.push(Problem::new(
                format!("user `{}` has no {right}: {why}", options.user),
                format!(
                    "run GRANT {right} ON *.* TO '{}'@'…' with the user's host",
                    options.user
                ),
            ));
        }
    };
    lacks("REPLICATION SLAVE", &[], "it cannot read the log");
    // MySQL lets everybody know what it has executed.
    if facts.flavour() == Flavour::MariaDb {
        let why = "it cannot learn where in the log a snapshot stands";
        lacks("BINLOG MONITOR", &["REPLICATION CLIENT"], why);
    }
    Ok(())
}

async fn check_table(
    server: &mut Server,
    table: &WatchedTable,
    layout: &Layout,
    physical: &mut PhysicalTables,
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let name = full_name(&table.database, &table.table);
    let lost = table.lost(layout);
    for drift in lost.iter().map(|lost| table.drift(layout, lost)) {
        let remedy = format!(
            "run ALTER TABLE {name}, or correct the schema of `{}`",
            layout.name
        );
        problems.push(Problem::new(drift, remedy));
    }
    if let Err(refusal) = physical.check(&table.physical) {
        problems.push(Problem::new(
            refusal.message,
            "narrow `from` in the schemas",
        ));
    }
    if !table.engine.eq_ignore_ascii_case("InnoDB") {
        problems.push(Problem::new(
            format!(
                "{name} is kept by {}, which has no transactions and no snapshots",
                table.engine
            ),
            format!("run ALTER TABLE {name} ENGINE = InnoDB"),
        ));
    }
    if table.primary_key.is_empty() {
        problems.push(Problem::new(
            format!("{name} has no primary key: reading all its rows at once sorts nothing and takes long"),
            format!("run ALTER TABLE {name} ADD PRIMARY KEY (…)"),
        ));
    }
    // The list of columns shows tables that may not be read.
    let readable = server.rows(&format!("SELECT 1 FROM {name} LIMIT 0")).await;
    match readable {
        Err(Failure::Lasting { .. }) => problems.push(Problem::new(
            format!("the user may not read {name}, which a snapshot needs"),
            format!("run GRANT SELECT ON {name} to the user"),
        )),
        other => drop(other?),
    }
    Ok(())
}

async fn heartbeat_table(
    server: &mut Server,
    options: &BinlogOptions,
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let Idle::Table { table } = &options.idle else {
        return Ok(());
    };
    let (database, name) = table.split_once('.').unwrap_or(("", table));
    let query = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        tables::text(database),
        tables::text(name)
    );
    if server.rows(&query).await?.is_empty() {
        problems.push(Problem::new(
            format!("the heartbeat table `{table}` does not exist, or the user may not see it"),
            "run what `centinel heartbeats` prints for this source on the primary, and GRANT SELECT on the table to \
             the user",
        ));
    }
    Ok(())
}

/// Other readers with the same number, where the user may list them.
async fn readers(
    server: &mut Server,
    options: &BinlogOptions,
    facts: &Facts,
    problems: &mut Vec<Problem>,
) {
    let own = options.server_id.to_string();
    let query = match facts.flavour() {
        Flavour::MariaDb => "SHOW SLAVE HOSTS",
        Flavour::MySql => "SHOW REPLICAS",
    };
    let Ok(rows) = server.rows(query).await else {
        return;
    };
    if rows.iter().any(|row| row.first() == Some(&own)) && facts.get("server_id") != own {
        problems.push(Problem::new(
            format!("server_id {own} is in use by another reader, or Centinel is running"),
            "give each reader a server_id of its own",
        ));
    }
}

fn problem(failure: Failure, options: &BinlogOptions) -> Problem {
    match failure {
        Failure::Lasting { problem, remedy } | Failure::Doubtful { problem, remedy } => {
            Problem::new(problem, remedy)
        }
        Failure::Passing(problem) | Failure::Purged(problem) => Problem::new(
            format!(
                "{}:{} cannot be read: {problem}",
                options.host, options.port
            ),
            "start the server, and let this machine reach it",
        ),
    }
}
