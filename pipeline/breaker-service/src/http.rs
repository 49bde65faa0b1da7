//! The HTTP interface: one table of routes, and what each of them needs.

mod acts;
mod checks;
mod looks;
mod people;
mod reply;
mod stream;
mod take;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use centinel_breaker::Name;
use tokio::sync::SemaphorePermit;

use crate::directory::{Caller, KeyScope, Role};
use crate::refused::Refused;
use crate::shared::Shared;
use reply::Problem;

/// The description that is served.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// What a route needs: a key of this scope, or a person whose role includes this one. Neither: anyone may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// A key.
    pub key: Option<KeyScope>,
    /// A person.
    pub role: Option<Role>,
}

impl Needs {
    const ANYONE: Needs = Needs {
        key: None,
        role: None,
    };

    const fn key(scope: KeyScope) -> Needs {
        Needs {
            key: Some(scope),
            role: None,
        }
    }

    const fn role(role: Role) -> Needs {
        Needs {
            key: None,
            role: Some(role),
        }
    }

    const fn or(self, role: Role) -> Needs {
        Needs {
            role: Some(role),
            ..self
        }
    }

    fn allow(self, caller: &Caller) -> bool {
        match caller {
            Caller::Key(key) => self.key.is_some_and(|scope| key.scopes.contains(&scope)),
            Caller::Person { role, .. } => self.role.is_some_and(|needed| role.includes(needed)),
        }
    }
}

/// One route.
pub struct Route {
    /// `GET`, …
    pub method: &'static str,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub needs: Needs,
    handler: fn() -> MethodRouter<Arc<Shared>>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    handler: fn() -> MethodRouter<Arc<Shared>>,
) -> Route {
    Route {
        method,
        path,
        needs,
        handler,
    }
}

const VIEWER: Needs = Needs::role(Role::Viewer);
const OPERATOR: Needs = Needs::role(Role::Operator);
const APPROVER: Needs = Needs::role(Role::Approver);
const ADMIN: Needs = Needs::role(Role::Admin);
const TOLD: Needs = Needs::key(KeyScope::Dispositions).or(Role::Viewer);

/// Every route there is.
pub const ROUTES: &[Route] = &[
    route("GET", "/v1/health", Needs::ANYONE, || get(looks::health)),
    route("GET", "/v1/openapi.json", Needs::ANYONE, || {
        get(looks::openapi)
    }),
    route("GET", "/metrics", Needs::ANYONE, || get(looks::metrics)),
    route("POST", "/v1/sessions", Needs::ANYONE, || {
        post(people::sign_in)
    }),
    route("GET", "/v1/sessions", VIEWER, || get(people::session)),
    route("DELETE", "/v1/sessions", VIEWER, || {
        delete(people::sign_out)
    }),
    route("POST", "/v1/checks", Needs::key(KeyScope::Check), || {
        post(checks::check)
    }),
    route("GET", "/v1/dispositions", TOLD, || get(looks::dispositions)),
    route("GET", "/v1/changes", Needs::key(KeyScope::Changes), || {
        get(stream::changes)
    }),
    route(
        "POST",
        "/v1/findings",
        Needs::key(KeyScope::Findings),
        || post(acts::report),
    ),
    route(
        "POST",
        "/v1/progress",
        Needs::key(KeyScope::Findings),
        || post(acts::progress),
    ),
    route("GET", "/v1/findings", VIEWER, || get(looks::findings)),
    route("POST", "/v1/trips/preview", VIEWER, || post(acts::preview)),
    route("POST", "/v1/trips", OPERATOR, || post(acts::set)),
    route("GET", "/v1/trips", VIEWER, || get(looks::trips)),
    route("GET", "/v1/trips/{id}", VIEWER, || get(looks::trip)),
    route("POST", "/v1/trips/{id}/confirm", APPROVER, || {
        post(acts::confirm_trip)
    }),
    route("POST", "/v1/trips/{id}/decline", APPROVER, || {
        post(acts::decline_trip)
    }),
    route("GET", "/v1/holds", VIEWER, || get(looks::holds)),
    route("GET", "/v1/holds/{request_id}", VIEWER, || get(looks::hold)),
    route("POST", "/v1/releases", OPERATOR, || post(acts::release)),
    route("GET", "/v1/releases", VIEWER, || get(looks::releases)),
    route("GET", "/v1/releases/{id}", VIEWER, || get(looks::release)),
    route("POST", "/v1/releases/{id}/confirm", APPROVER, || {
        post(acts::confirm_release)
    }),
    route("POST", "/v1/releases/{id}/decline", APPROVER, || {
        post(acts::decline_release)
    }),
    route("GET", "/v1/audit", VIEWER, || get(looks::audit)),
    route("GET", "/v1/status", VIEWER, || get(looks::status)),
    route("GET", "/v1/accounts", ADMIN, || get(people::accounts)),
    route("POST", "/v1/accounts", ADMIN, || {
        post(people::create_account)
    }),
    route("PATCH", "/v1/accounts/{name}", ADMIN, || {
        patch(people::change_account)
    }),
    route("POST", "/v1/password", VIEWER, || {
        post(people::change_password)
    }),
    route("GET", "/v1/keys", ADMIN, || get(people::keys)),
    route("POST", "/v1/keys", ADMIN, || post(people::create_key)),
    route("DELETE", "/v1/keys/{id}", ADMIN, || {
        delete(people::revoke_key)
    }),
];

/// The whole interface.
pub fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = (route.handler)().layer(from_fn_with_state((shared.clone(), route), guard));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(|| async { Problem::unknown("there is no such path: see /v1/openapi.json") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                405,
                "method",
                "this path has no such method: see /v1/openapi.json",
            )
        })
        .layer(DefaultBodyLimit::max(shared.config.limits.body_bytes))
        .with_state(shared.clone())
}

/// Lets through who may, and not too many. What is refused, here or behind it, is counted for the audit log.
async fn guard(
    State((shared, route)): State<(Arc<Shared>, &'static Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    // Where anyone may, a token shows nothing and is not looked at.
    let caller = match route.needs {
        Needs::ANYONE => Err(None),
        _ => caller_of(&shared, &request),
    };
    let response = match admit(&shared, route.needs, caller.as_ref().ok()) {
        Ok(_permit) => {
            if let Ok(caller) = &caller {
                request.extensions_mut().insert(caller.clone());
            }
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions().get::<Problem>() {
        let (by, claimed) = match &caller {
            Ok(caller) => (Some(caller.name()), None),
            Err(claimed) => (
                None,
                problem
                    .claimed
                    .as_ref()
                    .map(Name::to_string)
                    .or_else(|| claimed.clone()),
            ),
        };
        shared.refused(Refused {
            by,
            claimed,
            route: &format!("{} {}", route.method, route.path),
            code: problem.code,
            why: &problem.text,
        });
    }
    response
}

/// Who calls; else whose name the token has, if there is one of that name.
fn caller_of(shared: &Shared, request: &Request) -> Result<Caller, Option<String>> {
    let token = request.headers().get(AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or(None)?;
    let caller = shared.directory.caller(token, shared.clock.now());
    caller.map_err(|_| shared.directory.claimed(token))
}

fn admit<'a>(
    shared: &'a Shared,
    needs: Needs,
    caller: Option<&Caller>,
) -> Result<SemaphorePermit<'a>, Problem> {
    let permit = shared.at_once.try_acquire();
    let busy = |_| Problem::new(503, "busy", "too many requests at once: try again soon");
    let permit = permit.map_err(busy)?;
    if needs == Needs::ANYONE {
        return Ok(permit);
    }
    let Some(caller) = caller else {
        let what =
            "no valid key or session: send `Authorization: Bearer …`; keys and sessions expire";
        return Err(Problem::new(401, "unauthenticated", what));
    };
    if !needs.allow(caller) {
        let what = "this key or role may not do that: ask an admin for one that may";
        return Err(Problem::new(403, "forbidden", what));
    }
    let (id, rate) = match caller {
        Caller::Key(key) => (key.id.as_str(), key.requests_per_second),
        Caller::Person { name, .. } => (
            name.as_str(),
            shared.config.limits.person_requests_per_second,
        ),
    };
    if !shared.buckets.take(id, rate, shared.clock.now()) {
        let what = "more requests in a second than this key or account may make: slow down";
        return Err(Problem::new(429, "rate", what));
    }
    Ok(permit)
}
