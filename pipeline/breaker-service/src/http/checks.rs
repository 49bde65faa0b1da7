use std::sync::{Arc, PoisonError};
use std::time::Instant as Monotonic;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use centinel_breaker::{Answer, Checked, Input, Instant, Refusal, Reply, Request};
use serde_json::Value;

use super::reply::{Problem, json_of, read};
use crate::directory::Caller;
use crate::shared::{Defaulted, Shared};
use crate::writer::{Act, Failure};

/// May this go? What is allowed or held already is answered from memory; what must be held is stored first.
pub async fn check(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response {
    let began = Monotonic::now();
    let request: Request = match read(&body) {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    if let Caller::Key(key) = &caller
        && !key.points.is_empty()
        && !key.points.contains(&request.point)
    {
        let what = format!(
            "this key may not check at {}: ask an admin for one that may",
            request.point
        );
        return Problem::new(403, "forbidden", what).into_response();
    }
    let clock = shared.clock.now();
    remember(&shared, clock, &request);
    let looked = {
        let state = shared.shown();
        let checked = state.check(clock, &request, &shared.policies);
        match checked {
            Checked::Conflict(_) => return conflict(&request),
            checked => state.answer(clock, &request, &checked),
        }
    };
    match looked {
        Some(answer) => answered(&shared, &request, began, &answer),
        None => hold(&shared, &caller, request, began).await,
    }
}

/// For previews.
fn remember(shared: &Shared, clock: Instant, request: &Request) {
    let request = request.clone();
    let mut traffic = shared
        .traffic
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let old = traffic.saw(clock, request);
    drop(traffic);
    drop(old);
}

fn conflict(request: &Request) -> Response {
    let what = format!(
        "another request was held under the request id `{}`: give each request an id of its own",
        request.request_id
    );
    Problem::new(409, "conflict", what).into_response()
}

/// Every answer goes out here.
fn answered(shared: &Shared, request: &Request, began: Monotonic, answer: &Answer) -> Response {
    let took = began.elapsed();
    shared.counts.answered(request.point, answer, took);
    json_of(answer)
}

async fn hold(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request,
    began: Monotonic,
) -> Response {
    let deadline = shared.config.point(request.point).deadline.std();
    let act = Act::Input(Input::Check(request.clone()));
    let done =
        tokio::time::timeout(deadline, shared.act(caller, "check.hold", Value::Null, act)).await;
    match done {
        Ok(Ok(Reply::Checked(checked))) => {
            let answer = shared
                .shown()
                .answer(shared.clock.now(), &request, &checked);
            match answer {
                Some(answer) => answered(shared, &request, began, &answer),
                None => conflict(&request),
            }
        }
        Ok(Ok(_)) => by_default(
            shared,
            &request,
            began,
            "the breaker gave another answer than to a check",
        ),
        Ok(Err(Failure::Refused(Refusal::Full(why)))) => by_default(shared, &request, began, &why),
        Ok(Err(Failure::Refused(refusal))) => {
            Problem::from(Failure::Refused(refusal)).into_response()
        }
        Ok(Err(Failure::Unavailable(_))) => by_default(
            shared,
            &request,
            began,
            "it must be held, and the store fails",
        ),
        Err(_) => by_default(
            shared,
            &request,
            began,
            "it must be held, and was not stored within the deadline",
        ),
    }
}

fn by_default(shared: &Shared, request: &Request, began: Monotonic, why: &str) -> Response {
    let decision = shared.config.point(request.point).on_error;
    shared.defaulted(Defaulted {
        request_id: request.request_id.clone(),
        point: request.point,
        decision,
    });
    let answer = Answer::by_default(request.request_id.clone(), decision, why.to_owned());
    answered(shared, request, began, &answer)
}
