//! Who may do what, written down a second time: the table of routes must agree with it.

use std::collections::BTreeSet;

use centinel_console::routes;

use crate::support::{Desk, PASSWORD, finding, id};

const ALL: &str = "viewer operator approver admin";

/// Routes and who may; `nobody` is everybody.
pub const MAY: &[(&str, &str)] = &[
    ("GET /sign-in", "nobody"),
    ("POST /sign-in", "nobody"),
    ("POST /sign-out", ALL),
    ("GET /", ALL),
    ("GET /overview/live", ALL),
    ("GET /live", ALL),
    ("GET /findings", ALL),
    ("GET /findings/export.jsonl", "operator approver admin"),
    ("GET /findings/export.csv", "operator approver admin"),
    ("GET /findings/{id}", ALL),
    ("POST /findings/{id}/acts", "operator approver"),
    ("GET /log", ALL),
    ("GET /log/breaker", ALL),
    ("GET /trace", ALL),
    ("GET /trace/{entity}/{key}", ALL),
    ("GET /breaker", ALL),
    ("GET /breaker/trips/new", "operator approver"),
    ("POST /breaker/trips", "operator approver"),
    ("GET /breaker/trips/{id}", ALL),
    ("POST /breaker/trips/{id}/confirm", "approver"),
    ("POST /breaker/trips/{id}/decline", "approver"),
    ("GET /breaker/holds", ALL),
    ("GET /breaker/releases", ALL),
    ("POST /breaker/releases", "operator approver"),
    ("GET /breaker/releases/{id}", ALL),
    ("POST /breaker/releases/{id}/confirm", "approver"),
    ("POST /breaker/releases/{id}/decline", "approver"),
    ("GET /rules", ALL),
    ("GET /rules/{id}", ALL),
    ("GET /audits", ALL),
    ("GET /audits/{name}", ALL),
    ("GET /audits/{name}/{run}", ALL),
    (
        "GET /audits/{name}/{run}/report.html",
        "operator approver admin",
    ),
    ("GET /repairs/{file}", ALL),
    ("GET /sources", ALL),
    ("GET /quarantine", ALL),
    ("GET /quarantine/{number}", ALL),
    ("POST /quarantine/{number}", "operator approver"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_may_and_nobody_else() {
    let desk = Desk::new().await;
    desk.tell(&[finding("r", "E1")]);
    let mut callers = vec![("nobody", desk.visitor())];
    let mut forged = desk.visitor();
    forged.cookie = "centinel=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into();
    callers.push(("forged", forged));
    for role in ["viewer", "operator", "approver", "admin"] {
        callers.push((role, desk.person(role, role).await));
    }
    let there: BTreeSet<String> = routes()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let named: BTreeSet<String> = MAY.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(there, named, "the routes, and this table");

    for (caller, visitor) in &callers {
        // Signing out comes last, or the rest would be tried without a session. A stream does not end.
        let (last, others): (Vec<_>, Vec<_>) = MAY
            .iter()
            .partition(|(route, _)| *route == "POST /sign-out");
        let csrf = match *caller {
            "nobody" | "forged" => String::new(),
            _ => visitor.get("/").await.csrf(),
        };
        for (route, may) in others
            .into_iter()
            .chain(last)
            .filter(|(route, _)| *route != "GET /live")
        {
            let (method, path) = route.split_once(' ').unwrap();
            let path = path
                .replace("{id}", &id("r", "E1"))
                .replace("{entity}/{key}", "order/E1")
                .replace("{number}", "1")
                .replace("{name}", "nothing")
                .replace("{run}", "r1")
                .replace("{file}", "plan.json");
            let fields = [
                ("csrf", csrf.as_str()),
                ("act", "note"),
                ("said", "x"),
                ("seen", "0"),
                ("name", "x"),
                ("password", PASSWORD),
            ];
            let answer = match method {
                "GET" => visitor.get(&path).await,
                _ => visitor.post(&path, &fields).await,
            };
            let to_sign_in = answer.status == 303
                && answer.header("location").starts_with("/sign-in?")
                || answer.status == 303
                    && method == "POST"
                    && path != "/sign-out"
                    && answer.header("location") == "/sign-in";
            let out = answer.status == 403 || to_sign_in;
            let may = may.split(' ').any(|who| who == *caller || who == "nobody");
            let out = out
                || (path == "/sign-out"
                    && matches!(*caller, "nobody" | "forged")
                    && answer.status == 303);
            assert_eq!(
                !out,
                may,
                "{caller} at {route}: {} {}",
                answer.status,
                answer.header("location")
            );
            if !may {
                let expected = if matches!(*caller, "nobody" | "forged") {
                    303
                } else {
                    403
                };
                assert_eq!(answer.status, expected, "{caller} at {route}");
            } else {
                assert!(
                    answer.status < 500 || path.contains("trace"),
                    "{caller} at {route}: {}",
                    answer.text
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_no_number_and_no_name_on_any_page() {
    let desk = Desk::new().await;
    let order = "ORDER20261122000777";
    desk.tell(&[finding("r", order)]);
    let operator = desk.person("olga", "operator").await;
    let page = operator.get(&format!("/findings/{}", id("r", order))).await;
    assert!(page.text.contains(order) && page.text.contains("Zhang Sanfeng"));
    let seen = page.hidden("seen");
    let note = format!("asked Zhang about {order}");
    let acted = operator
        .post_form(
            &format!("/findings/{}/acts", id("r", order)),
            &[("act", "note"), ("said", &note), ("seen", &seen)],
        )
        .await;
    assert_eq!(acted.status, 303, "{}", acted.text);

    let viewer = desk.person("vic", "viewer").await;
    let pages = [
        "/".into(),
        "/findings?open=all".into(),
        format!("/findings?entity={order}&open=all"),
        format!("/findings/{}", id("r", order)),
        "/log".into(),
        "/log/breaker".into(),
    ];
    for path in pages {
        let page = viewer.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        // What they typed themselves is in the form and the address alone.
        let text = match path.contains("entity=") {
            true => page
                .text
                .split_once("<table")
                .map_or(String::new(), |(_, rest)| rest.to_owned()),
            false => page.text,
        };
        for secret in [order, "Zhang Sanfeng", "20261122000777"] {
            assert!(!text.contains(secret), "{path} shows {secret}");
        }
    }
    let page = viewer.get(&format!("/findings/{}", id("r", order))).await;
    assert!(
        page.text.contains("OR****77") && page.text.contains("100.00"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("/acts") && !page.text.contains("/breaker/trips/new"));
}
