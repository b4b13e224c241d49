//! What the layout of compacted files costs and saves: bytes on disk, and bytes that typical queries read.
//!
//!     cargo bench --bench layout -- --lake LAKE [--dir DIR]
//!
//! All events of the lake are written as one partition, once per layout. The times of a corpus span days; a slice of
//! 1/24 of them stands for the hour of a day.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use trailhound::lake::{Lake, LakeOptions, Profile, writer_properties};
use trailhound::query::{self, QueryOptions};
use trailhound::schema::EVENTS;
use trailhound::table::{DataFile, TableSnapshot};

const OPTIONS: QueryOptions = QueryOptions::new(1, 4 << 30);

const ORDERS: [(&str, &[&str]); 4] = [
    ("account, actor, time", &["recipientaccountid", "actor", "eventtime", "eventid"]),
    ("account, actor, name, time", &["recipientaccountid", "actor", "eventname", "eventtime", "eventid"]),
    ("time", &["eventtime", "eventid"]),
    ("account, source, name, time", &["recipientaccountid", "eventsource", "eventname", "eventtime", "eventid"]),
];

/// One way to write a file.
#[derive(Clone, Copy)]
struct Layout {
    zstd: i32,
    group_rows: usize,
    page_rows: usize,
    ids: Encoding,
}

const USUAL: Layout =
    Layout { zstd: 6, group_rows: 64 << 10, page_rows: 20_000, ids: Encoding::DELTA_LENGTH_BYTE_ARRAY };

fn layouts(first: bool) -> Vec<Layout> {
    let mut layouts = vec![USUAL];
    if first {
        layouts.extend([1, 3, 12].map(|zstd| Layout { zstd, ..USUAL }));
        layouts.extend([32 << 10, 128 << 10, 1 << 20].map(|group_rows| Layout { group_rows, ..USUAL }));
        layouts.extend([2_000, 5_000].map(|page_rows| Layout { page_rows, ..USUAL }));
        layouts.extend([Encoding::PLAIN, Encoding::DELTA_BYTE_ARRAY].map(|ids| Layout { ids, ..USUAL }));
    }
    layouts
}

fn properties(layout: Layout) -> WriterProperties {
    let level = ZstdLevel::try_new(layout.zstd).expect("a level");
    let mut builder = writer_properties(Profile::Compacted)
        .into_builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(layout.group_rows))
        .set_data_page_row_count_limit(layout.page_rows);
    for name in ["eventid", "requestid"] {
        builder = builder.set_column_encoding(ColumnPath::from(name), layout.ids);
    }
    builder.build()
}

fn write(path: &Path, rows: &[RecordBatch], layout: Layout) -> (u64, f64) {
    let started = Instant::now();
    let file = std::fs::File::create(path).expect("creates");
    let mut writer = ArrowWriter::try_new(file, EVENTS.file_schema(), Some(properties(layout))).expect("a writer");
    for batch in rows {
        let batch = RecordBatch::try_new(EVENTS.file_schema(), batch.columns().to_vec()).expect("the columns");
        writer.write(&batch).expect("writes");
    }
    writer.close().expect("closes");
    (std::fs::metadata(path).expect("is there").len(), started.elapsed().as_secs_f64())
}

/// Values that the queries ask for, taken from the middle of the rows.
struct Asked {
    key: String,
    actor: String,
    account: String,
    id: String,
    from: String,
    to: String,
}

impl Asked {
    fn of(rows: &[RecordBatch]) -> Self {
        let times = rows.iter().flat_map(|batch| {
            let column = batch.column_by_name("eventtime").expect("eventtime");
            column.as_primitive::<TimestampMicrosecondType>().values().to_vec()
        });
        let times: Vec<i64> = times.collect();
        let (low, high) = (times.iter().min().expect("rows"), times.iter().max().expect("rows"));
        let (slice, middle) = ((high - low) / 24, low + (high - low) / 2);
        let instant = |micros| chrono::DateTime::from_timestamp_micros(micros).expect("an instant").to_rfc3339();
        let with_key = |batch: &RecordBatch, row: usize| -> Option<Self> {
            let text = |name: &str| Some(batch.column_by_name(name)?.as_string::<i32>().value(row).to_owned());
            let keys =
                batch.column_by_name("useridentity")?.as_struct().column_by_name("accesskeyid")?.as_string::<i32>();
            let role = text("actor")?.contains(":role/");
            (keys.is_valid(row) && role).then_some(())?;
            Some(Self {
                key: keys.value(row).to_owned(),
                actor: text("actor")?,
                account: text("recipientaccountid")?,
                id: text("eventid")?,
                from: instant(middle),
                to: instant(middle + slice),
            })
        };
        let middle_rows = rows.iter().skip(rows.len() / 2);
        middle_rows
            .flat_map(|batch| (0..batch.num_rows()).filter_map(move |row| with_key(batch, row)))
            .next()
            .expect("a key")
    }

    fn queries(&self) -> [(&'static str, String); 5] {
        let Self { key, actor, account, id, from, to } = self;
        let slice = format!("eventtime >= '{from}' AND eventtime < '{to}'");
        [
            ("key", format!("useridentity.accesskeyid = '{key}'")),
            ("actor", format!("actor = '{actor}'")),
            ("account+1/24", format!("recipientaccountid = '{account}' AND {slice}")),
            ("1/24", slice),
            ("id", format!("eventid = '{id}'")),
        ]
    }
}

/// What a query reads of a file, as the engine counts it.
async fn read(ctx: &datafusion::prelude::SessionContext, filter: &str) -> String {
    let columns = "eventtime, actor, eventname, sourceipaddress, requestparameters";
    let sql = format!("EXPLAIN ANALYZE SELECT {columns} FROM events WHERE {filter}");
    let rows = query::collect(ctx, &sql).await.expect("runs");
    let text: String = rows.iter().map(|batch| batch.column(1).as_string::<i32>().value(0).to_owned()).collect();
    let metric = |name: &str| {
        let rest = text.split_once(&format!("{name}="))?.1;
        Some(rest[..rest.find([',', ']'])?].to_owned())
    };
    metric("bytes_scanned").unwrap_or_default()
}

async fn measure(path: &Path, size: u64, asked: &Asked) -> Vec<String> {
    let file = DataFile {
        path: object_store::path::Path::from_absolute_path(path).expect("a path"),
        size,
        rows: None,
        partition: Some("2026-01-01".into()),
        min_values: serde_json::Value::Null,
        max_values: serde_json::Value::Null,
    };
    let snapshot = TableSnapshot {
        name: "events".into(),
        version: 0,
        schema: EVENTS.schema(),
        partition: EVENTS.partition.map(str::to_owned),
        files: vec![file],
        store_url: "file:///".parse().expect("a URL"),
        store: Arc::new(LocalFileSystem::new()),
    };
    let ctx = query::session(&[snapshot], &OPTIONS).expect("a session");
    let mut cells = Vec::new();
    for (_, filter) in asked.queries() {
        cells.push(read(&ctx, &filter).await);
    }
    cells
}

async fn run(lake: String, dir: PathBuf) {
    let lake = Lake::open(&LakeOptions { location: lake, ..LakeOptions::default() }).await.expect("a lake");
    let snapshot = lake.snapshot(&EVENTS).await.expect("events");
    println!(
        "| order | zstd | rows of a group | of a page | ids | MB | seconds | key | actor | account+1/24 | 1/24 | id |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (index, (name, order)) in ORDERS.into_iter().enumerate() {
        let rows = query::ordered(&snapshot, order, &OPTIONS).await.expect("sorts");
        let rows: Vec<RecordBatch> = rows.try_collect().await.expect("sorts");
        let asked = Asked::of(&rows);
        for layout in layouts(index == 0) {
            let path = dir.join("layout.parquet");
            let (size, seconds) = write(&path, &rows, layout);
            let cells = measure(&path, size, &asked).await.join(" | ");
            let Layout { zstd, group_rows, page_rows, ids } = layout;
            let megabytes = size as f64 / 1e6;
            println!(
                "| {name} | {zstd} | {group_rows} | {page_rows} | {ids} | {megabytes:.1} | {seconds:.1} | {cells} |"
            );
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let Some(lake) = option("--lake") else {
        eprintln!("layout: name a lake with --lake");
        return;
    };
    let dir = option("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = std::path::absolute(dir).expect("a path");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run(lake, dir));
}
