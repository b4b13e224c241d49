//! `version_number(eventversion)`: versions that compare.
//!
//! Owns: the order of CloudTrail's event versions. Both parts are whole numbers, so 1.10 is newer than 1.9 and 1.09.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Numbers that a minor version may take.
const MINORS: i64 = 1_000_000;

/// The function: `'1.10'` -> 1000010; NULL where the text is not two whole numbers with a dot between them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VersionNumber {
    signature: Signature,
}

impl Default for VersionNumber {
    fn default() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for VersionNumber {
    fn name(&self) -> &str {
        "version_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = cast(&arrays[0], &DataType::Utf8)?;
        let numbers: Int64Array = texts.as_string::<i32>().iter().map(|text| text.and_then(number)).collect();
        Ok(ColumnarValue::Array(Arc::new(numbers)))
    }
}

fn number(text: &str) -> Option<i64> {
    let (major, minor) = text.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i64>().ok())?;
    let (major, minor) = (digits(major)?, digits(minor)?);
    (minor < MINORS).then(|| major.checked_mul(MINORS)?.checked_add(minor))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_are_whole_numbers() {
        let sorted = ["1.0", "1.01", "1.02", "1.08", "1.9", "1.10", "1.11", "2.0"].map(|text| number(text).unwrap());
        assert!(sorted.is_sorted_by(|a, b| a < b), "{sorted:?}");
        assert_eq!(number("1.09"), number("1.9"));
        assert_ne!(number("1.1"), number("1.10"));
    }

    #[test]
    fn other_texts_have_no_number() {
        for text in ["", "1", "1.", ".1", "1.x", "1.-1", "+1.0", "1.0.0", "1.1000000", "99999999999999999999.1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
