//! What goes wrong on the way from a bucket into a lake: nothing is lost, nothing is doubled, the user is told, and a service
//! in trouble is left alone.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::Utc;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use serde_json::json;
use trailhound::ingest::{IngestOptions, IngestReport, Stop, ingest};
use trailhound::lake::Lake;
use trailhound::source::{Source, SourceOptions};
use url::Url;

use crate::support::aws::Aws;
use crate::support::burst::Burst;
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Action, Proxy, Request};
use crate::support::records::object;
use crate::support::shaky::{self, Call, Fate, Shaky};
use crate::support::{Ended, World};

/// A key as CloudTrail writes it.
fn key(account: u32, number: u32) -> String {
    let account = format!("{account:012}");
    format!(
        "AWSLogs/o-example/{account}/CloudTrail/eu-west-1/2026/01/01/\
         {account}_CloudTrail_eu-west-1_20260101T0005Z_{number:016}.json.gz"
    )
}

/// Objects of ten events each, of which neighbours share two, in a bucket of the test's own.
async fn logs(emulator: &Emulator, bucket: &str, objects: u32) {
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    for number in 0..objects {
        aws.put(bucket, &key(1, number), object(number * 8..number * 8 + 10)).await;
    }
}

/// Events of so many objects.
fn events_of(objects: u32) -> u64 {
    u64::from(objects) * 8 + 2
}

/// Ingests a bucket into the world's own folder, by way of `endpoint`.
fn ingest_from(world: &World, endpoint: &str, bucket: &str, more: &[&str]) -> Ended {
    let source = format!("s3://{bucket}/");
    world.run_at(endpoint, &[&["ingest", &source, "--lake", "lake", "--report", "report.json"], more].concat())
}

/// Events of a lake, all and distinct.
fn events(world: &World, lake: &str, endpoint: &str) -> String {
    let sql = "SELECT count(*), count(DISTINCT eventid) FROM events";
    let ended = world.run_at(endpoint, &["query", sql, "--lake", lake, "-o", "csv"]).expect(0);
    ended.stdout.lines().nth(1).unwrap_or_default().to_owned()
}

fn each_once(count: u64) -> String {
    format!("{count},{count}")
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is missing in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// GETs of objects by their target.
#[derive(Debug, Default, Clone)]
struct Gets(Arc<Mutex<BTreeMap<String, usize>>>);

impl Gets {
    /// Counts a request; true where it gets a log object.
    fn note(&self, request: &Request) -> bool {
        let path = request.target.split('?').next().unwrap_or_default();
        let gets = request.method == "GET" && path.ends_with(".json.gz");
        if gets {
            *self.0.lock().expect("no panic").entry(path.to_owned()).or_default() += 1;
        }
        gets
    }

    fn all(&self) -> usize {
        self.0.lock().expect("no panic").values().sum()
    }

    fn most(&self) -> usize {
        self.0.lock().expect("no panic").values().copied().max().unwrap_or_default()
    }
}

/// Requests for one object before it is given up, as `source::s3` has it.
const TRIES: usize = 5;

#[tokio::test]
async fn what_passes_on_the_way_loses_and_doubles_nothing() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    logs(emulator, "faults-passing", 4).await;
    let Some(burst) = Burst::start(emulator.endpoint()) else { return };
    for fault in [
        json!({"error": {"code": "SlowDown", "status": 503}}),
        json!({"error": {"code": "InternalError", "status": 500}}),
        json!({"error": {"code": "RequestTimeout", "status": 400}}),
        json!({"reset": true}),
        json!({"response": {"truncate_frac": 0.5}}),
        json!({"response": {"abort_frac": 0.3}}),
    ] {
        let mut rule = json!({"service": "s3", "operation": "GetObject", "times": 2});
        rule.as_object_mut().expect("an object").extend(fault.as_object().expect("an object").clone());
        burst.rules(&json!([rule]));
        let world = World::new();
        let ended = ingest_from(&world, burst.endpoint(), "faults-passing", &[]);
        assert_eq!(ended.code, 0, "{fault}: {}", ended.stderr);
        assert_eq!(burst.fired(), 2, "{fault}");
        assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(events_of(4)), "{fault}");
    }
}

/// A proxy that does something to the first `times` answers of each log object.
fn each_object(emulator: &Emulator, times: usize, fault: fn() -> Action) -> (Proxy, Gets) {
    let gets = Gets::default();
    let counted = gets.clone();
    let proxy = Proxy::start(emulator.endpoint(), move |request| {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let again = counted.note(request) && counted.0.lock().expect("no panic")[&path] <= times;
        if again { fault() } else { Action::Forward }
    });
    (proxy, gets)
}

/// What is done to a request.
type Fault = fn() -> Action;

#[tokio::test]
async fn bodies_that_come_broken_are_asked_for_again() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    logs(emulator, "faults-bodies", 3).await;
    let faults: [(&str, usize, Fault); 4] = [
        ("stall", 1, || Action::Stall),
        ("cut", 2, || Action::Truncate),
        ("short", 2, || Action::Shorten),
        ("corrupt", 1, || Action::Corrupt),
    ];
    for (name, times, fault) in faults {
        let (proxy, gets) = each_object(emulator, times, fault);
        let world = World::new();
        let ended = ingest_from(&world, &proxy.endpoint, "faults-bodies", &["--request-timeout", "1"]);
        assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
        assert_eq!((gets.all(), gets.most()), (3 * (times + 1), times + 1), "{name}");
        assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(events_of(3)), "{name}");
    }
}

#[tokio::test]
async fn bodies_that_stay_broken_are_left_for_the_next_run() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    logs(emulator, "faults-broken", 3).await;
    let faults: [(&str, Fault, &str); 3] = [
        ("stall", || Action::Stall, "cannot read"),
        ("cut", || Action::Truncate, "cannot read"),
        ("short", || Action::Shorten, "bytes came"),
    ];
    for (name, fault, word) in faults {
        let gets = Gets::default();
        let counted = gets.clone();
        let bad = key(1, 1);
        let proxy = Proxy::start(emulator.endpoint(), move |request| {
            if request.gets(&bad) && counted.note(request) { fault() } else { Action::Forward }
        });
        let world = World::new();
        let ended = ingest_from(&world, &proxy.endpoint, "faults-broken", &["--request-timeout", "1"]).expect(2);
        says(&ended, &[word, &key(1, 1), "left for the next run"]);
        assert_eq!(gets.all(), TRIES, "{name}");
        assert_eq!(world.report()["rows"], 20, "{name}");
        ingest_from(&world, emulator.endpoint(), "faults-broken", &[]).expect(0);
        assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(events_of(3)), "{name}");
    }
}

#[tokio::test]
async fn bytes_that_are_wrong_whenever_they_are_asked_for_are_rejected() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    logs(emulator, "faults-corrupt", 3).await;
    let gets = Gets::default();
    let counted = gets.clone();
    let bad = key(1, 1);
    let proxy = Proxy::start(emulator.endpoint(), move |request| {
        if request.gets(&bad) && counted.note(request) { Action::Corrupt } else { Action::Forward }
    });
    let world = World::new();
    let ended = ingest_from(&world, &proxy.endpoint, "faults-corrupt", &[]).expect(2);
    says(&ended, &["broken_gzip", &key(1, 1)]);
    assert_eq!(gets.all(), 2, "once more, as the network may have been at fault");
    assert_eq!(world.report()["rows"], 20);
}

#[tokio::test]
async fn a_service_that_says_slow_down_is_left_alone_soon() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    const OBJECTS: u32 = 120;
    logs(emulator, "faults-sustained", OBJECTS).await;
    let faults: [(&str, Fault, &str); 3] = [
        ("slow", || Action::error(503, "SlowDown"), "SlowDown"),
        ("internal", || Action::error(500, "InternalError"), "InternalError"),
        ("reset", || Action::Reset, "dispatch failure"),
    ];
    for (name, fault, word) in faults {
        let (proxy, gets) = each_object(emulator, usize::MAX, fault);
        let world = World::new();
        let ended = ingest_from(&world, &proxy.endpoint, "faults-sustained", &["--concurrency", "24"]).expect(2);
        says(&ended, &["16 objects in a row could not be had", word, "left for the next run"]);
        assert!(gets.most() <= TRIES, "{name}: {gets:?}");
        // those in a row, and those that were under way
        assert!(gets.all() <= (16 + 24) * TRIES, "{name}: {}", gets.all());
        assert_eq!(world.report()["rows"], 0, "{name}");
        ingest_from(&world, emulator.endpoint(), "faults-sustained", &[]).expect(0);
        assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(events_of(OBJECTS)), "{name}");
    }
}

#[tokio::test]
async fn credentials_that_expire_on_the_way_end_the_run() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    logs(emulator, "faults-expired", 60).await;
    let gets = Gets::default();
    let counted = gets.clone();
    let proxy = Proxy::start(emulator.endpoint(), move |request| {
        let expired = counted.note(request) && counted.all() > 20;
        if expired { Action::error(400, "ExpiredToken") } else { Action::Forward }
    });
    let world = World::new();
    let more = ["--concurrency", "4", "--commit-bytes", "2KiB"];
    let ended = ingest_from(&world, &proxy.endpoint, "faults-expired", &more).expect(2);
    says(&ended, &["ExpiredToken", "the credentials have expired", "left for the next run"]);
    assert!(gets.all() <= 20 + 4, "{}", gets.all());
    assert!(world.report()["rows"].as_u64() >= Some(20 * 8), "what was read stays: {}", world.report());
    ingest_from(&world, emulator.endpoint(), "faults-expired", &[]).expect(0);
    assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(events_of(60)));
}

#[tokio::test]
async fn an_account_that_may_not_be_read_holds_up_no_other() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    aws.bucket("faults-denied").await;
    for number in 0..40 {
        aws.put("faults-denied", &key(number % 2, number), object(number * 10..number * 10 + 10)).await;
    }
    let gets = Gets::default();
    let counted = gets.clone();
    let proxy = Proxy::start(emulator.endpoint(), move |request| {
        let denied = counted.note(request) && request.target.contains("/000000000001/");
        if denied { Action::error(403, "AccessDenied") } else { Action::Forward }
    });
    let world = World::new();
    let ended = ingest_from(&world, &proxy.endpoint, "faults-denied", &[]).expect(2);
    says(&ended, &["AccessDenied", "/000000000001/", "README"]);
    assert_eq!(gets.all(), 40, "what is forbidden is asked for once");
    assert_eq!([&world.report()["objects"]["failed"], &world.report()["rows"]], [20, 200]);
    ingest_from(&world, emulator.endpoint(), "faults-denied", &[]).expect(0);
    assert_eq!(events(&world, "lake", emulator.endpoint()), each_once(400));
}

/// One lake, run after run, each ended by another fault some way on; then one that nothing happens to.
#[tokio::test]
async fn run_after_run_ended_by_each_fault_in_turn_converges() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    const OBJECTS: u32 = 80;
    logs(&emulator, "faults-turns", OBJECTS).await;
    let reads = |request: &Request| request.method == "GET" && request.target.contains(".json.gz");
    let files = |request: &Request| request.method == "PUT" && request.target.contains("/events/event_date");
    let commits = |request: &Request| request.method == "PUT" && request.target.contains("/_delta_log/");
    type Turn<'t> = (&'t str, fn(&Request) -> bool, Fault);
    let turns: [Turn<'_>; 11] = [
        ("reads are slowed down", reads, || Action::error(503, "SlowDown")),
        ("files are slowed down", files, || Action::error(503, "SlowDown")),
        ("commits are denied", commits, || Action::error(403, "AccessDenied")),
        ("reads fail", reads, || Action::error(500, "InternalError")),
        ("files are reset", files, || Action::Reset),
        ("reads are reset", reads, || Action::Reset),
        ("reads expire", reads, || Action::error(400, "ExpiredToken")),
        ("files expire", files, || Action::error(400, "ExpiredToken")),
        ("bodies stall", reads, || Action::Stall),
        ("bodies are cut", reads, || Action::Truncate),
        ("commits expire", commits, || Action::error(400, "ExpiredToken")),
    ];
    let (world, lake) = (World::new(), "s3://faults-turns/the/lake");
    let args = ["ingest", "s3://faults-turns/AWSLogs/", "--lake", lake, "--request-timeout", "1"];
    let args = [&args[..], &["--commit-bytes", "4KiB", "--concurrency", "16"]].concat();
    let mut before = 0;
    for (name, which, fault) in turns {
        let count = AtomicUsize::new(0);
        let proxy = Proxy::start(emulator.endpoint(), move |request| {
            // some pass, so that every run gets a little further
            let hit = which(request) && count.fetch_add(1, Ordering::SeqCst) >= 4;
            if hit { fault() } else { Action::Forward }
        });
        let ended = world.run_at(&proxy.endpoint, &args);
        assert_eq!(ended.code, 2, "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked") && !ended.stderr.is_empty(), "{name}: {}", ended.stderr);
        let now = events(&world, lake, emulator.endpoint());
        let (all, distinct) = now.split_once(',').expect("two numbers");
        assert_eq!(all, distinct, "{name}: doubled");
        let all: u64 = all.parse().expect("a number");
        assert!(all >= before, "{name}: lost");
        before = all;
    }
    assert!(before < events_of(OBJECTS), "every run was ended");
    // commits that are carried out although nobody says so are found in the log: such a run gets through
    let proxy = Proxy::start(
        emulator.endpoint(),
        move |request| {
            if commits(request) { Action::Unheard } else { Action::Forward }
        },
    );
    let ended = world.run_at(&proxy.endpoint, &args);
    assert!(matches!(ended.code, 0 | 2), "{}", ended.stderr);
    world.run_at(emulator.endpoint(), &args).expect(0);
    assert_eq!(events(&world, lake, emulator.endpoint()), each_once(events_of(OBJECTS)));
}

/// A lake in the world's folder behind a store that fails as `decide` says, and a run into it.
async fn run_into(
    world: &World,
    decide: impl Fn(Call, &Path) -> Fate + Send + Sync + 'static,
) -> trailhound::error::Result<IngestReport> {
    let store = Shaky::new(LocalFileSystem::new(), decide);
    let root = Url::parse("file:///").expect("a URL");
    let prefix = Path::from_absolute_path(world.lake()).expect("a path");
    std::fs::create_dir_all(world.lake()).expect("a folder");
    let lake = Lake::on(store, &root, &prefix).await?;
    let location = world.path("source").to_string_lossy().into_owned();
    let source = Source::open(&SourceOptions { location, ..SourceOptions::default() }).await?;
    let options = IngestOptions { threads: 1, commit_bytes: 1500, ..IngestOptions::default() };
    ingest(&source, &lake, &options, Utc::now(), &Stop::default(), &|_| {}).await
}

fn some_objects(world: &World) {
    for number in 0..6 {
        world.put(&format!("{number}.json.gz"), object(number * 8..number * 8 + 10));
    }
}

/// The error of a failing store, and whether the call is carried out all the same.
type Mishap = fn() -> Fate;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lake_failing_at_any_of_its_calls_loses_and_doubles_nothing() {
    let mishaps: [(&str, Mishap); 3] = [
        ("full", || Fate::Failed(shaky::full())),
        ("unheard", || Fate::Unheard(shaky::error("the connection was reset"))),
        ("denied", || {
            Fate::Failed(object_store::Error::PermissionDenied { path: "x".to_owned(), source: "no".into() })
        }),
    ];
    for (name, mishap) in mishaps {
        let mut hits = 0;
        for number in (1..).step_by(5) {
            let (world, count) = (World::new(), AtomicUsize::new(0));
            some_objects(&world);
            let hit = Arc::new(AtomicBool::new(false));
            let noted = Arc::clone(&hit);
            let result = run_into(&world, move |call, _| {
                let fails = call == Call::Put && count.fetch_add(1, Ordering::SeqCst) + 1 == number;
                noted.fetch_or(fails, Ordering::SeqCst);
                if fails { mishap() } else { Fate::Done }
            })
            .await;
            if let (Err(error), "full") = (&result, name) {
                assert!(error.to_string().contains("the disk is full: make room"), "{number}: {error}");
            }
            world.ingest(&[]).expect(0);
            assert_eq!(events(&world, "lake", "http://127.0.0.1:1"), each_once(events_of(6)), "{name} {number}");
            if !hit.load(Ordering::SeqCst) {
                break;
            }
            hits += 1;
        }
        assert!(hits > 2, "{name}: {hits}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_writer_that_is_first_doubles_nothing() {
    let world = Arc::new(World::new());
    some_objects(&world);
    // two objects of the six, and two events that are nobody else's
    let theirs = world.path("theirs.json.gz");
    std::fs::write(&theirs, object(0..18)).expect("writes");
    let (other, first) = (Arc::clone(&world), AtomicBool::new(true));
    let report = run_into(&world, move |call, path| {
        let commit = call == Call::Put
            && path.as_ref().contains("lake/events/_delta_log/")
            && !path.as_ref().ends_with("00000.json");
        if commit && first.swap(false, Ordering::SeqCst) {
            let theirs = theirs.to_string_lossy().into_owned();
            other.run(&["ingest", &theirs, "--lake", "lake"]).expect(0);
        }
        Fate::Done
    })
    .await
    .expect("a conflict is no failure");
    assert!(!report.is_partial(), "{:?}", report.failures);
    assert_eq!((report.rows, report.duplicates), (events_of(6) - 18, 10 + 18));
    assert_eq!(events(&world, "lake", "http://127.0.0.1:1"), each_once(events_of(6)));
}

/// A small file system of one's own, where the machine lets us have one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let disk = Self(at);
        if !disk.run("mount", &["-t", "tmpfs", "-o", "size=256k", "tmpfs"]) {
            eprintln!("SKIPPED: this test needs a file system of its own, and mounting one is not allowed here");
            return None;
        }
        Some(disk)
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        let output = Command::new(program).args(args).arg(&self.0).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_run() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(world.path("disk")) else { return };
    for number in 0..60 {
        world.put(&format!("{number:02}.json.gz"), object(number * 8..number * 8 + 10));
    }
    let args = ["ingest", "source", "--lake", "disk/lake", "--commit-bytes", "2KiB"];
    let ended = world.run(&args).expect(2);
    says(&ended, &["No space left on device", "the disk is full: make room and run again"]);
    let first = events(&world, "disk/lake", "http://127.0.0.1:1");
    let (all, distinct) = first.split_once(',').expect("two numbers");
    assert!(all == distinct && all != "0" && all != events_of(60).to_string(), "{first}");
    assert!(disk.run("mount", &["-o", "remount,size=64m"]));
    world.run(&args).expect(0);
    assert_eq!(events(&world, "disk/lake", "http://127.0.0.1:1"), each_once(events_of(60)));
}
