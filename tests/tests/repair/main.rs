//! A plan tried on a snapshot says what an audit finds once it was really carried out; what cannot be judged is never
//! safe; SQL gives the rows that a MariaDB makes.
#![allow(clippy::unwrap_used, clippy::panic)]

mod forms;
mod platform;
mod quality;
mod reality;
mod refused;
mod sql;
mod statements;
mod unreadable;
