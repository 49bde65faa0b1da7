//! The log as it grows: events off the connection, each checked before it is believed.

use std::time::{Duration, Instant};

use futures::StreamExt;
use mysql_async::binlog::events::Event;
use mysql_async::binlog::{BinlogChecksumAlg, EventFlags};

use super::dump::{self, Dumped, Seen};
use super::event::{RawEvent, kinds};
use super::failure::Failure;
use super::reader::{Reader, Stop};
use super::server::{Facts, Server};

/// How long rows wait for more of them, where more come.
const OLDEST: Duration = Duration::from_millis(40);
/// How long rows wait for the next event.
const PAUSE: Duration = Duration::from_millis(4);

impl Reader {
    /// Reads the log from the assembler's place on.
    pub(super) async fn stream(&mut self, server: Server, facts: Facts) -> Result<(), Stop> {
        let heartbeat = self
            .options
            .timeouts
            .heartbeat
            .max(Duration::from_millis(100));
        if self.reached_target() {
            return self.end(&facts).await;
        }
        let from = self.assembler.place.gtids.clone();
        let mut log = dump::open(
            server,
            facts.flavour(),
            &from,
            self.options.server_id,
            heartbeat,
        )
        .await?;
        self.outlet.says(format!("reading from {from}"));
        let silence = heartbeat * 3;
        let (mut heard, mut oldest) = (Instant::now(), None::<Instant>);
        let mut dumped = Dumped::default();
        loop {
            let waiting = self.assembler.between_transactions() && self.assembler.has_news();
            let wait = if waiting { PAUSE } else { silence };
            let event = match tokio::time::timeout(wait, log.next()).await {
                Ok(Some(event)) => event.map_err(Failure::from)?,
                Ok(None) => return Err(Failure::passing("the server ended the log").into()),
                Err(_) if waiting => {
                    self.give_out(&mut oldest).await?;
                    heard = Instant::now();
                    continue;
                }
                Err(_) if heard.elapsed() >= silence => {
                    return Err(Failure::passing("the server is silent").into());
                }
                Err(_) => continue,
            };
            let waited = std::mem::replace(&mut heard, Instant::now()).elapsed();
            if let Some(seen) = dumped.next(&event, facts.flavour(), waited >= heartbeat / 2) {
                self.take(&event, seen, &facts)?;
            }
            self.send_ready().await?;
            if !self.assembler.has_news() {
                oldest = None;
            } else if oldest.get_or_insert(heard).elapsed() >= OLDEST
                && self.assembler.between_transactions()
            {
                self.give_out(&mut oldest).await?;
            }
            // What came while rows waited to be taken was there before.
            heard = Instant::now();
            if self.assembler.between_transactions() && self.reached_target() {
                return self.end(&facts).await;
            }
        }
    }

    fn take(&mut self, event: &Event, seen: Seen, facts: &Facts) -> Result<(), Failure> {
        check(event)?;
        let header = event.header();
        let raw = RawEvent {
            kind: header.event_type_raw(),
            seconds: header.timestamp(),
            server: header.server_id(),
            ignorable: header.flags().contains(EventFlags::LOG_EVENT_IGNORABLE_F),
            body: event.data(),
        };
        match seen {
            Seen::Event => {}
            Seen::Skipping => return Ok(()),
            Seen::Idle => {
                self.moved = true;
                self.outlet.says("reading; nothing newer is there");
                return self.assembler.idle(self.idle_clock(facts));
            }
        }
        let before = self.assembler.place.transactions;
        self.assembler.event(raw, facts.clock())?;
        if self.assembler.place.transactions > before {
            self.moved = true;
        }
        Ok(())
    }

    /// Gives out the rows that wait.
    async fn give_out(&mut self, oldest: &mut Option<Instant>) -> Result<(), Stop> {
        self.assembler.flush()?;
        *oldest = None;
        self.outlet
            .says(format!("reading; at {}", self.assembler.place.gtids));
        self.send_ready().await
    }

    fn reached_target(&self) -> bool {
        let target = self.target.as_ref();
        target.is_some_and(|target| self.assembler.place.gtids.covers(&target.at))
    }

    /// All that was there when reading began was read: everything up to that moment was.
    async fn end(&mut self, facts: &Facts) -> Result<(), Stop> {
        let clock = self.idle_clock(facts).and(self.target.as_ref());
        let clock = clock.map(|target| target.clock);
        self.assembler.idle(clock)?;
        self.send_ready().await?;
        Err(Stop::End)
    }
}

/// Checks what the library does not: that the bytes are those that the server wrote.
fn check(event: &Event) -> Result<(), Failure> {
    let algorithm = event.footer().get_checksum_alg();
    match (algorithm, event.checksum()) {
        (Ok(Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32)), Some(written)) => {
            let found = event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
            // The mark of a log that is being written counts for no checksum, and only its head has it.
            let marked = event.header().flags_raw() & EventFlags::LOG_EVENT_BINLOG_IN_USE_F.bits()
                != 0
                && event.header().event_type_raw() != kinds::FORMAT;
            if found.to_le_bytes() == written && !marked {
                return Ok(());
            }
            Err(Failure::passing(
                "an event was damaged on its way: its checksum is wrong",
            ))
        }
        (Ok(_), _) => Ok(()),
        (Err(_), _) => Err(Failure::lasting(
            "the log has checksums of an unknown kind",
            "run SET GLOBAL binlog_checksum = 'CRC32'",
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use mysql_async::binlog::BinlogVersion;
    use mysql_async::binlog::events::{BinlogEventFooter, FormatDescriptionEvent};

    use super::*;

    /// No bit of an event can change and be believed.
    #[test]
    fn every_damaged_bit_is_noticed() {
        let checksums = BinlogEventFooter::new(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        let head = FormatDescriptionEvent::new(BinlogVersion::Version4).with_footer(checksums);
        let body = b"the rows of a payment";
        let size = (19 + body.len() + 4) as u8;
        let mut bytes = vec![
            1,
            2,
            3,
            4,
            kinds::WRITE_ROWS_1,
            1,
            0,
            0,
            0,
            size,
            0,
            0,
            0,
            9,
            9,
            0,
            0,
            0,
            0,
        ];
        bytes.extend(body);
        bytes.extend([0; 4]);
        let unsigned = Event::read(&head, bytes.as_slice()).unwrap();
        let checksum = unsigned.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        check(&Event::read(&head, bytes.as_slice()).unwrap()).unwrap();
        // A wrong size reads beyond the packet, at which the library panics; the reader takes that for an end.
        let sizes = 9..13;
        for place in (0..bytes.len()).filter(|place| !sizes.contains(place)) {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                let read = Event::read(&head, damaged.as_slice());
                assert!(
                    read.is_err() || check(&read.unwrap()).is_err(),
                    "byte {place}, bit {bit}"
                );
            }
        }
    }
}
