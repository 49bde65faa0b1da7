//! The console: pages for the people who act on findings.
//!
//! It asks the store of findings, a running detection and the circuit breaker; it owns nothing but sessions. What each page shows,
//! who may do what, and what holds against attacks: see `README.md`.

mod assets;
mod attempts;
mod breaker;
mod detection;
mod findings;
mod guard;
mod lanes;
mod language;
mod layout;
mod live;
mod mask;
mod pages;
mod prevented;
mod problem;
mod reports;
mod role;
mod routes;
mod selection;
mod session;
mod shown;
mod surroundings;
mod visit;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use centinel_findings::FindingsError;
use tokio::net::TcpListener;
use tokio::sync::watch;

use attempts::Attempts;
use breaker::Breaker;
use findings::Findings;
use live::Live;
use session::Sessions;

pub use detection::{Asked, Detection, NoDetection, OverHttp};
pub use role::{Needs, Role};
pub use routes::{Route, router, routes};
pub use surroundings::Surroundings;

/// Connections at one time, streams among them.
const MOST_CONNECTIONS: usize = 512;

/// What the console is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store of findings; made where there is none.
    pub findings: PathBuf,
    /// Where the breaker is, such as `http://127.0.0.1:7070`.
    pub breaker: String,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Where people reach the console, where that is not its own address: behind a proxy, such as
    /// `https://console.example.com`.
    pub origin: Option<String>,
    /// Certificate chain and key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Folders of the reports of audits, drills and repairs.
    pub reports: Vec<PathBuf>,
}

impl Settings {
    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether people reach it by TLS alone.
    fn is_secure(&self) -> bool {
        match &self.origin {
            Some(origin) => origin.starts_with("https://"),
            None => self.tls.is_some(),
        }
    }

    /// The session's cookie. With its prefix a browser takes it only from this host, by TLS.
    fn cookie(&self) -> &'static str {
        if self.is_secure() {
            "__Host-centinel"
        } else {
            "centinel"
        }
    }
}

/// Why the console cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The store of findings cannot be used.
    #[error(transparent)]
    Findings(#[from] FindingsError),
    /// Something that it was told cannot be.
    #[error("{0}")]
    Settings(String),
}

/// What every page asks.
pub struct Console {
    settings: Settings,
    surroundings: Surroundings,
    sessions: Sessions,
    attempts: Attempts,
    findings: Findings,
    breaker: Breaker,
    detection: Arc<dyn Detection>,
    live: Live,
    prevented: prevented::Kept,
    ending: watch::Sender<bool>,
    traces: pages::trace::Kept,
}

impl Console {
    /// Opens what it needs.
    ///
    /// # Errors
    /// A store of findings that cannot be used, certificates that cannot be read.
    pub fn new(
        settings: Settings,
        surroundings: Surroundings,
        detection: Arc<dyn Detection>,
    ) -> Result<Arc<Console>, ConsoleError> {
        Ok(Arc::new(Console {
            findings: Findings::open(&settings.findings)?,
            breaker: Breaker::at(&settings.breaker, settings.ca.as_deref())
                .map_err(ConsoleError::Settings)?,
            settings,
            surroundings,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            detection,
            live: Live::default(),
            prevented: prevented::Kept::default(),
            ending: watch::Sender::new(false),
            traces: pages::trace::Kept::default(),
        }))
    }
}

/// Serves until `ending` says so.
///
/// # Errors
/// Certificate or key that cannot be used.
pub async fn serve(
    listener: TcpListener,
    console: Arc<Console>,
    mut ending: watch::Receiver<bool>,
) -> Result<(), ConsoleError> {
    let tls = console.settings.tls.as_ref().map(|(certificate, key)| {
        centinel_listen::acceptor(certificate, key, "[console.tls]").map_err(ConsoleError::Settings)
    });
    let (router, tls) = (router(&console), tls.transpose()?);
    let ended = ending.clone();
    tokio::spawn(async move {
        // Whoever would say so is gone: that is the end as well.
        let _ = ending.wait_for(|ending| *ending).await;
        console.ending.send_replace(true);
    });
    centinel_listen::listen(listener, tls, router, MOST_CONNECTIONS, ended).await;
    Ok(())
}
