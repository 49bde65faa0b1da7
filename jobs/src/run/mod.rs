//! `centinel run`: detection over a simulated payment platform that lives while one looks on.

mod breaker;
mod display;
mod platform;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use centinel_engine::detect::{DetectorLimits, InputFile, RunOptions, Until};
use centinel_model::Duration;
use centinel_outlet::LineFile;
use clap::Args;
use data_fixtures::Delivered;

use crate::audit::wanted;
use crate::beside::Beside;
use crate::check::refuse;
use crate::config::Config;
use crate::console;
use crate::detect::{limits, runnable, stop_when_asked, synthetic_orders, wall_clock};
use crate::detection::Detection;
use crate::exit::Status;
use crate::folders::Folders;
use crate::plan;
use crate::printer::complain;
use crate::reload::Watched;
use crate::self_check::BuiltIn;
use breaker::Demonstration;
use display::Display;
use platform::Platform;

/// Where the simulated platform and what was found are kept.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    folders: Folders,
    /// Folder of the simulated platform's log, the state and the findings
    #[arg(long, value_name = "DIR", default_value = ".centinel/demo")]
    folder: PathBuf,
    /// End by itself after so long; by default when interrupted, or after a day
    #[arg(long = "for", value_name = "TIME", value_parser = Duration::parse, default_value = "24h")]
    duration: Duration,
}

/// Runs until interrupted.
pub fn run(arguments: &RunArguments) -> ExitCode {
    match arguments.run() {
        Ok(()) => Status::Clean.into(),
        Err(status) => status.into(),
    }
}

impl RunArguments {
    fn run(&self) -> Result<(), Status> {
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |error: std::io::Error| {
                complain(format_args!(
                    "error: {what}: {error}; remove the folder to begin anew"
                ));
                Status::CouldNotJudge
            }
        };
        let platform = Platform::open(&self.folder, wall_clock()).map_err(failed(&self.folder))?;
        let sources = &Folders::catalog_of(&self.folders.schemas)?.sources;
        let file = settings::write(&self.folder, &self.folders, sources);
        let file = file.map_err(failed(&self.folder))?;
        let config = Config::load(&file).map_err(|problems| refuse(&problems))?;
        let built_in = BuiltIn::of(Some(&config), &config.state);
        let watched = Watched::begin(&self.folders, &[], None).with(built_in);
        let (catalog, rules) = self.folders.load_with(built_in)?;
        let rules = runnable(wanted(&rules.rules, &[]), false)?;
        let synthetic = synthetic_orders(&config.state)?;
        let archive = plan::archive(&config).map_err(|problem| refuse(&[problem]))?;
        let log = platform.log().to_owned();
        let findings = self.folder.join("findings.jsonl");
        let mut display = Display::new(&rules, platform.orders_per_second());
        display.begin(&log, &findings, platform.began());
        display.recall(&findings).map_err(failed(&findings))?;
        let detection = Detection {
            catalog,
            rules,
            rules_may_retire: true,
            forget: false,
            suspicions: false,
            cache_bytes: DetectorLimits::default().cache_bytes,
            state: config.state.clone(),
            options: RunOptions {
                inputs: vec![
                    InputFile {
                        name: "log.jsonl".into(),
                        path: log,
                        sources: Vec::new(),
                    }
                    .into(),
                    synthetic.input().into(),
                ],
                until: Until::Stopped,
                limits: limits(),
                silent_after: Duration::seconds(60),
                archive,
                bootstrap: None,
                quiet_after: None,
                backlog: Default::default(),
            },
            reload: Some(watched),
            in_force: Default::default(),
            quarantine: Default::default(),
        };
        let stop = stop_when_asked()?;
        let mut outlet = LineFile::open(&findings).map_err(failed(&findings))?;
        let service = config.breaker.as_ref().map(|breaker| &breaker.service);
        let service = service.ok_or(Status::WrongUsage)?;
        let (breaker, checks) = Demonstration::start(service, &config.state, &findings)?;
        display.breaker(&breaker.url(), &breaker.tally);
        let mut beside = Beside::begin(Some(&config), &detection, Some(&findings))?;
        beside.check_itself(synthetic, Some(&config), Some(&findings), true)?;
        let console = console::Inside::start(console::Plan {
            // They are taken in beside detection.
            findings: None,
            ..console::Plan::of(&config)?
        })?;
        display.console(console.url(), &breaker.people, &file);
        let ends = wall_clock().plus(self.duration);
        let result = std::thread::scope(|scope| {
            let live = scope.spawn(|| {
                let checks = checks;
                let ask = |delivered: &Delivered| checks.before(delivered);
                let lived = platform.live(&stop, &wall_clock, ends, &ask);
                stop.store(true, Ordering::Relaxed);
                lived
            });
            let detected = detection.run(&mut outlet, &stop, &mut |detector, messages| {
                breaker.reporting().observe(detector);
                beside.observe(detector, messages);
                display.show(detector, messages, wall_clock())
            });
            stop.store(true, Ordering::Relaxed);
            beside.ended(detected.as_ref().err());
            let lived = live
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("the simulated platform died")));
            detected.map_err(|error| {
                complain(format_args!("error: {error}"));
                Status::CouldNotJudge
            })?;
            lived.map_err(failed(&self.folder))
        });
        display.end();
        drop(console);
        beside.end();
        breaker.end();
        result
    }
}
