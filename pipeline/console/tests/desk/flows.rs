//! What people do, over HTTP: every act is the person's own, and a repeated one is done once.

use serde_json::json;

use crate::support::{Answer, Person, Stage, id, told};

fn says(answer: &Answer, words: &str) {
    assert!(
        answer.body.contains(words),
        "{words} is not in {}",
        answer.body
    );
}

/// Previews a trip over the order and sets it; its address.
async fn trip(person: &Person<'_>, order: &str) -> String {
    let page = format!(
        "/breaker/trips/new?preview=yes&scope=order&name={order}&point=settlement&reason=settled+twice&owner=settlement&lasts=4h"
    );
    let preview = person.page(&page).await;
    let fields = [
        ("csrf", preview.value("csrf")),
        ("request_id", preview.value("request_id")),
        ("scope", "order".into()),
        ("name", order.to_owned()),
        ("point", "settlement".into()),
        ("reason", "settled twice".into()),
        ("owner", "settlement".into()),
        ("lasts", "4h".into()),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let set = person.send("/breaker/trips", &fields).await;
    assert_eq!(set.status, 303, "{}", set.body);
    // Sent again, it is the same trip.
    let again = person.send("/breaker/trips", &fields).await;
    assert_eq!(again.to(), set.to());
    set.to().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_tripped_and_let_go_by_a_second_person() {
    let stage = Stage::new().await;
    let (olga, anna) = (stage.person("olga").await, stage.person("anna").await);
    stage.check("settle-1", "O-1", "50.00").await;

    // From the finding: what it is about is filled in, nothing is set before it was looked at.
    let finding = id("settled-equals-paid", "O-1");
    let form = olga
        .page(&format!("/breaker/trips/new?finding={finding}"))
        .await;
    assert_eq!(form.value("name"), "O-1");
    says(&form, "What was settled is what was paid");
    assert!(
        !form.body.contains("action=\"/breaker/trips\""),
        "set without a look"
    );
    let preview = olga
        .page("/breaker/trips/new?preview=yes&scope=order&name=O-1&point=settlement&reason=x&owner=y&lasts=4h")
        .await;
    says(&preview, "50.00 CNY");

    let at = trip(&olga, "O-1").await;
    assert_eq!(at, "/breaker/trips/T1");
    let held = stage.check("settle-2", "O-1", "125.00").await;
    assert_eq!(held["decision"], "hold");
    says(&olga.page("/breaker").await, "125.00 CNY");
    let page = olga.page(&at).await;
    says(&page, "settle-2");

    // An operator proposes …
    let request = page.value("request_id");
    let ask = [
        ("request_id", request.as_str()),
        ("cause", "T1"),
        ("which", "chosen"),
        ("hold", "settle-2"),
        ("disposition", "reject"),
        ("reason", "settled ten times too much"),
    ];
    let asked = olga.act(&at, "/breaker/releases", &ask).await;
    assert_eq!(asked.to(), "/breaker/releases/R1", "{}", asked.body);
    let again = olga.act(&at, "/breaker/releases", &ask).await;
    assert_eq!(again.to(), "/breaker/releases/R1");
    says(
        &olga.page("/breaker/releases/R1").await,
        "another person has to confirm it",
    );
    says(&olga.page("/breaker").await, "Waits for a second person");
    let own = olga
        .act("/breaker/releases/R1", "/breaker/releases/R1/confirm", &[])
        .await;
    assert_eq!(own.status, 403);
    assert_eq!(
        stage.check("settle-2", "O-1", "125.00").await["decision"],
        "hold"
    );

    // … and an approver confirms, once.
    let confirmed = anna
        .act("/breaker/releases/R1", "/breaker/releases/R1/confirm", &[])
        .await;
    assert_eq!(confirmed.to(), "/breaker/releases/R1", "{}", confirmed.body);
    let page = anna.page("/breaker/releases/R1").await;
    says(&page, "anna");
    says(&page, "done");
    assert_eq!(
        stage.check("settle-2", "O-1", "125.00").await["state"],
        "rejected"
    );

    // All of it stands in the order's trace, with who did it.
    let trace = anna.page("/trace/order/O-1").await;
    for words in [
        "tripped T1",
        "held 125.00 CNY",
        "rejected 125.00 CNY",
        "release proposed",
        "olga",
    ] {
        says(&trace, words);
    }
    let held = anna.page("/breaker/holds?order=O-1").await;
    says(&held, "rejected");
    says(&anna.page("/breaker/releases").await, "R1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_person_is_another_one_and_the_refusal_is_shown() {
    let stage = Stage::new().await;
    let (anna, bert) = (stage.person("anna").await, stage.person("bert").await);
    let at = trip(&anna, "O-1").await;
    stage.check("large", "O-1", "5000.00").await;
    let page = anna.page(&at).await;
    let ask = [
        ("request_id", &*page.value("request_id")),
        ("cause", "T1"),
        ("which", "all"),
        ("disposition", "resume"),
        ("reason", "mended"),
    ];
    let asked = anna.act(&at, "/breaker/releases", &ask).await;
    let at = asked.to().to_owned();
    let own = anna.act(&at, &format!("{at}/confirm"), &[]).await;
    assert_eq!(own.status, 403);
    says(&own, "a second person is needed");
    let declined = bert
        .act(
            &at,
            &format!("{at}/decline"),
            &[("reason", "not before release 41")],
        )
        .await;
    assert_eq!(declined.to(), at, "{}", declined.body);
    says(&bert.page(&at).await, "declined");
    // What is over is over, and that is said.
    let late = bert
        .act("/breaker/releases", &format!("{at}/confirm"), &[])
        .await;
    assert_eq!(late.status, 409);
    assert_eq!(
        stage.check("large", "O-1", "5000.00").await["decision"],
        "hold"
    );

    let proposed = [
        ("request_id", "console-proposal"),
        ("scope", "merchant"),
        ("name", "MERCHANT-9001"),
        ("point", "refund"),
        ("reason", "looks wrong"),
        ("owner", "settlement"),
        ("lasts", "1h"),
        ("propose", "yes"),
    ];
    let proposed = anna.act("/breaker", "/breaker/trips", &proposed).await;
    let at = proposed.to().to_owned();
    let own = anna.act(&at, &format!("{at}/confirm"), &[]).await;
    assert_eq!(own.status, 403);
    says(&own, "cannot confirm it");
    let confirmed = bert.act(&at, &format!("{at}/confirm"), &[]).await;
    assert_eq!(confirmed.to(), at);
    says(&bert.page(&at).await, "in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_released_where_nothing_was_chosen() {
    let stage = Stage::new().await;
    let anna = stage.person("anna").await;
    let at = trip(&anna, "O-1").await;
    stage.check("one", "O-1", "5.00").await;
    for fields in [
        vec![
            ("cause", "T1"),
            ("which", "chosen"),
            ("disposition", "resume"),
            ("reason", "x"),
        ],
        vec![("cause", "T1"), ("disposition", "resume"), ("reason", "x")],
        vec![
            ("cause", "T1"),
            ("which", "all"),
            ("disposition", "let go"),
            ("reason", "x"),
        ],
        vec![
            ("cause", "everything"),
            ("which", "all"),
            ("disposition", "resume"),
            ("reason", "x"),
        ],
        vec![
            ("cause", "T1"),
            ("which", "all"),
            ("disposition", "resume"),
            ("reason", ""),
        ],
    ] {
        let answer = anna.act(&at, "/breaker/releases", &fields).await;
        assert_eq!(answer.status, 400, "{fields:?}: {}", answer.body);
    }
    assert_eq!(stage.check("one", "O-1", "5.00").await["decision"], "hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_read_after_all_or_left_out() {
    let stage = Stage::new().await;
    let olga = stage.person("olga").await;
    let again = [
        ("to", "redriven"),
        ("reason", "the column is in the schema now"),
    ];
    let refused = olga.act("/quarantine/1", "/quarantine/1", &again).await;
    assert_eq!(refused.status, 200);
    // Why, what to do, and what was written is still there.
    for words in [
        "Nothing was changed:",
        "it still cannot be read: unknown column",
        "then re-drive the record again",
        "the column is in the schema now</textarea>",
    ] {
        says(&refused, words);
    }
    says(&olga.page("/quarantine/1").await, "waits");

    stage.detection.known().mended = true;
    let done = olga.act("/quarantine/1", "/quarantine/1", &again).await;
    assert_eq!(done.to(), "/quarantine/1", "{}", done.body);
    let page = olga.page("/quarantine/1").await;
    for words in ["read after all", "olga", "the column is in the schema now"] {
        says(&page, words);
    }
    let twice = olga.act("/quarantine/2", "/quarantine/1", &again).await;
    says(&twice, "settled before");
    says(&twice, "Nothing was changed:");

    let left = [("to", "accepted"), ("reason", "a test order")];
    olga.act("/quarantine/2", "/quarantine/2", &left).await;
    says(&olga.page("/quarantine").await, "left out");
    for fields in [
        [("to", "waiting"), ("reason", "x")],
        [("to", "accepted"), ("reason", "  ")],
    ] {
        assert_eq!(
            olga.act("/quarantine/2", "/quarantine/2", &fields)
                .await
                .status,
            400
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_answer_is_named_and_nothing_is_called_well() {
    let stage = Stage::with(&[told("settled-equals-paid", "O-1", json!({}))]).await;
    let anna = stage.person("anna").await;
    stage.detection.known().away = true;
    for path in [
        "/rules",
        "/sources",
        "/trace/order/O-1",
        "/rules/settled-equals-paid",
    ] {
        says(
            &anna.page(path).await,
            "Detection was not reached".trim_start_matches("Detection "),
        );
    }
    assert_eq!(anna.get("/quarantine").await.status, 503);
    // What others know is there all the same.
    says(&anna.page("/trace/order/O-1").await, "112.50 CNY");
}
