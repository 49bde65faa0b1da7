//! A schema as Kafka Connect's JSON converter writes it beside each value.

use super::schema::{Schema, Shape};

/// Records within records that are described with their fields: the envelope's, and in it the row's.
const DESCRIBED: usize = 2;
/// A longer description is no table's: a few types that name each other could make it endless.
const MAX_DESCRIPTION: usize = 1 << 20;

impl Schema {
    /// What stands before a value in a message that carries its schema: `{"schema":…,"payload":`.
    pub(super) fn connect_prefix(&self) -> Result<String, String> {
        let mut out = String::from(r#"{"schema":"#);
        self.describe(self.root(), None, DESCRIBED, &mut out)?;
        out.push_str(r#","payload":"#);
        Ok(out)
    }

    fn describe(
        &self,
        place: usize,
        field: Option<&str>,
        depth: usize,
        out: &mut String,
    ) -> Result<(), String> {
        if out.len() > MAX_DESCRIPTION {
            return Err("its records are too large".into());
        }
        let node = self.node(place);
        if let Shape::Union(branches) = &node.shape {
            let mut branches = branches.iter();
            let other = branches.find(|branch| !matches!(self.node(**branch).shape, Shape::Null));
            if let Some(other) = other {
                return self.describe(*other, field, depth, out);
            }
        }
        out.push_str(r#"{"type":"#);
        write_text(type_name(&node.shape), out);
        if let (Shape::Record(fields), Some(depth)) = (&node.shape, depth.checked_sub(1)) {
            out.push_str(r#","fields":["#);
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                self.describe(field.node, Some(&field.name), depth, out)?;
            }
            out.push(']');
        }
        let scale = node.meaning.scale.map(|scale| scale.to_string());
        for (name, text) in [("name", node.meaning.name.as_deref()), ("field", field)] {
            if let Some(text) = text {
                out.push(',');
                write_text(name, out);
                out.push(':');
                write_text(text, out);
            }
        }
        if let Some(scale) = &scale {
            out.push_str(r#","parameters":{"scale":"#);
            write_text(scale, out);
            out.push('}');
        }
        out.push('}');
        Ok(())
    }
}

fn type_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Null | Shape::Union(_) => "null",
        Shape::Boolean => "boolean",
        Shape::Int => "int32",
        Shape::Long => "int64",
        Shape::Float => "float",
        Shape::Double => "double",
        Shape::Bytes | Shape::Fixed(_) => "bytes",
        Shape::Text | Shape::Enum(_) => "string",
        Shape::Array(_) => "array",
        Shape::Map(_) => "map",
        Shape::Record(_) => "struct",
    }
}

/// A text as JSON.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (place, byte) in text.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..0x20) {
            continue;
        }
        out.push_str(&text[plain..place]);
        plain = place + 1;
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            _ => out.push_str(&format!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
