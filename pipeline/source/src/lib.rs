//! The world → changes: logs, topics and binary logs, decoded exactly and by column.
//!
//! An [`Input`] gives [`centinel_model::DecodedChunk`]s; [`InputOptions`] opens each kind. The
//! JSON scanner is our own, because the readers at hand take what is not JSON (missing commas), keep the
//! last of two equal keys, or read `"12"` and 12 alike; for money, each of these is a wrong input.

mod again;
mod avro;
mod binlog;
mod chunk;
mod column;
mod decode;
mod file;
mod format;
mod hole;
mod input;
mod json;
mod kafka;
mod line;
mod log_file;
mod message;
mod notes;
mod open;
mod physical;
mod rows;
mod shape;
mod value;

pub use again::{KeptRecord, decode_again};
pub use avro::{AvroOptions, Registry, RegistryOptions};
pub use binlog::{
    BinlogInput, BinlogOptions, Idle, Password, Timeouts, Tls, check as check_binlog,
};
pub use decode::Decoder;
pub use file::{FileInput, InputError, RawChunk, ReadLimits};
pub use format::{DebeziumOptions, Decimals, Format, IntegerTimes, MessageDecoder};
pub use input::{Backlog, Input, Problem, Reading, Unit, Until};
pub use kafka::{
    Checked, KafkaInput, KafkaOptions, KafkaProgress, Setting, Start, TopicName, TopicOptions,
    check_kafka,
};
pub use log_file::{InputFile, LogFile};
pub use message::{RawMessage, RawMessages};
pub use open::InputOptions;
