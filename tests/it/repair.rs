//! `trailhound lake repair`: what lost or damaged files held is read again, each event once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use trailhound::schema::{EVENTS, OBJECTS, Table};

use crate::support::records::object;
use crate::support::{Ended, World};

/// A lake of several files of events.
fn filled() -> World {
    let world = World::new();
    for number in 0..4 {
        world.put(&format!("{number}.json.gz"), object(number * 300..number * 300 + 330));
        world.ingest(&[]).expect(0);
    }
    world
}

fn files(world: &World, table: &Table) -> Vec<PathBuf> {
    let folders =
        std::fs::read_dir(world.lake().join(table.name)).expect("a table").map(|entry| entry.expect("an entry").path());
    let days = folders.filter(|path| path.is_dir() && !path.ends_with("_delta_log"));
    let mut files: Vec<PathBuf> = days
        .flat_map(|day| std::fs::read_dir(day).expect("a day").map(|entry| entry.expect("an entry").path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    files
}

fn query(world: &World, sql: &str) -> Ended {
    world.run(&["query", "--lake", "lake", sql, "-o", "ndjson"])
}

fn ids(world: &World) -> Vec<String> {
    let ended = query(world, "SELECT eventid FROM events ORDER BY 1").expect(0);
    ended.stdout.lines().map(str::to_owned).collect()
}

fn repair(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["lake", "repair", "--lake", "lake", "--report", "report.json"], more].concat())
}

#[test]
fn a_whole_lake_needs_no_repair() {
    let world = filled();
    let ended = repair(&world, &["--deep"]).expect(0);
    assert!(ended.stdout.contains("read to their ends), 0 damaged"), "{}", ended.stdout);
    assert_eq!(world.ingest(&["--report", "report.json"]).expect(0).stderr, "");
    assert_eq!(world.report()["records"], 0, "nothing is read again: {}", world.report());
}

#[test]
fn what_lost_and_cut_files_held_is_read_again() {
    let world = filled();
    let before = ids(&world);
    let events = files(&world, &EVENTS);
    assert!(events.len() > 2, "{events:?}");
    std::fs::remove_file(&events[0]).expect("removed");
    std::fs::File::options().write(true).open(&events[1]).and_then(|file| file.set_len(3000)).expect("cut");
    let told = query(&world, "SELECT min(eventname) FROM events").expect(2);
    assert!(told.stderr.contains("trailhound lake repair"), "{}", told.stderr);
    let told = repair(&world, &["--dry-run"]).expect(2);
    assert!(told.stdout.contains("2 damaged"), "{}", told.stdout);
    assert!(
        told.stdout.contains("it is gone") && told.stdout.contains("it has 3000 bytes instead of"),
        "{}",
        told.stdout
    );
    repair(&world, &[]).expect(0);
    let report = world.report();
    assert_eq!(report["damaged"].as_array().map(Vec::len), Some(2), "{report}");
    assert_eq!(report["objects"], 4, "{report}");
    let left: BTreeSet<String> = ids(&world).into_iter().collect();
    assert!(left.len() < before.len());
    world.ingest(&[]).expect(0);
    assert_eq!(ids(&world), before);
    assert!(repair(&world, &["--dry-run"]).expect(0).stdout.contains("0 damaged"));
}

#[test]
fn damage_inside_a_file_is_found_by_reading_all_of_it() {
    let world = filled();
    let before = ids(&world);
    let damaged = &files(&world, &EVENTS)[0];
    let mut bytes = std::fs::read(damaged).expect("read");
    // the first page's compressed bytes begin behind its header
    bytes[40..140].fill(0xff);
    std::fs::write(damaged, bytes).expect("written");
    repair(&world, &["--dry-run"]).expect(0);
    repair(&world, &["--dry-run", "--deep"]).expect(2);
    repair(&world, &["--deep"]).expect(0);
    world.ingest(&[]).expect(0);
    assert_eq!(ids(&world), before);
}

#[test]
fn a_ledger_that_lost_a_file_reads_its_objects_again() {
    let world = filled();
    let before = ids(&world);
    for file in files(&world, &OBJECTS) {
        std::fs::remove_file(file).expect("removed");
    }
    world.ingest(&[]).expect(2);
    repair(&world, &[]).expect(0);
    let ended = world.ingest(&["--report", "report.json"]).expect(0);
    assert!(ended.stdout.contains("0 rows"), "{}", ended.stdout);
    assert_eq!(ids(&world), before);
}
