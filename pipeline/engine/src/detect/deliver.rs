//! Commits become durable, and then what they say is told.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use centinel_outlet::{Message, Outlet};
use centinel_state::{Commit, Store};

use super::run::Step;
use super::stages::Stopwatch;
use crate::EngineError;

/// What the last delivery reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub sequence: u64,
    pub length: u64,
    pub messages: Vec<Message>,
    pub spent: Duration,
}

/// The fact that holds how far an outlet was written.
pub(super) fn fact_of(outlet: &str) -> String {
    format!("outlet {outlet}")
}

/// Cuts the outlet back to what state knows of, and tells what was committed and perhaps not told.
pub(super) fn redeliver(store: &dyn Store, outlet: &mut dyn Outlet) -> Result<Told, EngineError> {
    let failed = |error: std::io::Error| EngineError::Outlet(error.to_string());
    let fact = match outlet.name().map(|name| store.fact(&fact_of(name))) {
        Some(fact) => fact?,
        None => None,
    };
    let length = fact.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    outlet.resume(length).map_err(failed)?;
    let messages = store.undelivered()?;
    let length = outlet.deliver(&messages).map_err(failed)?;
    let sequence = messages.last().map_or(0, |(sequence, _)| *sequence);
    Ok(Told {
        sequence,
        length,
        messages,
        spent: Duration::ZERO,
    })
}

/// Makes commits durable and tells their messages, one after the other, until no more come.
pub(super) fn commit_all(
    store: &dyn Store,
    outlet: &mut dyn Outlet,
    commits: &Receiver<Commit>,
    tellings: &SyncSender<Result<Told, EngineError>>,
    at_step: &dyn Fn(Step),
) {
    let mut length = None;
    while let Ok(commit) = commits.recv() {
        let mut watch = Stopwatch::start();
        let mut told = Told::default();
        let done = store
            .commit(&commit)
            .map_err(EngineError::from)
            .and_then(|()| {
                at_step(Step::Committed);
                told.messages = commit.outbox;
                let reached = outlet.deliver(&told.messages);
                told.length = reached.map_err(|error| EngineError::Outlet(error.to_string()))?;
                length = Some(told.length);
                at_step(Step::Delivered);
                told.sequence = told
                    .messages
                    .last()
                    .map_or(commit.delivered, |(sequence, _)| *sequence);
                Ok(())
            });
        watch.lap(&mut told.spent);
        if tellings.send(done.map(|()| told)).is_err() {
            return;
        }
    }
}
