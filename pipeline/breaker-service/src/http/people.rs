//! Accounts, sessions and keys.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use centinel_breaker::{Name, Point};
use centinel_model::Duration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Answered, Problem, json_of};
use super::take::{Body, Call, Person, done};
use crate::config::Span;
use crate::directory::{
    Account, Caller, Key, KeyScope, Role, digest, hash_password, is_password, random,
};
use crate::refused::NOBODY;
use crate::shared::Shared;
use crate::writer::Act;

/// Attempts of one account in a second; more than a person makes, fewer than a guesser wants.
const ATTEMPTS_PER_SECOND: u32 = 1;
/// Attempts of all: each takes a core for some milliseconds, and checks need it more.
const ALL_ATTEMPTS_PER_SECOND: u32 = 10;
const LONGEST_KEY: Duration = Duration::seconds(400 * 86_400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    name: Name,
    password: String,
}

/// Work with passwords, one at a time and away from the threads that answer checks.
async fn with_passwords<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let waited = tokio::time::timeout(
        std::time::Duration::from_secs(5),
        shared.passwords.acquire(),
    )
    .await;
    let Ok(Ok(_permit)) = waited else {
        return Err(Problem::new(
            503,
            "busy",
            "too many people sign in at once: try again soon",
        ));
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(500, "internal", error.to_string()))
}

/// Lets nobody try passwords of an account, or of all, quicker than people do.
fn attempt(shared: &Shared, account: &Name) -> Result<(), Problem> {
    let now = shared.clock.now();
    let all = shared.buckets.take("sign-in", ALL_ATTEMPTS_PER_SECOND, now);
    let one = format!("sign-in {account}");
    if all && shared.buckets.take(&one, ATTEMPTS_PER_SECOND, now) {
        return Ok(());
    }
    Err(Problem::new(
        429,
        "rate",
        "too many attempts: wait a second",
    ))
}

pub async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Body(SignIn { name, password }): Body<SignIn>,
) -> Answered {
    let account = shared.directory.account(name.as_str());
    // What is no account's name may be a password in the wrong place: it is kept nowhere.
    let of = |problem: Problem| Problem {
        claimed: account.as_ref().map(|account| account.name.clone()),
        ..problem
    };
    attempt(&shared, &name).map_err(of)?;
    let known = account.clone();
    let right = with_passwords(&shared, move || is_password(&password, known.as_deref())).await?;
    let Some(account) = account.as_ref().filter(|_| right) else {
        let what = "no such account and password";
        return Err(of(Problem::new(401, "unauthenticated", what)));
    };
    let by = Caller::Person {
        name: name.clone(),
        role: account.role,
    };
    shared
        .act(&by, "session.begin", Value::Null, Act::Note)
        .await?;
    let (now, lasts) = (shared.clock.now(), shared.config.limits.session.0);
    let token = shared.directory.sign_in(name, now, now.plus(lasts));
    let token = token.map_err(|why| Problem::new(503, "busy", why))?;
    Ok(json_of(
        &json!({"token": token, "role": account.role, "expires_in_ms": lasts.0 / 1_000}),
    ))
}

/// Who calls, and what they are now: a role counts at once.
pub async fn session(person: Person) -> Response {
    json_of(&json!({"name": person.name, "role": person.role}))
}

pub async fn sign_out(person: Person) -> Answered {
    let call = &person.call;
    call.shared.directory.sign_out(person.name.as_str());
    call.store("session.end", Value::Null, Act::Note).await?;
    Ok(done())
}

fn view(account: &Account) -> Value {
    json!({"name": account.name, "role": account.role, "disabled": account.disabled})
}

pub async fn accounts(State(shared): State<Arc<Shared>>) -> Response {
    let accounts: Vec<Value> = shared
        .directory
        .accounts()
        .iter()
        .map(|account| view(account))
        .collect();
    json_of(&json!({"accounts": accounts}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    name: Name,
    role: Role,
    password: String,
}

pub async fn create_account(call: Call, Body(wanted): Body<NewAccount>) -> Answered {
    let NewAccount {
        name,
        role,
        password,
    } = wanted;
    let shared = &call.shared;
    if shared.directory.account(name.as_str()).is_some()
        || [centinel_breaker::ITSELF, NOBODY].contains(&name.as_str())
    {
        return Err(Problem::new(
            409,
            "conflict",
            format!("there is an account {name} already: a name stands for one person"),
        ));
    }
    let password = with_passwords(shared, move || hash_password(&password))
        .await?
        .map_err(Problem::invalid)?;
    let account = Account {
        name,
        role,
        password,
        disabled: false,
    };
    let view = view(&account);
    let act = Act::Account(account);
    call.store("account.create", view.clone(), act).await?;
    Ok(json_of(&view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    role: Option<Role>,
    password: Option<String>,
    disabled: Option<bool>,
}

pub async fn change_account(
    call: Call,
    Path(name): Path<String>,
    Body(change): Body<AccountChange>,
) -> Answered {
    let shared = &call.shared;
    let known = shared.directory.account(&name);
    let known = known.ok_or_else(|| Problem::unknown("there is no such account"))?;
    let mut account = Account::clone(&known);
    account.role = change.role.unwrap_or(account.role);
    account.disabled = change.disabled.unwrap_or(account.disabled);
    let other = |other: &Account| {
        other.role == Role::Admin && !other.disabled && other.name != account.name
    };
    let is_admin = account.role == Role::Admin && !account.disabled;
    if known.role == Role::Admin
        && !is_admin
        && !shared
            .directory
            .accounts()
            .iter()
            .any(|account| other(account))
    {
        return Err(Problem::new(
            409,
            "conflict",
            "this is the last admin: make another one first",
        ));
    }
    let new_password = change.password.is_some();
    if let Some(password) = change.password {
        let hash = with_passwords(shared, move || hash_password(&password)).await?;
        account.password = hash.map_err(Problem::invalid)?;
    }
    let mut about = view(&account);
    about["new_password"] = new_password.into();
    let act = Act::Account(account.clone());
    call.store("account.change", about, act).await?;
    if new_password || account.disabled {
        shared.directory.sign_out(account.name.as_str());
    }
    Ok(json_of(&view(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    old: String,
    new: String,
}

/// A person changes their own password.
pub async fn change_password(
    Person { call, name, .. }: Person,
    Body(NewPassword { old, new }): Body<NewPassword>,
) -> Answered {
    let shared = &call.shared;
    attempt(shared, &name)?;
    let known = shared.directory.account(name.as_str());
    let known = known.ok_or_else(|| Problem::unknown("there is no such account"))?;
    let work = {
        let known = known.clone();
        move || is_password(&old, Some(&known)).then(|| hash_password(&new))
    };
    let Some(password) = with_passwords(shared, work).await? else {
        return Err(Problem::new(
            401,
            "unauthenticated",
            "that is not the old password",
        ));
    };
    let password = password.map_err(Problem::invalid)?;
    let account = Account {
        password,
        ..Account::clone(&known)
    };
    let act = Act::Account(account);
    call.store("account.password", Value::Null, act).await?;
    shared.directory.sign_out(name.as_str());
    Ok(done())
}

fn view_key(key: &Key, now: centinel_breaker::Instant) -> Value {
    json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "points": key.points,
        "revoked": key.revoked, "expires_in_ms": key.expires.since(now).0 / 1_000,
        "requests_per_second": key.requests_per_second,
    })
}

pub async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    let now = shared.clock.now();
    let keys: Vec<Value> = shared
        .directory
        .keys()
        .iter()
        .map(|key| view_key(key, now))
        .collect();
    json_of(&json!({"keys": keys}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    name: Name,
    scopes: Vec<KeyScope>,
    #[serde(default)]
    points: Vec<Point>,
    lasts: Span,
    #[serde(default = "usual_rate")]
    requests_per_second: u32,
}

fn usual_rate() -> u32 {
    100_000
}

/// Makes a key. Its token is told here and never again. To rotate, make the next one, put it in place, revoke the last.
pub async fn create_key(call: Call, Body(wanted): Body<NewKey>) -> Answered {
    if wanted.scopes.is_empty() || wanted.lasts.0 == Duration::ZERO || wanted.lasts.0 > LONGEST_KEY
    {
        return Err(Problem::invalid(
            "a key has at least one scope, and lasts at most 400d: make its successor before it expires",
        ));
    }
    let failed = |why: &str| Problem::new(503, "unavailable", why);
    let (id, secret) = (random(9).map_err(failed)?, random(32).map_err(failed)?);
    let now = call.shared.clock.now();
    let key = Key {
        id: id.clone(),
        name: wanted.name,
        scopes: wanted.scopes,
        points: wanted.points,
        hash: digest(&secret),
        expires: now.plus(wanted.lasts.0),
        revoked: false,
        requests_per_second: wanted.requests_per_second,
    };
    let mut view = view_key(&key, now);
    let act = Act::Key(key);
    call.store("key.create", view.clone(), act).await?;
    view["token"] = format!("cbk.{id}.{secret}").into();
    Ok(json_of(&view))
}

pub async fn revoke_key(call: Call, Path(id): Path<String>) -> Answered {
    let shared = &call.shared;
    let known = shared
        .directory
        .key(&id)
        .ok_or_else(|| Problem::unknown("there is no such key"))?;
    let key = Key {
        revoked: true,
        ..Key::clone(&known)
    };
    let view = view_key(&key, shared.clock.now());
    let act = Act::Key(key);
    call.store("key.revoke", view.clone(), act).await?;
    Ok(json_of(&view))
}
