//! What detection writes is taken into the store by the console, too, so that it works where nobody else does it.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use centinel_findings::{FindingsError, Store, follow};

use crate::detect::wall_clock;
use crate::exit::Status;
use crate::printer::complain;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// The thread. It ends when this is dropped.
pub struct TakingIn {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TakingIn {
    /// Begins. A store or a file that cannot be used is tried again.
    pub fn begin(store: &Path, file: &Path) -> Result<TakingIn, Status> {
        let (end, ended) = channel();
        let (store, file) = (store.to_owned(), file.to_owned());
        let thread = std::thread::Builder::new()
            .name("take-in".into())
            .spawn(move || until(&ended, &store, &file))
            .map_err(|error| {
                complain(format_args!(
                    "error: no thread for taking findings in: {error}"
                ));
                Status::CouldNotJudge
            })?;
        Ok(TakingIn {
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for TakingIn {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // What it had begun is whole or not there.
            let _ = thread.join();
        }
    }
}

fn until(ended: &Receiver<()>, path: &Path, file: &Path) {
    let (mut store, mut said) = (None, None);
    loop {
        let wait = match take(&mut store, path, file) {
            Ok(()) => {
                said = None;
                LOOK
            }
            // Somebody else took it in just now.
            Err(FindingsError::Changed(_)) => LOOK,
            Err(error) => {
                let problem = error.to_string();
                if said.as_ref() != Some(&problem) {
                    complain(format_args!("warning: {problem}"));
                    said = Some(problem);
                }
                store = None;
                PAUSE
            }
        };
        match ended.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

fn take(store: &mut Option<Store>, path: &Path, file: &Path) -> Result<(), FindingsError> {
    // Before detection ran for the first time there is no file yet.
    if !file.exists() {
        return Ok(());
    }
    let store = match store {
        Some(store) => store,
        None => store.insert(Store::open(path)?),
    };
    follow(store, file, &wall_clock).map(|_| ())
}
