//! The schema that may stand beside each message: the same bytes over and over, so it is read once and then
//! only compared.

use centinel_catalog::ColumnType;
use centinel_model::TableId;
use serde::Deserialize;

use crate::json::{Cursor, NotJson, Value};
use crate::rows::Layout;
use crate::shape::{Lost, Why};

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
    /// Days since 1970.
    Days,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Text of any other kind.
    Text,
    /// Anything that its value says itself.
    Plain,
}

impl Kind {
    /// Why a column cannot take such values, where it cannot.
    fn misfit(self, declared: ColumnType) -> Option<&'static str> {
        use ColumnType as Declared;
        let fits = match (self, declared) {
            (Kind::Plain, _) => true,
            (Kind::Text | Kind::LocalText, Declared::Boolean) => false,
            (Kind::Text | Kind::LocalText, _) => true,
            (Kind::Bytes, Declared::Text | Declared::Json) => true,
            (Kind::Decimal { .. }, Declared::Decimal { .. }) => true,
            (Kind::Decimal { scale }, Declared::Integer) => scale <= 0,
            (Kind::Integer, Declared::Integer | Declared::Decimal { .. } | Declared::Boolean) => {
                true
            }
            (Kind::Integer | Kind::Days, Declared::Date) => true,
            (Kind::Boolean, Declared::Boolean | Declared::Integer) => true,
            (Kind::Millis | Kind::Micros | Kind::Nanos, Declared::Timestamp) => true,
            _ => false,
        };
        (!fits).then(|| self.told())
    }

    fn told(self) -> &'static str {
        match self {
            Kind::Decimal { .. } => "is a DECIMAL in its messages",
            Kind::Float => {
                "is a float in its messages, which does not hold amounts exactly; make it a DECIMAL in the database, and \
                 set decimal.handling.mode=precise or string"
            }
            Kind::Bytes => "is bytes in its messages",
            Kind::Millis | Kind::Micros | Kind::Nanos => "is a time in its messages",
            Kind::Days => "is a DATE in its messages",
            Kind::Integer => "is a whole number in its messages",
            Kind::Boolean => "is true or false in its messages",
            Kind::LocalText | Kind::Text | Kind::Plain => "is text in its messages",
        }
    }
}

/// What a schema says of a table's columns.
#[derive(Debug)]
pub(super) struct Known {
    /// By column; none for one that the schema does not have.
    pub(super) kinds: Vec<Option<Kind>>,
    /// The columns that cannot take what it says of them.
    pub(super) unfit: Lost,
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
    known: Option<(TableId, Known)>,
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
            known: None,
        };
        self.blocks.truncate(MAX_BLOCKS - 1);
        self.blocks.insert(0, block);
        Ok(Some(0))
    }

    /// What a schema says of the columns of a layout.
    pub(super) fn of(&mut self, block: Option<BlockId>, layout: &Layout) -> Option<&Known> {
        let block = self.blocks.get_mut(block?)?;
        let known = block.known.as_ref();
        if known.is_none_or(|(table, _)| *table != layout.table) {
            block.known = Some((layout.table, block.kinds.of(layout)));
        }
        block.known.as_ref().map(|(_, known)| known)
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

    fn of(&self, layout: &Layout) -> Known {
        let columns = layout.columns.iter().enumerate();
        let kinds: Vec<Option<Kind>> = columns
            .map(|(index, column)| {
                // Mostly the columns stand in the order of the schema file.
                let here = self.0.get(index).filter(|(name, _)| *name == column.name);
                let mut all = self.0.iter();
                here.or_else(|| all.find(|(name, _)| name.eq_ignore_ascii_case(&column.name)))
                    .map(|(_, kind)| *kind)
            })
            .collect();
        let mut unfit = Lost::default();
        for (index, kind) in kinds.iter().enumerate() {
            let why = kind.and_then(|kind| kind.misfit(layout.columns[index].kind));
            // Without a column that places its row, each value that does not fit is refused.
            if let Some(why) = why.filter(|_| !layout.places[index]) {
                unfit.add(index, Why::OtherType(why.into()));
            }
        }
        Known { kinds, unfit }
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
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Kind::Days,
        _ if matches!(
            field.kind.as_str(),
            "float" | "double" | "float32" | "float64"
        ) =>
        {
            Kind::Float
        }
        "" => match field.kind.as_str() {
            "bytes" => Kind::Bytes,
            "string" => Kind::Text,
            "boolean" => Kind::Boolean,
            "int8" | "int16" | "int32" | "int64" => Kind::Integer,
            _ => Kind::Plain,
        },
        _ if field.kind == "bytes" => Kind::Bytes,
        _ if field.kind == "string" => Kind::Text,
        _ => Kind::Plain,
    }
}
