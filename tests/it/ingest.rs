//! `trailhound ingest` from folders: counts, repetition, bad input of every kind, and sudden death.

use std::time::Duration;

use serde_json::{Value, json};
use trailhound::schema::{EVENTS, OBJECTS, REJECTS};

use crate::support::records::{envelope, gzip, object, record, records};
use crate::support::{World, real_data, rows_at};

fn report(world: &World) -> Value {
    world.report()
}

#[test]
fn a_second_run_adds_nothing() {
    let world = World::new();
    world.put("a.json.gz", object(0..50));
    world.put("b/c.json.gz", object(40..60));
    let first = world.ingest(&["--report", "report.json"]).expect(0);
    assert!(first.stdout.contains("records  70 seen -> 60 rows, 10 duplicates, 0 rejects"), "{}", first.stdout);
    let told = report(&world);
    assert_eq!([&told["records"], &told["rows"], &told["duplicates"], &told["rejects"]], [70, 60, 10, 0]);
    world.ingest(&["--report", "report.json"]).expect(0);
    let told = report(&world);
    assert_eq!([&told["objects"]["known"], &told["objects"]["read"], &told["rows"]], [2, 0, 0]);
    assert_eq!(world.rows(&EVENTS), 60);
}

#[test]
fn events_that_come_again_in_other_objects_are_known() {
    let world = World::new();
    world.put("a.json.gz", object(0..3000));
    world.ingest(&[]).expect(0);
    world.put("late/b.json.gz", object(1000..3500));
    let second = world.ingest(&[]).expect(0);
    assert!(second.stdout.contains("2500 seen -> 500 rows, 2000 duplicates"), "{}", second.stdout);
    assert_eq!(world.rows(&EVENTS), 3500);
}

#[test]
fn events_land_in_the_day_of_their_own_time() {
    let world = World::new();
    world.put("AWSLogs/1/CloudTrail/eu-west-1/2026/01/09/late.json.gz", gzip(envelope(&[record(0), record(1440)])));
    world.ingest(&[]).expect(0);
    for day in ["2026-01-01", "2026-01-02"] {
        assert!(world.path(&format!("lake/events/event_date={day}")).is_dir(), "{day}");
    }
}

#[test]
fn objects_that_are_no_logs_are_counted_by_kind() {
    let world = World::new();
    world.put("AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/01/01/d.json.gz", gzip("{}"));
    world.put("notes.txt", "hello");
    world.put("a.json.gz", object(0..1));
    world.ingest(&["--report", "report.json"]).expect(0);
    let objects = &report(&world)["objects"];
    assert_eq!(objects["skipped"], json!({"other": 1}));
    assert_eq!(objects["left_out"], json!({"CloudTrail-Digest": 1}), "not even entered");
}

/// What a broken object among good ones should lead to.
struct Broken {
    bytes: Vec<u8>,
    reason: &'static str,
    /// Rows that its good records become.
    rows: u64,
    rejects: u64,
    /// The object as a whole, and not only some of its records.
    whole: bool,
}

#[track_caller]
fn check(broken: Broken, more: &[&str]) {
    let world = World::new();
    world.put("1-good.json.gz", object(0..10));
    world.put("2-broken.json.gz", &broken.bytes);
    world.put("3-good.json.gz", object(10..20));
    let ended = world.ingest(&[&["--report", "report.json"], more].concat()).expect(2);
    assert!(ended.stderr.contains("2-broken.json.gz"), "stderr says where: {}", ended.stderr);
    assert_eq!(world.rows(&EVENTS), 20 + broken.rows, "{}", ended.stderr);
    assert_eq!(world.rows(&REJECTS), broken.rejects, "{}", ended.stderr);
    assert!(report(&world)["rejects_by_reason"][broken.reason].is_u64(), "{}", report(&world));
    // the reject is on record and not made again; an object that is broken as a whole has one more attempt here
    let again = world.ingest(&[&["--max-attempts", "2"], more].concat());
    let objects = match broken.whole {
        true => again.expect(2).stdout.contains("given up 1 objects now").then_some(4),
        false => again.expect(0).stdout.contains("0 rejected").then_some(3),
    };
    world.ingest(&[]).expect(0);
    assert_eq!((world.rows(&REJECTS), Some(world.rows(&OBJECTS))), (broken.rejects, objects));
}

fn whole(bytes: impl Into<Vec<u8>>, reason: &'static str) -> Broken {
    Broken { bytes: bytes.into(), reason, rows: 0, rejects: 1, whole: true }
}

fn among_good(bad: &str, reason: &'static str) -> Broken {
    let text = format!("{{\"Records\":[{},{bad},{}]}}", record(100), record(101));
    Broken { bytes: gzip(text), reason, rows: 2, rejects: 1, whole: false }
}

#[test]
fn truncated_gzip() {
    let mut bytes = object(100..200);
    bytes.truncate(bytes.len() / 2);
    check(whole(bytes, "broken_gzip"), &[]);
}

#[test]
fn flipped_bits() {
    let mut bytes = object(100..200);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    check(whole(bytes, "broken_gzip"), &[]);
}

#[test]
fn gzip_bomb() {
    check(whole(gzip(vec![b' '; 64 << 20]), "too_large"), &["--max-object-size", "16MiB"]);
}

#[test]
fn empty_file() {
    check(whole([], "no_records"), &[]);
}

#[test]
fn empty_object() {
    check(whole("{}", "no_records"), &[]);
}

#[test]
fn records_that_are_null() {
    check(whole("{\"Records\":null}", "no_records"), &[]);
}

#[test]
fn a_record_that_is_a_number() {
    check(among_good("7", "not_an_object"), &[]);
}

#[test]
fn a_record_without_a_time() {
    check(among_good("{\"eventID\":\"x\"}", "no_event_time"), &[]);
}

#[test]
fn nesting_of_1100() {
    let deep = format!("{{\"eventVersion\":\"1.09\",\"x\":{}1{}}}", "[".repeat(1100), "]".repeat(1100));
    check(among_good(&deep, "too_deep"), &[]);
}

#[test]
fn invalid_utf8() {
    let good = record(100).to_string();
    let bytes = [b"{\"Records\":[", good.as_bytes(), b",{\"eventName\":\"\xc3\x28\"}]}"].concat();
    check(Broken { bytes: gzip(bytes), reason: "broken_json", rows: 1, rejects: 1, whole: false }, &[]);
}

#[test]
fn text_that_ends_early_keeps_what_came_before() {
    let text = envelope(&records(100..110));
    let cut = &text[..text.len() - 30];
    // the cut record, and the object as a whole
    check(Broken { bytes: gzip(cut), reason: "broken_json", rows: 9, rejects: 2, whole: true }, &[]);
}

#[test]
fn two_gzip_members() {
    let world = World::new();
    world.put("two.json.gz", [object(0..3), object(3..5)].concat());
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 5);
}

#[test]
fn every_envelope() {
    let world = World::new();
    let lines: Vec<String> = records(10..13).iter().map(Value::to_string).collect();
    world.put("array.json", Value::from(records(0..5)).to_string());
    world.put("one.json", record(5).to_string());
    world.put("lines.ndjson", lines.join("\n"));
    world.put("event.json", json!({"version": "0", "detail-type": "x", "detail": record(20)}).to_string());
    world.put("pretty.json", format!("{:#}", json!({ "Records": records(30..33) })));
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 5 + 1 + 3 + 1 + 3);
}

#[test]
fn odd_but_whole_records_become_rows() {
    let world = World::new();
    let mut wrong_type = record(0);
    wrong_type["sourceIPAddress"] = json!(7);
    wrong_type["userIdentity"] = json!("nobody");
    let bare = json!({"eventTime": "2026-01-01T00:00:00Z"}).to_string();
    let mut big = record(2);
    big["requestParameters"] = json!("BIG");
    let big = big.to_string().replace("\"BIG\"", "{\"n\":123456789012345678901234567890}");
    world.put("odd.json", format!("[{wrong_type},{bare},{big}]"));
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 3);
}

#[test]
fn a_record_of_40_megabytes() {
    let world = World::new();
    let mut huge = record(0);
    huge["requestParameters"] = json!({ "blob": "x".repeat(40 << 20) });
    world.put("huge.json.gz", gzip(envelope(&[huge, record(1)])));
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 2);
}

#[test]
fn names_with_dots_lead_nowhere() {
    let world = World::new();
    let path = world.put("..%2f..%2fetc/..passwd..json", envelope(&records(0..2)));
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 2);
    assert!(path.exists());
}

#[test]
fn an_unreadable_file_is_left_for_the_next_run() {
    let world = World::new();
    // reading the start of a process's memory fails for everybody, root included
    let ended = world.run(&["ingest", "/proc/self/mem", "--lake", "lake"]).expect(2);
    assert!(ended.stderr.contains("cannot read /proc/"), "{}", ended.stderr);
    assert_eq!(world.rows(&OBJECTS), 0);
}

#[test]
fn a_source_that_is_not_there() {
    let world = World::new();
    let ended = world.run(&["ingest", "nowhere", "--lake", "lake"]).expect(2);
    assert!(
        ended.stderr.contains("cannot read nowhere") && ended.stderr.contains("check the path"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_folder_that_is_not_a_lake() {
    let world = World::new();
    world.put("a.json.gz", object(0..1));
    std::fs::create_dir(world.lake()).unwrap();
    std::fs::write(world.lake().join("thesis.txt"), "years of work").unwrap();
    let ended = world.ingest(&[]).expect(64);
    assert!(ended.stderr.contains("not a lake") && ended.stderr.contains("thesis.txt"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(world.lake()).unwrap().count(), 1);
}

#[test]
fn wrong_usage_is_64() {
    let world = World::new();
    for args in [
        &["ingest"][..],
        &["ingest", "source", "--no-such-flag"],
        &["no-such-command"],
        &["ingest", "gs://b", "--lake", "lake"],
    ] {
        let ended = world.run(args).expect(64);
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
    world.run(&["--help"]).expect(0);
}

/// Kills the program at moments spread over its run (seeded by the attempt's number), then lets it finish.
#[test]
fn killed_anywhere_and_run_again_every_event_is_there_once() {
    let world = World::new();
    for index in 0..120 {
        // every object overlaps the next one by ten events
        world.put(&format!("{index:03}.json.gz"), object(index * 40..index * 40 + 50));
    }
    for attempt in 0..12u64 {
        let mut child = world
            .command(&["ingest", "source", "--lake", "lake", "--commit-bytes", "8KiB"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_millis(30 + attempt * attempt * 7));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 120 * 40 + 10);
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 120 * 40 + 10);
}

#[test]
fn two_runs_at_once_double_nothing() {
    let world = World::new();
    for index in 0..40 {
        world.put(&format!("{index:03}.json.gz"), object(index * 40..index * 40 + 50));
    }
    let start = || {
        world.command(&["ingest", "source", "--lake", "lake", "--commit-bytes", "8KiB"]).output().expect("the program")
    };
    world.run(&["ingest", "/dev/null", "--lake", "lake"]);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
        for run in runs {
            let output = run.join().expect("no panic");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
    assert_eq!(world.rows(&EVENTS), 40 * 40 + 10);
}

#[test]
fn real_logs_give_the_counts_that_are_known() {
    let Some(source) = real_data("ransomware-lab") else { return };
    let world = World::new();
    let source = source.to_string_lossy().into_owned();
    let args = ["ingest", source.as_str(), "--lake", "lake"];
    let first = world.run(&args).expect(0);
    assert!(first.stdout.contains("objects  3872 found"), "{}", first.stdout);
    assert!(first.stdout.contains("30477 seen -> 23981 rows, 6496 duplicates, 0 rejects"), "{}", first.stdout);
    let second = world.run(&args).expect(0);
    assert!(second.stdout.contains("0 seen -> 0 rows"), "{}", second.stdout);
    assert_eq!(world.rows(&EVENTS), 23_981);
}

#[test]
fn real_simulations_give_the_counts_that_are_known() {
    let Some(source) = real_data("stratus-simulation") else { return };
    let world = World::new();
    world.run(&["ingest", &source.to_string_lossy(), "--lake", "lake"]).expect(0);
    assert_eq!(rows_at(&world.lake(), &EVENTS), 2_900);
}
