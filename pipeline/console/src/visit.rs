//! Who asks, and how they want to be answered.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use cookie::Cookie;
use maud::{Markup, html};

use crate::language::{Language, Text};
use crate::mask;
use crate::problem::Problem;
use crate::role::{Needs, Role};
use crate::session::Session;
use crate::{Console, layout};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the machine is.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    /// As in `?theme=`, in the cookie and in `data-theme`.
    pub fn word(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The one with this word.
    pub fn of_word(word: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.word() == word)
    }
}

/// A request, as far as every page needs it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// In which language.
    pub language: Language,
    /// Light or dark.
    pub theme: Theme,
    /// Path of the page, with the query behind it as it was written.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Who is signed in.
    pub session: Option<Arc<Session>>,
}

/// The value of a cookie.
pub fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE);
    let texts = all.iter().filter_map(|value| value.to_str().ok());
    texts
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

impl Visit {
    /// What a request says, without its session.
    pub fn of(parts: &Parts) -> Visit {
        let query = parts.uri.query().unwrap_or_default();
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let asked = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let kept = |name: &str| asked(name).or_else(|| cookie_of(&parts.headers, name));
        let accepted = parts.headers.get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| Language::accepted(value.to_str().ok()?));
        Visit {
            language: kept("lang")
                .and_then(|word| Language::of_word(&word))
                .or(accepted)
                .unwrap_or_default(),
            theme: kept("theme")
                .and_then(|word| Theme::of_word(&word))
                .unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            query,
            session: None,
        }
    }

    /// A text in the visit's language.
    pub fn say(&self, text: Text) -> &'static str {
        text.of(self.language)
    }

    /// This page's address with one value of its query put in, or left out.
    pub fn with(&self, name: &str, value: Option<&str>) -> String {
        let others = self.query.iter().filter(|(key, _)| key != name);
        let others = others.map(|(key, value)| (key.as_str(), value.as_str()));
        address(&self.path, others.chain(value.map(|value| (name, value))))
    }
}

/// A path and a query, encoded.
pub fn address<'a>(path: &str, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
    }
}

/// One part of a path, encoded so that it stays one.
pub fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric()
            || b"-_~".contains(&byte)
            || (byte == b'.' && !text.starts_with('.'))
        {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Somebody who is signed in and may be where they are: every page but signing in takes one.
#[derive(Clone, Debug)]
pub struct Person {
    /// How they want to be answered.
    pub visit: Visit,
    /// Their session.
    pub session: Arc<Session>,
    /// What they are, for the whole of this request.
    pub role: Role,
}

impl Person {
    /// A text in the person's language.
    pub fn say(&self, text: Text) -> &'static str {
        self.visit.say(text)
    }

    /// Their account.
    pub fn name(&self) -> &str {
        &self.session.name
    }

    /// The breaker's token for them.
    pub fn token(&self) -> &str {
        &self.session.token
    }

    /// Whether they may do what needs this.
    pub fn may(&self, needs: Needs) -> bool {
        needs.allow(self.role)
    }

    /// An identifier or a name, as they may see it.
    pub fn masked<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match self.may(Needs::Plain) {
            true => mask::visible(value),
            false => shown(mask::masked(value)),
        }
    }

    /// A value of a column, as they may see it.
    pub fn masked_column<'a>(&self, column: &str, value: &'a str) -> Cow<'a, str> {
        match self.may(Needs::Plain) {
            true => mask::visible(value),
            false => shown(mask::masked_column(column, value).into_owned()),
        }
    }

    /// What somebody wrote, as they may see it.
    pub fn masked_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.may(Needs::Plain) {
            true => mask::visible(text),
            false => shown(mask::masked_text(text)),
        }
    }

    /// What every form must bear.
    pub fn csrf(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.session.csrf); }
    }

    /// A whole page. `title` is its heading, which `body` does not have.
    pub fn page(&self, title: &str, body: &Markup) -> Response {
        layout::page(&self.visit, title, body)
    }
}

fn shown(masked: String) -> Cow<'static, str> {
    Cow::Owned(mask::visible(&masked).into_owned())
}

/// What the guard let in.
impl FromRequestParts<Arc<Console>> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Console>) -> Result<Person, Problem> {
        let person = parts.extensions.get::<Person>().cloned();
        person.ok_or(Problem::SignedOut)
    }
}

impl FromRequestParts<Arc<Console>> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Console>) -> Result<Visit, Problem> {
        let known = parts.extensions.get::<Visit>().cloned();
        Ok(known.unwrap_or_else(|| Visit::of(parts)))
    }
}
