use serde::Deserialize;

/// How a connector was set up, as far as its messages do not say so themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebeziumOptions {
    /// Whether messages went through `ExtractNewRecordState`, so that they are the row itself. Such an update
    /// does not say what the row was before: a row that then belongs to another entity stays with its old one
    /// too.
    pub flattened: bool,
    /// How decimals are written in messages without a schema beside them. Without it, text that can only be bytes
    /// or only be digits is read as what it is, and all else is refused.
    pub decimals: Option<Decimals>,
    /// What whole numbers in timestamp columns count, in messages without a schema beside them. Without it they
    /// are refused.
    pub times: Option<IntegerTimes>,
    /// The ids of the servers whose binary logs were read, the oldest first. Positions of two servers cannot be
    /// compared, so without it the first server that is seen must be the only one. Rows of a first snapshot do
    /// not say their server and count as the oldest's.
    pub servers: Vec<u64>,
}

/// How decimals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimals {
    /// As bytes in base 64, with the scale that the schema declares: `decimal.handling.mode=precise`.
    Precise,
    /// As digits in text: `decimal.handling.mode=string`.
    String,
    /// As exact JSON numbers: `precise` with the converter's `decimal.format=NUMERIC`. Not for
    /// `decimal.handling.mode=double`, whose numbers look alike and are not exact.
    Numeric,
}

/// What whole numbers in timestamp columns count since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntegerTimes {
    /// Milliseconds: `time.precision.mode=connect`, or columns of at most three digits behind the second.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}
