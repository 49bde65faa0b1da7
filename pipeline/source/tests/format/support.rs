use std::sync::OnceLock;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, HoleReason, LineContent, Position, Timestamp};
use centinel_source::{Format, MessageDecoder, RawMessage, RawMessages};

pub const NOW: &str = "2026-11-22T08:00:00Z";
/// 2026-11-22T07:59:00Z in milliseconds.
pub const MILLIS: i64 = 1_795_334_340_000;

const SCHEMAS: [(&str, &str); 5] = [
    (
        "entities.yaml",
        "centinel: entities/1\nentities: { order: { key: [order_no], normalise: [trim, upper] } }\n",
    ),
    (
        "payment.yaml",
        "centinel: schema/1\ntable: payment\nsystem: pay\nsource: pay-db\nprimary_key: [payment_no]\n\
         entities: { order: [order_no] }\ncolumns:\n  payment_no: text\n  order_no: text\n\
         \x20 amount: \"decimal(18,2)\"\n  fen: { type: integer, nullable: true }\n\
         \x20 live: { type: boolean, nullable: true }\n  day: { type: date, nullable: true }\n\
         \x20 paid_at: { type: timestamp, nullable: true }\n  extra: { type: json, nullable: true }\n",
    ),
    (
        "split.yaml",
        "centinel: schema/1\ntable: split\nsystem: pay\nsource: pay-db\nprimary_key: [shard, id]\n\
         from: \"pay_*.split_*\"\nshard: shard\ntimes: { zone: \"+08:00\" }\n\
         columns: { shard: text, id: integer, at: { type: timestamp, nullable: true } }\n",
    ),
    (
        "received.yaml",
        "centinel: schema/1\nevent: received\nsystem: pay\nsource: events\nentities: { order: [order_no] }\n\
         columns: { order_no: text, amount: \"decimal(18,2)\", fen: { type: integer, nullable: true }, at: { type: \
         timestamp, nullable: true } }\n\
         json:\n  message_id: header:ce_id\n  committed_at: $.head.time\n  time: millis\n\
         \x20 columns: { order_no: $.data.orderNo, amount: $.data.amount, fen: key }\n",
    ),
    (
        "plain.yaml",
        "centinel: schema/1\nevent: plain\nsystem: pay\nsource: events\n\
         columns: { order_no: text, at: { type: timestamp, nullable: true }, live: { type: boolean, nullable: true } }\n",
    ),
];

/// A table of one shape in each kind of trouble.
pub fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in SCHEMAS {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        centinel_catalog::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    })
}

/// A message on its way to a partition.
#[derive(Clone, Default)]
pub struct Sent {
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub written_at: Option<Timestamp>,
}

impl From<&str> for Sent {
    fn from(value: &str) -> Sent {
        Sent {
            value: Some(value.as_bytes().to_vec()),
            ..Sent::default()
        }
    }
}

pub fn decoder(format: Format) -> MessageDecoder {
    MessageDecoder::new(catalog(), format).unwrap()
}

/// Puts messages into a partition; the first has offset 100, the others follow with a gap.
pub fn partition(name: &str, sent: &[Sent]) -> RawMessages {
    let mut bytes = b"-".to_vec();
    let mut put = |part: &[u8]| {
        let start = bytes.len();
        bytes.extend_from_slice(part);
        start..bytes.len()
    };
    let messages: Vec<RawMessage> = sent
        .iter()
        .enumerate()
        .map(|(index, sent)| RawMessage {
            offset: 100 + 2 * index as u64,
            written_at: sent.written_at,
            key: sent.key.as_ref().map(|key| put(key.as_bytes())),
            value: sent.value.as_ref().map(|value| put(value)),
            headers: sent
                .headers
                .iter()
                .map(|(name, value)| (put(name.as_bytes()), put(value)))
                .collect(),
        })
        .collect();
    let end = 100 + 2 * sent.len() as u64;
    let at = |next| Position::Partition { next, known: None };
    RawMessages {
        input: name.into(),
        start: at(100),
        end,
        after: at(end),
        bytes,
        messages,
    }
}

pub fn decode(decoder: &mut MessageDecoder, values: &[&str]) -> DecodedChunk {
    let sent: Vec<Sent> = values.iter().map(|value| Sent::from(*value)).collect();
    decode_sent(decoder, &sent)
}

pub fn decode_sent(decoder: &mut MessageDecoder, sent: &[Sent]) -> DecodedChunk {
    decoder
        .decode(partition("topic/0", sent), Timestamp::parse(NOW).unwrap())
        .unwrap()
}

/// Every line in one text each: what happened to which table, its version, time and images.
pub fn told(chunk: &DecodedChunk) -> Vec<String> {
    let lines = chunk.lines.iter();
    lines.map(|line| told_line(chunk, &line.content)).collect()
}

fn told_line(chunk: &DecodedChunk, content: &LineContent) -> String {
    let (table, row) = match content {
        LineContent::Nothing => return "nothing".into(),
        LineContent::Heartbeat { .. } => return "heartbeat".into(),
        LineContent::Hole { hole, .. } => {
            let hole = &chunk.holes[*hole as usize];
            let entities: Vec<&str> = hole.entities.iter().map(|(_, key)| key.as_str()).collect();
            let table = hole.table.map(|table| catalog().table(table).name.as_str());
            return format!(
                "hole {:?} {} [{}] {}",
                hole.reason,
                table.unwrap_or("?"),
                entities.join(" "),
                hole.message
            );
        }
        LineContent::Change { table, row, .. } | LineContent::Event { table, row } => {
            (usize::from(*table), *row as usize)
        }
    };
    let changes = &chunk.tables[table];
    let version = changes.versions[row];
    let image = |images: &centinel_model::Images| {
        images.row[row].map(|row| shown(&images.rows, row as usize))
    };
    let mut text = format!(
        "{} {:?} {}/{}/{} {}",
        catalog().table(changes.table).name,
        changes.operations[row],
        version.epoch,
        version.sequence,
        version.ordinal,
        changes.committed_at[row]
    );
    if let Some(before) = image(&changes.before) {
        text += &format!(" before {before}");
    }
    if let Some(after) = image(&changes.after) {
        text += &format!(" after {after}");
    }
    text
}

/// The columns of a row that are not null.
fn shown(rows: &RecordBatch, row: usize) -> String {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let columns = columns.filter(|(_, column)| !column.is_null(row));
    let shown: Vec<String> = columns
        .map(|(field, column)| {
            format!(
                "{}={}",
                field.name(),
                array_value_to_string(column, row).unwrap()
            )
        })
        .collect();
    shown.join(" ")
}

/// The value of a column after the only change of the only message, or why it was refused or lost.
pub fn value_of(chunk: &DecodedChunk, column: &str) -> Result<String, (HoleReason, String)> {
    if let Some(hole) = chunk.holes.first() {
        return Err((hole.reason, hole.message.clone()));
    }
    let drifts = chunk.shapes.iter().flat_map(|shape| &shape.drifts);
    for drift in drifts {
        if catalog().table(chunk.tables[0].table).columns[drift.column].name == column {
            return Err((HoleReason::Drift, drift.what.clone()));
        }
    }
    let rows = &chunk.tables[0].after.rows;
    let column = rows.column_by_name(column).unwrap();
    assert_eq!(rows.num_rows(), 1);
    Ok(array_value_to_string(column, 0).unwrap())
}

/// Asserts that there is one hole and that it says this.
#[track_caller]
pub fn assert_hole(chunk: &DecodedChunk, reason: HoleReason, says: &[&str]) {
    let told = told(chunk);
    assert_eq!(chunk.holes.len(), 1, "{told:#?}");
    let hole = &chunk.holes[0];
    assert_eq!(hole.reason, reason, "{told:#?}");
    for text in says {
        assert!(hole.message.contains(text), "`{text}` in {told:#?}");
    }
}
