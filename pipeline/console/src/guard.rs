//! What stands before every page: who asks, whether they may, and that it was they who asked.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use centinel_listen::Peer;
use maud::html;

use crate::Console;
use crate::breaker::BreakerProblem;
use crate::language::text;
use crate::layout;
use crate::problem::Problem;
use crate::role::Needs;
use crate::routes::Route;
use crate::session::Session;
use crate::visit::{Person, Visit, address, cookie_of};

/// The largest form, in bytes.
pub const MOST_BODY: usize = 64 << 10;
/// How long a page may take; a stream or an export goes on afterwards.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the breaker's word on a person is good.
const CONFIRMED_FOR: Duration = Duration::from_secs(15);
const YEAR: u32 = 365 * 24 * 60 * 60;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Ends what takes too long.
pub async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

/// What every answer bears.
pub async fn heads(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: a form's `Origin` would be `null` by that.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        // A report is shown under a stricter policy of its own.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if console.settings.is_secure() {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    // What is shown may be seen by nobody later. Only assets say otherwise.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// There is no such route.
pub async fn nowhere(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visit = Visit::of(&parts);
    let why = text("This address leads nowhere.", "此地址不存在。");
    shown(&visit, &Problem::unknown(visit.say(why)))
}

/// The address of whoever asks, as the connection has it. What proxies say of it is not believed.
pub fn address_of(request: &axum::http::request::Parts) -> IpAddr {
    let peer = request.extensions.get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

/// Lets through who may.
pub async fn guard(
    State((console, route)): State<(Arc<Console>, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut visit = Visit::of(&parts);
    let now = (console.surroundings.steady)();
    visit.session = cookie_of(&parts.headers, console.settings.cookie())
        .and_then(|id| console.sessions.find(&id, now, !route.by_itself));
    let mut response = match admitted(&console, route, &mut visit, &parts.headers, body).await {
        Ok(body) => {
            if let Some(session) = visit.session.clone() {
                let role = session.role();
                let visit = visit.clone();
                parts.extensions.insert(Person {
                    visit,
                    session,
                    role,
                });
            }
            parts.extensions.insert(visit.clone());
            next.run(Request::from_parts(parts.clone(), body)).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let (Problem::SignedOut, Some(session)) = (&problem, &visit.session) {
            console.sessions.end(session);
            visit.session = None;
        }
        response = match problem {
            Problem::SignedOut => signed_out(&visit, &parts.method, &parts.headers),
            problem => shown(&visit, &problem),
        };
    }
    remember(&console, &visit, &mut response);
    response
}

/// Whether this request may go on, and its body.
async fn admitted(
    console: &Console,
    route: &Route,
    visit: &mut Visit,
    headers: &HeaderMap,
    body: Body,
) -> Result<Body, Problem> {
    let acts = route.method != "GET";
    if acts {
        is_from_here(console, headers)?;
    }
    if route.needs == Needs::Nothing {
        return Ok(body);
    }
    let session = visit.session.clone().ok_or(Problem::SignedOut)?;
    let body = match acts {
        true => checked(visit, &session, body).await?,
        false => body,
    };
    confirm(console, &session, acts).await?;
    match route.needs.allow(session.role()) {
        true => Ok(body),
        false => {
            let why = text(
                "Your role may not do this. Ask somebody who may, or an admin for another role.",
                "您的角色无权执行此操作。请联系有权限的同事，或请管理员调整角色。",
            );
            Err(Problem::forbidden(visit.say(why)))
        }
    }
}

/// A form's body, if it bears the session's token.
async fn checked(visit: &Visit, session: &Session, body: Body) -> Result<Body, Problem> {
    let bytes = axum::body::to_bytes(body, MOST_BODY).await.map_err(|_| {
        let title = text("This is too long", "内容过长");
        let why = text("Write less.", "请缩短内容。");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, title, visit.say(why))
    })?;
    let mut shown = url::form_urlencoded::parse(&bytes).filter(|(name, _)| name == "csrf");
    let fits = shown
        .next()
        .is_some_and(|(_, token)| is_same(&token, &session.csrf));
    match fits && shown.next().is_none() {
        true => Ok(Body::from(bytes)),
        false => Err(not_from_here(
            "this form is not of your session: open the page again and send it from there",
        )),
    }
}

/// Looks at all letters, whatever the first ones are.
fn is_same(left: &str, right: &str) -> bool {
    let differ = left
        .bytes()
        .zip(right.bytes())
        .fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && differ == 0
}

fn not_from_here(why: &str) -> Problem {
    let title = text("This was not sent from here", "请求来源不符");
    Problem::new(StatusCode::FORBIDDEN, title, why)
}

/// Whether a page of this console sends this: every browser says from where a form comes.
fn is_from_here(console: &Console, headers: &HeaderMap) -> Result<(), Problem> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = value("sec-fetch-site").map(|site| site == "same-origin");
    let origin = value("origin").map(|origin| match &console.settings.origin {
        Some(known) => origin == known,
        None => value("host")
            .is_some_and(|host| origin == format!("{}://{host}", console.settings.scheme())),
    });
    match (site, origin) {
        (Some(false), _) | (_, Some(false)) | (None, None) => Err(not_from_here(
            "another page sent this form: open the console and send it from there",
        )),
        _ => Ok(()),
    }
}

/// Asks the breaker now and then whether the person is still who they were. Without its word nobody acts.
async fn confirm(console: &Console, session: &Session, acts: bool) -> Result<(), Problem> {
    let now = (console.surroundings.steady)();
    if now.saturating_sub(session.confirmed()) < CONFIRMED_FOR {
        return Ok(());
    }
    match console.breaker.role(&session.token).await {
        Ok(role) => {
            session.confirm(role, now);
            Ok(())
        }
        Err(BreakerProblem::SignedOut) => Err(Problem::SignedOut),
        Err(_) if !acts => Ok(()),
        Err(problem) => Err(Problem::unavailable(format!(
            "whether you may do this only the breaker knows: {problem}. Nothing was done; try again"
        ))),
    }
}

/// To the page for signing in, and back afterwards.
fn signed_out(visit: &Visit, method: &Method, headers: &HeaderMap) -> Response {
    let query = visit
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let here = address(&visit.path, query);
    let says = |name: &str, what: &str| headers.get(name).is_some_and(|value| value == what);
    // The cookie does not come along from another site, such as an alert's link; from here it does.
    if method == Method::GET
        && says("sec-fetch-site", "cross-site")
        && says("sec-fetch-mode", "navigate")
    {
        return layout::onward(visit, &here);
    }
    let to = match method == Method::GET {
        true => address("/sign-in", [("next", here.as_str())]),
        false => "/sign-in".to_owned(),
    };
    if headers.contains_key("hx-request") {
        // Within a page only the whole page can go there.
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", "/sign-in")]).into_response();
    }
    Redirect::to(&to).into_response()
}

fn shown(visit: &Visit, problem: &Problem) -> Response {
    let Problem::Page { status, title, why } = problem else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let body = html! {
        p.problem role="alert" { (why) }
        p { a href="/" { (visit.say(text("To the overview", "返回总览"))) } }
    };
    let mut response = layout::page(visit, visit.say(*title), &body);
    *response.status_mut() = *status;
    response
}

/// Keeps what was chosen by `?lang=` and `?theme=`.
fn remember(console: &Console, visit: &Visit, response: &mut Response) {
    let secure = if console.settings.is_secure() {
        "; Secure"
    } else {
        ""
    };
    for (name, word) in [
        ("lang", visit.language.word()),
        ("theme", visit.theme.word()),
    ] {
        if visit
            .query
            .iter()
            .any(|(key, value)| key == name && value == word)
        {
            let cookie =
                format!("{name}={word}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_only_as_a_whole() {
        assert!(is_same("abc", "abc"));
        for other in ["", "ab", "abd", "abcd", "xbc"] {
            assert!(!is_same(other, "abc") && !is_same("abc", other));
        }
    }
}
