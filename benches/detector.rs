//! How many events the detector reads and scores per CPU-second, from a trained lake to findings.
//!
//!     cargo bench --bench detector -- --lake LAKE --from DAY --to DAY [--threads 2] [--asn-db FILE]
//!
//! The baselines are brought up to date first, which is timed apart. CPU time and peak memory are the whole process's, as
//! Linux tells them. Findings are made but not recorded.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use trailhound::detect::{DetectOptions, find};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::network::Networks;
use trailhound::query::QueryOptions;
use trailhound::train::train;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn day(name: &str) -> Option<DateTime<Utc>> {
    let day: NaiveDate = argument(name)?.parse().expect("a day, YYYY-MM-DD");
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

/// CPU-seconds of the process so far, user and system: fields 14 and 15 of its stat, in hundredths.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(") ").next().expect("a name");
    let fields: Vec<f64> = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse().expect("ticks")).collect();
    fields.iter().sum::<f64>() / 100.0
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.trim_start_matches("VmHWM:").trim().to_owned()
}

fn options() -> QueryOptions {
    let mut options = QueryOptions::new(2, 1 << 30);
    if let Some(threads) = argument("--threads") {
        options.threads = threads.parse().expect("a number of threads");
    }
    if let Some(path) = argument("--asn-db") {
        let mut networks = Networks::default();
        networks.read_asn(std::fs::read(path).expect("a file")).expect("AS numbers");
        options.networks = Some(Arc::new(networks));
    }
    options
}

#[tokio::main]
async fn main() {
    let lake = LakeOptions { location: argument("--lake").expect("--lake LAKE"), ..LakeOptions::default() };
    let lake = Lake::open(&lake).await.expect("a lake");
    let query = options();
    let trained = train(&lake, &query, Utc::now()).await.expect("baselines");
    let training = cpu();
    println!("trained    {:>10} events in {training:.2} CPU-s, peak {}", trained.events_read, peak());
    let options = DetectOptions { from: day("--from"), to: day("--to"), ..DetectOptions::new(query) };
    let report = find(&lake, &options, Utc::now()).await.expect("findings");
    let (scoring, events) = (cpu() - training, report.events);
    let rate = events as f64 / scoring.max(0.01);
    println!(
        "scored     {events:>10} events of {} days in {scoring:.2} CPU-s: {rate:.0} a CPU-s, peak {}",
        report.days,
        peak()
    );
    println!("findings   {:>10}", report.findings.len());
}
