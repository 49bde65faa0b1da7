//! What handlers take from a request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::response::Response;
use centinel_breaker::{Input, Name, Reply};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::reply::{Answered, Problem, json_of, read};
use crate::directory::{Caller, Role};
use crate::shared::Shared;
use crate::writer::Act;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Body<T>, Problem> {
        let bytes = Bytes::from_request(request, shared).await;
        let wrong = |wrong: axum::extract::rejection::BytesRejection| {
            Problem::new(wrong.status().as_u16(), "invalid", wrong.body_text())
        };
        read(&bytes.map_err(wrong)?).map(Body)
    }
}

/// An id in the path.
pub struct Id<T>(pub T);

impl<T: TryFrom<String, Error = &'static str>> FromRequestParts<Arc<Shared>> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Id<T>, Problem> {
        let path = Path::<String>::from_request_parts(parts, shared).await;
        let Path(text) = path.map_err(|wrong| Problem::unknown(wrong.body_text()))?;
        T::try_from(text).map(Id).map_err(Problem::unknown)
    }
}

/// Whoever was let in, and the service.
pub struct Call {
    pub shared: Arc<Shared>,
    pub caller: Caller,
}

impl FromRequestParts<Arc<Shared>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Call, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::new(500, "internal", "nobody was let in"))?;
        let shared = shared.clone();
        Ok(Call { shared, caller })
    }
}

impl Call {
    /// Does something, and waits until it is stored.
    pub async fn store(&self, name: &'static str, about: Value, act: Act) -> Result<(), Problem> {
        self.shared.act(&self.caller, name, about, act).await?;
        Ok(())
    }

    /// The same for an input of the core; answers with what it is about as it stands then.
    pub async fn act(&self, name: &'static str, about: Value, input: Input) -> Answered {
        let reply = self
            .shared
            .act(&self.caller, name, about, Act::Input(input));
        Ok(match reply.await? {
            Reply::Trip(trip) => json_of(&*trip),
            Reply::Release(release) => json_of(&*release),
            Reply::Reported(trip) => json_of(&json!({"trip": trip.as_deref()})),
            Reply::Checked(_) | Reply::Done | Reply::More => done(),
        })
    }
}

/// The answer where there is nothing to say.
pub fn done() -> Response {
    json_of(&json!({}))
}

/// A person who was let in.
pub struct Person {
    pub call: Call,
    pub name: Name,
    pub role: Role,
}

impl FromRequestParts<Arc<Shared>> for Person {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Person, Problem> {
        let call = Call::from_request_parts(parts, shared).await?;
        match &call.caller {
            Caller::Person { name, role } => Ok(Person {
                name: name.clone(),
                role: *role,
                call,
            }),
            Caller::Key(_) => Err(Problem::new(
                403,
                "forbidden",
                "only a person may do that: sign in",
            )),
        }
    }
}
