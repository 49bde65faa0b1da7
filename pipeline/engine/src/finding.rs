//! A violation or a verdict → the documented form of a finding.

use centinel_catalog::Catalog;
use centinel_model::{
    Amount, Evidence, FINDING_SCHEMA, Finding, FindingId, FindingTrip, Positions, Timestamp,
    Verdict,
};
use centinel_rules::{Rule, RuleCurrency, Status, Violations};

use arrow::datatypes::DataType;

/// The id under which rows are told that wait in vain for the row that leads to their entity. No rule file can
/// have it: a rule's id holds no slash.
pub(crate) const UNREACHED_RULE: &str = "centinel/unreached-rows";

/// The id under which columns are told that rules use and tables do not have as their schemas say.
pub(crate) const DRIFT_RULE: &str = "centinel/schema-drift";

/// What is known of a violation beyond its row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement<'a> {
    pub verdict: Verdict,
    /// How many messages there are of this finding, this one included.
    pub sequence: u64,
    pub occurrence: u32,
    pub anchor: Timestamp,
    pub judged_at: Timestamp,
    pub positions: &'a Positions,
}

/// The finding that a row of a rule's result shows.
pub(crate) fn of_violation(
    catalog: &Catalog,
    violations: &Violations,
    row: usize,
    judgement: Judgement<'_>,
) -> Finding {
    let rule = violations.rule();
    let mut finding = bare(
        catalog,
        rule,
        violations.entity_key(row),
        violations.key_text(row),
        judgement,
    );
    finding.amount = violations.amount(row).map(|amount| amount.to_string());
    finding.currency = violations.currency(row);
    if let Some((trip, column)) = finding.trip.as_mut().zip(trip_column(catalog, rule)) {
        trip.key = trip.key.take().or_else(|| violations.text_of(column, row));
    }
    let shown = violations.evidence(row);
    finding.hint = hint(rule, &shown);
    finding.evidence = Evidence {
        rows: vec![shown],
        total: 1,
    };
    finding
}

/// The finding of a rule that returns no row for this key: it passes now, or could not be asked. The
/// amount is the one that was last told.
pub(crate) fn without_row(
    catalog: &Catalog,
    rule: &Rule,
    entity_key: String,
    key: Vec<String>,
    amount: Option<Amount>,
    judgement: Judgement<'_>,
) -> Finding {
    let mut finding = bare(catalog, rule, entity_key, key, judgement);
    let absolute = amount.and_then(Amount::absolute);
    finding.amount = absolute.map(|amount| amount.to_string());
    if let (Some(_), Some(RuleCurrency::Fixed(code))) = (&finding.amount, &rule.currency) {
        finding.currency = Some(code.clone());
    }
    finding
}

fn bare(
    catalog: &Catalog,
    rule: &Rule,
    entity_key: String,
    key: Vec<String>,
    judgement: Judgement<'_>,
) -> Finding {
    let key: Vec<(String, String)> = rule.key.iter().cloned().zip(key).collect();
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(&rule.id, key.iter().map(|(_, value)| value.as_str())),
        sequence: judgement.sequence,
        rule: rule.id.clone(),
        rule_version: rule.version.clone(),
        title: rule.title.clone(),
        entity: catalog.entity(rule.entity).name.clone(),
        trip: trip(catalog, rule, &entity_key, &key),
        entity_key,
        key,
        verdict: judgement.verdict,
        occurrence: judgement.occurrence,
        severity: rule.severity,
        owner: rule.owner.clone(),
        amount: None,
        currency: None,
        hint: None,
        evidence: Evidence::default(),
        positions: judgement.positions.clone(),
        anchor: judgement.anchor.to_string(),
        judged_at: judgement.judged_at.to_string(),
        checkpoint: None,
        status: Some(rule.status.as_str().into()),
    }
}

/// Whether the circuit breaker is to hold anything while the rule is broken.
pub(crate) fn trips(rule: &Rule) -> bool {
    rule.status == Status::Stable && rule.trip.is_some()
}

/// The output column that says what a finding of the rule trips.
fn trip_column<'a>(catalog: &'a Catalog, rule: &Rule) -> Option<&'a str> {
    let by = &catalog.entity(rule.trip.as_ref()?.by).key;
    by.first().map(String::as_str)
}

/// What a finding of the rule trips, as far as its key says it.
fn trip(
    catalog: &Catalog,
    rule: &Rule,
    entity_key: &str,
    key: &[(String, String)],
) -> Option<FindingTrip> {
    let trip = rule.trip.as_ref().filter(|_| trips(rule))?;
    let column = trip_column(catalog, rule);
    let named = key
        .iter()
        .find(|(name, _)| Some(name.as_str()) == column)
        .map(|(_, value)| value.clone());
    Some(FindingTrip {
        points: trip.points.iter().map(|at| at.as_str().into()).collect(),
        by: catalog.entity(trip.by).name.clone(),
        key: match trip.by == rule.entity {
            true => Some(entity_key.to_owned()),
            false => named,
        },
    })
}

/// Says so when two amounts of the row differ by exactly a factor of 100: yuan against fen.
fn hint(rule: &Rule, row: &std::collections::BTreeMap<String, Option<String>>) -> Option<String> {
    let fields = rule.output.fields().iter();
    let amounts: Vec<(&str, i128)> = fields
        .filter(|field| rule.amount.as_deref() != Some(field.name()))
        .filter_map(|field| {
            let DataType::Decimal128(precision, scale) = field.data_type() else {
                return None;
            };
            let scale = u8::try_from(*scale).ok()?;
            let text = row.get(field.name())?.as_deref()?;
            let amount = Amount::parse(text, *precision, scale).ok()?;
            let common = 10i128.checked_pow(18u32.checked_sub(u32::from(scale))?)?;
            Some((field.name().as_str(), amount.units.checked_mul(common)?))
        })
        .filter(|(_, units)| *units != 0)
        .collect();
    amounts.iter().find_map(|(large, units)| {
        let small = amounts
            .iter()
            .find(|(_, other)| other.checked_mul(100) == Some(*units))?;
        Some(format!(
            "`{large}` is exactly 100 times `{}`: a major unit was taken for a minor one",
            small.0
        ))
    })
}
