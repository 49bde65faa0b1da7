//! The schema that may stand beside each message: the same bytes over and over, so it is read once and then
//! only compared.

use centinel_model::TableId;
use serde::Deserialize;

use crate::json::{Cursor, NotJson, Value};
use crate::rows::Layout;

/// More schemas than this are read anew each time: topics have one for each table, and a few more over time.
const MAX_BLOCKS: usize = 64;

/// What a schema says of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of a whole number; so many of its digits stand behind the point.
    Decimal { scale: i32 },
    /// A float.
    Float,
    /// Bytes that are no number.
    Bytes,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
    /// Text of a time that has no zone, though it says one.
    LocalText,
    /// Anything that its value says itself.
    Plain,
}

/// The columns of one schema, by name.
#[derive(Debug, Default)]
struct Kinds(Vec<(String, Kind)>);

/// Names a schema until the next one is read.
pub(super) type BlockId = usize;

/// One schema.
#[derive(Debug)]
struct Block {
    text: Box<str>,
    kinds: Kinds,
    /// By column of the table that it was used for last.
    by_column: Option<(TableId, Vec<Option<Kind>>)>,
}

/// The schemas that were read, the last one first.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    blocks: Vec<Block>,
}

impl Schemas {
    /// Reads the schema that comes next; none if it is null.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<BlockId>, NotJson> {
        if !cursor.at_object() {
            cursor.value()?;
            return Ok(None);
        }
        // A whole object that comes next in the same bytes is that object.
        let known = self
            .blocks
            .iter()
            .position(|block| cursor.skip(block.text.as_bytes()));
        if let Some(place) = known {
            self.blocks[..=place].rotate_right(1);
            return Ok(Some(0));
        }
        let Value::Nested(text) = cursor.value()? else {
            return Err(NotJson);
        };
        let block = Block {
            text: text.into(),
            kinds: Kinds::read(text),
            by_column: None,
        };
        self.blocks.truncate(MAX_BLOCKS - 1);
        self.blocks.insert(0, block);
        Ok(Some(0))
    }

    /// What a schema says of the columns of a layout, by column; none for one that it does not have.
    pub(super) fn of(
        &mut self,
        block: Option<BlockId>,
        layout: &Layout,
    ) -> Option<&[Option<Kind>]> {
        let block = self.blocks.get_mut(block?)?;
        let known = block.by_column.as_ref();
        if known.is_none_or(|(table, _)| *table != layout.table) {
            block.by_column = Some((layout.table, block.kinds.of(layout)));
        }
        block.by_column.as_ref().map(|(_, kinds)| kinds.as_slice())
    }
}

#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    field: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    scale: Option<String>,
}

impl Kinds {
    /// The columns of a schema of the envelope, or of the row itself where messages are flattened. One that is
    /// of no known form says nothing.
    fn read(text: &str) -> Kinds {
        let Ok(schema) = serde_json::from_str::<Field>(text) else {
            return Kinds::default();
        };
        let image = |name: &str| schema.fields.iter().find(|field| field.field == name);
        let image = image("after").or_else(|| image("before"));
        let fields = match image.filter(|image| image.kind == "struct") {
            Some(image) => &image.fields,
            None => &schema.fields,
        };
        let columns = fields.iter();
        Kinds(
            columns
                .map(|field| (field.field.clone(), kind(field)))
                .collect(),
        )
    }

    fn of(&self, layout: &Layout) -> Vec<Option<Kind>> {
        let columns = layout.columns.iter().enumerate();
        columns
            .map(|(index, column)| {
                // Mostly the columns stand in the order of the schema file.
                let here = self.0.get(index).filter(|(name, _)| *name == column.name);
                let mut all = self.0.iter();
                here.or_else(|| all.find(|(name, _)| name.eq_ignore_ascii_case(&column.name)))
                    .map(|(_, kind)| *kind)
            })
            .collect()
    }
}

fn kind(field: &Field) -> Kind {
    match field.name.as_deref().unwrap_or("") {
        "org.apache.kafka.connect.data.Decimal" => {
            let scale = field.parameters.as_ref().and_then(|all| all.scale.as_ref());
            match scale.and_then(|scale| scale.parse().ok()) {
                Some(scale) => Kind::Decimal { scale },
                None => Kind::Bytes,
            }
        }
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Kind::Millis,
        "io.debezium.time.MicroTimestamp" => Kind::Micros,
        "io.debezium.time.NanoTimestamp" => Kind::Nanos,
        "io.debezium.time.IsoTimestamp" => Kind::LocalText,
        _ if matches!(
            field.kind.as_str(),
            "float" | "double" | "float32" | "float64"
        ) =>
        {
            Kind::Float
        }
        _ if field.kind == "bytes" => Kind::Bytes,
        _ => Kind::Plain,
    }
}
