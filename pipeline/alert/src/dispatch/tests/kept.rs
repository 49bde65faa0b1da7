//! What fails, and what a crash leaves.

use super::*;

#[test]
fn what_is_not_taken_is_tried_again_slower_and_slower() {
    let mut played = Played::new([("hook", channel())]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Confirmed), at(0));
    let first = played.alerts.due(at(10)).unwrap();
    assert_eq!(played.alerts.due(at(10)), None, "it is on its way");
    assert!(played.alerts.done(&first, &later("503"), at(11)));
    assert!(!played.alerts.done(&first, &later("503"), at(11)), "twice");
    assert_eq!(played.alerts.wake(), Some(at(13)));
    assert_eq!(played.alerts.due(at(12)), None);
    let again = played.alerts.due(at(13)).unwrap();
    assert_eq!(again, first, "the same message under the same id");
    let told = Outcome::Later {
        why: "429".into(),
        after: Some(Duration::seconds(90)),
    };
    played.alerts.done(&again, &told, at(13));
    assert_eq!(played.alerts.wake(), Some(at(103)), "as long as it said");
    let status = &played.alerts.status().channels["hook"];
    assert_eq!((status.pending, status.pending_findings), (1, 1));
    assert_eq!(status.health.failing_since, Some(at(11).0));
    assert_eq!(status.health.last_error.as_deref(), Some("429"));
    assert_eq!(played.delivered(at(103)), [first]);
    let status = &played.alerts.status().channels["hook"];
    assert_eq!(
        (
            status.pending,
            status.health.delivered,
            status.health.failed
        ),
        (0, 1, 2)
    );
    assert_eq!(status.health.failing_since, None);
}

#[test]
fn after_the_last_attempt_it_is_said_in_a_digest_with_what_came_meanwhile() {
    let mut played = Played::new([("hook", channel())]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Confirmed), at(0));
    let mut now = at(10);
    for _ in 0..3 {
        let message = played.alerts.due(now).unwrap();
        alert(&message);
        played.alerts.done(&message, &later("no answer"), now);
        now = now.plus(Duration::seconds(30));
    }
    played.take(&finding("r", "O2", "M2", 1, Verdict::Confirmed), now);
    let told = played.delivered(now.plus(Duration::seconds(20)));
    let mentions: Vec<u64> = told.iter().map(|message| message.body.mentions()).collect();
    assert_eq!(mentions.iter().sum::<u64>(), 2);
    let health = &played.alerts.status().channels["hook"].health;
    assert_eq!((health.given_up, health.mentioned), (1, 2));
}

#[test]
fn a_message_that_is_refused_stops_nothing() {
    let rules = ChannelRules {
        limits: vec![limit(20, 60)],
        ..channel()
    };
    let mut played = Played::new([("robot", rules)]);
    for order in ["O1", "O2"] {
        played.take(&finding(order, order, "M1", 1, Verdict::Confirmed), at(0));
    }
    let first = played.alerts.due(at(10)).unwrap();
    let refused = Outcome::Refused {
        why: "invalid_blocks".into(),
    };
    played.alerts.done(&first, &refused, at(10));
    let told = played.delivered(at(12));
    assert_eq!(alert(&told[0]).facts.rule, "O2");
    let Body::Digest(digest) = &told[1].body else {
        panic!("{told:?}");
    };
    assert_eq!(digest.lines[0].facts.rule, "O1");
    assert_eq!(played.alerts.status().channels["robot"].health.refused, 1);
}

#[test]
fn a_channel_that_fails_is_told_to_the_others_and_so_is_its_end() {
    let chosen = ChannelRules {
        owners: vec!["somebody else".into()],
        ..channel()
    };
    let mut played = Played::new([("dead", channel()), ("other", chosen)]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Confirmed), at(0));
    let mut told = Vec::new();
    for second in 10..1_200 {
        while let Some(message) = played.alerts.due(at(second)) {
            let dead = message.channel == "dead" && second < 800;
            let outcome = if dead {
                later("connection refused")
            } else {
                Outcome::Delivered
            };
            played.alerts.done(&message, &outcome, at(second));
            if message.channel == "other" {
                told.push((second, message));
            }
        }
    }
    let told: Vec<_> = told
        .iter()
        .map(|(second, message)| (*second, alert(message)))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].1.kind, told[0].1.facts.rule.as_str()),
        (Kind::Confirmed, CHANNEL_RULE)
    );
    assert_eq!(
        told[0].1.largest[0].hint.as_deref(),
        Some("connection refused")
    );
    assert!((310..700).contains(&told[0].0), "at {}", told[0].0);
    assert_eq!(told[1].1.kind, Kind::Recovered);
    let health = &played.alerts.status().channels["dead"].health;
    assert_eq!((health.failing_since, health.mentioned), (None, 1));
}

#[test]
fn a_crash_before_during_and_after_sending_loses_nothing() {
    let mut played = Played::new([("hook", channel())]);
    let found = finding("r", "O1", "M1", 1, Verdict::Confirmed);
    played.take(&found, at(0));
    played.crash();
    assert_eq!(played.alerts.consumed("detection"), 1);
    let place = Place {
        input: "detection",
        number: 1,
    };
    let again = played
        .alerts
        .take(place, &found, &RuleNote::default(), at(1));
    assert_eq!(again, Taken::Before);
    let sent = played.alerts.due(at(10)).unwrap();
    played.crash();
    let again = played.alerts.due(at(10)).unwrap();
    assert_eq!(again, sent, "redelivered under its id");
    played.alerts.done(&again, &Outcome::Delivered, at(10));
    played.crash();
    assert_eq!(played.delivered(at(900)), []);
    assert_eq!(played.alerts.status().open, 1);
}

#[test]
fn limits_hold_over_a_crash() {
    let rules = ChannelRules {
        limits: vec![limit(1, 60)],
        ..channel()
    };
    let mut played = Played::new([("robot", rules)]);
    for order in ["O1", "O2"] {
        played.take(&finding(order, order, "M1", 1, Verdict::Confirmed), at(0));
    }
    assert_eq!(played.delivered(at(10)).len(), 1);
    played.take(&finding("O3", "O3", "M1", 1, Verdict::Confirmed), at(11));
    played.crash();
    assert_eq!(played.delivered(at(69)), []);
    assert_eq!(played.delivered(at(70)).len(), 1);
}

#[test]
fn what_waits_for_a_channel_that_is_gone_stays_until_it_is_back() {
    let mut played = Played::new([("old", channel()), ("new", channel())]);
    played.take(&finding("r", "O1", "M1", 1, Verdict::Confirmed), at(0));
    let bytes = played.alerts.store().unwrap();
    let alone = rules([("new", channel())]);
    let mut alerts = Alerts::restore(alone, &bytes).unwrap();
    let status = &alerts.status().channels["old"];
    assert_eq!((status.configured, status.pending_findings), (false, 1));
    let message = alerts.due(at(10)).unwrap();
    assert_eq!(message.channel, "new");
    assert_eq!(alerts.due(at(10)), None);
    let bytes = alerts.store().unwrap();
    let mut alerts = Alerts::restore(rules([("old", channel())]), &bytes).unwrap();
    assert_eq!(alerts.due(at(10)).unwrap().channel, "old");
}

#[test]
fn a_state_of_another_version_or_damaged_is_refused_by_name() {
    let state = Alerts::new(rules([("hook", channel())]), "i")
        .store()
        .unwrap();
    let text = String::from_utf8(state).unwrap();
    assert!(text.starts_with("{\"schema\":\"centinel/alert-state/1\""));
    let other = text.replace("alert-state/1", "alert-state/2");
    let refused = Alerts::restore(rules([]), other.as_bytes()).unwrap_err();
    assert!(matches!(refused, StateError::Version(version) if version == "centinel/alert-state/2"));
    for damaged in [
        "",
        "{}",
        &text[..text.len() / 2],
        "{\"schema\":\"centinel/alert-state/1\",\"state\":7}",
    ] {
        let refused = Alerts::restore(rules([]), damaged.as_bytes()).unwrap_err();
        assert!(matches!(refused, StateError::Damaged(_)), "{damaged}");
    }
}
