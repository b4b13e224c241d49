//! `trailhound demo`: what a newcomer sees.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{Ended, World};

/// A demo of five days, made once for all tests that only look at it.
fn demo() -> &'static (World, Ended) {
    static DEMO: OnceLock<(World, Ended)> = OnceLock::new();
    DEMO.get_or_init(|| {
        let world = World::new();
        let ended = make(&world, "first");
        (world, ended)
    })
}

fn make(world: &World, dir: &str) -> Ended {
    world.run(&["demo", "--dir", dir, "--days", "5", "--seed", "1", "--report", "report.json"]).expect(0)
}

fn findings(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("findings");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn findings_are_shown_and_written() {
    let (world, ended) = demo();
    let findings = findings(&world.path("first/findings.ndjson"));
    assert!(!findings.is_empty());
    for finding in &findings {
        for name in ["id", "type", "severity", "score", "actor", "account", "time", "first_seen", "last_seen"] {
            assert!(!finding[name].is_null(), "{name} is missing: {finding}");
        }
        assert!(finding["event_ids"].as_array().is_some_and(|ids| !ids.is_empty()), "{finding}");
        let kind = finding["type"].as_str().expect("a type");
        assert!(ended.stdout.contains(kind), "{kind} is not shown: {}", ended.stdout);
    }
    for word in ["┌", "severity", "attacks and the finding", "found, finding 1"] {
        assert!(ended.stdout.contains(word), "{word:?} is missing: {}", ended.stdout);
    }
    assert!(world.report()["actor_days"].as_u64().is_some_and(|days| days > 0));
}

/// The commands below "Try next:".
fn commands(printed: &str) -> Vec<&str> {
    let (_, next) = printed.split_once("Try next:").expect("says what to try next");
    next.lines().map(str::trim).filter(|line| line.starts_with("trailhound ")).collect()
}

/// A shell in the test's folder that finds the program.
fn shell(world: &World, line: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_trailhound"));
    let path = format!("{}:/usr/bin:/bin", folder.parent().expect("a folder").display());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(world.path("")).env_clear().env("PATH", path).env("HOME", world.path(""));
    command
}

#[test]
fn the_commands_that_it_names_work_as_they_are() {
    let (world, ended) = demo();
    let commands = commands(&ended.stdout);
    assert_eq!(commands.len(), 3, "{}", ended.stdout);
    for command in commands {
        let ended = Ended::of(shell(world, command).output().expect("starts")).expect(0);
        assert!(ended.stdout.lines().count() > 2, "{command} answers nothing: {}", ended.stdout);
    }
}

#[test]
fn every_finding_has_the_sql_that_returns_its_events() {
    let (world, _) = demo();
    for finding in findings(&world.path("first/findings.ndjson")) {
        let sql = finding["sql"].as_str().expect("sql");
        let ended = world.run(&["query", "--lake", "first/lake", sql, "-o", "ndjson"]).expect(0);
        let mut found: Vec<String> = ended.stdout.lines().map(event_id).collect();
        let mut told: Vec<String> = finding["event_ids"].as_array().expect("ids").iter().map(text).collect();
        found.sort();
        told.sort();
        assert!(told.iter().all(|id| found.contains(id)), "{sql}\n{told:?}\n{found:?}");
    }
}

fn event_id(line: &str) -> String {
    let row: Value = serde_json::from_str(line).expect("JSON");
    text(&row["eventid"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_same_seed_gives_the_same_findings_byte_for_byte() {
    let (world, _) = demo();
    let again = World::new();
    make(&again, "second");
    let bytes = |world: &World, name: &str| std::fs::read(world.path(name)).expect("findings");
    assert!(bytes(world, "first/findings.ndjson") == bytes(&again, "second/findings.ndjson"));
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let world = World::new();
    world.put("thesis.txt", "years of work");
    let ended = world.run(&["demo", "--dir", "source", "--days", "5"]).expect(64);
    assert!(ended.stderr.contains("source is not empty") && ended.stderr.contains("--dir"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(world.path("source")).expect("a folder").count(), 1);
    let ended = world.run(&["demo", "--dir", "new", "--days", "1"]).expect(64);
    assert!(ended.stderr.contains("2 to 120 days"), "{}", ended.stderr);
}
