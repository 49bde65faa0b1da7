//! Expressions whose value is known to be what MariaDB computes.

use std::cmp::Ordering;

use centinel_model::Amount;

use super::super::value::Value;
use super::token::Place;

/// What a value may be compared with, or assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Null,
    Number,
    Text,
    Json,
    Timestamp,
    Date,
    Boolean,
}

impl Sort {
    pub fn said(self) -> &'static str {
        match self {
            Sort::Null => "NULL",
            Sort::Number => "a number",
            Sort::Text => "a text",
            Sort::Json => "JSON",
            Sort::Timestamp => "a time",
            Sort::Date => "a day",
            Sort::Boolean => "true or false",
        }
    }
}

/// An expression, what sort of value it has, and where it stands.
#[derive(Clone, Debug)]
pub struct Expression {
    pub what: What,
    pub sort: Sort,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub enum What {
    Constant(Value),
    Column(usize),
    Negative(Box<Expression>),
    Add(Box<Expression>, Box<Expression>),
    Subtract(Box<Expression>, Box<Expression>),
    Multiply(Box<Expression>, Box<Expression>),
    Divide(Box<Expression>, Box<Expression>),
    Absolute(Box<Expression>),
    /// To so many digits behind the point, half away from zero.
    Round(Box<Expression>, u8),
    FirstKnown(Vec<Expression>),
    Concatenate(Vec<Expression>),
    Case(Vec<(Condition, Expression)>, Option<Box<Expression>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Two nulls are equal, and nothing is unknown.
    NullSafe,
}

#[derive(Clone, Debug)]
pub enum Condition {
    Compare(Comparison, Expression, Expression),
    IsNull(Expression),
    In(Expression, Vec<Expression>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

/// Why a value is not known, and what to do.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub place: Place,
    pub problem: String,
    pub remedy: &'static str,
}

/// The values of a row, by index of the column.
pub type Columns<'a> = &'a dyn Fn(usize) -> Value;

impl Expression {
    fn doubt<T>(&self, problem: impl Into<String>, remedy: &'static str) -> Result<T, Doubt> {
        Err(Doubt {
            place: self.place,
            problem: problem.into(),
            remedy,
        })
    }

    /// The expression's value for a row. Numbers are decimals of whatever scale.
    pub fn value(&self, row: Columns<'_>) -> Result<Value, Doubt> {
        const TOO_LARGE: &str = "write the value itself";
        Ok(match &self.what {
            What::Constant(value) => value.clone(),
            What::Column(column) => match row(*column) {
                Value::Integer(number) => Value::Decimal(Amount {
                    units: i128::from(number),
                    scale: 0,
                }),
                value => value,
            },
            What::Negative(inner) => match inner.value(row)? {
                Value::Decimal(amount) => Value::Decimal(Amount {
                    units: -amount.units,
                    scale: amount.scale,
                }),
                other => other,
            },
            What::Absolute(inner) => match inner.value(row)? {
                Value::Decimal(amount) => Value::Decimal(Amount {
                    units: amount.units.abs(),
                    scale: amount.scale,
                }),
                other => other,
            },
            What::Add(left, right) | What::Subtract(left, right) | What::Multiply(left, right) => {
                let (Value::Decimal(left), Value::Decimal(right)) =
                    (left.value(row)?, right.value(row)?)
                else {
                    return Ok(Value::Null);
                };
                let minus = |amount: Amount| Amount {
                    units: -amount.units,
                    scale: amount.scale,
                };
                let result = match &self.what {
                    What::Add(..) => checked_add(left, right),
                    What::Subtract(..) => checked_add(left, minus(right)),
                    _ => checked_multiply(left, right),
                };
                let whole = left.scale == 0 && right.scale == 0;
                match result {
                    Some(amount) if !whole || i64::try_from(amount.units).is_ok() => {
                        Value::Decimal(amount)
                    }
                    _ => return self.doubt("the result is too large", TOO_LARGE),
                }
            }
            What::Divide(left, right) => {
                let (Value::Decimal(left), Value::Decimal(right)) =
                    (left.value(row)?, right.value(row)?)
                else {
                    return Ok(Value::Null);
                };
                match divide(left, right) {
                    Some(amount) => Value::Decimal(amount),
                    None => {
                        return self.doubt(
                            "the division does not come out even, or divides by zero",
                            "write the values themselves: how a server rounds depends on its settings",
                        );
                    }
                }
            }
            What::Round(inner, digits) => match inner.value(row)? {
                Value::Decimal(amount) => Value::Decimal(round(amount, *digits)),
                other => other,
            },
            What::FirstKnown(all) => {
                for one in all {
                    let value = one.value(row)?;
                    if value != Value::Null {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            What::Concatenate(all) => {
                let mut text = String::new();
                for one in all {
                    match one.value(row)? {
                        Value::Text(more) => text.push_str(&more),
                        _ => return Ok(Value::Null),
                    }
                }
                Value::Text(text)
            }
            What::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    if condition.holds(row)? == Some(true) {
                        return value.value(row);
                    }
                }
                match otherwise {
                    Some(value) => value.value(row)?,
                    None => Value::Null,
                }
            }
        })
    }

    /// The columns that it reads.
    pub fn columns(&self, found: &mut Vec<usize>) {
        match &self.what {
            What::Constant(_) => {}
            What::Column(column) => found.push(*column),
            What::Negative(one) | What::Absolute(one) | What::Round(one, _) => one.columns(found),
            What::Add(left, right)
            | What::Subtract(left, right)
            | What::Multiply(left, right)
            | What::Divide(left, right) => {
                left.columns(found);
                right.columns(found);
            }
            What::FirstKnown(all) | What::Concatenate(all) => {
                all.iter().for_each(|one| one.columns(found));
            }
            What::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    condition.columns(found);
                    value.columns(found);
                }
                if let Some(value) = otherwise {
                    value.columns(found);
                }
            }
        }
    }
}

impl Condition {
    /// Whether the condition holds for a row; none is unknown, as SQL has it.
    pub fn holds(&self, row: Columns<'_>) -> Result<Option<bool>, Doubt> {
        match self {
            Condition::Compare(how, left, right) => compare(*how, left, right, row),
            Condition::IsNull(one) => Ok(Some(one.value(row)? == Value::Null)),
            Condition::In(one, list) => {
                let any = list
                    .iter()
                    .map(|other| compare(Comparison::Equal, one, other, row));
                any_of(any)
            }
            Condition::And(all) => {
                let none = any_of(all.iter().map(|one| Ok(one.holds(row)?.map(|held| !held))))?;
                Ok(none.map(|any| !any))
            }
            Condition::Or(all) => any_of(all.iter().map(|one| one.holds(row))),
            Condition::Not(one) => Ok(one.holds(row)?.map(|held| !held)),
        }
    }

    /// The columns that it reads.
    pub fn columns(&self, found: &mut Vec<usize>) {
        match self {
            Condition::Compare(_, left, right) => {
                left.columns(found);
                right.columns(found);
            }
            Condition::IsNull(one) => one.columns(found),
            Condition::In(one, list) => {
                one.columns(found);
                list.iter().for_each(|other| other.columns(found));
            }
            Condition::And(all) | Condition::Or(all) => {
                all.iter().for_each(|one| one.columns(found));
            }
            Condition::Not(one) => one.columns(found),
        }
    }
}

/// True where one is, whatever is not known of others.
fn any_of(all: impl Iterator<Item = Result<Option<bool>, Doubt>>) -> Result<Option<bool>, Doubt> {
    let (mut doubt, mut unknown) = (None, false);
    for one in all {
        match one {
            Ok(Some(true)) => return Ok(Some(true)),
            Ok(Some(false)) => {}
            Ok(None) => unknown = true,
            Err(why) => doubt = doubt.or(Some(why)),
        }
    }
    match doubt {
        Some(doubt) => Err(doubt),
        None => Ok((!unknown).then_some(false)),
    }
}

fn compare(
    how: Comparison,
    left: &Expression,
    right: &Expression,
    row: Columns<'_>,
) -> Result<Option<bool>, Doubt> {
    let (first, second) = (left.value(row)?, right.value(row)?);
    if first == Value::Null || second == Value::Null {
        return Ok(match how {
            Comparison::NullSafe => Some(first == second),
            _ => None,
        });
    }
    if let (Value::Text(one), Value::Text(other)) = (&first, &second) {
        return match (texts_equal(one, other), how) {
            (Some(equal), Comparison::Equal | Comparison::NullSafe) => Ok(Some(equal)),
            (Some(equal), Comparison::NotEqual) => Ok(Some(!equal)),
            _ => left.doubt(
                "whether two texts are equal depends on the column's collation (case, blanks at the end, accents)",
                "write the text exactly as the rows have it, or name the rows by their keys",
            ),
        };
    }
    let Some(order) = order(&first, &second) else {
        return left.doubt(
            "the values cannot be compared",
            "write the values themselves",
        );
    };
    Ok(Some(match how {
        Comparison::Equal | Comparison::NullSafe => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }))
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Decimal(left), Value::Decimal(right)) => left.partial_cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Whether two texts are equal by whatever collation; none where that depends on it. Collations of single languages
/// that take different letters for one are not thought of.
pub fn texts_equal(left: &str, right: &str) -> Option<bool> {
    if left == right {
        return Some(true);
    }
    let differ = folded(left)? != folded(right)?;
    differ.then_some(false)
}

/// A text such that two are unequal by every collation when these are; none beyond printable ASCII.
pub fn folded(text: &str) -> Option<String> {
    let mut name = String::new();
    fold_into(text, &mut name).then_some(name)
}

/// The same into a text that is there already; false where there is none.
pub fn fold_into(text: &str, name: &mut String) -> bool {
    name.clear();
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if plain {
        name.push_str(text.trim_end_matches(' '));
        name.make_ascii_lowercase();
    }
    plain
}

fn checked_add(left: Amount, right: Amount) -> Option<Amount> {
    left.checked_add(right)
}

fn checked_multiply(left: Amount, right: Amount) -> Option<Amount> {
    Some(Amount {
        units: left.units.checked_mul(right.units)?,
        scale: left
            .scale
            .checked_add(right.scale)
            .filter(|scale| *scale <= 38)?,
    })
}

/// MariaDB gives a quotient four digits more than its dividend has; one that needs no more is exact everywhere.
fn divide(left: Amount, right: Amount) -> Option<Amount> {
    const MORE_DIGITS: u8 = 4;
    let scale = left.scale.checked_add(MORE_DIGITS)?;
    let raised = u32::from(MORE_DIGITS).checked_add(u32::from(right.scale))?;
    let dividend = left.units.checked_mul(10i128.checked_pow(raised)?)?;
    let exact = right.units != 0 && dividend % right.units == 0;
    exact.then(|| Amount {
        units: dividend / right.units,
        scale,
    })
}

/// Half away from zero, as MariaDB rounds exact numbers.
fn round(amount: Amount, digits: u8) -> Amount {
    if amount.scale <= digits {
        return amount;
    }
    let power = 10i128.pow(u32::from(amount.scale - digits));
    let half = power / 2 * amount.units.signum();
    Amount {
        units: (amount.units + half) / power,
        scale: digits,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        let scale = text.split_once('.').map_or(0, |(_, behind)| behind.len());
        Amount::parse(text, 38, scale as u8).unwrap()
    }

    #[test]
    fn quotients_are_exact_or_not_known() {
        let quotient = |left, right| divide(amount(left), amount(right)).map(Amount::normalised);
        assert_eq!(quotient("40669900", "100"), Some(amount("406699")));
        assert_eq!(quotient("1.00", "8"), Some(amount("0.125")));
        assert_eq!(quotient("7", "0.5"), Some(amount("14")));
        for (left, right) in [("1", "3"), ("1", "0"), ("1", "100000")] {
            assert_eq!(quotient(left, right), None, "{left} / {right}");
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let rounded = |text, digits| round(amount(text), digits).to_string();
        assert_eq!(rounded("2.345", 2), "2.35");
        assert_eq!(rounded("-2.345", 2), "-2.35");
        assert_eq!(rounded("2.344", 2), "2.34");
        assert_eq!(rounded("2.5", 0), "3");
        assert_eq!(rounded("2", 3), "2");
    }

    #[test]
    fn what_a_collation_may_decide_is_not_decided() {
        assert_eq!(texts_equal("PAID", "PAID"), Some(true));
        assert_eq!(texts_equal("PAID", "CLOSED"), Some(false));
        assert_eq!(texts_equal("PAID", "paid"), None);
        assert_eq!(texts_equal("PAID", "PAID "), None);
        assert_eq!(texts_equal("café", "cafe"), None);
        assert_eq!(texts_equal("a\t", "a"), None);
        assert_eq!(texts_equal(" a", "a"), Some(false));
    }
}
