use serde_json::{Value, json};

use crate::support::{Service, request};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_rates_and_requests_have_limits() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let body =
        json!({"name": "slow", "scopes": ["check"], "lasts": "1h", "requests_per_second": 5});
    let key = service.post("/v1/keys", &root, body).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut statuses = Vec::new();
    for number in 0..8 {
        let body = request(&format!("r{number}"), "refund", "M1", "1.00");
        statuses.push(service.call("POST", "/v1/checks", &key, body).await.0);
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");

    let key = service.key(&root, &["check"]).await;
    let long = request(&"r".repeat(70_000), "refund", "M1", "1.00");
    let answer = service.client.post(format!("{}/v1/checks", service.url));
    let answer = answer
        .header("authorization", format!("Bearer {key}"))
        .body(long.to_string());
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 413);

    let wrong = [
        ("amount", json!(12.5)),
        ("amount", json!("-1.00")),
        ("amount", json!("1e3")),
        ("amount", json!("1.00001")),
        ("currency", json!("cny")),
        ("point", json!("payment")),
        ("request_id", json!("")),
        ("merchant_no", json!(" M1")),
        ("order_no", json!("a\u{7}")),
        ("surplus", json!(1)),
    ];
    for (field, value) in wrong {
        let mut body = request("r1", "refund", "M1", "1.00");
        body[field] = value;
        let (status, answer) = service.call("POST", "/v1/checks", &key, body).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("invalid")),
            "{field}: {answer}"
        );
    }
    assert_eq!(
        service
            .call("GET", "/v1/nothing", &key, Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(
        service.call("GET", "/v1/checks", &key, Value::Null).await.0,
        405
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_most_requests_at_once_it_says_so() {
    let mut service = Service::start_with(|config| config.limits.requests_at_once = 2).await;
    let root = service.sign_in("root").await;
    let key = service.key(&root, &["check", "dispositions"]).await;
    let wait = || service.get("/v1/dispositions?wait_ms=2000", &key);
    let (_, _, third) = tokio::join!(wait(), wait(), async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        service
            .call(
                "POST",
                "/v1/checks",
                &key,
                request("r1", "refund", "M1", "1.00"),
            )
            .await
            .0
    });
    assert_eq!(third, 503);
    assert_eq!(
        service.check(&key, "r1", "refund", "M1", "1.00").await["decision"],
        "allow"
    );
    service.stop().await;
}
