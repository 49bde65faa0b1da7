//! Topics of a Kafka cluster, read by offsets that the engine keeps itself.
//!
//! Partitions are assigned, not subscribed to: the state that holds the rows also holds their offsets, so no
//! group coordinator can hand a partition to somebody else, and nothing is lost or counted twice when it tries.
//! The group's name serves only to show the lag to those who watch the brokers.

mod check;
mod connection;
mod ends;
mod gap;
mod input;
mod keys;
mod options;
mod partition;

pub use check::{Checked, check_kafka};
pub use input::KafkaInput;
pub use options::{KafkaOptions, KafkaProgress, Setting, Start, TopicName, TopicOptions};
