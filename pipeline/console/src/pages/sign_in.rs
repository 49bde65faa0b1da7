//! Signing in and out, with the breaker's accounts.

use std::sync::Arc;

use axum::Form;
use axum::extract::FromRequest;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::html;
use serde::Deserialize;

use crate::breaker::BreakerProblem;
use crate::guard::address_of;
use crate::language::{Text, text};
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, act, look};
use crate::session;
use crate::visit::{Person, Visit};
use crate::{Console, layout};

pub const ROUTES: &[Route] = &[
    look("/sign-in", Needs::Nothing, || get(form)),
    act("/sign-in", Needs::Nothing, || post(sign_in)),
    act("/sign-out", Needs::Look, || post(sign_out)),
];

/// Longer ones are no account's.
const LONGEST_NAME: usize = 200;
const LONGEST_PASSWORD: usize = 1_000;

const WRONG: Text = text("No such name and password.", "用户名或密码不正确。");
const TOO_OFTEN: Text = text(
    "Too many attempts. Wait a little, then try again.",
    "尝试次数过多，请稍后再试。",
);
const NO_BREAKER: Text = text(
    "The breaker, which knows the accounts, does not answer. Try again soon.",
    "熔断服务（保存账号的服务）没有响应，请稍后再试。",
);
const FULL: Text = text(
    "Too many people are signed in. Try again soon.",
    "登录人数过多，请稍后再试。",
);

/// Where to go afterwards: only to a page of this console.
fn next_of(next: Option<&str>) -> &str {
    let plain = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && next.len() <= 2_000
            && next
                .chars()
                .all(|character| !character.is_control() && character != '\\')
    };
    next.filter(plain).unwrap_or("/")
}

fn shown(visit: &Visit, next: &str, problem: Option<(StatusCode, Text)>) -> Response {
    let body = html! {
        form.sign-in method="post" action="/sign-in" {
            @if let Some((_, problem)) = problem { p.problem role="alert" #problem { (visit.say(problem)) } }
            input type="hidden" name="next" value=(next);
            label for="name" { (visit.say(text("Name", "用户名"))) }
            input #name name="name" required autocomplete="username" autocapitalize="none" spellcheck="false" maxlength=(LONGEST_NAME);
            label for="password" { (visit.say(text("Password", "密码"))) }
            input #password name="password" type="password" required autocomplete="current-password" maxlength=(LONGEST_PASSWORD);
            button type="submit" { (visit.say(text("Sign in", "登录"))) }
            p.hint { (visit.say(text("With your account of the circuit breaker.", "使用熔断服务的账号登录。"))) }
        }
    };
    let mut response = layout::page(visit, visit.say(text("Sign in", "登录")), &body);
    if let Some((status, _)) = problem {
        *response.status_mut() = status;
    }
    response
}

async fn form(visit: Visit) -> Response {
    let next = visit.query.iter().find(|(name, _)| name == "next");
    let next = next_of(next.map(|(_, value)| value.as_str())).to_owned();
    match visit.session.is_some() {
        true => Redirect::to(&next).into_response(),
        false => shown(&visit, &next, None),
    }
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    next: Option<String>,
}

async fn sign_in(State(console): State<Arc<Console>>, visit: Visit, request: Request) -> Answered {
    let (parts, body) = request.into_parts();
    let address = address_of(&parts);
    let form = Form::<Credentials>::from_request(Request::from_parts(parts, body), &()).await;
    let Ok(Form(credentials)) = form else {
        return Ok(shown(&visit, "/", Some((StatusCode::BAD_REQUEST, WRONG))));
    };
    let next = next_of(credentials.next.as_deref());
    let fail = |status, text| Ok(shown(&visit, next, Some((status, text))));
    let name = credentials.name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || credentials.password.len() > LONGEST_PASSWORD
    {
        return fail(StatusCode::UNAUTHORIZED, WRONG);
    }
    let now = (console.surroundings.steady)();
    if !console.attempts.take(name, address, now) {
        return fail(StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN);
    }
    let signed_in = match console.breaker.sign_in(name, &credentials.password).await {
        Ok(signed_in) => signed_in,
        // That no account can have this name is no other answer than that none has.
        Err(BreakerProblem::SignedOut | BreakerProblem::Refused(400, ..)) => {
            return fail(StatusCode::UNAUTHORIZED, WRONG);
        }
        Err(BreakerProblem::TooMany) => return fail(StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN),
        Err(_) => return fail(StatusCode::SERVICE_UNAVAILABLE, NO_BREAKER),
    };
    // Whoever signs in anew leaves the session that was there.
    if let Some(before) = &visit.session {
        console.sessions.end(before);
    }
    let secrets = console
        .surroundings
        .secret()
        .zip(console.surroundings.secret());
    let (id, csrf) = secrets.ok_or_else(|| Problem::unavailable("there is no randomness"))?;
    let person = session::Person {
        name: name.to_owned(),
        role: signed_in.role,
        token: signed_in.token,
    };
    if console.sessions.begin(&id, csrf, person, now).is_none() {
        return fail(StatusCode::SERVICE_UNAVAILABLE, FULL);
    }
    Ok(with_cookie(&console, &id, None, Redirect::to(next)))
}

/// Ends the person's sessions, here and at the breaker, as the breaker does.
async fn sign_out(State(console): State<Arc<Console>>, person: Person) -> Response {
    console.sessions.end_all_of(person.name());
    // Its session ends by itself at the latest after its time.
    let _ = console.breaker.sign_out(person.token()).await;
    with_cookie(&console, "", Some(0), Redirect::to("/sign-in"))
}

fn with_cookie(
    console: &Console,
    id: &str,
    age: Option<u32>,
    answer: impl IntoResponse,
) -> Response {
    let mut response = answer.into_response();
    let secure = if console.settings.is_secure() {
        "; Secure"
    } else {
        ""
    };
    let age = age
        .map(|age| format!("; Max-Age={age}"))
        .unwrap_or_default();
    let name = console.settings.cookie();
    let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_only_to_a_page_of_this_console() {
        for (next, to) in [
            (
                Some("/findings?verdict=confirmed"),
                "/findings?verdict=confirmed",
            ),
            (Some("//evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("/a\r\nset-cookie: x"), "/"),
            (Some("javascript:alert(1)"), "/"),
            (Some(""), "/"),
            (None, "/"),
        ] {
            assert_eq!(next_of(next), to, "{next:?}");
        }
    }
}
