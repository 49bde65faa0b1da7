//! What detection wrote → what the breaker is told.

use centinel_breaker::{Declared, Name, Point, Points, Report, Scope, ScopeKind};
use centinel_model::{
    FINDING_SCHEMA, Finding, FindingTrip, SUSPICION_SCHEMA, Verdict, is_self_check,
};

/// The status of rules that may hold money.
const STABLE: &str = "stable";

/// The report of one line. None where it does not concern the breaker: no finding, or one of a rule that is not
/// stable or of no rule file.
///
/// # Errors
/// Why the breaker cannot be told of a finding that concerns it.
pub fn report_of(line: &[u8]) -> Result<Option<Report>, String> {
    let value: serde_json::Value = serde_json::from_slice(line)
        .map_err(|error| format!("it is not one of detection's lines: {error}"))?;
    let schema = value["schema"].as_str().unwrap_or_default();
    let suspicion = schema == SUSPICION_SCHEMA;
    if schema != FINDING_SCHEMA && !suspicion {
        return Ok(None);
    }
    let finding: Finding = serde_json::from_value(value)
        .map_err(|error| format!("it is a finding of another form: {error}"))?;
    // Synthetic orders hold nobody's money.
    if is_self_check(&finding.rule) {
        return Ok(None);
    }
    let ends = ends(finding.verdict);
    // A rule that is gone, or not stable any more, ends what it found when it was.
    if finding.status.as_deref() != Some(STABLE) && !ends {
        return Ok(None);
    }
    let declared = finding.trip.as_ref().map(declared).transpose()?;
    let scope = match scope(&finding) {
        Some(scope) => scope,
        // What ends needs none.
        None if ends => Scope::All,
        // It trips nothing, and what is sure is not held in doubt.
        None if finding.verdict == Verdict::Confirmed && declared.is_none() => return Ok(None),
        None => {
            return Err(format!(
                "finding {} of rule {} says not which order, merchant or business code it concerns ({} `{}`)",
                finding.finding_id, finding.rule, finding.entity, finding.entity_key
            ));
        }
    };
    let points = declared.map(|declared| declared.points);
    let points = points.or_else(|| Points::new(&Point::ALL));
    let points = points.ok_or("no points")?;
    let declared = declared.filter(|declared| scope.kind() <= declared.by);
    let mut report = Report::of(&finding, !ends, scope, points, declared)
        .map_err(|error| format!("the rule's name `{}`: {error}", finding.rule))?;
    report.sequence = sequence(&finding, suspicion);
    Ok(Some(report))
}

/// Whether a verdict ends what was told before it.
pub fn ends(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Cleared | Verdict::Recovered | Verdict::RuleChanged
    )
}

/// Between two messages of one finding it may be suspected, and that may pass: both have a place after the first of them.
fn sequence(finding: &Finding, suspicion: bool) -> u64 {
    const PLACES: u64 = 4;
    let after = match finding.verdict {
        _ if !suspicion => 0,
        Verdict::Suspected => 1,
        _ => 2,
    };
    finding.sequence.saturating_mul(PLACES) + after
}

fn declared(trip: &FindingTrip) -> Result<Declared, String> {
    let named = |name: &String| {
        let known = Point::ALL.into_iter().find(|at| at.as_str() == name);
        known.ok_or_else(|| format!("`{name}` is no point that this program knows"))
    };
    let points: Vec<Point> = trip.points.iter().map(named).collect::<Result<_, _>>()?;
    let points = Points::new(&points).ok_or("its trip names no point")?;
    let by = kind(&trip.by).ok_or_else(|| format!("nothing trips by `{}`", trip.by))?;
    Ok(Declared { points, by })
}

/// What it concerns: what its rule trips by, where that is known, else its entity, where that is narrower.
fn scope(finding: &Finding) -> Option<Scope> {
    let of_entity = kind(&finding.entity).and_then(|kind| named(kind, &finding.entity_key));
    let Some(trip) = &finding.trip else {
        return of_entity;
    };
    let by = kind(&trip.by)?;
    let declared = trip.key.as_ref().and_then(|key| named(by, key));
    declared.or_else(|| of_entity.filter(|scope| scope.kind() <= by))
}

fn kind(name: &str) -> Option<ScopeKind> {
    match name {
        "order" => Some(ScopeKind::Order),
        "merchant" => Some(ScopeKind::Merchant),
        "business_code" => Some(ScopeKind::BusinessCode),
        _ => None,
    }
}

fn named(kind: ScopeKind, key: &str) -> Option<Scope> {
    let name = Name::new(key).ok()?;
    match kind {
        ScopeKind::Order => Some(Scope::Order(name)),
        ScopeKind::Merchant => Some(Scope::Merchant(name)),
        ScopeKind::BusinessCode => Some(Scope::BusinessCode(name)),
        ScopeKind::All => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::{Value, json};

    /// A finding of a rule about orders, as detection writes it.
    fn finding() -> Value {
        json!({
            "schema": "centinel/finding/1", "finding_id": "5c1de0f2a3b44c5d9e8f7a6b5c4d3e2f", "sequence": 3,
            "rule": "settled-once", "rule_version": "0", "title": "t", "entity": "order", "entity_key": "E7",
            "key": [["order_no", "E7"]], "verdict": "confirmed", "occurrence": 2, "severity": "critical",
            "owner": "settlement", "amount": "12.50", "currency": "CNY", "hint": null,
            "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "", "judged_at": "",
            "status": "stable",
            "trip": {"points": ["settlement", "cash_out"], "by": "merchant", "key": "M1"},
        })
    }

    fn told(change: impl FnOnce(&mut Value)) -> Result<Option<Report>, String> {
        let mut line = finding();
        change(&mut line);
        report_of(line.to_string().as_bytes())
    }

    fn order(name: &str) -> Scope {
        Scope::Order(Name::new(name).unwrap())
    }

    #[test]
    fn a_stable_finding_is_told_as_its_rule_declares() {
        let report = told(|_| {}).unwrap().unwrap();
        assert_eq!(report.scope, Scope::Merchant(Name::new("M1").unwrap()));
        assert_eq!(report.declared.unwrap().by, ScopeKind::Merchant);
        assert!(report.stable && !report.points.contains(Point::Refund));
        assert_eq!((report.sequence, report.occurrence), (12, 2));
    }

    #[test]
    fn what_is_not_stable_or_no_finding_concerns_nobody() {
        for (field, value) in [
            ("status", json!("shadow")),
            ("status", json!("draft")),
            ("status", Value::Null),
            ("schema", json!("centinel/hole/1")),
            ("schema", json!("centinel/finding/2")),
        ] {
            assert_eq!(
                told(|line| line[field] = value.clone()),
                Ok(None),
                "{value}"
            );
        }
        assert!(report_of(b"{").is_err());
        assert!(told(|line| line["verdict"] = json!("perhaps")).is_err());
    }

    #[test]
    fn where_no_row_shows_the_merchant_the_order_is_meant() {
        let report = told(|line| line["trip"]["key"] = Value::Null)
            .unwrap()
            .unwrap();
        assert_eq!(report.scope, order("E7"));
        assert_eq!(report.declared.unwrap().by, ScopeKind::Merchant);
    }

    #[test]
    fn what_the_self_check_finds_concerns_nobody() {
        for verdict in ["confirmed", "recovered"] {
            let report = told(|line| {
                line["rule"] = json!("centinel-self-check");
                line["verdict"] = json!(verdict);
            });
            assert_eq!(report, Ok(None));
        }
    }

    #[test]
    fn a_rule_that_trips_nothing_is_told_for_its_entity_everywhere() {
        let report = told(|line| line["trip"] = Value::Null).unwrap().unwrap();
        assert_eq!((report.scope, report.declared), (order("E7"), None));
        assert!(
            Point::ALL
                .iter()
                .all(|point| report.points.contains(*point))
        );
    }

    #[test]
    fn what_would_hold_nothing_needs_no_place() {
        let told = |verdict: &str| {
            told(|line| {
                line["entity"] = json!("cash_out");
                line["trip"] = Value::Null;
                line["verdict"] = json!(verdict);
            })
        };
        assert_eq!(told("confirmed"), Ok(None));
        assert!(told("undetermined").is_err());
    }

    /// Never wider than declared, and never nothing without a word.
    #[test]
    fn what_cannot_be_placed_is_said() {
        let unplaced = |line: &mut Value| {
            line["entity"] = json!("cash_out");
            line["trip"]["key"] = Value::Null;
        };
        let said = told(unplaced).unwrap_err();
        assert!(
            said.contains("settled-once") && said.contains("cash_out"),
            "{said}"
        );
        let wider = told(|line| {
            line["entity"] = json!("merchant");
            line["trip"]["by"] = json!("order");
            line["trip"]["key"] = Value::Null;
        });
        assert!(wider.is_err(), "{wider:?}");
        let blank = told(|line| line["trip"]["key"] = json!(" M1"))
            .unwrap()
            .unwrap();
        assert_eq!(blank.scope, order("E7"));
    }

    #[test]
    fn what_ends_is_told_whatever_became_of_its_rule() {
        for verdict in ["recovered", "cleared", "rule_changed"] {
            let report = told(|line| {
                line["verdict"] = json!(verdict);
                line["status"] = Value::Null;
                line["trip"] = Value::Null;
                line["entity"] = json!("cash_out");
            });
            let report = report.unwrap().unwrap();
            assert!(ends(report.verdict) && !report.stable, "{verdict}");
        }
    }

    #[test]
    fn suspicions_stand_between_the_messages_of_their_finding() {
        let suspicion = |sequence: u64, verdict: &str| {
            let report = told(|line| {
                line["schema"] = json!("centinel/suspicion/1");
                line["sequence"] = json!(sequence);
                line["verdict"] = json!(verdict);
            });
            report.unwrap().unwrap().sequence
        };
        let message = |sequence: u64| {
            let report = told(|line| line["sequence"] = json!(sequence));
            report.unwrap().unwrap().sequence
        };
        let order = [
            suspicion(0, "suspected"),
            suspicion(0, "cleared"),
            message(1),
            message(2),
            suspicion(2, "suspected"),
            message(3),
        ];
        assert!(order.is_sorted_by(|left, right| left < right), "{order:?}");
    }
}
