//! What a reader may rely on, and no compiler checks: how crates depend on each other, how long files are,
//! that rules have tests and that the README tells no commands that do not exist.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates of this project that each crate may use outside its own tests.
const MAY_USE: [(&str, &[&str]); 20] = [
    ("centinel-model", &[]),
    ("centinel-catalog", &["centinel-model"]),
    ("centinel-source", &["centinel-model", "centinel-catalog"]),
    ("centinel-batch", &["centinel-model", "centinel-catalog"]),
    ("centinel-state", &["centinel-model", "centinel-catalog"]),
    ("centinel-rules", &["centinel-model", "centinel-catalog"]),
    ("centinel-verdict", &["centinel-model"]),
    // The archive writes tables as the catalog describes them.
    ("centinel-outlet", &["centinel-model", "centinel-catalog"]),
    ("centinel-findings", &["centinel-model", "centinel-trace"]),
    ("centinel-breaker", &["centinel-model"]),
    (
        "centinel-breaker-service",
        &["centinel-model", "centinel-breaker", "centinel-listen"],
    ),
    ("centinel-breaker-client", &["centinel-breaker"]),
    ("centinel-alert", &["centinel-model"]),
    ("centinel-listen", &[]),
    ("centinel-metrics", &["centinel-model"]),
    ("centinel-trace", &["centinel-model"]),
    (
        "centinel-interface",
        &["centinel-model", "centinel-listen", "centinel-trace"],
    ),
    (
        "centinel-console",
        &[
            "centinel-model",
            "centinel-findings",
            "centinel-listen",
            "centinel-trace",
            "centinel-interface",
        ],
    ),
    // The simulator shares no code with the pipeline: what checks the core must not be the core.
    ("data-fixtures", &[]),
    ("test-servers", &[]),
];

/// Who may use what is large or belongs to one stage.
const ONLY_USED_BY: [(&str, &[&str]); 12] = [
    ("datafusion", &["centinel-rules", "centinel-engine"]),
    ("redb", &["centinel-state"]),
    ("clap", &["centinel", "data-fixtures"]),
    ("object_store", &["centinel-engine", "centinel-outlet"]),
    (
        "rdkafka",
        &[
            "centinel-source",
            "centinel-breaker-service",
            "centinel-alert",
            "centinel-tests",
        ],
    ),
    (
        "reqwest",
        &[
            "centinel-source",
            "centinel-breaker-service",
            "centinel-breaker-client",
            "centinel-alert",
            "centinel-interface",
            "centinel-console",
            "test-servers",
        ],
    ),
    (
        "rusqlite",
        &["centinel-breaker-service", "centinel-findings"],
    ),
    ("mysql_async", &["centinel-source", "centinel-tests"]),
    ("centinel-tests", &[]),
    // Detection does not know the breaker: the program tells it.
    (
        "centinel-breaker",
        &[
            "centinel",
            "centinel-breaker-service",
            "centinel-breaker-client",
        ],
    ),
    ("centinel-breaker-service", &["centinel"]),
    ("centinel-breaker-client", &["centinel", "centinel-tests"]),
];

const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// For each crate of the project what it uses outside its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter();
            let used = used.filter(|used| used["kind"].is_null()).map(name);
            (name(package), used.collect())
        })
        .collect()
}

/// All files below a folder of the project with this end.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn crates_use_only_what_stands_before_them() {
    let all = dependencies();
    let own: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    for (name, may_use) in MAY_USE {
        let used = all[name].iter().map(String::as_str);
        let wrong: Vec<&str> = used
            .filter(|used| own.contains(used) && !may_use.contains(used))
            .collect();
        assert!(wrong.is_empty(), "{name} must not use {wrong:?}");
    }
    let free = ["centinel", "centinel-engine", "centinel-tests"];
    let unnamed: Vec<&&str> = own
        .iter()
        .filter(|name| !free.contains(name) && MAY_USE.iter().all(|(named, _)| named != *name))
        .collect();
    assert!(
        unnamed.is_empty(),
        "say in MAY_USE what {unnamed:?} may use"
    );
}

#[test]
fn large_dependencies_stay_where_they_belong() {
    let all = dependencies();
    for (dependency, users) in ONLY_USED_BY {
        let found: Vec<&str> = all
            .iter()
            .filter(|(_, used)| used.contains(dependency))
            .map(|(name, _)| name.as_str())
            .collect();
        let wrong: Vec<&&str> = found.iter().filter(|name| !users.contains(name)).collect();
        assert!(wrong.is_empty(), "{wrong:?} must not use {dependency}");
        assert_eq!(
            found.is_empty(),
            users.is_empty(),
            "{dependency} is used by none: forget it here"
        );
    }
}

#[test]
fn there_is_one_copy_of_each_large_dependency() {
    let lock = read("Cargo.lock");
    for name in [
        "arrow",
        "arrow-array",
        "parquet",
        "datafusion",
        "datafusion-common",
        "object_store",
        "redb",
    ] {
        let copies = lock
            .lines()
            .filter(|line| *line == format!("name = \"{name}\""))
            .count();
        assert_eq!(copies, 1, "copies of {name} in Cargo.lock");
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let sources = ["pipeline", "jobs", "data-fixtures", "tests"];
    let found: Vec<PathBuf> = sources
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect();
    assert!(found.len() > 100, "the sources are elsewhere");
    let long: Vec<String> = found
        .iter()
        .map(|path| (path, std::fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "above {MOST_LINES} lines: {long:#?}");
}

#[test]
fn every_rule_has_tests_of_the_good_and_the_bad() {
    let catalog = centinel_catalog::load(&root().join("schemas")).unwrap();
    let of = |folder: &str| {
        centinel_rules::load(&root().join(folder), &catalog)
            .unwrap()
            .rules
    };
    let all = of("sql-rules").into_iter().chain(of("sql-rules/quality"));
    for rule in all.filter(|rule| rule.guards.is_none()) {
        let rule = &rule;
        let tests = centinel_rules::load_tests(rule, &catalog).unwrap();
        assert!(
            tests.iter().any(|test| test.expect.is_empty()),
            "{}: no test passes",
            rule.id
        );
        assert!(
            tests.iter().any(|test| !test.expect.is_empty()),
            "{}: no test finds anything",
            rule.id
        );
    }
}

#[test]
fn every_test_file_has_its_rule() {
    for test in files("sql-rules", ".test.yaml") {
        let rule = test.to_str().unwrap().replace(".test.yaml", ".sql");
        assert!(Path::new(&rule).exists(), "{} has no rule", test.display());
    }
}

#[test]
fn the_readme_names_only_targets_that_exist() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| {
            line.split_once(": ")
                .or(line.strip_suffix(':').map(|name| (name, "")))
        })
        .map(|(name, _)| name)
        .collect();
    let readme = read("README.md");
    let named: BTreeSet<&str> = readme
        .split("make ")
        .skip(1)
        .zip(readme.split("make "))
        .filter(|(_, before)| before.ends_with('`') || before.ends_with('\n'))
        .filter_map(|(after, _)| after.split(|c: char| !c.is_ascii_lowercase()).next())
        .collect();
    assert!(named.contains("run") && named.contains("test"), "{named:?}");
    let wrong: Vec<&&str> = named
        .iter()
        .filter(|name| !targets.contains(*name))
        .collect();
    assert!(
        wrong.is_empty(),
        "README.md tells of {wrong:?}, the Makefile does not"
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = [
        "README.md",
        "pipeline/README.md",
        "pipeline/breaker-service/README.md",
        "pipeline/findings/README.md",
        "pipeline/alert/README.md",
        "schemas/README.md",
        "sql-rules/README.md",
        "data-fixtures/README.md",
        "jobs/README.md",
        "jobs/REPAIR.md",
        "jobs/monitoring/README.md",
        "jobs/QUERY.md",
    ];
    for page in pages {
        let text = read(page);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in
            targets.filter(|target| !target.starts_with("http") && !target.starts_with('#'))
        {
            let file = target.split('#').next().unwrap();
            let path = root().join(page).parent().unwrap().join(file);
            assert!(
                path.exists(),
                "{page} links to {target}, which is not there"
            );
        }
    }
}
