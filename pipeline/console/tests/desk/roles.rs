//! Every route of these pages, asked by everybody.

use centinel_console::{Needs, Role, routes};

use crate::support::{PASSWORD, Stage};

const MINE: [&str; 7] = [
    "/trace",
    "/breaker",
    "/rules",
    "/audits",
    "/repairs",
    "/sources",
    "/quarantine",
];

fn is_mine(path: &str) -> bool {
    MINE.iter()
        .any(|begin| path == *begin || path.starts_with(&format!("{begin}/")))
}

/// What each route must need; one that is not here fails the test.
const NEEDED: [(&str, &str, Needs); 25] = [
    ("GET", "/trace", Needs::Look),
    ("GET", "/trace/{entity}/{key}", Needs::Look),
    ("GET", "/breaker", Needs::Look),
    ("GET", "/breaker/trips/new", Needs::Act),
    ("POST", "/breaker/trips", Needs::Act),
    ("GET", "/breaker/trips/{id}", Needs::Look),
    ("POST", "/breaker/trips/{id}/confirm", Needs::Approve),
    ("POST", "/breaker/trips/{id}/decline", Needs::Approve),
    ("GET", "/breaker/holds", Needs::Look),
    ("GET", "/breaker/releases", Needs::Look),
    ("POST", "/breaker/releases", Needs::Act),
    ("GET", "/breaker/releases/{id}", Needs::Look),
    ("POST", "/breaker/releases/{id}/confirm", Needs::Approve),
    ("POST", "/breaker/releases/{id}/decline", Needs::Approve),
    ("GET", "/rules", Needs::Look),
    ("GET", "/rules/{id}", Needs::Look),
    ("GET", "/audits", Needs::Look),
    ("GET", "/audits/{name}", Needs::Look),
    ("GET", "/audits/{name}/{run}", Needs::Look),
    ("GET", "/audits/{name}/{run}/report.html", Needs::Plain),
    ("GET", "/repairs/{file}", Needs::Look),
    ("GET", "/sources", Needs::Look),
    ("GET", "/quarantine", Needs::Look),
    ("GET", "/quarantine/{number}", Needs::Look),
    ("POST", "/quarantine/{number}", Needs::Act),
];

#[test]
fn every_route_needs_what_the_table_says() {
    let mut known = 0;
    for route in routes().filter(|route| is_mine(route.path)) {
        let needed = NEEDED
            .iter()
            .find(|(method, path, _)| (*method, *path) == (route.method, route.path));
        let (.., needs) = needed.unwrap_or_else(|| panic!("{} {}", route.method, route.path));
        assert_eq!(route.needs, *needs, "{} {}", route.method, route.path);
        known += 1;
    }
    assert_eq!(known, NEEDED.len());
}

fn real(path: &str) -> String {
    let path = path
        .replace("{entity}/{key}", "order/O-1")
        .replace("{name}/{run}", "nightly/r1");
    let path = path
        .replace("{name}", "nightly")
        .replace("{file}", "plan.json")
        .replace("{number}", "1");
    match path.contains("releases") {
        true => path.replace("{id}", "R1"),
        false => path
            .replace("/rules/{id}", "/rules/settled-equals-paid")
            .replace("{id}", "T1"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_by_roles() {
    let stage = Stage::new().await;
    let people = [
        ("vera", Role::Viewer),
        ("olga", Role::Operator),
        ("anna", Role::Approver),
        ("root", Role::Admin),
    ];
    for (name, role) in people {
        let person = stage.person(name).await;
        let csrf = person.page("/sources").await.value("csrf");
        for route in routes().filter(|route| is_mine(route.path)) {
            let path = real(route.path);
            let answer = match route.method {
                "GET" => person.get(&path).await,
                _ => person.send(&path, &[("csrf", &csrf)]).await,
            };
            let what = format!("{name}: {} {path}: {}", route.method, answer.status);
            match route.needs.allow(role) {
                false => assert_eq!(answer.status, 403, "{what}"),
                // Let in: there is no such trip yet, or the form is empty.
                true => assert!(
                    [200, 303, 400, 404].contains(&answer.status),
                    "{what}: {}",
                    answer.body
                ),
            }
            if route.method == "POST" {
                let without = person.send(&path, &[]).await;
                assert_eq!(without.status, 403, "without its token: {what}");
                let wrong = person.send(&path, &[("csrf", PASSWORD)]).await;
                assert_eq!(wrong.status, 403, "with another token: {what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_signing_in() {
    let stage = Stage::new().await;
    let mut nobody = stage.person("vera").await;
    for cookie in ["", "centinel=", "centinel=guessed"] {
        nobody.cookie = cookie.to_owned();
        for route in routes().filter(|route| is_mine(route.path)) {
            let path = real(route.path);
            let answer = match route.method {
                "GET" => nobody.get(&path).await,
                _ => nobody.send(&path, &[("csrf", "x")]).await,
            };
            assert_eq!(answer.status, 303, "{} {path}", route.method);
            assert!(
                answer.to().starts_with("/sign-in"),
                "{path}: {}",
                answer.to()
            );
        }
    }
}
