//! Records that are gone before they were read, told as a hole.

use centinel_model::{
    DecodedChunk, Hole, HoleReason, KnownRecord, Line, LineContent, Position, SourceId,
};
use sha2::{Digest, Sha256};

/// Where reading a partition goes on, and what is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resumption {
    /// The first record to ask for: the known one where it is to be compared.
    pub(super) ask: u64,
    /// The record that must stand at `ask`.
    pub(super) verify: Option<KnownRecord>,
    /// The first record to give out.
    pub(super) next: u64,
    /// What is to be said of records that are gone.
    pub(super) gap: Option<String>,
}

/// Decides how to go on at `next` in a partition that now holds the offsets from `low` to before `high`.
pub(super) fn resume(next: u64, known: Option<KnownRecord>, low: u64, high: u64) -> Resumption {
    if next > high {
        let gap = format!(
            "the partition ends at offset {high}, but {next} records of it were read before: the topic was deleted and \
             made anew, or its end was lost; what it held beyond is unknown, and it is read from its beginning"
        );
        return Resumption {
            ask: low,
            verify: None,
            next: low,
            gap: Some(gap),
        };
    }
    if next < low {
        return Resumption {
            ask: low,
            verify: None,
            next: low,
            gap: Some(expired(next, low)),
        };
    }
    match known.filter(|known| known.offset >= low && known.offset < next) {
        Some(known) => Resumption {
            ask: known.offset,
            verify: Some(known),
            next,
            gap: None,
        },
        None => Resumption {
            ask: next,
            verify: None,
            next,
            gap: None,
        },
    }
}

fn expired(next: u64, low: u64) -> String {
    format!(
        "the records from offset {next} to {} are gone before they were read: the topic's retention is shorter than the \
         time that detection stood still; audit the time between",
        low - 1
    )
}

/// What is said when another record stands where a known one was.
pub(super) fn made_anew(known: u64) -> String {
    format!(
        "another record stands at offset {known} than was read there before: the topic was deleted and made anew; what \
         it held beyond is unknown, and it is read from its beginning"
    )
}

/// A chunk that holds nothing but the gap between two positions.
pub(super) fn chunk(
    input: &str,
    source: SourceId,
    from: &Position,
    next: u64,
    message: String,
) -> DecodedChunk {
    let after = Position::Partition { next, known: None };
    let (offset, _) = from.place();
    let mut chunk = DecodedChunk::new(input.to_owned(), from.clone(), next, after);
    chunk.holes.push(Hole {
        input: input.to_owned(),
        position: from.clone(),
        reason: HoleReason::Gap,
        message,
        bytes: Vec::new(),
        bytes_total: 0,
        table: None,
        source: Some(source),
        since: None,
        entities: Vec::new(),
    });
    chunk.lines.push(Line {
        offset,
        start: 0,
        length: 0,
        content: LineContent::Hole {
            hole: 0,
            transaction: None,
        },
    });
    chunk
}

/// What tells a record from another at the same offset.
pub(super) fn fingerprint(
    written_at: Option<i64>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(written_at.unwrap_or(-1).to_be_bytes());
    for part in [key, value] {
        hash.update(part.map_or(-1, |part| part.len() as i64).to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    let digest = hash.finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(offset: u64) -> Option<KnownRecord> {
        Some(KnownRecord {
            offset,
            fingerprint: "f".into(),
        })
    }

    #[test]
    fn a_position_within_the_partition_is_resumed_after_a_look_at_the_known_record() {
        let on = resume(10, known(7), 0, 20);
        assert_eq!((on.ask, on.next, on.gap.is_none()), (7, 10, true));
        assert_eq!(on.verify, known(7));
        // The known record expired, the next one did not.
        let on = resume(10, known(7), 8, 20);
        assert_eq!((on.ask, on.next, on.gap.is_none()), (10, 10, true));
        assert_eq!(on.verify, None);
    }

    #[test]
    fn what_is_gone_is_said() {
        let expired = resume(10, known(9), 15, 20);
        assert_eq!((expired.ask, expired.next), (15, 15));
        assert!(expired.gap.is_some_and(|gap| gap.contains("10 to 14")));
        let anew = resume(10, known(9), 0, 3);
        assert_eq!((anew.ask, anew.next), (0, 0));
        assert!(anew.gap.is_some_and(|gap| gap.contains("made anew")));
    }

    #[test]
    fn records_differ_by_time_key_and_value() {
        let prints = [
            fingerprint(None, None, None),
            fingerprint(Some(1), None, None),
            fingerprint(None, Some(b""), None),
            fingerprint(None, Some(b"a"), Some(b"b")),
            fingerprint(None, Some(b"ab"), Some(b"")),
            fingerprint(None, None, Some(b"ab")),
        ];
        for (index, print) in prints.iter().enumerate() {
            assert_eq!(prints.iter().position(|other| other == print), Some(index));
        }
    }
}
