//! `[alerts.<name>]`: who is told what is found, and `[self_check]`: how often Centinel checks itself.
//!
//! What stands in `[alerts]` is for the alerts to read; here it is read with them, so that a mistake is told like any other.

use std::ops::RangeInclusive;

use centinel_alert::Channels;
use centinel_model::Duration;

use super::form::{Form, Node};
use super::{AlertsConfig, SelfCheckConfig};

const REMEDY: &str = "write it as pipeline/alert/README.md shows";
const EVERY: RangeInclusive<Duration> = Duration::seconds(5)..=Duration::seconds(3_600);
const WITHIN: RangeInclusive<Duration> = Duration::seconds(1)..=Duration::seconds(600);

/// `[alerts.<name>]`, all of them.
pub(super) fn read(form: &mut Form, node: Node) -> Option<AlertsConfig> {
    let at = node.span().start;
    let fields = form.table(
        "[alerts]",
        node,
        "[alerts.<name>], a table for each channel",
    )?;
    let entries = fields.into_entries();
    let places: Vec<(String, usize)> = entries
        .iter()
        .map(|(name, _)| (name.get_ref().to_string(), name.span().start))
        .collect();
    match Channels::read(form.document()) {
        Ok(channels) => Some(AlertsConfig {
            line: form.line(at),
            channels,
        }),
        Err(problems) => {
            for problem in problems {
                let place = places.iter().find(|(name, _)| *name == problem.channel);
                let line = place.map_or(at, |(_, at)| *at);
                let line = problem.line.unwrap_or_else(|| form.line(line));
                let what = match problem.channel.is_empty() {
                    true => format!("[alerts]: {}", problem.what),
                    false => format!("[alerts.{}]: {}", problem.channel, problem.what),
                };
                form.refuse_line(line, what, REMEDY);
            }
            None
        }
    }
}

/// `[self_check]`.
pub(super) fn read_self_check(form: &mut Form, node: Node) -> Option<SelfCheckConfig> {
    let mut fields = form.table("[self_check]", node, "[self_check]")?;
    form.only(&mut fields, &["every", "within"]);
    let mut span = |form: &mut Form, name: &str, range| {
        let node = fields.take(name)?;
        form.span(&format!("`{name}` of [self_check]"), node, range)
    };
    Some(SelfCheckConfig {
        every: span(form, "every", EVERY).unwrap_or(Duration::seconds(60)),
        within: span(form, "within", WITHIN).unwrap_or(Duration::seconds(30)),
    })
}
