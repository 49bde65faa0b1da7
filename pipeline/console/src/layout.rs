//! What stands around every page.

use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::language::{Language, Text, text};
use crate::live;
use crate::mask;
use crate::visit::{Theme, Visit};

/// Where the pages are: address and name.
const NAVIGATION: &[(&str, Text)] = &[
    ("/", text("Overview", "总览")),
    ("/findings", text("Findings", "异常")),
    ("/trace", text("Trace", "轨迹")),
    ("/breaker", text("Breaker", "熔断")),
    ("/rules", text("Rules", "规则")),
    ("/audits", text("Audits", "审计")),
    ("/sources", text("Sources", "来源")),
    ("/quarantine", text("Quarantine", "隔离")),
    ("/log", text("Who did what", "操作记录")),
];

/// Nothing that htmx would write into the page, evaluate or keep: the policy forbids it, and pages show what is secret.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true,"allowScriptTags":false}"#;

fn head(visit: &Visit, title: &str, more: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content=(match visit.theme { Theme::System => "light dark", theme => theme.word() });
            meta name="htmx-config" content=(HTMX);
            (more)
            title { (title) " · Centinel" }
            link rel="icon" href=(assets::path("icon.svg"));
            link rel="stylesheet" href=(assets::path("uplot.min.css"));
            link rel="stylesheet" href=(assets::path("console.css"));
            link rel="stylesheet" href=(assets::path("desk.css"));
            @for script in ["htmx.min.js", "htmx-sse.min.js", "uplot.min.js", "console.js", "desk.js"] {
                script src=(assets::path(script)) defer {}
            }
        }
    }
}

/// Markup as an answer, in which nothing steers a display, wherever it came from.
pub fn fragment(markup: Markup) -> Response {
    let text = markup.into_string();
    Html(mask::visible(&text).into_owned()).into_response()
}

/// A whole page. `title` becomes its heading.
pub fn page(visit: &Visit, title: &str, body: &Markup) -> Response {
    let signed_in = visit.session.as_ref();
    // Streams tell pages what has changed.
    let stream = signed_in.map(|_| "/live");
    let markup = html! {
        (DOCTYPE)
        html lang=(visit.language.tag()) data-theme=(visit.theme.word()) {
            (head(visit, title, &html! {}))
            body hx-ext=[stream.map(|_| "sse")] sse-connect=[stream] sse-close=[stream.map(|_| live::ENDED)] {
                a.skip href="#content" { (visit.say(text("Skip to content", "跳到正文"))) }
                header.top {
                    a.brand href="/" { img src=(assets::path("icon.svg")) alt="" width="24" height="24"; "Centinel" }
                    @if signed_in.is_some() { (navigation(visit)) }
                    (choices(visit))
                }
                main #content tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    fragment(markup)
}

fn navigation(visit: &Visit) -> Markup {
    let is_here = |path: &str| match path {
        "/" => visit.path == "/",
        path => visit.path == path || visit.path.starts_with(&format!("{path}/")),
    };
    html! {
        nav aria-label=(visit.say(text("Main", "主导航"))) {
            ul {
                @for (path, name) in NAVIGATION {
                    li { a href=(path) aria-current=[is_here(path).then_some("page")] { (visit.say(*name)) } }
                }
            }
        }
    }
}

/// Language, theme, and signing out.
fn choices(visit: &Visit) -> Markup {
    let theme_name = |theme| match theme {
        Theme::System => text("Auto", "自动"),
        Theme::Light => text("Light", "浅色"),
        Theme::Dark => text("Dark", "深色"),
    };
    html! {
        div.choices {
            ul aria-label=(visit.say(text("Language", "语言"))) {
                @for language in Language::ALL {
                    li { a href=(visit.with("lang", Some(language.word()))) lang=(language.tag())
                        aria-current=[(language == visit.language).then_some("true")] { (language.name()) } }
                }
            }
            ul aria-label=(visit.say(text("Colours", "配色"))) {
                @for theme in Theme::ALL {
                    li { a href=(visit.with("theme", Some(theme.word())))
                        aria-current=[(theme == visit.theme).then_some("true")] { (visit.say(theme_name(theme))) } }
                }
            }
            @if let Some(session) = &visit.session {
                form.sign-out method="post" action="/sign-out" {
                    input type="hidden" name="csrf" value=(session.csrf);
                    span.who { (session.name) " " small { (session.role().as_str()) } }
                    button.quiet type="submit" { (visit.say(text("Sign out", "退出"))) }
                }
            }
        }
    }
}

/// A page that leads on to the same address, now from here: so the session's cookie comes along.
pub fn onward(visit: &Visit, to: &str) -> Response {
    let refresh = html! { meta http-equiv="refresh" content={ "0; url=" (to) }; };
    let markup = html! {
        (DOCTYPE)
        html lang=(visit.language.tag()) data-theme=(visit.theme.word()) {
            (head(visit, "…", &refresh))
            body { main { p { a href=(to) { (visit.say(text("Go on", "继续"))) } } } }
        }
    };
    fragment(markup)
}
