//! What an error of an object store means. A store answers with whatever it likes, the id of a key among it:
//! of its answers only the status and the code are told.

use std::error::Error;
use std::io;

use object_store::client::HttpError;

/// Why a store does not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such bucket.
    NoBucket,
    /// It does not know who asks, or does not let them.
    Refused,
    /// Nobody answers.
    Unreachable,
    /// The file system does not let it.
    Folder,
    /// What it says for itself.
    Other,
}

const REFUSALS: [&str; 2] = ["401", "403"];
const MOST_CHARACTERS: usize = 200;

/// The kind of an error, and what to tell of it.
pub(super) fn understand(error: &object_store::Error) -> (Obstacle, String) {
    let mut causes: Vec<&(dyn Error + 'static)> = Vec::new();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(known) = cause {
        causes.push(known);
        cause = known.source();
    }
    let last = causes.last().map_or_else(String::new, ToString::to_string);
    if causes.iter().any(|cause| cause.is::<HttpError>()) {
        return (Obstacle::Unreachable, last);
    }
    if causes.iter().any(|cause| cause.is::<io::Error>()) {
        return (Obstacle::Folder, last);
    }
    answered(&error.to_string())
}

/// What a store answered, by the text of its error.
fn answered(text: &str) -> (Obstacle, String) {
    let code = between(text, "<Code>", "</Code>");
    let Some(status) = between(text, "status code: ", ":") else {
        let plain = text.split('<').next().unwrap_or_default();
        let plain: String = plain.chars().take(MOST_CHARACTERS).collect();
        let told = code.map_or(plain, str::to_owned);
        return (Obstacle::Other, told);
    };
    let obstacle = match code {
        Some("NoSuchBucket") => Obstacle::NoBucket,
        _ if REFUSALS.iter().any(|refusal| status.starts_with(refusal)) => Obstacle::Refused,
        _ if status.starts_with("404") => Obstacle::NoBucket,
        _ => Obstacle::Other,
    };
    let told = match code {
        Some(code) => format!("the server answers {status} ({code})"),
        None => format!("the server answers {status}"),
    };
    (obstacle, told)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_only_status_and_code_are_told() {
        let text = "Generic S3 error: Error performing GET http://h/b in 1ms - Server returned non-2xx status code: \
                    403 Forbidden: <?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code>\
                    <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>";
        let told = "the server answers 403 Forbidden (InvalidAccessKeyId)";
        assert_eq!(answered(text), (Obstacle::Refused, told.to_owned()));
        let (obstacle, told) = answered("status code: 404 Not Found: nothing");
        assert_eq!(obstacle, Obstacle::NoBucket);
        assert_eq!(told, "the server answers 404 Not Found");
        let (obstacle, told) =
            answered("Server returned error response: <Error>AKIASECRET</Error>");
        assert_eq!(obstacle, Obstacle::Other);
        assert!(!told.contains("AKIASECRET"), "{told}");
    }
}
