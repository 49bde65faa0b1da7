//! A transaction that MySQL wrote compressed: one event, in which its events stand behind each other.
//!
//! The library takes such an event apart as well, but passes over what it cannot decompress; so it is done here,
//! and what the library makes of it is not used.

use std::io::{BufReader, Read};

use super::begin::Begin;
use super::bytes::{Bytes, Malformed};
use super::event::{MAX_EVENT_BYTES, RawEvent, kinds};
use super::failure::Failure;
use super::transaction::Assembler;

/// Bytes that all events of a transaction may have when they are decompressed.
const MAX_BYTES: u64 = 1 << 30;
/// Bytes of an event's header.
const HEADER: usize = 19;

/// The events of a compressed transaction.
pub(super) struct Payload<'a> {
    source: Box<dyn Read + 'a>,
    /// How many bytes the events have by the server's word, and how many of them were read.
    declared: Option<u64>,
    read: u64,
    header: [u8; HEADER],
    body: Vec<u8>,
}

impl<'a> Payload<'a> {
    pub(super) fn open(event: &'a [u8]) -> Result<Payload<'a>, Malformed> {
        let mut bytes = Bytes(event);
        let (mut size, mut compression, mut declared) = (None, None, None);
        loop {
            let field = bytes.packed()?;
            if field == 0 {
                break;
            }
            let mut value = Bytes(bytes.packed_bytes()?);
            match field {
                1 => size = Some(value.packed_length()?),
                2 => compression = Some(value.packed()?),
                3 => declared = Some(value.packed()?),
                _ => {}
            }
        }
        let compressed = bytes.take(size.ok_or(Malformed)?)?;
        let source: Box<dyn Read> = match compression {
            Some(ZSTD) => Box::new(BufReader::new(
                zstd::stream::read::Decoder::with_buffer(compressed).map_err(|_| Malformed)?,
            )),
            Some(NONE) => Box::new(compressed),
            _ => return Err(Malformed),
        };
        Ok(Payload {
            source,
            declared,
            read: 0,
            header: [0; HEADER],
            body: Vec::new(),
        })
    }

    /// Reads the next event; false behind the last.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        let mut read = 0;
        while read < HEADER {
            match self.source.read(&mut self.header[read..]) {
                Ok(0) if read == 0 => return self.end(),
                Ok(0) | Err(_) => return Err(Malformed),
                Ok(more) => read += more,
            }
        }
        let size = Bytes(&self.header[9..]).u32()? as usize;
        let length = size.checked_sub(HEADER).ok_or(Malformed)?;
        self.read += size as u64;
        if size > MAX_EVENT_BYTES || self.read > self.declared.unwrap_or(MAX_BYTES).min(MAX_BYTES) {
            return Err(Malformed);
        }
        self.body.clear();
        let body = (&mut self.source)
            .take(length as u64)
            .read_to_end(&mut self.body);
        match body {
            Ok(read) if read == length => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn end(&self) -> Result<bool, Malformed> {
        match self.declared {
            Some(declared) if declared != self.read => Err(Malformed),
            _ => Ok(false),
        }
    }

    /// The event that was read last. Inside there are no checksums.
    pub(super) fn event(&self) -> Result<RawEvent<'_>, Malformed> {
        let mut header = Bytes(&self.header);
        let (seconds, kind, server) = (header.u32()?, header.u8()?, header.u32()?);
        header.take(8)?;
        let flags = header.u16()?;
        Ok(RawEvent {
            kind,
            seconds,
            server,
            ignorable: flags & IGNORABLE != 0,
            body: &self.body,
        })
    }
}

const ZSTD: u64 = 0;
const NONE: u64 = 255;
const IGNORABLE: u16 = 0x80;

impl Assembler {
    /// Takes in all events of a compressed transaction, of which the last ends it.
    pub(super) fn payload(&mut self, event: RawEvent, now: i64) -> Result<(), Failure> {
        let mut payload = Payload::open(event.body).map_err(damaged)?;
        if payload.declared.is_some_and(|bytes| bytes > MAX_BYTES) {
            return Err(Failure::lasting(
                "a compressed transaction of the log has more than 1 GiB",
                "keep such transactions off the watched server; run SET PERSIST binlog_transaction_compression \
                 = OFF and begin with an empty state",
            ));
        }
        while payload.advance().map_err(damaged)? {
            let inner = payload.event().map_err(damaged)?;
            let outer = [
                kinds::TRANSACTION_PAYLOAD,
                kinds::FORMAT,
                kinds::ROTATE,
                kinds::STOP,
            ];
            if outer.contains(&inner.kind) || Begin::is(inner.kind) {
                return Err(damaged(Malformed));
            }
            self.event(inner, now)?;
        }
        match self.between_transactions() {
            true => Ok(()),
            false => Err(damaged(Malformed)),
        }
    }
}

fn damaged(Malformed: Malformed) -> Failure {
    Failure::Doubtful {
        problem: "a compressed transaction of the log cannot be decompressed, or has no end".into(),
        remedy: "read another server that has it whole; else run SET PERSIST \
                 binlog_transaction_compression = OFF and begin with an empty state"
            .into(),
    }
}
