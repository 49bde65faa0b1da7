//! From the reader's thread to whoever asks: chunks, bounded by their bytes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use centinel_model::DecodedChunk;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::InputError;

/// Bytes of rows that wait at most, in KiB.
const MOST_WAITING: u32 = 64 << 10;
/// What a chunk without rows counts for, and each row beside its bytes.
const ROW_BYTES: u64 = 64;

/// What comes out of the reader.
pub(super) enum Delivery {
    Chunk(Box<DecodedChunk>),
    End,
    Failed(InputError),
}

type Sent = (Delivery, Option<OwnedSemaphorePermit>);

/// The reader's end.
pub(super) struct Outlet {
    sender: Sender<Sent>,
    room: Arc<Semaphore>,
    state: Arc<Mutex<String>>,
}

/// The other end.
pub(super) struct Inlet {
    receiver: Receiver<Sent>,
    state: Arc<Mutex<String>>,
}

/// Nobody reads any more.
pub(super) struct Unwanted;

pub(super) fn pair() -> (Outlet, Inlet) {
    let (sender, receiver) = channel();
    let state = Arc::new(Mutex::new("starting".to_owned()));
    let outlet = Outlet {
        sender,
        room: Arc::new(Semaphore::new(MOST_WAITING as usize)),
        state: Arc::clone(&state),
    };
    (outlet, Inlet { receiver, state })
}

impl Outlet {
    /// Hands a chunk over once there is room for it.
    pub(super) async fn chunk(&self, chunk: DecodedChunk) -> Result<(), Unwanted> {
        let bytes: u64 = chunk.lines.iter().map(|line| line.length + ROW_BYTES).sum();
        let wanted = u32::try_from(bytes / 1024 + 1)
            .unwrap_or(MOST_WAITING)
            .min(MOST_WAITING);
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
        let permit = room.map_err(|_| Unwanted)?;
        self.send(Delivery::Chunk(Box::new(chunk)), Some(permit))
    }

    pub(super) fn end(&self) {
        // Without a receiver nobody wants to know.
        let _ = self.send(Delivery::End, None);
    }

    pub(super) fn failed(&self, error: InputError) {
        let _ = self.send(Delivery::Failed(error), None);
    }

    fn send(
        &self,
        delivery: Delivery,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Unwanted> {
        self.sender.send((delivery, permit)).map_err(|_| Unwanted)
    }

    /// Says what the reader does, for people.
    pub(super) fn says(&self, state: impl Into<String>) {
        *lock(&self.state) = state.into();
    }
}

impl Inlet {
    /// What comes next, if it comes within `wait`. Its room is free again.
    pub(super) fn next(&self, wait: Duration) -> Option<Delivery> {
        match self.receiver.recv_timeout(wait) {
            Ok((delivery, _permit)) => Some(delivery),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Delivery::End),
        }
    }

    pub(super) fn state(&self) -> String {
        lock(&self.state).clone()
    }
}

fn lock(state: &Mutex<String>) -> MutexGuard<'_, String> {
    // A text is whole whatever its writer did.
    state
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
