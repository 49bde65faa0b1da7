//! Where rows and messages come from: `from`, `shard`, `times` and `json`.

use super::declare::{TableDeclaration, refuse_for_events};
use super::form::{Entries, Fields, Form};
use super::mistakes::{Mistakes, shorten};
use super::resolve::{All, said};
use super::yaml::{Node, Placed};
use crate::{
    ColumnType, MessageField, MessageMapping, TableKind, TablePattern, TimeForm, parse_zone,
};

/// What a file says of the origin of its rows or messages.
#[derive(Debug, Default)]
pub(super) struct OriginDeclaration {
    pub from: Vec<TablePattern>,
    pub shard: Option<Placed<String>>,
    pub zone_seconds: Option<i32>,
    json: JsonDeclaration,
}

#[derive(Debug, Default)]
struct JsonDeclaration {
    message_id: Option<MessageField>,
    committed_at: Option<MessageField>,
    columns: Vec<(Placed<String>, MessageField)>,
    time: TimeForm,
}

pub(super) fn origin(form: &mut Form, fields: &mut Fields, kind: TableKind) -> OriginDeclaration {
    match kind {
        TableKind::Events => {
            let remedy = "remove it: the topic of an event is named where messages are read";
            refuse_for_events(form, fields, "from", remedy);
            let remedy = "remove it: messages are told apart by their id alone";
            refuse_for_events(form, fields, "shard", remedy);
        }
        TableKind::Rows | TableKind::History(_) => {
            if let Some(place) = fields.key_place("json") {
                let remedy = "remove it: rows come as change logs, whose forms are known";
                form.refuse(place, "a table declares no `json`", remedy);
                fields.take("json");
            }
        }
    }
    let from = fields.take("from").map(|node| patterns(form, node));
    let shard = fields.take("shard");
    let times = fields.take("times");
    let json = fields.take("json");
    OriginDeclaration {
        from: from.unwrap_or_default(),
        shard: shard.and_then(|node| form.text("shard", node)),
        zone_seconds: times.and_then(|node| zone(form, node)),
        json: json
            .and_then(|node| mapping(form, node))
            .unwrap_or_default(),
    }
}

fn patterns(form: &mut Form, node: Placed<Node>) -> Vec<TablePattern> {
    let texts = match node.value {
        Node::List(_) => form.texts("from", node),
        _ => form.text("from", node).map(|text| vec![text]),
    };
    let texts = texts.unwrap_or_default().into_iter();
    texts
        .filter_map(|text| {
            let pattern = TablePattern::parse(&text.value);
            if pattern.is_none() {
                let problem = format!("`{}` names no physical tables", shorten(&text.value));
                let remedy = "write `database.table`, where `*` stands for any characters, such as \"pay_*.payment_*\"";
                form.refuse(text.place, problem, remedy);
            }
            pattern
        })
        .collect()
}

fn zone(form: &mut Form, node: Placed<Node>) -> Option<i32> {
    let mut fields = form.fields("times", node, &["zone"])?;
    let text = fields.require(form, "zone", "\"+08:00\"")?;
    let text = form.text("zone of times", text)?;
    let zone = parse_zone(&text.value);
    if zone.is_none() {
        let problem = format!("`{}` is not a fixed offset from UTC", shorten(&text.value));
        form.refuse(text.place, problem, "write \"+08:00\", \"-03:30\" or Z");
    }
    zone
}

fn mapping(form: &mut Form, node: Placed<Node>) -> Option<JsonDeclaration> {
    const FIELDS: [&str; 4] = ["message_id", "committed_at", "columns", "time"];
    const TIMES: [(&str, TimeForm); 4] = [
        ("rfc3339", TimeForm::Rfc3339),
        ("millis", TimeForm::Millis),
        ("micros", TimeForm::Micros),
        ("seconds", TimeForm::Seconds),
    ];
    let mut fields = form.fields("json", node, &FIELDS)?;
    let message_id = fields.take("message_id");
    let committed_at = fields.take("committed_at");
    let columns: Option<Entries> = fields
        .take("columns")
        .and_then(|node| form.entries("columns of json", node));
    let time = fields.take("time");
    Some(JsonDeclaration {
        message_id: message_id.and_then(|node| field(form, "message_id of json", node, false)),
        committed_at: committed_at.and_then(|node| field(form, "committed_at of json", node, true)),
        columns: columns
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, node)| {
                let what = format!("column `{}` of json", shorten(&name.value));
                let field = field(form, &what, node, false)?;
                Some((name, field))
            })
            .collect(),
        time: time
            .and_then(|node| form.choice("time of json", node, &TIMES))
            .unwrap_or_default(),
    })
}

/// Where one value stands; only the time of publishing may be the message's own time.
fn field(form: &mut Form, what: &str, node: Placed<Node>, time: bool) -> Option<MessageField> {
    let text = form.text(what, node)?;
    let found = MessageField::parse(&text.value);
    let found = found.filter(|field| time || *field != MessageField::Time);
    if found.is_none() {
        let problem = format!(
            "{what}: `{}` names no part of a message",
            shorten(&text.value)
        );
        let remedy = if time {
            "write a path such as `$.data.time`, `message` for the time that the message itself carries, `header:name`, or `key`"
        } else {
            "write a path such as `$.data.id`, `header:name`, or `key`"
        };
        form.refuse(text.place, problem, remedy);
    }
    found
}

impl All<'_> {
    /// The physical tables of this table; none for events.
    pub fn from(&self, table: &TableDeclaration) -> Vec<TablePattern> {
        match table.kind {
            TableKind::Events | TableKind::History(_) => Vec::new(),
            TableKind::Rows if table.origin.from.is_empty() => {
                vec![TablePattern::of_name(&table.name.value)]
            }
            TableKind::Rows => table.origin.from.clone(),
        }
    }

    /// The column that names the physical table.
    pub fn shard(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Option<usize> {
        let name = table.origin.shard.as_ref()?;
        let index = self.column(table, name, mistakes)?;
        let column = &table.columns[index];
        if column.kind.is_some_and(|kind| kind != ColumnType::Text) {
            let problem = format!("shard column `{}` is {}", name.value, said(column));
            let remedy = "declare it as text: it holds `database.table`";
            mistakes.at(self.file(table), name.place, problem, remedy);
        } else if !table.primary_key.iter().any(|key| key.value == name.value) {
            let problem = format!(
                "shard column `{}` is not part of the primary key",
                name.value
            );
            let remedy = "add it to `primary_key`: rows of two shards may have the same number";
            mistakes.at(self.file(table), name.place, problem, remedy);
        }
        Some(index)
    }

    /// How messages become this event; none for tables.
    pub fn message(
        &self,
        table: &TableDeclaration,
        mistakes: &mut Mistakes,
    ) -> Option<MessageMapping> {
        if table.kind == TableKind::Rows {
            return None;
        }
        let json = &table.origin.json;
        let own = |name: &str| MessageField::Path(vec![name.to_owned()]);
        let message_id = json.message_id.clone();
        let mut columns: Vec<MessageField> = table
            .columns
            .iter()
            .map(|column| own(&column.name.value))
            .collect();
        for (name, field) in &json.columns {
            if name.value == "message_id" {
                let remedy = "write it beside `columns`, as `message_id: …`";
                let problem = "`message_id` stands among the columns of json";
                mistakes.at(self.file(table), name.place, problem, remedy);
            } else if let Some(index) = self.column(table, name, mistakes) {
                columns[index] = field.clone();
            }
        }
        let message_id = message_id.unwrap_or_else(|| own("message_id"));
        if let Some(first) = columns.first_mut() {
            *first = message_id.clone();
        }
        let committed_at = json.committed_at.clone();
        Some(MessageMapping {
            message_id,
            committed_at: committed_at.unwrap_or_else(|| own("committed_at")),
            columns,
            time: json.time,
        })
    }
}
