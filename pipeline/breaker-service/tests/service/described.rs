//! The description that is served: every route is in it, and answers are as it says.

use std::collections::BTreeSet;

use centinel_breaker_service::{OPENAPI, ROUTES};
use serde_json::{Value, json};

use crate::support::{Service, release, request, trip};

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_description_and_the_routes_are_the_same() {
    let description = description();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            described.insert(format!("{method} {path}"));
            let route = ROUTES
                .iter()
                .find(|route| route.method == method && route.path == path);
            let needs = route
                .unwrap_or_else(|| panic!("{method} {path} is no route"))
                .needs;
            let open = needs.key.is_none() && needs.role.is_none();
            assert_eq!(operation["security"] == json!([]), open, "{method} {path}");
            if let Some(role) = needs.role {
                assert_eq!(operation["x-role"], json!(role), "{method} {path}");
            }
            if let Some(scope) = needs.key {
                assert_eq!(operation["x-key-scope"], json!(scope), "{method} {path}");
            }
        }
    }
    let routes = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(routes.collect::<BTreeSet<_>>(), described);
}

/// What in the value is not as the schema says.
fn mistakes(all: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = all.pointer(name.strip_prefix('#').unwrap());
        return mistakes(
            all,
            schema.unwrap_or_else(|| panic!("{name} is nowhere")),
            value,
            at,
            found,
        );
    }
    if let Some(some) = schema["oneOf"].as_array() {
        let fits = |schema: &&Value| {
            let mut found = Vec::new();
            mistakes(all, schema, value, at, &mut found);
            found.is_empty()
        };
        if some.iter().filter(fits).count() != 1 {
            found.push(format!("{at}: {value} fits not exactly one"));
        }
        return;
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        _ => true,
    };
    if !fits
        || schema["enum"]
            .as_array()
            .is_some_and(|words| !words.contains(value))
    {
        found.push(format!("{at}: {value}"));
    }
    if let Some(fields) = value.as_object()
        && let Some(known) = schema["properties"].as_object()
    {
        for (field, value) in fields {
            match known.get(field) {
                Some(schema) => mistakes(all, schema, value, &format!("{at}.{field}"), found),
                None => found.push(format!("{at}.{field} is not described")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required.filter(|field| !fields.contains_key(field.as_str().unwrap()));
        found.extend(missing.map(|field| format!("{at}.{field} is missing")));
    }
    if let Some(values) = value.as_array() {
        values
            .iter()
            .for_each(|value| mistakes(all, &schema["items"], value, &format!("{at}[]"), found));
    }
}

#[test]
fn the_bodies_in_the_readme_are_as_described() {
    let readme = include_str!("../../README.md");
    let commands = readme
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let all = description();
    let (mut found, mut seen) = (Vec::new(), 0);
    for command in commands.unwrap().split("curl -s ").skip(1) {
        let path = command
            .split(['"', ' ', '?'])
            .find_map(|word| word.strip_prefix("$URL"))
            .unwrap();
        assert!(all["paths"][path].is_object(), "{path}");
        let Some(body) = command.split("-d '").nth(1) else {
            continue;
        };
        let body: Value = serde_json::from_str(body.split('\'').next().unwrap()).unwrap();
        let schema =
            &all["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        mistakes(&all, schema, &body, path, &mut found);
        seen += 1;
    }
    assert!(found.is_empty() && seen >= 8, "{seen}: {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_described() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service
        .key(&root, &["check", "dispositions", "findings"])
        .await;
    let report = json!({
        "finding_id": "F1", "sequence": 1, "occurrence": 1, "rule": "a-rule", "stable": true, "owner": "o",
        "verdict": "confirmed", "scope": {"order": "O9"}, "points": ["refund"], "amount": "50.00", "currency": "CNY",
        "declared": {"points": ["refund"], "by": "order"},
    });
    let wish = json!({"scope": "all", "points": ["refund"]});
    let calls = [
        (
            "POST",
            "/v1/checks",
            "/v1/checks",
            &key,
            request("r0", "refund", "M1", "1.00"),
        ),
        (
            "POST",
            "/v1/trips",
            "/v1/trips",
            &ann,
            trip("k1", "M1", &["refund"]),
        ),
        (
            "POST",
            "/v1/checks",
            "/v1/checks",
            &key,
            request("r1", "refund", "M1", "1.00"),
        ),
        (
            "POST",
            "/v1/checks",
            "/v1/checks",
            &key,
            request("r2", "refund", "M1", "1.00"),
        ),
        ("POST", "/v1/checks", "/v1/checks", &key, json!({})),
        ("POST", "/v1/findings", "/v1/findings", &key, report),
        (
            "POST",
            "/v1/progress",
            "/v1/progress",
            &key,
            json!({"lag_ms": 3}),
        ),
        ("POST", "/v1/trips/preview", "/v1/trips/preview", &ann, wish),
        ("GET", "/v1/holds", "/v1/holds", &ann, Value::Null),
        ("GET", "/v1/holds", "/v1/holds?cause=T1", &ann, Value::Null),
        (
            "GET",
            "/v1/holds",
            "/v1/holds?order_no=O-r1",
            &ann,
            Value::Null,
        ),
        (
            "POST",
            "/v1/releases",
            "/v1/releases",
            &ann,
            release("a1", "T1", Some(&["r1"]), "reject"),
        ),
        (
            "GET",
            "/v1/holds/{request_id}",
            "/v1/holds/r1",
            &ann,
            Value::Null,
        ),
        ("GET", "/v1/trips", "/v1/trips", &ann, Value::Null),
        ("GET", "/v1/trips/{id}", "/v1/trips/T2", &ann, Value::Null),
        ("GET", "/v1/trips/{id}", "/v1/trips/T9", &ann, Value::Null),
        ("GET", "/v1/releases", "/v1/releases", &ann, Value::Null),
        (
            "GET",
            "/v1/releases/{id}",
            "/v1/releases/R1",
            &ann,
            Value::Null,
        ),
        ("GET", "/v1/findings", "/v1/findings", &ann, Value::Null),
        (
            "GET",
            "/v1/dispositions",
            "/v1/dispositions",
            &key,
            Value::Null,
        ),
        ("GET", "/v1/audit", "/v1/audit", &ann, Value::Null),
        (
            "GET",
            "/v1/audit",
            "/v1/audit?before=3&limit=2",
            &ann,
            Value::Null,
        ),
        ("GET", "/v1/status", "/v1/status", &ann, Value::Null),
        ("GET", "/v1/sessions", "/v1/sessions", &ann, Value::Null),
        ("GET", "/v1/health", "/v1/health", &ann, Value::Null),
        ("GET", "/v1/accounts", "/v1/accounts", &root, Value::Null),
        ("GET", "/v1/keys", "/v1/keys", &root, Value::Null),
        (
            "POST",
            "/v1/keys",
            "/v1/keys",
            &root,
            json!({"name": "p", "scopes": ["check"], "lasts": "1d"}),
        ),
        (
            "POST",
            "/v1/accounts",
            "/v1/accounts",
            &root,
            json!({"name": "v", "role": "viewer", "password": "long enough, this"}),
        ),
        ("GET", "/v1/keys", "/v1/keys", &ann, Value::Null),
    ];
    let all = description();
    let mut found = Vec::new();
    for (method, route, path, token, body) in calls {
        let operation = &all["paths"][route][method.to_lowercase()];
        let place = format!("{method} {path}");
        if !body.is_null() && body != json!({}) {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{place}: its body is not described");
            mistakes(&all, schema, &body, &format!("{place} body"), &mut found);
        }
        let (status, answer) = service.call(method, path, token, body).await;
        let schema = match status {
            200 => &operation["responses"]["200"]["content"]["application/json"]["schema"],
            _ => &all["components"]["schemas"]["Problem"],
        };
        assert!(schema.is_object(), "{place}: its answer is not described");
        mistakes(&all, schema, &answer, &place, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
    service.stop().await;
}
