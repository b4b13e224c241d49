//! `trailhound run`: ingest, detect and publish as a scheduler starts them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::aws::{Aws, NO_FILTER, Order, Received};
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Proxy, Request};
use crate::support::suspects::{self, DAY};
use crate::support::{Ended, World, records};

/// Source, lake and topic of a test.
struct Job {
    world: World,
    source: String,
    lake: String,
    topic: String,
}

impl Job {
    /// A bucket with suspicious logs; the topic is not made.
    async fn new(aws: &Aws, name: &str) -> Self {
        aws.bucket(name).await;
        aws.put(name, "logs/suspects.json.gz", suspects::object()).await;
        Self {
            world: World::new(),
            source: format!("s3://{name}/logs"),
            lake: format!("s3://{name}/lake"),
            topic: format!("arn:aws:sns:us-east-1:000000000000:{name}"),
        }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let [from, to] = DAY;
        let places = ["run", &self.source, "--lake", &self.lake, "--report", "report.json", "--from", from, "--to", to];
        [&places, more].concat()
    }

    fn run(&self, endpoint: &str, more: &[&str]) -> Ended {
        self.world.run_at(endpoint, &self.args(more))
    }

    fn publish(&self, endpoint: &str, more: &[&str]) -> Ended {
        self.run(endpoint, &[&["--sns-topic-arn", &self.topic], more].concat())
    }
}

fn ministack() -> Option<&'static Emulator> {
    Emulator::shared(Kind::Ministack)
}

/// Type of each finding that arrived, sorted.
fn types(received: &[Received]) -> Vec<String> {
    let mut types: Vec<String> = received.iter().map(|message| text(&message.json()["detail"]["type"])).collect();
    types.sort();
    types
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const TYPES: [&str; 3] =
    ["PenTest:IAMUser/KaliLinux", "Policy:IAMUser/RootCredentialUsage", "Stealth:IAMUser/CloudTrailLoggingDisabled"];

#[tokio::test]
async fn findings_arrive_in_a_queue_once() {
    let Some(emulator) = ministack() else { return };
    let aws = Aws::of(emulator);
    let job = Job::new(&aws, "run-whole").await;
    assert_eq!(aws.topic("run-whole", Order::Standard).await, job.topic);
    let queue = aws.queue("run-whole", &job.topic, NO_FILTER).await;
    job.publish(emulator.endpoint(), &[]).expect(0);
    let report = job.world.report();
    assert_eq!([&report["ingest"]["rows"], &report["detect"]["written"], &report["publish"][0]["sent"]], [7, 3, 3]);
    assert_eq!(report["failures"], serde_json::json!([]));

    let received = aws.receive_all(&queue).await;
    assert_eq!(types(&received), TYPES);
    for message in &received {
        let detail = &message.json()["detail"];
        let attribute = |name: &str| message.attributes.get(name).map(|(kind, value)| (kind.as_str(), value.as_str()));
        let severity = detail["severity"].to_string();
        assert_eq!(attribute("severity"), Some(("Number", severity.as_str())));
        assert_eq!(attribute("type"), Some(("String", text(&detail["type"]).as_str())));
        assert_eq!(attribute("account"), Some(("String", "111122223333")));
        assert_eq!(attribute("region"), Some(("String", "eu-west-1")));
        assert_eq!((text(&detail["accountId"]).as_str(), &detail["schemaVersion"]), ("111122223333", &"2.0".into()));
    }

    job.publish(emulator.endpoint(), &[]).expect(0);
    let report = job.world.report();
    let publish = &report["publish"][0];
    assert_eq!([&report["ingest"]["rows"], &publish["sent"], &publish["unchanged"]], [0, 0, 3]);
    assert_eq!(aws.receive_all(&queue).await, []);
}

#[tokio::test]
async fn findings_decide_the_exit_code_only_when_asked() {
    let Some(emulator) = ministack() else { return };
    let job = Job::new(&Aws::of(emulator), "run-fail-on").await;
    for (more, code) in [(&[][..], 0), (&["--fail-on", "low"], 1), (&["--fail-on", "critical"], 0)] {
        job.run(emulator.endpoint(), more).expect(code);
    }
    let detect = ["detect", "--lake", &job.lake, "--from", DAY[0], "--to", DAY[1], "--fail-on", "medium"];
    job.world.run_at(emulator.endpoint(), &detect).expect(1);
}

#[tokio::test]
async fn a_topic_out_of_reach_keeps_nothing_from_being_found() {
    let Some(emulator) = ministack() else { return };
    let aws = Aws::of(emulator);
    let job = Job::new(&aws, "run-no-topic").await;
    let ended = job.publish(emulator.endpoint(), &["--findings-file", "findings.ndjson"]).expect(2);
    assert!(ended.stderr.contains("run-no-topic") && ended.stderr.contains("check the ARN"), "{}", ended.stderr);
    let report = job.world.report();
    assert_eq!([&report["ingest"]["rows"], &report["detect"]["written"]], [7, 3]);
    assert_eq!(report["publish"][0]["sent"], 3, "the file takes them");
    assert!(text(&report["failures"][0]).contains(&job.topic), "{report}");

    aws.topic("run-no-topic", Order::Standard).await;
    let queue = aws.queue("run-no-topic", &job.topic, NO_FILTER).await;
    job.publish(emulator.endpoint(), &["--findings-file", "findings.ndjson"]).expect(0);
    assert_eq!(types(&aws.receive_all(&queue).await), TYPES);
    let lines = std::fs::read_to_string(job.world.path("findings.ndjson")).expect("findings");
    assert_eq!(lines.lines().count(), 3);
}

#[test]
fn a_malformed_arn_is_wrong_usage_before_anything_is_done() {
    let world = World::new();
    world.put("a.json.gz", suspects::object());
    for command in [&["run", "source"][..], &["publish"]] {
        let args = [command, &["--lake", "lake", "--sns-topic-arn", "arn:aws:sqs:us-east-1:1:q"]].concat();
        let ended = world.run(&args).expect(64);
        assert!(ended.stderr.contains("is not the ARN of an SNS topic"), "{}", ended.stderr);
    }
    assert!(!world.lake().exists());
}

/// The program, running; killed where a test fails before it has ended.
struct Running(Option<Child>);

impl Running {
    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().expect("starts")))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("runs")
    }

    /// Asks it to end, and waits until it says that it will.
    fn terminate(&mut self) -> String {
        let id = self.child().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let stderr = self.child().stderr.take().expect("is piped");
        let mut reader = BufReader::new(stderr);
        let mut said = String::new();
        while !said.contains("stopping after the current commit") {
            assert!(reader.read_line(&mut said).expect("reads") > 0, "it ended without a word: {said}");
        }
        // what follows is of no interest, but must not fill the pipe
        std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
        said
    }

    fn end(mut self) -> Ended {
        Ended::of(self.0.take().expect("runs").wait_with_output().expect("ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn two_runs_at_once_do_not_overlap() {
    let Some(emulator) = ministack() else { return };
    let mut job = Job::new(&Aws::of(emulator), "run-twice").await;
    let folder = job.world.lake().to_string_lossy().into_owned();
    for lake in [job.lake.clone(), folder] {
        job.lake = lake;
        let (proxy, stall) = Proxy::stalling(emulator.endpoint(), |request| request.gets("suspects.json.gz"));
        let first = Running::start(job.world.at(&proxy.endpoint, &job.args(&[])));
        stall.reached();
        let second = job.run(emulator.endpoint(), &[]).expect(2);
        let (says, lake) = (&second.stderr, &job.lake);
        assert!(says.contains(&format!("the lake {lake} is locked: another run")), "{says}");
        assert!(says.contains("the next run will catch up"), "{says}");
        stall.release();
        let first = first.end().expect(0);
        assert!(first.stdout.contains("7 seen -> 7 rows"), "{}", first.stdout);
        job.run(emulator.endpoint(), &[]).expect(0);
    }
}

#[tokio::test]
async fn a_run_that_is_asked_to_end_does_so_after_its_commit() {
    let Some(emulator) = ministack() else { return };
    let aws = Aws::of(emulator);
    let job = Job::new(&aws, "run-stopped").await;
    for number in 0..6 {
        aws.put("run-stopped", &format!("logs/{number}.json.gz"), records::object(number * 50..number * 50 + 50)).await;
    }
    let fourth = |request: &Request| request.gets("/logs/3.json.gz");
    let (proxy, stall) = Proxy::stalling(emulator.endpoint(), fourth);
    let mut run = Running::start(job.world.at(&proxy.endpoint, &job.args(&["--commit-bytes", "1"])));
    stall.reached();
    run.terminate();
    stall.release();
    let ended = run.end().expect(2);
    assert!(ended.stdout.contains("run again for the rest"), "{}", ended.stdout);
    let report = job.world.report();
    assert_eq!([&report["ingest"]["commits"], &report["ingest"]["rows"]], [4, 200], "{report}");
    assert_eq!((&report["ingest"]["interrupted"], &report["detect"]), (&Value::Bool(true), &Value::Null));
    let next = job.run(emulator.endpoint(), &[]).expect(0);
    assert!(next.stdout.contains("4 known, 3 read"), "{}", next.stdout);
}

#[tokio::test]
async fn an_end_that_is_asked_for_in_the_last_commit_is_told_too() {
    let Some(emulator) = ministack() else { return };
    let job = Job::new(&Aws::of(emulator), "run-stopped-late").await;
    let (proxy, stall) = Proxy::stalling(emulator.endpoint(), |request| request.gets("suspects.json.gz"));
    let mut run = Running::start(job.world.at(&proxy.endpoint, &job.args(&[])));
    stall.reached();
    run.terminate();
    stall.release();
    run.end().expect(2);
    let report = job.world.report();
    assert_eq!((&report["ingest"]["rows"], &report["detect"]), (&Value::from(7), &Value::Null));
    assert!(text(&report["failures"][0]).contains("run again"), "{report}");
    job.run(emulator.endpoint(), &["--fail-on", "low"]).expect(1);
}
