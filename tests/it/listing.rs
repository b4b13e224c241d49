//! Finding the objects of a source: which are found, with how many requests, and which are not looked for again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};
use trailhound::schema::{EVENTS, LISTINGS};

use crate::support::World;
use crate::support::aws::Aws;
use crate::support::emulator::{Emulator, Kind};
use crate::support::proxy::{Action, Proxy, Request};
use crate::support::records::object;

fn ministack() -> Option<&'static Emulator> {
    Emulator::shared(Kind::Ministack)
}

/// A key of an organization's trail.
fn key(account: &str, kind: &str, region: &str, day: NaiveDate, number: u32) -> String {
    let (folders, date) = (day.format("%Y/%m/%d"), day.format("%Y%m%d"));
    format!(
        "AWSLogs/o-example/{account}/{kind}/{region}/{folders}/\
         {account}_{kind}_{region}_{date}T0005Z_{number:016}.json.gz"
    )
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

fn ago(days: u64) -> NaiveDate {
    today() - Days::new(days)
}

/// Requests to list that a run made.
#[derive(Clone, Default)]
struct Lists(Arc<Mutex<Vec<String>>>);

impl Lists {
    /// A proxy that notes them, and does with a request what `decide` says.
    fn proxy(&self, emulator: &Emulator, decide: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Proxy {
        let lists = self.clone();
        Proxy::start(emulator.endpoint(), move |request| {
            if request.target.contains("list-type=2") && !request.target.contains("lake") {
                lists.0.lock().expect("no panic").push(request.target.clone());
            }
            decide(request)
        })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

/// Puts many small objects, some at a time.
async fn fill(aws: &Aws, bucket: &str, keys: impl IntoIterator<Item = String>) {
    use futures::StreamExt;
    let puts = keys.into_iter().map(|key| async move { aws.put(bucket, &key, object(0..1)).await });
    futures::stream::iter(puts).buffer_unordered(32).count().await;
}

fn ingest<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["ingest", source, "--lake", "lake", "--report", "report.json"], more].concat()
}

/// Regions of which days are remembered.
fn remembered(world: &World) -> u64 {
    // the library's look into the lake brings a runtime of its own
    std::thread::scope(|scope| scope.spawn(|| world.rows(&LISTINGS)).join().expect("no panic"))
}

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// Two accounts with two regions: 600 objects each 20 days ago, five each yesterday; digests and flow logs beside them.
async fn organization(emulator: &Emulator, bucket: &str) -> Aws {
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    for account in ACCOUNTS {
        for region in REGIONS {
            fill(&aws, bucket, (0..600).map(|number| key(account, "CloudTrail", region, ago(20), number))).await;
            fill(&aws, bucket, (0..5).map(|number| key(account, "CloudTrail", region, ago(1), number))).await;
            fill(&aws, bucket, (0..3).map(|number| key(account, "CloudTrail-Digest", region, ago(1), number))).await;
        }
        let flow = |number| format!("AWSLogs/{account}/vpcflowlogs/eu-west-1/2026/01/01/{number}.log.gz");
        fill(&aws, bucket, (0..10).map(flow)).await;
    }
    aws
}

#[tokio::test]
async fn requests_are_few_and_known_days_are_not_listed_again() {
    // a server of its own: thousands of objects would slow the other tests down
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let aws = organization(&emulator, "org").await;
    let (world, lists) = (World::new(), Lists::default());
    let proxy = lists.proxy(&emulator, |_| Action::Forward);
    let run = |more: &[&str]| {
        world.run_at(&proxy.endpoint, &ingest("s3://org", more)).expect(0);
        let report = world.report();
        let asked = lists.take();
        assert_eq!(report["list_requests"], asked.len(), "{asked:#?}");
        (asked.len(), report)
    };
    // the first page of the bucket, what is behind the tree; its organization and two accounts with flow logs; the
    // accounts of the organization; their kinds; their regions; each region once
    let fanned_out = 2 + 1 + 2 + 1 + 2 + 2 + 4;
    let (requests, report) = run(&[]);
    assert_eq!(requests, fanned_out, "a region of 605 objects takes one request");
    assert_eq!([&report["objects"]["listed"], &report["objects"]["read"]], [2_420, 2_420]);
    assert_eq!(report["objects"]["left_out"], json!({"CloudTrail-Digest": 2, "vpcflowlogs": 2}));
    let (requests, report) = run(&[]);
    assert_eq!((requests, &report["objects"]["known"]), (fanned_out, &json!(2_420)));
    assert_eq!(remembered(&world), 4, "all was in the ledger when it was listed");

    let (requests, report) = run(&[]);
    assert_eq!((requests, &report["objects"]["listed"]), (fanned_out, &json!(20)), "only the last days");
    assert_eq!(report["rows"], 0);

    // late objects within the window are found, those before it only when all is listed
    fill(&aws, "org", [key(ACCOUNTS[0], "CloudTrail", "eu-west-1", ago(2), 9_001)]).await;
    fill(&aws, "org", [key(ACCOUNTS[0], "CloudTrail", "eu-west-1", ago(19), 9_002)]).await;
    assert_eq!(run(&[]).1["objects"]["read"], 1);
    assert_eq!(run(&["--relist-days", "30"]).1["objects"]["read"], 1);
    fill(&aws, "org", [key(ACCOUNTS[0], "CloudTrail", "eu-west-1", ago(18), 9_003)]).await;
    assert_eq!(run(&["--relist-all"]).1["objects"]["read"], 1);
    // what appears for the first time is listed from its beginning
    fill(&aws, "org", [key("777788889999", "CloudTrail", "ap-south-2", ago(400), 1)]).await;
    assert_eq!(run(&[]).1["objects"]["read"], 1);
}

#[tokio::test]
async fn a_long_region_is_listed_in_pieces_without_a_gap() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let aws = Aws::of(&emulator);
    aws.bucket("long").await;
    // 100 days of 130 objects: the first page spans a week, so that ten of them are expected to span 71 days
    let days = (0..100).map(|back| ago(99 - back));
    let keys = days.flat_map(|day| (0..130).map(move |number| key(ACCOUNTS[0], "CloudTrail", REGIONS[0], day, number)));
    fill(&aws, "long", keys).await;
    let region = format!("s3://long/AWSLogs/o-example/{}/CloudTrail/{}/", ACCOUNTS[0], REGIONS[0]);
    for (source, requests) in [("s3://long/", 6 + 11 + 3), (region.as_str(), 11 + 3)] {
        let world = World::new();
        world.run_at(emulator.endpoint(), &ingest(source, &["--dry-run", "-o", "json"])).expect(0);
        let report = world.report();
        assert_eq!([&report["total"]["objects"], &report["list_requests"]], [13_000, requests], "{source}");
        assert!(!world.lake().exists(), "a dry run makes nothing");
    }
    // from a day's beginning to a day's beginning
    let world = World::new();
    let (from, to) = (ago(50).to_string(), ago(40).to_string());
    let args = ingest("s3://long", &["--dry-run", "--from", &from, "--to", &to]);
    let ended = world.run_at(emulator.endpoint(), &args).expect(0);
    assert!(ended.stdout.contains("1300 objects found, 0 known; 8 list requests"), "{}", ended.stdout);
}

/// Several trails and other files in one bucket.
async fn trails(emulator: &Emulator, bucket: &str) -> Aws {
    let aws = Aws::of(emulator);
    aws.bucket(bucket).await;
    let day = NaiveDate::from_ymd_opt(2026, 1, 31).expect("a day");
    let org = key(ACCOUNTS[0], "CloudTrail", "eu-west-1", day, 1);
    let network = key(ACCOUNTS[0], "CloudTrail-NetworkActivity", "eu-west-1", day, 1);
    let plain = key(ACCOUNTS[1], "CloudTrail", "us-east-1", day, 1).replace("o-example/", "");
    let keys = [org.clone(), network, plain.clone(), format!("team/a/{org}"), format!("team/b/{plain}")];
    let others = ["AWSLogs/", "AWSLogs/copied/x.json.gz", "flat.json.gz", "other/2026/01/30/y.json", "notes.txt"];
    for (number, key) in (0..).zip(keys.into_iter().chain(others.map(str::to_owned))) {
        aws.put(bucket, &key, object(number * 10..number * 10 + 1)).await;
    }
    aws
}

/// More objects than a page has, so that the layout is looked at.
async fn crowd(aws: &Aws, bucket: &str) {
    fill(aws, bucket, (0..1_100).map(|number| format!("zzz/{number:04}.txt"))).await;
}

/// Objects that are read from a source of the bucket.
fn read(world: &World, emulator: &Emulator, source: &str, more: &[&str]) -> u64 {
    let lake = format!("lake-{}", source.len() + more.len());
    let args = ["ingest", source, "--lake", &lake, "--report", "report.json"];
    world.run_at(emulator.endpoint(), &[&args, more].concat()).expect(0);
    world.report()["objects"]["read"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_source_may_be_at_any_depth() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    for bucket in ["trails", "crowded"] {
        let aws = trails(&emulator, bucket).await;
        if bucket == "crowded" {
            crowd(&aws, bucket).await;
        }
        let account = format!("AWSLogs/o-example/{}", ACCOUNTS[0]);
        for (prefix, expected) in [
            ("", 8),
            ("AWSLogs", 4),
            ("AWSLogs/", 4),
            ("AWSLogs/o-example/", 2),
            (&account, 2),
            (&format!("{account}/CloudTrail/"), 1),
            (&format!("{account}/CloudTrail/eu-west-1/"), 1),
            (&format!("{account}/CloudTrail/eu-west-1/2026/01/31/"), 1),
            (&format!("{account}/CloudTrail/eu-west-1/2026/01/3"), 1),
            (&format!("{account}/CloudTrail/eu-west-1/2026/02/"), 0),
            ("team/", 2),
            ("team/a", 1),
            ("other/", 1),
        ] {
            let world = World::new();
            assert_eq!(read(&world, &emulator, &format!("s3://{bucket}/{prefix}"), &[]), expected, "{bucket} {prefix}");
        }
    }
}

#[tokio::test]
async fn filters_take_what_they_say_and_list_no_more() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let aws = trails(&emulator, "filters").await;
    crowd(&aws, "filters").await;
    let lists = Lists::default();
    let proxy = lists.proxy(&emulator, |_| Action::Forward);
    for (more, expected, never) in [
        (&["--account", ACCOUNTS[0]][..], 3, ACCOUNTS[1]),
        (&["--account", ACCOUNTS[1]], 2, ACCOUNTS[0]),
        (&["--account", ACCOUNTS[0], "--account", ACCOUNTS[1]], 5, "nowhere"),
        (&["--trail-region", "us-east-1"], 2, "eu-west-1"),
        (&["--include", "AWSLogs/o-example/*"], 2, "prefix=team"),
        (&["--exclude", "*/eu-west-1/*"], 5, "eu-west-1"),
        (&["--from", "2026-01-31T00:05:00Z", "--to", "2026-01-31T00:06:00Z"], 5, "nowhere"),
        (&["--from", "2026-01-31T00:06:00Z", "--to", "2026-02-01"], 0, "nowhere"),
        (&["--to", "2026-01-31"], 1, "nowhere"),
    ] {
        let world = World::new();
        world.run_at(&proxy.endpoint, &ingest("s3://filters", more)).expect(0);
        assert_eq!(world.report()["objects"]["read"], expected, "{more:?}");
        let asked = lists.take();
        assert!(!asked.iter().any(|target| target.contains(never)), "{more:?} {asked:#?}");
    }
    let world = World::new();
    let wrong = world.run_at(emulator.endpoint(), &ingest("s3://filters", &["--include", "[a"])).expect(64);
    assert!(wrong.stderr.contains("[a"), "{}", wrong.stderr);
}

#[test]
fn folders_are_listed_and_filtered_like_buckets() {
    let world = World::new();
    for (number, account) in (0..).zip(ACCOUNTS) {
        for days in [1, 20] {
            let name = key(account, "CloudTrail", "eu-west-1", ago(days), number);
            world.put(&name, object(number * 100 + days as u32..number * 100 + days as u32 + 1));
        }
        world.put(&key(account, "CloudTrail-Digest", "eu-west-1", ago(1), 0), "{}");
    }
    world.put("other/flat.json.gz", object(500..501));
    let report = |more: &[&str]| {
        world.ingest(&[&["--report", "report.json"], more].concat()).expect(0);
        let objects = world.report()["objects"].clone();
        [objects["listed"].clone(), objects["read"].clone()]
    };
    assert_eq!(
        report(&["--account", ACCOUNTS[1], "--trail-region", "eu-west-1", "--to", &today().to_string()]),
        [2, 2]
    );
    assert_eq!(report(&["--exclude", "other/*"]), [4, 2]);
    assert_eq!(report(&[]), [5, 1]);
    assert_eq!(world.report()["objects"]["left_out"], json!({"CloudTrail-Digest": 2}));
    assert_eq!(report(&[]), [3, 0], "the days before the window are remembered");
    assert_eq!(report(&["--relist-all"]), [5, 0]);
    assert_eq!(world.rows(&EVENTS), 5);
}

#[tokio::test]
async fn what_may_not_be_listed_is_told_and_the_rest_goes_on() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let aws = organization(&emulator, "rights").await;
    fill(&aws, "rights", (0..600).map(|number| key(ACCOUNTS[1], "CloudTrail", "eu-west-1", ago(2), number))).await;
    let denied = |request: &Request| {
        request.target.contains("list-type=2") && request.target.contains("444455556666%2FCloudTrail%2Feu-west-1")
    };
    let lists = Lists::default();
    let proxy = lists.proxy(&emulator, move |request| match denied(request) {
        true => Action::error(403, "AccessDenied"),
        false => Action::Forward,
    });
    let world = World::new();
    let ended = world.run_at(&proxy.endpoint, &ingest("s3://rights/AWSLogs/", &[])).expect(2);
    let named = "cannot list s3://rights/AWSLogs/o-example/444455556666/CloudTrail/eu-west-1/: AccessDenied";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    let report = world.report();
    assert_eq!(report["objects"]["read"], 3 * 605);
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(1), "{}", report["failures"]);
    // once all is known, only what was listed to its end is remembered
    world.run_at(&proxy.endpoint, &ingest("s3://rights/AWSLogs/", &[])).expect(2);
    assert_eq!(remembered(&world), 3);
    world.run_at(emulator.endpoint(), &ingest("s3://rights/AWSLogs/", &[])).expect(0);
    assert_eq!(world.report()["objects"]["read"], 1_205);
}

#[tokio::test]
async fn a_dry_run_counts_by_account_and_region() {
    let Some(emulator) = ministack() else { return };
    let aws = trails(emulator, "dry").await;
    let world = World::new();
    let dry = |more: &[&str]| {
        let args = [&["ingest", "s3://dry/", "--lake", "lake", "--dry-run"], more].concat();
        world.run_at(emulator.endpoint(), &args).expect(0).stdout
    };
    let whole: Value = serde_json::from_str(&dry(&["-o", "json"])).expect("JSON");
    assert_eq!([&whole["total"]["objects"], &whole["total"]["requests"], &whole["list_requests"]], [8, 8, 1]);
    let shares = whole["shares"].as_array().expect("an array");
    let counts =
        shares.iter().map(|share| (share["account"].clone(), share["region"].clone(), share["objects"].clone()));
    let expected = [(Value::Null, Value::Null, json!(3)), (json!(ACCOUNTS[0]), json!("eu-west-1"), json!(3))];
    assert_eq!(counts.take(2).collect::<Vec<_>>(), expected);
    assert_eq!(dry(&["-o", "ndjson"]).lines().count(), 3);
    assert_eq!(dry(&["-o", "csv"]).lines().next(), Some("account,region,objects,bytes,requests"));
    assert!(dry(&[]).contains("8 objects found, 0 known; 1 list requests"));
    assert!(!world.lake().exists(), "a dry run makes nothing");
    world.run_at(emulator.endpoint(), &ingest("s3://dry", &[])).expect(0);
    aws.put("dry", "new.json.gz", object(0..1)).await;
    assert!(dry(&[]).contains("9 objects found, 8 known; 1 list requests"));
    let names: BTreeSet<_> =
        std::fs::read_dir(world.lake()).expect("a lake").flatten().map(|e| e.file_name()).collect();
    assert!(!names.contains(std::ffi::OsStr::new("listings")), "{names:?}");
}
