//! Counting rows by texts that repeat, without a row: from the codes in the files.
//!
//! Owns: the first of the two steps of `SELECT a, b, count(*) … WHERE f(c) GROUP BY a, b`, right over the files, where each
//! column has a dictionary.
//! Refuses: any other aggregate, and rows that are chosen already.
//! Invariant: what comes out is what DataFusion's own first step hands to its second; row groups that are not all codes are
//! left to it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::first_step::{Step, replaced};
use super::grouping::Grouping;
use super::pieces::{Answer, Reader, answers};
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
        let (scan, source) =
            aggregate.input().downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        let is_ours = scan.limit.is_none()
            && scan.file_groups.iter().flat_map(FileGroup::iter).all(|file| file.extensions.is_empty())
            && counts_rows(aggregate)
            && are_texts(aggregate);
        let question = is_ours.then(|| Question::of(aggregate, scan, source)).flatten()?;
        Some(Self { scan: scan.clone(), question: Arc::new(question) })
    }

    fn execute(
        &self,
        aggregate: &AggregateExec,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let (scan, schema) = (self.scan.clone(), aggregate.schema());
        let files = scan.file_groups.get(partition).map(|group| group.files().to_vec()).unwrap_or_default();
        let reader = Reader::new(Arc::clone(&self.question), Arc::clone(&schema), &scan, partition, &context)?;
        let left = Box::new(Left { aggregate: aggregate.clone(), scan, pieces: Vec::new(), context });
        let state = State::Counting(answers(reader, files), left);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::try_unfold(state, State::next))))
    }
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

fn are_texts(aggregate: &AggregateExec) -> bool {
    let schema = aggregate.input().schema();
    let is_text =
        |expr: &Arc<dyn PhysicalExpr>| matches!(expr.data_type(&schema), Ok(DataType::Utf8View | DataType::Utf8));
    aggregate.group_expr().expr().iter().all(|(expr, _)| is_text(expr))
}

/// Where a partition is.
enum State {
    /// Reading codes.
    Counting(BoxStream<'static, DfResult<Answer>>, Box<Left>),
    /// Having DataFusion read what is left.
    Reading(SendableRecordBatchStream),
}

impl State {
    async fn next(mut self) -> DfResult<Option<(RecordBatch, Self)>> {
        loop {
            self = match self {
                Self::Reading(mut batches) => {
                    return Ok(batches.try_next().await?.map(|batch| (batch, Self::Reading(batches))));
                }
                Self::Counting(mut answers, mut left) => match answers.try_next().await? {
                    Some(Answer::Groups(groups)) => return Ok(Some((groups, Self::Counting(answers, left)))),
                    Some(Answer::Unread(piece)) => {
                        left.pieces.push(*piece);
                        Self::Counting(answers, left)
                    }
                    None if left.pieces.is_empty() => return Ok(None),
                    None => Self::Reading(left.read()?),
                },
            }
        }
    }
}

/// Row groups that are not all codes.
struct Left {
    aggregate: AggregateExec,
    scan: FileScanConfig,
    pieces: Vec<PartitionedFile>,
    context: Arc<TaskContext>,
}

impl Left {
    fn read(self) -> DfResult<SendableRecordBatchStream> {
        let files = vec![FileGroup::new(self.pieces)];
        let scan = FileScanConfigBuilder::from(self.scan).with_file_groups(files).build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let aggregate = Arc::new(self.aggregate).replace_children(vec![scan], options)?;
        replaced::<Grouping>(aggregate).data.execute(0, self.context)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use url::Url;

    use super::*;
    use crate::query::first_step::Replace;
    use crate::query::provider::SnapshotTable;
    use crate::table::{DataFile, TableSnapshot};

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

    async fn file(store: &InMemory, name: &str, batch: &RecordBatch, properties: WriterProperties) -> DataFile {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let (path, size) = (Path::from(name), bytes.len() as u64);
        store.put(&path, bytes.into()).await.unwrap();
        let (min_values, max_values) = (serde_json::Value::Null, serde_json::Value::Null);
        DataFile { path, size, rows: Some(batch.num_rows() as u64), partition: None, min_values, max_values }
    }

    fn snapshot(files: Vec<DataFile>, store: Arc<dyn ObjectStore>) -> TableSnapshot {
        let store_url = Url::parse("memory://lake/").unwrap();
        TableSnapshot { name: "t".into(), version: 0, schema: schema(), partition: None, files, store_url, store }
    }

    /// A file of three row groups of codes, one of texts, and one from before there was a kind.
    async fn table() -> (SnapshotTable, Arc<dyn ObjectStore>) {
        let store = InMemory::new();
        let of = || WriterProperties::builder().set_data_page_row_count_limit(50).set_write_batch_size(25);
        let groups = of().set_max_row_group_row_count(Some(100)).build();
        let files = vec![
            file(&store, "codes", &rows(0, 300), groups).await,
            file(&store, "texts", &rows(300, 400), of().set_dictionary_enabled(false).build()).await,
            file(&store, "before", &rows(400, 500).project(&[0, 1, 2, 3]).unwrap(), of().build()).await,
        ];
        let snapshot = snapshot(files, Arc::new(store));
        (SnapshotTable::new(&snapshot).unwrap(), snapshot.store)
    }

    /// An answer as text, and the plan.
    async fn asked(sql: &str, ours: bool) -> (String, String) {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features();
        let state =
            if ours { state.with_physical_optimizer_rule(Arc::new(Replace::<Counting>::default())) } else { state };
        let ctx = SessionContext::new_with_state(state.build());
        let (table, store) = table().await;
        ctx.runtime_env().register_object_store(&Url::parse("memory://lake/").unwrap(), store);
        ctx.register_table("t", Arc::new(table)).unwrap();
        let plan = ctx.sql(&format!("EXPLAIN {sql}")).await.unwrap().collect().await.unwrap();
        let answer = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        (pretty_format_batches(&answer).unwrap().to_string(), pretty_format_batches(&plan).unwrap().to_string())
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
        ] {
            let (expected, _) = asked(sql, false).await;
            let (answer, plan) = asked(sql, true).await;
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
            "SELECT upper(kind), count(*) FROM t GROUP BY 1 ORDER BY 1",
        ] {
            let (expected, _) = asked(sql, false).await;
            let (answer, plan) = asked(sql, true).await;
            assert_eq!(answer, expected, "{sql}");
            assert!(!plan.contains("Counting: by="), "{sql}: {plan}");
        }
    }

    #[tokio::test]
    async fn a_damaged_dictionary_is_told_by_the_general_reader() {
        let store = InMemory::new();
        let mut bad = file(&store, "bad", &rows(0, 100), WriterProperties::builder().build()).await;
        let mut bytes = store.get(&bad.path).await.unwrap().bytes().await.unwrap().to_vec();
        bytes[4..400].fill(0xff);
        store.put(&bad.path, bytes.into()).await.unwrap();
        bad.rows = None;
        let snapshot = snapshot(vec![bad], Arc::new(store));
        let ctx = crate::query::session(&[snapshot], &crate::query::QueryOptions::new(1, 64 << 20)).unwrap();
        let error = crate::query::collect(&ctx, "SELECT name, count(*) FROM t GROUP BY 1").await.unwrap_err();
        assert!(error.to_string().contains("the file is damaged"), "{error}");
    }
}
