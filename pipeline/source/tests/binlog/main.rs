//! A real MariaDB, read through its binary log, and a server that answers as MySQL does.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

mod basics;
mod hidden;
mod mysql;
mod replay;
mod settings;
mod trouble;
mod types;
