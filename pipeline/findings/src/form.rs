//! The form of the store: what `README.md` documents. A later form is one more migration; none is ever changed.

use rusqlite_migration::M;

/// Stands in the file's head ("CFnd"), so that a file of something else is refused.
pub(crate) const APPLICATION_ID: i64 = 0x4346_6e64;

// `arrived` is `id` once more: SQLite seeks by a column of an index, and not by the row's number behind it.
pub(crate) const MIGRATIONS: &[M<'static>] = &[
    M::up(
    "CREATE TABLE stream (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, position INTEGER NOT NULL,
       lines INTEGER NOT NULL, first_line TEXT NOT NULL, last_line_at INTEGER NOT NULL, last_line TEXT NOT NULL);
     INSERT INTO stream VALUES (1, 1, 0, 0, '', 0, '');

     CREATE TABLE groups (id INTEGER PRIMARY KEY, rule TEXT NOT NULL, severity TEXT NOT NULL, owner TEXT NOT NULL,
       verdict TEXT NOT NULL, handling TEXT NOT NULL, worse INTEGER NOT NULL, currency TEXT NOT NULL,
       findings INTEGER NOT NULL DEFAULT 0, unsummed INTEGER NOT NULL DEFAULT 0, at_risk TEXT NOT NULL DEFAULT '0',
       UNIQUE (rule, severity, owner, verdict, handling, worse, currency));
     CREATE TABLE days (group_id INTEGER NOT NULL, day INTEGER NOT NULL, findings INTEGER NOT NULL,
       unsummed INTEGER NOT NULL, at_risk TEXT NOT NULL, PRIMARY KEY (group_id, day)) WITHOUT ROWID;

     CREATE TABLE findings (id INTEGER PRIMARY KEY, arrived INTEGER NOT NULL, finding_id TEXT NOT NULL UNIQUE, group_id INTEGER NOT NULL,
       since INTEGER NOT NULL, money BLOB NOT NULL, entity_key TEXT NOT NULL, amount TEXT, currency TEXT,
       rule_owner TEXT NOT NULL,
       generation INTEGER NOT NULL, sequence INTEGER NOT NULL, occurrence INTEGER NOT NULL, assigned TEXT, handled TEXT,
       told INTEGER NOT NULL, acts INTEGER NOT NULL, newest INTEGER NOT NULL, last_entry INTEGER NOT NULL);
     CREATE INDEX findings_by_time ON findings (group_id, since, money, arrived);
     CREATE INDEX findings_by_money ON findings (group_id, money, since, arrived);
     CREATE INDEX findings_by_entity ON findings (entity_key, group_id, since, money);

     CREATE TABLE entries (number INTEGER PRIMARY KEY, finding INTEGER NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL,
       what TEXT NOT NULL, generation INTEGER, sequence INTEGER, body TEXT NOT NULL);
     CREATE INDEX entries_by_finding ON entries (finding, number);
     CREATE UNIQUE INDEX entries_told ON entries (finding, generation, sequence) WHERE sequence IS NOT NULL;
     CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
       BEGIN SELECT RAISE(ABORT, 'the history of findings is append-only'); END;
     CREATE TRIGGER entries_are_never_cut BEFORE DELETE ON entries
       BEGIN SELECT RAISE(ABORT, 'the history of findings is append-only'); END;

     CREATE TABLE lines (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, generation INTEGER NOT NULL, name TEXT NOT NULL,
       at INTEGER NOT NULL, reason TEXT, body BLOB NOT NULL, UNIQUE (kind, generation, name));
     CREATE TABLE sources (source TEXT PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE systems (rule TEXT NOT NULL, system TEXT NOT NULL, PRIMARY KEY (rule, system)) WITHOUT ROWID;

     CREATE VIRTUAL TABLE words USING fts5 (text, content='', contentless_delete=1,
       tokenize='unicode61 remove_diacritics 0');",
    ),
    // What people did, over all findings.
    M::up("CREATE INDEX entries_of_people ON entries (at) WHERE by <> 'detection';"),
];
