//! Global transaction ids and sets of them, of MariaDB and of MySQL.
//!
//! A set stands in positions as its server writes it. MariaDB's `0-1-100` and MySQL's `uuid:1-100` cannot be
//! taken for each other; the empty set belongs to both.

pub(super) mod mariadb;
pub(super) mod mysql;

use std::fmt;

/// Which server writes the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flavour {
    #[default]
    MariaDb,
    MySql,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gtid {
    MariaDb(mariadb::Gtid),
    MySql(mysql::Gtid),
}

/// The transactions that were read whole, or that a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum GtidSet {
    #[default]
    Empty,
    MariaDb(mariadb::GtidSet),
    MySql(mysql::GtidSet),
}

impl GtidSet {
    /// Reads what a server or a position says; nothing is the empty set.
    pub(super) fn parse(text: &str) -> Option<GtidSet> {
        match text.trim() {
            "" => Some(GtidSet::Empty),
            text if text.contains(':') => mysql::GtidSet::parse(text).map(GtidSet::MySql),
            text => mariadb::GtidSet::parse(text).map(GtidSet::MariaDb),
        }
    }

    /// Whether a server of this flavour could have written it.
    pub(super) fn fits(&self, flavour: Flavour) -> bool {
        match self {
            GtidSet::Empty => true,
            GtidSet::MariaDb(_) => flavour == Flavour::MariaDb,
            GtidSet::MySql(_) => flavour == Flavour::MySql,
        }
    }

    /// Takes in the next transaction. One of the other flavour begins a set of its own: nothing of this one
    /// says anything of that server.
    pub(super) fn advance(&mut self, gtid: &Gtid) {
        match (&mut *self, gtid) {
            (GtidSet::MariaDb(set), Gtid::MariaDb(gtid)) => set.advance(*gtid),
            (GtidSet::MySql(set), Gtid::MySql(gtid)) => set.advance(gtid),
            (_, Gtid::MariaDb(gtid)) => {
                let mut set = mariadb::GtidSet::default();
                set.advance(*gtid);
                *self = GtidSet::MariaDb(set);
            }
            (_, Gtid::MySql(gtid)) => {
                let mut set = mysql::GtidSet::default();
                set.advance(gtid);
                *self = GtidSet::MySql(set);
            }
        }
    }

    /// What is in this set or in the other. MariaDB's are positions, of which the other one counts.
    pub(super) fn united(&self, other: &GtidSet) -> GtidSet {
        match (self, other) {
            (GtidSet::MySql(own), GtidSet::MySql(other)) => {
                let mut united = own.clone();
                united.unite(other);
                GtidSet::MySql(united)
            }
            (own, GtidSet::Empty) => own.clone(),
            (_, other) => other.clone(),
        }
    }

    /// Whether every transaction of `other` is in this set.
    pub(super) fn covers(&self, other: &GtidSet) -> bool {
        match (self, other) {
            (_, GtidSet::Empty) => true,
            (GtidSet::MariaDb(own), GtidSet::MariaDb(other)) => own.covers(other),
            (GtidSet::MySql(own), GtidSet::MySql(other)) => own.covers(other),
            _ => false,
        }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gtid::MariaDb(gtid) => gtid.fmt(out),
            Gtid::MySql(gtid) => gtid.fmt(out),
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GtidSet::Empty => Ok(()),
            GtidSet::MariaDb(set) => set.fmt(out),
            GtidSet::MySql(set) => set.fmt(out),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sets_tell_whose_they_are() {
        let maria = GtidSet::parse("0-1-100,1-7-42").unwrap();
        let mysql = GtidSet::parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5").unwrap();
        assert!(maria.fits(Flavour::MariaDb) && !maria.fits(Flavour::MySql));
        assert!(mysql.fits(Flavour::MySql) && !mysql.fits(Flavour::MariaDb));
        assert_eq!(GtidSet::parse(" \n"), Some(GtidSet::Empty));
        assert_eq!(GtidSet::Empty.to_string(), "");
        assert!(!maria.covers(&mysql) && !mysql.covers(&maria));
        assert!(mysql.covers(&GtidSet::Empty) && GtidSet::Empty.covers(&GtidSet::Empty));
        assert!(!GtidSet::Empty.covers(&mysql));
    }

    #[test]
    fn an_empty_set_becomes_what_is_read_first() {
        let mut set = GtidSet::Empty;
        set.advance(&Gtid::MariaDb(mariadb::Gtid {
            domain: 0,
            server: 1,
            sequence: 7,
        }));
        assert_eq!(set.to_string(), "0-1-7");
        let mut set = GtidSet::Empty;
        let gtid = mysql::Gtid {
            origin: mysql::Origin {
                server: [0x3e; 16],
                tag: "".into(),
            },
            number: 1,
        };
        set.advance(&Gtid::MySql(gtid));
        assert_eq!(set.to_string(), "3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e:1");
    }
}
