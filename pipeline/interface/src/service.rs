//! The routes, and who may ask them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, body};
use centinel_listen::TlsAcceptor;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::forms::Settle;
use crate::inside::{Inside, Problem};

/// Connections at one time.
const MOST_CONNECTIONS: usize = 256;
/// Records of one answer.
const MOST_RECORDS: usize = 500;
const MOST_BODY: usize = 64 << 10;
/// Answers that read from a disk at one time; whoever asks beyond it comes again.
const MOST_ASKED: usize = 16;
/// How long a request may take to come in, wait, and be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who may ask what is under `/v1`: whoever shows this token. `/metrics`, `/healthz` and `/readyz` are for all who
/// reach the address.
#[derive(Clone)]
pub struct Access(Arc<str>);

impl Access {
    /// By this token, 32 letters at least.
    pub fn by(token: &str) -> Access {
        Access(token.into())
    }

    /// Looks at all letters, whatever the first ones are.
    fn shown(&self, token: &str) -> bool {
        let differs = |(left, right): (u8, u8)| left ^ right;
        token.len() == self.0.len()
            && token
                .bytes()
                .zip(self.0.bytes())
                .map(differs)
                .fold(0, |all, one| all | one)
                == 0
    }
}

/// Serves until `ending` says so. `tls` as [`centinel_listen::acceptor`] gives it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    inside: Arc<dyn Inside>,
    access: Access,
    ending: watch::Receiver<bool>,
) {
    centinel_listen::listen(
        listener,
        tls,
        router(inside, access),
        MOST_CONNECTIONS,
        ending,
    )
    .await;
}

/// All routes.
pub fn router(inside: Arc<dyn Inside>, access: Access) -> Router {
    let asked = Router::new()
        .route(
            "/v1/sources",
            get(|inside| blocking(inside, |inside| Ok(inside.sources()))),
        )
        .route(
            "/v1/rules",
            get(|inside| blocking(inside, |inside| Ok(inside.rules()))),
        )
        .route("/v1/history", get(history))
        .route("/v1/quarantine", get(quarantine))
        .route("/v1/quarantine/{number}/bytes", get(quarantined))
        .route("/v1/quarantine/{number}", post(settle))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(
            Arc::new(Semaphore::new(MOST_ASKED)),
            few_at_once,
        ))
        .layer(middleware::from_fn_with_state(access, only_with_the_token));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(asked)
        .layer(middleware::map_response(guarded))
        .with_state(inside)
}

type Inner = State<Arc<dyn Inside>>;

async fn only_with_the_token(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
    match shown.is_some_and(|token| access.shown(token)) {
        true => next.run(request).await,
        false => refused(
            StatusCode::UNAUTHORIZED,
            "show the token of [interface]: Authorization: Bearer …",
        ),
    }
}

async fn few_at_once(
    State(asked): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_permit) = asked.try_acquire() else {
        let text = "too many questions at once: ask again in a second";
        return refused(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer within 30 seconds: ask again later",
        ),
    }
}

/// No cache keeps an answer, no browser takes it for something else.
async fn guarded(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(Refused { error })).into_response()
}

/// Asks on a thread that may wait for a disk.
async fn blocking<T: Serialize + Send + 'static>(
    State(inside): Inner,
    ask: impl FnOnce(&dyn Inside) -> Result<T, Problem> + Send + 'static,
) -> Response {
    let asked = tokio::task::spawn_blocking(move || ask(inside.as_ref())).await;
    match asked {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(problem)) => {
            let status = match &problem {
                Problem::NotFound(_) => StatusCode::NOT_FOUND,
                Problem::Refused(_) => StatusCode::CONFLICT,
                Problem::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            refused(status, &problem.to_string())
        }
        Err(_) => refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this answer cannot be given; see the log",
        ),
    }
}

#[derive(Deserialize)]
struct Entity {
    entity: String,
    key: String,
}

/// `null` where nothing is known of it. Its key is no part of the path: any text may be one.
async fn history(inside: Inner, Query(Entity { entity, key }): Query<Entity>) -> Response {
    blocking(inside, move |inside| inside.history(&entity, &key)).await
}

#[derive(Deserialize)]
struct Below {
    below: Option<u64>,
    most: Option<usize>,
}

async fn quarantine(inside: Inner, Query(asked): Query<Below>) -> Response {
    let most = asked.most.unwrap_or(MOST_RECORDS).min(MOST_RECORDS);
    blocking(inside, move |inside| inside.quarantine(asked.below, most)).await
}

async fn quarantined(inside: Inner, Path(number): Path<u64>) -> Response {
    blocking(inside, move |inside| inside.quarantined(number)).await
}

async fn settle(inside: Inner, Path(number): Path<u64>, Json(asked): Json<Settle>) -> Response {
    blocking(inside, move |inside| inside.settle(number, &asked)).await
}

async fn health(State(inside): Inner, ready: bool) -> Response {
    let asked = tokio::task::spawn_blocking(move || inside.health()).await;
    let Ok(health) = asked else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let status = match health.alive && (health.ready || !ready) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

async fn healthz(inside: Inner) -> Response {
    health(inside, false).await
}

async fn readyz(inside: Inner) -> Response {
    health(inside, true).await
}

async fn metrics(State(inside): Inner) -> Response {
    let asked = tokio::task::spawn_blocking(move || inside.metrics()).await;
    match asked {
        Ok(text) => {
            let form = [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )];
            (form, body::Body::from(text)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
