//! The whole detector over small lakes made here.

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use tempfile::TempDir;

use super::*;
use crate::finding::{Completeness, CompletenessStatus, SeverityBand};
use crate::lake::LakeOptions;
use crate::query;
use crate::schema;
use crate::train;

const ACCOUNT: &str = "111111111111";

#[derive(Debug, Clone)]
struct Event {
    id: Option<String>,
    actor: Option<String>,
    kind: &'static str,
    time: DateTime<Utc>,
    source: &'static str,
    name: &'static str,
    address: String,
    agent: &'static str,
    outcome: &'static str,
    /// Bucket and bytes of a read.
    read: Option<(&'static str, i64)>,
}

fn start() -> DateTime<Utc> {
    "2026-03-02T00:00:00Z".parse().unwrap()
}

fn at(day: u64, minute: i64) -> DateTime<Utc> {
    start() + Days::new(day) + TimeDelta::minutes(minute)
}

fn user(number: usize) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/u{number:02}")
}

fn call(actor: &str, time: DateTime<Utc>, source: &'static str, name: &'static str) -> Event {
    Event {
        id: Some(format!("{actor}-{time}-{name}")),
        actor: Some(actor.to_owned()),
        kind: "IAMUser",
        time,
        source,
        name,
        address: "198.51.100.7".to_owned(),
        agent: "aws-cli/2.1 Linux/6",
        outcome: "success",
        read: None,
    }
}

const HABITS: [(&str, &str); 4] = [
    ("ec2.amazonaws.com", "DescribeInstances"),
    ("s3.amazonaws.com", "ListBuckets"),
    ("ec2.amazonaws.com", "CreateTags"),
    ("sts.amazonaws.com", "GetCallerIdentity"),
];

/// 20 users who do the same few things every day.
fn habit(days: std::ops::Range<u64>) -> Vec<Event> {
    let mut events = Vec::new();
    for day in days {
        for number in 0..20 {
            for (step, (source, name)) in HABITS.iter().enumerate() {
                let minute = 540 + (number * 7 + step * 11) as i64;
                events.push(call(&user(number), at(day, minute), source, name));
            }
        }
    }
    events
}

/// User 3's key in other hands: another network, another tool, seven calls that the user never made.
fn attack(day: u64) -> Vec<Event> {
    let calls = [
        ("iam.amazonaws.com", "ListUsers"),
        ("iam.amazonaws.com", "CreateAccessKey"),
        ("iam.amazonaws.com", "AttachUserPolicy"),
        ("secretsmanager.amazonaws.com", "ListSecrets"),
        ("secretsmanager.amazonaws.com", "GetSecretValue"),
        ("cloudtrail.amazonaws.com", "DescribeTrails"),
        ("ec2.amazonaws.com", "DescribeInstances"),
    ];
    let event = |(step, (source, name)): (usize, (&'static str, &'static str))| Event {
        address: "203.0.113.66".to_owned(),
        agent: "Boto3/1.3 Linux/5",
        ..call(&user(3), at(day, 700 + step as i64), source, name)
    };
    calls.into_iter().enumerate().map(event).collect()
}

fn column(events: &[Event], name: &str, data_type: &DataType) -> ArrayRef {
    let texts =
        |f: &dyn Fn(&Event) -> Option<String>| -> ArrayRef { Arc::new(events.iter().map(f).collect::<StringArray>()) };
    match name {
        "eventtime" => {
            let micros = events.iter().map(|event| event.time.timestamp_micros());
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
        }
        "event_date" => {
            let days = events.iter().map(|event| (event.time.date_naive() - NaiveDate::default()).num_days() as i32);
            Arc::new(Date32Array::from_iter_values(days))
        }
        "readonly" => {
            Arc::new(events.iter().map(|event| Some(!event.name.starts_with("Create"))).collect::<BooleanArray>())
        }
        "eventid" => texts(&|event| event.id.clone()),
        "eventhash" => texts(&|event| Some(format!("{:x}", event.time.timestamp_micros()))),
        "actor" => texts(&|event| event.actor.clone()),
        "eventsource" => texts(&|event| Some(event.source.to_owned())),
        "eventname" => texts(&|event| Some(event.name.to_owned())),
        "sourceipaddress" => texts(&|event| Some(event.address.clone())),
        "useragent" => texts(&|event| Some(event.agent.to_owned())),
        "outcome" => texts(&|event| Some(event.outcome.to_owned())),
        "eventcategory" => texts(&|event| Some(if event.read.is_some() { "Data" } else { "Management" }.to_owned())),
        "requestparameters" => texts(&|event| {
            let (bucket, _) = event.read?;
            Some(format!(r#"{{"bucketName":"{bucket}","key":"{}"}}"#, event.time.timestamp_micros()))
        }),
        "additionaleventdata" => texts(&|event| {
            event.read.map(|(_, bytes)| format!(r#"{{"bytesTransferredIn":0,"bytesTransferredOut":{bytes}}}"#))
        }),
        "awsregion" => texts(&|_| Some("us-east-1".to_owned())),
        "recipientaccountid" => texts(&|_| Some(ACCOUNT.to_owned())),
        "useridentity" => identity(events, data_type),
        _ => new_null_array(data_type, events.len()),
    }
}

fn identity(events: &[Event], data_type: &DataType) -> ArrayRef {
    let DataType::Struct(fields) = data_type else { panic!("useridentity is a struct") };
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(events.iter().map(|event| event.kind)));
    let member = |name: &str, data_type: &DataType| match name {
        "type" => Arc::clone(&kinds),
        _ => new_null_array(data_type, events.len()),
    };
    let columns = fields.iter().map(|field| member(field.name(), field.data_type())).collect();
    Arc::new(StructArray::new(fields.clone(), columns, None))
}

struct World {
    _folder: TempDir,
    lake: Lake,
}

impl World {
    async fn new(events: &[Event]) -> Self {
        let folder = TempDir::new().unwrap();
        let location = folder.path().join("lake").to_str().unwrap().to_owned();
        let lake = Lake::open_or_create(&LakeOptions { location, ..Default::default() }).await.unwrap();
        let world = Self { _folder: folder, lake };
        world.add(events).await;
        world
    }

    async fn add(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let schema = schema::EVENTS.schema();
        let columns = schema.fields().iter().map(|field| column(events, field.name(), field.data_type())).collect();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        self.lake.append(&schema::EVENTS, &[batch]).await.unwrap();
    }

    async fn detect(&self, day: u64) -> DetectReport {
        self.detect_with(day, 2).await.unwrap()
    }

    async fn detect_with(&self, day: u64, threads: usize) -> Result<DetectReport> {
        let mut options = DetectOptions::new(query_options(threads));
        (options.from, options.to) = (Some(at(day, 0)), Some(at(day + 1, 0)));
        detect(&self.lake, &options, at(day + 1, 10)).await
    }

    /// The findings of a day from a score on.
    async fn all_from(&self, day: u64, score: f64) -> Vec<Finding> {
        let mut options = DetectOptions::new(query_options(2));
        (options.from, options.to, options.bar) = (Some(at(day, 0)), Some(at(day + 1, 0)), Bar::Score(score));
        find(&self.lake, &options, at(day + 1, 1)).await.unwrap().findings
    }

    async fn ids(&self, sql: &str) -> Vec<String> {
        let snapshots = self.lake.snapshots().await.unwrap();
        let ctx = query::session(&snapshots, &query_options(2)).unwrap();
        let batches = query::collect(&ctx, sql).await.unwrap();
        let texts = |batch: &RecordBatch| {
            let ids = rows::Texts::of(batch, "eventid").unwrap();
            (0..batch.num_rows()).map(|row| ids.at(row).to_owned()).collect::<Vec<_>>()
        };
        batches.iter().flat_map(texts).collect()
    }
}

fn query_options(threads: usize) -> QueryOptions {
    QueryOptions::new(threads, 256 << 20)
}

fn with_attack() -> Vec<Event> {
    [habit(0..16), attack(15)].concat()
}

#[tokio::test]
async fn a_stolen_key_is_the_first_finding_and_lists_what_the_thief_did() {
    let world = World::new(&with_attack()).await;
    let report = world.detect(15).await;
    let first = &report.findings[0];
    assert_eq!(first.actor, user(3));
    assert_eq!(first.finding_type, "AttackSequence:IAM/CompromisedCredentials");
    assert_eq!(first.severity_label, SeverityBand::Critical);
    let done: Vec<String> = attack(15).into_iter().filter_map(|event| event.id).collect();
    assert_eq!(first.event_ids, done);
    assert_eq!(report.findings.len(), 1);
    assert!((first.first_seen..=first.last_seen).contains(&first.time) && first.count == 7);
    assert_eq!((first.baseline.actor_days, first.baseline.to), (15, at(15, 0)));
}

#[tokio::test]
async fn shares_add_up_and_the_sql_returns_the_events() {
    let world = World::new(&with_attack()).await;
    let first = world.detect(15).await.findings.remove(0);
    let sum: f64 = first.factors.iter().map(|factor| factor.contribution).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert!(first.factors.iter().all(|factor| factor.bits.is_finite() && factor.bits >= 0.0));
    assert_eq!(world.ids(&first.sql).await, first.event_ids);
}

#[tokio::test]
async fn a_finding_s_time_is_when_a_run_would_first_have_told_it() {
    let world = World::new(&with_attack()).await;
    let told = world.detect(15).await.findings.remove(0);
    let until = async |to| {
        let mut options = DetectOptions::new(query_options(2));
        (options.from, options.to) = (Some(at(15, 0)), Some(to));
        find(&world.lake, &options, at(16, 1)).await.unwrap().findings
    };
    let early = until(told.time + TimeDelta::microseconds(1)).await;
    assert_eq!(early.iter().map(|finding| &finding.id).collect::<Vec<_>>(), [&told.id]);
    assert_eq!(until(told.time).await, []);
}

#[tokio::test]
async fn who_lets_himself_in_is_found() {
    let tries = [("denied", "ListSecrets"), ("success", "PutUserPolicy"), ("success", "ListSecrets")];
    let story = |order: [usize; 3]| {
        let one = |(step, at_order): (usize, usize)| {
            let (outcome, name) = tries[at_order];
            let source = if name == "PutUserPolicy" { "iam.amazonaws.com" } else { "secretsmanager.amazonaws.com" };
            Event { outcome, ..call(&user(4), at(15, 900 + step as i64), source, name) }
        };
        [habit(0..16), order.into_iter().enumerate().map(one).collect()].concat()
    };
    let score = async |events: Vec<Event>| {
        let mut options = DetectOptions::new(query_options(2));
        (options.from, options.to, options.bar) = (Some(at(15, 0)), Some(at(16, 0)), Bar::Score(1.0));
        let found = find(&World::new(&events).await.lake, &options, at(16, 1)).await.unwrap().findings.remove(0);
        let regained = found.factors.iter().any(|factor| factor.feature == "denied_then_allowed");
        (found.score, regained)
    };
    let (let_in, other_order) = (score(story([0, 1, 2])).await, score(story([2, 1, 0])).await);
    assert!(let_in.1 && !other_order.1, "{let_in:?} {other_order:?}");
    assert!(let_in.0 > other_order.0 + 2.5, "{let_in:?} {other_order:?}");
}

#[tokio::test]
async fn a_signal_can_be_left_out_and_nothing_of_that_is_kept() {
    let world = World::new(&with_attack()).await;
    let whole = world.detect(15).await.findings.remove(0);
    let mut options = DetectOptions::new(query_options(2));
    (options.from, options.to, options.bar) = (Some(at(15, 0)), Some(at(16, 0)), Bar::Score(1.0));
    options.without = [Signal::Network, Signal::Agent].into();
    let less = find(&world.lake, &options, at(16, 1)).await.unwrap();
    assert!(less.findings[0].score < whole.score - 5.0);
    assert!(
        less.findings[0].factors.iter().all(|factor| factor.feature != "network" && factor.feature != "user_agent")
    );
    assert_eq!(world.detect(15).await.findings[0], whole);
}

#[tokio::test]
async fn a_habit_gives_no_finding() {
    let world = World::new(&habit(0..16)).await;
    let report = world.detect(15).await;
    assert_eq!(report.findings, []);
    assert_eq!((report.days, report.actor_days, report.baseline_days), (1, 20, 15));
}

#[tokio::test]
async fn what_everybody_does_for_the_first_time_is_a_rollout() {
    let mut events = habit(0..16);
    let new =
        |number| call(&user(number), at(15, 800 + number as i64), "bedrock.amazonaws.com", "ListFoundationModels");
    events.extend((0..20).map(new));
    let shared = World::new(&events).await.detect(15).await;
    assert_eq!(shared.findings, []);
}

#[tokio::test]
async fn a_new_colleague_with_usual_habits_is_no_attack() {
    let mut events = habit(0..16);
    let newcomer = |(step, (source, name)): (usize, &(&'static str, &'static str))| {
        call("arn:aws:iam::111111111111:user/new", at(15, 600 + step as i64), source, name)
    };
    events.extend(HABITS.iter().enumerate().map(newcomer));
    assert_eq!(World::new(&events).await.detect(15).await.findings, []);
}

#[tokio::test]
async fn a_burst_of_usual_calls_is_found_by_volume() {
    let mut events = habit(0..16);
    events.extend((0..900).map(|step| Event {
        id: Some(format!("burst-{step}")),
        ..call(&user(5), at(15, 600) + TimeDelta::seconds(step), "s3.amazonaws.com", "ListBuckets")
    }));
    let world = World::new(&events).await;
    let mut options = DetectOptions::new(query_options(2));
    (options.from, options.to, options.bar) = (Some(at(15, 0)), Some(at(16, 0)), Bar::Score(1.0));
    let report = detect(&world.lake, &options, at(16, 1)).await.unwrap();
    assert_eq!(report.findings[0].actor, user(5));
    let volume: Vec<&str> = report.findings[0].factors.iter().map(|factor| &*factor.feature).collect();
    assert!(volume[0] == "calls_in_ten_minutes" && volume.contains(&"calls"), "{volume:?}");
    assert_eq!(report.findings[0].apis[0].api, "ListBuckets");
}

/// So many objects of 10 kB each that a user reads from a bucket on a day, within an hour.
fn reads(number: usize, day: u64, bucket: &'static str, objects: i64) -> impl Iterator<Item = Event> {
    let time = move |step| at(day, 560) + TimeDelta::milliseconds(step * 7000 + number as i64);
    (0..objects).map(move |step| Event {
        id: Some(format!("read-{number}-{bucket}-{day}-{step}")),
        read: Some((bucket, 10_000)),
        ..call(&user(number), time(step), "s3.amazonaws.com", "GetObject")
    })
}

/// 20 users who read a few objects from one bucket on each day, and many from another.
fn readers(days: std::ops::Range<u64>) -> Vec<Event> {
    let of = |day: u64| {
        let few = move |number: usize| 3 + (number as i64 + day as i64) % 4;
        (0..20).flat_map(move |number| {
            reads(number, day, "payroll", few(number)).chain(reads(number, day, "lake", 10 * few(number)))
        })
    };
    [habit(days.clone()), days.flat_map(of).collect()].concat()
}

#[tokio::test]
async fn who_reads_another_bucket_than_usual_is_found_though_the_number_of_objects_is_usual() {
    let mut events = readers(0..15);
    // on this day the user reads as much as ever, but from the bucket from which it takes a few
    events.extend(habit(15..16));
    events.extend((0..20).filter(|number| *number != 6).flat_map(|number| reads(number, 15, "lake", 45)));
    events.extend(reads(6, 15, "payroll", 50));
    let found = World::new(&events).await.all_from(15, 1.0).await.remove(0);
    assert_eq!((found.actor.as_str(), found.finding_type.as_str()), (&*user(6), "Exfiltration:S3/AnomalousBehavior"));
    assert_eq!(found.factors[0].feature, "reads_from_bucket");
    assert!(found.factors[0].observed.starts_with("50 objects, 0.5 MiB, read from arn:aws:s3:::payroll"));
    assert!(found.factors[0].interval.is_some_and(|interval| interval.high < 50.0));
    assert!(found.event_ids.iter().all(|id| id.starts_with("read-6-payroll-15-")), "{:?}", found.event_ids);
}

#[tokio::test]
async fn a_bucket_that_many_read_more_of_than_ever_is_found() {
    let mut events = readers(0..15);
    events.extend(habit(15..16));
    // nobody's total is unusual: each takes from one bucket what it took from the other
    events.extend((0..20).flat_map(|number| reads(number, 15, "payroll", 25).chain(reads(number, 15, "lake", 20))));
    let world = World::new(&events).await;
    let found = world.all_from(15, 4.0).await.remove(0);
    assert_eq!(found.finding_type, "Exfiltration:S3/AnomalousBehavior");
    assert!(found.title.starts_with("500 objects were read from bucket payroll"), "{}", found.title);
    assert_eq!(found.factors[0].feature, "objects_read");
    assert_eq!(found.factors[0].observed, "500 objects read from arn:aws:s3:::payroll");
    let reader =
        format!("The bucket is what this is about; of those who read from it, {} is the largest reader.", found.actor);
    assert!(found.description.contains(&reader), "{}", found.description);
    let of_payroll = |id: &String| id.contains("-payroll-15-");
    assert!(found.event_ids.len() == 200 && found.event_ids.iter().all(of_payroll), "{:?}", found.event_ids);
    // the next day's reads are as many as the days before
    world.add(&readers(16..17)).await;
    assert_eq!(world.all_from(16, 4.0).await, []);
}

#[tokio::test]
async fn reads_as_usual_are_no_finding() {
    let report = World::new(&readers(0..16)).await.detect(15).await;
    assert_eq!((report.findings, report.actor_days), (Vec::new(), 20));
}

/// 20 users who call 36 times on a day, one call every twenty minutes; the last one on `hasty` within six minutes.
fn steady(days: std::ops::Range<u64>, hasty: Option<u64>) -> Vec<Event> {
    let pace = move |number, day| if number == 19 && hasty == Some(day) { 10 } else { 1200 };
    let calls = move |(day, number): (u64, usize)| {
        (0..36).map(move |step| {
            let time = at(day, 480 + number as i64) + TimeDelta::seconds(step * pace(number, day));
            call(&user(number), time, "ec2.amazonaws.com", "DescribeInstances")
        })
    };
    days.flat_map(|day| (0..20).map(move |number| (day, number))).flat_map(calls).collect()
}

#[tokio::test]
async fn a_burst_within_a_day_of_usual_length_is_found() {
    let found = World::new(&steady(0..16, Some(15))).await.all_from(15, 4.0).await;
    assert_eq!(found.iter().map(|finding| &finding.actor).collect::<Vec<_>>(), [&user(19)]);
    assert_eq!(found[0].factors[0].feature, "calls_in_ten_minutes");
    assert!(found[0].factors[0].observed.starts_with("30 calls within ten minutes"), "{:?}", found[0].factors[0]);
    assert_eq!(World::new(&steady(0..16, None)).await.all_from(15, 4.0).await, []);
}

/// Minutes of a day at which a user calls a few times, and on `hasty` 40 times within ten minutes from a minute on.
fn nightly(hasty: (u64, i64)) -> Vec<Event> {
    let calls = |minute: i64, number: i64, day: u64| {
        (0..number).map(move |step| {
            let time = at(day, minute) + TimeDelta::seconds(step * 10);
            call(&user(19), time, "ec2.amazonaws.com", "DescribeInstances")
        })
    };
    let busy = (0..22).flat_map(|day| calls(600, 25 + day as i64 % 5, day).chain(calls(200, 1, day)));
    [habit(0..22), busy.collect(), calls(hasty.1, 40, hasty.0).collect()].concat()
}

#[tokio::test]
async fn a_burst_is_held_against_its_hour_of_the_week() {
    let bits = async |minute| {
        let found = World::new(&nightly((21, minute))).await.all_from(21, 0.1).await;
        let of_user = found.iter().filter(|finding| finding.actor == user(19)).flat_map(|finding| &finding.factors);
        let burst = of_user.filter(|factor| factor.feature == "calls_in_ten_minutes");
        burst.map(|factor| (factor.bits, factor.expected.clone())).next()
    };
    let (day, night) = (bits(660).await, bits(200).await.unwrap());
    assert!(night.1.contains("on Mondays at 03 h UTC"), "{night:?}");
    assert!(day.is_none_or(|(bits, _)| bits < night.0), "{night:?}");
}

/// The calls of a user on a day, from a minute on.
fn does(actor: &str, day: u64, minute: i64, calls: &[(&'static str, &'static str)]) -> Vec<Event> {
    let one = |(step, (source, name)): (usize, &(&'static str, &'static str))| {
        call(actor, at(day, minute + step as i64), source, name)
    };
    calls.iter().enumerate().map(one).collect()
}

const ROLL_OUT: [(&str, &str); 3] = [
    ("wafv2.amazonaws.com", "UpdateIPSet"),
    ("wafv2.amazonaws.com", "UpdateWebACL"),
    ("wafv2.amazonaws.com", "CreateIPSet"),
];

/// The events of Monday to Friday.
fn weekdays(events: Vec<Event>) -> Vec<Event> {
    let is_weekday = |event: &Event| chrono::Datelike::weekday(&event.time).number_from_monday() < 6;
    events.into_iter().filter(is_weekday).collect()
}

#[tokio::test]
async fn people_who_do_the_same_new_things_on_a_weekend_are_one_story() {
    // the twentieth day is a Saturday, on which nobody worked before
    let mut events = weekdays(habit(0..19));
    (0..3).for_each(|number| events.extend(does(&user(number), 19, 100 + 60 * number as i64, &ROLL_OUT)));
    let alone = [("kms.amazonaws.com", "DisableKey"), ("kms.amazonaws.com", "ScheduleKeyDeletion")];
    events.extend(does(&user(9), 19, 130, &alone));
    let found = World::new(&events).await.all_from(19, 4.0).await;
    let told = |number: usize| {
        let is_of = |finding: &&Finding| finding.event_ids.iter().any(|id| id.starts_with(&user(number)));
        found.iter().filter(is_of).map(|finding| finding.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!((told(0).len(), told(0) == told(1), told(1) == told(2)), (1, true, true), "{found:#?}");
    assert!(told(9).len() == 1 && told(9) != told(0), "{found:#?}");
}

#[tokio::test]
async fn what_a_crowd_goes_on_with_counts_less_and_what_one_does_alone_does_not() {
    let of = async |saturday: &[usize], sunday: &[usize]| {
        let mut events = weekdays(habit(0..20));
        for (day, people) in [(19, saturday), (20, sunday)] {
            people
                .iter()
                .for_each(|number| events.extend(does(&user(*number), day, 100 + 60 * *number as i64, &ROLL_OUT)));
        }
        let found = World::new(&events).await.all_from(20, 4.0).await.remove(0);
        let crowd = found.factors.iter().find(|factor| factor.feature == "crowd").map(|factor| factor.observed.clone());
        (found.score, crowd.unwrap_or_default())
    };
    let (first, second) = (of(&[], &[3, 4]).await, of(&[0, 1, 2], &[3, 4]).await);
    assert!(first.1.contains("(1 on this day") && second.1.contains("(4 on this day"), "{first:?} {second:?}");
    assert!(second.0 < 0.8 * first.0, "{first:?} {second:?}");
    // who comes alone is nobody's crowd, whatever others did the day before
    let alone = of(&[0, 1, 2], &[3]).await;
    assert!(alone.1.is_empty() && alone.0 > second.0, "{alone:?} {second:?}");
}

#[tokio::test]
async fn a_persons_identities_are_one_story() {
    let person = format!(
        "arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef/Eva@example.com"
    );
    let [her_key, another] = ["eva", "tom"].map(|name| format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
    let actors = [&person, &her_key, &another];
    let mut events = habit(0..16);
    let calls: [&[(&str, &str)]; 3] = [
        &[("iam.amazonaws.com", "PutUserPolicy"), ("iam.amazonaws.com", "CreateAccessKey")],
        &[("secretsmanager.amazonaws.com", "ListSecrets"), ("secretsmanager.amazonaws.com", "GetSecretValue")],
        &[("ec2.amazonaws.com", "CreateSnapshot"), ("ec2.amazonaws.com", "ModifySnapshotAttribute")],
    ];
    for actor in actors {
        (0..15).for_each(|day| events.extend(does(actor, day, 500, &HABITS)));
    }
    actors.iter().zip(calls).for_each(|(actor, calls)| events.extend(does(actor, 15, 1000, calls)));
    let found = World::new(&events).await.all_from(15, 4.0).await;
    let told = |actor: &str| {
        let is_of = |finding: &&Finding| finding.event_ids.iter().any(|id| id.starts_with(actor));
        found.iter().filter(is_of).map(|finding| finding.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!((told(&person).len(), told(&person) == told(&her_key)), (1, true), "{found:#?}");
    assert!(told(&another).len() == 1 && told(&another) != told(&person), "{found:#?}");
}

#[tokio::test]
async fn a_journeys_second_day_is_no_strange_place_again() {
    let away = |day: u64| {
        let event = |event: Event| Event { address: "203.0.113.80".to_owned(), ..event };
        does(&user(4), day, 600, &HABITS).into_iter().map(event).collect::<Vec<Event>>()
    };
    let usual = |days: std::ops::Range<u64>| {
        let event = |event: &Event| event.actor.as_deref() != Some(&user(4)) || event.time < at(15, 0);
        habit(days).into_iter().filter(event).collect::<Vec<Event>>()
    };
    let world = World::new(&[usual(0..27), away(15), away(17), away(26)].concat()).await;
    let network = async |day| {
        let found = world.all_from(day, 0.1).await;
        let of_user = found.iter().filter(|finding| finding.actor == user(4)).flat_map(|finding| &finding.factors);
        of_user.into_iter().any(|factor| factor.feature == "network")
    };
    assert_eq!((network(15).await, network(17).await, network(26).await), (true, false, true));
}

#[tokio::test]
async fn who_reads_a_little_more_on_each_day_of_a_week_is_found() {
    // three times as many as ever is no surprise on one day; on each of seven days it is
    let of = |day: u64, number: usize, slow: bool| {
        let few = 3 + (number as i64 + day as i64) % 4;
        reads(number, day, "payroll", if slow && number == 8 && day > 27 { 3 * few } else { few })
    };
    let days = |slow| {
        let all = (0..36u64).flat_map(|day| (0..20).map(move |number| (day, number)));
        [habit(0..36), all.flat_map(|(day, number)| of(day, number, slow)).collect()].concat()
    };
    let week = |found: &Finding| found.factors.iter().any(|factor| factor.feature == "objects_read_in_a_week");
    let slow = World::new(&days(true)).await;
    let found = slow.all_from(34, 4.0).await;
    assert!(found.iter().any(|finding| finding.actor == user(8) && week(finding)), "{found:#?}");
    assert!(!World::new(&days(false)).await.all_from(34, 4.0).await.iter().any(week));
}

#[tokio::test]
async fn threads_and_repetition_change_nothing() {
    let world = World::new(&with_attack()).await;
    let once = world.detect_with(15, 1).await.unwrap();
    let again = world.detect_with(15, 4).await.unwrap();
    let text = |report: &DetectReport| serde_json::to_string(&report.findings).unwrap();
    assert_eq!(text(&once), text(&again));
    assert_eq!((once.written, again.written), (1, 0));
    assert_eq!((once.train.dates_updated, again.train.dates_updated), (16, 0));
}

#[tokio::test]
async fn only_changed_dates_are_trained_again() {
    let world = World::new(&habit(0..5)).await;
    let options = query_options(2);
    let first = train::train(&world.lake, &options, at(9, 0)).await.unwrap();
    assert_eq!((first.dates, first.dates_updated, first.events_read), (5, 5, 400));
    world.add(&attack(2)).await;
    let second = train::train(&world.lake, &options, at(9, 0)).await.unwrap();
    assert_eq!((second.dates_updated, second.events_read), (1, 87));
}

#[tokio::test]
async fn later_events_do_not_change_an_earlier_day() {
    let early = World::new(&with_attack()).await.detect(15).await.findings;
    let later = [with_attack(), habit(16..20), attack(17)].concat();
    assert_eq!(World::new(&later).await.detect(15).await.findings, early);
}

#[tokio::test]
async fn rules_need_no_past() {
    let root =
        Event { kind: "Root", ..call("arn:aws:iam::111111111111:root", at(0, 1), "iam.amazonaws.com", "ListUsers") };
    let silence = call(&user(1), at(0, 2), "cloudtrail.amazonaws.com", "StopLogging");
    let kali =
        Event { agent: "Boto3/1.3 Linux/6.5-kali", ..call(&user(2), at(0, 3), "s3.amazonaws.com", "ListBuckets") };
    let refused = Event { outcome: "denied", ..call(&user(4), at(0, 4), "cloudtrail.amazonaws.com", "StopLogging") };
    let world = World::new(&[root, silence, kali, refused]).await;
    let found = world.detect(0).await.findings;
    let types: Vec<&str> = found.iter().map(|finding| finding.finding_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "PenTest:IAMUser/KaliLinux",
            "Stealth:IAMUser/CloudTrailLoggingDisabled",
            "Policy:IAMUser/RootCredentialUsage"
        ]
    );
}

#[tokio::test]
async fn odd_lakes_give_no_panic() {
    let world = World::new(&[]).await;
    assert_eq!(world.detect(0).await.days, 0);
    world.add(&[call(&user(1), at(0, 1), "ec2.amazonaws.com", "DescribeInstances")]).await;
    assert_eq!(world.detect(0).await.actor_days, 1);
    let nobody = Event { actor: None, ..call("x", at(1, 1), "ec2.amazonaws.com", "DescribeInstances") };
    world.add(&[nobody]).await;
    assert_eq!(world.detect(1).await.actor_days, 0);
}

#[tokio::test]
async fn ids_that_are_missing_or_hostile_stay_inert() {
    let mut events = with_attack();
    let count = events.len();
    events[count - 2].id = None;
    events[count - 3].id = Some("x') OR ('1'='1".to_owned());
    let world = World::new(&events).await;
    let first = world.detect(15).await.findings.remove(0);
    assert_eq!((first.count, first.event_ids.len()), (7, 6));
    assert_eq!(world.ids(&first.sql).await.len(), 7);
}

#[tokio::test]
async fn without_a_range_an_old_lake_gives_its_newest_day() {
    let world = World::new(&with_attack()).await;
    let report = detect(&world.lake, &DetectOptions::new(query_options(2)), at(400, 0)).await.unwrap();
    assert_eq!((report.from, report.to), (Some(at(15, 0)), Some(at(16, 0))));
    assert_eq!(report.findings.len(), 1);
}

#[tokio::test]
async fn an_empty_range_is_refused() {
    let world = World::new(&[]).await;
    let mut options = DetectOptions::new(query_options(1));
    (options.from, options.to) = (Some(at(1, 0)), Some(at(1, 0)));
    let error = detect(&world.lake, &options, at(2, 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn an_altered_model_is_refused_until_it_is_removed() {
    let world = World::new(&with_attack()).await;
    world.detect(15).await;
    let path = format!("models/shape-{}/shape.json", at(15, 0).date_naive());
    let text = world.lake.read_file(&path).await.unwrap().expect("a model was kept");
    let altered = String::from_utf8(text.to_vec()).unwrap().replacen("\"rows\": 300", "\"rows\": 299", 1);
    world.lake.write_file(&path, altered.into()).await.unwrap();
    let error = world.detect_with(15, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.to_string().contains(&path), "{error}");
}

/// Rows of `completeness` for the hours of a day from one on, of these statuses.
fn completeness_rows(day: u64, first: i64, statuses: &[&str]) -> RecordBatch {
    let schema = schema::COMPLETENESS.schema();
    let hour = |place: usize| at(day, (first + place as i64) * 60);
    let column = |name: &str, data_type: &DataType| -> ArrayRef {
        let texts = |of: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values((0..statuses.len()).map(of)));
        match (name, data_type) {
            ("account", _) => texts(&|_| ACCOUNT.to_owned()),
            ("region", _) => texts(&|_| "us-east-1".to_owned()),
            ("status", _) => texts(&|place| statuses[place].to_owned()),
            (_, DataType::Utf8) => texts(&|_| "x".to_owned()),
            (_, DataType::Int64) => Arc::new(arrow::array::Int64Array::from(vec![1; statuses.len()])),
            (_, DataType::Date32) => {
                let days = (hour(0).date_naive() - NaiveDate::default()).num_days() as i32;
                Arc::new(Date32Array::from(vec![days; statuses.len()]))
            }
            _ => {
                let micros = (0..statuses.len()).map(|place| hour(place).timestamp_micros());
                Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
            }
        }
    };
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

#[tokio::test]
async fn what_the_digests_say_of_the_hours_is_told_and_is_no_reason_to_tell_again() {
    let world = World::new(&with_attack()).await;
    let before = world.detect(15).await;
    assert_eq!(before.findings[0].completeness.status, CompletenessStatus::Unknown);
    // the attack is from 11:40 to 11:46, so that the hours from 11 to 12 count
    world.lake.append(&schema::COMPLETENESS, &[completeness_rows(15, 11, &["complete", "missing"])]).await.unwrap();
    let missing = world.detect(15).await;
    assert_eq!(
        missing.findings[0].completeness,
        Completeness { status: CompletenessStatus::Missing, hours: 2, complete: 1 }
    );
    // another trail has it
    world.lake.append(&schema::COMPLETENESS, &[completeness_rows(15, 12, &["complete"])]).await.unwrap();
    let complete = world.detect(15).await;
    assert_eq!(
        complete.findings[0].completeness,
        Completeness { status: CompletenessStatus::Complete, hours: 2, complete: 2 }
    );
    assert_eq!((missing.written, complete.written), (0, 0));
}

#[tokio::test]
async fn baselines_of_another_version_are_counted_anew() {
    let world = World::new(&with_attack()).await;
    let first = world.detect(15).await;
    let options = query_options(2);
    for day in 0..16 {
        let date = at(day, 0).date_naive();
        let schema = schema::BASELINES.schema();
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let days = Date32Array::from(vec![(date - NaiveDate::default()).num_days() as i32]);
        let events: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![80]));
        let columns = vec![text(""), text(""), text("_rows"), text("0"), events, Arc::new(days)];
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        world.lake.replace_partition(&schema::BASELINES, date, &[batch]).await.unwrap();
    }
    let again = world.detect(15).await;
    assert_eq!((again.train.dates_updated, again.findings), (16, first.findings));
    assert_eq!(train::train(&world.lake, &options, at(16, 0)).await.unwrap().dates_updated, 0);
}

#[tokio::test]
async fn altered_baselines_are_refused_by_their_day_until_they_are_counted_anew() {
    let world = World::new(&with_attack()).await;
    let first = world.detect(15).await;
    let options = query_options(2);
    let date = at(3, 0).date_naive();
    let snapshot = world.lake.snapshot(&schema::BASELINES).await.unwrap();
    let ctx = crate::query::session(&[snapshot], &options).unwrap();
    let sql = format!(
        "SELECT actor, account, feature, value, CASE WHEN feature = 'api' THEN events + 1 ELSE events END AS events, \
         event_date FROM baselines WHERE event_date = DATE '{date}'"
    );
    let altered = crate::query::collect(&ctx, &sql).await.unwrap();
    let altered: Vec<RecordBatch> = altered
        .into_iter()
        .map(|batch| RecordBatch::try_new(schema::BASELINES.schema(), batch.columns().to_vec()).unwrap())
        .collect();
    world.lake.replace_partition(&schema::BASELINES, date, &altered).await.unwrap();
    let error = world.detect_with(15, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.to_string().contains(&date.to_string()) && error.to_string().contains("train --anew"), "{error}");
    assert_eq!(train::train_anew(&world.lake, &options, at(16, 0)).await.unwrap().dates_updated, 16);
    assert_eq!(world.detect(15).await.findings, first.findings);
}
