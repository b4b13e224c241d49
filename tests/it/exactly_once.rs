//! Every event once, whatever happens: copies of every kind, sudden death, several workers; what cannot be read is
//! tried again, given up in sight, and replayed; and every kind of file goes where it belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use serde_json::{Value, json};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::schema::{AGGREGATED, EVENTS, INSIGHTS, OBJECTS, REJECTS, Table};

use crate::support::World;
use crate::support::records::{envelope, gzip, object, record, records};

/// A seeded source of numbers: every run of the tests makes the same choices.
pub struct Chance(u64);

impl Chance {
    /// Starts from a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Columns of text of a table, row by row.
fn texts(lake: &LakeOptions, table: &'static Table, columns: &[&str]) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lake = Lake::open(lake).await.expect("a lake");
        let snapshot = lake.snapshot(table).await.expect("a snapshot");
        let files: Vec<_> = snapshot.files.iter().collect();
        let mut rows = Vec::new();
        let visit = |batch: &arrow::array::RecordBatch| {
            let columns: Vec<_> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
            let row = |row: usize| columns.iter().map(|column| column.value(row).to_owned()).collect();
            rows.extend((0..batch.num_rows()).map(row));
        };
        lake.scan(table, &snapshot, &files, columns, visit).await.expect("reads");
        rows
    })
}

fn folder_lake(world: &World) -> LakeOptions {
    LakeOptions { location: world.lake().to_string_lossy().into_owned(), ..LakeOptions::default() }
}

/// Checks what holds at any moment: no event twice, and no object entered whose events are not there. Answers the
/// numbers of the events (see `record`) and how many objects are entered.
pub fn check(lake: &LakeOptions, events_of: impl Fn(&str) -> std::ops::Range<u32>) -> (BTreeSet<u32>, usize) {
    let number = |id: &str| u32::from_str_radix(&id[24..], 16).expect("an id of `record`");
    // the ledger first: what it has now must be in what is read afterwards
    let entered = texts(lake, &OBJECTS, &["key", "status"]);
    let all: Vec<u32> = texts(lake, &EVENTS, &["eventid"]).iter().map(|row| number(&row[0])).collect();
    let distinct: BTreeSet<u32> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len(), "events are doubled");
    for row in &entered {
        assert_eq!(row[1], "done");
        let missing: Vec<u32> = events_of(&row[0]).filter(|number| !distinct.contains(number)).collect();
        assert_eq!(missing, Vec::<u32>::new(), "{} is entered ahead of its events", row[0]);
    }
    (distinct, entered.iter().map(|row| &row[0]).collect::<BTreeSet<_>>().len())
}

fn sql(world: &World, sql: &str) -> Vec<String> {
    let ended = world.run(&["query", sql, "--lake", "lake", "-o", "csv"]).expect(0);
    ended.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn copies_are_dropped_however_they_arrive() {
    let world = World::new();
    let key = |trail: &str, day: u32, name: &str| {
        format!("{trail}/AWSLogs/o-1/111122223333/CloudTrail/eu-west-1/2026/01/{day:02}/{name}.json.gz")
    };
    // two trails in one run, each with files of its own cut
    world.put(&key("org", 1, "a"), object(0..60));
    world.put(&key("member", 1, "b"), object(0..35));
    world.put(&key("member", 1, "c"), object(35..60));
    let first = world.ingest(&[]).expect(0);
    assert!(first.stdout.contains("120 seen -> 60 rows, 60 duplicates, 0 rejects"), "{}", first.stdout);
    // under another day, in a later run, with something new; and the same object with another version
    world.put(&key("org", 2, "late"), object(30..70));
    world.put(&key("org", 1, "a"), gzip(envelope(&records(0..61))));
    let second = world.ingest(&["--report", "report.json"]).expect(0);
    assert!(second.stdout.contains("101 seen -> 10 rows, 91 duplicates, 0 rejects"), "{}", second.stdout);
    assert_eq!(world.report()["accounted"], true);
    assert_eq!(check(&folder_lake(&world), |_| 0..60).0, (0..70).collect());
}

#[test]
fn late_events_land_in_their_own_day_and_are_known_there() {
    let world = World::new();
    let day = 1440;
    // out of order, from three days, in one object of the third
    let mixed: Vec<Value> = [2 * day, 5, day + 7, 2 * day + 1, 6].map(record).to_vec();
    world.put("AWSLogs/1/CloudTrail/eu-west-1/2026/01/03/late.json.gz", gzip(envelope(&mixed)));
    world.put("AWSLogs/1/CloudTrail/eu-west-1/2026/01/01/first.json.gz", object(0..5000));
    world.ingest(&["--commit-bytes", "1"]).expect(0);
    let days = sql(
        &world,
        "SELECT event_date, count(*), bool_and(CAST(eventtime AS DATE) = event_date) FROM events GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(days, ["2026-01-01,1440,true", "2026-01-02,1440,true", "2026-01-03,1440,true", "2026-01-04,680,true"]);
}

#[test]
fn a_broken_object_is_tried_again_and_then_given_up_in_sight() {
    let world = World::new();
    world.put("good.json.gz", object(0..5));
    let whole = object(5..50);
    world.put("partial.json.gz", &whole[..whole.len() / 2]);
    let args = ["--max-attempts", "3", "--report", "report.json"];
    for attempt in 1..=3 {
        world.ingest(&args).expect(2);
        let report = world.report();
        let objects = &report["objects"];
        assert_eq!([&objects["rejected"], &objects["quarantined"]], [1, u64::from(attempt == 3)], "{report}");
    }
    // given up: no failure any more, but told
    let fine = world.ingest(&args).expect(0);
    assert!(fine.stdout.contains("given up 0 objects now, 1 before"), "{}", fine.stdout);
    assert_eq!(world.report()["objects"]["in_quarantine"], 1);
    let told = world.run(&["query", "quarantine", "--lake", "lake", "-o", "csv"]).expect(0).stdout;
    assert!(told.contains("partial.json.gz") && told.contains("broken_gzip") && told.contains(",3,"), "{told}");
    assert_eq!(world.rows(&REJECTS), 1);
    // released, it starts again
    world.ingest(&["--retry-quarantined"]).expect(2);
    world.ingest(&args).expect(2);
    // and the rest of the upload makes it another version, which resolves what was kept of the first
    world.put("partial.json.gz", &whole);
    world.ingest(&args).expect(0);
    assert_eq!(world.rows(&EVENTS), 50);
    assert_eq!(sql(&world, "SELECT resolution, count(*) FROM rejects GROUP BY 1"), ["superseded,1"]);
    assert_eq!(
        world.run(&["query", "rejects-by-reason", "--lake", "lake", "-o", "csv"]).expect(0).stdout.lines().count(),
        1
    );
}

#[test]
fn rejects_are_replayed_from_the_object_once_the_limit_allows_it() {
    let world = World::new();
    world.put("big.json.gz", object(0..3000));
    world.ingest(&["--max-object-size", "100KiB", "--max-attempts", "1"]).expect(2);
    assert_eq!(sql(&world, "SELECT reason, resolved_at IS NULL FROM rejects"), ["too_large,true"]);
    let still = world.ingest(&["--replay-rejects", "--max-object-size", "100KiB"]).expect(2);
    assert!(still.stdout.contains("rejects  1 open, 0 resolved, 1 left"), "{}", still.stdout);
    let done = world.ingest(&["--replay-rejects", "--report", "report.json"]).expect(0);
    assert!(done.stdout.contains("rejects  1 open, 1 resolved, 0 left"), "{}", done.stdout);
    assert_eq!(world.report()["replay"], json!({"open": 1, "resolved": 1, "left": 0}));
    assert_eq!(world.rows(&EVENTS), 3000);
    assert_eq!(sql(&world, "SELECT resolution, count(*) FROM rejects GROUP BY 1"), ["replayed,1"]);
    // nothing is left to be done, and nothing is doubled
    world.ingest(&["--replay-rejects"]).expect(0);
    world.ingest(&[]).expect(0);
    assert_eq!(world.rows(&EVENTS), 3000);
}

/// Writes a reject as an older release might have left it: of a record that is fine by now.
fn plant_reject(world: &World, raw: &str, position: i64) {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        text("s3://gone/object.json.gz"),
        text("v1"),
        Arc::new(Int64Array::from(vec![position])),
        text("no_event_time"),
        text("an older release did not know this form"),
        text(raw),
        Arc::new(Int64Array::from(vec![raw.len() as i64])),
        Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(vec![None::<i64>]).with_timezone("UTC")),
        Arc::new(StringArray::from(vec![None::<&str>])),
    ];
    let rows = RecordBatch::try_new(REJECTS.schema(), columns).expect("a row of rejects");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lake = Lake::open(&folder_lake(world)).await.expect("a lake");
        lake.append(&REJECTS, &[rows]).await.expect("appends");
    });
}

#[test]
fn rejects_are_replayed_from_their_own_text_without_the_object() {
    let world = World::new();
    world.put("a.json.gz", object(0..3));
    world.ingest(&[]).expect(0);
    plant_reject(&world, &record(7).to_string(), 4);
    plant_reject(&world, &record(2).to_string(), 5);
    plant_reject(&world, "{\"eventID\":\"still without a time\"}", 6);
    let replayed = world.ingest(&["--replay-rejects", "--report", "report.json"]).expect(2);
    assert!(replayed.stdout.contains("rejects  3 open, 2 resolved, 1 left"), "{}", replayed.stdout);
    let report = world.report();
    assert_eq!([&report["records"], &report["rows"], &report["duplicates"], &report["rejects"]], [3, 1, 1, 1]);
    assert_eq!(world.rows(&EVENTS), 4);
    assert_eq!(world.rows(&REJECTS), 3, "a replay rejects nothing anew");
    let sources = sql(&world, "SELECT DISTINCT source_object FROM events WHERE source_object LIKE 's3://gone/%'");
    assert_eq!(sources, ["s3://gone/object.json.gz"]);
}

fn insight(number: u32, state: &str) -> Value {
    json!({
        "eventVersion": "1.09", "eventTime": format!("2026-01-01T10:{:02}:00Z", number % 60), "awsRegion": "eu-west-1",
        "eventID": format!("00000000-0000-4000-9000-{number:012x}"), "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": "111122223333", "sharedEventID": "shared-1", "eventCategory": "Insight",
        "insightDetails": {
            "state": state, "eventSource": "s3.amazonaws.com", "eventName": "DeleteBucket",
            "insightType": "ApiCallRateInsight",
            "insightContext": {"statistics": {"baseline": {"average": 0.5}, "insight": {"average": 30.0}}}
        }
    })
}

#[test]
fn every_kind_of_file_goes_where_it_belongs() {
    let world = World::new();
    let place = |kind: &str, name: &str| format!("AWSLogs/o-1/111122223333/{kind}/eu-west-1/2026/01/01/{name}.json.gz");
    let aggregate = json!({
        "eventVersion": "1.0", "accountId": "111122223333", "eventId": "a-1", "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent", "awsRegion": "eu-west-1", "eventSource": "s3.amazonaws.com",
        "timeWindow": {"windowStart": "2026-01-01 10:00:00", "windowEnd": "2026-01-01 10:05:00", "windowSize": "PT5M"},
        "summary": {"primaryDimension": {"dimension": "eventName", "statistics": [{"name": "GetObject", "value": 9}],
                    "aggregationType": "Count"}, "details": []}
    });
    let digest = json!({"awsAccountId": "1", "digestStartTime": "x", "digestS3Object": "y", "logFiles": []});
    let network = |number: u32, spelled: &str| {
        let mut event = record(number);
        event["eventType"] = json!(spelled);
        event["eventCategory"] = json!("NetworkActivity");
        event["vpcEndpointId"] = json!("vpce-1");
        event["errorCode"] = json!("VpceAccessDenied");
        event
    };
    world.put(&place("CloudTrail", "log"), object(0..5));
    world.put(&place("CloudTrail-Insight", "insight"), gzip(envelope(&[insight(1, "Start"), insight(2, "End")])));
    world.put(&place("CloudTrail-Aggregated", "sums"), gzip(envelope(std::slice::from_ref(&aggregate))));
    let activity = [network(700, "AwsVpceEvent"), network(701, "AwsVpceEvents")];
    world.put(&place("CloudTrail-NetworkActivity", "network"), gzip(envelope(&activity)));
    world.put(&place("CloudTrail-Digest", "digest"), gzip(digest.to_string()));
    // the same under names that say nothing, with copies among them
    world.put("renamed.json", envelope(&[record(5), insight(2, "End"), insight(3, "Start"), aggregate]));
    world.put("hashes.json", digest.to_string());
    let ended = world.ingest(&["--report", "report.json"]).expect(0);
    let report = world.report();
    assert_eq!(report["rows_by_table"], json!({"events": 8, "insights": 3, "aggregated": 1}), "{}", ended.stdout);
    assert_eq!([&report["records"], &report["rows"], &report["duplicates"]], [14, 12, 2]);
    assert_eq!(report["objects"]["skipped"], json!({"digest": 1}), "the one whose name does not say so");
    assert_eq!(report["objects"]["left_out"], json!({"CloudTrail-Digest": 1}));
    assert_eq!((world.rows(&EVENTS), world.rows(&INSIGHTS), world.rows(&AGGREGATED)), (8, 3, 1));
    let again = world.ingest(&[]).expect(0);
    assert!(again.stdout.contains("0 seen -> 0 rows"), "{}", again.stdout);
    let told = world.run(&["query", "network-activity", "--lake", "lake", "-o", "csv"]).expect(0).stdout;
    assert!(told.contains("vpce-1") && told.contains("VpceAccessDenied,2,"), "{told}");
    let told = world.run(&["query", "insights", "--lake", "lake", "-o", "csv"]).expect(0).stdout;
    assert!(told.contains("DeleteBucket,ApiCallRateInsight,,30.0,0.5"), "{told}");
    // and the copies are known to later runs
    world.put("late.json", envelope(&[insight(1, "Start"), insight(4, "End")]));
    world.ingest(&["--report", "report.json"]).expect(0);
    assert_eq!([&world.report()["rows"], &world.report()["duplicates"]], [1, 1]);
}

#[test]
fn an_update_takes_the_place_of_what_it_updates_in_the_view_alone() {
    let world = World::new();
    let update = |number: u32, of: u32| {
        let mut event = record(number);
        event["addendum"] = json!({"reason": "UPDATED_DATA", "updatedFields": "userAgent",
            "originalRequestID": format!("REQ{of}"), "originalEventID": record(of)["eventID"]});
        event
    };
    let mut delayed = record(30);
    delayed["addendum"] = json!({"reason": "DELIVERY_DELAY"});
    // 0 is updated once, 1 twice
    world.put(
        "a.json.gz",
        gzip(envelope(&[record(0), record(1), record(2), update(20, 0), update(21, 1), update(22, 1), delayed])),
    );
    world.ingest(&[]).expect(0);
    assert_eq!(sql(&world, "SELECT count(*) FROM events"), ["7"]);
    let ids = sql(&world, "SELECT right(eventid, 2) FROM events_latest ORDER BY eventtime");
    assert_eq!(ids, ["02", "14", "16", "1e"]);
}

#[test]
fn versions_are_compared_by_their_numbers_and_kept_as_text() {
    let world = World::new();
    let versioned = |(number, version): (u32, &str)| {
        let mut event = record(number);
        event["eventVersion"] = json!(version);
        event
    };
    let events: Vec<Value> = (0..).zip(["1.10", "1.09", "1.08", "1.9", "1.11"]).map(versioned).collect();
    world.put("a.json", envelope(&events));
    world.ingest(&[]).expect(0);
    let sorted = sql(&world, "SELECT eventversion FROM events ORDER BY version_number(eventversion), eventversion");
    assert_eq!(sorted, ["1.08", "1.09", "1.9", "1.10", "1.11"]);
    let newer = sql(&world, "SELECT count(*) FROM events WHERE version_number(eventVersion) >= version_number('1.10')");
    assert_eq!(newer, ["2"]);
}

/// Objects of ten events each, of which neighbours share two.
fn numbers(object: u32) -> std::ops::Range<u32> {
    object * 8..object * 8 + 10
}

fn name(object: u32) -> String {
    format!("{object:06}.json.gz")
}

fn events_of(key: &str) -> std::ops::Range<u32> {
    let name = key.rsplit('/').next().unwrap_or_default();
    numbers(name[..6].parse().expect("a name of `name`"))
}

/// The program on its way through the source, in small commits.
fn start(world: &World) -> Child {
    let mut command = world.command(&["ingest", "source", "--lake", "lake", "--commit-bytes", "2KiB"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Waits for a moment of the child's life, and kills it; false where it had ended, and well, by then.
pub fn kill_after(mut child: Child, moment: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < moment {
        if let Some(status) = child.try_wait().expect("waits") {
            assert!(
                status.success(),
                "{}",
                std::io::read_to_string(child.stderr.take().expect("piped")).expect("reads")
            );
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("kills");
    child.wait().expect("waits");
    true
}

/// Kills on one lake, so that its log does not get so long that every start takes its time to read it.
const KILLS_OF_A_LAKE: usize = 25;

/// Objects that are added when all are read: the program always has some commits before it.
const NEW_OBJECTS: u32 = 12;

/// Kills runs at moments drawn from all of a run's duration, lets the last one through, and checks what is there.
fn kill_again_and_again(seed: u64) -> usize {
    let (world, mut chance) = (World::new(), Chance::of(seed));
    let (mut objects, mut kills) = (0, 0);
    let more = |objects: &mut u32| {
        for object in *objects..*objects + NEW_OBJECTS {
            world.put(&name(object), crate::support::records::object(numbers(object)));
        }
        *objects += NEW_OBJECTS;
    };
    more(&mut objects);
    let began = Instant::now();
    assert!(start(&world).wait().expect("waits").success());
    let whole = began.elapsed();
    while kills < KILLS_OF_A_LAKE {
        if check(&folder_lake(&world), events_of).1 + 4 > objects as usize {
            more(&mut objects);
        }
        let moment = whole.mul_f64(chance.below(1000) as f64 / 1000.0);
        kills += usize::from(kill_after(start(&world), moment));
    }
    world.ingest(&[]).expect(0);
    let (events, entered) = check(&folder_lake(&world), events_of);
    assert_eq!((events, entered), ((0..objects * 8 + 2).collect(), objects as usize));
    world.ingest(&["--report", "report.json"]).expect(0);
    assert_eq!([&world.report()["rows"], &world.report()["objects"]["read"]], [0, 0]);
    kills
}

#[test]
fn killed_at_200_moments_every_event_is_there_once() {
    let kills: usize = std::thread::scope(|scope| {
        let halves = [1, 2]
            .map(|half| scope.spawn(move || (0..4).map(|lake| kill_again_and_again(half * 100 + lake)).sum::<usize>()));
        halves.map(|half| half.join().expect("no panic")).into_iter().sum()
    });
    assert_eq!(kills, 200);
}

#[test]
fn four_workers_of_which_one_dies_double_and_lose_nothing() {
    let mut chance = Chance::of(4);
    for _round in 0..4 {
        let world = World::new();
        let objects = 40;
        for object in 0..objects {
            world.put(&name(object), crate::support::records::object(numbers(object)));
        }
        let mut workers: BTreeMap<usize, Child> = (0..4).map(|worker| (worker, start(&world))).collect();
        let victim = workers.remove(&(chance.below(4) as usize)).expect("a worker");
        // mostly in the middle of the commits that they all fight for
        kill_after(victim, Duration::from_millis(200 + chance.below(2500)));
        for worker in workers.into_values() {
            let output = worker.wait_with_output().expect("waits");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        check(&folder_lake(&world), events_of);
        world.ingest(&[]).expect(0);
        let (events, _) = check(&folder_lake(&world), events_of);
        assert_eq!(events, (0..objects * 8 + 2).collect());
    }
}
