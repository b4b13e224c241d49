//! Which events may be those of a day's flagged cells, told by columns that are cheap to read.
//!
//! Owns: the function that the scan of `sql/evidence.sql` asks, so that ids and JSON are read of few events. Refuses: to decide;
//! the query compares everything that a cell has. Invariant: an event of a flagged cell is never left out.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use foldhash::fast::RandomState;

use super::columns::{SUCCESS, filled, text};
use super::feature::{self, NONE, view};
use super::names::{Map, Set};

/// What is compared of a cell: actor, account, API, region, address, outcome.
type Texts<'t> = [&'t str; 6];

/// Columns that the function takes: actor, account, `eventSource`, `eventName`, region, address, outcome.
const COLUMNS: usize = 7;

/// `may_be_flagged(actor, recipientaccountid, eventsource, eventname, awsregion, sourceipaddress, outcome)`.
pub fn function<'t>(flagged: impl Iterator<Item = Texts<'t>>) -> ScalarUDF {
    let sieve = Sieve::of(flagged);
    let body = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        Ok(ColumnarValue::Array(Arc::new(sieve.pass(&arrays)) as ArrayRef))
    };
    let texts = vec![DataType::Utf8View; COLUMNS];
    create_udf("may_be_flagged", texts, DataType::Boolean, Volatility::Immutable, Arc::new(body))
}

/// Hashes of the flagged cells' texts: two that are equal let a few more events through.
struct Sieve {
    hasher: RandomState,
    flagged: Set<u64>,
}

impl Sieve {
    fn of<'t>(flagged: impl Iterator<Item = Texts<'t>>) -> Self {
        let hasher = RandomState::default();
        Self { flagged: flagged.map(|texts| hasher.hash_one(texts)).collect(), hasher }
    }

    /// What passes, asked once for rows of a batch that are alike.
    fn pass(&self, arrays: &[ArrayRef]) -> BooleanArray {
        let columns: [&StringViewArray; COLUMNS] = std::array::from_fn(|at| arrays[at].as_string_view());
        let mut known: Map<[u128; COLUMNS], bool> = Map::default();
        let rows = 0..columns[0].len();
        let passes =
            |row| *known.entry(columns.map(|column| view(column, row))).or_insert_with(|| self.passes(&columns, row));
        rows.map(passes).map(Some).collect()
    }

    fn passes(
        &self,
        [actor, account, source, operation, region, address, outcome]: &[&StringViewArray; COLUMNS],
        row: usize,
    ) -> bool {
        let api = feature::api(filled(source, row), filled(operation, row));
        let outcome = text(*outcome, row).unwrap_or(SUCCESS);
        let [account, region, address] = [account, region, address].map(|column| text(*column, row).unwrap_or(NONE));
        let texts: Texts<'_> = [text(*actor, row).unwrap_or_default(), account, &api, region, address, outcome];
        self.flagged.contains(&self.hasher.hash_one(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_flagged_cell_may_have_passes() {
        let sieve = Sieve::of([["ana", NONE, "s3:GetObject", NONE, "192.0.2.1", "success"]].into_iter());
        let rows = [
            [Some("ana"), None, Some("s3.amazonaws.com"), Some("GetObject"), None, Some("192.0.2.1"), None],
            [Some("ana"), None, Some("s3.amazonaws.com"), Some("GetObject"), None, Some("192.0.2.2"), None],
            [Some("ana"), None, Some("s3.amazonaws.com"), Some("GetObject"), None, Some("192.0.2.1"), Some("denied")],
            [Some("ben"), None, Some("s3.amazonaws.com"), Some("GetObject"), None, Some("192.0.2.1"), None],
            [Some("ana"), Some(NONE), Some("s3"), Some("GetObject"), Some(NONE), Some("192.0.2.1"), Some("success")],
        ];
        let column = |at: usize| Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row[at]))) as ArrayRef;
        let arrays: Vec<ArrayRef> = (0..COLUMNS).map(column).collect();
        assert_eq!(sieve.pass(&arrays), BooleanArray::from(vec![true, false, false, false, true]));
    }
}
