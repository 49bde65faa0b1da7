//! A real HTTP server on this machine, whose answers a test decides.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use serde_json::Value;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Decoded.
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Before the answer begins.
    pub delay: Duration,
    /// Between the bytes of the body.
    pub between: Duration,
}

pub fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
        delay: Duration::ZERO,
        between: Duration::ZERO,
    }
}

/// It ends with the test's runtime.
pub struct Server {
    pub url: String,
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers by `decide`, given what was asked and how often before.
    pub async fn start(
        decide: impl Fn(&Asked, usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (decide, seen) = (decide.clone(), seen.clone());
            async move { respond(request, decide, seen).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server {
            url: format!("http://127.0.0.1:{port}"),
            port,
            asked,
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The one request that there was.
    pub fn one(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

async fn respond(
    request: Request,
    decide: impl Fn(&Asked, usize) -> Answer,
    seen: Arc<Mutex<Vec<Asked>>>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: decoded(parts.uri.query().unwrap_or_default()),
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let answer = {
        let mut seen = seen.lock().unwrap();
        let answer = decide(&asked, seen.len());
        seen.push(asked);
        answer
    };
    tokio::time::sleep(answer.delay).await;
    let body = match answer.between.is_zero() {
        true => Body::from(answer.body),
        false => {
            let bytes: Vec<u8> = answer.body.into_bytes();
            let drops = futures::stream::iter(bytes).then(move |byte| async move {
                tokio::time::sleep(answer.between).await;
                Ok::<Bytes, Infallible>(Bytes::from(vec![byte]))
            });
            Body::from_stream(drops)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    for (name, value) in answer.headers {
        let value = HeaderValue::from_str(&value).unwrap();
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}

fn decoded(query: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://h/?{query}")).unwrap();
    url.query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
