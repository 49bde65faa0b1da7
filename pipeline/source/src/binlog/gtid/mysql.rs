//! MySQL's global transaction ids: `server-uuid:number`, or `server-uuid:tag:number` since MySQL 8.4.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Who gives the numbers: a server, and a tag, which is empty for most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::binlog) struct Origin {
    /// The UUID of the server that committed the transaction first.
    pub(in crate::binlog) server: [u8; 16],
    pub(in crate::binlog) tag: Arc<str>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::binlog) struct Gtid {
    pub(in crate::binlog) origin: Origin,
    pub(in crate::binlog) number: u64,
}

/// First and last number of a stretch without gaps, both in it.
type Interval = (u64, u64);

/// The transactions of each origin, as intervals that rise and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::binlog) struct GtidSet(BTreeMap<Origin, Vec<Interval>>);

/// Numbers end here.
const MAX_NUMBER: u64 = i64::MAX as u64 - 1;
/// Characters of a tag.
const MAX_TAG: usize = 32;

impl Origin {
    /// `None` unless the tag is one that MySQL gives.
    pub(in crate::binlog) fn new(server: [u8; 16], tag: &str) -> Option<Origin> {
        let small = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let mut bytes = tag.bytes();
        let right = bytes.next().is_none_or(small)
            && bytes.all(|byte| small(byte) || byte.is_ascii_digit())
            && tag.len() <= MAX_TAG;
        right.then(|| Origin {
            server,
            tag: tag.into(),
        })
    }
}

impl GtidSet {
    /// Reads `uuid:1-5:7:tag:1-3,uuid2:9`, as MySQL writes it, with line feeds behind commas or without.
    pub(in crate::binlog) fn parse(text: &str) -> Option<GtidSet> {
        let mut set = GtidSet::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let mut fields = part.split(':').map(str::trim);
            let mut origin = Origin::new(uuid(fields.next()?)?, "")?;
            let mut empty = true;
            for field in fields {
                if field.starts_with(|first: char| first.is_ascii_digit()) {
                    set.add(&origin, interval(field)?);
                    empty = false;
                } else {
                    let tag = field.to_ascii_lowercase();
                    origin = Origin::new(origin.server, &tag).filter(|_| !tag.is_empty())?;
                    empty = true;
                }
            }
            if empty {
                return None;
            }
        }
        Some(set)
    }

    /// Takes in one transaction.
    pub(in crate::binlog) fn advance(&mut self, gtid: &Gtid) {
        // Nearly always the one behind the last.
        if let Some((_, last)) = self.0.get_mut(&gtid.origin).and_then(|own| own.last_mut())
            && last.checked_add(1) == Some(gtid.number)
        {
            *last = gtid.number;
            return;
        }
        self.add(&gtid.origin, (gtid.number, gtid.number));
    }

    /// Takes in everything of another set.
    pub(in crate::binlog) fn unite(&mut self, other: &GtidSet) {
        for (origin, intervals) in &other.0 {
            for interval in intervals {
                self.add(origin, *interval);
            }
        }
    }

    /// Whether every transaction of `other` is in this set.
    pub(in crate::binlog) fn covers(&self, other: &GtidSet) -> bool {
        other.0.iter().all(|(origin, wanted)| {
            let own = self.0.get(origin).map_or(&[][..], Vec::as_slice);
            wanted.iter().all(|(first, last)| {
                // The first interval that does not end before it.
                let index = own.partition_point(|(_, own_last)| own_last < first);
                own.get(index)
                    .is_some_and(|(own_first, own_last)| own_first <= first && last <= own_last)
            })
        })
    }

    /// What there is of each origin, each as a set of its own.
    pub(in crate::binlog) fn parts(&self) -> impl Iterator<Item = GtidSet> {
        self.0.iter().map(|(origin, intervals)| {
            let part = (origin.clone(), intervals.clone());
            GtidSet([part].into())
        })
    }

    fn add(&mut self, origin: &Origin, (first, last): Interval) {
        let own = self.0.entry(origin.clone()).or_default();
        // Those that overlap it or touch it become one with it.
        let from = own.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = own.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let joined = own[from..to]
            .iter()
            .fold((first, last), |(first, last), (start, end)| {
                (first.min(*start), last.max(*end))
            });
        own.splice(from..to, [joined]);
    }
}

/// 32 hexadecimal digits, with hyphens between them or without.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|character| *character != '-')
        .map(|character| character.to_digit(16))
        .collect::<Option<_>>()?;
    let mut uuid = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks(2)) {
        *byte = (pair[0] << 4 | pair[1]) as u8;
    }
    Some(uuid)
}

/// `7` or `1-5`.
fn interval(text: &str) -> Option<Interval> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (0 < first && first <= last && last <= MAX_NUMBER).then_some((first, last))
}

/// Writes the UUID as MySQL does.
struct Uuid<'a>(&'a [u8; 16]);

impl fmt::Display for Uuid<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(index, 4 | 6 | 8 | 10) {
                "-"
            } else {
                ""
            };
            write!(out, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { server, tag } = &self.origin;
        let colon = if tag.is_empty() { "" } else { ":" };
        write!(out, "{}{colon}{tag}:{}", Uuid(server), self.number)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&[u8; 16]> = None;
        for (Origin { server, tag }, intervals) in &self.0 {
            if before != Some(server) {
                let comma = if before.is_some() { "," } else { "" };
                write!(out, "{comma}{}", Uuid(server))?;
                before = Some(server);
            }
            if !tag.is_empty() {
                write!(out, ":{tag}")?;
            }
            for (first, last) in intervals {
                match first == last {
                    true => write!(out, ":{first}")?,
                    false => write!(out, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "mysql_tests.rs"]
mod tests;
