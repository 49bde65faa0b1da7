//! A detection that is played: it knows some rows, some records that cannot be read, and refuses as detection does.

use std::sync::{Mutex, MutexGuard};

use centinel_console::{Asked, Detection};
use centinel_interface::{
    Health, Problem, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, Settled,
    SourceStatus, Standing,
};
use centinel_trace::{Change, Completeness, History, Origin, RuleNow};

pub struct Fake(Mutex<Known>);

pub struct Known {
    /// Whether it answers at all.
    pub away: bool,
    pub histories: Vec<History>,
    pub records: Vec<(QuarantinedRecord, String)>,
    /// Whether schemas can read the records by now.
    pub mended: bool,
}

impl Fake {
    pub fn new() -> Fake {
        Fake(Mutex::new(Known {
            away: false,
            histories: vec![order("O-1", 3)],
            records: vec![record(1, "R-1"), record(2, "R-2")],
            mended: false,
        }))
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut Known) -> Result<T, Problem>,
    ) -> Asked<'_, T> {
        let mut known = self.known();
        let answer = match known.away {
            true => Err(Problem::Unavailable("detection does not run".into())),
            false => answer(&mut known),
        };
        Box::pin(async move { answer })
    }
}

fn nowhere<T>() -> Result<T, Problem> {
    Err(Problem::NotFound("no such record".into()))
}

impl Detection for Fake {
    fn health(&self) -> Asked<'_, Health> {
        self.answer(|_| {
            Ok(Health {
                alive: true,
                ready: false,
                reasons: vec!["the source billing-db is behind".into()],
            })
        })
    }

    fn sources(&self) -> Asked<'_, Vec<SourceStatus>> {
        let source = |name: &str, behind: bool, progress: Option<&str>| SourceStatus {
            name: name.into(),
            progress: progress.map(str::to_owned),
            behind,
            tables: vec!["payment".into(), "refund".into()],
            positions: vec!["0-1-100".into()],
            changes: 1_234,
            quarantined: u64::from(behind),
        };
        self.answer(|_| {
            Ok(vec![
                source("billing-db", true, Some("2026-11-22T08:00:00Z")),
                source("payment-db", false, None),
            ])
        })
    }

    fn rules(&self) -> Asked<'_, Vec<RuleStatus>> {
        self.answer(|_| {
            Ok(vec![RuleStatus {
                id: "settled-equals-paid".into(),
                title: "What was settled is what was paid".into(),
                version: "0123456789abcdef".into(),
                severity: "critical".into(),
                status: "stable".into(),
                owner: "settlement".into(),
                tags: vec!["money".into()],
                runbook: Some("javascript:alert(1)".into()),
                path: "sql-rules/settled-equals-paid.sql".into(),
                tables: vec!["payment".into(), "settlement".into()],
                evaluations: 40,
                microseconds: 8_000,
                open: [0, 1, 0],
                suspended: None,
            }])
        })
    }

    fn history<'a>(&'a self, entity: &'a str, key: &'a str) -> Asked<'a, History> {
        self.answer(|known| {
            let is_it = |history: &&History| history.entity == entity && history.key == key;
            let found = known.histories.iter().find(is_it).cloned();
            found.ok_or_else(|| Problem::NotFound("state knows nothing of it".into()))
        })
    }

    fn quarantine(&self, below: Option<u64>, most: usize) -> Asked<'_, Vec<QuarantinedRecord>> {
        self.answer(|known| {
            let records = known.records.iter().rev().map(|(record, _)| record.clone());
            let below = below.unwrap_or(u64::MAX);
            Ok(records
                .filter(|record| record.number < below)
                .take(most)
                .collect())
        })
    }

    fn quarantined(&self, number: u64) -> Asked<'_, QuarantinedBytes> {
        self.answer(|known| {
            let found = known
                .records
                .iter()
                .find(|(record, _)| record.number == number);
            found.map_or_else(nowhere, |(_, text)| {
                Ok(QuarantinedBytes {
                    text: text.clone(),
                    whole: true,
                })
            })
        })
    }

    fn settle<'a>(&'a self, number: u64, settle: &'a Settle) -> Asked<'a, QuarantinedRecord> {
        self.answer(|known| {
            let mended = known.mended;
            let found = known
                .records
                .iter_mut()
                .find(|(record, _)| record.number == number);
            let Some((record, _)) = found else {
                return nowhere();
            };
            if record.standing != Standing::Waiting {
                return Err(Problem::Refused("it was settled before".into()));
            }
            if settle.to == Standing::Redriven && !mended {
                return Err(Problem::Refused(
                    "it still cannot be read: unknown column `fee`".into(),
                ));
            }
            record.standing = settle.to;
            record.settled = Some(Settled {
                by: settle.by.clone(),
                at: "2026-11-22T09:00:00Z".into(),
                reason: settle.reason.clone(),
            });
            Ok(record.clone())
        })
    }
}

pub fn record(number: u64, key: &str) -> (QuarantinedRecord, String) {
    let record = QuarantinedRecord {
        number,
        input: "payment-db".into(),
        position: "0-1-99".into(),
        reason: "unknown_column".into(),
        message: "the table payment has no column fee".into(),
        table: Some("payment".into()),
        entities: vec![("order".into(), format!("ORDER-{key}-2026"))],
        bytes_total: 30,
        standing: Standing::Waiting,
        settled: None,
    };
    (
        record,
        format!("{{\"payment_no\":\"PAY-{key}\",\"fee\":1}}"),
    )
}

/// An order that is paid, settled and then changed so many times in settlement, the last time by hand.
pub fn order(key: &str, changes: usize) -> History {
    let mut all = vec![
        change(
            "payment",
            "payment",
            false,
            "insert",
            0,
            &[
                ("payment_no", "PAY-778899"),
                ("amount", "1250"),
                ("status", "SUCCESS"),
            ],
        ),
        change(
            "payment",
            "payment_completed",
            true,
            "insert",
            1,
            &[("message_id", "MSG-112233"), ("amount", "1250")],
        ),
    ];
    for number in 0..changes {
        let operation = if number == 0 { "insert" } else { "update" };
        let amount = (12_500 - number).to_string();
        let mut one = change(
            "settlement",
            "settlement",
            false,
            operation,
            number as u64 + 2,
            &[
                ("settlement_no", "SET-445566"),
                ("amount", &amount),
                ("status", "DONE"),
            ],
        );
        one.by_hand = number > 0 && number + 1 == changes;
        if one.by_hand {
            one.origin = Origin {
                transaction: Some("0-1-4711".into()),
                account: Some("root@10.0.0.8".into()),
                statement: Some(
                    "UPDATE settlement SET amount = 1 WHERE settlement_no = 'SET-445566'".into(),
                ),
                thread: Some(17),
            };
        }
        all.push(one);
    }
    History {
        schema: "centinel/history/1".into(),
        entity: "order".into(),
        key: key.into(),
        changes: all,
        rules: vec![RuleNow {
            rule: "settled-equals-paid".into(),
            title: "What was settled is what was paid".into(),
            finding_id: Some("ab".repeat(16)),
            verdict: "confirmed".into(),
            amount: Some(("112.50".into(), "CNY".into())),
        }],
        completeness: Completeness {
            until: Some("2026-11-22T08:59:00Z".into()),
            ..Completeness::default()
        },
    }
}

pub fn change(
    system: &str,
    table: &str,
    event: bool,
    operation: &str,
    number: u64,
    row: &[(&str, &str)],
) -> Change {
    let values = |row: &[(&str, &str)]| {
        row.iter()
            .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
            .collect()
    };
    let money = row
        .iter()
        .filter(|(name, _)| *name == "amount")
        .map(|(name, cents)| {
            let cents: u64 = cents.parse().unwrap();
            let amount = format!("{}.{:02}", cents / 100, cents % 100);
            ((*name).to_owned(), Some(amount), "CNY".to_owned())
        });
    Change {
        system: system.into(),
        table: table.into(),
        event,
        operation: operation.into(),
        primary_key: row[0].1.into(),
        committed_at: format!("2026-11-22T08:{:02}:{:02}Z", number / 60, number % 60),
        version: (1, number + 1, 0),
        origin: Origin::default(),
        after: values(row),
        before: Vec::new(),
        changed: Vec::new(),
        money: money.collect(),
        money_before: Vec::new(),
        by_hand: false,
    }
}
