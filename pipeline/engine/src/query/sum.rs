//! `SUM` as it should be: the engine's own wraps around silently when it overflows.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

/// A sum has ten digits more than what it adds up: ten thousand million rows cannot exceed it. More than 28 digits are
/// added up in wider numbers.
const MOST_SUMMED_DIGITS: u8 = 28;
/// Digits of a whole number of 64 bits, with or without a sign.
const WHOLE: DataType = DataType::Decimal128(20, 0);

/// The engine's sum over arguments that have room to be added up.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    inner: Sum,
    signature: Signature,
}

pub(super) fn exact_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(ExactSum {
        inner: Sum::new(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arguments else {
            return datafusion::common::plan_err!("SUM adds up one column");
        };
        Ok(vec![match argument {
            kind if kind.is_integer() => WHOLE,
            DataType::Null => WHOLE,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) => {
                DataType::Decimal128(*digits, *scale)
            }
            DataType::Decimal128(digits, scale) if *digits > MOST_SUMMED_DIGITS => {
                DataType::Decimal256(*digits, *scale)
            }
            DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Duration(_)
            | DataType::Interval(_) => argument.clone(),
            other => return datafusion::common::plan_err!("SUM adds up numbers, not {other}"),
        }])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
