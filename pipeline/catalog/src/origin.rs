//! Where the rows of a table and the messages of an event come from, and how they are told.

/// A pattern of physical tables, `database.table`: `*` stands for any run of characters but the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern {
    database: String,
    table: String,
}

impl TablePattern {
    /// Reads `pay_*.payment_*`. `None` unless it is two names with one point between them, of letters, digits
    /// and `_`, `-`, `$`, `*`.
    pub fn parse(text: &str) -> Option<TablePattern> {
        let (database, table) = text.split_once('.')?;
        let part = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-$*".contains(&byte);
            (!text.is_empty() && text.bytes().all(|byte| fits(byte) || !byte.is_ascii()))
                .then(|| text.to_owned())
        };
        Some(TablePattern {
            database: part(database)?,
            table: part(table)?,
        })
    }

    /// The pattern of a table that keeps its name in any database.
    pub fn of_name(table: &str) -> TablePattern {
        TablePattern {
            database: "*".to_owned(),
            table: table.to_owned(),
        }
    }

    /// Whether this physical table is meant. Names are compared as they are written.
    pub fn matches(&self, database: &str, table: &str) -> bool {
        fits(&self.database, database) && fits(&self.table, table)
    }

    /// Whether a physical table of this name may be meant, in whatever database.
    pub fn matches_table(&self, table: &str) -> bool {
        fits(&self.table, table)
    }
}

impl std::fmt::Display for TablePattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.database, self.table)
    }
}

/// Whether a name fits a pattern. What a `*` stands for is only ever made longer at the last one, which is
/// enough: the steps are at most the product of both lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut in_name) = (0, 0);
    let mut last_star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if *byte == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match last_star {
                Some((star, taken)) if name[taken] != b'.' => {
                    last_star = Some((star, taken + 1));
                    (at, in_name) = (star + 1, taken + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How a plain JSON message becomes an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMapping {
    /// Where its `message_id` stands.
    pub message_id: MessageField,
    /// Where the time stands at which it was published.
    pub committed_at: MessageField,
    /// For each column of the event where its value stands; that of `message_id` again first.
    pub columns: Vec<MessageField>,
    /// How times are written, in the columns too.
    pub time: TimeForm,
}

impl MessageMapping {
    /// Whether everything stands in the message's value.
    pub fn is_in_the_value(&self) -> bool {
        let fields = [&self.message_id, &self.committed_at];
        let mut fields = fields.into_iter().chain(&self.columns);
        fields.all(|field| matches!(field, MessageField::Path(_)))
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageField {
    /// The value of this header.
    Header(String),
    /// The message's key.
    Key,
    /// The time that the message itself carries.
    Time,
    /// The value at the end of these names, from the outermost object inwards.
    Path(Vec<String>),
}

impl MessageField {
    /// Reads `header:ce_id`, `key`, `message` or `$.data.id`; `None` for anything else.
    pub fn parse(text: &str) -> Option<MessageField> {
        if let Some(path) = text.strip_prefix("$.") {
            let names: Vec<String> = path.split('.').map(str::to_owned).collect();
            let odd = |byte: u8| byte <= b' ' || b"[]\"'*\\".contains(&byte);
            let right = |name: &String| !name.is_empty() && !name.bytes().any(odd);
            return names.iter().all(right).then_some(MessageField::Path(names));
        }
        match (text, text.strip_prefix("header:")) {
            ("key", _) => Some(MessageField::Key),
            ("message", _) => Some(MessageField::Time),
            (_, Some(name)) if !name.is_empty() => Some(MessageField::Header(name.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for MessageField {
    /// As schema files write it.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MessageField::Header(name) => write!(out, "header:{name}"),
            MessageField::Key => out.write_str("key"),
            MessageField::Time => out.write_str("message"),
            MessageField::Path(names) => write!(out, "$.{}", names.join(".")),
        }
    }
}

/// How the times of a message are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeForm {
    /// As RFC 3339 text.
    #[default]
    Rfc3339,
    /// Seconds since 1970, as a whole number.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
}

/// Reads a fixed offset from UTC, `+08:00` or `Z`, as seconds to the east; at most 18 hours.
pub fn parse_zone(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (east, rest) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let [h1, h2, b':', m1, m2] = rest else {
        return None;
    };
    let number = |tens: &u8, ones: &u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let (hours, minutes) = (number(h1, h2)?, number(m1, m2)?);
    let minutes = (minutes < 60).then_some(hours * 60 + minutes)?;
    (minutes <= 18 * 60).then_some(east * minutes * 60)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_but_a_point() {
        let table = [
            ("pay_*.payment_*", "pay_03", "payment_0017", true),
            ("pay_*.payment_*", "pay_", "payment_", true),
            ("pay_*.payment_*", "pay", "payment_1", false),
            ("*.payment", "pay", "payment", true),
            ("*.payment", "pay", "payments", false),
            ("*.payment", "a.b", "payment", false),
            ("*.*_0*1", "x", "pay_0_0_11", true),
            ("*.*_0*1", "x", "pay_0_0_12", false),
            ("Pay.T", "pay", "T", false),
            ("支付.payment", "支付", "payment", true),
        ];
        for (pattern, database, name, matches) in table {
            let pattern = TablePattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(database, name),
                matches,
                "{pattern} {database}.{name}"
            );
        }
        for text in ["payment", "a.b.c", ".a", "a.", "a b.c", "a.b;", ""] {
            assert_eq!(TablePattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = TablePattern::parse(&format!("{}b.t", "a*".repeat(500))).unwrap();
        assert!(!pattern.matches(&"a".repeat(5_000), "t"));
    }

    #[test]
    fn fields_of_messages_are_written_as_they_are_read() {
        for text in [
            "header:ce_id",
            "key",
            "message",
            "$.id",
            "$.data.payment-no",
        ] {
            assert_eq!(MessageField::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "$", "$.", "$.a..b", "$.a[0]", "id", "header:", "$.a b"] {
            assert_eq!(MessageField::parse(text), None, "{text}");
        }
    }

    #[test]
    fn zones_are_fixed_offsets() {
        assert_eq!(parse_zone("+08:00"), Some(8 * 3_600));
        assert_eq!(parse_zone("-03:30"), Some(-12_600));
        assert_eq!(parse_zone("Z"), Some(0));
        for text in [
            "",
            "8",
            "+8:00",
            "+08:60",
            "+19:00",
            "Asia/Shanghai",
            "+0a:00",
            "08:00",
        ] {
            assert_eq!(parse_zone(text), None, "{text}");
        }
    }
}
