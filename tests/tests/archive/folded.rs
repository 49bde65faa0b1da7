//! The rows that an audit rebuilds from the archive are the rows of the table as it was: whatever was done to them,
//! however often and in whatever order it was delivered, in columns of every type.

mod ledger;

use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::Until;
use centinel_rules::Rule;
use centinel_tests::{Detection, seeds};
use data_fixtures::Draw;

use crate::kept::{archive_in, audit_at, kept};
use ledger::{Books, COLUMNS, Shown};

/// Rules that return every row: what they show is what the archive gave back.
const RULES: [(&str, &str, &str); 2] = [
    (
        "all-lines",
        "[account_no, line_no]",
        "ledger WHERE line_no >= 0",
    ),
    (
        "all-posts",
        "[account_no, message_id]",
        "post WHERE message_id <> ''",
    ),
];
const POST: &str = "account_no, message_id, words, paid, posted_at";

fn load(folder: &Path) -> (Arc<Catalog>, Vec<Arc<Rule>>) {
    let (schemas, files) = (folder.join("schemas"), folder.join("rules"));
    std::fs::create_dir_all(&schemas).unwrap();
    std::fs::create_dir_all(&files).unwrap();
    for (name, text) in ledger::SCHEMAS {
        std::fs::write(schemas.join(name), text).unwrap();
    }
    let lines: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    for ((id, key, rows), columns) in RULES.into_iter().zip([lines.join(", "), POST.to_owned()]) {
        let text = format!(
            "/* ---\nid: {id}\ntitle: There is no row\nentity: account\nseverity: warn\nkey: {key}\nowner: books\n\
             settle: 0s\nretries: 0\nstatus: stable\n--- */\nSELECT {columns}\nFROM {rows}\n"
        );
        std::fs::write(files.join(format!("{id}.sql")), text).unwrap();
    }
    let catalog = Arc::new(centinel_catalog::load(&schemas).unwrap());
    let rules = centinel_rules::load(&files, &catalog).unwrap_or_else(|mistakes| {
        let shown = mistakes.iter().map(|mistake| mistake.rendered.as_str());
        panic!("{}", shown.collect::<Vec<_>>().join("\n"))
    });
    (catalog, rules.rules)
}

/// Delivers the lines in this order, in three runs, and compares what the archive gives back at every moment kept.
fn compare(books: &Books, delivered: &[String], what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (catalog, rules) = load(folder.path());
    let log = folder.path().join("log.jsonl");
    let options = archive_in(folder.path(), 200_000);
    for part in 1..=3 {
        let lines = delivered[..delivered.len() * part / 3].join("\n") + "\n";
        std::fs::write(&log, lines).unwrap();
        let detection = Detection {
            until: if part == 3 { Until::End } else { Until::Now },
            batch_rows: 150,
            archive: Some(options.clone()),
            ..Detection::over(&log, folder.path())
        };
        let detected = detection.run(&catalog, &rules);
        assert_eq!(detected.holes, 0, "{what}: {:?}", detected.messages);
    }
    let changes = delivered
        .iter()
        .filter(|line| !line.starts_with("{\"heartbeat\""));
    assert_eq!(kept(&options).len(), changes.count(), "{what}");
    for (moment, rows) in &books.as_of {
        let how = AuditOptions::default();
        let report = audit_at(&catalog, &rules, &options, *moment, &how).unwrap();
        assert!(
            report.could_not_judge.is_empty(),
            "{:?}",
            report.could_not_judge
        );
        let shown = report.findings.iter().map(|finding| {
            let [row] = &finding.evidence.rows[..] else {
                panic!("{finding:#?}");
            };
            (finding.rule.clone(), row.clone())
        });
        let mut shown: Vec<Shown> = shown.collect();
        shown.sort();
        let differing = shown.iter().zip(rows).find(|(shown, row)| shown != row);
        assert_eq!(differing, None, "{what}, at {moment}");
        assert_eq!(shown.len(), rows.len(), "{what}, at {moment}");
    }
}

#[test]
fn rebuilt_rows_are_the_table_as_it_was() {
    for seed in seeds(70, 2) {
        let books = Books::kept(seed);
        compare(&books, &books.lines(), &format!("{seed}, in order"));
        let mut draw = Draw::new(seed, 1);
        let replayed = books.replayed(&mut draw);
        assert!(replayed.len() > books.lines().len() * 5 / 4);
        compare(&books, &replayed, &format!("{seed}, replayed"));
    }
}
