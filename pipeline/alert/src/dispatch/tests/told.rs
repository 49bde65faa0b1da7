//! Who is told what, when.

use super::*;

#[test]
fn one_cause_is_one_message() {
    let mut played = Played::new([("oncall", channel())]);
    for number in 0..5 {
        let found = finding(
            "balance",
            &format!("O{number}"),
            "M1",
            1,
            Verdict::Confirmed,
        );
        assert_eq!(played.take(&found, at(number)), Taken::Told);
    }
    let other = finding("balance", "O9", "M2", 1, Verdict::Confirmed);
    played.take(&other, at(5));
    assert_eq!(played.delivered(at(9)), []);
    let told = played.delivered(at(15));
    assert_eq!(told.len(), 2, "one for each merchant");
    let first = alert(&told[0]);
    assert_eq!(
        (first.kind, first.count, first.open.count),
        (Kind::Confirmed, 5, 5)
    );
    assert_eq!(first.money.to_string(), "CNY 52.50");
    assert_eq!(first.since.to_string(), "2026-11-18T08:00:00Z");
    assert_eq!(first.largest[0].entity_key, "O0");
    assert_eq!(first.findings.len(), 5);
    assert_eq!(played.alerts.wake(), None);
}

#[test]
fn messages_of_one_cause_keep_their_distance() {
    let mut played = Played::new([("oncall", channel())]);
    let found = |order: &str| finding("balance", order, "M1", 1, Verdict::Confirmed);
    played.take(&found("O1"), at(0));
    assert_eq!(played.delivered(at(10)).len(), 1);
    played.take(&found("O2"), at(11));
    assert_eq!(played.delivered(at(309)), []);
    played.take(&found("O3"), at(309));
    let told = played.delivered(at(310));
    assert_eq!((alert(&told[0]).count, alert(&told[0]).open.count), (2, 3));
}

#[test]
fn the_release_is_the_cause_where_there_is_one() {
    let mut played = Played::new([("oncall", channel())]);
    for number in 0..7 {
        let merchant = format!("M{number}");
        let mut found = finding(
            "balance",
            &format!("O{number}"),
            &merchant,
            1,
            Verdict::Confirmed,
        );
        found.evidence.rows[0].insert("release".into(), Some("r41".into()));
        played.take(&found, at(0));
    }
    let told = played.delivered(at(10));
    assert_eq!(told.len(), 1);
    let alert = alert(&told[0]);
    let cause = Cause::Is {
        column: "release".into(),
        value: "r41".into(),
    };
    assert_eq!(alert.cause, cause);
    let merchants = &alert.among["merchant_no"];
    assert_eq!((merchants.values.len(), merchants.more), (5, true));
}

#[test]
fn the_largest_is_shown_with_its_evidence_and_no_more_than_allowed() {
    let rules = ChannelRules {
        trace: Some("https://c.example/{entity}/{key}?f={finding}&r={rule}".into()),
        ..channel()
    };
    let mut played = Played::new([("oncall", rules)]);
    for (order, amount) in [("O1", "9.99"), ("O/2 ?", "10000"), ("O3", "9999.999")] {
        let mut found = finding("balance", order, "M1", 1, Verdict::Confirmed);
        found.amount = Some(amount.into());
        found.title = "x".repeat(5_000);
        let wide = (0..100).map(|column| (format!("c{column:03}"), Some("\u{1b}[0m".repeat(500))));
        found.evidence.rows = vec![wide.collect(); 50];
        found.evidence.total = 50;
        played.take(&found, at(0));
    }
    let told = played.delivered(at(10));
    let alert = alert(&told[0]);
    let [largest] = &alert.largest[..] else {
        panic!("{:?}", alert.largest);
    };
    assert_eq!(largest.entity_key, "O/2 ?");
    let id = FindingId::new("balance", ["O/2 ?"]);
    let trace = format!("https://c.example/order/O%2F2%20%3F?f={id}&r=balance");
    assert_eq!(largest.trace.as_deref(), Some(trace.as_str()));
    assert_eq!((largest.rows.len(), largest.rows_total), (3, 50));
    assert!(largest.rows.iter().all(|row| row.len() == 20));
    let text = serde_json::to_string(&told[0]).unwrap();
    assert!(text.len() < 20_000, "{}", text.len());
    assert!(!text.contains("\\u001b"), "a control character");
}

#[test]
fn the_largest_of_each_currency_is_shown() {
    let mut played = Played::new([("oncall", channel())]);
    for (order, amount, currency) in [("O1", "5", "CNY"), ("O2", "700", "JPY"), ("O3", "6", "CNY")]
    {
        let mut found = finding("balance", order, "M1", 1, Verdict::Confirmed);
        (found.amount, found.currency) = (Some(amount.into()), Some(currency.into()));
        played.take(&found, at(0));
    }
    let told = played.delivered(at(10));
    let largest = alert(&told[0]).largest.iter();
    let largest: Vec<&str> = largest.map(|one| one.entity_key.as_str()).collect();
    assert_eq!(largest, ["O3", "O2"]);
}

#[test]
fn channels_take_by_severity_owner_and_tag() {
    let only = |change: fn(&mut ChannelRules)| {
        let mut rules = channel();
        change(&mut rules);
        rules
    };
    let mut played = Played::new([
        (
            "critical",
            only(|rules| rules.severity = Severity::Critical),
        ),
        (
            "refunds",
            only(|rules| rules.owners = vec!["refund".into()]),
        ),
        (
            "tagged",
            only(|rules| rules.tags = vec!["loss-1".into(), "loss-3".into()]),
        ),
        (
            "rest",
            only(|rules| {
                rules.severity = Severity::Critical;
                rules.owners = vec!["nobody".into()];
                rules.fallback = true;
            }),
        ),
    ]);
    let mut told = |severity, owner: &str, tags: &[&str]| {
        let number = played.number;
        let mut found = finding("r", &format!("O{number}"), "M1", 1, Verdict::Confirmed);
        (found.severity, found.owner) = (severity, owner.into());
        found.rule = format!("rule-{number}");
        let note = RuleNote {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..RuleNote::default()
        };
        played.take_noted(&found, &note, at(0));
        let told = played.delivered(at(10));
        let channels = told.into_iter().map(|message| message.channel);
        channels.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(Severity::Critical, "payment", &[]), "critical");
    assert_eq!(
        told(Severity::Info, "refund", &["loss-3"]),
        "refunds tagged"
    );
    assert_eq!(told(Severity::Error, "payment", &["loss-2"]), "rest");
    assert_eq!(played.alerts.status().unrouted, BTreeMap::new());
}

#[test]
fn what_no_channel_takes_is_counted() {
    let rules = ChannelRules {
        severity: Severity::Critical,
        ..channel()
    };
    let mut played = Played::new([("oncall", rules)]);
    let mut found = finding("r", "O1", "M1", 1, Verdict::Confirmed);
    found.severity = Severity::Warn;
    assert_eq!(played.take(&found, at(0)), Taken::Unrouted);
    assert_eq!(played.alerts.status().unrouted[&Severity::Warn], 1);
}

#[test]
fn suspicions_and_shadow_rules_alert_nobody() {
    let mut played = Played::new([("oncall", channel())]);
    let suspected = finding("r", "O1", "M1", 1, Verdict::Suspected);
    assert_eq!(played.take(&suspected, at(0)), Taken::Silent);
    let shadow = RuleNote {
        silent: true,
        ..RuleNote::default()
    };
    let found = finding("r", "O2", "M1", 1, Verdict::Confirmed);
    assert_eq!(played.take_noted(&found, &shadow, at(0)), Taken::Silent);
    let recovered = finding("r", "O2", "M1", 2, Verdict::Recovered);
    assert_eq!(
        played.take(&recovered, at(0)),
        Taken::Silent,
        "it was never told"
    );
    assert_eq!(played.delivered(at(900)), []);
}

#[test]
fn what_ended_is_told_and_how() {
    let mut played = Played::new([("oncall", channel())]);
    let mut take = |order: &str, sequence, verdict, seconds| {
        let mut found = finding("r", order, "M1", sequence, verdict);
        if verdict != Verdict::Confirmed {
            // Detection has no row to show any more.
            found.evidence = Evidence::default();
        }
        played.take(&found, at(seconds))
    };
    for order in ["O1", "O2", "O3"] {
        take(order, 1, Verdict::Confirmed, 0);
    }
    take("U1", 1, Verdict::Undetermined, 0);
    assert_eq!(played.delivered(at(10)).len(), 2);
    let mut take = |order: &str, sequence, verdict, seconds| {
        let mut found = finding("r", order, "M1", sequence, verdict);
        found.evidence = Evidence::default();
        played.take(&found, at(seconds))
    };
    take("O1", 2, Verdict::Recovered, 20);
    take("O2", 2, Verdict::Recovered, 21);
    take("O3", 2, Verdict::RuleChanged, 21);
    take("U1", 2, Verdict::Cleared, 21);
    let told = played.delivered(at(31));
    let told: Vec<_> = told
        .iter()
        .map(|message| {
            let alert = alert(message);
            (
                alert.kind,
                alert.count,
                alert.open.count,
                alert.money.to_string(),
            )
        })
        .collect();
    let wanted = [
        (Kind::Recovered, 2, 0, "CNY 21.00".to_owned()),
        (Kind::Cleared, 1, 0, "CNY 10.50".to_owned()),
        (Kind::Withdrawn, 1, 0, "CNY 10.50".to_owned()),
    ];
    assert_eq!(told, wanted);
    assert_eq!(played.alerts.status().open, 0);
}

#[test]
fn an_amount_that_changes_is_told_as_a_change() {
    let mut played = Played::new([("oncall", channel())]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Confirmed), at(0));
    played.delivered(at(10));
    let mut more = finding("r", "O1", "M1", 2, Verdict::Confirmed);
    more.amount = Some("4.00".into());
    played.take(&more, at(20));
    assert_eq!(
        played.take(&more, at(20)),
        Taken::Before,
        "under another number"
    );
    let told = played.delivered(at(400));
    let alert = alert(&told[0]);
    assert_eq!((alert.count, alert.changed, alert.open.count), (0, 1, 1));
    assert_eq!(alert.money.to_string(), "CNY -6.50");
    assert_eq!(alert.open.money.to_string(), "CNY 4.00");
}

#[test]
fn what_could_not_be_judged_and_then_could_is_counted_once_as_open() {
    let mut played = Played::new([("oncall", channel())]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Undetermined), at(0));
    played.take(&finding("r", "O1", "M1", 2, Verdict::Confirmed), at(1));
    assert_eq!(played.alerts.status().open, 1);
    let told = played.delivered(at(11));
    let kinds: Vec<_> = told
        .iter()
        .map(|one| (alert(one).kind, alert(one).open.count))
        .collect();
    assert_eq!(kinds, [(Kind::Undetermined, 0), (Kind::Confirmed, 1)]);
}

#[test]
fn a_channel_that_keeps_causes_is_told_how_they_stand() {
    let rules = ChannelRules {
        refresh: Some(Duration::seconds(120)),
        ..channel()
    };
    let mut played = Played::new([("am", rules)]);
    for number in 0..150 {
        let merchant = format!("M{number:03}");
        played.take(
            &finding("r", &merchant, &merchant, 1, Verdict::Confirmed),
            at(0),
        );
    }
    let sizes = |told: &[Message]| -> Vec<(usize, u64)> {
        let sizes = told.iter().map(|message| match &message.body {
            Body::Standing(standing) => (standing.alerts.len(), message.body.mentions()),
            other => panic!("{other:?}"),
        });
        sizes.collect()
    };
    assert_eq!(
        played.delivered(at(1)).len(),
        2,
        "nothing is known of what is there: all is told"
    );
    assert_eq!(sizes(&played.delivered(at(10))), [(100, 100), (50, 50)]);
    assert_eq!(played.delivered(at(120)), []);
    assert_eq!(sizes(&played.delivered(at(121))), [(100, 0), (50, 0)]);
    played.take(
        &finding("r", "M007", "M007", 2, Verdict::Recovered),
        at(122),
    );
    let told = played.delivered(at(700));
    let Body::Standing(first) = &told[0].body else {
        panic!("{told:?}");
    };
    assert_eq!((first.alerts.len(), first.alerts[0].open.count), (1, 0));
    assert_eq!(sizes(&told[1..]), [(100, 0), (49, 0)]);
}

#[test]
fn a_channel_that_keeps_causes_hears_of_the_end_of_one_that_became_another() {
    let rules = ChannelRules {
        refresh: Some(Duration::seconds(3_600)),
        ..channel()
    };
    let mut played = Played::new([("am", rules)]);
    let standing = |told: &[Message]| -> Vec<(Kind, u64)> {
        let bodies = told.iter().map(|message| match &message.body {
            Body::Standing(standing) => standing.alerts.clone(),
            other => panic!("{other:?}"),
        });
        bodies
            .flatten()
            .map(|alert| (alert.kind, alert.open.count))
            .collect()
    };
    played.take(&finding("r", "O1", "M1", 1, Verdict::Undetermined), at(0));
    played.delivered(at(1));
    assert_eq!(
        standing(&played.delivered(at(10))),
        [(Kind::Undetermined, 1)]
    );
    played.take(&finding("r", "O1", "M1", 2, Verdict::Confirmed), at(20));
    let told = standing(&played.delivered(at(400)));
    assert_eq!(told, [(Kind::Confirmed, 1), (Kind::Undetermined, 0)]);
}

#[test]
fn a_rule_that_gets_another_owner_is_told_to_that_one_at_once() {
    let of = |owner: &str| ChannelRules {
        owners: vec![owner.into()],
        ..channel()
    };
    let mut played = Played::new([("first", of("first")), ("second", of("second"))]);
    for (sequence, owner) in [(1, "first"), (2, "second")] {
        let mut found = finding(
            "r",
            &format!("O{sequence}"),
            "M1",
            sequence,
            Verdict::Confirmed,
        );
        found.owner = owner.into();
        played.take(&found, at(0));
    }
    let told = played.delivered(at(10));
    let told: Vec<_> = told
        .iter()
        .map(|one| (one.channel.as_str(), alert(one).count))
        .collect();
    assert_eq!(told, [("first", 1), ("second", 1)]);
}
