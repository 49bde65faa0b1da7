//! Avro written by hand, from its specification, beside the JSON that Connect's converter makes of the same.
#![allow(dead_code, clippy::unwrap_used)]

/// 2026-11-22T07:59:00Z in milliseconds.
const MILLIS: i64 = 1_795_334_340_000;

/// A whole number: the sign in the lowest bit, seven bits in each byte, the lowest first.
pub fn long(number: i64) -> Vec<u8> {
    let mut folded = ((number as u64) << 1) ^ ((number >> 63) as u64);
    let mut bytes = Vec::new();
    while folded > 0x7f {
        bytes.push(folded as u8 | 0x80);
        folded >>= 7;
    }
    bytes.push(folded as u8);
    bytes
}

/// Bytes or a text: the length before it.
pub fn counted(content: impl AsRef<[u8]>) -> Vec<u8> {
    [
        long(content.as_ref().len() as i64),
        content.as_ref().to_vec(),
    ]
    .concat()
}

/// A value of one column, in both forms.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: &'static str,
    /// Its type in Avro.
    pub avro: String,
    /// Its type as Connect describes it, without `field`, without its braces.
    pub connect: String,
    pub binary: Vec<u8>,
    pub json: String,
}

impl Column {
    pub fn new(
        name: &'static str,
        avro: &str,
        connect: &str,
        binary: Vec<u8>,
        json: &str,
    ) -> Column {
        Column {
            name,
            avro: avro.into(),
            connect: connect.into(),
            binary,
            json: json.into(),
        }
    }

    pub fn text(name: &'static str, text: &str) -> Column {
        let json = serde_json::to_string(text).unwrap();
        Column::new(
            name,
            r#""string""#,
            r#""type":"string""#,
            counted(text),
            &json,
        )
    }

    /// The same in a union with null, which stands first.
    pub fn optional(mut self) -> Column {
        self.avro = format!(r#"["null",{}]"#, self.avro);
        self.binary = [long(1), self.binary].concat();
        self
    }

    /// No value, in the same union.
    pub fn null(name: &'static str, avro: &str, connect: &str) -> Column {
        Column::new(
            name,
            &format!(r#"["null",{avro}]"#),
            connect,
            long(0),
            "null",
        )
    }
}

/// A row of `payment` with everything that it must have.
pub fn row(number: u64, amount: Column) -> Vec<Column> {
    vec![
        Column::text("payment_no", &format!("P{number}")),
        Column::text("order_no", &format!(" o{number}")),
        amount,
    ]
}

/// An amount with its digits as text.
pub fn amount(digits: &str) -> Column {
    Column::text("amount", digits)
}

/// A record's fields.
fn fields(columns: &[Column]) -> String {
    let fields = columns.iter();
    let fields =
        fields.map(|column| format!(r#"{{"name":"{}","type":{}}}"#, column.name, column.avro));
    fields.collect::<Vec<_>>().join(",")
}

/// The schema of the envelope around rows like this.
pub fn schema(row: &[Column]) -> String {
    format!(
        r#"{{"type":"record","name":"Envelope","namespace":"shop.payment","fields":[
        {{"name":"before","type":["null",{{"type":"record","name":"Value","fields":[{}]}}],"default":null}},
        {{"name":"after","type":["null","Value"],"default":null}},
        {{"name":"source","type":{{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql","fields":[
          {{"name":"connector","type":"string"}},{{"name":"ts_us","type":["null","long"]}},
          {{"name":"snapshot","type":[{{"type":"string","connect.name":"io.debezium.data.Enum"}},"null"]}},
          {{"name":"db","type":"string"}},{{"name":"table","type":["null","string"]}},
          {{"name":"server_id","type":"long"}},{{"name":"file","type":"string"}},{{"name":"pos","type":"long"}},
          {{"name":"row","type":"int"}}]}}}},
        {{"name":"op","type":"string"}},{{"name":"ts_ms","type":["null","long"]}},
        {{"name":"transaction","type":["null",{{"type":"record","name":"block","namespace":"event","fields":[
          {{"name":"id","type":"string"}},{{"name":"total_order","type":"long"}}]}}]}}]}}"#,
        fields(row)
    )
}

/// An envelope: `op`, the images, and the place in the log.
pub fn datum(op: &str, before: Option<&[Column]>, after: Option<&[Column]>, pos: i64) -> Vec<u8> {
    let image = |image: Option<&[Column]>| match image {
        None => long(0),
        Some(row) => {
            let values = row.iter().flat_map(|column| column.binary.clone());
            long(1).into_iter().chain(values).collect()
        }
    };
    [
        image(before),
        image(after),
        counted("mysql"),
        [long(1), long(MILLIS * 1_000 + 123)].concat(),
        [long(0), counted("false")].concat(),
        counted("shop"),
        [long(1), counted("payment")].concat(),
        long(7),
        counted("binlog.000003"),
        long(pos),
        long(2),
        counted(op),
        [long(1), long(MILLIS)].concat(),
        [long(1), counted("x"), long(1)].concat(),
    ]
    .concat()
}

/// A message: a zero byte, the id of the schema, the value.
pub fn message(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), datum].concat()
}

/// The same envelope in JSON with its schema.
pub fn json(op: &str, before: Option<&[Column]>, after: Option<&[Column]>, pos: i64) -> String {
    let image = |image: Option<&[Column]>| match image {
        None => "null".to_owned(),
        Some(row) => {
            let members = row
                .iter()
                .map(|column| format!(r#""{}":{}"#, column.name, column.json));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
    };
    let row = after.or(before).unwrap_or_default();
    let fields = row.iter();
    let fields =
        fields.map(|column| format!(r#"{{{},"field":"{}"}}"#, column.connect, column.name));
    let fields = fields.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"struct","fields":[{fields}],"field":"before"}},{{"type":"struct","fields":[{fields}],"field":"after"}}]}},"payload":{{"before":{},"after":{},"source":{{"connector":"mysql","ts_us":{MILLIS}123,"snapshot":"false","db":"shop","table":"payment","server_id":7,"file":"binlog.000003","pos":{pos},"row":2}},"op":"{op}","ts_ms":{MILLIS},"transaction":{{"id":"x","total_order":1}}}}}}"#,
        image(before),
        image(after)
    )
}
