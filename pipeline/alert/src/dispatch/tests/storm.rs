//! Much at once: limits, digests, bounds.

use super::*;

fn digest(message: &Message) -> &crate::message::Digest {
    match &message.body {
        Body::Digest(digest) => digest,
        other => panic!("no digest: {other:?}"),
    }
}

#[test]
fn a_storm_of_a_million_findings_is_a_few_messages() {
    let robot = ChannelRules {
        limits: vec![limit(20, 60), limit(10, 60)],
        ..channel()
    };
    let keeper = ChannelRules {
        refresh: Some(Duration::seconds(120)),
        ..channel()
    };
    let mut played = Played::new([("keeper", keeper), ("robot", robot)]);
    let mut told: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut send = |played: &mut Played, now| {
        for message in played.delivered(now) {
            let (messages, mentions) = told.entry(message.channel.clone()).or_default();
            *messages += 1;
            *mentions += message.body.mentions();
        }
    };
    // Ten rules, three thousand merchants, two minutes.
    for number in 0..1_000_000_u64 {
        let (rule, merchant) = (
            format!("rule-{}", number % 10),
            format!("M{}", number % 3_001),
        );
        let found = finding(
            &rule,
            &format!("O{number}"),
            &merchant,
            1,
            Verdict::Confirmed,
        );
        let now = START.plus(Duration(i64::try_from(number).unwrap() * 120));
        played.take(&found, now);
        if number % 10_000 == 0 {
            send(&mut played, now);
        }
    }
    let state = played.alerts.store().unwrap();
    assert!(state.len() < 32 << 20, "{} bytes of state", state.len());
    for minute in 2..15 {
        send(&mut played, at(minute * 60));
    }
    let (messages, mentions) = told["robot"];
    assert_eq!(mentions, 1_000_000);
    assert!(messages <= 30, "{messages} messages");
    assert_eq!(told["keeper"].1, 1_000_000);
    assert_eq!(played.alerts.status().open, 1_000_000);

    // And all is mended again, also what is not remembered one by one.
    for number in 0..1_000_000_u64 {
        let (rule, merchant) = (
            format!("rule-{}", number % 10),
            format!("M{}", number % 3_001),
        );
        let mut found = finding(
            &rule,
            &format!("O{number}"),
            &merchant,
            2,
            Verdict::Recovered,
        );
        found.evidence = Evidence::default();
        played.take(&found, at(1_000));
    }
    assert_eq!(played.alerts.status().open, 0);
    let recovered = played.delivered(at(1_300));
    let mentions = recovered
        .iter()
        .filter(|message| message.channel == "robot");
    let mentions: Vec<u64> = mentions.map(|message| message.body.mentions()).collect();
    assert_eq!(mentions.iter().sum::<u64>(), 1_000_000);
    assert!(mentions.len() <= 10, "{} messages", mentions.len());
}

#[test]
fn above_the_limit_the_worst_are_told_and_the_rest_in_a_digest() {
    let rules = ChannelRules {
        limits: vec![limit(3, 60)],
        ..channel()
    };
    let mut played = Played::new([("robot", rules)]);
    let severities = [
        Severity::Warn,
        Severity::Critical,
        Severity::Error,
        Severity::Critical,
        Severity::Info,
    ];
    for (number, severity) in severities.into_iter().enumerate() {
        let mut found = finding(&format!("rule-{number}"), "O1", "M1", 1, Verdict::Confirmed);
        found.severity = severity;
        played.take(&found, at(0));
    }
    let told = played.delivered(at(10));
    assert_eq!(told.len(), 3);
    assert_eq!(
        (
            alert(&told[0]).facts.rule.as_str(),
            alert(&told[1]).facts.rule.as_str()
        ),
        ("rule-1", "rule-3")
    );
    let lines: Vec<&str> = digest(&told[2])
        .lines
        .iter()
        .map(|line| line.facts.rule.as_str())
        .collect();
    assert_eq!(lines, ["rule-2", "rule-0", "rule-4"]);
    assert_eq!(digest(&told[2]).largest.len(), 1);
    // Within the minute nothing more, and after it one by one again.
    played.take(
        &finding("rule-9", "O1", "M1", 1, Verdict::Confirmed),
        at(20),
    );
    assert_eq!(played.delivered(at(69)), []);
    assert_eq!(played.alerts.wake(), Some(at(70)));
    assert_eq!(alert(&played.delivered(at(70))[0]).facts.rule, "rule-9");
}

#[test]
fn a_short_limit_makes_messages_wait_and_joins_none() {
    let rules = ChannelRules {
        limits: vec![limit(1, 1), limit(10, 60)],
        ..channel()
    };
    let mut played = Played::new([("slack", rules)]);
    for number in 0..3 {
        played.take(
            &finding(&format!("rule-{number}"), "O1", "M1", 1, Verdict::Confirmed),
            at(0),
        );
    }
    for second in 10..13 {
        let told = played.delivered(at(second));
        assert_eq!(told.len(), 1);
        alert(&told[0]);
    }
}

#[test]
fn a_digest_has_a_hundred_lines_at_most_and_counts_all() {
    let rules = ChannelRules {
        limits: vec![limit(1, 60)],
        ..channel()
    };
    let mut played = Played::new([("robot", rules)]);
    for number in 0..450 {
        played.take(
            &finding(&format!("rule-{number}"), "O1", "M1", 1, Verdict::Confirmed),
            at(0),
        );
    }
    let told = played.delivered(at(10));
    let digest = digest(&told[0]);
    assert_eq!((told.len(), digest.lines.len()), (1, 101));
    assert_eq!(told[0].body.mentions(), 450);
    let others = digest
        .lines
        .iter()
        .find(|line| line.facts.rule == crate::OTHER_RULES);
    assert_eq!(
        others.map(|line| (line.count, line.causes)),
        Some((350, 350))
    );
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let rules = ChannelRules {
        limits: vec![limit(2, 60)],
        ..channel()
    };
    let mut played = Played::new([("robot", rules)]);
    for number in 0..2 {
        played.take(
            &finding(&format!("rule-{number}"), "O1", "M1", 1, Verdict::Confirmed),
            at(7_200),
        );
    }
    assert_eq!(played.delivered(at(7_210)).len(), 2);
    played.take(
        &finding("rule-2", "O1", "M1", 1, Verdict::Confirmed),
        at(7_210),
    );
    assert_eq!(played.delivered(at(0)), []);
    assert_eq!(played.delivered(at(59)), []);
    assert_eq!(played.delivered(at(310)).len(), 1);
}
