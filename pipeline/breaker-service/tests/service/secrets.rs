//! Nothing secret is said: not on the terminal, not in the audit log, not in answers, not in the store.

use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Place, attempt};
use crate::support::{PASSWORD, release, request, trip, until};

const WEBHOOK_SECRET: &str = "the-secret-that-signs-dispositions-1";
const IN_THE_ADDRESS: &str = "a-token-in-the-address";
const KAFKA_PASSWORD: &str = "the-password-of-the-brokers";
const NEW_PASSWORD: &str = "the password that ann took";
const WRONG_PASSWORD: &str = "the password that ann tried";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_audit_answers_or_store() {
    let tables = format!(
        "[breaker.webhook]\nurl = \"http://127.0.0.1:1/hook?token={IN_THE_ADDRESS}\"\nsecret_env = \"HOOK\"\n\
         [breaker.kafka]\nbrokers = \"127.0.0.1:1\"\ntopic = \"t\"\ntimeout = \"1s\"\n[breaker.kafka.settings]\n\
         \"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"PLAIN\"\n\"sasl.username\" = \"centinel\"\n\
         \"sasl.password\" = {{ env = \"KAFKA\" }}\n"
    );
    let place = Place::with("0", &tables);
    let variables = [("HOOK", WEBHOOK_SECRET), ("KAFKA", KAFKA_PASSWORD)];
    let running = place.start_with(&variables);
    let root = place.sign_in("root").await;
    for name in ["ann", "bob"] {
        place.approver(&root, name).await;
    }
    let (ann, bob) = (place.sign_in("ann").await, place.sign_in("bob").await);
    let key = place.key(&root).await;
    let secret_of = |token: &str| token.rsplit('.').next().unwrap().to_owned();

    // Everything that is refused or wrong, with secrets in every place where one may stand.
    let mut answers = String::new();
    let forged = format!("{key}x");
    let mut wrong = vec![
        (
            "POST",
            "/v1/sessions",
            "",
            json!({"name": "ann", "password": WRONG_PASSWORD}),
        ),
        (
            "POST",
            "/v1/sessions",
            "",
            json!({"name": "ann", "password": [WRONG_PASSWORD]}),
        ),
        (
            "POST",
            "/v1/sessions",
            "",
            json!({"password": WRONG_PASSWORD}),
        ),
        (
            "POST",
            "/v1/password",
            ann.as_str(),
            json!({"old": WRONG_PASSWORD, "new": NEW_PASSWORD}),
        ),
        (
            "POST",
            "/v1/accounts",
            root.as_str(),
            json!({"name": "cid", "role": "none", "password": NEW_PASSWORD}),
        ),
        ("POST", "/v1/keys", ann.as_str(), json!({"name": "x"})),
        ("GET", "/v1/keys", root.as_str(), Value::Null),
        ("GET", "/v1/accounts", root.as_str(), Value::Null),
    ];
    for token in [key.as_str(), forged.as_str(), "cbk.no.key", "nonsense"] {
        wrong.push(("GET", "/v1/trips", token, Value::Null));
    }
    for (method, path, token, body) in &wrong {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let url = format!("{}{path}", place.url);
        let mut request = place.client.request(method.parse().unwrap(), url);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        answers += &answer.text().await.unwrap();
    }
    let change = json!({"old": PASSWORD, "new": NEW_PASSWORD});
    place.persist("POST", "/v1/password", &ann, change).await;
    // A release that cannot be delivered, confirmed by a second person and tried by the first.
    place
        .persist("POST", "/v1/trips", &bob, trip("k1", "M1", &["settlement"]))
        .await;
    let body = request("r1", "settlement", "M1", "1.00");
    place.persist("POST", "/v1/checks", &key, body).await;
    let ask = release("a1", "T1", None, "resume");
    place.persist("POST", "/v1/releases", &bob, ask).await;
    let confirm = format!("{}/v1/releases/R1/confirm", place.url);
    assert!(
        attempt(&place.client, "POST", &confirm, &bob, &Value::Null)
            .await
            .is_none()
    );
    let body = json!({"name": "ann", "password": NEW_PASSWORD});
    let again = place.persist("POST", "/v1/sessions", "", body).await;
    let again = again["token"].as_str().unwrap();
    place
        .persist("POST", "/v1/releases/R1/confirm", again, Value::Null)
        .await;
    let said = place.folder.path().join("said");
    let said = until("the word of both", || async {
        let said = std::fs::read_to_string(&said).unwrap();
        let both =
            said.contains("the webhook does not") && said.contains("the Kafka topic does not");
        both.then_some(said)
    })
    .await;
    let audit = place
        .persist("GET", "/v1/audit?limit=1000", &root, Value::Null)
        .await;
    let audit = audit.to_string();
    assert!(audit.contains("refused") && audit.contains("account.password"));
    drop(running);

    let mut stored = Vec::new();
    for file in ["breaker.db", "breaker.db-wal"] {
        stored.extend(std::fs::read(place.folder.path().join(file)).unwrap_or_default());
    }
    let stored = String::from_utf8_lossy(&stored);
    assert!(stored.contains("$argon2id$"));
    let secrets = [
        PASSWORD.to_owned(),
        NEW_PASSWORD.to_owned(),
        WRONG_PASSWORD.to_owned(),
        WEBHOOK_SECRET.to_owned(),
        IN_THE_ADDRESS.to_owned(),
        KAFKA_PASSWORD.to_owned(),
        secret_of(&key),
        secret_of(&root),
        secret_of(&ann),
    ];
    for secret in &secrets {
        for (place, text) in [
            ("terminal", said.as_str()),
            ("audit log", &audit),
            ("answers", &answers),
            ("store", &stored),
        ] {
            assert!(!text.contains(secret), "`{secret}` is in the {place}");
        }
    }
    for text in [&audit, &answers] {
        assert!(!text.contains("argon2"));
    }
}
