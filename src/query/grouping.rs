//! Grouping by text that repeats, at the price of numbers.
//!
//! Owns: the first of the two steps of a grouping (the second joins what the threads found). The rows of a batch are told
//! apart by their views first: 16 bytes that hold a short text, or the place of a long one. Cells that come from one
//! entry of a file's dictionary are one view, so that of thousands of rows some hundred remain, and only these are hashed and
//! compared as texts.
//! Invariant: what comes out is what DataFusion's own first step hands to its second; two views of the same text only
//! cost time.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, aggregate_expressions, evaluate_group_by, evaluate_many};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::TryStreamExt;

use super::first_step::Step;
use crate::schema::is_unique;

/// Groups that are held at most; then they are handed on, and the next step joins what belongs together.
const MAX_GROUPS: usize = 64 * 1024;

/// The first step of a grouping by texts.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    metrics: ExecutionPlanMetricsSet,
}

impl Step for Grouping {
    const NAME: &'static str = "Grouping";

    /// The groups are texts that may repeat, and each aggregate can be computed for all groups at once.
    fn of(aggregate: &AggregateExec) -> Option<Self> {
        let schema = aggregate.input().schema();
        let is_text = |(expr, name): &(Arc<dyn PhysicalExpr>, String)| {
            matches!(expr.data_type(&schema), Ok(DataType::Utf8View)) && !is_unique(name)
        };
        let mut functions = aggregate.aggr_expr().iter();
        let is_ours = aggregate.group_expr().expr().iter().all(is_text)
            && functions.all(|function| function.groups_accumulator_supported() && function.order_bys().is_empty());
        is_ours.then(Self::default)
    }

    fn execute(
        &self,
        aggregate: &AggregateExec,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let groups = Groups::new(aggregate, &context)?;
        let input = aggregate.input().execute(partition, context)?;
        let step = |(mut input, groups, metrics): (SendableRecordBatchStream, Option<Groups>, BaselineMetrics)| async move {
            let Some(mut groups) = groups else { return Ok(None) };
            while let Some(batch) = input.try_next().await? {
                let timer = metrics.elapsed_compute().timer();
                let full = groups.take(&batch)?;
                timer.done();
                if let Some(full) = full {
                    metrics.record_output(full.num_rows());
                    return Ok(Some((full, (input, Some(groups), metrics))));
                }
            }
            let last = groups.emit()?;
            metrics.record_output(last.num_rows());
            Ok((last.num_rows() > 0).then_some((last, (input, None, metrics))))
        };
        let batches = futures::stream::try_unfold((input, Some(groups), metrics), step);
        Ok(Box::pin(RecordBatchStreamAdapter::new(aggregate.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Groups and what is computed of each.
struct Groups {
    aggregate: AggregateExec,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    values: Box<dyn GroupValues>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    views: Views,
    memory: MemoryReservation,
}

impl Groups {
    fn new(aggregate: &AggregateExec, context: &TaskContext) -> DfResult<Self> {
        let schema = aggregate.group_expr().group_schema(&aggregate.input().schema())?;
        let functions = aggregate.aggr_expr();
        Ok(Self {
            arguments: aggregate_expressions(functions, aggregate.mode(), 0)?,
            values: new_group_values(schema, &GroupOrdering::None)?,
            accumulators: functions
                .iter()
                .map(|function| function.create_groups_accumulator())
                .collect::<DfResult<_>>()?,
            views: Views::default(),
            memory: MemoryConsumer::new("Grouping").register(context.memory_pool()),
            aggregate: aggregate.clone(),
        })
    }

    /// Adds rows; answers with all groups where there are too many to go on.
    fn take(&mut self, batch: &RecordBatch) -> DfResult<Option<RecordBatch>> {
        let columns = evaluate_group_by(self.aggregate.group_expr(), batch)?.swap_remove(0);
        self.views.tell_apart(&columns, batch.num_rows());
        let firsts = UInt32Array::from(std::mem::take(&mut self.views.firsts));
        let different = columns.iter().map(|column| take(column, &firsts, None)).collect::<Result<Vec<_>, _>>()?;
        let mut groups = Vec::with_capacity(firsts.len());
        self.values.intern(&different, &mut groups)?;
        let groups: Vec<usize> = self.views.places.iter().map(|&place| groups[place as usize]).collect();
        self.update(batch, &groups)?;
        let is_full = self.values.len() >= MAX_GROUPS || self.memory.try_resize(self.bytes()).is_err();
        if is_full { self.emit().map(Some) } else { Ok(None) }
    }

    fn update(&mut self, batch: &RecordBatch, groups: &[usize]) -> DfResult<()> {
        let arguments = evaluate_many(&self.arguments, batch)?;
        let filters = self.aggregate.filter_expr();
        for ((accumulator, arguments), filter) in self.accumulators.iter_mut().zip(&arguments).zip(filters) {
            let filter = match filter {
                Some(filter) => Some(filter.evaluate(batch)?.into_array(batch.num_rows())?),
                None => None,
            };
            let filter: Option<&BooleanArray> = filter.as_ref().map(|filter| filter.as_boolean());
            accumulator.update_batch(arguments, groups, filter, self.values.len())?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.size() + self.accumulators.iter().map(|accumulator| accumulator.size()).sum::<usize>()
    }

    /// All groups with what is known of each, which is forgotten.
    fn emit(&mut self) -> DfResult<RecordBatch> {
        let schema = self.aggregate.schema();
        if self.values.is_empty() {
            return Ok(RecordBatch::new_empty(schema));
        }
        let mut columns = self.values.emit(EmitTo::All)?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        self.values.clear_shrink(0);
        self.memory.free();
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// Tells rows apart, with memory that is used again.
#[derive(Default)]
struct Views {
    hashes: Vec<u64>,
    /// A hash table: places in `firsts`, counted from 1.
    slots: Vec<u32>,
    /// The first row of each different one.
    firsts: Vec<u32>,
    /// For every row, the place in `firsts` of the one that it is like.
    places: Vec<u32>,
}

impl Views {
    /// Finds the rows that differ in any of some columns of views.
    fn tell_apart(&mut self, columns: &[ArrayRef], rows: usize) {
        let columns: Vec<Cow<'_, [u128]>> = columns.iter().map(views).collect();
        self.hashes.clear();
        self.hashes.resize(rows, 0);
        for column in &columns {
            self.hashes.iter_mut().zip(column.iter()).for_each(|(hash, view)| *hash = mix(*hash, *view));
        }
        // at most half of it is ever in use
        let bits = (rows * 2).next_power_of_two().trailing_zeros().max(1);
        self.slots.clear();
        self.slots.resize(1 << bits, 0);
        self.firsts.clear();
        self.places.clear();
        for row in 0..rows {
            let place = self.place(&columns, row, bits);
            self.places.push(place);
        }
    }

    fn place(&mut self, columns: &[Cow<'_, [u128]>], row: usize, bits: u32) -> u32 {
        let mut slot = (self.hashes[row] >> (u64::BITS - bits)) as usize;
        loop {
            let Some(place) = self.slots[slot].checked_sub(1) else {
                self.firsts.push(row as u32);
                self.slots[slot] = self.firsts.len() as u32;
                return self.slots[slot] - 1;
            };
            let first = self.firsts[place as usize] as usize;
            if columns.iter().all(|column| column[first] == column[row]) {
                return place;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// A view that no text has: its length would be above the largest.
const NULL: u128 = u128::MAX;

/// The views of a column of texts.
fn views(column: &ArrayRef) -> Cow<'_, [u128]> {
    let texts = column.as_string_view();
    match texts.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Cow::Borrowed(&texts.views()[..]),
        Some(nulls) => {
            let view = |(view, is_valid): (&u128, bool)| if is_valid { *view } else { NULL };
            Cow::Owned(texts.views().iter().zip(nulls.iter()).map(view).collect())
        }
    }
}

/// Adds a view to a hash, of which the upper bits are good.
fn mix(hash: u64, view: u128) -> u64 {
    let folded = view as u64 ^ ((view >> 64) as u64).rotate_left(32);
    // an odd number without pattern: 2^64 divided by the golden ratio
    (hash.rotate_left(29) ^ folded).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Schema};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::query::first_step::Replace;

    fn told_apart(columns: &[Vec<Option<&str>>]) -> (Vec<u32>, Vec<u32>) {
        let rows = columns[0].len();
        let columns: Vec<ArrayRef> = columns
            .iter()
            .map(|texts| Arc::new(texts.iter().copied().collect::<StringViewArray>()) as ArrayRef)
            .collect();
        let mut views = Views::default();
        views.tell_apart(&columns, rows);
        (views.firsts, views.places)
    }

    #[test]
    fn rows_are_alike_only_where_all_columns_are() {
        let one = vec![Some("a"), Some("a"), Some("b"), Some("a")];
        let two = vec![Some("x"), Some("y"), Some("x"), Some("x")];
        assert_eq!(told_apart(&[one, two]), (vec![0, 1, 2], vec![0, 1, 2, 0]));
    }

    #[test]
    fn absence_is_not_the_empty_text() {
        assert_eq!(told_apart(&[vec![None, Some(""), None, Some("")]]), (vec![0, 1], vec![0, 1, 0, 1]));
    }

    #[test]
    fn no_rows_are_no_groups() {
        assert_eq!(told_apart(&[vec![]]), (vec![], vec![]));
    }

    /// Two partitions of rows with a name of which there are many, one of which there are few and which may be absent, and a
    /// number.
    fn table(rows: i64, names: i64) -> MemTable {
        let schema = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8View, true),
            Field::new("kind", DataType::Utf8View, true),
            Field::new("number", DataType::Int64, true),
        ]));
        let batch = |from: i64, upto: i64| {
            let rows = from..upto;
            let name = |row: i64| format!("a name too long for a view {}", row * 7 % names);
            let kind = |row: i64| (row % 5 > 0).then(|| format!("k{}", row % 3));
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.clone().map(|row| Some(name(row))).collect::<StringViewArray>()),
                Arc::new(rows.clone().map(kind).collect::<StringViewArray>()),
                Arc::new(rows.map(|row| (row % 11 > 0).then_some(row)).collect::<Int64Array>()),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        };
        let half = rows / 2;
        let parts = vec![vec![batch(0, half / 2), batch(half / 2, half)], vec![batch(half, rows)]];
        MemTable::try_new(Arc::clone(&schema), parts).unwrap()
    }

    /// An answer as text, and whether the plan has our step.
    async fn asked(sql: &str, table: MemTable, ours: bool) -> (String, bool) {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features();
        let state =
            if ours { state.with_physical_optimizer_rule(Arc::new(Replace::<Grouping>::default())) } else { state };
        let ctx = SessionContext::new_with_state(state.build());
        ctx.register_table("t", Arc::new(table)).unwrap();
        let plan = ctx.sql(&format!("EXPLAIN {sql}")).await.unwrap().collect().await.unwrap();
        let answer = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let is_in = pretty_format_batches(&plan).unwrap().to_string().contains("Grouping: by=");
        (pretty_format_batches(&answer).unwrap().to_string(), is_in)
    }

    #[tokio::test]
    async fn answers_are_those_of_datafusion() {
        for sql in [
            "SELECT kind, count(*) FROM t GROUP BY kind ORDER BY 1",
            "SELECT name, kind, count(*), sum(number) FROM t GROUP BY name, kind ORDER BY 1, 2",
            "SELECT kind, count(number) FILTER (WHERE number % 2 = 0), min(number), max(name), avg(number) FROM t GROUP BY kind ORDER BY 1",
            "SELECT kind, count(DISTINCT name) FROM t GROUP BY kind ORDER BY 1",
            "SELECT DISTINCT name FROM t ORDER BY 1",
            "SELECT kind, count(*) FROM t WHERE number < 0 GROUP BY kind ORDER BY 1",
        ] {
            let (expected, _) = asked(sql, table(3000, 50), false).await;
            assert_eq!(asked(sql, table(3000, 50), true).await, (expected, true), "{sql}");
        }
    }

    #[tokio::test]
    async fn more_groups_than_are_held_are_handed_on() {
        let sql = "SELECT count(*), sum(n) FROM (SELECT name, count(*) AS n FROM t GROUP BY name)";
        let (names, rows) = (MAX_GROUPS as i64 * 2 + 1, MAX_GROUPS as i64 * 5);
        let (expected, _) = asked(sql, table(rows, names), false).await;
        assert_eq!(asked(sql, table(rows, names), true).await, (expected, true));
    }

    #[tokio::test]
    async fn numbers_are_left_to_datafusion() {
        assert!(!asked("SELECT number, count(*) FROM t GROUP BY 1 LIMIT 1", table(30, 5), true).await.1);
    }
}
