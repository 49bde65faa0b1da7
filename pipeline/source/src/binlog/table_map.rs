//! Table maps: what the columns of the rows that follow are.

use std::sync::Arc;

use super::bytes::{Bytes, Malformed, bit, little_endian};
use super::charset::{Charset, Collations};
use super::gtid::Flavour;
use super::wire::Wire;

/// More columns than this no table has.
const MAX_COLUMNS: usize = 4096;

/// Which table a map speaks of, without its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// The number by which the rows that follow name it.
    pub(super) id: u64,
    pub(super) database: &'a str,
    pub(super) table: &'a str,
    /// What the map says of its columns.
    columns: Bytes<'a>,
}

/// One column of a physical table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MapColumn {
    /// None unless the server writes full metadata.
    pub(super) name: Option<String>,
    pub(super) wire: Wire,
}

impl PartialEq for Bytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Bytes<'_> {}

impl<'a> Named<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Named<'a>, Malformed> {
        let mut bytes = Bytes(body);
        let id = bytes.number(6)?;
        bytes.u16()?;
        Ok(Named {
            id,
            database: bytes.name()?,
            table: bytes.name()?,
            columns: bytes,
        })
    }

    /// The columns in order.
    pub(super) fn columns(
        &self,
        collations: &Collations,
        flavour: Flavour,
    ) -> Result<Vec<MapColumn>, Malformed> {
        let mut bytes = self.columns;
        let count = bytes.packed_length()?;
        if count > MAX_COLUMNS {
            return Err(Malformed);
        }
        let types = bytes.take(count)?;
        let mut details = Bytes(bytes.packed_bytes()?);
        bytes.take(count.div_ceil(8))?;
        let raw = types.iter().map(|kind| Raw::read(*kind, &mut details));
        let raw: Vec<Raw> = raw.collect::<Result<_, _>>()?;
        let metadata = Metadata::read(bytes, &raw, flavour)?;
        let columns = raw.iter().enumerate();
        Ok(columns
            .map(|(index, raw)| MapColumn {
                name: metadata.names.get(index).cloned(),
                wire: raw.wire(index, &metadata, collations),
            })
            .collect())
    }
}

/// A column's type and what the map's fixed part says of it.
#[derive(Clone, Copy, Debug)]
struct Raw {
    kind: u8,
    /// Two bytes, whose meaning is the type's.
    detail: [u8; 2],
}

const TINY: u8 = 1;
const SHORT: u8 = 2;
const LONG: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
const LONGLONG: u8 = 8;
const INT24: u8 = 9;
const DATE: u8 = 10;
const YEAR: u8 = 13;
const NEWDATE: u8 = 14;
const VARCHAR: u8 = 15;
const BIT: u8 = 16;
const TIMESTAMP2: u8 = 17;
const DATETIME2: u8 = 18;
const TIME2: u8 = 19;
const BLOB_COMPRESSED: u8 = 140;
const VARCHAR_COMPRESSED: u8 = 141;
const VECTOR: u8 = 242;
const JSON: u8 = 245;
const NEWDECIMAL: u8 = 246;
const ENUM: u8 = 247;
const SET: u8 = 248;
const TINY_BLOB: u8 = 249;
const BLOB: u8 = 252;
const VAR_STRING: u8 = 253;
const STRING: u8 = 254;
const GEOMETRY: u8 = 255;

impl Raw {
    fn read(kind: u8, details: &mut Bytes) -> Result<Raw, Malformed> {
        let mut detail = [0; 2];
        let length = match kind {
            FLOAT
            | DOUBLE
            | TIMESTAMP2
            | DATETIME2
            | TIME2
            | BLOB_COMPRESSED
            | VECTOR
            | JSON
            | TINY_BLOB..=BLOB
            | GEOMETRY => 1,
            VARCHAR | VARCHAR_COMPRESSED | BIT | NEWDECIMAL | ENUM | SET | VAR_STRING | STRING => 2,
            _ => 0,
        };
        detail[..length].copy_from_slice(details.take(length)?);
        let raw = Raw { kind, detail };
        Ok(Raw {
            kind: raw.real_kind(),
            detail,
        })
    }

    /// Enums and sets stand as fixed strings, with their own type in the detail; so do bits of the length.
    fn real_kind(self) -> u8 {
        match (self.kind, self.detail[0]) {
            (STRING, first @ 1..) => match first | 0x30 {
                ENUM => ENUM,
                SET => SET,
                _ => STRING,
            },
            _ => self.kind,
        }
    }

    fn is_number(self) -> bool {
        // A year counts as one, though it has no sign.
        matches!(
            self.kind,
            TINY | SHORT | INT24 | LONG | LONGLONG | NEWDECIMAL | FLOAT | DOUBLE | YEAR
        )
    }

    /// Whether a collation of its stands in the metadata; MariaDB gives geometries one too.
    fn is_text(self, flavour: Flavour) -> bool {
        match self.kind {
            GEOMETRY => flavour == Flavour::MariaDb,
            STRING | VAR_STRING | VARCHAR | BLOB_COMPRESSED | VARCHAR_COMPRESSED => true,
            kind => (TINY_BLOB..=BLOB).contains(&kind),
        }
    }

    fn is_choice(self) -> bool {
        matches!(self.kind, ENUM | SET)
    }

    /// Bytes that a fixed string has at most; the two highest bits of the length are turned over in the type.
    fn width(self) -> usize {
        usize::from(self.detail[1]) | usize::from((self.detail[0] & 0x30) ^ 0x30) << 4
    }

    fn wire(self, index: usize, metadata: &Metadata, collations: &Collations) -> Wire {
        let [first, second] = self.detail;
        let unsigned = metadata.unsigned.get(index).copied().unwrap_or(false);
        let integer = |bytes| Wire::Integer { bytes, unsigned };
        let collation = metadata.collations.get(index).copied().flatten();
        let charset = collation.map_or(Charset::Unknown, |id| collations.charset(id));
        let text = |prefix, width| match charset {
            Charset::Binary => Wire::Binary { prefix, width },
            _ => Wire::Text { prefix, charset },
        };
        let prefix_of = |length: usize| if length < 256 { 1 } else { 2 };
        let labels = || {
            let labels = metadata.labels.get(index).cloned().flatten()?;
            let read = labels.iter().map(|label| charset.read(label).ok());
            let read: Option<Vec<String>> = read.map(|label| Some(label?.into_owned())).collect();
            Some(Arc::from(read?))
        };
        let opaque = |prefix, name| Wire::Opaque { prefix, name };
        match self.kind {
            TINY => integer(1),
            SHORT => integer(2),
            INT24 => integer(3),
            LONG => integer(4),
            LONGLONG => integer(8),
            FLOAT => Wire::Float,
            DOUBLE => Wire::Double,
            NEWDECIMAL if first <= 65 && second <= first => Wire::Decimal {
                precision: first,
                scale: second,
            },
            YEAR => Wire::Year,
            DATE | NEWDATE => Wire::Date,
            TIME2 if first <= 6 => Wire::Time { digits: first },
            DATETIME2 if first <= 6 => Wire::DateTime { digits: first },
            TIMESTAMP2 if first <= 6 => Wire::Timestamp { digits: first },
            BIT if usize::from(second) * 8 + usize::from(first) <= 64 => Wire::Bit {
                bytes: usize::from(second) + usize::from(first > 0),
            },
            ENUM if (1..=2).contains(&second) => Wire::Enum {
                bytes: usize::from(second),
                labels: labels(),
            },
            SET if (1..=8).contains(&second) => Wire::Set {
                bytes: usize::from(second),
                labels: labels(),
            },
            VARCHAR | VAR_STRING => text(prefix_of(little_endian(&self.detail) as usize), None),
            STRING => text(prefix_of(self.width()), Some(self.width())),
            TINY_BLOB..=BLOB if (1..=4).contains(&first) => text(usize::from(first), None),
            JSON if (1..=4).contains(&first) => Wire::Json {
                prefix: usize::from(first),
            },
            VECTOR => opaque(usize::from(first), "a VECTOR"),
            GEOMETRY => opaque(usize::from(first), "a geometry"),
            BLOB_COMPRESSED => opaque(usize::from(first), "a COMPRESSED column"),
            VARCHAR_COMPRESSED => opaque(
                prefix_of(little_endian(&self.detail) as usize),
                "a COMPRESSED column",
            ),
            other => Wire::Unknown(other),
        }
    }
}

/// What servers add when they write metadata, by column.
#[derive(Debug, Default)]
struct Metadata {
    unsigned: Vec<bool>,
    names: Vec<String>,
    collations: Vec<Option<u64>>,
    labels: Vec<Option<Vec<Vec<u8>>>>,
}

impl Metadata {
    fn read(mut bytes: Bytes, columns: &[Raw], flavour: Flavour) -> Result<Metadata, Malformed> {
        let of = |wanted: &dyn Fn(Raw) -> bool| -> Vec<usize> {
            let columns = columns.iter().enumerate();
            let chosen = columns.filter(|(_, column)| wanted(**column));
            chosen.map(|(index, _)| index).collect()
        };
        let (texts, choices) = (
            of(&|column| column.is_text(flavour)),
            of(&|column| column.is_choice()),
        );
        let mut metadata = Metadata {
            unsigned: vec![false; columns.len()],
            names: Vec::new(),
            collations: vec![None; columns.len()],
            labels: vec![None; columns.len()],
        };
        while !bytes.is_empty() {
            let field = bytes.u8()?;
            let mut content = Bytes(bytes.packed_bytes()?);
            match field {
                1 => {
                    for (place, column) in of(&|column| column.is_number()).into_iter().enumerate()
                    {
                        // The highest bit of each byte comes first.
                        metadata.unsigned[column] = bit(content.0, place ^ 7);
                    }
                }
                2 => metadata.default_collation(content, &texts)?,
                3 => metadata.each_collation(content, &texts)?,
                4 => {
                    while !content.is_empty() {
                        let name = std::str::from_utf8(content.packed_bytes()?);
                        metadata.names.push(name.map_err(|_| Malformed)?.to_owned());
                    }
                }
                5 => metadata.read_labels(content, &of(&|column| column.kind == SET))?,
                6 => metadata.read_labels(content, &of(&|column| column.kind == ENUM))?,
                10 => metadata.default_collation(content, &choices)?,
                11 => metadata.each_collation(content, &choices)?,
                // Geometry types, primary keys, visibility: not needed.
                _ => {}
            }
        }
        if !metadata.names.is_empty() && metadata.names.len() != columns.len() {
            return Err(Malformed);
        }
        Ok(metadata)
    }

    fn default_collation(
        &mut self,
        mut content: Bytes,
        columns: &[usize],
    ) -> Result<(), Malformed> {
        let default = content.packed()?;
        for column in columns {
            self.collations[*column] = Some(default);
        }
        while !content.is_empty() {
            let place = content.packed_length()?;
            let collation = content.packed()?;
            let column = columns.get(place).ok_or(Malformed)?;
            self.collations[*column] = Some(collation);
        }
        Ok(())
    }

    fn each_collation(&mut self, mut content: Bytes, columns: &[usize]) -> Result<(), Malformed> {
        for column in columns {
            self.collations[*column] = Some(content.packed()?);
        }
        Ok(())
    }

    fn read_labels(&mut self, mut content: Bytes, columns: &[usize]) -> Result<(), Malformed> {
        for column in columns {
            let count = content.packed_length()?;
            let mut labels = Vec::new();
            for _ in 0..count {
                labels.push(content.packed_bytes()?.to_vec());
            }
            self.labels[*column] = Some(labels);
        }
        Ok(())
    }
}
