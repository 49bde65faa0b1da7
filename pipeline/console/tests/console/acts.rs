//! What people do to a finding.

use centinel_findings::{Handling, What};
use centinel_model::Verdict;

use crate::support::{Desk, finding, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_acknowledged_given_away_and_resolved_and_all_of_it_is_kept() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let ann = desk.person("ann", "operator").await;
    let path = format!("/findings/{}", id("r", "E1"));
    let row = || desk.store().get(&id("r", "E1")).unwrap().unwrap();
    let steps = [
        ("acknowledge", "said", "", Handling::Acknowledged),
        ("assign", "owner", "refund team", Handling::Acknowledged),
        (
            "note",
            "said",
            "asked the merchant\r\nand waited",
            Handling::Acknowledged,
        ),
        ("resolve", "said", "paid back by hand", Handling::Resolved),
        ("reopen", "said", "not paid back", Handling::New),
        ("false_alarm", "said", "a test order", Handling::FalseAlarm),
    ];
    for (act, field, text, handling) in steps {
        let seen = ann.get(&path).await.hidden("seen");
        let answer = ann
            .post_form(
                &format!("{path}/acts"),
                &[("act", act), (field, text), ("seen", &seen)],
            )
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, format!("{path}#history").as_str()),
            "{act}: {}",
            answer.text
        );
        assert_eq!(row().handling, handling, "{act}");
    }
    assert_eq!(row().owner, "refund team");
    assert_eq!(row().handled.unwrap().by, "ann");
    let history = desk.store().history(&id("r", "E1"), 0, 100).unwrap();
    assert_eq!(history.len(), 1 + steps.len());
    assert!(history.iter().any(|entry| entry.what
        == What::Note {
            text: "asked the merchant\nand waited".into()
        }
        && entry.by == "ann"));
    let log = ann.get("/log").await.text;
    for said in [
        "refund team",
        "asked the merchant",
        "paid back by hand",
        "a test order",
    ] {
        assert!(log.contains(said), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looked_before_something_happened_does_nothing_and_loses_nothing() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let (ann, bob) = (
        desk.person("ann", "operator").await,
        desk.person("bob", "approver").await,
    );
    let path = format!("/findings/{}", id("r", "E1"));
    let seen = ann.get(&path).await.hidden("seen");
    let acts = format!("{path}/acts");
    assert_eq!(
        bob.post_form(
            &acts,
            &[("act", "resolve"), ("said", "done"), ("seen", &seen)]
        )
        .await
        .status,
        303
    );
    let answer = ann
        .post_form(
            &acts,
            &[
                ("act", "false_alarm"),
                ("said", "what I wrote"),
                ("seen", &seen),
            ],
        )
        .await;
    assert_eq!(answer.status, 409);
    assert!(
        answer.text.contains("what I wrote</textarea>") && answer.text.contains("role=\"alert\"")
    );
    let row = desk.store().get(&id("r", "E1")).unwrap().unwrap();
    assert_eq!((row.handling, row.acts), (Handling::Resolved, 1));
    // The page shows what has happened, and from it one can go on.
    let answer = ann
        .post_form(
            &acts,
            &[
                ("act", "false_alarm"),
                ("said", "what I wrote"),
                ("seen", &answer.hidden("seen")),
            ],
        )
        .await;
    assert_eq!(answer.status, 303);

    // What detection tells meanwhile counts as well.
    let seen = ann.get(&path).await.hidden("seen");
    let mut again = finding("r", "E1");
    (again.sequence, again.verdict) = (2, Verdict::Recovered);
    desk.tell(&[again]);
    assert_eq!(
        ann.post_form(&acts, &[("act", "note"), ("said", "x"), ("seen", &seen)])
            .await
            .status,
        409
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_act_is_refused() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let ann = desk.person("ann", "operator").await;
    let acts = format!("/findings/{}/acts", id("r", "E1"));
    let seen = ann
        .get(&format!("/findings/{}", id("r", "E1")))
        .await
        .hidden("seen");
    for (fields, status) in [
        (
            vec![("act", "resolve"), ("said", "  "), ("seen", seen.as_str())],
            400,
        ),
        (
            vec![("act", "destroy"), ("said", "x"), ("seen", seen.as_str())],
            400,
        ),
        (vec![("act", "note"), ("said", "x"), ("seen", "one")], 422),
        (
            vec![
                ("act", "assign"),
                ("owner", "a\nb"),
                ("seen", seen.as_str()),
            ],
            400,
        ),
    ] {
        assert_eq!(
            ann.post_form(&acts, &fields).await.status,
            status,
            "{fields:?}"
        );
    }
    let nowhere = ann
        .post_form(
            "/findings/none/acts",
            &[("act", "note"), ("said", "x"), ("seen", "1")],
        )
        .await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(desk.store().get(&id("r", "E1")).unwrap().unwrap().acts, 0);
}
