//! A table's rows in an order, for rewriting them.
//!
//! Invariant: memory is bounded by the option; what does not fit is sorted in the temporary folder.

use arrow::array::RecordBatch;
use datafusion::common::config::{ConfigNonZeroUsize, SpillCompression};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::{QueryOptions, execute, fault, session};
use crate::error::Result;
use crate::table::TableSnapshot;

/// Rows of a batch. Rows of events are wide, and a merge holds a batch or two of every sorted run.
const BATCH_ROWS: usize = 2048;

/// All rows of a snapshot's files, without the partition column, ascending by the columns named.
///
/// # Errors
/// As [`session`] and [`execute`]; errors of reading and sorting come with the rows.
pub async fn ordered(
    snapshot: &TableSnapshot,
    order: &[&str],
    options: &QueryOptions,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    // One sort has all of the memory. Of several each would spill by itself, and what then merges them finds none left; they took
    // more CPU, and no less time, as the rows are encoded on a thread of their own.
    let ctx = session(std::slice::from_ref(snapshot), &QueryOptions { threads: 1, ..options.clone() })?;
    let rows = ConfigNonZeroUsize::try_new(BATCH_ROWS).map_err(|error| fault::of(&error))?;
    {
        let state = ctx.state_ref();
        let mut state = state.write();
        let execution = &mut state.config_mut().options_mut().execution;
        execution.batch_size = rows;
        // events as Arrow has them are near twenty times as large as in their files
        execution.spill_compression = SpillCompression::Lz4Frame;
    }
    let rows = execute(&ctx, &sql(snapshot, order)).await?;
    Ok(rows.map_err(|error| fault::of(&error)).boxed())
}

fn sql(snapshot: &TableSnapshot, order: &[&str]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = snapshot.schema.fields().iter().map(|field| field.name());
    let columns: Vec<String> =
        columns.filter(|name| Some(*name) != snapshot.partition.as_ref()).map(|name| quoted(name)).collect();
    let mut sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&snapshot.name));
    if !order.is_empty() {
        let order: Vec<String> = order.iter().map(|name| quoted(name)).collect();
        sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    sql
}
