//! The audit log, verified.

use centinel_breaker_service::{Head, verify_log};

use super::failed;
use crate::config::BreakerConfig;
use crate::exit::Status;
use crate::printer::{Printer, counted};

/// Verifies the log and prints what is wrong, or the head to note elsewhere.
pub fn verify(config: &BreakerConfig, noted: Option<&Head>) -> Result<Status, Status> {
    let verified = verify_log(&config.service.store, noted).map_err(|error| {
        failed(&error);
        Status::CouldNotJudge
    })?;
    let mut printer = Printer::stdout();
    let head = &verified.head;
    if verified.wrong.is_empty() {
        printer.line(format_args!(
            "the audit log is whole: {}, head {}:{}",
            counted(head.sequence, "entry", "entries"),
            head.sequence,
            head.hash
        ));
        return Ok(printer.finish(Status::Clean));
    }
    for wrong in &verified.wrong {
        printer.line(format_args!("wrong: {wrong}"));
    }
    Ok(printer.finish(Status::Findings))
}

/// A head as it is printed.
pub fn head(text: &str) -> Result<Head, String> {
    let parts = text.split_once(':').and_then(|(sequence, hash)| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = hash.len() == 64 && hash.bytes().all(hex);
        let sequence = sequence.parse().ok()?;
        fits.then(|| Head {
            sequence,
            hash: hash.to_owned(),
        })
    });
    parts.ok_or_else(|| "write it as it was printed: the sequence, `:` and 64 digits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_printed() {
        let hash = "0f".repeat(32);
        let read = head(&format!("17:{hash}")).unwrap_or_default();
        assert_eq!((read.sequence, read.hash), (17, hash.clone()));
        for wrong in [
            "",
            "17",
            "17:0f",
            &hash,
            &format!("x:{hash}"),
            &format!("1:{}", "g".repeat(64)),
        ] {
            assert!(head(wrong).is_err(), "{wrong}");
        }
    }
}
