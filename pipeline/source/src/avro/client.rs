//! Requests to a schema registry.

use std::collections::HashSet;
use std::error::Error as _;
use std::time::Duration;

use centinel_catalog::read_file;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::options::RegistryOptions;
use super::registry::Known;
use super::schema::Schema;

/// The media type of Confluent's registry, and what others say.
const MEDIA: &str = "application/vnd.schemaregistry.v1+json, application/json";
/// A longer answer is no schema of a table.
const MAX_ANSWER: usize = 4 << 20;
/// Schemas that one may be put together from.
const MAX_REFERENCES: usize = 64;
/// The most that is read of a file of certificates: all well-known authorities are a tenth of it.
const MAX_CA_BYTES: u64 = 4 << 20;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no schema.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The registry does not answer as one; waiting may mend it.
    Away(Complaint),
    /// It does not know what was asked for.
    Missing(String),
}

/// What is wrong with the registry, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

/// The registry, within one runtime.
pub(super) struct Registrar {
    client: Client,
    url: Url,
    options: RegistryOptions,
}

#[derive(Deserialize)]
struct Registered {
    schema: String,
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct Mistake {
    error_code: u64,
}

impl Registrar {
    pub(super) fn new(options: &RegistryOptions) -> Result<Registrar, Complaint> {
        let refuse = |what: String, remedy| Complaint { what, remedy };
        let url = Url::parse(&options.url).ok();
        let url = url.filter(|url| url.has_host() && ["http", "https"].contains(&url.scheme()));
        let url = url.ok_or_else(|| {
            refuse(
                "its address is none".into(),
                "write `registry` as \"https://host:port\"",
            )
        })?;
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(options.request)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent("centinel");
        if let Some(ca) = &options.ca {
            let remedy = "name a PEM file of certificates as `registry_ca`";
            let unread = |why: String| refuse(format!("{}: {why}", ca.display()), remedy);
            let pem = read_file(ca, MAX_CA_BYTES).map_err(|error| unread(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem);
            let certificates = certificates.map_err(|_| unread("is not in PEM form".into()))?;
            if certificates.is_empty() {
                return Err(unread("holds no certificate".into()));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(|error| {
            let remedy = "see whether this machine has certificates of the well-known authorities";
            refuse(reason(&error), remedy)
        })?;
        Ok(Registrar {
            client,
            url,
            options: options.clone(),
        })
    }

    /// The schema with this id, with all that it refers to.
    pub(super) async fn schema(&self, id: u32) -> Result<Known, Trouble> {
        let main: Registered = self.get(&["schemas", "ids", &id.to_string()]).await?;
        self.assemble(main).await
    }

    /// The newest schema of a subject.
    pub(super) async fn newest(&self, subject: &str) -> Result<Known, Trouble> {
        let main: Registered = self
            .get(&["subjects", subject, "versions", "latest"])
            .await?;
        self.assemble(main).await
    }

    /// Whether the registry answers and lets this account in.
    pub(super) async fn try_out(&self) -> Result<(), Complaint> {
        let answer = self
            .ask(&["subjects"])
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refusal(status, location(&answer).as_deref()));
        }
        // There may be very many subjects; that there is a list is enough.
        match self.body(answer, 1).await?.trim_ascii_start().first() {
            Some(b'[') => Ok(()),
            _ => Err(self.stranger()),
        }
    }

    async fn assemble(&self, main: Registered) -> Result<Known, Trouble> {
        let (mut texts, mut seen) = (Vec::new(), HashSet::new());
        let mut open = vec![main];
        // What a schema refers to stands before it; what refers to itself finds that missing.
        while let Some(last) = open.last_mut() {
            if let Some(kind) = last.kind.as_deref().filter(|kind| *kind != "AVRO") {
                let kind = ["JSON", "PROTOBUF"]
                    .into_iter()
                    .find(|known| *known == kind);
                let kind = kind.unwrap_or("something else");
                return Ok(Known::Unusable(format!("it is {kind}, not Avro")));
            }
            match last.references.as_mut().and_then(Vec::pop) {
                Some(Reference { subject, version }) => {
                    if !seen.insert((subject.clone(), version)) {
                        continue;
                    }
                    if seen.len() > MAX_REFERENCES {
                        let why = format!("it refers to more than {MAX_REFERENCES} others");
                        return Ok(Known::Unusable(why));
                    }
                    let path = ["subjects", &subject, "versions", &version.to_string()];
                    open.push(self.get(&path).await?);
                }
                None => texts.extend(open.pop().map(|whole| whole.schema)),
            }
        }
        Ok(match Schema::read(&texts) {
            Ok(schema) => Known::Schema(Box::new(schema)),
            Err(why) => Known::Unusable(why),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Trouble> {
        let answer = self.ask(path).await;
        let answer = answer.map_err(|error| Trouble::Away(self.unreachable(&error)))?;
        let status = answer.status();
        let location = location(&answer);
        let body = self.body(answer, MAX_ANSWER).await.map_err(Trouble::Away)?;
        if body.len() >= MAX_ANSWER {
            return Err(Trouble::Missing("it is larger than 4 MiB".into()));
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| Trouble::Away(self.stranger()));
        }
        // A registry numbers what it misses; a 404 of a wrong path has no such number.
        let mistake = serde_json::from_slice::<Mistake>(&body).ok();
        let missing = mistake.is_some_and(|mistake| (40_400..40_500).contains(&mistake.error_code));
        if status == StatusCode::NOT_FOUND && missing {
            let what = match path {
                ["schemas", ..] => "the registry does not know it".to_owned(),
                _ => "the registry does not have what it refers to".to_owned(),
            };
            return Err(Trouble::Missing(what));
        }
        Err(Trouble::Away(self.refusal(status, location.as_deref())))
    }

    async fn ask(&self, path: &[&str]) -> Result<Response, reqwest::Error> {
        let mut url = self.url.clone();
        // An address with a host can be a base.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.client.get(url).header(ACCEPT, MEDIA);
        let request = match &self.options.account {
            Some((account, password)) => request.basic_auth(account, Some(password.reveal())),
            None => request,
        };
        request.send().await
    }

    /// The answer's body, at most so many bytes and what came with them.
    async fn body(&self, mut answer: Response, most: usize) -> Result<Vec<u8>, Complaint> {
        let mut body = Vec::new();
        while body.len() < most {
            match answer.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
        Ok(body)
    }

    fn says(&self, what: &str, remedy: &'static str) -> Complaint {
        Complaint {
            what: format!("the schema registry {} {what}", self.options.url),
            remedy,
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Complaint {
        self.says(
            &format!("does not answer: {}", reason(error)),
            "see whether `registry` is right, it runs, and this machine reaches it",
        )
    }

    fn stranger(&self) -> Complaint {
        self.says(
            "answers with something else than a registry does",
            "see whether `registry` is right; a registry behind a path needs it in the address",
        )
    }

    fn refusal(&self, status: StatusCode, location: Option<&str>) -> Complaint {
        match (status, location, &self.options.account) {
            (StatusCode::UNAUTHORIZED, _, None) => self.says(
                "wants an account",
                "add `registry_user` and `registry_password` to the topic",
            ),
            (StatusCode::UNAUTHORIZED, _, Some(_)) => self.says(
                "does not take the account",
                "correct `registry_user` or `registry_password`",
            ),
            (StatusCode::FORBIDDEN, ..) => self.says(
                "does not let the account read",
                "grant the account to read subjects and schemas",
            ),
            (status, Some(location), _) if status.is_redirection() => self.says(
                &format!("sends elsewhere, to {location}"),
                "write that address as `registry`",
            ),
            (StatusCode::NOT_FOUND, ..) => self.stranger(),
            _ => self.says(
                &format!("answers with status {}", status.as_u16()),
                "see what it says in its own log",
            ),
        }
    }
}

fn location(answer: &Response) -> Option<String> {
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    Some(location.to_owned())
}

/// The innermost cause: those around it only say that a request failed.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".into();
    }
    let mut cause = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    text.unwrap_or_else(|| "the request failed".into())
}
