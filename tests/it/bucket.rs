//! `trailhound ingest` from a bucket into a lake in a bucket: counts, odd keys, missing rights, faults on the way.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use futures::StreamExt;

use crate::exactly_once::{Chance, kill_after};
use crate::support::aws::Aws;
use crate::support::canned::Canned;
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Action, Proxy, Request, error_xml};
use crate::support::records::object;
use crate::support::{Ended, NO_CREDENTIALS, World, real_data};

/// A key as CloudTrail writes it.
fn key(kind: &str, day: u32, name: &str) -> String {
    format!(
        "logs/AWSLogs/o-example/111122223333/{kind}/eu-west-1/2026/01/{day:02}/\
         111122223333_{kind}_eu-west-1_202601{day:02}T0005Z_{name}.json.gz"
    )
}

fn log(number: u32) -> String {
    key("CloudTrail", 1, &format!("{number:016}"))
}

/// A bucket with some objects of ten events each, of which neighbours share two.
async fn logs(emulator: &Emulator, bucket: &str, objects: u32) -> Aws {
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    put_logs(&aws, bucket, 0..objects).await;
    aws
}

async fn put_logs(aws: &Aws, bucket: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        aws.put(bucket, &log(number), object(number * 8..number * 8 + 10)).await;
    }
}

/// Source and lake of a test in one bucket.
struct Bucket {
    source: String,
    lake: String,
}

impl Bucket {
    fn named(name: &str) -> Self {
        Self { source: format!("s3://{name}/logs/"), lake: format!("s3://{name}/the/lake") }
    }

    fn ingest<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["ingest", &self.source, "--lake", &self.lake, "--report", "report.json"], more].concat()
    }

    /// Events of the lake, all and distinct.
    fn events(&self, world: &World, endpoint: &str) -> String {
        let sql = "SELECT count(*), count(DISTINCT eventid) FROM events";
        let ended = world.run_at(endpoint, &["query", sql, "--lake", &self.lake, "-o", "csv"]).expect(0);
        ended.stdout.lines().nth(1).unwrap_or_default().to_owned()
    }
}

fn ministack() -> Option<&'static Emulator> {
    Emulator::shared(Kind::Ministack)
}

#[tokio::test]
async fn a_bucket_becomes_a_lake_in_a_bucket_once() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        logs(emulator, "e2e-plain", 3).await;
        let (world, bucket) = (World::new(), Bucket::named("e2e-plain"));
        world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
        let report = world.report();
        assert_eq!([&report["records"], &report["rows"], &report["duplicates"]], [30, 26, 4]);
        world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
        let report = world.report();
        assert_eq!([&report["objects"]["known"], &report["objects"]["read"], &report["rows"]], [3, 0, 0]);
        assert_eq!(bucket.events(&world, emulator.endpoint()), "26,26");
    }
}

#[tokio::test]
async fn the_endpoint_may_come_from_the_environment_of_aws() {
    let Some(emulator) = ministack() else { return };
    logs(emulator, "e2e-environment", 1).await;
    let (world, bucket) = (World::new(), Bucket::named("e2e-environment"));
    let mut command = world.command(&bucket.ingest(&[]));
    Ended::of(command.envs(emulator.environment()).output().expect("starts")).expect(0);
    assert_eq!(world.report()["rows"], 10);
}

#[tokio::test]
async fn odd_keys_are_only_names() {
    let Some(emulator) = ministack() else { return };
    let aws = logs(emulator, "e2e-keys", 0).await;
    let names = ["a..b", "a/../../b", "a+b", "a b", "\u{fc}\u{6771}", "a%2Fb", "a'\"<&>b", "a=b&c?d#e"];
    for (number, name) in (0..).zip(names) {
        aws.put("e2e-keys", &key("CloudTrail", 2, name), object(number * 10..number * 10 + 10)).await;
    }
    aws.put("e2e-keys", &key("CloudTrail-Digest", 2, "d"), *b"{}").await;
    aws.put("e2e-keys", "logs/AWSLogs/", *b"").await;
    let (world, bucket) = (World::new(), Bucket::named("e2e-keys"));
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    let report = world.report();
    assert_eq!([&report["objects"]["read"], &report["rows"]], [names.len(), names.len() * 10]);
    assert_eq!(report["objects"]["skipped"], serde_json::json!({"digest": 1, "other": 1}));
    let sql = "SELECT count(DISTINCT source_object) FROM events WHERE source_object LIKE 's3://e2e-keys/logs/%'";
    let ended = world.run_at(emulator.endpoint(), &["query", sql, "--lake", &bucket.lake, "-o", "csv"]).expect(0);
    assert_eq!(ended.stdout.lines().nth(1), Some(names.len().to_string().as_str()));
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is missing in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_bucket_that_does_not_exist() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let world = World::new();
        world.put("a.json.gz", object(0..1));
        let nowhere = "s3://e2e-nowhere/lake";
        for args in [
            ["ingest", nowhere, "--lake", "lake"],
            ["ingest", "source", "--lake", nowhere],
            ["query", "SELECT 1", "--lake", nowhere],
            ["detect", "--lake", nowhere, "--threads=1"],
        ] {
            let ended = world.run_at(emulator.endpoint(), &args).expect(2);
            says(&ended, &["NoSuchBucket", "s3://e2e-nowhere/lake", "check the bucket's name"]);
            assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_prefix_without_a_lake() {
    let Some(emulator) = ministack() else { return };
    let world = World::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Aws::of(emulator).bucket("e2e-empty"));
    let ended = world.run_at(emulator.endpoint(), &["query", "SELECT 1", "--lake", "s3://e2e-empty/x"]).expect(2);
    says(&ended, &["no lake at s3://e2e-empty/x", "trailhound ingest"]);
    let ended = world.run_at(emulator.endpoint(), &["ingest", "s3://e2e-empty/x", "--lake", "lake"]).expect(0);
    assert!(ended.stdout.contains("objects  0 found"), "{}", ended.stdout);
}

#[test]
fn no_credentials_at_all() {
    let world = World::new();
    world.put("a.json.gz", object(0..1));
    let topic = "arn:aws:sns:us-east-1:000000000000:none";
    for args in [
        &["ingest", "s3://somewhere/x", "--lake", "lake"][..],
        &["ingest", "source", "--lake", "s3://somewhere/lake"],
        &["query", "SELECT 1", "--lake", "s3://somewhere/lake"],
        &["run", "source", "--lake", "other", "--sns-topic-arn", topic],
    ] {
        let args = [args, &["--endpoint-url", "http://127.0.0.1:1"]].concat();
        let ended = Ended::of(world.command(&args).envs(NO_CREDENTIALS).output().expect("starts")).expect(2);
        says(&ended, &["credentials", "--profile"]);
    }
}

#[test]
fn expired_credentials() {
    let server = Canned::start(vec![(400, error_xml("ExpiredToken"))]);
    let world = World::new();
    world.put("a.json.gz", object(0..1));
    for args in [
        ["ingest", "s3://expired/x", "--lake", "lake"],
        ["ingest", "source", "--lake", "s3://expired/lake"],
        ["query", "SELECT 1", "--lake", "s3://expired/lake"],
    ] {
        let ended = world.run_at(&server.endpoint, &args).expect(2);
        says(&ended, &["s3://expired/", "ExpiredToken", "renew them and run again"]);
    }
}

/// What is done to a request.
type Fault = fn() -> Action;

/// Whether it is done to this one.
type Which = fn(&Request) -> bool;

/// Does `fault` to the first `times` requests that `which` is true for.
fn first(
    times: usize,
    which: impl Fn(&Request) -> bool + Send + Sync + 'static,
    fault: impl Fn() -> Action + Send + Sync + 'static,
) -> impl Fn(&Request) -> Action + Send + Sync + 'static {
    let left = Mutex::new(times);
    move |request| {
        let mut left = left.lock().expect("no panic");
        if *left > 0 && which(request) {
            *left -= 1;
            return fault();
        }
        Action::Forward
    }
}

/// Faults that pass, on the reads of one object.
fn on_the_way_in() -> [(&'static str, usize, Fault); 4] {
    [
        ("slow", 2, || Action::error(503, "SlowDown")),
        ("internal", 2, || Action::error(500, "InternalError")),
        ("cut", 2, || Action::Truncate),
        ("reset", 2, || Action::Reset),
    ]
}

#[tokio::test]
async fn faults_that_pass_while_reading_lose_nothing() {
    let Some(emulator) = ministack() else { return };
    for (name, times, fault) in on_the_way_in() {
        let bucket = format!("e2e-read-{name}");
        logs(emulator, &bucket, 4).await;
        let proxy = Proxy::start(emulator.endpoint(), first(times, |request| request.gets(&log(2)), fault));
        let (world, bucket) = (World::new(), Bucket::named(&bucket));
        world.run_at(&proxy.endpoint, &bucket.ingest(&[])).expect(0);
        assert_eq!(world.report()["rows"], 34, "{name}");
        assert_eq!(bucket.events(&world, emulator.endpoint()), "34,34", "{name}");
    }
}

/// A file of the lake's table of events, and a commit of it.
fn on_the_way_out() -> [(&'static str, Which); 2] {
    [
        ("file", |request| request.method == "PUT" && request.target.contains("/events/event_date")),
        ("commit", |request| request.method == "PUT" && request.target.contains("/events/_delta_log/")),
    ]
}

#[tokio::test]
async fn faults_that_pass_while_writing_lose_and_double_nothing() {
    let Some(emulator) = ministack() else { return };
    let faults: [(&str, Fault); 3] =
        [("slow", || Action::error(503, "SlowDown")), ("reset", || Action::Reset), ("unheard", || Action::Unheard)];
    for (fault_name, fault) in faults {
        for (name, which) in on_the_way_out() {
            let bucket = format!("e2e-write-{fault_name}-{name}");
            logs(emulator, &bucket, 4).await;
            let proxy = Proxy::start(emulator.endpoint(), first(2, which, fault));
            let (world, bucket) = (World::new(), Bucket::named(&bucket));
            world.run_at(&proxy.endpoint, &bucket.ingest(&[])).expect(0);
            assert_eq!(world.report()["rows"], 34, "{fault_name} {name}");
            assert_eq!(bucket.events(&world, emulator.endpoint()), "34,34", "{fault_name} {name}");
        }
    }
}

#[tokio::test]
async fn an_object_that_stays_broken_is_left_for_the_next_run() {
    let Some(emulator) = ministack() else { return };
    logs(emulator, "e2e-denied", 3).await;
    let denied = |request: &Request| request.gets(&log(1));
    let proxy = Proxy::start(emulator.endpoint(), first(usize::MAX, denied, || Action::error(403, "AccessDenied")));
    let (world, bucket) = (World::new(), Bucket::named("e2e-denied"));
    let ended = world.run_at(&proxy.endpoint, &bucket.ingest(&[])).expect(2);
    says(&ended, &[&log(1), "AccessDenied", "README"]);
    assert_eq!([&world.report()["objects"]["failed"], &world.report()["rows"]], [1, 20]);
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert_eq!(bucket.events(&world, emulator.endpoint()), "26,26");
}

#[tokio::test]
async fn an_object_that_is_deleted_after_it_was_listed() {
    let Some(emulator) = ministack() else { return };
    logs(emulator, "e2e-deleted", 3).await;
    let gone = |request: &Request| request.gets(&log(1));
    let proxy = Proxy::start(emulator.endpoint(), first(usize::MAX, gone, || Action::error(404, "NoSuchKey")));
    let (world, bucket) = (World::new(), Bucket::named("e2e-deleted"));
    let ended = world.run_at(&proxy.endpoint, &bucket.ingest(&[])).expect(2);
    says(&ended, &[&log(1), "deleted after it was listed"]);
    assert_eq!([&world.report()["objects"]["failed"], &world.report()["rows"]], [1, 20]);
}

/// What had become of the program's last request when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Unheard,
    CarriedOut,
}

/// Starts the program, and kills it when it has sent its request of this number; false where it ended before.
fn kill_at(world: &World, emulator: &Emulator, bucket: &Bucket, number: usize, last: Last) -> bool {
    let (reached, at) = std::sync::mpsc::channel::<()>();
    let proxy = Proxy::start(emulator.endpoint(), move |request| {
        let reached = reached.clone();
        let stall = move || {
            let _ = reached.send(());
            loop {
                std::thread::park();
            }
        };
        match (request.number == number, last) {
            (false, _) => Action::Forward,
            (true, Last::CarriedOut) => Action::ForwardThen(Box::new(stall)),
            (true, Last::Unheard) => {
                stall();
                Action::Reset
            }
        }
    });
    let args = bucket.ingest(&["--commit-bytes", "2KiB", "--threads", "1", "--concurrency", "1"]);
    let mut command: Command = world.at(&proxy.endpoint, &args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    while at.recv_timeout(std::time::Duration::from_millis(20)).is_err() {
        if child.try_wait().expect("waits").is_some() {
            return false;
        }
    }
    child.kill().expect("kills");
    child.wait().expect("waits");
    true
}

#[tokio::test]
async fn killed_at_any_request_and_run_again_every_event_is_there_once() {
    let Some(emulator) = ministack() else { return };
    logs(emulator, "e2e-killed", 12).await;
    let (world, bucket) = (World::new(), Bucket::named("e2e-killed"));
    // every third request of the first commits, until one of the runs gets through
    let killed = (3..60).step_by(3).take_while(|number| {
        let last = if number % 2 == 0 { Last::CarriedOut } else { Last::Unheard };
        kill_at(&world, emulator, &bucket, *number, last)
    });
    assert!(killed.count() > 6);
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert_eq!(bucket.events(&world, emulator.endpoint()), "98,98");
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert_eq!(world.report()["rows"], 0);
}

/// Kills on one lake, so that its log does not get so long that every start takes its time to read it.
const KILLS_OF_A_LAKE: usize = 25;

/// Objects that are added before each run, so that there is always something to read and to commit.
const NEW_OBJECTS: u32 = 3;

/// Kills runs at moments drawn from all of a run's duration, lets the last one through, and checks what is there.
async fn kill_again_and_again(emulator: &Emulator, seed: u64) -> usize {
    let name = format!("e2e-killed-{seed}");
    let (world, bucket, mut chance) = (World::new(), Bucket::named(&name), Chance::of(seed));
    let start = || {
        let mut command = world.at(emulator.endpoint(), &bucket.ingest(&["--commit-bytes", "4KiB"]));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let (mut objects, mut kills) = (2 * NEW_OBJECTS, 0);
    let aws = logs(emulator, &name, objects).await;
    let began = Instant::now();
    assert!(start().wait().expect("waits").success());
    let whole = began.elapsed();
    while kills < KILLS_OF_A_LAKE {
        put_logs(&aws, &name, objects..objects + NEW_OBJECTS).await;
        objects += NEW_OBJECTS;
        let moment = whole.mul_f64(chance.below(1000) as f64 / 1000.0);
        kills += usize::from(kill_after(start(), moment));
    }
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    let events = objects * 8 + 2;
    assert_eq!(bucket.events(&world, emulator.endpoint()), format!("{events},{events}"));
    world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert_eq!([&world.report()["rows"], &world.report()["objects"]["read"]], [0, 0]);
    kills
}

#[test]
fn killed_at_200_moments_every_event_is_there_once() {
    let Some(emulator) = ministack() else { return };
    let lakes = |half: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        (0..4).map(|lake| runtime.block_on(kill_again_and_again(emulator, half * 100 + lake))).sum::<usize>()
    };
    let kills: usize = std::thread::scope(|scope| {
        let halves = [1, 2].map(|half| scope.spawn(move || lakes(half)));
        halves.map(|half| half.join().expect("no panic")).into_iter().sum()
    });
    assert_eq!(kills, 200);
}

/// Puts every file below a folder into a bucket, some at a time; answers how many.
async fn upload(aws: &Aws, folder: &std::path::Path, bucket: &str, prefix: &str) -> usize {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    let puts = files.iter().map(|path| async move {
        let name = path.strip_prefix(folder).expect("below").to_string_lossy();
        aws.put(bucket, &format!("{prefix}{name}"), std::fs::read(path).expect("reads")).await;
    });
    futures::stream::iter(puts).buffer_unordered(16).count().await
}

#[tokio::test]
async fn real_logs_give_the_same_counts_from_a_bucket() {
    let Some(folder) = real_data("ransomware-lab") else { return };
    // a server of its own: thousands of objects would slow the other tests down
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let aws = logs(&emulator, "e2e-real", 0).await;
    assert_eq!(upload(&aws, &folder, "e2e-real", "logs/").await, 3_872);
    let (world, bucket) = (World::new(), Bucket::named("e2e-real"));
    let first = world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert!(first.stdout.contains("30477 seen -> 23981 rows, 6496 duplicates, 0 rejects"), "{}", first.stdout);
    let second = world.run_at(emulator.endpoint(), &bucket.ingest(&[])).expect(0);
    assert!(second.stdout.contains("0 seen -> 0 rows"), "{}", second.stdout);
    assert_eq!(bucket.events(&world, emulator.endpoint()), "23981,23981");
}
