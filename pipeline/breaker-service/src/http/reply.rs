use axum::body::Bytes;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use centinel_breaker::{Name, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::store::StoreError;
use crate::writer::Failure;

/// What handlers give.
pub type Answered = Result<Response, Problem>;

/// What is answered instead: `{"error": …, "code": …}`.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub text: String,
    /// The account that somebody failed to show to be.
    pub claimed: Option<Name>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, text: impl Into<String>) -> Problem {
        Problem {
            status,
            code,
            text: text.into(),
            claimed: None,
        }
    }

    /// Whether somebody was not let do what they wanted, so that the audit log is to say so. What cannot be read, is
    /// not there or could not be stored was not refused.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.code,
            "unauthenticated" | "forbidden" | "conflict" | "full" | "rate"
        )
    }

    pub fn invalid(text: impl Into<String>) -> Problem {
        Problem::new(400, "invalid", text)
    }

    pub fn unknown(text: impl Into<String>) -> Problem {
        Problem::new(404, "unknown", text)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Refused(refusal) => {
                let (status, code) = match &refusal {
                    Refusal::Unknown(_) => (404, "unknown"),
                    Refusal::Conflict(_) => (409, "conflict"),
                    Refusal::Invalid(_) => (400, "invalid"),
                    Refusal::Forbidden(_) => (403, "forbidden"),
                    Refusal::Full(_) => (507, "full"),
                };
                Problem::new(status, code, refusal.to_string())
            }
            Failure::Unavailable(why) => Problem::new(
                503,
                "unavailable",
                format!("{why}. Send it again with the same request id: it is applied once"),
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::new(503, "unavailable", format!("{error}. Try again"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"error": self.text, "code": self.code}).to_string();
        let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
        if self.is_refusal() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// A JSON answer.
pub fn json_of(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Problem::new(500, "internal", error.to_string()).into_response(),
    }
}

/// Reads a JSON body.
pub fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::invalid(format!(
            "the body is not as /v1/openapi.json describes it: {error}"
        ))
    })
}
