//! Named queries as data: every query of `queries/` runs over one fixture and gives its expected result.
//!
//! `tests/queries/TABLE.ndjson` are the rows of each table, `tests/queries/NAME/params` the parameters of a query
//! (`name=value` lines, none where the file is missing), `tests/queries/NAME/expected.csv` its result.
//! `TRAILHOUND_BLESS=1 cargo test --test it queries` writes the expected files anew; read the difference.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, max, min};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::json::ReaderBuilder;
use chrono::DateTime;
use datafusion::prelude::SessionContext;
use object_store::local::LocalFileSystem;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use trailhound::query::{self, QueryOptions, named, output};
use trailhound::schema::{COMPLETENESS, EVENTS, FINDINGS, INSIGHTS, OBJECTS, REJECTS, Table};
use trailhound::table::{DataFile, TableSnapshot};
use url::Url;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries")
}

/// Rows of a table's fixture, by partition value (one group under "" where the table has none).
fn rows(table: &Table) -> BTreeMap<String, RecordBatch> {
    let file = File::open(fixtures().join(format!("{}.ndjson", table.name))).unwrap();
    let reader = ReaderBuilder::new(table.schema()).with_strict_mode(true).build(BufReader::new(file)).unwrap();
    let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
    let all = arrow::compute::concat_batches(&table.schema(), &batches).unwrap();
    let Some(partition) = table.partition else {
        return BTreeMap::from([(String::new(), all)]);
    };
    let index = all.schema().index_of(partition).unwrap();
    let dates = cast(all.column(index), &DataType::Utf8).unwrap();
    let dates: Vec<_> = dates.as_string::<i32>().iter().map(|date| date.unwrap().to_owned()).collect();
    let mut groups = BTreeMap::new();
    for date in &dates {
        let mask = BooleanArray::from_iter(dates.iter().map(|other| Some(other == date)));
        let mut part = filter_record_batch(&all, &mask).unwrap();
        part.remove_column(index);
        groups.insert(date.clone(), part);
    }
    groups
}

/// The bounds of the columns that the log keeps: instants and text.
fn bounds(table: &Table, batch: &RecordBatch) -> (Value, Value) {
    let (mut lower, mut upper) = (json!({}), json!({}));
    for name in table.stats {
        let Some(column) = batch.column_by_name(name) else { continue };
        let pair = match column.data_type() {
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                let text = |micros: Option<i64>| {
                    micros.map(|micros| DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339())
                };
                (json!(text(min(times))), json!(text(max(times))))
            }
            _ => {
                let texts = column.as_string::<i32>();
                (json!(texts.iter().flatten().min()), json!(texts.iter().flatten().max()))
            }
        };
        (lower[*name], upper[*name]) = pair;
    }
    (lower, upper)
}

fn write(folder: &Path, table: &Table, partition: &str, batch: &RecordBatch) -> DataFile {
    let path = format!("{}/{partition}.parquet", table.name);
    let target = folder.join(&path);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&target).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let (min_values, max_values) = bounds(table, batch);
    DataFile {
        path: path.into(),
        size: fs::metadata(&target).unwrap().len(),
        rows: Some(batch.num_rows() as u64),
        partition: table.partition.map(|_| partition.to_owned()),
        min_values,
        max_values,
    }
}

fn snapshot(folder: &Path, table: &'static Table) -> TableSnapshot {
    TableSnapshot {
        name: table.name.into(),
        version: 0,
        schema: table.schema(),
        partition: table.partition.map(str::to_owned),
        files: rows(table).iter().map(|(partition, batch)| write(folder, table, partition, batch)).collect(),
        store_url: Url::parse("lake://fixture/").unwrap(),
        store: Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap()),
    }
}

pub fn session(folder: &Path) -> SessionContext {
    let snapshots =
        [&EVENTS, &INSIGHTS, &OBJECTS, &REJECTS, &FINDINGS, &COMPLETENESS].map(|table| snapshot(folder, table));
    query::session(&snapshots, &QueryOptions::new(2, 256 << 20)).unwrap()
}

fn parameters(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(fixtures().join(name).join("params")).unwrap_or_default();
    text.lines().map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.into(), value.into())).collect()
}

async fn result(ctx: &SessionContext, name: &str) -> trailhound::error::Result<String> {
    let stream = named::execute(ctx, named::find(name)?, &parameters(name)).await?;
    let mut out = Vec::new();
    output::write(stream, output::Format::Csv, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn every_named_query_gives_its_expected_result() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = session(folder.path());
    let bless = std::env::var_os("TRAILHOUND_BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for query in named::all() {
        let path = fixtures().join(&query.name).join("expected.csv");
        let found = match result(&ctx, &query.name).await {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{}: {error}", query.name));
                continue;
            }
        };
        if bless {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &found).unwrap();
        }
        match fs::read_to_string(&path) {
            Ok(expected) if expected == found => {}
            Ok(expected) => wrong.push(format!("{}\n-- expected\n{expected}-- found\n{found}", query.name)),
            Err(error) => wrong.push(format!("{}: {}: {error}", query.name, path.display())),
        }
        if found.lines().count() < 2 {
            wrong.push(format!("{}: the fixture has no row for it", query.name));
        }
    }
    assert!(wrong.is_empty(), "{} queries differ\n\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_expected_result_is_left_of_a_query_that_is_gone() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            named::find(entry.file_name().to_str().unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn every_named_query_is_fine_with_an_empty_lake() {
    let store = Arc::new(object_store::memory::InMemory::new());
    let empty = |table: &'static Table| TableSnapshot {
        name: table.name.into(),
        version: -1,
        schema: table.schema(),
        partition: table.partition.map(str::to_owned),
        files: Vec::new(),
        store_url: Url::parse("memory://empty/").unwrap(),
        store: store.clone(),
    };
    let snapshots = [&EVENTS, &INSIGHTS, &OBJECTS, &REJECTS, &FINDINGS, &COMPLETENESS].map(empty);
    let ctx = query::session(&snapshots, &QueryOptions::new(2, 256 << 20)).unwrap();
    for query in named::all() {
        let found = result(&ctx, &query.name).await.unwrap_or_else(|error| panic!("{}: {error}", query.name));
        assert_eq!(found.lines().count(), 1, "{}", query.name);
    }
}

#[tokio::test]
async fn a_hostile_parameter_is_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = session(folder.path());
    let given = [("ip".to_owned(), "' OR 1=1 --".to_owned()), ("days".to_owned(), "99999".to_owned())];
    let stream = named::execute(&ctx, named::find("ip-activity").unwrap(), &given).await.unwrap();
    assert_eq!(query::gather(stream).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}
