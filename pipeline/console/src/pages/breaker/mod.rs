//! The fund circuit breaker: what is tripped and held, and the acts of people on it. Every act goes with the person's own
//! token, so the breaker decides who may; what it refuses is shown in its words.

mod holds;
mod new_trip;
mod releases;
mod state;
mod trips;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::Console;
use crate::breaker::{Cause, Money, Point, Scope};
use crate::language::text;
use crate::problem::Problem;
use crate::role::Needs;
use crate::routes::{Route, act, look};
use crate::visit::{Person, address, part};

pub const ROUTES: &[Route] = &[
    look("/breaker", Needs::Look, || get(state::state)),
    look("/breaker/trips/new", Needs::Act, || get(new_trip::form)),
    act("/breaker/trips", Needs::Act, || post(new_trip::set)),
    look("/breaker/trips/{id}", Needs::Look, || get(trips::trip)),
    act("/breaker/trips/{id}/confirm", Needs::Approve, || {
        post(trips::confirm)
    }),
    act("/breaker/trips/{id}/decline", Needs::Approve, || {
        post(trips::decline)
    }),
    look("/breaker/holds", Needs::Look, || get(holds::holds)),
    look("/breaker/releases", Needs::Look, || get(releases::list)),
    act("/breaker/releases", Needs::Act, || post(releases::ask)),
    look("/breaker/releases/{id}", Needs::Look, || {
        get(releases::release)
    }),
    act("/breaker/releases/{id}/confirm", Needs::Approve, || {
        post(releases::confirm)
    }),
    act("/breaker/releases/{id}/decline", Needs::Approve, || {
        post(releases::decline)
    }),
];

/// The longest reason that the breaker takes, in bytes.
const LONGEST_TEXT: usize = 1_000;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// The fields of a form; a name may come several times.
pub struct Fields(Vec<(String, String)>);

/// What a handler takes.
pub type Sent = Result<Form<Vec<(String, String)>>, FormRejection>;

impl Fields {
    /// Reads a form.
    pub fn of(sent: Sent) -> Result<Fields, Problem> {
        match sent {
            Ok(Form(fields)) => Ok(Fields(fields)),
            Err(error) => Err(Problem::refused(format!("this is no form: {error}"))),
        }
    }

    /// The first value under a name, without blanks around it.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// All values under a name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    /// The points that are ticked.
    pub fn points(&self) -> Vec<Point> {
        let all = self.all("point");
        Point::ALL
            .into_iter()
            .filter(|point| all.iter().any(|name| name == point.as_str()))
            .collect()
    }
}

impl From<&Person> for Fields {
    /// The query of a page, read like a form.
    fn from(person: &Person) -> Fields {
        Fields(person.visit.query.clone())
    }
}

/// A name for one wish of this person: sent again, it is the same wish.
fn request_id(console: &Console) -> Result<String, Problem> {
    let secret = console.surroundings.secret();
    let secret = secret.ok_or_else(|| Problem::unavailable("there is no randomness"))?;
    Ok(format!("console-{}", &secret[..22.min(secret.len())]))
}

fn money(sums: &Money) -> Markup {
    html! {
        @if sums.is_empty() { span.null { "–" } }
        @for (number, (currency, amount)) in sums.iter().enumerate() {
            @if number > 0 { ", " }
            span.number { (amount) " " (currency) }
        }
    }
}

fn points(person: &Person, points: &[Point]) -> String {
    let told: Vec<&str> = points
        .iter()
        .map(|point| person.say(point.told()))
        .collect();
    told.join(", ")
}

fn scope(person: &Person, scope: &Scope) -> String {
    let kind = person.say(scope.told());
    match scope.name() {
        "" => kind.to_owned(),
        name => format!("{kind} {}", person.masked(name)),
    }
}

/// What holds something, with a way there.
fn cause(person: &Person, cause: &Cause) -> Markup {
    html! {
        @match cause {
            Cause::Trip(id) => a href={ "/breaker/trips/" (part(id)) } { (person.say(text("trip", "熔断"))) " " (id) },
            Cause::Finding(id) => a href={ "/findings/" (part(id)) } { (person.say(text("finding in doubt", "存疑异常"))) " " (id.chars().take(8).collect::<String>()) },
            Cause::Stale => (person.say(text("detection was not heard for too long", "检测服务过久未上报"))),
        }
    }
}

/// Where all that a cause holds is.
fn holds_of(cause: &Cause) -> String {
    address("/breaker/holds", [("cause", cause.to_string().as_str())])
}

/// The ways between the breaker's pages.
fn tabs(person: &Person) -> Markup {
    let here = person.visit.path.as_str();
    let pages = [
        ("/breaker", text("State and trips", "状态与熔断")),
        ("/breaker/holds", text("Held", "已拦截")),
        ("/breaker/releases", text("Releases", "放行记录")),
    ];
    html! {
        nav.tabs aria-label=(person.say(text("Breaker", "熔断"))) {
            ul {
                @for (path, name) in pages {
                    li { a href=(path) aria-current=[(path == here).then_some("page")] { (person.say(name)) } }
                }
                @if person.may(Needs::Act) {
                    li { a.button href="/breaker/trips/new" { (person.say(text("New trip", "新建熔断"))) } }
                }
            }
        }
    }
}
