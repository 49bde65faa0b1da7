//! Sensitive columns: SQL never sees them otherwise than as evidence shows them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use centinel_catalog::{Column, mask};
use centinel_rules::value_text;
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::prelude::ident;

/// The table with some columns masked: by column, the type in which rules see it where it is sensitive. Conditions on
/// such a column are about what is shown of it.
pub(super) fn over(
    name: &str,
    table: Arc<dyn TableProvider>,
    sensitive: &[Option<DataType>],
) -> Result<Arc<dyn TableProvider>> {
    if sensitive.iter().all(Option::is_none) {
        return Ok(table);
    }
    let schema = table.schema();
    let columns = schema.fields().iter().zip(sensitive);
    let columns = columns.map(|(field, sensitive)| {
        let column = ident(field.name());
        match sensitive {
            None => column,
            Some(seen) => Masked::function(seen.clone())
                .call(vec![column])
                .alias(field.name()),
        }
    });
    let columns: Vec<_> = columns.collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?
        .project(columns)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// In which type evidence shows a column, where it is masked there.
pub(super) fn seen(column: &Column) -> Option<DataType> {
    column.sensitive.then(|| column.rule_type())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Masked {
    signature: Signature,
    seen: DataType,
}

impl Masked {
    fn function(seen: DataType) -> ScalarUDF {
        ScalarUDF::new_from_impl(Masked {
            signature: Signature::any(1, Volatility::Immutable),
            seen,
        })
    }

    /// A column as rules see it. The whole number of an amount stays the same in every unit.
    fn as_seen(&self, stored: ArrayRef) -> Result<ArrayRef> {
        let DataType::Decimal128(precision, scale) = self.seen else {
            return Ok(stored);
        };
        let units: Decimal128Array = match stored.data_type() {
            DataType::Int64 => {
                let numbers = stored.as_primitive::<Int64Type>().iter();
                numbers.map(|number| number.map(i128::from)).collect()
            }
            DataType::Decimal128(..) => stored.as_primitive::<Decimal128Type>().iter().collect(),
            _ => return Ok(stored),
        };
        Ok(Arc::new(units.with_precision_and_scale(precision, scale)?))
    }
}

impl ScalarUDFImpl for Masked {
    fn name(&self) -> &str {
        "masked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let stored = ColumnarValue::values_to_arrays(&args.args)?;
        let [stored] = &stored[..] else {
            return datafusion::common::exec_err!("one column is masked at a time");
        };
        let values = self.as_seen(Arc::clone(stored))?;
        let shown: StringArray = (0..values.len())
            .map(|row| value_text(&values, row).map(|text| mask(&text)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(shown)))
    }
}
