//! Counting rows by texts that repeat, without a row: from the codes in the files.
//!
//! Owns: the first of the two steps of `SELECT a, b, count(*) … WHERE f(c) GROUP BY a, b`, right over the files, where each
//! column has a dictionary.
//! Refuses: any other aggregate, and rows that are chosen already.
//! Invariant: what comes out is what DataFusion's own first step hands to its second; row groups that are not all codes are
//! left to it.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, SendableRecordBatchStream,
};

use super::first_step::{Step, replaced};
use super::grouping::Grouping;
use super::pieces;
use super::row_group::Question;

/// The first step of a grouping of which only the number of rows is asked.
#[derive(Debug)]
pub(super) struct Counting {
    scan: FileScanConfig,
    question: Arc<Question>,
}

impl Step for Counting {
    const NAME: &'static str = "Counting";

    fn of(aggregate: &AggregateExec) -> Option<Self> {
        let input = aggregate.input();
        let files = input.downcast_ref::<ProjectionExec>().map_or(input, ProjectionExec::input);
        let (scan, source) = files.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        let is_ours = scan.limit.is_none()
            && scan.file_groups.iter().flat_map(FileGroup::iter).all(|file| file.extensions.is_empty())
            && counts_rows(aggregate);
        let question = is_ours.then(|| Question::of(aggregate, scan, source)).flatten()?;
        Some(Self { scan: scan.clone(), question: Arc::new(question) })
    }

    fn execute(
        &self,
        aggregate: &AggregateExec,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let (general, in_general) = (aggregate.clone(), Arc::clone(&context));
        let read = move |scan| {
            let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
            let input = match general.input().downcast_ref::<ProjectionExec>() {
                Some(_) => with_input(Arc::clone(general.input()), scan)?,
                None => scan,
            };
            replaced::<Grouping>(with_input(Arc::new(general), input)?).data.execute(0, in_general)
        };
        pieces::work(Arc::clone(&self.question), aggregate.schema(), &self.scan, partition, &context, read)
    }
}

/// A node with another input.
fn with_input(node: Arc<dyn ExecutionPlan>, input: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
    node.replace_children(vec![input], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Whether nothing but `count(*)` is asked, any number of times.
fn counts_rows(aggregate: &AggregateExec) -> bool {
    let is_one =
        |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null());
    aggregate.filter_expr().iter().all(Option::is_none)
        && aggregate.aggr_expr().iter().all(|function| {
            let arguments = function.expressions();
            function.fun().name() == "count" && !function.is_distinct() && arguments.iter().all(is_one)
        })
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::query::first_step::Replace;
    use crate::query::fixture::{asked, file, snapshot};
    use crate::table::TableSnapshot;

    fn schema() -> SchemaRef {
        let identity = DataType::Struct(Fields::from(vec![Field::new("type", DataType::Utf8, true)]));
        Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("useridentity", identity, true),
            Field::new("number", DataType::Int64, true),
            Field::new("eventtime", crate::schema::timestamp(), true),
            Field::new("kind", DataType::Utf8, true),
        ]))
    }

    /// Rows with a name of which there are many, an identity of two types that may be absent, a number, and a kind.
    fn rows(from: i64, upto: i64) -> RecordBatch {
        let rows = from..upto;
        let name = |row: i64| (row % 13 > 0).then(|| format!("a name too long for a view {}", row * 7 % 40));
        let time = |row: i64| (row % 7 > 0).then_some(row * 3_600_000_000);
        let kind = |row: i64| (row % 5 > 0).then(|| format!("k{}", row % 3));
        let kinds: StringArray = rows.clone().map(|row| Some(if row % 2 == 0 { "Root" } else { "IAMUser" })).collect();
        let DataType::Struct(fields) = schema().field(1).data_type().clone() else { unreachable!() };
        let present = rows.clone().map(|row| row % 4 > 0).collect::<Vec<bool>>().into();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.clone().map(name).collect::<StringArray>()),
            Arc::new(StructArray::new(fields, vec![Arc::new(kinds)], Some(present))),
            Arc::new(rows.clone().collect::<Int64Array>()),
            Arc::new(rows.clone().map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Arc::new(rows.map(kind).collect::<StringArray>()),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    }

    /// A file of three row groups of codes, one of texts, and one from before there was a kind.
    async fn table() -> TableSnapshot {
        let store = InMemory::new();
        let of = || WriterProperties::builder().set_data_page_row_count_limit(50).set_write_batch_size(25);
        let groups = of().set_max_row_group_row_count(Some(100)).build();
        let files = vec![
            file(&store, "codes", &rows(0, 300), groups).await,
            file(&store, "texts", &rows(300, 400), of().set_dictionary_enabled(false).build()).await,
            file(&store, "before", &rows(400, 500).project(&[0, 1, 2, 3]).unwrap(), of().build()).await,
        ];
        snapshot(schema(), files, store)
    }

    /// The answer of DataFusion, ours, and our plan.
    async fn both(sql: &str) -> (String, String, String) {
        let (expected, _) = asked(sql, &table().await, None).await;
        let (answer, plan) = asked(sql, &table().await, Some(Arc::new(Replace::<Counting>::default()))).await;
        (expected, answer, plan)
    }

    #[tokio::test]
    async fn answers_are_those_of_datafusion() {
        for sql in [
            "SELECT kind, count(*) FROM t GROUP BY kind ORDER BY 1",
            "SELECT name, kind, count(*), count(1) + 1 FROM t GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT useridentity['type'], kind, count(*) FROM t GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT DISTINCT name FROM t ORDER BY 1",
            "SELECT kind, count(DISTINCT name) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT name, count(*) FROM t WHERE kind = 'k1' GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(*) FROM t WHERE kind <> 'k1' GROUP BY 1 ORDER BY 1",
            "SELECT name, count(*) FROM t WHERE kind IS NULL GROUP BY 1 ORDER BY 1",
            "SELECT name, count(*) FROM t WHERE kind LIKE 'k%' AND upper(name) LIKE '%VIEW 1%' GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(*) FROM t WHERE name IN ('none', 'nor this') GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(*) FROM t WHERE eventtime > timestamp '1970-01-03T00:00:00Z' AND kind <> 'k1' \
             AND eventtime <= timestamp '1970-01-16T12:00:00Z' GROUP BY 1 ORDER BY 1",
            "SELECT name, count(*) FROM t WHERE eventtime IS NULL GROUP BY 1 ORDER BY 1",
            "SELECT upper(kind), count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT length(name), coalesce(kind, 'none') AS k, count(*) FROM t GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT date_trunc('week', eventtime), upper(kind), count(*) FROM t GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT cast(eventtime AS date), date_trunc('hour', eventtime), count(*) FROM t GROUP BY 1, 2 ORDER BY 2",
            "SELECT date_trunc('day', eventtime), count(*) FROM t WHERE eventtime > timestamp '1970-01-03T07:00:00Z' GROUP BY 1 ORDER BY 1",
            "SELECT date_part('hour', eventtime), count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT date_trunc('day', eventtime), kind, count(*) FROM t WHERE name <> 'x' GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT right(name, 1) AS r, count(*) FROM t WHERE kind = 'k1' AND right(name, 1) > '3' GROUP BY 1 ORDER BY 1",
            "SELECT right(n, 1), n, count(*) FROM (SELECT substr(name, 20) AS n FROM t) GROUP BY 1, 2 ORDER BY 1, 2",
        ] {
            let (expected, answer, plan) = both(sql).await;
            assert_eq!(answer, expected, "{sql}");
            assert!(plan.contains("Counting: by="), "{sql}: {plan}");
        }
    }

    #[tokio::test]
    async fn what_needs_rows_is_left_to_datafusion() {
        for sql in [
            "SELECT number, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT kind, sum(number) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(name) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(*) FILTER (WHERE number > 7) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT kind, count(*) FROM t WHERE number > 7 GROUP BY 1 ORDER BY 1",
            "SELECT name, count(*) FROM t WHERE kind = name OR number = 2 GROUP BY 1 ORDER BY 1",
            "SELECT kind || name, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT eventtime, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT kind || cast(random() < 2 AS varchar), count(*) FROM t GROUP BY 1 ORDER BY 1",
        ] {
            let (expected, answer, plan) = both(sql).await;
            assert_eq!(answer, expected, "{sql}");
            assert!(!plan.contains("Counting: by="), "{sql}: {plan}");
        }
    }

    #[tokio::test]
    async fn what_fails_for_rows_that_are_not_chosen_does_not_fail() {
        let sql = "SELECT cast(substr(kind, 2) AS int), count(*) FROM t WHERE kind <> 'k1' GROUP BY 1 ORDER BY 1";
        let (expected, answer, _) = both(sql).await;
        assert_eq!(answer, expected);
        let sql = "SELECT cast(kind AS int), count(*) FROM t WHERE kind < 'a' GROUP BY 1 ORDER BY 1";
        let (expected, answer, plan) = both(sql).await;
        assert_eq!(answer, expected);
        assert!(plan.contains("Counting: by="), "{plan}");
    }

    #[tokio::test]
    async fn a_damaged_dictionary_is_told_by_the_general_reader() {
        let store = InMemory::new();
        let mut bad = file(&store, "bad", &rows(0, 100), WriterProperties::builder().build()).await;
        let mut bytes = store.get(&bad.path).await.unwrap().bytes().await.unwrap().to_vec();
        bytes[4..400].fill(0xff);
        store.put(&bad.path, bytes.into()).await.unwrap();
        bad.rows = None;
        let snapshot = snapshot(schema(), vec![bad], store);
        let ctx = crate::query::session(&[snapshot], &crate::query::QueryOptions::new(1, 64 << 20)).unwrap();
        let error = crate::query::collect(&ctx, "SELECT name, count(*) FROM t GROUP BY 1").await.unwrap_err();
        assert!(error.to_string().contains("the file is damaged"), "{error}");
    }
}
