//! `trailhound lake`: rewritten, vacuumed, cut short or killed in the middle, the tables hold the same rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use trailhound::schema::{BASELINES, EVENTS, OBJECTS, REJECTS, Table};

use crate::support::aws::Aws;
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Proxy, Request};
use crate::support::records::{object, record};
use crate::support::{Ended, World, real_data};

/// Objects of a day each, whose events overlap those of the next, in many commits.
fn many_commits(objects: u32) -> World {
    let world = World::new();
    for number in 0..objects {
        world.put(&format!("{number:03}.json.gz"), object(number * 300..number * 300 + 330));
    }
    world.ingest(&["--commit-bytes", "1", "--threads", "1"]).expect(0);
    world
}

fn optimize(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["lake", "optimize", "--lake", "lake", "--report", "report.json"], more].concat())
}

fn vacuum(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["lake", "vacuum", "--lake", "lake", "--report", "report.json"], more].concat())
}

/// Every row of a table with every column, in one order whatever the files.
fn content(world: &World, table: &Table) -> Vec<String> {
    let sql = format!("SELECT * FROM {}", table.name);
    let ended = world.run(&["query", "--lake", "lake", &sql, "-o", "ndjson"]).expect(0);
    let mut rows: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// Parquet files in a table's folder.
fn files(world: &World, table: &Table) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![world.lake().join(table.name)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_data = path.extension().is_some_and(|extension| extension == "parquet");
            if path.is_dir() && !path.ends_with("_delta_log") {
                folders.push(path);
            } else if is_data && path.is_file() {
                found.insert(path);
            }
        }
    }
    found
}

fn status(world: &World, table: &Table) -> Value {
    let ended = world.run(&["lake", "status", "--lake", "lake", "-o", "ndjson"]).expect(0);
    let tables = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    tables.into_iter().find(|found| found["table"] == table.name).expect("the table")
}

/// Makes a file look as old as this.
fn age(path: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 86_400 + 60);
    std::fs::File::options().append(true).open(path).expect("opens").set_modified(time).expect("sets");
}

#[test]
fn a_rewrite_changes_files_and_no_row() {
    let world = many_commits(30);
    let before = content(&world, &EVENTS);
    assert_eq!(before.len(), 30 * 300 + 30);
    let many = status(&world, &EVENTS);
    assert_eq!(many["due"][0].as_str().expect("due").split(" (").next(), Some("optimize"), "{many}");
    optimize(&world, &[]).expect(0);
    let told = world.report()["tables"][0].clone();
    assert_eq!((&told["table"], &told["rows"]), (&json!("events"), &json!(before.len())), "{told}");
    assert_eq!(content(&world, &EVENTS), before);
    let few = status(&world, &EVENTS);
    let days = told["commits"].as_u64().expect("a number");
    assert!(few["files"] == days && many["files"].as_u64() > Some(3 * days), "{many} -> {few}");
    assert_eq!((&few["rows"], &few["due"]), (&json!(before.len()), &json!([])), "{few}");
    assert!(few["history_bytes"].as_u64() > Some(0), "{few}");
    // a rewrite leaves nothing that is due
    let again = optimize(&world, &[]).expect(0);
    assert!(again.stdout.contains("optimized  nothing"), "{}", again.stdout);
    // the ledger and the events themselves know everything still
    let known = world.ingest(&["--report", "report.json"]).expect(0);
    assert!(known.stdout.contains("0 seen -> 0 rows"), "{}", known.stdout);
    world.put("again.json.gz", object(0..900));
    world.ingest(&["--report", "report.json"]).expect(0);
    assert_eq!([&world.report()["rows"], &world.report()["duplicates"]], [0, 900]);
    assert_eq!(content(&world, &EVENTS), before);
}

#[test]
fn rows_of_real_logs_survive_a_rewrite_with_little_memory() {
    let Some(source) = real_data("ransomware-lab") else { return };
    let world = World::new();
    world.run(&["ingest", &source.to_string_lossy(), "--lake", "lake"]).expect(0);
    let before = content(&world, &EVENTS);
    // some 120 MB of rows as Arrow has them
    optimize(&world, &["--memory-limit", "24MiB", "--threads", "2", "--target-size", "1MiB"]).expect(0);
    assert!(world.report()["tables"][0]["rows"].as_u64() == Some(23_981), "{}", world.report());
    assert_eq!(content(&world, &EVENTS), before);
    optimize(&world, &["--full"]).expect(0);
    assert_eq!(content(&world, &EVENTS), before);
}

#[test]
fn rows_are_in_an_order_that_queries_skip_by() {
    let world = World::new();
    for actor in 0..6 {
        let records: Vec<Value> = (0..200)
            .map(|number| {
                let mut record = record(number);
                record["eventTime"] = json!(format!("2026-01-01T{:02}:{:02}:00Z", number / 60, number % 60));
                record["eventID"] = json!(format!("{actor:08x}-0000-4000-8000-{number:012x}"));
                record["userIdentity"]["arn"] = json!(format!("arn:aws:iam::111122223333:user/u{}", (actor * 5) % 6));
                record
            })
            .collect();
        world.put(&format!("{actor}.json"), json!({ "Records": records }).to_string());
    }
    world.ingest(&["--commit-bytes", "1", "--threads", "1"]).expect(0);
    optimize(&world, &[]).expect(0);
    let ended =
        world.run(&["query", "--lake", "lake", "SELECT actor, eventtime FROM events", "--threads", "1", "-o", "csv"]);
    let rows: Vec<String> = ended.expect(0).stdout.lines().skip(1).map(str::to_owned).collect();
    assert!(rows.len() == 1_200 && rows.is_sorted(), "one account, by actor and time");
    let file =
        files(&world, &EVENTS).into_iter().find(|path| path.to_string_lossy().contains("rewrite-")).expect("one");
    let file = std::fs::File::open(file).expect("opens");
    let reader = parquet::file::serialized_reader::SerializedFileReader::new(file).expect("a Parquet file");
    let metadata = parquet::file::reader::FileReader::metadata(&reader);
    let columns = metadata.row_group(0).columns();
    for name in ["eventid", "useridentity.accesskeyid"] {
        let column = columns.iter().find(|column| column.column_path().string() == name).expect(name);
        assert!(column.bloom_filter_offset().is_some(), "{name} has no bloom filter");
    }
    let actor = columns.iter().find(|column| column.column_path().string() == "actor").expect("actor");
    assert!(actor.statistics().is_some() && actor.column_index_offset().is_some());
}

#[test]
fn open_days_stay_as_they_are() {
    let world = many_commits(5);
    let before = files(&world, &EVENTS);
    let ended = optimize(&world, &["--closed-after", "100000"]).expect(0);
    assert!(ended.stdout.contains("optimized  nothing"), "{}", ended.stdout);
    assert_eq!(files(&world, &EVENTS), before);
}

#[test]
fn small_tables_are_compacted_too() {
    let world = World::new();
    for number in 0..9 {
        world.put(&format!("{number}.json.gz"), "no log");
        world.ingest(&[]).expect(2);
    }
    let before = content(&world, &REJECTS);
    assert!(before.len() >= 9 && status(&world, &REJECTS)["files"] == 9);
    optimize(&world, &[]).expect(0);
    assert_eq!((content(&world, &REJECTS), &status(&world, &REJECTS)["files"]), (before, &json!(1)));
    assert_eq!(world.rows(&OBJECTS), 9);
}

#[test]
fn a_vacuum_deletes_only_what_it_may() {
    let world = many_commits(12);
    let old = files(&world, &EVENTS);
    let before = content(&world, &EVENTS);
    optimize(&world, &[]).expect(0);
    let new: BTreeSet<PathBuf> = files(&world, &EVENTS).difference(&old).cloned().collect();
    let folder = world.lake().join("events/event_date=2026-01-01");
    let [staged, dead, cut_off, notes] =
        ["part-staged.zstd.parquet", "part-dead.zstd.parquet", "part-x.zstd.parquet#1", "notes.txt"]
            .map(|name| folder.join(name));
    for path in [&staged, &dead, &cut_off, &notes] {
        std::fs::write(path, "x").expect("writes");
    }
    for path in [&dead, &cut_off, &notes] {
        age(path, 8);
    }
    // however old a file of the table is, it stays
    new.iter().for_each(|path| age(path, 400));
    let dry = vacuum(&world, &["--dry-run"]).expect(0);
    assert!(dry.stdout.contains("part-dead") && !dry.stdout.contains("part-staged"), "{}", dry.stdout);
    assert!(dead.exists() && cut_off.exists());
    vacuum(&world, &[]).expect(0);
    let told = world.report()["tables"][0].clone();
    assert_eq!([&told["expired_files"], &told["orphan_files"], &told["debris_files"]], [0, 1, 1], "{told}");
    assert!(staged.exists() && notes.exists() && !dead.exists() && !cut_off.exists());
    assert!(old.iter().all(|path| path.exists()), "older versions can be read for a week");
    vacuum(&world, &["--version-days", "0"]).expect(0);
    let told = world.report()["tables"][0].clone();
    assert_eq!(told["expired_files"], old.len(), "{told}");
    let mut left = new.clone();
    left.insert(staged);
    assert_eq!(files(&world, &EVENTS), left);
    assert_eq!(content(&world, &EVENTS), before);
}

#[test]
fn a_log_is_kept_short() {
    let world = many_commits(30);
    let many = status(&world, &OBJECTS);
    assert!(many["commits_since_checkpoint"].as_u64() > Some(20), "{many}");
    vacuum(&world, &[]).expect(0);
    let few = status(&world, &OBJECTS);
    assert_eq!(few["commits_since_checkpoint"], 0, "{few}");
    // entries older than the log's retention go once a checkpoint stands for them
    let log = world.lake().join("objects/_delta_log");
    let entries = |log: &Path| std::fs::read_dir(log).expect("a log").flatten().map(|entry| entry.path());
    entries(&log).for_each(|path| age(&path, 40));
    vacuum(&world, &[]).expect(0);
    let json = entries(&log).filter(|path| path.extension().is_some_and(|extension| extension == "json")).count();
    assert_eq!(json, 1, "the checkpoint's own entry");
    assert_eq!(world.rows(&OBJECTS), 30);
    world.put("more.json.gz", object(90_000..90_010));
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&OBJECTS), 31);
}

#[test]
fn a_retention_longer_than_the_log_remembers_is_refused() {
    let world = many_commits(1);
    let ended = vacuum(&world, &["--version-days", "31"]).expect(64);
    assert!(ended.stderr.contains("remembers 30 days"), "{}", ended.stderr);
}

/// Kills `trailhound lake …` at moments spread over its run.
#[test]
fn killed_anywhere_nothing_is_lost_or_doubled() {
    let world = many_commits(24);
    let before = content(&world, &EVENTS);
    let kill = |args: &[&str], after: u64| {
        let mut command = world.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(after));
        child.kill().expect("kill");
        child.wait().expect("wait");
    };
    for attempt in 0..14u64 {
        kill(&["lake", "optimize", "--lake", "lake", "--full"], 60 + attempt * attempt * 13);
        if attempt % 3 == 0 {
            kill(&["lake", "vacuum", "--lake", "lake", "--version-days", "0"], 60 + attempt * 40);
            assert_eq!(world.rows(&EVENTS), before.len() as u64);
        }
    }
    assert_eq!(content(&world, &EVENTS), before);
    optimize(&world, &["--full"]).expect(0);
    assert_eq!(content(&world, &EVENTS), before);
    // what the dead left goes when it is old enough; what lives stays
    files(&world, &EVENTS).iter().for_each(|path| age(path, 2));
    vacuum(&world, &["--version-days", "0"]).expect(0);
    assert_eq!(files(&world, &EVENTS).len() as u64, status(&world, &EVENTS)["files"].as_u64().expect("a number"));
    assert_eq!(content(&world, &EVENTS), before);
}

#[test]
fn a_retained_day_does_not_come_back() {
    let world = World::new();
    let today = chrono::Utc::now().date_naive();
    for back in 0..10u64 {
        let day = today - chrono::Days::new(back);
        let mut record = record(u32::try_from(back).expect("small"));
        record["eventTime"] = json!(format!("{day}T00:00:30Z"));
        let key = format!("AWSLogs/1/CloudTrail/eu-west-1/{}/{back}.json", day.format("%Y/%m/%d"));
        world.put(&key, json!({ "Records": [record] }).to_string());
    }
    world.ingest(&[]).expect(0);
    let dry = world.run(&["lake", "retain", "--lake", "lake", "--days", "4", "--dry-run"]).expect(0);
    assert!(dry.stdout.contains("would drop  events: 6 rows in 6 files"), "{}", dry.stdout);
    assert_eq!(world.rows(&EVENTS), 10);
    world.run(&["lake", "retain", "--lake", "lake", "--days", "4"]).expect(0);
    assert_eq!((world.rows(&EVENTS), world.rows(&OBJECTS)), (4, 4));
    let next = world.ingest(&["--report", "report.json"]).expect(0);
    assert!(next.stdout.contains("0 seen -> 0 rows"), "{}", next.stdout);
    assert_eq!(world.report()["objects"]["expired"], 6, "{}", world.report());
    assert_eq!((world.rows(&EVENTS), world.rows(&OBJECTS)), (4, 4));
    let status = world.run(&["lake", "status", "--lake", "lake", "-o", "json"]).expect(0);
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["first_day"], (today - chrono::Days::new(3)).to_string(), "{status}");
    // a longer retention lets them in again
    world.run(&["lake", "retain", "--lake", "lake", "--days", "8"]).expect(0);
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 8);
    world.run(&["lake", "retain", "--lake", "lake"]).expect(64);
    world.run(&["lake", "retain", "--lake", "lake", "--days", "0"]).expect(64);
}

fn ministack() -> Option<&'static Emulator> {
    Emulator::shared(Kind::Ministack)
}

/// Starts an ingest, stalls a request of it, optimizes, and lets it go on.
async fn ingest_around(bucket: &str, which: impl Fn(&Request) -> bool + Send + Sync + 'static, optimize: &[&str]) {
    let Some(emulator) = ministack() else { return };
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    let put = async |numbers: std::ops::Range<u32>| {
        for number in numbers {
            aws.put(bucket, &format!("logs/{number}.json.gz"), object(number * 40..number * 40 + 50)).await;
        }
    };
    let world = World::new();
    let (source, lake) = (format!("s3://{bucket}/logs/"), format!("s3://{bucket}/lake"));
    let ingest = ["ingest", &source, "--lake", &lake, "--commit-bytes", "1", "--report", "report.json"];
    put(0..6).await;
    world.run_at(emulator.endpoint(), &ingest).expect(0);
    put(6..12).await;
    let (proxy, stall) = Proxy::stalling(emulator.endpoint(), which);
    let mut command: Command = world.at(&proxy.endpoint, &ingest);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    stall.reached();
    let args = [&["lake", "optimize", "--lake", &lake], optimize].concat();
    let optimized = world.run_at(emulator.endpoint(), &args).expect(0);
    assert!(optimized.stdout.contains("optimized  events: "), "{}", optimized.stdout);
    stall.release();
    Ended::of(running.wait_with_output().expect("ends")).expect(0);
    let told = world.report();
    // every object shares ten events with the one before it, and none is taken for another writer's
    assert_eq!([&told["records"], &told["rows"], &told["duplicates"]], [300, 240, 60], "{told}");
    let sql = "SELECT count(*), count(DISTINCT eventid) FROM events";
    let ended = world.run_at(emulator.endpoint(), &["query", sql, "--lake", &lake, "-o", "csv"]).expect(0);
    assert_eq!(ended.stdout.lines().nth(1), Some("490,490"));
}

#[tokio::test]
async fn an_ingest_that_reads_while_its_days_are_rewritten() {
    ingest_around("lake-read-meanwhile", |request| request.gets("/logs/9.json.gz"), &[]).await;
}

#[tokio::test]
async fn an_ingest_whose_commit_is_overtaken_by_a_rewrite() {
    let third = |request: &Request| {
        let path = request.target.split('?').next().unwrap_or_default();
        request.method == "PUT" && path.contains("/events/_delta_log/") && path.ends_with("09.json")
    };
    ingest_around("lake-commit-meanwhile", third, &["--full"]).await;
}

#[tokio::test]
async fn what_rewrites_holds_the_lock() {
    let Some(emulator) = ministack() else { return };
    let bucket = "lake-locked";
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    aws.put(bucket, "logs/1.json.gz", object(0..50)).await;
    let world = World::new();
    let (source, lake) = (format!("s3://{bucket}/logs/"), format!("s3://{bucket}/lake"));
    world.run_at(emulator.endpoint(), &["ingest", &source, "--lake", &lake]).expect(0);
    let rewrites = |request: &Request| request.method == "PUT" && request.target.contains("/rewrite-");
    let (proxy, stall) = Proxy::stalling(emulator.endpoint(), rewrites);
    let optimize = ["lake", "optimize", "--lake", &lake];
    let mut command = world.at(&proxy.endpoint, &optimize);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    stall.reached();
    for command in [&["optimize"][..], &["vacuum"], &["retain", "--days", "1"]] {
        let refused = world.run_at(emulator.endpoint(), &[&["lake"], command, &["--lake", &lake]].concat()).expect(2);
        assert!(refused.stderr.contains("is locked: another run"), "{}", refused.stderr);
    }
    world.run_at(emulator.endpoint(), &["lake", "status", "--lake", &lake]).expect(0);
    stall.release();
    Ended::of(running.wait_with_output().expect("ends")).expect(0);
    world.run_at(emulator.endpoint(), &["lake", "vacuum", "--lake", &lake]).expect(0);
}

#[test]
fn a_run_looks_after_its_lake() {
    let world = many_commits(12);
    let rows = world.rows(&EVENTS);
    let run = |more: &[&str]| {
        let args = ["run", "source", "--lake", "lake", "--findings-file", "findings.ndjson", "--report", "report.json"];
        world.run(&[&args, more].concat()).expect(0);
        world.report()["maintain"].clone()
    };
    assert_eq!(run(&["--no-maintenance"]), Value::Null);
    let told = run(&["--maintenance-seconds", "0"]);
    assert!(told["optimize"]["left"].as_u64() > Some(0) && told["vacuum"].is_null(), "{told}");
    let told = run(&[]);
    assert!(told["optimize"]["tables"][0]["rows"] == rows && told["vacuum"].is_object(), "{told}");
    assert_eq!(world.rows(&EVENTS), rows);
    // nothing is due any more
    assert_eq!(run(&[]), json!({}));
    let told = run(&["--retain-days", "30"]);
    assert_eq!(told["retain"]["tables"][0]["rows"], rows, "{told}");
    assert_eq!((world.rows(&EVENTS), world.rows(&BASELINES)), (0, 0));
    assert_eq!(run(&["--retain-days", "30"]), json!({}));
}

#[test]
fn a_status_in_every_form() {
    let world = many_commits(2);
    for (format, has) in
        [("table", "events"), ("csv", "table,version,rows"), ("json", "\"tables\""), ("ndjson", "\"log\"")]
    {
        let ended = world.run(&["lake", "status", "--lake", "lake", "-o", format]).expect(0);
        assert!(ended.stdout.contains(has), "{}", ended.stdout);
    }
    let nowhere = world.run(&["lake", "status", "--lake", "nowhere"]).expect(2);
    assert!(nowhere.stderr.contains("no lake at nowhere"), "{}", nowhere.stderr);
}
