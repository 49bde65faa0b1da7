//! A ledger that is kept by hand: everything that can be done to its lines, and the lines as they were.

use std::collections::BTreeMap;

use centinel_model::Timestamp;
use data_fixtures::{Draw, SECOND};

pub const SCHEMAS: [(&str, &str); 3] = [
    (
        "entities.yaml",
        "centinel: entities/1\nentities: { account: { key: [account_no] } }\n",
    ),
    (
        "ledger.yaml",
        r#"centinel: schema/1
table: ledger
system: books
source: books-db
primary_key: [account_no, line_no]
entities: { account: [account_no] }
columns:
  account_no: text
  line_no: integer
  note: { type: text, nullable: true }
  units: { type: integer, nullable: true }
  price: { type: "decimal(18,2)", nullable: true, money: { currency: CNY, unit: major } }
  rate: { type: "decimal(38,10)", nullable: true }
  is_open: { type: boolean, nullable: true }
  due: { type: date, nullable: true }
  seen_at: { type: timestamp, nullable: true }
  detail: { type: json, nullable: true }
  changed_at: timestamp
changed_at: changed_at
"#,
    ),
    (
        "post.yaml",
        r#"centinel: schema/1
event: post
system: books
source: book-events
entities: { account: [account_no] }
columns:
  account_no: text
  words: { type: text, nullable: true }
  paid: { type: "decimal(30,4)", nullable: true }
  posted_at: timestamp
changed_at: posted_at
"#,
    ),
];

/// How a value stands in a line of a change log.
#[derive(Clone, Copy)]
pub enum Written {
    Text,
    Bare,
}
use Written::{Bare, Text};

/// The columns of the ledger, the primary key first and the time of the last change last.
pub const COLUMNS: [(&str, Written); 11] = [
    ("account_no", Text),
    ("line_no", Bare),
    ("note", Text),
    ("units", Bare),
    ("price", Text),
    ("rate", Text),
    ("is_open", Bare),
    ("due", Text),
    ("seen_at", Text),
    ("detail", Text),
    ("changed_at", Text),
];

const ACCOUNTS: u64 = 12;
const LINES: u64 = 25;
const TRANSACTIONS: usize = 700;
/// A moment is kept after so many transactions.
const KEPT_EVERY: usize = 140;
const FIRST_ROWS: usize = 40;
/// 2026-11-22 at 08:00 UTC.
const START: i64 = 1_795_334_400 * SECOND;

/// A row as a rule shows it: the rule, and the row's values by column.
pub type Shown = (String, BTreeMap<String, Option<String>>);
type Row = Vec<Option<String>>;
type Key = (String, String);

/// What was done to the ledger, and how it stood.
#[derive(Default)]
pub struct Books {
    /// Lines of the change log, by transaction.
    transactions: Vec<Vec<String>>,
    /// All rows at some moments, in order.
    pub as_of: Vec<(i64, Vec<Shown>)>,
    rows: BTreeMap<Key, Row>,
    posts: Vec<BTreeMap<String, Option<String>>>,
    now: i64,
    epoch: u32,
    sequence: u64,
    /// Of the transaction at hand: what was done, the row before and after.
    changes: Vec<(&'static str, Option<Row>, Option<Row>)>,
    /// How often each kind of thing was done.
    done: BTreeMap<&'static str, u32>,
}

impl Books {
    /// Keeps a ledger for some hours.
    pub fn kept(seed: u64) -> Books {
        let mut draw = Draw::new(seed, 0);
        let mut books = Books {
            now: START,
            epoch: 1,
            ..Books::default()
        };
        for _ in 0..FIRST_ROWS {
            let key = books.free_key(&mut draw);
            let row = books.draw_row(&key, &mut draw);
            books.set("snapshot", None, Some(row));
        }
        books.commit();
        for number in 0..TRANSACTIONS {
            books.now += draw.between(1, 40 * SECOND) | 1;
            if number == TRANSACTIONS / 2 {
                // The database was set up anew, and counts from the beginning.
                (books.epoch, books.sequence) = (2, 0);
            }
            for _ in 0..=draw.below(3) {
                books.do_something(&mut draw);
            }
            books.commit();
            if draw.chance(2_000) {
                books.post(&mut draw);
            }
            if number % KEPT_EVERY == KEPT_EVERY - 1 {
                books.as_of.push((books.now, books.shown()));
            }
            if number % 10 == 9 {
                books.beat();
            }
        }
        let least = books.done.values().min();
        assert!(least > Some(&20), "{:?}", books.done);
        books
    }

    /// All lines in the order in which they were committed.
    pub fn lines(&self) -> Vec<String> {
        self.transactions.concat()
    }

    /// The same, some transactions twice, some stretches again (A B C, A B, D).
    pub fn replayed(&self, draw: &mut Draw) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (place, transaction) in self.transactions.iter().enumerate() {
            lines.extend_from_slice(transaction);
            if draw.chance(500) {
                lines.extend_from_slice(transaction);
            }
            if draw.chance(200) {
                let from = place - (draw.below(60) as usize).min(place);
                lines.extend(self.transactions[from..place].concat());
            }
        }
        lines
    }

    fn do_something(&mut self, draw: &mut Draw) {
        let kinds = [
            "insert", "update", "update", "delete", "move", "swap", "back",
        ];
        let kind = *draw.pick(&kinds);
        let rows = self.rows.len() as u64;
        if kind == "insert" || rows < 20 {
            let key = self.free_key(draw);
            let row = self.draw_row(&key, draw);
            return self.set("insert", None, Some(row));
        }
        *self.done.entry(kind).or_default() += 1;
        let some = |books: &Books, draw: &mut Draw| {
            let place = draw.below(books.rows.len() as u64) as usize;
            books.rows.values().nth(place).cloned().unwrap()
        };
        let row = some(self, draw);
        match kind {
            "delete" => self.set("delete", Some(row), None),
            "move" => {
                let to = self.free_key(draw);
                self.rename(row, &to);
            }
            "swap" => {
                let other = some(self, draw);
                let (one, two) = (key_of(&row), key_of(&other));
                if one != two {
                    let aside = self.free_key(draw);
                    let row = self.rename(row, &aside);
                    self.rename(other, &one);
                    self.rename(row, &two);
                }
            }
            // Away and back again within a transaction.
            "back" => {
                let (from, aside) = (key_of(&row), self.free_key(draw));
                let row = self.rename(row, &aside);
                self.rename(row, &from);
            }
            _ => {
                let changed = self.draw_row(&key_of(&row), draw);
                self.set("update", Some(row), Some(changed));
            }
        }
    }

    /// Gives a row another primary key, and nothing else but the time.
    fn rename(&mut self, row: Row, to: &Key) -> Row {
        let mut renamed = row.clone();
        (renamed[0], renamed[1]) = (Some(to.0.clone()), Some(to.1.clone()));
        renamed[COLUMNS.len() - 1] = Some(time(self.now));
        self.set("update", Some(row), Some(renamed.clone()));
        renamed
    }

    fn set(&mut self, kind: &'static str, before: Option<Row>, after: Option<Row>) {
        if let Some(row) = &before {
            self.rows.remove(&key_of(row)).unwrap();
        }
        if let Some(row) = &after {
            assert!(self.rows.insert(key_of(row), row.clone()).is_none());
        }
        self.changes.push((kind, before, after));
    }

    fn commit(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let Some(last) = changes.len().checked_sub(1) else {
            return;
        };
        self.sequence += 1;
        let line = |(ordinal, (kind, before, after)): (
            usize,
            &(&str, Option<Row>, Option<Row>),
        )| {
            let image = |name: &str, row: &Option<Row>| {
                row.as_ref()
                    .map_or_else(String::new, |row| format!(",\"{name}\":{}", json(row)))
            };
            format!(
                "{{\"table\":\"ledger\",\"op\":\"{kind}\",\"epoch\":{},\"sequence\":{},\"ordinal\":{ordinal},\
                 \"last\":{},\"committed_at\":\"{}\"{}{}}}",
                self.epoch,
                self.sequence,
                ordinal == last,
                time(self.now),
                image("before", before),
                image("after", after),
            )
        };
        let lines = changes.iter().enumerate().map(line).collect();
        self.transactions.push(lines);
    }

    fn post(&mut self, draw: &mut Draw) {
        let nothing = draw.chance(3_000);
        let value = |text: String| (!nothing).then_some(text);
        let row = BTreeMap::from([
            (
                "account_no".to_owned(),
                Some(format!("A{}", draw.below(ACCOUNTS))),
            ),
            (
                "message_id".to_owned(),
                Some(format!("M{}", self.posts.len())),
            ),
            (
                "words".to_owned(),
                value("\u{4ed8}\u{6b3e} \"paid\"".into()),
            ),
            (
                "paid".to_owned(),
                value(format!("{}.0001", draw.below(u64::MAX))),
            ),
            ("posted_at".to_owned(), Some(time(self.now))),
        ]);
        let mut after = row.clone();
        let id = after.remove("message_id").flatten().unwrap();
        let after = serde_json::to_string(&after).unwrap();
        let at = time(self.now);
        self.transactions.push(vec![format!(
            "{{\"event\":\"post\",\"message_id\":\"{id}\",\"committed_at\":\"{at}\",\"after\":{after}}}"
        )]);
        self.posts.push(row);
    }

    /// Both sources say that everything up to now stands before.
    fn beat(&mut self) {
        let beats = ["books-db", "book-events"].map(|source| {
            let at = time(self.now);
            format!("{{\"heartbeat\":\"{source}\",\"committed_at\":\"{at}\"}}")
        });
        self.transactions.push(beats.to_vec());
    }

    /// Every row as the rules show it.
    fn shown(&self) -> Vec<Shown> {
        let lines = self.rows.values().map(|row| {
            let named = COLUMNS.iter().zip(row);
            let values = named.map(|((name, _), value)| ((*name).to_owned(), value.clone()));
            ("all-lines".to_owned(), values.collect())
        });
        let posts = self
            .posts
            .iter()
            .map(|row| ("all-posts".to_owned(), row.clone()));
        let mut shown: Vec<Shown> = lines.chain(posts).collect();
        shown.sort();
        shown
    }

    fn free_key(&self, draw: &mut Draw) -> Key {
        loop {
            let account = format!("A{}", draw.below(ACCOUNTS));
            let key = (account, draw.below(LINES).to_string());
            if !self.rows.contains_key(&key) {
                return key;
            }
        }
    }

    /// A row of values that are easily spoilt, or of nulls.
    fn draw_row(&self, key: &Key, draw: &mut Draw) -> Row {
        let mut maybe = |text: String| (!draw.chance(3_000)).then_some(text);
        let digits = "12345678901234567890123456789";
        let mut row = vec![
            Some(key.0.clone()),
            Some(key.1.clone()),
            maybe(format!("\u{94b1} \"{}\" \\ \t", self.sequence)),
            maybe(format!("{}", i64::MIN + self.sequence as i64)),
            maybe(format!("-{}.05", self.sequence)),
            maybe(format!(
                "{}.{:010}",
                &digits[..28 - (self.sequence % 9) as usize],
                self.sequence
            )),
            maybe(self.sequence.is_multiple_of(2).to_string()),
            maybe(format!(
                "2026-{:02}-{:02}",
                self.sequence % 12 + 1,
                self.sequence % 28 + 1
            )),
            maybe(time(START + self.sequence as i64 * SECOND + 1)),
            maybe(format!("{{\"line\":{}}}", self.sequence)),
        ];
        row.push(Some(time(self.now)));
        row
    }
}

fn key_of(row: &Row) -> Key {
    let value = |place: usize| row[place].clone().unwrap();
    (value(0), value(1))
}

fn time(micros: i64) -> String {
    Timestamp(micros).to_string()
}

fn json(row: &Row) -> String {
    let values = COLUMNS.iter().zip(row).map(|((name, written), value)| {
        let value = match (value, written) {
            (None, _) => "null".to_owned(),
            (Some(value), Bare) => value.clone(),
            (Some(value), Text) => serde_json::to_string(value).unwrap(),
        };
        format!("\"{name}\":{value}")
    });
    format!("{{{}}}", values.collect::<Vec<_>>().join(","))
}
