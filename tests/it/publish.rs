//! What the lake remembers of deliveries: each version of a finding goes to each destination once.

use std::path::Path;

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use trailhound::aws::AwsOptions;
use trailhound::finding::{Finding, SeverityBand};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::publish::{PublishOptions, PublishReport, publish};
use trailhound::query::QueryOptions;
use trailhound::schema::{DELIVERIES, FINDINGS};
use trailhound::sink::{FileMode, FileOptions, FileSink, Shape, Sink};

use crate::support::aws::{Aws, NO_FILTER, Order};
use crate::support::emulator::{Emulator, Kind};
use crate::support::findings::{finding, ids, ids_of, noon, set, topic_sink, with_severity};

async fn lake(folder: &Path) -> Lake {
    let location = folder.join("lake").to_string_lossy().into_owned();
    Lake::open_or_create(&LakeOptions { location, aws: AwsOptions::default() }).await.expect("makes a lake")
}

/// Puts versions of findings into the lake as a detector run at `at` would.
async fn detected(lake: &Lake, findings: &[Finding], at: DateTime<Utc>) {
    let rows: Vec<Value> = findings.iter().map(|finding| row(finding, at)).collect();
    let mut decoder = arrow::json::ReaderBuilder::new(FINDINGS.schema()).build_decoder().expect("a decoder");
    decoder.serialize(&rows).expect("rows of findings");
    let batch: RecordBatch = decoder.flush().expect("decodes").expect("has rows");
    lake.append(&FINDINGS, &[batch]).await.expect("appends");
}

fn row(finding: &Finding, at: DateTime<Utc>) -> Value {
    json!({
        "id": finding.id, "content_hash": finding.content_hash(), "type": finding.finding_type,
        "severity": finding.severity, "severity_label": finding.severity_label, "score": finding.score,
        "actor": finding.actor, "account": finding.account, "region": finding.region, "time": finding.time,
        "first_seen": finding.first_seen, "last_seen": finding.last_seen, "events": finding.count,
        "title": finding.title, "finding": serde_json::to_string(finding).expect("serializes"), "detected_at": at,
    })
}

fn options(minimum_severity: SeverityBand) -> PublishOptions {
    PublishOptions { minimum_severity, query: QueryOptions::new(1, 64 << 20) }
}

async fn run(lake: &Lake, sink: &Sink, hour: i64) -> PublishReport {
    let now = noon() + TimeDelta::hours(hour);
    publish(lake, sink, &options(SeverityBand::Low), now).await.expect("publishes")
}

/// Considered, sent, unchanged, failed.
fn counts(report: &PublishReport) -> [usize; 4] {
    [report.considered, report.sent, report.unchanged, report.failed.len()]
}

#[tokio::test]
async fn what_was_delivered_is_sent_again_only_when_it_changed() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    let topic = aws.topic("published", Order::Standard).await;
    let queue = aws.queue("published", &topic, NO_FILTER).await;
    let sink = topic_sink(&aws, &topic).await;
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path()).await;
    let findings: Vec<_> = (0..25).map(finding).collect();
    detected(&lake, &findings, noon()).await;

    assert_eq!(counts(&run(&lake, &sink, 0).await), [25, 25, 0, 0]);
    assert_eq!(counts(&run(&lake, &sink, 1).await), [25, 0, 25, 0]);
    assert_eq!(set(ids(&aws.receive_all(&queue).await)), set(ids_of(&findings)));

    let changed = Finding { count: 2, ..finding(7) };
    detected(&lake, std::slice::from_ref(&changed), noon() + TimeDelta::hours(2)).await;
    assert_eq!(counts(&run(&lake, &sink, 2).await), [25, 1, 24, 0]);
    let received = aws.receive_all(&queue).await;
    assert_eq!(ids(&received), ids_of(&[changed]));
    assert_eq!(received[0].json()["detail"]["service"]["count"], 2);

    // changed back: whoever got the change must hear of it
    detected(&lake, &[finding(7)], noon() + TimeDelta::hours(3)).await;
    assert_eq!(counts(&run(&lake, &sink, 3).await), [25, 1, 24, 0]);
    assert_eq!(counts(&run(&lake, &sink, 4).await), [25, 0, 25, 0]);
}

#[tokio::test]
async fn what_a_topic_does_not_take_is_sent_by_the_next_run() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    let topic = aws.topic("vanishing", Order::Standard).await;
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path()).await;
    let findings: Vec<_> = (0..12).map(finding).collect();
    detected(&lake, &findings, noon()).await;

    let sink = topic_sink(&aws, &topic).await;
    aws.sns().delete_topic().topic_arn(&topic).send().await.expect("deletes the topic");
    let report = run(&lake, &sink, 0).await;
    assert_eq!(counts(&report), [12, 0, 0, 12]);
    assert!(report.failed.iter().all(|failed| failed.reason.contains(&topic)), "{:?}", report.failed);

    assert_eq!(aws.topic("vanishing", Order::Standard).await, topic);
    let queue = aws.queue("vanishing", &topic, NO_FILTER).await;
    assert_eq!(counts(&run(&lake, &sink, 1).await), [12, 12, 0, 0]);
    assert_eq!(set(ids(&aws.receive_all(&queue).await)), set(ids_of(&findings)));
}

#[tokio::test]
async fn deliveries_are_remembered_some_at_a_time() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    let sink = topic_sink(&aws, &aws.topic("many", Order::Standard).await).await;
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path()).await;
    detected(&lake, &(0..250).map(finding).collect::<Vec<_>>(), noon()).await;
    assert_eq!(counts(&run(&lake, &sink, 0).await), [250, 250, 0, 0]);
    let deliveries = lake.snapshot(&DELIVERIES).await.expect("reads");
    let rows: Vec<_> = deliveries.files.iter().map(|file| file.rows).collect();
    assert_eq!(rows.iter().flatten().sum::<u64>(), 250);
    assert_eq!(rows.len(), 3, "100, 100 and 50: a crash sends at most 100 again");
}

#[tokio::test]
async fn destinations_and_severities_are_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path()).await;
    detected(&lake, &[with_severity(1, 2.0), with_severity(2, 5.0), with_severity(3, 9.0)], noon()).await;
    let file = |name: &str| {
        let (path, mode) = (folder.path().join(name), FileMode::Append);
        Sink::File(FileSink::open(FileOptions { path, mode, shape: Shape::Native }).expect("opens"))
    };
    let read = |name: &str| -> Vec<Finding> {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("reads");
        text.lines().map(|line| serde_json::from_str(line).expect("a finding")).collect()
    };
    let high = publish(&lake, &file("it's a.ndjson"), &options(SeverityBand::High), noon()).await.expect("publishes");
    assert_eq!(counts(&high), [1, 1, 0, 0]);
    assert_eq!(counts(&run(&lake, &file("it's a.ndjson"), 1).await), [3, 2, 1, 0]);
    let expected = [with_severity(3, 9.0), with_severity(1, 2.0), with_severity(2, 5.0)];
    assert_eq!(read("it's a.ndjson"), expected, "the high one first, then the others by time");
    assert_eq!(counts(&run(&lake, &file("b.ndjson"), 2).await), [3, 3, 0, 0]);
    assert_eq!(lake.snapshot(&DELIVERIES).await.expect("reads").version, 3, "a commit per run and the table's making");
}

#[tokio::test]
async fn a_finding_that_cannot_be_read_back_keeps_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path()).await;
    let mut broken = row(&finding(1), noon());
    broken["finding"] = json!("{\"id\":");
    let mut decoder = arrow::json::ReaderBuilder::new(FINDINGS.schema()).build_decoder().expect("a decoder");
    decoder.serialize(&[broken, row(&finding(2), noon())]).expect("rows of findings");
    let batch = decoder.flush().expect("decodes").expect("has rows");
    lake.append(&FINDINGS, &[batch]).await.expect("appends");
    let options = FileOptions { path: folder.path().join("a"), mode: FileMode::Append, shape: Shape::Finding };
    let report = run(&lake, &Sink::File(FileSink::open(options).expect("opens")), 0).await;
    assert_eq!(counts(&report), [2, 1, 0, 1]);
    assert_eq!(report.failed[0].id, finding(1).id.to_string());
}
