//! What is shown instead of a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use centinel_findings::FindingsError;

use crate::breaker::BreakerProblem;
use crate::language::{Text, text};

/// What handlers give.
pub type Answered = Result<Response, Problem>;

/// Why there is no page. The guard makes one of it, in the person's language.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The person is not signed in any more.
    SignedOut,
    /// A page that says what is wrong.
    Page {
        /// Its status.
        status: StatusCode,
        /// Its heading.
        title: Text,
        /// What is wrong and what to do, as whoever refused it said it.
        why: String,
    },
}

impl Problem {
    /// With this status.
    pub fn new(status: StatusCode, title: Text, why: impl Into<String>) -> Problem {
        Problem::Page {
            status,
            title,
            why: why.into(),
        }
    }

    /// What was asked for is not there.
    pub fn unknown(why: impl Into<String>) -> Problem {
        let title = text("There is no such page", "没有这个页面");
        Problem::new(StatusCode::NOT_FOUND, title, why)
    }

    /// What was asked cannot be done as it was asked.
    pub fn refused(why: impl Into<String>) -> Problem {
        let title = text("This cannot be done", "无法执行");
        Problem::new(StatusCode::BAD_REQUEST, title, why)
    }

    /// The person may not.
    pub fn forbidden(why: impl Into<String>) -> Problem {
        let title = text("You may not do this", "您没有此权限");
        Problem::new(StatusCode::FORBIDDEN, title, why)
    }

    /// Somebody else was quicker.
    pub fn changed(why: impl Into<String>) -> Problem {
        let title = text("Something has changed meanwhile", "内容已发生变化");
        Problem::new(StatusCode::CONFLICT, title, why)
    }

    /// It cannot be done now.
    pub fn unavailable(why: impl Into<String>) -> Problem {
        let title = text("This cannot be answered now", "暂时无法回答");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, title, why)
    }
}

impl From<FindingsError> for Problem {
    fn from(error: FindingsError) -> Problem {
        let why = error.to_string();
        match error {
            FindingsError::Refused { .. } => Problem::refused(why),
            FindingsError::Changed(_) => Problem::changed(why),
            _ => Problem::unavailable(why),
        }
    }
}

impl From<BreakerProblem> for Problem {
    fn from(problem: BreakerProblem) -> Problem {
        let why = problem.to_string();
        match problem {
            BreakerProblem::SignedOut => Problem::SignedOut,
            BreakerProblem::Unreachable(_) | BreakerProblem::TooMany => Problem::unavailable(why),
            BreakerProblem::Refused(403, ..) => Problem::forbidden(why),
            BreakerProblem::Refused(404, ..) => Problem::unknown(why),
            BreakerProblem::Refused(409, ..) => Problem::changed(why),
            BreakerProblem::Refused(500.., ..) => Problem::unavailable(why),
            BreakerProblem::Refused(..) => Problem::refused(why),
        }
    }
}

impl From<centinel_interface::Problem> for Problem {
    fn from(problem: centinel_interface::Problem) -> Problem {
        use centinel_interface::Problem as Asked;
        match problem {
            Asked::NotFound(why) => Problem::unknown(why),
            Asked::Refused(why) => Problem::refused(why),
            Asked::Unavailable(why) => Problem::unavailable(why),
        }
    }
}

/// Carried to the guard, which knows who asks.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match &self {
            Problem::SignedOut => StatusCode::UNAUTHORIZED,
            Problem::Page { status, .. } => *status,
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
