//! The command line: configuration, streams, formats, exit codes.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use crate::support::records::{envelope, gzip, object, record};
use crate::support::suspects::{self, DAY};
use crate::support::{Ended, World};

/// A test's folder with a lake of some ordinary events in it.
fn with_lake() -> World {
    let world = World::new();
    world.put("a.json.gz", object(0..100));
    world.ingest(&[]).expect(0);
    world
}

fn write(world: &World, name: &str, text: &str) {
    fs::write(world.path(name), text).expect("writes");
}

/// Runs the program with something on its standard input.
fn feed(world: &World, args: &[&str], input: &str) -> Ended {
    let mut command = world.command(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("is piped").write_all(input.as_bytes()).expect("takes its input");
    Ended::of(child.wait_with_output().expect("ends"))
}

const COUNT: &str = "SELECT count(*) AS events FROM events";

// ---- configuration

#[test]
fn an_unknown_key_is_refused_by_name() {
    let world = with_lake();
    write(&world, "config.toml", "laek = \"lake\"\n");
    let ended = world.run(&["--config", "config.toml", "query", COUNT]).expect(64);
    assert!(ended.stderr.contains("config.toml") && ended.stderr.contains("`laek`"), "{}", ended.stderr);
    let ended = world.run(&["--config", "nowhere.toml", "query", COUNT]).expect(64);
    assert!(ended.stderr.contains("nowhere.toml"), "{}", ended.stderr);
    write(&world, "config.toml", "memory-limit = \"much\"\n");
    let ended = world.run(&["--config", "config.toml", "query", COUNT]).expect(64);
    assert!(ended.stderr.contains("memory-limit") && ended.stderr.contains("512MiB"), "{}", ended.stderr);
}

/// The lake that the program takes, as it says in its complaint that there is none.
fn lake_taken(world: &World, flag: Option<&str>, variable: Option<&str>) -> String {
    let flag: Vec<&str> = flag.into_iter().flat_map(|lake| ["--lake", lake]).collect();
    let mut command = world.command(&[&["query", COUNT][..], &flag].concat());
    command.envs(variable.map(|lake| ("TRAILHOUND_LAKE", lake)));
    let ended = Ended::of(command.output().expect("starts")).expect(2);
    let (_, rest) = ended.stderr.split_once("no lake at ").expect("says which lake");
    rest.split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn a_flag_beats_the_environment_and_that_the_file() {
    let world = World::new();
    fs::create_dir_all(world.path(".config/trailhound")).expect("makes a folder");
    write(&world, ".config/trailhound/config.toml", "lake = \"of-the-file\"\n");
    assert_eq!(lake_taken(&world, Some("of-the-flag"), Some("of-the-variable")), "of-the-flag");
    assert_eq!(lake_taken(&world, None, Some("of-the-variable")), "of-the-variable");
    assert_eq!(lake_taken(&world, None, None), "of-the-file");
}

#[test]
fn everything_may_come_from_the_environment() {
    let world = World::new();
    world.put("a.json.gz", object(0..10));
    let mut command = world.command(&["ingest"]);
    command.envs([("TRAILHOUND_SOURCE", "source"), ("TRAILHOUND_LAKE", "lake"), ("TRAILHOUND_THREADS", "1")]);
    Ended::of(command.env("TRAILHOUND_REPORT", "report.json").output().expect("starts")).expect(0);
    assert_eq!(world.report()["rows"], 10);
    let mut command = world.command(&["query", COUNT]);
    let command = command.env("TRAILHOUND_LAKE", "lake").env("TRAILHOUND_OUTPUT", "csv");
    assert_eq!(Ended::of(command.output().expect("starts")).expect(0).stdout, "events\n10\n");
}

#[test]
fn values_out_of_range_are_wrong_usage() {
    let world = with_lake();
    for args in [
        ["query", COUNT, "--lake", "lake", "--threads=0"],
        ["query", COUNT, "--lake", "lake", "--memory-limit=much"],
        ["query", COUNT, "--lake", "lake", "--output=xml"],
        ["detect", "--lake", "lake", "--from=2026-02-01", "--to=2026-01-01"],
        ["detect", "--lake", "lake", "--from=yesterday", "--to=2026-01-01"],
        ["detect", "--lake", "lake", "--fail-on=dire", "--to=2026-01-01"],
    ] {
        let ended = world.run(&args).expect(64);
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
}

// ---- streams

#[test]
fn diagnostics_are_json_lines_on_stderr_alone() {
    let world = with_lake();
    world.put("broken.json", "no json");
    let ended = world.ingest(&["--log-format", "json"]).expect(2);
    assert!(!ended.stderr.is_empty());
    for line in ended.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    assert!(!ended.stdout.contains('{') && ended.stdout.contains("records  "), "{}", ended.stdout);
}

#[test]
fn quiet_is_quiet() {
    let world = with_lake();
    assert_eq!(world.run(&["query", COUNT, "--lake", "lake", "-o", "csv"]).expect(0).stderr, "");
    assert_eq!(world.ingest(&["--log", "off"]).expect(0).stderr, "");
}

#[test]
fn completions_are_printed() {
    let world = World::new();
    for (shell, word) in
        [("bash", "complete -F _trailhound"), ("zsh", "#compdef trailhound"), ("fish", "-c trailhound")]
    {
        let ended = world.run(&["completions", shell]).expect(0);
        assert!(ended.stdout.contains(word) && ended.stdout.contains("ingest"), "{shell}");
    }
}

#[test]
fn a_query_comes_from_stdin_or_a_file() {
    let world = with_lake();
    let expected = "events\n100\n";
    assert_eq!(feed(&world, &["query", "-", "--lake", "lake", "-o", "csv"], COUNT).expect(0).stdout, expected);
    assert_eq!(feed(&world, &["query", "--lake", "lake", "-o", "csv"], COUNT).expect(0).stdout, expected);
    write(&world, "count.sql", &format!("-- how many?\n{COUNT};\n"));
    let args = ["query", "-f", "count.sql", "--lake", "lake", "-o", "csv"];
    assert_eq!(world.run(&args).expect(0).stdout, expected);
    world.run(&["query", COUNT, "-f", "count.sql", "--lake", "lake"]).expect(64);
    let ended = world.run(&["query", "-f", "nowhere.sql", "--lake", "lake"]).expect(2);
    assert!(ended.stderr.contains("nowhere.sql"), "{}", ended.stderr);
}

/// Starts the program with a standard output whose reader takes one line, or is gone already.
fn cut(world: &World, args: &[&str], reader: &str) -> i32 {
    let mut child = world.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let pipe = child.stdout.take().expect("is piped");
    let mut reader =
        Command::new("/bin/sh").args(["-c", reader]).stdin(pipe).stdout(Stdio::null()).spawn().expect("sh");
    reader.wait().expect("ends");
    child.wait().expect("ends").code().unwrap_or(-1)
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let world = World::new();
    world.put("a.json.gz", suspects::object());
    world.put("b.json.gz", object(2000..9000));
    world.ingest(&[]).expect(0);
    let detect = |format| ["detect", "--lake", "lake", "--from", DAY[0], "--to", DAY[1], "-o", format];
    let all = "SELECT * FROM events";
    let query = |format| ["query", all, "--lake", "lake", "-o", format];
    for reader in ["head -n 1", "exec true"] {
        for format in ["table", "json", "ndjson", "csv"] {
            assert_eq!(cut(&world, &query(format), reader), 0, "query {format} | {reader}");
            assert_eq!(cut(&world, &detect(format), reader), 0, "detect {format} | {reader}");
        }
        assert_eq!(cut(&world, &query("parquet"), reader), 0, "query parquet | {reader}");
        assert_eq!(cut(&world, &["completions", "bash"], reader), 0, "completions | {reader}");
        assert_eq!(cut(&world, &["query", "--list"], reader), 0, "list | {reader}");
        assert_eq!(cut(&world, &["--help"], reader), 0, "help | {reader}");
        assert_eq!(cut(&world, &["ingest", "source", "--lake", "lake"], reader), 0, "ingest | {reader}");
    }
}

// ---- queries

#[test]
fn named_queries_are_listed_described_and_checked() {
    let world = with_lake();
    let list = world.run(&["query", "--list"]).expect(0);
    assert!(list.stdout.lines().any(|line| line.starts_with("top-denied ")), "{}", list.stdout);
    let described = world.run(&["query", "--describe", "top-denied"]).expect(0);
    assert!(described.stdout.contains("--param days=") && described.stdout.contains("SELECT"), "{}", described.stdout);
    for (args, word) in [
        (["top-denied", "--param", "dayz=7"], "days"),
        (["top-denied", "--param", "days=soon"], "days"),
        (["top-denied", "--param", "days"], "NAME=VALUE"),
        (["actor-timeline", "--param", "days=7"], "actor"),
        (["top-denid", "--param", "days=7"], "top-denied"),
    ] {
        let ended = world.run(&[&["query", "--lake", "lake"], &args[..]].concat()).expect(64);
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_placeholder_is_a_value() {
    let world = with_lake();
    let sql = "SELECT count(*) AS events FROM events WHERE eventname = $name";
    let run = |value: &str| {
        let value = format!("name={value}");
        world.run(&["query", sql, "--lake", "lake", "-o", "csv", "--param", &value]).expect(0).stdout
    };
    assert_eq!(run("GetBucketAcl"), "events\n100\n");
    assert_eq!(run("' OR 1=1 --"), "events\n0\n");
}

#[test]
fn a_folder_that_is_no_lake_is_told_and_left_alone() {
    let world = World::new();
    fs::create_dir(world.path("folder")).expect("makes a folder");
    for lake in ["folder", "nowhere"] {
        for args in [&["query", COUNT][..], &["detect"], &["publish", "--findings-file", "f.ndjson"]] {
            let ended = world.run(&[args, &["--lake", lake]].concat()).expect(2);
            let (says, hint) = (format!("no lake at {lake}"), "trailhound ingest");
            assert!(ended.stderr.contains(&says) && ended.stderr.contains(hint), "{}", ended.stderr);
        }
    }
    assert_eq!(fs::read_dir(world.path("")).expect("a folder").count(), 1, "nothing was made");
}

#[test]
fn a_query_only_reads() {
    let world = with_lake();
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE events",
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM events",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "SET datafusion.execution.batch_size = 1",
        "",
        "SELEC 1",
    ] {
        let ended = feed(&world, &["query", "--lake", "lake"], sql).expect(64);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{sql}: {}", ended.stderr);
    }
    // statements from a pipe run one after the other, and the first that fails ends them
    let ended = feed(&world, &["query", "--lake", "lake"], "SELECT 1; DROP TABLE events; SELECT 2").expect(64);
    assert!(ended.stderr.contains("may only read") && !ended.stdout.contains('2'), "{}", ended.stdout);
    assert!(!world.path("stolen.csv").exists());
    let ended = world.run(&["query", COUNT, "--lake", "lake", "-o", "csv"]).expect(0);
    assert_eq!(ended.stdout, "events\n100\n");
    world.run(&["query", "COPY (SELECT 1) TO 'kept.csv'", "--lake", "lake", "--allow-write"]).expect(0);
    assert!(world.path("kept.csv").exists());
}

#[test]
fn answers_go_to_files_in_every_format() {
    let world = with_lake();
    let sql = "SELECT eventid, count(*) AS n FROM events GROUP BY 1 ORDER BY 1 LIMIT 2";
    let mut texts = Vec::new();
    for format in ["csv", "json", "ndjson", "parquet"] {
        let file = format!("answer.{format}");
        let ended = world.run(&["query", sql, "--lake", "lake", "-o", format, "--to", &file]).expect(0);
        assert_eq!(ended.stdout, "", "{format}");
        texts.push(fs::read(world.path(&file)).expect("an answer"));
    }
    let id = |number: u32| record(number)["eventID"].clone();
    let rows = json!([{ "eventid": id(0), "n": 1 }, { "eventid": id(1), "n": 1 }]);
    let (zero, one) = (id(0), id(1));
    let csv = format!("eventid,n\n{},1\n{},1\n", zero.as_str().unwrap_or_default(), one.as_str().unwrap_or_default());
    assert_eq!(String::from_utf8_lossy(&texts[0]), csv);
    assert_eq!(serde_json::from_slice::<Value>(&texts[1]).expect("JSON"), rows);
    let lines: Vec<Value> = serde_json::Deserializer::from_slice(&texts[2]).into_iter().map(Result::unwrap).collect();
    assert_eq!(Value::from(lines), rows);
    let parquet = SerializedFileReader::new(File::open(world.path("answer.parquet")).expect("opens")).expect("reads");
    assert_eq!(parquet.metadata().file_metadata().num_rows(), 2);
}

#[test]
fn hostile_text_is_inert() {
    let world = World::new();
    let mut hostile = record(0);
    hostile["userAgent"] = json!("=cmd()|'\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\r\nx");
    world.put("a.json.gz", gzip(envelope(&[hostile])));
    world.ingest(&[]).expect(0);
    let ask = |format| {
        let sql = "SELECT useragent FROM events";
        world.run(&["query", sql, "--lake", "lake", "-o", format]).expect(0).stdout
    };
    for format in ["table", "csv", "json", "ndjson"] {
        let text = ask(format);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{format}: {text:?}");
        assert!(text.contains("cmd()"), "{format}: {text:?}");
    }
    let csv = ask("csv");
    assert!(csv.contains("'=cmd()") && !csv.contains("\n=cmd()"), "{csv}");
    let row: Value = serde_json::from_str(&ask("ndjson")).expect("JSON");
    assert!(row["useragent"].as_str().is_some_and(|text| text.starts_with("=cmd()|'\u{1b}[2J")), "{row}");
}

#[test]
fn hostile_text_of_a_finding_is_inert() {
    let world = World::new();
    let mut records = suspects::records();
    for record in &mut records {
        record["userAgent"] = json!("=kali\u{1b}[31m\u{202e}");
    }
    world.put("a.json.gz", gzip(envelope(&records)));
    world.ingest(&[]).expect(0);
    for format in ["table", "csv"] {
        let args = ["detect", "--lake", "lake", "--from", DAY[0], "--to", DAY[1], "-o", format];
        let ended = world.run(&args).expect(0);
        assert!(ended.stdout.lines().count() > 2, "{}", ended.stdout);
        assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']), "{:?}", ended.stdout);
    }
}

// ---- reports

#[test]
fn every_command_reports() {
    let world = World::new();
    world.put("a.json.gz", suspects::object());
    let window = ["--from", DAY[0], "--to", DAY[1]];
    let file = ["--findings-file", "findings.ndjson"];
    let run: Vec<&str> = [&["run", "source"][..], &window, &file].concat();
    for (command, place, value) in [
        (&["ingest", "source"][..], "/rows", 7),
        (&[&["detect"][..], &window].concat(), "/written", 3),
        (&["query", "SELECT * FROM events"], "/rows", 7),
        (&[&["publish"][..], &file].concat(), "/0/sent", 3),
        (&run, "/publish/0/unchanged", 3),
    ] {
        let _ = fs::remove_file(world.path("report.json"));
        world.run(&[command, &["--lake", "lake", "--report", "report.json"]].concat()).expect(0);
        assert_eq!(world.report().pointer(place), Some(&json!(value)), "{command:?}: {}", world.report());
    }
    let ended = world.run(&["query", COUNT, "--lake", "lake", "--report", "no/such/folder.json"]).expect(2);
    assert!(ended.stderr.contains("no/such/folder.json"), "{}", ended.stderr);
}

#[test]
fn an_empty_lake_has_no_findings_and_says_why() {
    let world = World::new();
    fs::create_dir(world.path("source")).expect("makes a folder");
    world.ingest(&[]).expect(0);
    let ended = world.run(&["detect", "--lake", "lake", "-o", "ndjson", "--fail-on", "low"]).expect(0);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("no events") && ended.stderr.contains("nothing was scored"), "{}", ended.stderr);
    world.run(&["publish", "--lake", "lake", "--findings-file", "findings.ndjson"]).expect(0);
    world.run(&["run", "source", "--lake", "lake"]).expect(0);
}
