//! How long questions take over a lake, in one process, best of five.
//!
//!     cargo bench --bench query -- --lake LAKE [--threads 2] [--rounds 5] [--sql FILE]
//!
//! The key, the JSON members and the days that the questions name are taken from the lake itself, so that any lake made
//! by `cargo bench --bench corpus` will do.

use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use trailhound::lake::{Lake, LakeOptions};
use trailhound::query::{self, QueryOptions};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

/// The first value of an answer as text.
async fn first(ctx: &SessionContext, sql: &str) -> String {
    let batches = query::collect(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let column = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0).clone());
    let text = cast(&column.expect("a row"), &DataType::Utf8).expect("text");
    text.as_string::<i32>().value(0).to_owned()
}

/// Names of the questions and their SQL.
async fn questions(ctx: &SessionContext) -> Vec<(&'static str, String)> {
    let middle = "SELECT useridentity.accesskeyid, count(*) AS n FROM events WHERE useridentity.accesskeyid IS NOT NULL \
                  GROUP BY 1 ORDER BY abs(n - 40), 1 LIMIT 1";
    let key = first(ctx, middle).await;
    vec![
        ("top 20 APIs", "SELECT eventsource, eventname, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 20".into()),
        (
            "events of one access key in time order",
            format!("SELECT eventtime, eventsource, eventname, awsregion, sourceipaddress, errorcode, requestparameters FROM events \
                     WHERE useridentity.accesskeyid = '{key}' ORDER BY eventtime, eventid"),
        ),
        (
            "top denied actors",
            "SELECT actor, count(*) AS n FROM events WHERE outcome = 'denied' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20".into(),
        ),
        ("events per hour", "SELECT date_trunc('hour', eventtime) AS hour, count(*) AS n FROM events GROUP BY 1 ORDER BY 1".into()),
        (
            "distinct addresses per account",
            "SELECT recipientaccountid, count(DISTINCT sourceipaddress) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1".into(),
        ),
        (
            "one JSON member",
            "SELECT json_extract_scalar(requestparameters, '$.bucketName') AS bucket, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20".into(),
        ),
        (
            "one JSON member by ->>",
            "SELECT requestparameters ->> 'bucketName' AS bucket, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20".into(),
        ),
        (
            "four JSON members",
            "SELECT coalesce(json_extract_scalar(requestparameters, '$.bucketName'), json_extract_scalar(requestparameters, '$.roleArn'), \
             json_extract_scalar(requestparameters, '$.keyId'), json_extract_scalar(requestparameters, '$.userName')) AS resource, count(*) AS n \
             FROM events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20".into(),
        ),
        (
            "four JSON members by ->>",
            "SELECT coalesce(requestparameters ->> 'bucketName', requestparameters ->> 'roleArn', requestparameters ->> 'keyId', \
             requestparameters ->> 'userName') AS resource, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20".into(),
        ),
    ]
}

async fn time(ctx: &SessionContext, sql: &str, rounds: usize) -> (Duration, usize) {
    let mut best = (Duration::MAX, 0);
    for _ in 0..rounds {
        let started = Instant::now();
        let batches = query::collect(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        best = best.min((started.elapsed(), rows));
    }
    best
}

fn main() {
    let Some(location) = argument("--lake") else {
        println!("query: needs --lake LAKE");
        return;
    };
    let threads = argument("--threads").and_then(|text| text.parse().ok()).unwrap_or(2);
    let rounds = argument("--rounds").and_then(|text| text.parse().ok()).unwrap_or(5);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let started = Instant::now();
        let lake = Lake::open(&LakeOptions { location, ..LakeOptions::default() }).await.expect("a lake");
        let snapshots = lake.snapshots().await.expect("snapshots");
        let ctx = query::session(&snapshots, &QueryOptions::new(threads, 4 << 30)).expect("a session");
        println!("{:8.1} ms  opening the lake", started.elapsed().as_secs_f64() * 1e3);
        let asked = match argument("--sql") {
            Some(file) => vec![("the file", std::fs::read_to_string(file).expect("a file"))],
            None => questions(&ctx).await,
        };
        for (name, sql) in asked {
            let (best, rows) = time(&ctx, &sql, rounds).await;
            println!("{:8.1} ms  {name} ({rows} rows)", best.as_secs_f64() * 1e3);
        }
    });
}
