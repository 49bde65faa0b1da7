//! The breaker serves: by itself, or inside another job.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use centinel_breaker_service::{Config as Service, ServeError, serve_and_tell};
use tokio::runtime::{Builder, Runtime};

use super::failed;
use crate::config::BreakerConfig;
use crate::detect::stop_when_asked;
use crate::exit::Status;
use crate::printer::complain;

/// How often it is looked whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Serves until interrupted; what was accepted is stored by then.
pub fn serve(config: BreakerConfig) -> Result<Status, Status> {
    let held = config.holds_suspected();
    if !held.is_empty() {
        complain(format_args!(
            "note: {} holds what is suspected: detection says that only with `suspicions = true` in [breaker_report]",
            held.join(", ")
        ));
    }
    let stop = stop_when_asked()?;
    let (store, encrypted) = (
        config.service.store.display().to_string(),
        config.service.tls.is_some(),
    );
    let listening = |address: SocketAddr| {
        let scheme = if encrypted { "https" } else { "http" };
        complain(format_args!(
            "the breaker listens on {scheme}://{address}, its store is {store}"
        ));
    };
    let served = serve_and_tell(config.service, listening, asked(stop));
    runtime()?
        .block_on(served)
        .map(|()| Status::Clean)
        .map_err(|error| failed(&error))
}

async fn asked(stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Threads for a breaker's connections.
pub fn runtime() -> Result<Runtime, Status> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| {
        complain(format_args!("error: no threads for the breaker: {error}"));
        Status::CouldNotJudge
    })
}

/// A breaker inside another job. It ends, and has stored everything, when this is dropped.
pub struct Inside {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// Starts it, and waits until it listens.
    pub fn start(service: Service) -> Result<Inside, Status> {
        let runtime = runtime()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (told, listening) = channel::<Result<SocketAddr, ServeError>>();
        let ends = asked(Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let tell = told.clone();
            let served = serve_and_tell(
                service,
                move |address| {
                    // Who waited may be gone; then it ends soon.
                    let _ = tell.send(Ok(address));
                },
                ends,
            );
            if let Err(error) = runtime.block_on(served)
                && let Err(unheard) = told.send(Err(error))
                && let Err(error) = unheard.0
            {
                complain(format_args!("error: the breaker has ended: {error}"));
            }
        });
        let mut inside = Inside {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            stop,
            thread: Some(thread),
        };
        match listening.recv() {
            Ok(Ok(address)) => {
                inside.address = address;
                Ok(inside)
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                complain("error: the breaker's thread has ended");
                Err(Status::CouldNotJudge)
            }
        }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has said itself why it failed.
            let _ = thread.join();
        }
    }
}
