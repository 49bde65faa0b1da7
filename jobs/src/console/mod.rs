//! `centinel console`: the pages for people, as a process of its own or inside another job.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use centinel_console::{Console, Detection, NoDetection, OverHttp, Settings, Surroundings, serve};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::breaker::runtime;
use crate::check::refuse;
use crate::config::{Config, ConsoleConfig, Problem};
use crate::detect::{stop_when_asked, wall_clock};
use crate::exit::Status;
use crate::in_force::InForce;
use crate::printer::complain;
use crate::taking_in::TakingIn;

/// How often it is looked whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// The command line of `centinel console`.
#[derive(Args, Debug)]
pub struct ConsoleArguments {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Serves until interrupted.
pub fn run(arguments: &ConsoleArguments) -> ExitCode {
    match serve_until_asked(arguments) {
        Ok(status) | Err(status) => status.into(),
    }
}

fn serve_until_asked(arguments: &ConsoleArguments) -> Result<Status, Status> {
    let config = Config::load(&arguments.config).map_err(|problems| refuse(&problems))?;
    let plan = Plan::of(&config)?;
    let stop = stop_when_asked()?;
    let inside = Inside::start(plan)?;
    complain(format_args!("the console listens on {}", inside.url()));
    while !stop.load(Ordering::Relaxed) {
        if inside.has_ended() {
            return Err(Status::CouldNotJudge);
        }
        std::thread::sleep(LOOK);
    }
    Ok(Status::Clean)
}

/// Everything that a console needs to start.
pub struct Plan {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it is told.
    pub settings: Settings,
    /// The detection that it asks.
    pub detection: Arc<dyn Detection>,
    /// The file that detection writes, which is taken into the store as well. That is safe whoever else does it.
    pub findings: Option<PathBuf>,
}

impl Plan {
    /// As a configuration says.
    ///
    /// # Errors
    /// What is not there or cannot be read; it was told.
    pub fn of(config: &Config) -> Result<Plan, Status> {
        let wrong = |problem: String, remedy: &str| {
            refuse(&[Problem::new(&config.file, 0, problem, remedy)])
        };
        let console = config.console.as_ref().ok_or_else(|| {
            wrong(
                "there is no [console]".into(),
                "add one, as jobs/README.md shows",
            )
        })?;
        let store = config.findings_store.clone().ok_or_else(|| {
            wrong(
                "[console] shows the store of findings, and none is named".into(),
                "add `store = \"findings.db\"` to [findings]",
            )
        })?;
        Ok(Plan {
            listen: console.listen,
            settings: Settings {
                findings: store,
                breaker: console.breaker.clone(),
                ca: console.ca.clone(),
                origin: console.origin.clone(),
                tls: console.tls.clone(),
                reports: reports(config, console),
            },
            detection: detection(console)?,
            findings: config.findings.clone(),
        })
    }
}

/// The folders of reports that are named, and those of the audits and drills of the same file.
fn reports(config: &Config, console: &ConsoleConfig) -> Vec<PathBuf> {
    let audits = config.audits.iter().map(|audit| &audit.reports);
    let drills = config.drills.iter().map(|drill| &drill.reports);
    let mut folders = console.reports.clone();
    for folder in audits.chain(drills) {
        if !folders.contains(folder) {
            folders.push(folder.clone());
        }
    }
    folders
}

fn detection(console: &ConsoleConfig) -> Result<Arc<dyn Detection>, Status> {
    let Some((url, token, ca)) = &console.interface else {
        return Ok(Arc::new(NoDetection));
    };
    let failed = |problem: String| {
        complain(format_args!("error: detection's interface: {problem}"));
        Status::WrongUsage
    };
    let token = token.read().map_err(|problem| refuse(&[problem]))?;
    let ca = match ca {
        Some(path) => Some(
            std::fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())))?,
        ),
        None => None,
    };
    OverHttp::at(url, token.reveal(), ca).map_err(failed)
}

/// A console inside another job. It ends when this is dropped.
pub struct Inside {
    url: String,
    end: watch::Sender<bool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _taking_in: Option<TakingIn>,
}

impl Inside {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// Why it cannot start; it was told.
    pub fn start(plan: Plan) -> Result<Inside, Status> {
        let runtime = runtime()?;
        let taking_in = plan
            .findings
            .as_ref()
            .map(|file| TakingIn::begin(&plan.settings.findings, file, InForce::default()));
        let taking_in = taking_in.transpose().map_err(|error| {
            complain(format_args!("error: no thread beside the console: {error}"));
            Status::CouldNotJudge
        })?;
        let scheme = if plan.settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let (end, ending) = watch::channel(false);
        let (told, listening) = channel::<Result<SocketAddr, String>>();
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let served = async {
                let surroundings = Surroundings::of_the_machine(wall_clock);
                let console = Console::new(plan.settings, surroundings, plan.detection);
                let console = console.map_err(|error| error.to_string())?;
                let taken = |error: std::io::Error| {
                    format!(
                        "{}: {error}: choose a free `listen` address for [console]",
                        plan.listen
                    )
                };
                let listener = TcpListener::bind(plan.listen).await.map_err(taken)?;
                let address = listener.local_addr().map_err(taken)?;
                // Who waited may be gone; then it ends soon.
                let _ = told.send(Ok(address));
                serve(listener, console, ending)
                    .await
                    .map_err(|error| error.to_string())
            };
            if let Err(problem) = runtime.block_on(served)
                && let Err(unheard) = told.send(Err(problem))
                && let Err(problem) = unheard.0
            {
                complain(format_args!("error: the console has ended: {problem}"));
            }
            over.store(true, Ordering::Relaxed);
        });
        let mut inside = Inside {
            url: String::new(),
            end,
            ended,
            thread: Some(thread),
            _taking_in: taking_in,
        };
        match listening.recv() {
            Ok(Ok(address)) => {
                inside.url = format!("{scheme}://{address}");
                Ok(inside)
            }
            Ok(Err(problem)) => {
                complain(format_args!("error: {problem}"));
                Err(Status::CouldNotJudge)
            }
            Err(_) => {
                complain("error: the console's thread has ended");
                Err(Status::CouldNotJudge)
            }
        }
    }

    /// Where people find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It has said itself why it failed.
            let _ = thread.join();
        }
    }
}
