//! Values in statements: literals, columns, arithmetic and the few functions that are evaluated.

use centinel_catalog::{ColumnType, Table};
use centinel_model::{Amount, Timestamp};
use chrono::{NaiveDate, NaiveDateTime};

use super::super::change::Mistake;
use super::super::value::Value;
use super::expression::{Expression, Sort, What};
use super::parse::{Parser, constant, mixed, sort_of};
use super::token::{Kind, Place};

/// Digits behind the point that ROUND may keep.
const MOST_ROUNDED: u8 = 30;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expression, Mistake> {
        self.deeper(|parser| {
            let mut left = parser.product()?;
            loop {
                let place = parser.place();
                if parser.eat("+") {
                    let right = parser.product()?;
                    left = arithmetic(place, left, right, What::Add)?;
                } else if parser.eat("-") {
                    let right = parser.product()?;
                    left = arithmetic(place, left, right, What::Subtract)?;
                } else {
                    return Ok(left);
                }
            }
        })
    }

    fn product(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.signed()?;
        loop {
            let place = self.place();
            if self.eat("*") {
                let right = self.signed()?;
                left = arithmetic(place, left, right, What::Multiply)?;
            } else if self.eat("/") {
                let right = self.signed()?;
                left = arithmetic(place, left, right, What::Divide)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn signed(&mut self) -> Result<Expression, Mistake> {
        let place = self.place();
        if self.eat("-") {
            let inner = self.deeper(|parser| parser.signed())?;
            let inner = number(inner)?;
            return Ok(Expression {
                sort: inner.sort,
                what: What::Negative(Box::new(inner)),
                place,
            });
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expression, Mistake> {
        let place = self.place();
        match self.peek() {
            Kind::Number(text) => {
                let scale = text.split_once('.').map_or(0, |(_, behind)| behind.len());
                let scale = u8::try_from(scale).unwrap_or(u8::MAX);
                let amount = match scale <= 38 {
                    true => Amount::parse(text, 38, scale).ok(),
                    false => None,
                };
                let Some(amount) = amount else {
                    return self.refuse("a number of more than 38 digits", "write a smaller one");
                };
                self.next();
                Ok(constant(Value::Decimal(amount), Sort::Number, place))
            }
            Kind::Text(text) => {
                self.next();
                Ok(constant(Value::Text(text.clone()), Sort::Text, place))
            }
            Kind::Sign("(") => {
                self.next();
                let inner = self.expression()?;
                match self.eat(")") {
                    true => Ok(inner),
                    false => self.refuse_here("where `)` should stand"),
                }
            }
            Kind::Word(word) => {
                if self.peek_second() == &Kind::Sign("(") {
                    return self.function(&word.to_uppercase(), place);
                }
                let value = match word.to_uppercase().as_str() {
                    "NULL" => constant(Value::Null, Sort::Null, place),
                    "TRUE" => constant(Value::Boolean(true), Sort::Boolean, place),
                    "FALSE" => constant(Value::Boolean(false), Sort::Boolean, place),
                    "CASE" => return self.case(place),
                    "SELECT" => {
                        return self.refuse(
                            "a query, which is not evaluated here",
                            "name the rows of one table by their keys, and write the values",
                        );
                    }
                    "DEFAULT" => {
                        return self
                            .refuse("DEFAULT, which only the database knows", "write the value");
                    }
                    "CURRENT_TIMESTAMP" | "CURRENT_DATE" | "LOCALTIME" | "LOCALTIMESTAMP"
                    | "UTC_TIMESTAMP" => return self.refuse_clock(),
                    _ => return self.column(place),
                };
                self.next();
                Ok(value)
            }
            Kind::Name(_) => self.column(place),
            _ => self.refuse_here("where a value should stand"),
        }
    }

    fn column(&mut self, place: Place) -> Result<Expression, Mistake> {
        let column = self.column_name()?;
        let sort = sort_of(self.current().columns[column].kind);
        Ok(Expression {
            what: What::Column(column),
            sort,
            place,
        })
    }

    fn refuse_clock<T>(&self) -> Result<T, Mistake> {
        self.refuse(
            "the time at which the statement runs, which is not known yet",
            "write the time itself, such as '2026-11-22 08:00:00'",
        )
    }

    fn function(&mut self, name: &str, place: Place) -> Result<Expression, Mistake> {
        let known = ["ABS", "ROUND", "COALESCE", "IFNULL", "CONCAT", "IF"];
        if [
            "NOW",
            "SYSDATE",
            "CURDATE",
            "CURTIME",
            "CURRENT_TIMESTAMP",
            "UTC_TIMESTAMP",
            "UNIX_TIMESTAMP",
        ]
        .contains(&name)
        {
            return self.refuse_clock();
        }
        if !known.contains(&name) {
            return self.refuse(
                format!("{name}(…), which is not evaluated here"),
                "write the value; ABS, ROUND, COALESCE, IFNULL, IF, CASE and CONCAT are evaluated",
            );
        }
        self.next();
        self.next();
        if name == "IF" {
            let condition = self.condition()?;
            self.comma()?;
            let yes = self.expression()?;
            self.comma()?;
            let no = self.expression()?;
            self.close()?;
            let mut all = self.alike(vec![yes, no])?;
            let no = all.pop().map(Box::new);
            let yes = all
                .pop()
                .unwrap_or_else(|| constant(Value::Null, Sort::Null, place));
            let sort = one_sort(&yes, no.as_deref());
            return Ok(Expression {
                what: What::Case(vec![(condition, yes)], no),
                sort,
                place,
            });
        }
        let mut all = vec![self.expression()?];
        while self.eat(",") {
            all.push(self.expression()?);
        }
        self.close()?;
        let count = all.len();
        let wrong = |wanted: &str| {
            Err(Mistake::new(
                place.to_string(),
                format!("{name} has {count} arguments"),
                format!("give it {wanted}"),
            ))
        };
        match (name, count) {
            ("ABS", 1) => {
                let inner = number(all.swap_remove(0))?;
                Ok(Expression {
                    sort: Sort::Number,
                    what: What::Absolute(Box::new(inner)),
                    place,
                })
            }
            ("ABS", _) => wrong("one"),
            ("ROUND", 1 | 2) => {
                let digits = match all.get(1).map(|digits| &digits.what) {
                    None => Some(0),
                    Some(What::Constant(Value::Decimal(amount))) if amount.scale == 0 => {
                        u8::try_from(amount.units).ok()
                    }
                    Some(_) => None,
                };
                let Some(digits) = digits.filter(|digits| *digits <= MOST_ROUNDED) else {
                    return Err(Mistake::new(
                        place.to_string(),
                        "ROUND to digits that are no plain number from 0 to 30",
                        "write the number of digits itself",
                    ));
                };
                let inner = number(all.swap_remove(0))?;
                Ok(Expression {
                    sort: Sort::Number,
                    what: What::Round(Box::new(inner), digits),
                    place,
                })
            }
            ("ROUND", _) => wrong("one or two"),
            ("IFNULL", 2) | ("COALESCE", 1..) => {
                let all = self.alike(all)?;
                let sort = all
                    .iter()
                    .map(|one| one.sort)
                    .find(|sort| *sort != Sort::Null)
                    .unwrap_or(Sort::Null);
                Ok(Expression {
                    what: What::FirstKnown(all),
                    sort,
                    place,
                })
            }
            ("IFNULL", _) => wrong("two"),
            _ => {
                for one in &all {
                    if !matches!(one.sort, Sort::Text | Sort::Null) {
                        let problem = format!("CONCAT of {}", one.sort.said());
                        return Err(mixed(one.place, problem, Sort::Text));
                    }
                }
                Ok(Expression {
                    what: What::Concatenate(all),
                    sort: Sort::Text,
                    place,
                })
            }
        }
    }

    fn case(&mut self, place: Place) -> Result<Expression, Mistake> {
        self.next();
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        while self.word("WHEN") {
            conditions.push(self.condition()?);
            self.keyword("THEN")?;
            values.push(self.expression()?);
        }
        if conditions.is_empty() {
            return self.refuse(
                "a CASE with a value behind it",
                "write CASE WHEN condition THEN value … END",
            );
        }
        let has_else = self.word("ELSE");
        if has_else {
            values.push(self.expression()?);
        }
        self.keyword("END")?;
        let mut values = self.alike(values)?;
        let otherwise = match has_else {
            true => values.pop().map(Box::new),
            false => None,
        };
        let sort = values
            .iter()
            .chain(otherwise.as_deref())
            .map(|value| value.sort)
            .find(|sort| *sort != Sort::Null)
            .unwrap_or(Sort::Null);
        Ok(Expression {
            what: What::Case(conditions.into_iter().zip(values).collect(), otherwise),
            sort,
            place,
        })
    }

    /// Values of one sort, of which one is chosen.
    fn alike(&self, all: Vec<Expression>) -> Result<Vec<Expression>, Mistake> {
        let sort = all
            .iter()
            .map(|one| one.sort)
            .find(|sort| !matches!(sort, Sort::Null | Sort::Text))
            .or_else(|| {
                all.iter()
                    .map(|one| one.sort)
                    .find(|sort| *sort != Sort::Null)
            })
            .unwrap_or(Sort::Null);
        let table = self.current();
        let mut alike = Vec::with_capacity(all.len());
        for one in all {
            let one = self.converted(one, sort, table);
            if one.sort != sort && one.sort != Sort::Null {
                let problem = format!("{} stands beside {}", one.sort.said(), sort.said());
                return Err(mixed(one.place, problem, sort));
            }
            alike.push(one);
        }
        Ok(alike)
    }

    fn comma(&mut self) -> Result<(), Mistake> {
        match self.eat(",") {
            true => Ok(()),
            false => self.refuse_here("where `,` should stand"),
        }
    }

    fn close(&mut self) -> Result<(), Mistake> {
        match self.eat(")") {
            true => Ok(()),
            false => self.refuse_here("where `)` should stand"),
        }
    }

    /// A literal as one of another sort, where that is certain: a text as a time or a day, 0 and 1 as a boolean.
    pub(super) fn converted(&self, value: Expression, wanted: Sort, table: &Table) -> Expression {
        let What::Constant(known) = &value.what else {
            return value;
        };
        let converted = match (known, wanted) {
            (Value::Text(text), Sort::Timestamp) => time(text, table).map(Value::Timestamp),
            (Value::Text(text), Sort::Date) => day(text).map(Value::Date),
            (Value::Decimal(amount), Sort::Boolean) if amount.scale == 0 => match amount.units {
                0 => Some(Value::Boolean(false)),
                1 => Some(Value::Boolean(true)),
                _ => None,
            },
            _ => None,
        };
        match converted {
            Some(known) => constant(known, wanted, value.place),
            None => value,
        }
    }
}

fn one_sort(first: &Expression, second: Option<&Expression>) -> Sort {
    match (first.sort, second) {
        (Sort::Null, Some(second)) => second.sort,
        (sort, _) => sort,
    }
}

fn number(value: Expression) -> Result<Expression, Mistake> {
    match value.sort {
        Sort::Number | Sort::Null => Ok(value),
        other => Err(mixed(
            value.place,
            format!("arithmetic with {}", other.said()),
            Sort::Number,
        )),
    }
}

fn arithmetic(
    place: Place,
    left: Expression,
    right: Expression,
    what: fn(Box<Expression>, Box<Expression>) -> What,
) -> Result<Expression, Mistake> {
    let (left, right) = (number(left)?, number(right)?);
    Ok(Expression {
        what: what(Box::new(left), Box::new(right)),
        sort: Sort::Number,
        place,
    })
}

/// `2026-11-22 08:00:00` and at most six digits behind the second, in the table's zone → microseconds in UTC.
fn time(text: &str, table: &Table) -> Option<i64> {
    let shape = text.len() >= 19 && text.as_bytes()[10] == b' ' && text.len() <= 26;
    let form = match text.len() {
        19 => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%d %H:%M:%S%.f",
    };
    let leaps = text.get(17..19) == Some("60");
    let time = NaiveDateTime::parse_from_str(text, form)
        .ok()
        .filter(|_| shape && !leaps)?;
    let ahead = i64::from(table.zone_seconds.unwrap_or(0)) * 1_000_000;
    let micros = time.and_utc().timestamp_micros() - ahead;
    (0..=Timestamp::LATEST.0)
        .contains(&micros)
        .then_some(micros)
}

fn day(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok().filter(|_| text.len() == 10)
}

/// The value as a column holds it, or why it does not: nothing is rounded or cut.
pub fn assigned(kind: ColumnType, value: Value) -> Result<Value, String> {
    let Value::Decimal(amount) = value else {
        if let (ColumnType::Json, Value::Text(text)) = (kind, &value) {
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|_| "the text is not JSON".to_owned())?;
        }
        return Ok(value);
    };
    let text = amount.normalised().to_string();
    match kind {
        ColumnType::Integer => {
            let whole = amount.normalised();
            match i64::try_from(whole.units) {
                Ok(number) if whole.scale == 0 => Ok(Value::Integer(number)),
                Ok(_) => Err(format!("{text} would be rounded to a whole number")),
                Err(_) => Err(format!("{text} is beyond 64 bits")),
            }
        }
        ColumnType::Decimal { precision, scale } => Amount::parse(&text, precision, scale)
            .map(Value::Decimal)
            .map_err(|error| format!("{text} has {error}, and the column is {kind}")),
        _ => Err(format!("a number is no {kind}")),
    }
}
