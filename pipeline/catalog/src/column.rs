use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// One column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, as in the database and in rules.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Personal or card data: masked in evidence, logs and displays.
    pub sensitive: bool,
    /// Set for money.
    pub money: Option<Money>,
}

/// The types that columns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit whole number.
    Integer,
    /// An exact decimal of so many digits in all, and behind the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// An instant in UTC, to the microsecond.
    Timestamp,
    /// A calendar day.
    Date,
    /// JSON text, for rules to look into with the JSON functions.
    Json,
}

impl std::fmt::Display for ColumnType {
    /// As schema files write it, such as `decimal(18,2)`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnType::Text => out.write_str("text"),
            ColumnType::Integer => out.write_str("integer"),
            ColumnType::Decimal { precision, scale } => write!(out, "decimal({precision},{scale})"),
            ColumnType::Boolean => out.write_str("boolean"),
            ColumnType::Timestamp => out.write_str("timestamp"),
            ColumnType::Date => out.write_str("date"),
            ColumnType::Json => out.write_str("json"),
        }
    }
}

/// What a money column's numbers mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// In which currency.
    pub currency: Currency,
    /// In which unit of it.
    pub unit: MoneyUnit,
    /// Digits that the currency's major unit has behind the point, from ISO 4217 (2 for CNY, 0 for JPY);
    /// with a currency column, 2 unless declared.
    pub minor_digits: u8,
}

/// Where the currency of a money column stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Currency {
    /// Always this ISO 4217 code.
    Fixed(String),
    /// In this column of the same table.
    Column(String),
}

/// In which unit a money column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyUnit {
    /// Yuan, dollars.
    Major,
    /// Fen, cents.
    Minor,
}

/// Digits of the decimal in which rules see money, unless the column declares more.
const MONEY_PRECISION: u8 = 20;

impl Column {
    /// The Arrow type as the source stores it: what change records and snapshots hold.
    pub fn storage_type(&self) -> DataType {
        match self.kind {
            ColumnType::Text | ColumnType::Json => DataType::Utf8,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Decimal { precision, scale } => {
                DataType::Decimal128(precision, scale as i8)
            }
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnType::Date => DataType::Date32,
        }
    }

    /// The Arrow type as rules see it: money as a decimal in the currency's major unit whatever unit
    /// the source has, everything else as stored.
    pub fn rule_type(&self) -> DataType {
        let Some(money) = &self.money else {
            return self.storage_type();
        };
        match (self.kind, money.unit) {
            (ColumnType::Integer, MoneyUnit::Minor) => {
                DataType::Decimal128(MONEY_PRECISION, money.minor_digits as i8)
            }
            (ColumnType::Integer, MoneyUnit::Major) => DataType::Decimal128(MONEY_PRECISION, 0),
            (ColumnType::Decimal { precision, scale }, MoneyUnit::Minor) => DataType::Decimal128(
                precision
                    .saturating_add(money.minor_digits)
                    .clamp(MONEY_PRECISION, 38),
                (scale + money.minor_digits) as i8,
            ),
            (ColumnType::Decimal { precision, scale }, MoneyUnit::Major) => {
                DataType::Decimal128(precision.max(MONEY_PRECISION), scale as i8)
            }
            _ => self.storage_type(),
        }
    }
}
