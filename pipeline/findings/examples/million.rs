//! Fills a store with findings and measures its pages: `million [FINDINGS] [RULES] [FOLDER]`.
#![allow(clippy::unwrap_used)]

use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use centinel_findings::{By, Filter, Order, Store, follow};
use centinel_model::{FindingId, Severity, Timestamp, Verdict};
use serde_json::json;

/// How often each question is asked; the slowest answer counts.
const TIMES: usize = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().map_or(usual, |text| text.parse().unwrap());
    let (findings, rules) = (number(1_000_000), number(60));
    let folder = std::env::args()
        .nth(3)
        .map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let file = folder.path().join("findings.jsonl");
    let began = Instant::now();
    write(&file, findings, rules);
    println!(
        "wrote {} MB in {:.0?}",
        std::fs::metadata(&file).unwrap().len() >> 20,
        began.elapsed()
    );

    let path = folder.path().join("findings.db");
    let mut store = Store::open(&path).unwrap();
    let began = Instant::now();
    let caught = follow(&mut store, &file, &|| Timestamp(0)).unwrap();
    let took = began.elapsed();
    let size = std::fs::metadata(&path).unwrap().len() >> 20;
    let rate = caught.taken.told as f64 / took.as_secs_f64();
    println!(
        "took in {} messages in {took:.1?} ({rate:.0}/s), {size} MB",
        caught.taken.told
    );
    std::fs::remove_file(&file).unwrap();
    drop(store);
    // As a console would have it: opened anew.
    let store = Store::open_read_only(&path).unwrap();
    pages(&store);
    figures(&store);
    let began = Instant::now();
    let exported = store
        .export_csv(&Filter::default(), Order::Money, &mut std::io::sink())
        .unwrap();
    println!("exported {exported} as CSV in {:.1?}", began.elapsed());
}

/// One in three has passed; amounts have a long tail; orders of magnitude differ by rule; one rule has half of them.
fn write(path: &std::path::Path, findings: usize, rules: usize) {
    let mut out = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut random = 88_172_645_463_325_252_u64;
    for n in 0..findings {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let draw = |salt: u32, below: u64| (random >> salt) % below;
        let rule = match draw(3, 2) {
            0 => 0,
            _ => draw(7, rules as u64) as usize,
        };
        let rule_id = format!("rule-{rule:04}");
        let order = format!("20261122{n:012}");
        let cents = 10_u64.pow(1 + draw(11, 7) as u32) + draw(17, 1_000);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        // Thirty days, most of them of late.
        let second = 30 * 86_400 - (draw(23, 1_500_000).pow(2) / 1_000_000);
        // One in eight is of the same moment and amount as others.
        let same = draw(37, 8) == 0;
        let (amount, second) = match same {
            true => ("9.90".to_owned(), 29 * 86_400),
            false => (amount, second),
        };
        let anchor = Timestamp(1_763_800_000_000_000 + second as i64 * 1_000_000);
        let verdict = [
            "confirmed",
            "recovered",
            "confirmed",
            "undetermined",
            "confirmed",
            "rule_changed",
        ][draw(29, 6) as usize];
        let severity = ["critical", "error", "warn", "info"][rule % 4];
        let owner = ["settlement", "accounting", "refund"][rule % 3];
        let message = json!({
            "schema": "centinel/finding/1",
            "finding_id": FindingId::new(&rule_id, [order.as_str()]),
            "sequence": 1, "rule": rule_id, "rule_version": "0123456789abcdef",
            "title": "The settled amount is what was paid less what was refunded",
            "entity": "order", "entity_key": order, "key": [["order_no", order]],
            "verdict": verdict, "occurrence": 1,
            "severity": severity,
            "owner": owner,
            "amount": amount, "currency": if rule % 10 == 9 { "USD" } else { "CNY" },
            "hint": null,
            "evidence": { "rows": [{
                "order_no": order, "paid": amount, "refunded": "0.00", "settled": null, "difference": amount,
                "merchant_no": format!("M{:06}", draw(31, 20_000)),
            }], "total": 1 },
            "positions": { "payment-db": { "kind": "file", "offset": n * 300, "first_line": "ab" } },
            "anchor": anchor.to_string(), "judged_at": anchor.to_string(),
        });
        writeln!(out, "{message}").unwrap();
    }
    out.flush().unwrap();
}

fn pages(store: &Store) {
    let none = Filter::default;
    let since = |days: i64| {
        Some(Timestamp(
            1_763_800_000_000_000 + (30 - days) * 86_400_000_000,
        ))
    };
    let open = || Filter {
        open: Some(true),
        ..none()
    };
    let filters = [
        ("all", none()),
        ("open", open()),
        (
            "open and critical",
            Filter {
                severities: vec![Severity::Critical],
                ..open()
            },
        ),
        (
            "undetermined",
            Filter {
                verdicts: vec![Verdict::Undetermined],
                ..none()
            },
        ),
        (
            "one rule in many",
            Filter {
                rules: vec!["rule-0007".into()],
                ..none()
            },
        ),
        (
            "a rule and an owner that never meet",
            Filter {
                rules: vec!["rule-0007".into()],
                owners: vec!["refund".into()],
                ..none()
            },
        ),
        (
            "in USD",
            Filter {
                currencies: vec!["USD".into()],
                ..none()
            },
        ),
        (
            "of one order",
            Filter {
                entity_key: Some("20261122000000000017".into()),
                ..none()
            },
        ),
        (
            "of the last day",
            Filter {
                from: since(1),
                ..none()
            },
        ),
        (
            "of the last week, open",
            Filter {
                from: since(7),
                ..open()
            },
        ),
        (
            "before the last two weeks, open",
            Filter {
                until: since(14),
                ..open()
            },
        ),
        (
            "with a merchant's words",
            Filter {
                text: Some("M000017".into()),
                ..none()
            },
        ),
        (
            "with words that many have",
            Filter {
                text: Some("2026112200000000".into()),
                ..none()
            },
        ),
    ];
    println!(
        "{:>10} {:>10} {:>10}   page of 50: first, a far one, by money",
        "first", "far", "by money"
    );
    for (name, filter) in filters {
        let first = slowest(|| drop(store.page(&filter, Order::Time, None, 50)));
        let money = slowest(|| drop(store.page(&filter, Order::Money, None, 50)));
        let mut after = None;
        for _ in 0..100 {
            match store
                .page(&filter, Order::Time, after.as_ref(), 500)
                .map(|page| page.next)
            {
                Ok(Some(next)) => after = Some(next),
                _ => break,
            }
        }
        let far = slowest(|| drop(store.page(&filter, Order::Time, after.as_ref(), 50)));
        let refused = store
            .page(&filter, Order::Time, None, 50)
            .err()
            .map(|error| format!(" ({error})"));
        println!(
            "{first:>10.1?} {far:>10.1?} {money:>10.1?}   {name}{}",
            refused.unwrap_or_default()
        );
    }
}

fn figures(store: &Store) {
    for by in [By::All, By::Severity, By::Rule, By::Currency, By::Day] {
        let took = slowest(|| {
            drop(store.figures(
                &Filter {
                    open: Some(true),
                    ..Filter::default()
                },
                by,
            ))
        });
        println!("{took:>10.1?}   figures by {by:?}");
    }
    let week = Filter {
        from: Some(Timestamp(1_763_769_600_000_000 + 23 * 86_400_000_000)),
        ..Filter::default()
    };
    println!(
        "{:>10.1?}   figures of some days by rule",
        slowest(|| drop(store.figures(&week, By::Rule).unwrap()))
    );
}

fn slowest(mut ask: impl FnMut()) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..TIMES {
        let began = Instant::now();
        ask();
        slowest = slowest.max(began.elapsed());
    }
    slowest
}
