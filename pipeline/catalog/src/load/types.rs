//! Column types and money, as written in schema files.

use super::form::Form;
use super::mistakes::{shorten, suggest};
use super::yaml::{Node, Placed};
use crate::currency::minor_digits;
use crate::{ColumnType, Currency, Money, MoneyUnit};

const TYPES: [&str; 7] = [
    "text",
    "integer",
    "decimal(18,2)",
    "boolean",
    "timestamp",
    "date",
    "json",
];

/// The most digits of a decimal.
const MAX_PRECISION: u8 = 38;

/// A column type such as `text` or `decimal(18,2)`.
pub(super) fn column_type(form: &mut Form, text: &Placed<String>) -> Option<ColumnType> {
    let plain = match text.value.as_str() {
        "text" => Some(ColumnType::Text),
        "integer" => Some(ColumnType::Integer),
        "boolean" => Some(ColumnType::Boolean),
        "timestamp" => Some(ColumnType::Timestamp),
        "date" => Some(ColumnType::Date),
        "json" => Some(ColumnType::Json),
        _ => None,
    };
    if plain.is_some() {
        return plain;
    }
    let lower = text.value.to_ascii_lowercase();
    let (base, digits) = match lower.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.trim_end().strip_suffix(')')),
        None => (lower.trim(), None),
    };
    if text.value.starts_with("decimal") && base == "decimal" {
        return decimal(form, text, digits);
    }
    let problem = match base {
        "float" | "double" | "real" | "float4" | "float8" | "float32" | "float64"
        | "double precision" => {
            format!("`{}` is a float", shorten(&text.value))
        }
        _ => format!("`{}` is not a column type", shorten(&text.value)),
    };
    let remedy = match base {
        "float" | "double" | "real" | "float4" | "float8" | "float32" | "float64"
        | "double precision" => "declare decimal(p,s): a float cannot hold money".to_owned(),
        "bigint" | "int" | "int4" | "int8" | "int32" | "int64" | "long" | "smallint"
        | "tinyint" => "write `integer`".to_owned(),
        "varchar" | "char" | "string" | "utf8" | "character varying" | "uuid" => {
            "write `text`".to_owned()
        }
        "datetime" | "timestamptz" | "timestamp with time zone" | "time" => {
            "write `timestamp` (UTC, to the microsecond)".to_owned()
        }
        "bool" | "bit" => "write `boolean`".to_owned(),
        "jsonb" => "write `json`".to_owned(),
        "numeric" | "number" | "decimal" => {
            "write `decimal(p,s)`, such as decimal(18,2)".to_owned()
        }
        _ => suggest(&text.value, TYPES),
    };
    form.refuse(text.place, problem, remedy);
    None
}

fn decimal(form: &mut Form, text: &Placed<String>, digits: Option<&str>) -> Option<ColumnType> {
    let Some((precision, scale)) = digits.and_then(two_numbers) else {
        let remedy =
            "write decimal(p,s) with p digits in all and s behind the point, such as decimal(18,2)";
        form.refuse(
            text.place,
            format!("`{}` does not say how many digits", shorten(&text.value)),
            remedy,
        );
        return None;
    };
    if !(1..=MAX_PRECISION).contains(&precision) {
        let remedy = "declare 1 to 38 digits in all, such as decimal(18,2)";
        form.refuse(
            text.place,
            format!("a decimal cannot have {precision} digits"),
            remedy,
        );
        return None;
    }
    if scale > precision {
        let remedy = format!(
            "declare at most {precision} digits behind the point, such as decimal({precision},{})",
            precision.min(2)
        );
        form.refuse(
            text.place,
            format!("{scale} digits behind the point, but only {precision} in all"),
            remedy,
        );
        return None;
    }
    Some(ColumnType::Decimal { precision, scale })
}

fn two_numbers(digits: &str) -> Option<(u8, u8)> {
    let (precision, scale) = digits.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// The `money:` of a column.
pub(super) fn money(
    form: &mut Form,
    what: &str,
    node: Placed<Node>,
    kind: Option<ColumnType>,
) -> Option<Money> {
    let what = format!("money of {what}");
    let place = node.place;
    let mut fields = form.fields(&what, node, &["currency", "unit", "minor_digits"])?;
    let declared = fields.take("minor_digits");
    let currency = fields.require(form, "currency", "CNY")?;
    let unit = fields.require(form, "unit", "major");
    let declared_place = declared.as_ref().map(|node| node.place);
    let declared = form.number(&format!("minor_digits of {what}"), declared, 0..=8, 2) as u8;
    let (currency, minor_digits) = currency_of(form, &what, currency, declared)?;
    if let (Currency::Fixed(code), Some(place)) = (&currency, declared_place) {
        let remedy = format!("remove it: ISO 4217 gives {code} {minor_digits} digits");
        form.refuse(place, "minor_digits beside a fixed currency", remedy);
    }
    let units = [("major", MoneyUnit::Major), ("minor", MoneyUnit::Minor)];
    let unit = form.choice(&format!("unit of {what}"), unit?, &units)?;
    let money = Money {
        currency,
        unit,
        minor_digits,
    };
    match kind {
        None | Some(ColumnType::Integer) => Some(money),
        Some(ColumnType::Decimal { scale, .. }) => {
            let digits = if unit == MoneyUnit::Minor {
                scale + minor_digits
            } else {
                scale
            };
            if digits > MAX_PRECISION {
                let problem = format!(
                    "in the major unit this money has {digits} digits behind the point; 38 is the most"
                );
                let remedy = format!(
                    "declare at most {} digits behind the point",
                    MAX_PRECISION - minor_digits
                );
                form.refuse(place, problem, remedy);
            }
            Some(money)
        }
        Some(_) => {
            form.refuse(
                place,
                "money on a column that is not a number",
                "declare the column integer or decimal(p,s), or remove `money`",
            );
            None
        }
    }
}

fn currency_of(
    form: &mut Form,
    what: &str,
    node: Placed<Node>,
    declared: u8,
) -> Option<(Currency, u8)> {
    let what = format!("currency of {what}");
    if matches!(node.value, Node::Map(_)) {
        let mut fields = form.fields(&what, node, &["column"])?;
        let column = fields.require(form, "column", "currency")?;
        let column = form.text(&format!("column of {what}"), column)?;
        return Some((Currency::Column(column.value), declared));
    }
    let code = form.text(&what, node)?;
    let Some(digits) = minor_digits(&code.value) else {
        let upper = code.value.to_ascii_uppercase();
        let remedy = match upper.as_str() {
            "RMB" | "CNH" | "YUAN" => "write `CNY`".to_owned(),
            _ if minor_digits(&upper).is_some() => format!("write `{upper}`"),
            _ => "write a current ISO 4217 code such as CNY, or { column: … } for a column that holds it".to_owned(),
        };
        form.refuse(
            code.place,
            format!("`{}` is not an ISO 4217 currency", shorten(&code.value)),
            remedy,
        );
        return None;
    };
    Some((Currency::Fixed(code.value), digits))
}
