//! A lake is Delta and Parquet: what the program counts in it, other readers count too.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use trailhound::schema::EVENTS;

use crate::support::records::{object, record};
use crate::support::{World, emulator, real_data};

/// The code that the script ends with where a package is missing.
const MISSING: i32 = 77;

/// What other readers find in a lake, or in a version of its events; `None`, aloud, where they are not installed.
fn others(lake: &Path, version: Option<i64>) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/interop.py");
    let output = Command::new(emulator::python())
        .arg(script)
        .arg(lake)
        .args(version.map(|version| version.to_string()))
        .output()
        .expect("python starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(MISSING) {
        eprintln!("SKIPPED: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{stderr}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The same by the program's own query engine.
fn ours(world: &World) -> Value {
    let ask = |sql: &str| -> Vec<Value> {
        let ended = world.run(&["query", "--lake", "lake", sql, "-o", "ndjson"]).expect(0);
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let sql = "SELECT count(*) AS rows, count(DISTINCT eventid) AS ids, count(DISTINCT event_date) AS days FROM events";
    let mut found = ask(sql).remove(0);
    let types = ask("SELECT coalesce(useridentity['type'], '') AS type, count(*) AS rows FROM events GROUP BY 1");
    let types = types.iter().map(|row| (row["type"].as_str().unwrap_or_default().to_owned(), row["rows"].clone()));
    found["types"] = Value::Object(types.collect());
    found
}

#[track_caller]
fn agree(world: &World, rows: u64) {
    let ours = ours(world);
    assert_eq!((&ours["rows"], world.rows(&EVENTS)), (&json!(rows), rows));
    if let Some(others) = others(&world.lake(), None) {
        assert_eq!(others, json!({ "deltalake": ours, "duckdb": ours }));
    }
}

#[test]
fn a_lake_of_many_commits() {
    let world = World::new();
    for number in 0..30 {
        // more commits than a checkpoint takes in, days in several files
        world.put(&format!("{number:03}.json.gz"), object(number * 700..number * 700 + 750));
    }
    let mut nobody = record(900_000);
    nobody["userIdentity"] = json!({"type": "AWSService", "invokedBy": "config.amazonaws.com"});
    world.put("nobody.json", nobody.to_string());
    world.ingest(&["--commit-bytes", "1", "--threads", "1"]).expect(0);
    agree(&world, 30 * 700 + 50 + 1);
}

#[test]
fn a_lake_that_was_rewritten_vacuumed_and_cut() {
    let world = World::new();
    for number in 0..12 {
        world.put(&format!("{number:03}.json.gz"), object(number * 700..number * 700 + 750));
    }
    world.ingest(&["--commit-bytes", "1", "--threads", "1"]).expect(0);
    let rows = 12 * 700 + 50;
    agree(&world, rows);
    let lake = |args: &[&str]| world.run(&[&["lake"], args, &["--lake", "lake"]].concat()).expect(0);
    lake(&["optimize", "--target-size", "64KiB"]);
    agree(&world, rows);
    lake(&["vacuum"]);
    agree(&world, rows);
    // a version from before the rewrite can be read as long as the vacuum keeps its files
    let Some(before) = others(&world.lake(), Some(12)) else { return };
    assert_eq!((&before["deltalake"]["rows"], &before["duckdb"]["rows"]), (&json!(rows), &json!(rows)));
    lake(&["vacuum", "--version-days", "0"]);
    agree(&world, rows);
    world.put("new.json.gz", object(100_000..100_010));
    world.ingest(&[]).expect(0);
    agree(&world, rows + 10);
    let days = chrono::Utc::now().date_naive() - chrono::NaiveDate::from_ymd_opt(2026, 1, 4).expect("a day");
    lake(&["retain", "--days", &(days.num_days() + 1).to_string()]);
    let left = world.rows(&EVENTS);
    assert!(left > 0 && left < rows, "{left}");
    agree(&world, left);
}

#[test]
fn a_lake_of_real_logs() {
    for (name, rows) in [("ransomware-lab", 23_981), ("stratus-simulation", 2_900)] {
        let Some(source) = real_data(name) else { continue };
        let world = World::new();
        world.run(&["ingest", &source.to_string_lossy(), "--lake", "lake"]).expect(0);
        agree(&world, rows);
    }
}
