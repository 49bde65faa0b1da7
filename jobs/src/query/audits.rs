//! `audit_runs`, `audit_findings` and `drill_runs`: the histories and reports of what is run by the clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use centinel_engine::query::Tables;
use centinel_model::{FINDING_SCHEMA, Finding};
use centinel_outlet::{
    ACCEPTED_SCHEMA, AUDIT_SUMMARY_SCHEMA, Accepted, IN_FLIGHT_SCHEMA, InFlight,
};
use serde_json::Value;

use super::rows::{
    Cell, Field, Kind, add, json, key, text, text_or_none, time, time_or_none, whole, whole_or_none,
};
use crate::config::Config;
use crate::drill::DrillLine;
use crate::schedule::history::{Ended, History, Outcome, Run, RunResult};

/// A line of a report that is longer is none that an audit wrote.
const LONGEST_LINE: u64 = 16 << 20;
/// In the folder of a run.
const REPORT: &str = "findings.jsonl";

/// Where runs of one name are.
#[derive(Clone)]
struct Place {
    name: String,
    folder: PathBuf,
}

pub fn add_audits(tables: &mut Tables, config: &Config) {
    let places = config.audits.iter().map(|audit| Place {
        name: audit.name.clone(),
        folder: audit.reports.join(&audit.name),
    });
    let places: Vec<Place> = places.collect();
    let own = places.clone();
    add(
        tables,
        "audit_runs",
        "a run of a scheduled audit",
        audit_runs(),
        Box::new(move |_, each| runs(&own, each)),
    );
    add(
        tables,
        "audit_findings",
        "a violation in the report of a run, while that is kept",
        audit_findings(),
        Box::new(move |_, each| reports(&places, each)),
    );
}

pub fn add_drills(tables: &mut Tables, config: &Config) {
    let places = config.drills.iter().map(|drill| Place {
        name: drill.name.clone(),
        folder: drill.reports.join(&drill.name),
    });
    let places: Vec<Place> = places.collect();
    add(
        tables,
        "drill_runs",
        "a run of a scheduled drill",
        drill_runs(),
        Box::new(move |_, each| drills(&places, each)),
    );
}

/// A run, and of which audit or drill.
struct OfRun {
    name: String,
    run: Run,
    /// What a drill came to.
    drill: Option<Box<DrillLine>>,
}

impl OfRun {
    fn ended(&self) -> Option<&Ended> {
        self.run.ended.as_ref()
    }

    fn result(&self) -> Option<&RunResult> {
        self.ended()?.result.as_ref()
    }
}

fn history(place: &Place) -> Result<Vec<Run>, String> {
    let history = History::read(&place.folder)
        .map_err(|error| format!("the history in {}: {error}", place.folder.display()))?;
    match history.unreadable {
        0 => Ok(history.runs),
        lines => Err(format!(
            "{lines} lines of the history in {} cannot be read: use the program that wrote them, or take them out",
            place.folder.display()
        )),
    }
}

fn runs(
    places: &[Place],
    each: &mut dyn FnMut(OfRun) -> Result<bool, String>,
) -> Result<(), String> {
    for place in places {
        for run in history(place)? {
            let name = place.name.clone();
            let row = OfRun {
                name,
                run,
                drill: None,
            };
            if !each(row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn drills(
    places: &[Place],
    each: &mut dyn FnMut(OfRun) -> Result<bool, String>,
) -> Result<(), String> {
    for place in places {
        let (lines, unreadable) = crate::drill::all(&place.folder)
            .map_err(|error| format!("the drills in {}: {error}", place.folder.display()))?;
        if unreadable > 0 {
            return Err(format!(
                "{unreadable} lines of the drills in {} cannot be read: use the program that wrote them, or take them out",
                place.folder.display()
            ));
        }
        let lines = lines.into_iter();
        let mut lines: BTreeMap<String, DrillLine> =
            lines.map(|line| (line.drill.clone(), line)).collect();
        for run in history(place)? {
            let ended = run.ended.as_ref();
            let drill = ended.and_then(|ended| ended.drill.as_ref());
            let drill = drill
                .and_then(|drill| lines.remove(&drill.drill))
                .map(Box::new);
            let name = place.name.clone();
            if !each(OfRun { name, run, drill })? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A violation of a report.
struct Reported {
    audit: String,
    run: String,
    standing: &'static str,
    line: Line,
}

enum Line {
    Finding(Box<Finding>),
    Accepted(Box<Accepted>),
    InFlight(Box<InFlight>),
}

impl Reported {
    fn finding(&self) -> Option<&Finding> {
        match &self.line {
            Line::Finding(finding) => Some(finding),
            Line::Accepted(accepted) => Some(&accepted.finding),
            Line::InFlight(_) => None,
        }
    }

    fn in_flight(&self) -> Option<&InFlight> {
        match &self.line {
            Line::InFlight(in_flight) => Some(in_flight),
            _ => None,
        }
    }

    fn accepted(&self) -> Option<&Accepted> {
        match &self.line {
            Line::Accepted(accepted) => Some(accepted),
            _ => None,
        }
    }

    /// What both forms have.
    fn both<'a, T>(
        &'a self,
        finding: impl Fn(&'a Finding) -> T,
        in_flight: impl Fn(&'a InFlight) -> T,
    ) -> Option<T> {
        let found = self.finding().map(finding);
        found.or_else(|| self.in_flight().map(in_flight))
    }
}

fn reports(
    places: &[Place],
    each: &mut dyn FnMut(Reported) -> Result<bool, String>,
) -> Result<(), String> {
    for place in places {
        for run in history(place)? {
            let run = run.began.run;
            let path = place.folder.join(&run).join(REPORT);
            let told = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
            let file = match File::open(&path) {
                Ok(file) => file,
                // Reports are kept for a time; a run that did not finish has none.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(told(&error)),
            };
            let mut file = BufReader::new(file);
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                let read = (&mut file).take(LONGEST_LINE).read_until(b'\n', &mut bytes);
                if read.map_err(|error| told(&error))? == 0 {
                    break;
                }
                let line = read_line(&bytes).map_err(|problem| told(&problem))?;
                let Some((standing, line)) = line else {
                    continue;
                };
                let row = Reported {
                    audit: place.name.clone(),
                    run: run.clone(),
                    standing,
                    line,
                };
                if !each(row)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn read_line(bytes: &[u8]) -> Result<Option<(&'static str, Line)>, String> {
    let unread = |error: serde_json::Error| format!("a line cannot be read: {error}");
    let value: Value = serde_json::from_slice(bytes).map_err(unread)?;
    Ok(match value["schema"].as_str() {
        Some(FINDING_SCHEMA) => {
            let finding = serde_json::from_value(value).map_err(unread)?;
            Some(("finding", Line::Finding(finding)))
        }
        Some(ACCEPTED_SCHEMA) => {
            let accepted = serde_json::from_value(value).map_err(unread)?;
            Some(("accepted", Line::Accepted(accepted)))
        }
        Some(IN_FLIGHT_SCHEMA) => {
            let in_flight = serde_json::from_value(value).map_err(unread)?;
            Some(("in_flight", Line::InFlight(in_flight)))
        }
        Some(AUDIT_SUMMARY_SCHEMA) => None,
        _ => return Err("a line is of a form that this program does not read".into()),
    })
}

fn outcome(run: &OfRun) -> Result<Cell, String> {
    let word = |outcome: Outcome| outcome.told().replace(' ', "_");
    text_or_none(run.ended().map(|ended| word(ended.outcome)))
}

/// What every run has.
fn run_fields(what: &'static str) -> Vec<Field<OfRun>> {
    let field = Field::<OfRun>::new;
    vec![
        field(what, Kind::Text, "its name in the configuration", |row| {
            text(&row.name)
        }),
        field("run", Kind::Text, "names the run", |row| {
            text(&row.run.began.run)
        }),
        field("began_at", Kind::Time, "when it began", |row| {
            time(&row.run.at)
        }),
        field(
            "run_for",
            Kind::Time,
            "the time that it is run for",
            |row| time(&row.run.began.run_for),
        ),
        field("started_by", Kind::Text, "schedule or command", |row| {
            text(match row.run.began.started_by {
                crate::schedule::history::StartedBy::Schedule => "schedule",
                crate::schedule::history::StartedBy::Command => "command",
            })
        }),
        field("input", Kind::Text, "what was read", |row| {
            text(&row.run.began.input)
        }),
        field(
            "outcome",
            Kind::Text,
            "finished, failed, stopped, timed_out or cut_off; null while it runs",
            outcome,
        ),
        field("exit_status", Kind::Whole, "its exit status", |row| {
            whole_or_none(row.ended().map(|ended| ended.exit_status))
        }),
        field("duration_ms", Kind::Whole, "how long it took", |row| {
            whole_or_none(row.ended().map(|ended| ended.duration_ms))
        }),
        field("problem", Kind::Text, "what went wrong", |row| {
            text_or_none(row.ended().and_then(|ended| ended.problem.as_ref()))
        }),
    ]
}

fn audit_runs() -> Vec<Field<OfRun>> {
    let field = Field::<OfRun>::new;
    let mut fields = run_fields("audit");
    fields.extend([
        field("as_of", Kind::Time, "the moment that was judged", |row| {
            time_or_none(row.result().and_then(|result| result.as_of.as_deref()))
        }),
        field("rules", Kind::Whole, "how many rules were asked", |row| {
            whole_or_none(row.result().map(|result| result.rules))
        }),
        field(
            "rules_version",
            Kind::Text,
            "a hash of their ids and versions",
            |row| text_or_none(row.result().map(|result| &result.rules_version)),
        ),
        field("rows", Kind::Whole, "rows of all tables", |row| {
            whole_or_none(row.result().map(|result| result.rows))
        }),
        field("findings", Kind::Whole, "findings that count", |row| {
            whole_or_none(row.result().map(|result| result.findings))
        }),
        field(
            "accepted",
            Kind::Whole,
            "findings that were accepted",
            |row| whole_or_none(row.result().map(|result| result.accepted)),
        ),
        field("in_flight", Kind::Whole, "violations in flight", |row| {
            whole_or_none(row.result().map(|result| result.in_flight))
        }),
        field(
            "could_not_judge",
            Kind::Whole,
            "what could not be judged",
            |row| whole_or_none(row.result().map(|result| result.could_not_judge)),
        ),
        field(
            "at_risk",
            Kind::Text,
            "money at risk by currency, as JSON",
            |row| match row.result() {
                Some(result) => json(&result.at_risk),
                None => Ok(Cell::Text(None)),
            },
        ),
        field(
            "new_findings",
            Kind::Whole,
            "findings that the run before did not have",
            |row| {
                let compared = row.result().and_then(|result| result.compared.as_ref());
                whole_or_none(compared.map(|compared| compared.new))
            },
        ),
        field(
            "gone_findings",
            Kind::Whole,
            "findings of the run before that pass now",
            |row| {
                let compared = row.result().and_then(|result| result.compared.as_ref());
                whole_or_none(compared.map(|compared| compared.gone))
            },
        ),
    ]);
    fields
}

fn drill_runs() -> Vec<Field<OfRun>> {
    let field = Field::<OfRun>::new;
    /// A figure of a drill that came to its end.
    macro_rules! figure {
        ($name:ident, $told:expr) => {
            field(stringify!($name), Kind::Whole, $told, |row| {
                whole_or_none(row.drill.as_ref().map(|drill| drill.$name))
            })
        };
    }
    let mut fields = run_fields("drill");
    fields.extend([
        figure!(rules, "how many rules were asked"),
        figure!(detected, "faults that were detected as they had to be"),
        figure!(incomplete, "faults that were detected otherwise"),
        figure!(unnoticed, "faults that no rule saw"),
        figure!(could_not_judge, "faults of which nobody can say"),
        figure!(false_alarms, "findings where there is no fault"),
        field(
            "problems",
            Kind::Text,
            "what else is wrong, as JSON",
            |row| match &row.drill {
                Some(drill) => json(&drill.problems),
                None => Ok(Cell::Text(None)),
            },
        ),
    ]);
    fields
}

fn audit_findings() -> Vec<Field<Reported>> {
    let field = Field::<Reported>::new;
    vec![
        field("audit", Kind::Text, "the audit's name", |row| {
            text(&row.audit)
        }),
        field("run", Kind::Text, "its run", |row| text(&row.run)),
        field(
            "standing",
            Kind::Text,
            "finding, accepted or in_flight",
            |row| text(row.standing),
        ),
        field("finding_id", Kind::Text, "its id; none in flight", |row| {
            text_or_none(row.finding().map(|finding| &finding.finding_id))
        }),
        field("rule", Kind::Text, "the rule that is broken", |row| {
            text_or_none(row.both(|finding| &finding.rule, |in_flight| &in_flight.rule))
        }),
        field(
            "severity",
            Kind::Text,
            "info, warn, error or critical",
            |row| text_or_none(row.finding().map(|finding| finding.severity)),
        ),
        field("owner", Kind::Text, "the rule's owner", |row| {
            text_or_none(row.finding().map(|finding| &finding.owner))
        }),
        field("title", Kind::Text, "the rule's title", |row| {
            text_or_none(row.finding().map(|finding| &finding.title))
        }),
        field("entity", Kind::Text, "the kind of entity", |row| {
            text_or_none(row.finding().map(|finding| &finding.entity))
        }),
        field("entity_key", Kind::Text, "which one", |row| {
            text_or_none(row.both(
                |finding| &finding.entity_key,
                |in_flight| &in_flight.entity_key,
            ))
        }),
        field(
            "key",
            Kind::Text,
            "the rule's key columns, as JSON",
            |row| {
                let columns = row.both(|finding| &finding.key, |in_flight| &in_flight.key);
                columns.map_or(Ok(Cell::Text(None)), |columns| key(columns))
            },
        ),
        field(
            "amount",
            Kind::Money,
            "money at risk in major units",
            |row| {
                let amount = row.both(|finding| &finding.amount, |in_flight| &in_flight.amount);
                Ok(Cell::Money(amount.cloned().flatten()))
            },
        ),
        field(
            "amount_text",
            Kind::Text,
            "the same as it was told",
            |row| {
                let amount = row.both(|finding| &finding.amount, |in_flight| &in_flight.amount);
                text_or_none(amount.and_then(Option::as_ref))
            },
        ),
        field("currency", Kind::Text, "its currency", |row| {
            let currency = row.both(|finding| &finding.currency, |in_flight| &in_flight.currency);
            text_or_none(currency.and_then(Option::as_ref))
        }),
        field("since", Kind::Time, "from when on patience counts", |row| {
            let anchor = row.both(|finding| &finding.anchor, |in_flight| &in_flight.anchor);
            time_or_none(anchor.map(String::as_str))
        }),
        field("hint", Kind::Text, "a remark that helps", |row| {
            text_or_none(row.finding().and_then(|finding| finding.hint.as_ref()))
        }),
        field(
            "evidence",
            Kind::Text,
            "the rows that show it, as JSON",
            |row| match row.finding() {
                Some(finding) => json(&finding.evidence.rows),
                None => Ok(Cell::Text(None)),
            },
        ),
        field(
            "evidence_rows",
            Kind::Whole,
            "how many rows there were",
            |row| match row.finding() {
                Some(finding) => whole(finding.evidence.total),
                None => Ok(Cell::Whole(None)),
            },
        ),
        field(
            "confirmed_at",
            Kind::Time,
            "in flight: when it is a finding",
            |row| {
                time_or_none(
                    row.in_flight()
                        .map(|in_flight| in_flight.confirmed_at.as_str()),
                )
            },
        ),
        field(
            "accepted_by",
            Kind::Text,
            "who answers for accepting it",
            |row| text_or_none(row.accepted().map(|accepted| &accepted.acceptance.by)),
        ),
        field("accepted_because", Kind::Text, "why", |row| {
            text_or_none(row.accepted().map(|accepted| &accepted.acceptance.reason))
        }),
        field(
            "accepted_until",
            Kind::Text,
            "the last day on which it is accepted",
            |row| text_or_none(row.accepted().map(|accepted| &accepted.acceptance.until)),
        ),
    ]
}
