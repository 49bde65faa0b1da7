//! Business numbers: small inside, text outside.

use crate::random::mix;
use crate::text::{SECOND, TimeStyle, push_padded, push_time, to_text};

/// How business numbers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum KeyStyle {
    /// They begin with the order's time: `2026112208000000001234`.
    #[value(name = "time")]
    TimeOrdered,
    /// 32 hexadecimal digits in no order.
    Random,
    /// As by time, behind a mark that no number of a platform has: `DRILL-2026112208000000001234`. Merchants and
    /// business codes have it, too.
    Drill,
}

/// What every number of a drill begins with.
pub const DRILL_MARK: &str = "DRILL-";

/// What a business number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum KeyKind {
    Order,
    Payment,
    Refund,
    Settlement,
    Bill,
    Entry,
    CashOut,
    Message,
}

/// A business number. Two numbers are equal exactly if their texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    number: u64,
    /// Seconds since 1970 in a time-ordered number, a salt from the seed in a random one.
    stamp: u32,
    ordinal: u16,
    kind: KeyKind,
    style: KeyStyle,
}

/// Names the numbers of one order or one cash-out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyMaker {
    number: u64,
    stamp: u32,
    style: KeyStyle,
}

impl KeyMaker {
    /// Numbers of the `number`-th order or cash-out, which began at `at` (microseconds).
    pub fn new(style: KeyStyle, seed: u64, number: u64, at: i64) -> KeyMaker {
        let stamp = match style {
            KeyStyle::TimeOrdered | KeyStyle::Drill => {
                u32::try_from(at.div_euclid(SECOND)).unwrap_or(u32::MAX)
            }
            KeyStyle::Random => mix(seed) as u32,
        };
        KeyMaker {
            number,
            stamp,
            style,
        }
    }

    /// The number of the `ordinal`-th thing of its kind.
    pub fn key(&self, kind: KeyKind, ordinal: u16) -> Key {
        Key {
            number: self.number,
            stamp: self.stamp,
            ordinal,
            kind,
            style: self.style,
        }
    }
}

impl Key {
    /// The number of a copy of something that began at `at` (microseconds).
    pub(crate) fn of_copy(number: u64, kind: KeyKind, ordinal: u16, at: i64) -> Key {
        KeyMaker::new(KeyStyle::Drill, 0, number, at).key(kind, ordinal)
    }

    /// The same thing of another order or cash-out.
    pub(crate) fn renumbered(self, number: u64) -> Key {
        Key { number, ..self }
    }

    /// Another thing of the same kind and order.
    pub(crate) fn sibling(self, ordinal: u16) -> Key {
        Key { ordinal, ..self }
    }

    /// A thing of another kind of the same order.
    pub(crate) fn other(self, kind: KeyKind, ordinal: u16) -> Key {
        Key {
            kind,
            ordinal,
            ..self
        }
    }

    /// Which thing of its kind it is.
    pub(crate) fn ordinal(self) -> u16 {
        self.ordinal
    }

    /// Which order (or cash-out, by the kind) this belongs to, counted from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Appends the text.
    pub fn push_text(&self, out: &mut Vec<u8>) {
        match self.style {
            KeyStyle::TimeOrdered => self.push_time_ordered(out),
            KeyStyle::Random => self.push_random(out),
            KeyStyle::Drill => {
                out.extend_from_slice(DRILL_MARK.as_bytes());
                self.push_time_ordered(out);
            }
        }
    }

    /// The text.
    pub fn text(&self) -> String {
        to_text(|out| self.push_text(out))
    }

    fn push_time_ordered(&self, out: &mut Vec<u8>) {
        let prefix: &[u8] = match self.kind {
            KeyKind::Order => b"",
            KeyKind::Payment => b"P",
            KeyKind::Refund => b"R",
            KeyKind::Settlement => b"S",
            KeyKind::Bill => b"B",
            KeyKind::Entry => b"A",
            KeyKind::CashOut => b"C",
            KeyKind::Message => b"M",
        };
        out.extend_from_slice(prefix);
        push_time(out, i64::from(self.stamp) * SECOND, TimeStyle::Compact);
        push_padded(out, self.number, 8);
        if !matches!(self.kind, KeyKind::Order | KeyKind::CashOut) {
            push_padded(out, u64::from(self.ordinal), 2);
        }
    }

    fn push_random(&self, out: &mut Vec<u8>) {
        let place =
            (u64::from(self.stamp) << 32) | (u64::from(self.ordinal) << 8) | self.kind as u64;
        let high = mix(mix(place) ^ self.number);
        let low = mix(high ^ mix(self.number));
        for half in [high, low] {
            for shift in (0..16).rev() {
                out.push(b"0123456789ABCDEF"[(half >> (shift * 4) & 15) as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ordered_numbers_begin_with_the_time() {
        let maker = KeyMaker::new(KeyStyle::TimeOrdered, 1, 1_234, 1_795_334_400 * SECOND);
        assert_eq!(
            maker.key(KeyKind::Order, 0).text(),
            "2026112208000000001234"
        );
        assert_eq!(
            maker.key(KeyKind::Refund, 2).text(),
            "R202611220800000000123402"
        );
    }

    #[test]
    fn random_numbers_differ_by_every_part() {
        let texts = [
            (1, 0, KeyKind::Order),
            (2, 0, KeyKind::Order),
            (1, 0, KeyKind::Payment),
            (1, 1, KeyKind::Payment),
        ]
        .map(|(number, ordinal, kind)| {
            KeyMaker::new(KeyStyle::Random, 9, number, 0)
                .key(kind, ordinal)
                .text()
        });
        let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len());
        assert!(texts.iter().all(|text| text.len() == 32));
    }
}
