//! A seeded payment platform: orders live through payment, refund, settlement, billing, accounting and
//! cash-out; faults are planted in them and the truth about each is written down.
//!
//! [`Simulation`] is an iterator over everything in order of arrival. The writers in [`write`] make files of
//! it, [`trouble`] delivers it badly, [`auditor`] says independently what the rules must find, [`truth`]
//! keeps that for the planted faults. The same seed and parameters give the same bytes on every machine.
//! The crate shares no code with what it checks.

pub mod auditor;
mod cash_out;
mod fault;
pub mod incident;
mod key;
mod order;
mod parameters;
mod random;
mod record;
mod row;
mod simulation;
mod table;
mod text;
pub mod trouble;
pub mod truth;
pub mod write;

pub use fault::{FaultKind, LossClass};
pub use key::{Key, KeyKind, KeyStyle};
pub use parameters::SimulationParameters;
pub use random::Draw;
pub use record::{Change, Delivered, Event, Record};
pub use row::{
    Account, AccountType, Bill, CashOut, Channel, Detail, Direction, Entry, Message, Payment,
    Refund, Row, Settlement, SettlementKind, Status, Value,
};
pub use simulation::{Planted, Simulation};
pub use table::{Column, ColumnKind, Source, Table};
pub use text::{SECOND, TimeStyle, push_time};
