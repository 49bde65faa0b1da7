//! Detection's interface (`[interface]`): whoever shows the token may look into a running detection, and settle what could
//! not be read. Detection waits for none of it: it leaves its facts here after each commit, and its state is read by the
//! store's own read transactions.
//!
//! | file | answers |
//! |---|---|
//! | `facts` | sources, rules, histories: what detection left here after its last commit |
//! | `../observing` | whether it does what it is there for, and figures for Prometheus |
//! | `quarantine` | records that could not be read |

mod facts;
mod quarantine;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use centinel_engine::detect::Detector;
use centinel_interface::{
    Access, Client, Health, Inside, Options, Problem, QuarantinedBytes, QuarantinedRecord,
    RuleStatus, Settle, SourceStatus, acceptor, serve,
};
use centinel_outlet::Message;
use centinel_trace::History;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::config::InterfaceConfig;
use crate::detection::Detection;
use crate::exit::Status;
use crate::observing::Observing;
use crate::printer::complain;

use facts::Facts;

/// A shorter token could be guessed.
pub const SHORTEST_TOKEN: usize = 32;
/// Certificates are some kilobytes.
const MAX_PEM_BYTES: u64 = 1 << 20;
/// Threads of its own; answers that wait for a disk have others.
const THREADS: usize = 2;

/// How it is served.
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may ask.
    pub token: String,
    /// Files of a certificate chain and its key, PEM.
    pub tls: Option<(std::path::PathBuf, std::path::PathBuf)>,
}

/// The interface beside a run. It ends with [`Interface::end`].
pub struct Interface {
    looking: Arc<Looking>,
    ending: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// All that is known to those who ask.
struct Looking {
    facts: Facts,
    observing: Arc<Observing>,
    quarantine: quarantine::Known,
}

impl Settings {
    /// As configured.
    ///
    /// # Errors
    /// A token that cannot be read or is too short, in a sentence.
    pub fn of(config: &InterfaceConfig) -> Result<Settings, String> {
        let tls = config.tls.as_ref();
        Ok(Settings {
            listen: config.listen,
            token: token(config)?,
            tls: tls.map(|tls| (tls.certificate.clone(), tls.key.clone())),
        })
    }
}

/// The token, which is long enough.
fn token(config: &InterfaceConfig) -> Result<String, String> {
    let token = config.token.read().map_err(|problem| problem.to_string())?;
    match token.reveal().chars().count() >= SHORTEST_TOKEN {
        true => Ok(token.reveal().to_owned()),
        false => Err(format!(
            "the token of [interface] has fewer than {SHORTEST_TOKEN} letters: make one with `openssl rand -hex 32`"
        )),
    }
}

/// Who asks the detection that this configuration describes.
///
/// # Errors
/// A token or certificates that cannot be read, in a sentence.
pub fn client(config: &InterfaceConfig, deadline: Duration) -> Result<Client, String> {
    let ca = config.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    let ca = ca.map(|path| {
        centinel_catalog::read_file(path, MAX_PEM_BYTES)
            .map_err(|error| format!("{}: {error}", path.display()))
    });
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    // A certificate is for a name; on this machine it is the usual one.
    let host = match config.listen.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let client = Client::new(Options {
        url: format!("{scheme}://{host}:{}", config.listen.port()),
        token: token(config)?,
        deadline,
        ca: ca.transpose()?,
    });
    client.map_err(|error| error.to_string())
}

impl Interface {
    /// Begins to listen. `findings` is the file that detection writes.
    ///
    /// # Errors
    /// When it cannot; the reason was told.
    pub fn begin(
        settings: Settings,
        detection: &Detection,
        findings: Option<&Path>,
    ) -> Result<Interface, Status> {
        let refuse = |status: Status, what: &dyn std::fmt::Display| {
            complain(format_args!("error: [interface]: {what}"));
            status
        };
        let tls = settings.tls.as_ref().map(|(certificate, key)| {
            acceptor(certificate, key, "[interface.tls]")
                .map_err(|problem| refuse(Status::WrongUsage, &problem))
        });
        let tls = tls.transpose()?;
        let listener = TcpListener::bind(settings.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let what = format!(
                "it cannot listen on {}: {error}; see whether another detection runs there, or change `listen`",
                settings.listen
            );
            refuse(Status::CouldNotJudge, &what)
        })?;
        let failed = |error: std::io::Error| refuse(Status::CouldNotJudge, &error);
        let address = listener.local_addr().map_err(failed)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("interface")
            .enable_all()
            .build()
            .map_err(failed)?;
        let looking = Arc::new(Looking {
            facts: Facts::new(&detection.options.inputs),
            observing: Observing::begin(detection, findings),
            quarantine: quarantine::Known::new(detection),
        });
        let (ending, ended) = watch::channel(false);
        let inside: Arc<dyn Inside> = Arc::<Looking>::clone(&looking);
        let access = Access::by(&settings.token);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let thread = std::thread::Builder::new()
            .name("interface".into())
            .spawn(move || {
                let served = async {
                    match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => serve(listener, tls, inside, access, ended).await,
                        Err(error) => complain(format_args!("error: [interface]: {error}")),
                    }
                };
                runtime.block_on(served);
                // An answer that still waits for a disk keeps nobody.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        complain(format_args!(
            "detection's interface listens on {scheme}://{address}"
        ));
        Ok(Interface {
            looking,
            ending,
            thread,
        })
    }

    /// What is shown of the run.
    pub fn observing(&self) -> &Arc<Observing> {
        &self.looking.observing
    }

    /// To be called after each commit, with what it told.
    pub fn observe(&self, detector: &Detector, messages: &[Message]) {
        self.looking.facts.observe(detector);
        self.looking.observing.observe(detector, messages);
    }

    /// Ends it, and what it waits for, within seconds.
    pub fn end(self) {
        let _ = self.ending.send(true);
        if self.thread.join().is_err() {
            complain("error: the thread of detection's interface has failed");
        }
    }
}

impl Inside for Looking {
    fn health(&self) -> Health {
        self.observing.health()
    }

    fn metrics(&self) -> String {
        self.observing.metrics()
    }

    fn sources(&self) -> Vec<SourceStatus> {
        self.facts.sources()
    }

    fn rules(&self) -> Vec<RuleStatus> {
        self.facts.rules()
    }

    fn history(&self, entity: &str, key: &str) -> Result<Option<History>, Problem> {
        self.facts.history(entity, key)
    }

    fn quarantine(
        &self,
        below: Option<u64>,
        most: usize,
    ) -> Result<Vec<QuarantinedRecord>, Problem> {
        self.quarantine.list(below, most)
    }

    fn quarantined(&self, number: u64) -> Result<QuarantinedBytes, Problem> {
        self.quarantine.bytes(number)
    }

    fn settle(&self, number: u64, settle: &Settle) -> Result<QuarantinedRecord, Problem> {
        self.quarantine.settle(number, settle)
    }
}
