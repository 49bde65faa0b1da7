//! JSON Lines: one object in each line, each with its schema id.

use std::io::{self, Write};

use serde::Serialize;

use crate::{Accepted, CouldNotJudge, InFlight, Report, RuleSummary, TableFigures, WithoutEntity};

/// The schema id of a violation in flight. Fields may be added within a version, never changed or removed.
pub const IN_FLIGHT_SCHEMA: &str = "centinel/in-flight/1";
/// The schema id of a finding that a person accepted. Fields may be added within a version, never changed or removed.
pub const ACCEPTED_SCHEMA: &str = "centinel/accepted/1";
/// The schema id of an audit's last line. Fields may be added within a version, never changed or removed.
pub const AUDIT_SUMMARY_SCHEMA: &str = "centinel/audit-summary/1";

#[derive(Serialize)]
struct InFlightLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    in_flight: &'a InFlight,
}

#[derive(Serialize)]
struct AcceptedLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    accepted: &'a Accepted,
}

/// The last line: without it, the output was cut short.
#[derive(Serialize)]
struct SummaryLine<'a> {
    schema: &'static str,
    as_of: &'a Option<String>,
    at_rest: bool,
    findings: usize,
    accepted: usize,
    tables: &'a [TableFigures],
    rules: &'a [RuleSummary],
    could_not_judge: &'a [CouldNotJudge],
    without_entity: &'a [WithoutEntity],
    notes: &'a [String],
}

/// Writes each finding that counts (`centinel/finding/1`), each that was accepted ([`ACCEPTED_SCHEMA`]), each listed
/// violation in flight ([`IN_FLIGHT_SCHEMA`]), and last the summary ([`AUDIT_SUMMARY_SCHEMA`]) that holds everything else of the report.
pub fn write_jsonl(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for finding in &report.findings {
        line(out, finding)?;
    }
    for accepted in &report.accepted {
        let schema = ACCEPTED_SCHEMA;
        line(out, &AcceptedLine { schema, accepted })?;
    }
    for in_flight in &report.in_flight {
        line(
            out,
            &InFlightLine {
                schema: IN_FLIGHT_SCHEMA,
                in_flight,
            },
        )?;
    }
    let summary = SummaryLine {
        schema: AUDIT_SUMMARY_SCHEMA,
        as_of: &report.as_of,
        at_rest: report.at_rest,
        findings: report.findings.len(),
        accepted: report.accepted.len(),
        tables: &report.tables,
        rules: &report.rules,
        could_not_judge: &report.could_not_judge,
        without_entity: &report.without_entity,
        notes: &report.notes,
    };
    line(out, &summary)?;
    out.flush()
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
