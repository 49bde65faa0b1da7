//! Findings → people: who is told what, once for one cause, within what each channel takes.
//!
//! [`Alerts`] decides (a pure state machine), an [`Outlet`] sends, [`Delivery`] joins the two.

mod config;
mod dispatch;
mod guard;
mod http;
mod message;
mod money;
mod notice;
mod outlet;
mod page;
mod run;
mod store;
mod text;

pub use config::{
    ChannelForm, ChannelKind, Channels, LimitForm, Outlets, Problem, Secret, SecretText, Span,
    TextOrSecret,
};
pub use dispatch::{
    Alerts, CHANNEL_RULE, ChannelRules, ChannelStatus, Health, Limit, Outcome, Place, Rules,
    STATE_SCHEMA, StateError, Status, Taken,
};
pub use guard::{Forbidden, Guard, Network};
pub use message::{
    ALERT_SCHEMA, Alert, Body, Cause, Digest, Example, Facts, Kind, Line, Message, Named,
    OTHER_RULES, Open, Standing, Values,
};
pub use money::{AtRisk, Money};
pub use notice::RuleNote;
pub use outlet::{
    Alertmanager, DingTalk, Feishu, LinesFile, Outlet, Slack, Topic, Webhook, signature,
};
pub use run::{Batch, Delivery, Progress};
pub use store::StateFile;
