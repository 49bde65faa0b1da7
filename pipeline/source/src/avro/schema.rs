//! Schemas of Avro: the shape of each type, and what Kafka Connect notes beside it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// More types than this are no row of a table.
const MAX_NODES: usize = 20_000;

/// One schema. Types refer to each other by their place, so that a type may hold itself.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Node>,
    root: usize,
    /// What stands before each value when it is written as JSON with its schema.
    prefix: String,
}

/// One type.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) meaning: Meaning,
}

/// How values of a type are written. Numbers are places of other types.
#[derive(Debug)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    /// So many bytes.
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Field>),
}

/// One member of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) node: usize,
}

/// What values of a type stand for, in the words of Kafka Connect.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) name: Option<String>,
    /// Of a decimal.
    pub(super) scale: Option<i64>,
}

impl Schema {
    /// Reads schemas as JSON, each after those that it names types of; the last is the one.
    ///
    /// # Errors
    /// What is wrong with them, or what they have that is not read.
    pub(crate) fn read(texts: &[String]) -> Result<Schema, String> {
        let mut reader = Reader::default();
        let mut root = None;
        for text in texts {
            let schema: Value = serde_json::from_str(text)
                .map_err(|_| "it is not JSON, or its types are nested too deep".to_owned())?;
            root = Some(reader.node(&schema, "")?);
        }
        let mut schema = Schema {
            nodes: reader.nodes,
            root: root.ok_or("it is empty")?,
            prefix: String::new(),
        };
        schema.prefix = schema.connect_prefix()?;
        Ok(schema)
    }

    pub(super) fn root(&self) -> usize {
        self.root
    }

    pub(super) fn node(&self, place: usize) -> &Node {
        &self.nodes[place]
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[derive(Default)]
struct Reader {
    nodes: Vec<Node>,
    named: HashMap<String, usize>,
}

impl Reader {
    /// Reads one type; gives its place.
    fn node(&mut self, schema: &Value, namespace: &str) -> Result<usize, String> {
        match schema {
            Value::String(name) => match primitive(name) {
                Some(shape) => self.add(shape, Meaning::default()),
                None => self.find(name, namespace),
            },
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            _ => Err("a type is neither a name, a list nor an object".into()),
        }
    }

    fn add(&mut self, shape: Shape, meaning: Meaning) -> Result<usize, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} types"));
        }
        self.nodes.push(Node { shape, meaning });
        Ok(self.nodes.len() - 1)
    }

    fn find(&self, name: &str, namespace: &str) -> Result<usize, String> {
        let full = full_name(name, namespace);
        let found = self.named.get(&full).copied();
        found.ok_or_else(|| "it names a type that it does not define".into())
    }

    /// Connect writes unions of a type and null only. One of several types would leave open what a column holds.
    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<usize, String> {
        let places = branches
            .iter()
            .map(|branch| self.node(branch, namespace))
            .collect::<Result<Vec<_>, _>>()?;
        let shapes = places.iter().map(|place| &self.nodes[*place].shape);
        let others = shapes.filter(|shape| !matches!(shape, Shape::Null));
        let nested = others.clone().any(|shape| matches!(shape, Shape::Union(_)));
        if nested || others.count() > 1 {
            return Err(
                "it has a union of several types, which Kafka Connect does not write".into(),
            );
        }
        self.add(Shape::Union(places), Meaning::default())
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<usize, String> {
        let meaning = Meaning::read(object);
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(inner) if meaning == Meaning::default() => return self.node(inner, namespace),
            _ => {
                return Err("an object in it has no `type`, or a `type` that says too much".into());
            }
        };
        if let Some(shape) = primitive(kind) {
            return self.add(shape, meaning);
        }
        match kind {
            "array" | "map" => {
                let inner = if kind == "array" { "items" } else { "values" };
                let inner = object.get(inner).ok_or("a list or map in it has no type")?;
                let inner = self.node(inner, namespace)?;
                let shape = match kind {
                    "array" => Shape::Array(inner),
                    _ => Shape::Map(inner),
                };
                self.add(shape, meaning)
            }
            "record" | "enum" | "fixed" => self.definition(kind, object, meaning, namespace),
            name => self.find(name, namespace),
        }
    }

    /// A type with a name.
    fn definition(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        meaning: Meaning,
        namespace: &str,
    ) -> Result<usize, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let name = text("name").ok_or("a type in it has no name")?;
        let full = full_name(name, text("namespace").unwrap_or(namespace));
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let shape = match kind {
            "fixed" => Shape::Fixed(fixed_size(object)?),
            "enum" => Shape::Enum(symbols(object)?),
            _ => Shape::Record(Vec::new()),
        };
        let place = self.add(shape, meaning)?;
        if self.named.insert(full.clone(), place).is_some() {
            return Err("it defines a type twice".into());
        }
        if kind == "record" {
            self.nodes[place].shape = Shape::Record(self.fields(object, namespace)?);
        }
        Ok(place)
    }

    fn fields(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Vec<Field>, String> {
        let fields = object.get("fields").and_then(Value::as_array);
        let fields = fields.ok_or("a record in it has no fields")?;
        let mut names = HashSet::new();
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.get("name").and_then(Value::as_str);
            let name = name.ok_or("a field in it has no name")?;
            if !names.insert(name) {
                return Err("a record in it has two fields of one name".into());
            }
            let kind = field.get("type").ok_or("a field in it has no type")?;
            read.push(Field {
                name: name.to_owned(),
                node: self.node(kind, namespace)?,
            });
        }
        Ok(read)
    }
}

fn primitive(name: &str) -> Option<Shape> {
    Some(match name {
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "int" => Shape::Int,
        "long" => Shape::Long,
        "float" => Shape::Float,
        "double" => Shape::Double,
        "bytes" => Shape::Bytes,
        "string" => Shape::Text,
        _ => return None,
    })
}

/// A name with a point says its namespace itself.
fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

fn fixed_size(object: &Map<String, Value>) -> Result<usize, String> {
    let size = object.get("size").and_then(Value::as_u64);
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| "a fixed type in it has no size".into())
}

fn symbols(object: &Map<String, Value>) -> Result<Vec<String>, String> {
    let symbols = object.get("symbols").and_then(Value::as_array);
    let symbols = symbols.into_iter().flatten().map(Value::as_str);
    let symbols: Option<Vec<String>> = symbols.map(|symbol| symbol.map(str::to_owned)).collect();
    symbols
        .filter(|symbols| !symbols.is_empty())
        .ok_or_else(|| "an enum in it has no symbols".into())
}

impl Meaning {
    /// What stands beside a type: Connect's own name for it goes before Avro's logical type.
    fn read(object: &Map<String, Value>) -> Meaning {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let name = text("connect.name").or_else(|| text("logicalType").and_then(connect_name));
        let name = name.map(str::to_owned);
        let scale = match name.as_deref() {
            Some(DECIMAL) => scale(object),
            _ => None,
        };
        Meaning { name, scale }
    }
}

pub(super) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// The name by which Connect or Debezium know a logical type of Avro.
fn connect_name(logical: &str) -> Option<&'static str> {
    Some(match logical {
        "decimal" => DECIMAL,
        "date" => "io.debezium.time.Date",
        "timestamp-millis" | "local-timestamp-millis" => "io.debezium.time.Timestamp",
        "timestamp-micros" | "local-timestamp-micros" => "io.debezium.time.MicroTimestamp",
        "timestamp-nanos" | "local-timestamp-nanos" => "io.debezium.time.NanoTimestamp",
        _ => return None,
    })
}

/// How many digits of a decimal stand behind its point; none where its two declarations differ.
fn scale(object: &Map<String, Value>) -> Option<i64> {
    let avro = match object.get("scale") {
        Some(scale) => Some(scale.as_i64()?),
        None if object.contains_key("logicalType") => Some(0),
        None => None,
    };
    let connect = object
        .get("connect.parameters")
        .and_then(|all| all.get("scale"));
    let connect = match connect {
        Some(scale) => Some(scale.as_str()?.parse().ok()?),
        None => None,
    };
    match (avro, connect) {
        (Some(avro), Some(connect)) if avro != connect => None,
        _ => connect.or(avro),
    }
}
