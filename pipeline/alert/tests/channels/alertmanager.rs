use centinel_alert::{Message, Outcome};
use serde_json::{Value, json};

use crate::samples::{ALERT, DIGEST, RECOVERED, message, nasty};
use crate::server::{Answer, Asked, Server, answer};
use crate::{later, outlet, refused, send};

async fn alertmanager(server: &Server, message: &Message) -> Outcome {
    let table = format!(
        "kind = \"alertmanager\"\nurl = \"{}/am/\"\nauthorization = {{ env = \"AM_AUTH\" }}\nallow = [\"127.0.0.1\"]",
        server.url
    );
    send(&outlet(&table, &[("AM_AUTH", "Bearer b0")]), message).await
}

/// As its API, version 2, checks what it is sent.
fn behaving(asked: &Asked, _: usize) -> Answer {
    if asked.headers.get("authorization").map(String::as_str) != Some("Bearer b0") {
        return answer(401, "Unauthorized");
    }
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/am/api/v2/alerts") {
        return answer(404, "\"path was not found\"");
    }
    if !asked.headers["content-type"].starts_with("application/json") {
        return answer(415, "\"unsupported media type\"");
    }
    let alerts = asked.json();
    for alert in alerts.as_array().unwrap() {
        let labels = alert["labels"].as_object().unwrap();
        let texts = labels
            .values()
            .chain(alert["annotations"].as_object().unwrap().values());
        let full = texts
            .clone()
            .all(|text| text.as_str().is_some_and(|text| !text.is_empty()));
        // RFC 3339 in UTC compares as text.
        let ordered = alert["startsAt"].as_str() <= alert["endsAt"].as_str();
        if !full || !ordered || !labels.contains_key("alertname") {
            return answer(400, "\"start time must be before end time\"");
        }
    }
    answer(200, "")
}

/// The alert or its end, as a channel that keeps causes is told.
fn standing(alert: &str) -> Message {
    let mut alert: Value = serde_json::from_str(alert).unwrap();
    if alert["kind"] == "recovered" {
        alert["kind"] = "confirmed".into();
    }
    for field in ["schema", "id", "channel", "made_at", "form"] {
        alert.as_object_mut().unwrap().remove(field);
    }
    message(&json!({
        "schema": "centinel/alert/1", "id": "i-1", "channel": "c", "made_at": "2026-11-22T08:00:10Z",
        "form": "standing", "alerts": [alert],
    }).to_string())
}

#[tokio::test]
async fn the_wire_form_is_that_of_its_api() {
    let server = Server::start(behaving).await;
    assert_eq!(
        alertmanager(&server, &standing(ALERT)).await,
        Outcome::Delivered
    );
    let description = "Rule: settled-equals-paid\nShould hold: What was settled is what was paid\nCause: merchant_no M1\n\
                       Money: CNY 2,000,000.00\nSince: 2026-11-22T07:58:00Z\nOpen now: 34, CNY 2,000,000.00\n\
                       Owner: settlement\nAmong them: release r41, r42, and more\n\
                       Largest: order O1, payment_no P1: CNY 300,000.00\n\
                       Evidence: paid = 100.00, settled = none\nEvidence: and 2 more rows\n\
                       Hint: `settled` is exactly 100 times `paid`";
    let wanted = json!([{
        "labels": {
            "alertname": "settled-equals-paid", "severity": "critical", "owner": "settlement",
            "verdict": "confirmed", "cause": "merchant_no", "cause_value": "M1", "tags": ",balance,loss-1,",
        },
        "annotations": {
            "summary": "34 open, CNY 2,000,000.00 at risk", "description": description, "open": "34",
            "money": "CNY 2,000,000.00", "trace": "https://centinel.example/trace/order/O1",
            "runbook_url": "https://wiki.example/settled",
        },
        "startsAt": "2026-11-22T07:58:00Z",
        "endsAt": "2026-11-22T12:00:11.250Z",
        "generatorURL": "https://centinel.example/trace/order/O1",
    }]);
    assert_eq!(server.one().json(), wanted);
}

#[tokio::test]
async fn an_end_has_the_same_labels_and_ends_now() {
    let server = Server::start(behaving).await;
    assert_eq!(
        alertmanager(&server, &standing(RECOVERED)).await,
        Outcome::Delivered
    );
    let alert = &server.one().json()[0];
    assert_eq!(alert["endsAt"], "2026-11-22T08:00:11.250Z");
    assert_eq!(alert["labels"]["verdict"], "confirmed");
    assert_eq!(alert["annotations"]["summary"], "nothing open");
    assert_eq!(alert["annotations"]["runbook"], "Ask the settlement team.");
}

#[tokio::test]
async fn digests_and_any_data_are_taken() {
    let server = Server::start(behaving).await;
    assert_eq!(
        alertmanager(&server, &message(DIGEST)).await,
        Outcome::Delivered
    );
    assert_eq!(alertmanager(&server, &nasty()).await, Outcome::Delivered);
    let digest = &server.asked()[0].json()[0];
    assert_eq!(
        digest["labels"],
        json!({"alertname": "centinel/digest", "severity": "critical"})
    );
    assert_eq!(
        digest["annotations"]["summary"],
        "CRITICAL: digest of 904 findings, 41 causes"
    );
}

#[tokio::test]
async fn what_begins_in_the_future_begins_now() {
    let late = ALERT.replace(
        "\"since\": \"2026-11-22T07:58:00Z\"",
        "\"since\": \"2099-01-01T00:00:00Z\"",
    );
    let server = Server::start(behaving).await;
    assert_eq!(
        alertmanager(&server, &standing(&late)).await,
        Outcome::Delivered
    );
    assert_eq!(
        server.one().json()[0]["startsAt"],
        "2026-11-22T08:00:11.250Z"
    );
}

#[tokio::test]
async fn its_mistakes_are_told_apart() {
    let server = Server::start(|_, _| answer(400, "\"bad alert\"")).await;
    assert!(refused(alertmanager(&server, &standing(ALERT)).await).contains("bad alert"));
    let server = Server::start(|_, _| answer(500, "\"out of memory\"")).await;
    assert!(
        later(alertmanager(&server, &standing(ALERT)).await)
            .0
            .contains("out of memory")
    );
}
