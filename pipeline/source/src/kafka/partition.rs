//! One partition: what was read of it, and its next messages.

use std::time::Instant;

use centinel_model::{KnownRecord, Position, Timestamp};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::connection::{Complaints, Found};
use super::gap::{Resumption, fingerprint};
use crate::{RawMessage, RawMessages};

/// Bytes after which a chunk is given out.
const CHUNK_BYTES: usize = 4 << 20;
/// Messages after which a chunk is given out.
const CHUNK_MESSAGES: usize = 20_000;

/// A partition that is read.
pub(super) struct Partition {
    pub(super) found: Found,
    /// Under which its position is kept.
    pub(super) input: String,
    pub(super) queue: PartitionQueue<Complaints>,
    /// The next record to read.
    pub(super) next: u64,
    /// What was read and cannot be decoded yet.
    held: Option<RawMessages>,
    /// The last record that was read.
    known: Option<KnownRecord>,
    /// What must stand where reading was resumed.
    verify: Option<KnownRecord>,
    /// When its end was seen, with nothing read since.
    pub(super) end_seen: Option<Instant>,
    /// Offsets before this hold nothing more: its end was seen there.
    pub(super) empty_until: u64,
    /// Records from this offset on are left to the next run.
    pub(super) limit: Option<u64>,
    /// The newest commit time that was read.
    pub(super) newest: Timestamp,
    /// Whether what comes next stands behind records that were gone or passed over.
    pub(super) begins_late: bool,
}

/// What a partition has.
pub(super) enum Polled {
    Messages(RawMessages),
    Nothing,
    /// Its offset is not there any more, or another record is.
    Lost(Lost),
    /// The brokers refuse it for good.
    Refused(String),
}

pub(super) enum Lost {
    OutOfRange,
    MadeAnew { known: u64 },
}

impl Partition {
    pub(super) fn new(
        found: Found,
        input: String,
        queue: PartitionQueue<Complaints>,
        resumption: &Resumption,
        begins_late: bool,
    ) -> Partition {
        Partition {
            found,
            input,
            queue,
            next: resumption.next,
            held: None,
            known: resumption.verify.clone(),
            verify: resumption.verify.clone(),
            end_seen: None,
            empty_until: 0,
            limit: None,
            newest: Timestamp::MIN,
            begins_late,
        }
    }

    /// Up to where records were given out.
    pub(super) fn position(&self) -> Position {
        match &self.held {
            Some(held) => held.start.clone(),
            None => Position::Partition {
                next: self.next,
                known: self.known.clone(),
            },
        }
    }

    /// The next record to give out.
    pub(super) fn reached(&self) -> u64 {
        match &self.held {
            Some(held) => held.start.place().0,
            None => self.next,
        }
    }

    /// Before this offset there is nothing more to give out.
    pub(super) fn passed(&self) -> u64 {
        match &self.held {
            Some(_) => self.reached(),
            None => self.next.max(self.empty_until),
        }
    }

    /// Holds messages back until they can be decoded; nothing is read meanwhile.
    pub(super) fn hold(&mut self, messages: RawMessages) {
        self.held = Some(messages);
    }

    /// Goes on at another offset, after what came before was given up.
    pub(super) fn restart(&mut self, next: u64) {
        self.next = next;
        self.held = None;
        self.known = None;
        self.verify = None;
        self.end_seen = None;
        self.empty_until = 0;
        self.begins_late = true;
    }

    /// Whether everything before `end` was read, as of a time after `asked`.
    pub(super) fn has_passed(&self, end: u64) -> bool {
        self.verify.is_none() && self.passed() >= end
    }

    /// The messages that wait in memory, up to a chunk; first those that were held back.
    pub(super) fn poll(&mut self) -> Polled {
        if let Some(held) = self.held.take() {
            return Polled::Messages(held);
        }
        // A known record is looked at even where nothing follows it.
        if self.verify.is_none() && self.limit.is_some_and(|limit| self.next >= limit) {
            return Polled::Nothing;
        }
        let mut messages = RawMessages {
            input: self.input.clone(),
            start: self.position(),
            end: self.next,
            after: self.position(),
            bytes: Vec::new(),
            messages: Vec::new(),
        };
        while messages.bytes.len() < CHUNK_BYTES && messages.messages.len() < CHUNK_MESSAGES {
            let message = match self.queue.poll(std::time::Duration::ZERO) {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.end_seen = Some(Instant::now());
                    break;
                }
                Some(Err(error)) => match fate(&error) {
                    Fate::Retried => break,
                    // What was read before it goes out first; the error comes again.
                    Fate::Lost if messages.messages.is_empty() => {
                        return Polled::Lost(Lost::OutOfRange);
                    }
                    Fate::Refused if messages.messages.is_empty() => {
                        return Polled::Refused(error.to_string());
                    }
                    Fate::Lost | Fate::Refused => break,
                },
            };
            self.end_seen = None;
            let offset = message.offset().max(0) as u64;
            if let Some(known) = self.verify.take()
                && offset == known.offset
                && print_of(&message) != known.fingerprint
            {
                let known = known.offset;
                return Polled::Lost(Lost::MadeAnew { known });
            }
            if offset < self.next {
                continue;
            }
            if let Some(limit) = self.limit.filter(|limit| offset >= *limit) {
                self.empty_until = limit;
                break;
            }
            self.next = offset + 1;
            append(&mut messages, &message, offset);
        }
        let Some(last) = messages.messages.last() else {
            return Polled::Nothing;
        };
        self.known = Some(known_record(last, &messages.bytes));
        messages.end = self.next;
        messages.after = self.position();
        Polled::Messages(messages)
    }
}

enum Fate {
    Retried,
    Lost,
    Refused,
}

fn fate(error: &KafkaError) -> Fate {
    let KafkaError::MessageConsumption(code) = error else {
        return match error {
            KafkaError::MessageConsumptionFatal(_) => Fate::Refused,
            _ => Fate::Retried,
        };
    };
    match code {
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => Fate::Lost,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::SaslAuthenticationFailed => Fate::Refused,
        _ => Fate::Retried,
    }
}

fn print_of(message: &BorrowedMessage<'_>) -> String {
    fingerprint(
        message.timestamp().to_millis(),
        message.key(),
        message.payload(),
    )
}

fn known_record(message: &RawMessage, bytes: &[u8]) -> KnownRecord {
    let part = |range: &Option<std::ops::Range<usize>>| range.clone().map(|range| &bytes[range]);
    let millis = message.written_at.map(|time| time.0 / 1_000);
    KnownRecord {
        offset: message.offset,
        fingerprint: fingerprint(millis, part(&message.key), part(&message.value)),
    }
}

pub(super) fn append(messages: &mut RawMessages, message: &BorrowedMessage<'_>, offset: u64) {
    let bytes = &mut messages.bytes;
    let mut keep = |part: &[u8]| {
        let start = bytes.len();
        bytes.extend_from_slice(part);
        start..bytes.len()
    };
    let headers = message.headers();
    let headers = headers.map(|headers| {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (
                keep(header.key.as_bytes()),
                keep(header.value.unwrap_or_default()),
            )
        };
        headers.iter().map(header).collect()
    });
    let raw = RawMessage {
        offset,
        written_at: message
            .timestamp()
            .to_millis()
            .map(|millis| Timestamp(millis.saturating_mul(1_000))),
        headers: headers.unwrap_or_default(),
        key: message.key().map(&mut keep),
        value: message.payload().map(&mut keep),
    };
    messages.messages.push(raw);
}
