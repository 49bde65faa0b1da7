//! MariaDB's global transaction ids.

use std::collections::BTreeMap;
use std::fmt;

/// One transaction: domain, server and number in the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::binlog) struct Gtid {
    pub(in crate::binlog) domain: u32,
    pub(in crate::binlog) server: u32,
    pub(in crate::binlog) sequence: u64,
}

/// The last transaction of each domain; everything before it belongs to the set too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::binlog) struct GtidSet(BTreeMap<u32, Gtid>);

impl GtidSet {
    /// Reads `0-1-100,1-7-42`; nothing is the empty set.
    pub(in crate::binlog) fn parse(text: &str) -> Option<GtidSet> {
        let mut set = GtidSet::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let mut numbers = part.split('-');
            let gtid = Gtid {
                domain: numbers.next()?.parse().ok()?,
                server: numbers.next()?.parse().ok()?,
                sequence: numbers.next()?.parse().ok()?,
            };
            if numbers.next().is_some() || set.0.insert(gtid.domain, gtid).is_some() {
                return None;
            }
        }
        Some(set)
    }

    /// Takes in the next transaction.
    pub(in crate::binlog) fn advance(&mut self, gtid: Gtid) {
        self.0.insert(gtid.domain, gtid);
    }

    /// Whether every transaction of `other` is in this set.
    pub(in crate::binlog) fn covers(&self, other: &GtidSet) -> bool {
        other.0.values().all(|wanted| {
            let own = self.0.get(&wanted.domain);
            own.is_some_and(|own| own.sequence >= wanted.sequence)
        })
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.0.values().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{gtid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written_alike() {
        for text in [
            "",
            "0-1-100",
            "0-1-100,1-7-42,4294967295-1-18446744073709551615",
        ] {
            assert_eq!(GtidSet::parse(text).unwrap().to_string(), text);
        }
        for text in ["0-1", "0-1-2-3", "a-1-2", "0-1-1,0-2-2", "-1-1"] {
            assert_eq!(GtidSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_set_covers_what_its_domains_reached() {
        let set = |text| GtidSet::parse(text).unwrap();
        assert!(set("0-1-5,1-1-5").covers(&set("0-2-5")));
        assert!(set("0-1-5").covers(&set("")));
        assert!(!set("0-1-5").covers(&set("0-1-6")));
        assert!(!set("0-1-5").covers(&set("1-1-1")));
        let mut reached = set("0-1-5");
        reached.advance(Gtid {
            domain: 1,
            server: 2,
            sequence: 3,
        });
        assert_eq!(reached.to_string(), "0-1-5,1-2-3");
    }
}
