//! `trailhound ingest --sqs-queue-url`: notices as the emulators send them, and what becomes of messages.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::support::aws::{Aws, Notices, Way};
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Action, Proxy, Request, error_xml};
use crate::support::records::object;
use crate::support::{Ended, World};

/// Seconds for which the queues of these tests hide a message.
const VISIBILITY: &str = "2";

fn key(name: &str) -> String {
    format!(
        "AWSLogs/o-example/111122223333/CloudTrail/eu-west-1/2026/01/01/\
         111122223333_CloudTrail_eu-west-1_20260101T0005Z_{name}.json.gz"
    )
}

/// Bucket, queue and lake of a test.
struct Job {
    endpoint: String,
    aws: Aws,
    bucket: String,
    queue: Notices,
    world: World,
    lake: String,
}

impl Job {
    /// An empty queue; the lake is in the bucket, out of the way of the logs.
    async fn new(emulator: &Emulator, name: &str) -> Self {
        let aws = Aws::of(emulator);
        aws.bucket(name).await;
        let queue = aws.notices(name, &[(QueueAttributeName::VisibilityTimeout, VISIBILITY)]).await;
        let lake = format!("s3://{name}-lake/the/lake");
        aws.bucket(&format!("{name}-lake")).await;
        Self {
            endpoint: emulator.endpoint().to_owned(),
            aws,
            bucket: name.to_owned(),
            queue,
            world: World::new(),
            lake,
        }
    }

    /// A job whose bucket notifies the queue directly.
    async fn direct(emulator: &Emulator, name: &str) -> Self {
        let job = Self::new(emulator, name).await;
        job.aws.notify(&job.endpoint, name, &job.queue, Way::Direct).await;
        job
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["ingest", "--sqs-queue-url", &self.queue.url, "--lake", &self.lake, "--report", "report.json"];
        [&args, more].concat()
    }

    fn run_at(&self, endpoint: &str, more: &[&str]) -> Ended {
        self.world.run_at(endpoint, &self.args(more))
    }

    fn run(&self, more: &[&str]) -> Ended {
        self.run_at(&self.endpoint, more)
    }

    fn start(&self, endpoint: &str, more: &[&str]) -> Child {
        let mut command: Command = self.world.at(endpoint, &self.args(more));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    }

    /// Puts objects of ten events each, of which neighbours share two.
    async fn put(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.aws.put(&self.bucket, &key(&format!("{number:016}")), object(number * 8..number * 8 + 10)).await;
        }
    }

    /// A notice of S3 as a message.
    async fn tell(&self, bucket: &str, key: &str) {
        let object = json!({"key": key.replace('/', "%2F"), "size": 1, "eTag": "x"});
        let record = json!({
            "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": object},
        });
        self.aws.send(&self.queue, &json!({ "Records": [record] }).to_string()).await;
    }

    fn counts(&self, names: &[&str]) -> Vec<Value> {
        names.iter().map(|name| self.world.report()["queue"][name].clone()).collect()
    }

    /// Events of the lake, all and distinct.
    fn events(&self) -> String {
        let sql = "SELECT count(*), count(DISTINCT eventid) FROM events";
        let ended = self.world.run_at(&self.endpoint, &["query", sql, "--lake", &self.lake, "-o", "csv"]).expect(0);
        ended.stdout.lines().nth(1).unwrap_or_default().to_owned()
    }

    async fn expect_empty(&self) {
        assert_eq!(self.aws.count(&self.queue).await, [0, 0]);
    }
}

fn ministack() -> Option<&'static Emulator> {
    Emulator::shared(Kind::Ministack)
}

#[tokio::test]
async fn notices_arrive_in_every_way() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        for (name, way) in
            [("q-direct", Way::Direct), ("q-topic", Way::Topic), ("q-raw", Way::RawTopic), ("q-bridge", Way::Bridge)]
        {
            // moto's server has no EventBridge without more packages; its other notices differ from ministack's
            if kind == Kind::Moto && way == Way::Bridge {
                continue;
            }
            let job = Job::new(emulator, name).await;
            job.aws.notify(&job.endpoint, name, &job.queue, way).await;
            let odd = ["plain", "a+b", "a b", "a%2Fb", "\u{fc}\u{6771}", "a=b&c?d#e", "a..b"];
            for (number, odd) in (0..).zip(odd) {
                job.aws.put(name, &key(odd), object(number * 10..number * 10 + 10)).await;
            }
            job.aws.put(name, &key("d").replace("CloudTrail", "CloudTrail-Digest"), *b"{}").await;
            job.aws.put(name, "AWSLogs/111122223333/vpcflowlogs/x.log.gz", *b"-").await;
            let tests = u32::from(way != Way::Bridge);
            job.aws.wait_for(&job.queue, 9 + tests).await;
            job.run(&[]).expect(0);
            let counts = job.counts(&["received", "deleted", "tests", "ignored", "poison"]);
            assert_eq!(counts, [9 + tests, 9 + tests, tests, 2, 0], "{kind:?} {name}");
            assert_eq!(job.events(), "70,70", "{kind:?} {name}");
            job.expect_empty().await;
        }
    }
}

#[tokio::test]
async fn what_a_queue_told_of_is_known_to_a_listing() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-listed").await;
    job.put(0..3).await;
    job.aws.wait_for(&job.queue, 4).await;
    job.run(&[]).expect(0);
    let source = format!("s3://{}", job.bucket);
    let args = ["ingest", &source, "--lake", &job.lake, "--report", "report.json"];
    job.world.run_at(&job.endpoint, &args).expect(0);
    let objects = job.world.report()["objects"].clone();
    assert_eq!([&objects["known"], &objects["read"]], [3, 0]);
}

#[tokio::test]
async fn cloudtrails_own_notices_name_several_objects() {
    let Some(emulator) = ministack() else { return };
    let job = Job::new(emulator, "q-cloudtrail").await;
    job.aws.put(&job.bucket, &key("a+b"), object(0..10)).await;
    job.aws.put(&job.bucket, &key("c"), object(10..20)).await;
    job.aws.send(&job.queue, "CloudTrail validation message.").await;
    let keys = json!([key("a+b"), key("c")]);
    job.aws.send(&job.queue, &json!({"s3Bucket": job.bucket, "s3ObjectKey": keys}).to_string()).await;
    job.run(&[]).expect(0);
    assert_eq!(job.counts(&["received", "deleted", "tests"]), [2, 2, 1]);
    assert_eq!(job.events(), "20,20");
    // a part that is not there keeps the whole message, and the rest of it is read nevertheless
    job.aws.put(&job.bucket, &key("d"), object(20..30)).await;
    let keys = json!([key("d"), key("gone")]);
    job.aws.send(&job.queue, &json!({"s3Bucket": job.bucket, "s3ObjectKey": keys}).to_string()).await;
    let ended = job.run(&[]).expect(2);
    assert!(ended.stderr.contains("gone"), "{}", ended.stderr);
    assert_eq!((job.counts(&["deleted"]), job.events().as_str()), (vec![json!(0)], "30,30"));
    assert_eq!(job.aws.count(&job.queue).await.iter().sum::<u32>(), 1);
}

#[tokio::test]
async fn messages_that_come_twice_double_nothing() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-twice").await;
    for _ in 0..2 {
        job.put(0..5).await;
    }
    job.aws.wait_for(&job.queue, 11).await;
    job.run(&[]).expect(0);
    assert_eq!(job.events(), "42,42");
    job.put(0..5).await;
    job.aws.wait_for(&job.queue, 5).await;
    job.run(&[]).expect(0);
    let objects = job.world.report()["objects"].clone();
    assert_eq!([&objects["known"], &objects["read"]], [5, 0]);
    job.expect_empty().await;
}

#[tokio::test]
async fn poison_is_left_to_the_redrive() {
    let Some(emulator) = ministack() else { return };
    let mut job = Job::new(emulator, "q-poison").await;
    let dead = job.aws.notices("q-poison-dead", &[]).await;
    let policy = json!({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2}).to_string();
    let attributes =
        [(QueueAttributeName::VisibilityTimeout, "1"), (QueueAttributeName::RedrivePolicy, policy.as_str())];
    job.queue = job.aws.notices("q-poison-redriven", &attributes).await;
    job.aws.notify(&job.endpoint, &job.bucket, &job.queue, Way::Direct).await;
    job.put(0..2).await;
    job.aws.send(&job.queue, "{\"hello\":\"world\"}").await;
    job.aws.wait_for(&job.queue, 4).await;
    let ended = job.run(&[]).expect(2);
    assert!(ended.stderr.contains("left to the queue's redrive: it is no notice"), "{}", ended.stderr);
    assert_eq!(job.counts(&["deleted", "poison"]), [3, 1]);
    assert_eq!(job.events(), "18,18");
    for _ in 0..20 {
        if job.aws.count(&dead).await == [1, 0] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        job.run(&[]);
    }
    assert_eq!((job.aws.count(&dead).await, job.aws.count(&job.queue).await), ([1, 0], [0, 0]));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_keeps_its_message() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-denied").await;
    job.put(0..3).await;
    job.aws.wait_for(&job.queue, 4).await;
    let name = key(&format!("{:016}", 1));
    let proxy = Proxy::start(emulator.endpoint(), move |request: &Request| match request.gets(&name) {
        true => Action::Answer(403, error_xml("AccessDenied")),
        false => Action::Forward,
    });
    let ended = job.run_at(&proxy.endpoint, &[]).expect(2);
    assert!(ended.stderr.contains("AccessDenied"), "{}", ended.stderr);
    assert_eq!(job.aws.count(&job.queue).await.iter().sum::<u32>(), 1);
    assert_eq!(job.events(), "20,20");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    job.run(&[]).expect(0);
    assert_eq!(job.events(), "26,26");
    job.expect_empty().await;
}

#[tokio::test]
async fn only_objects_under_a_given_source_are_taken() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-source").await;
    job.put(0..1).await;
    job.aws.wait_for(&job.queue, 2).await;
    job.tell("somebody-elses", &key("forged")).await;
    let ended = job.run(&["s3://q-source/AWSLogs/"]).expect(2);
    assert!(ended.stderr.contains("s3://somebody-elses/"), "{}", ended.stderr);
    assert_eq!(job.counts(&["deleted", "refused"]), [2, 1]);
    assert_eq!(job.events(), "10,10");
    assert_eq!(job.aws.count(&job.queue).await.iter().sum::<u32>(), 1);
}

/// Starts a worker, and kills it when it has sent a request like this.
fn killed_at(job: &Job, which: fn(&Request) -> bool) {
    let (proxy, stall) = Proxy::stalling(&job.endpoint, which);
    let mut child = job.start(&proxy.endpoint, &[]);
    stall.reached();
    child.kill().expect("kills");
    child.wait().expect("waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_a_killed_worker_come_again_and_double_nothing() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-killed").await;
    job.put(0..6).await;
    job.aws.wait_for(&job.queue, 7).await;
    // before the events, between them and the ledger, and when the ledger has a table but not these rows
    let moments: [fn(&Request) -> bool; 3] = [
        |request| request.method == "PUT" && request.target.contains("/events/_delta_log/00000000000000000001"),
        |request| request.method == "PUT" && request.target.contains("/objects/_delta_log/00000000000000000000"),
        |request| request.method == "PUT" && request.target.contains("/objects/_delta_log/00000000000000000001"),
    ];
    for moment in moments {
        killed_at(&job, moment);
        assert_eq!(job.aws.count(&job.queue).await.iter().sum::<u32>(), 7, "nothing is deleted before the commit");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    job.run(&[]).expect(0);
    assert_eq!(job.events(), "50,50");
    job.expect_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_out_of_sight_while_their_objects_are_read() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-slow").await;
    job.put(0..2).await;
    job.aws.wait_for(&job.queue, 3).await;
    let (proxy, stall) = Proxy::stalling(&job.endpoint, |request| request.gets(&key(&format!("{:016}", 1))));
    let child = job.start(&proxy.endpoint, &[]);
    stall.reached();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(job.aws.count(&job.queue).await, [0, 3], "twice as long as the queue hides them by itself");
    }
    stall.release();
    Ended::of(child.wait_with_output().expect("ends")).expect(0);
    assert_eq!(job.events(), "18,18");
    job.expect_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_queue_and_a_lake() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-two").await;
    job.put(0..60).await;
    job.aws.wait_for(&job.queue, 61).await;
    let other = World::new();
    let mut second = other.at(&job.endpoint, &job.args(&["--commit-bytes", "4KiB"]));
    let second = second.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let first = job.start(&job.endpoint, &["--commit-bytes", "4KiB"]);
    for child in [first, second] {
        Ended::of(child.wait_with_output().expect("ends")).expect(0);
    }
    let rows = |world: &World| world.report()["rows"].as_u64().expect("a number");
    assert_eq!(rows(&job.world) + rows(&other), 482);
    assert_eq!(job.events(), "482,482");
    job.expect_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_follows_ends_cleanly_on_sigterm() {
    let Some(emulator) = ministack() else { return };
    let job = Job::direct(emulator, "q-follow").await;
    let child = job.start(&job.endpoint, &["--follow", "--commit-seconds", "1"]);
    for wave in 0..2 {
        job.put(wave * 3..wave * 3 + 3).await;
        job.aws.wait_for(&job.queue, 0).await;
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    Ended::of(child.wait_with_output().expect("ends")).expect(0);
    assert_eq!((job.counts(&["deleted", "tests"]), job.events().as_str()), (vec![json!(7), json!(1)], "50,50"));
    assert_eq!(job.world.report()["interrupted"], false);
}

#[test]
fn wrong_queues_are_told() {
    let Some(emulator) = ministack() else { return };
    let world = World::new();
    let ingest = |more: &[&str]| world.run_at(emulator.endpoint(), &[&["ingest", "--lake", "lake"], more].concat());
    ingest(&["--follow", "source"]).expect(64);
    ingest(&["--sqs-queue-url", "my-queue"]).expect(64);
    ingest(&["--sqs-queue-url", "http://127.0.0.1/000000000000/q", "--dry-run"]).expect(64);
    let url = format!("{}/000000000000/q-nowhere", emulator.endpoint());
    let ended = ingest(&["--sqs-queue-url", &url]).expect(2);
    assert!(ended.stderr.contains("q-nowhere") && ended.stderr.contains("check the queue's URL"), "{}", ended.stderr);
    assert!(!world.lake().exists(), "no lake is made for a queue that is not there");
}
