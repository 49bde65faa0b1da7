//! `as_of()`: the only clock that rules may read.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::datatypes::{DataType, TimeUnit};
use centinel_model::Timestamp;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name of the function.
pub(crate) const AS_OF: &str = "as_of";

/// The time that `as_of()` returns in the plans that were made with this clock; shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct AsOf(Arc<AtomicI64>);

impl AsOf {
    /// From now on `as_of()` is this time, to the microsecond, in UTC.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, Ordering::Release);
    }

    pub(crate) fn function(&self) -> ScalarUDF {
        ScalarUDF::from(Function {
            // Volatile, so that no optimiser puts the time of planning into a plan that is kept.
            signature: Signature::nullary(Volatility::Volatile),
            clock: self.clone(),
        })
    }
}

#[derive(Debug)]
struct Function {
    signature: Signature,
    clock: AsOf,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        Arc::ptr_eq(&self.clock.0, &other.clock.0)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.clock.0).hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        AS_OF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let time = self.clock.0.load(Ordering::Acquire);
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(
            Some(time),
            None,
        )))
    }
}
