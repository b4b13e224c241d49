use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use super::*;
use crate::table::DataFile;

const HOUR: i64 = 3_600_000_000;

fn schema() -> SchemaRef {
    let arn = Fields::from(vec![Field::new("arn", DataType::Utf8, true)]);
    let issuer = Fields::from(vec![Field::new("sessionissuer", DataType::Struct(arn), true)]);
    let identity = Fields::from(vec![
        Field::new("type", DataType::Utf8, true),
        Field::new("sessioncontext", DataType::Struct(issuer), true),
    ]);
    Arc::new(Schema::new(vec![
        Field::new("eventtime", crate::schema::timestamp(), false),
        Field::new("eventname", DataType::Utf8, true),
        Field::new("useridentity", DataType::Struct(identity), true),
        Field::new("requestparameters", DataType::Utf8, true),
        Field::new("event_date", DataType::Date32, false),
    ]))
}

/// Ten events, an hour apart, from an hour (since 1970) on.
fn rows(from: i64, name: &str) -> RecordBatch {
    let fields: Vec<Field> = schema().fields()[..4].iter().map(|field| field.as_ref().clone()).collect();
    let DataType::Struct(identity) = fields[2].data_type().clone() else { unreachable!() };
    let DataType::Struct(context) = identity[1].data_type().clone() else { unreachable!() };
    let DataType::Struct(issuer) = context[0].data_type().clone() else { unreachable!() };
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; 10])) as ArrayRef;
    let issuer = StructArray::new(issuer, vec![texts("arn:aws:iam::1:role/r")], None);
    let context = StructArray::new(context, vec![Arc::new(issuer)], None);
    let identity = StructArray::new(identity, vec![texts("AssumedRole"), Arc::new(context)], None);
    let times = TimestampMicrosecondArray::from_iter_values((0..10).map(|hour| (from + hour) * HOUR));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        texts(name),
        Arc::new(identity),
        texts(r#"{"bucketName":"b","n":7,"nested":{"k":"v"}}"#),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn parquet_bytes(batch: &RecordBatch) -> Bytes {
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out.into()
}

/// A file of ten events on a day (of January 1970, from 0).
async fn file(store: &InMemory, day: i64, name: &str) -> DataFile {
    let bytes = parquet_bytes(&rows(day * 24, name));
    let path = Path::from(format!("lake/events/event_date=1970-01-{:02}/{name}%1.parquet", day + 1));
    let size = bytes.len() as u64;
    store.put(&path, bytes.into()).await.unwrap();
    let date = format!("1970-01-{:02}", day + 1);
    let bounds = |hour: &str| json!({"eventtime": format!("{date}T{hour}:00:00.000Z"), "eventname": name});
    let (min_values, max_values) = (bounds("00"), bounds("09"));
    DataFile { path, size, rows: Some(10), partition: Some(date), min_values, max_values }
}

fn snapshot(store: InMemory, files: Vec<DataFile>) -> TableSnapshot {
    TableSnapshot {
        name: "events".into(),
        version: files.len() as i64 - 1,
        schema: schema(),
        partition: Some("event_date".into()),
        files,
        store_url: Url::parse("memory://lake/").unwrap(),
        store: Arc::new(store),
    }
}

fn options() -> QueryOptions {
    QueryOptions::new(2, 64 << 20)
}

/// Two days with two files each.
async fn events() -> TableSnapshot {
    let store = InMemory::new();
    let mut files = Vec::new();
    for (day, name) in [(0, "GetObject"), (0, "PutObject"), (1, "GetObject"), (1, "StopLogging")] {
        files.push(file(&store, day, name).await);
    }
    snapshot(store, files)
}

async fn ctx() -> SessionContext {
    session(&[events().await], &options()).unwrap()
}

async fn number(ctx: &SessionContext, sql: &str) -> i64 {
    let batches = collect(ctx, sql).await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// Paths in the physical plan of a query, and the plan.
async fn plan_text(ctx: &SessionContext, sql: &str) -> String {
    let batches = collect(ctx, &format!("EXPLAIN {sql}")).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test]
async fn files_are_pruned_by_partition_and_by_bounds() {
    let ctx = ctx().await;
    for (filter, files, rows) in [
        ("true", 4, 40),
        ("event_date = DATE '1970-01-02'", 2, 20),
        ("event_date = '1970-01-02'", 2, 20),
        ("eventname = 'StopLogging'", 1, 10),
        ("eventname = 'GetObject' AND event_date < DATE '1970-01-02'", 1, 10),
        ("eventtime >= TIMESTAMP '1970-01-02T09:00:00Z'", 2, 2),
        ("eventtime > '1970-01-02T05:00:00Z' AND eventname LIKE 'Stop%'", 1, 4),
        ("eventname = 'Nothing'", 0, 0),
        ("useridentity.type = 'AssumedRole'", 4, 40),
        ("event_date = DATE '1970-01-02' OR eventname = 'PutObject'", 3, 30),
    ] {
        let sql = format!("SELECT eventtime, requestparameters FROM events WHERE {filter}");
        let plan = plan_text(&ctx, &sql).await;
        assert_eq!(plan.matches(".parquet").count(), files, "{filter}\n{plan}");
        assert_eq!(number(&ctx, &format!("SELECT count(*) FROM ({sql})")).await, rows, "{filter}");
    }
}

#[tokio::test]
async fn filters_reach_the_parquet_reader() {
    let plan = plan_text(&ctx().await, "SELECT eventtime FROM events WHERE eventname = 'GetObject'").await;
    assert!(plan.contains("pruning_predicate=") && plan.contains("eventname_min"), "{plan}");
}

#[tokio::test]
async fn text_comes_as_one_type() {
    let sql = "SELECT eventname, substr(eventname, 1, 3) AS head, requestparameters ->> 'bucketName' AS bucket, \
               useridentity.type AS kind, array_agg(eventname) AS names, named_struct('n', eventname) AS pair FROM events \
               GROUP BY ALL LIMIT 1";
    let batches = collect(&ctx().await, sql).await.unwrap();
    let types: Vec<_> = batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert!(types[..4].iter().all(|name| name == "Utf8"), "{types:?}");
    assert!(!types.iter().any(|name| name.contains("View")), "{types:?}");
}

#[tokio::test]
async fn a_limit_and_an_order_are_kept() {
    let ctx = ctx().await;
    let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    for (sql, expected) in [
        ("SELECT * FROM events LIMIT 3", 3),
        ("SELECT eventname FROM events WHERE event_date = '1970-01-02' LIMIT 12", 12),
        ("SELECT eventname FROM events WHERE useridentity.type = 'AssumedRole' LIMIT 25", 25),
        ("SELECT eventname FROM events LIMIT 100 OFFSET 35", 5),
    ] {
        assert_eq!(rows(collect(&ctx, sql).await.unwrap()), expected, "{sql}");
    }
    let first = "SELECT CAST(eventtime AS BIGINT) AS micros FROM events ORDER BY eventtime DESC LIMIT 1";
    assert_eq!(number(&ctx, first).await, (24 + 9) * HOUR);
}

#[tokio::test]
async fn counting_opens_no_file() {
    let ctx = ctx().await;
    for (sql, expected) in
        [("SELECT count(*) FROM events", 40), ("SELECT count(*) FROM events WHERE event_date = DATE '1970-01-02'", 20)]
    {
        assert!(!plan_text(&ctx, sql).await.contains("DataSourceExec: file_groups"), "{sql}");
        assert_eq!(number(&ctx, sql).await, expected);
    }
    assert_eq!(number(&ctx, "SELECT count(DISTINCT event_date) FROM events").await, 2);
    assert_eq!(number(&ctx, "SELECT count(DISTINCT eventname) FROM events").await, 3);
    assert_eq!(number(&ctx, "SELECT count(eventname) FROM events").await, 40);
    let newest = collect(&ctx, "SELECT max(event_date) FROM events").await.unwrap();
    assert_eq!(ScalarValue::try_from_array(newest[0].column(0), 0).unwrap(), ScalarValue::Date32(Some(1)));
}

#[tokio::test]
async fn an_empty_snapshot_is_an_empty_table() {
    let ctx = session(&[snapshot(InMemory::new(), Vec::new())], &options()).unwrap();
    assert_eq!(number(&ctx, "SELECT count(*) FROM events").await, 0);
    assert_eq!(
        number(&ctx, "SELECT count(*) FROM events WHERE event_date = '1970-01-01' AND eventname = 'x'").await,
        0
    );
    assert!(collect(&ctx, "SELECT * FROM events LIMIT 5").await.unwrap().iter().all(|batch| batch.num_rows() == 0));
    assert_eq!(named::newest(&ctx).await.unwrap(), None);
}

#[tokio::test]
async fn the_newest_event_is_found_in_the_newest_day() {
    let newest = named::newest(&ctx().await).await.unwrap().unwrap();
    assert_eq!(newest.timestamp_micros(), (24 + 9) * HOUR);
}

#[tokio::test]
async fn a_file_without_statistics_is_read() {
    let store = InMemory::new();
    let mut bare = file(&store, 0, "GetObject").await;
    (bare.rows, bare.min_values, bare.max_values) = (None, Value::Null, Value::Null);
    let with = file(&store, 1, "PutObject").await;
    let ctx = session(&[snapshot(store, vec![bare, with])], &options()).unwrap();
    assert_eq!(number(&ctx, "SELECT count(*) FROM events").await, 20);
    assert_eq!(number(&ctx, "SELECT count(*) FROM events WHERE eventname = 'GetObject'").await, 10);
    assert_eq!(number(&ctx, "SELECT count(*) FROM events WHERE eventname = 'PutObject'").await, 10);
}

#[tokio::test]
async fn a_partition_value_that_is_no_date_is_told() {
    let store = InMemory::new();
    let mut broken = file(&store, 0, "GetObject").await;
    broken.partition = Some("yesterday".into());
    let error = session(&[snapshot(store, vec![broken])], &options()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.to_string().contains("its event_date \"yesterday\" is not a date"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_gone_is_told() {
    let store = InMemory::new();
    let gone = file(&store, 0, "GetObject").await;
    store.delete(&gone.path).await.unwrap();
    let ctx = session(&[snapshot(store, vec![gone])], &options()).unwrap();
    let error = collect(&ctx, "SELECT eventname FROM events").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn camel_case_of_athena_and_cloudtrail_lake_works_unquoted() {
    let ctx = ctx().await;
    for sql in [
        "SELECT eventName, userIdentity.sessionContext.sessionIssuer.arn FROM events LIMIT 1",
        "SELECT e.eventName, e.userIdentity.type FROM events AS e WHERE e.eventTime > '1970-01-01 00:00:00' LIMIT 1",
        "SELECT userIdentity.sessionContext.sessionIssuer.arn AS arn, COUNT(*) AS n FROM events \
         GROUP BY userIdentity.sessionContext.sessionIssuer.arn ORDER BY n DESC",
        "SELECT eventName FROM events WHERE requestParameters ->> 'bucketName' <> 'c' LIMIT 1",
        "SELECT eventName FROM events WHERE requestParameters -> 'nested' ->> 'k' = 'v' LIMIT 1",
        "SELECT date_trunc('hour', eventTime) AS hour, count(*) FROM events GROUP BY 1 ORDER BY 1 LIMIT 1",
        "SELECT eventName FROM events WHERE regexp_like(eventName, '^Get') LIMIT 1",
        "SELECT json_get_int(requestparameters, 'n') FROM events LIMIT 1",
    ] {
        let batches = collect(&ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "{sql}");
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let ctx = ctx().await;
    for (sql, name) in [
        ("COPY events TO '/tmp/x.csv'", "COPY"),
        ("COPY (SELECT 1) TO '/tmp/x.parquet' STORED AS PARQUET", "COPY"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV", "COPY"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL"),
        ("CREATE TABLE x AS SELECT 1", "CREATE TABLE"),
        ("CREATE VIEW x AS SELECT 1", "CREATE VIEW"),
        ("CREATE SCHEMA x", "CreateCatalogSchema"),
        ("INSERT INTO events SELECT * FROM events", "Insert Into"),
        ("DELETE FROM events", "Delete"),
        ("UPDATE events SET eventname = 'x'", "Update"),
        ("DROP TABLE events", "DropTable"),
        ("SET datafusion.execution.batch_size = 1", "SetVariable"),
        ("PREPARE p AS SELECT 1", "Prepare"),
    ] {
        let error = collect(&ctx, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
        assert!(error.to_string().contains(&format!("cannot run {name}: a query may only read (")), "{sql}: {error}");
    }
    assert_eq!(number(&ctx, "SELECT count(*) FROM events").await, 40);
}

#[tokio::test]
async fn no_other_file_can_be_reached() {
    let ctx = ctx().await;
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM \"/etc/passwd.csv\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/x')",
        "SELECT 1; SELECT 2",
    ] {
        let error = collect(&ctx, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
    }
    let runtime = ctx.runtime_env();
    assert!(runtime.object_store_registry.get_store(&Url::parse("file:///").unwrap()).is_err());
    assert!(runtime.object_store_registry.get_store(&Url::parse("memory://lake").unwrap()).is_ok());
}

#[tokio::test]
async fn looking_around_is_allowed() {
    let ctx = ctx().await;
    for sql in
        ["SHOW TABLES", "DESCRIBE events", "EXPLAIN SELECT 1", "VALUES (1)", "SHOW COLUMNS FROM events", "SELECT 1;"]
    {
        let batches = collect(&ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(batches.iter().any(|batch| batch.num_rows() > 0), "{sql}");
    }
}

#[tokio::test]
async fn errors_of_the_user_say_what_is_wrong() {
    let ctx = ctx().await;
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    for (sql, part) in [
        (deep.as_str(), "it is nested too deeply"),
        ("", "the query is empty"),
        ("SELEKT 1", "cannot read the SQL: "),
        ("SELECT eventnme FROM events", "eventname"),
        ("SELECT * FROM event", "event"),
        ("SELECT nosuch(1)", "nosuch"),
        ("SELECT $days", "days"),
        ("SELECT CAST('x' AS INT)", "x"),
        ("SELECT 1 / 0", "ivide by zero"),
    ] {
        let error = collect(&ctx, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
        assert!(!error.to_string().contains("DataFusion"), "{error}");
    }
}

#[tokio::test]
async fn values_are_not_sql() {
    let ctx = ctx().await;
    let hostile = ScalarValue::from("x' OR '1'='1");
    let sql = "SELECT count(*) FROM events WHERE eventname = $name";
    let batches = gather(execute_with(&ctx, sql, vec![("name", hostile)]).await.unwrap()).await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 0);
}

#[tokio::test]
async fn too_little_memory_is_a_limit() {
    let ctx = session(&[], &QueryOptions::new(1, 100_000)).unwrap();
    let sql = "SELECT count(DISTINCT value), array_agg(value) FROM generate_series(1, 1000000)";
    let error = collect(&ctx, sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(error.to_string().contains("raise --memory-limit"), "{error}");
}

#[tokio::test]
async fn json_values_are_written_as_text() {
    let ctx = ctx().await;
    let sql = "SELECT requestparameters -> 'bucketName' AS a, requestparameters -> 'n' AS b, requestparameters -> 'nested' AS c, \
               requestparameters -> 'none' AS d FROM events LIMIT 1";
    let mut out = Vec::new();
    output::write(execute(&ctx, sql).await.unwrap(), output::Format::Csv, &mut out).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "a,b,c,d\nb,7,\"{\"\"k\"\":\"\"v\"\"}\",\n");
}

#[tokio::test]
async fn a_table_without_partition_column_is_read() {
    let store = InMemory::new();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let bytes = parquet_bytes(&batch);
    let (path, size) = (Path::from("lake/rejects/a.parquet"), bytes.len() as u64);
    store.put(&path, bytes.into()).await.unwrap();
    let (min_values, max_values) = (json!({"n": 1}), json!({"n": 2}));
    let files = vec![DataFile { path, size, rows: Some(2), partition: None, min_values, max_values }];
    let table =
        TableSnapshot { name: "rejects".into(), schema: batch.schema(), partition: None, ..snapshot(store, files) };
    let ctx = session(&[table], &options()).unwrap();
    assert_eq!(number(&ctx, "SELECT sum(n) FROM rejects WHERE n > 1").await, 2);
    assert!(plan_text(&ctx, "SELECT n FROM rejects WHERE n > 2").await.contains("EmptyExec"));
}

#[tokio::test]
async fn a_lake_on_the_local_disk_is_read_under_its_absolute_path() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a b%20=ü.parquet");
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    std::fs::write(&target, parquet_bytes(&batch)).unwrap();
    let file = DataFile {
        path: Path::from_absolute_path(&target).unwrap(),
        size: std::fs::metadata(&target).unwrap().len(),
        rows: Some(2),
        partition: None,
        min_values: Value::Null,
        max_values: Value::Null,
    };
    let table = TableSnapshot {
        schema: batch.schema(),
        partition: None,
        store_url: Url::parse("file:///").unwrap(),
        store: Arc::new(object_store::local::LocalFileSystem::new()),
        ..snapshot(InMemory::new(), vec![file])
    };
    let ctx = session(&[table], &options()).unwrap();
    assert_eq!(number(&ctx, "SELECT sum(n) FROM events").await, 3);
    assert!(collect(&ctx, &format!("SELECT * FROM '{}'", target.display())).await.is_err());
    let copy = format!("COPY events TO '{}'", folder.path().join("x.parquet").display());
    assert_eq!(collect(&ctx, &copy).await.unwrap_err().kind(), ErrorKind::Usage);
}
