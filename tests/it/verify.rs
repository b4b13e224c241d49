//! `trailhound verify`: chains that the tests sign, harmed in every way, in a folder and in a bucket.

use std::io::Write;
use std::process::Stdio;

use base64::Engine;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::aws::Aws;
use crate::support::canned::Canned;
use crate::support::emulator::{self, Emulator, Kind};
use crate::support::forge::{Forged, Log, SIGNERS, Trail, gzip, pem, public_keys};
use crate::support::records::record;
use crate::support::{Ended, World};

const ACCOUNT: &str = "111122223333";

/// A world that has the public keys in keys.json.
fn world() -> World {
    let world = World::new();
    write_keys(&world, &public_keys(&[SIGNERS[0].pkcs1(), SIGNERS[1].pkcs1()]).to_string());
    world
}

fn write_keys(world: &World, text: &str) {
    std::fs::write(world.path("keys.json"), text).unwrap();
}

/// Puts a digest's object, with its metadata beside it.
fn put_digest(world: &World, digest: &Forged) {
    let path = world.put(&digest.key, gzip(&digest.text));
    let metadata: serde_json::Map<String, Value> =
        digest.metadata().into_iter().map(|(name, value)| (name, value.into())).collect();
    let head = json!({ "ContentLength": 1, "Metadata": metadata });
    std::fs::write(format!("{}.metadata.json", path.display()), head.to_string()).unwrap();
}

fn put_logs(world: &World, digest: &Forged) {
    for log in &digest.logs {
        world.put(&log.key, gzip(&log.text));
    }
}

fn put(world: &World, digests: &[Forged]) {
    for digest in digests {
        put_digest(world, digest);
        put_logs(world, digest);
    }
}

fn remove(world: &World, key: &str) {
    let path = world.path("source").join(key);
    std::fs::remove_file(&path).unwrap();
    let _ = std::fs::remove_file(format!("{}.metadata.json", path.display()));
}

fn verify(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["verify", "source", "--public-keys", "keys.json"], more].concat())
}

/// Kind and file name (or time) of each problem, as printed.
fn problems(world: &World, more: &[&str]) -> Vec<(String, String)> {
    let ended = verify(world, &[&["-o", "ndjson", "--report", "report.json"], more].concat());
    let found: Vec<(String, String)> = ended
        .stdout
        .lines()
        .map(|line| {
            let problem: Value = serde_json::from_str(line).unwrap();
            let name = problem["object"].as_str().map(|name| name.rsplit('/').next().unwrap().to_owned());
            let time = || format!("{} {}", problem["from"].as_str().unwrap(), problem["to"].as_str().unwrap());
            (problem["kind"].as_str().unwrap().to_owned(), name.unwrap_or_else(time))
        })
        .collect();
    assert_eq!(ended.code, if found.is_empty() { 0 } else { 2 }, "{}", ended.stderr);
    found
}

fn named(kind: &str, key: &str) -> (String, String) {
    (kind.to_owned(), key.rsplit('/').next().unwrap().to_owned())
}

fn timed(kind: &str, digest: &Forged) -> (String, String) {
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    (kind.to_owned(), format!("{} {}", time(digest.starts), time(digest.ends)))
}

fn trail() -> Trail {
    Trail::new(ACCOUNT, "eu-west-1", "2026-01-31T20:01:31Z")
}

/// A log file with some events of its own.
fn events(trail: &Trail, minutes: i64, number: u32) -> Log {
    let records: Vec<Value> = (number * 10..number * 10 + 3).map(record).collect();
    trail.log(minutes, &json!({ "Records": records }).to_string())
}

/// Digests of some hours with two log files each, but for every third, which has none.
fn chain(trail: &mut Trail, hours: u32) -> Vec<Forged> {
    (0..hours)
        .map(|hour| {
            let number = hour * 2 + trail.name.len() as u32 * 1000;
            let logs = match hour % 3 {
                2 => vec![],
                _ => vec![events(trail, 5, number), events(trail, 40, number + 1)],
            };
            trail.hour(logs)
        })
        .collect()
}

#[test]
fn a_whole_chain_is_valid() {
    let world = world();
    let digests = chain(&mut trail(), 8);
    put(&world, &digests);
    let ended = verify(&world, &["--report", "report.json"]).expect(0);
    assert!(ended.stdout.contains("problems none"), "{}", ended.stdout);
    assert!(ended.stdout.contains("8 found: 8 valid"), "{}", ended.stdout);
    let report = world.report();
    assert_eq!(report["digests"]["valid"], 8);
    assert_eq!([&report["logs"]["expected"], &report["logs"]["verified"]], [12, 12], "empty hours are fine");
    assert_eq!(problems(&world, &[]), []);
    assert_eq!(verify(&world, &["-o", "csv"]).expect(0).stdout.lines().count(), 1);
    let whole: Value = serde_json::from_str(&verify(&world, &["-o", "json"]).expect(0).stdout).unwrap();
    assert_eq!(whole["problems"], json!([]));
}

#[test]
fn a_copy_without_metadata_proves_all_but_the_newest_digest() {
    let world = world();
    let digests = chain(&mut trail(), 5);
    for digest in &digests {
        world.put(&digest.key, gzip(&digest.text));
        put_logs(&world, digest);
    }
    assert_eq!(problems(&world, &[]), [named("digest_unverified", &digests[4].key)]);
    assert_eq!(world.report()["digests"]["valid"], 4);
    assert_eq!(world.report()["logs"]["verified"], 8, "its log files are compared all the same");
    world.put(&digests[4].logs[0].key, "other");
    let found = problems(&world, &[]);
    assert!(found.contains(&named("log_modified", &digests[4].logs[0].key)), "{found:?}");
}

#[test]
fn log_files_that_are_missing_or_changed() {
    let world = world();
    let digests = chain(&mut trail(), 5);
    put(&world, &digests);
    remove(&world, &digests[0].logs[0].key);
    world.put(&digests[1].logs[0].key, gzip(&format!("{} ", digests[1].logs[0].text)));
    let whole = gzip(&digests[3].logs[1].text);
    world.put(&digests[3].logs[1].key, &whole[..whole.len() - 9]);
    // packed anew, or not at all, it is the same text
    world.put(&digests[4].logs[0].key, &digests[4].logs[0].text);
    assert_eq!(
        problems(&world, &[]),
        [
            named("log_missing", &digests[0].logs[0].key),
            named("log_modified", &digests[1].logs[0].key),
            named("log_modified", &digests[3].logs[1].key),
        ]
    );
    let logs = &world.report()["logs"];
    assert_eq!([&logs["expected"], &logs["verified"], &logs["missing"], &logs["modified"]], [8, 5, 1, 2]);
    let appended = [gzip(&digests[3].logs[1].text), gzip("{}")].concat();
    world.put(&digests[3].logs[1].key, appended);
    assert!(problems(&world, &[]).contains(&named("log_modified", &digests[3].logs[1].key)), "more behind the end");
}

#[test]
fn digests_that_are_deleted_changed_or_moved() {
    let world = world();
    let digests = chain(&mut trail(), 12);
    put(&world, &digests);
    remove(&world, &digests[1].key);
    assert_eq!(problems(&world, &[]), [named("digest_missing", &digests[1].key)]);
    // three in a row: the newest by name, the others by their hour
    for digest in &digests[4..7] {
        remove(&world, &digest.key);
    }
    let changed = digests[9].text.replace(&digests[9].logs[0].key, "elsewhere");
    world.put(&digests[9].key, gzip(&changed));
    assert_eq!(
        problems(&world, &[]),
        [
            named("digest_missing", &digests[1].key),
            timed("digest_missing", &digests[4]),
            timed("digest_missing", &digests[5]),
            named("digest_missing", &digests[6].key),
            named("digest_modified", &digests[9].key),
        ]
    );
    assert_eq!(world.report()["digests"]["missing"], 4);
    let moved = world.path("source").join(&digests[10].key);
    let target = digests[10].key.replace("/eu-west-1/", "/us-west-2/");
    world.put(&target, std::fs::read(&moved).unwrap());
    remove(&world, &digests[10].key);
    let found = problems(&world, &[]);
    assert!(found.contains(&named("digest_modified", &target)), "{found:?}");
    assert!(found.contains(&named("digest_missing", &digests[10].key)), "{found:?}");
}

#[test]
fn signatures_that_are_wrong_or_by_a_key_that_is_not_known() {
    let world = world();
    let mut trail = trail();
    let mut digests = chain(&mut trail, 3);
    trail.signer = 1;
    digests.extend(chain(&mut trail, 3));
    put(&world, &digests);
    assert_eq!(problems(&world, &[]), [], "keys are rotated");
    write_keys(&world, &public_keys(&[SIGNERS[1].pkcs1()]).to_string());
    let unknown: Vec<_> = digests[..3].iter().map(|digest| named("digest_unverified", &digest.key)).collect();
    assert_eq!(problems(&world, &[]), unknown);
    let detail = verify(&world, &["-o", "csv"]).stdout;
    assert!(detail.contains(&format!("no public key of fingerprint {}", SIGNERS[0].fingerprint())), "{detail}");
    write_keys(&world, &public_keys(&[SIGNERS[0].pkcs1(), SIGNERS[1].pkcs1()]).to_string());
    let mut tampered = digests[2].clone();
    tampered.signature = digests[1].signature.clone();
    put_digest(&world, &tampered);
    assert_eq!(problems(&world, &[]), [named("digest_modified", &tampered.key)]);
}

#[test]
fn keys_may_be_spki_or_pem() {
    let world = world();
    put(&world, &chain(&mut trail(), 2));
    let both = public_keys(&[SIGNERS[1].spki(), SIGNERS[0].spki()]).to_string();
    for text in [both, pem("PUBLIC KEY", &SIGNERS[0].spki()), pem("RSA PUBLIC KEY", &SIGNERS[0].pkcs1())] {
        write_keys(&world, &text);
        assert_eq!(problems(&world, &[]), [], "{text}");
    }
    write_keys(&world, "{}");
    let ended = verify(&world, &[]).expect(64);
    assert!(ended.stderr.contains("keys.json") && ended.stderr.contains("list-public-keys"), "{}", ended.stderr);
}

#[test]
fn a_pause_is_a_gap_and_an_early_end_is_told() {
    let world = world();
    let mut trail = trail();
    let mut digests = chain(&mut trail, 3);
    digests.push(trail.digest(vec![], TimeDelta::minutes(20)));
    trail.pause(4);
    digests.extend(chain(&mut trail, 4));
    put(&world, &digests);
    let gap = ("gap".to_owned(), "2026-01-31T23:21:31Z 2026-02-01T03:21:31Z".to_owned());
    assert_eq!(problems(&world, &[]), std::slice::from_ref(&gap));
    // another region's chain goes on for much longer
    let mut other = Trail { region: "us-west-2".to_owned(), ..self::trail() };
    put(&world, &chain(&mut other, 20));
    let stopped = named("stopped", &digests[7].key);
    assert_eq!(problems(&world, &[]), [gap, stopped]);
    assert_eq!(problems(&world, &["--trail-region", "us-west-2"]), []);
}

#[test]
fn trails_are_told_apart_whatever_their_names() {
    let world = world();
    for (name, prefix) in [
        ("main", "AWSLogs/o-abc/111122223333"),
        ("main_us-east-1", "AWSLogs/o-abc/111122223333"),
        ("a_b-c.d", "pre/fix/AWSLogs/111122223333"),
        ("main", "AWSLogs/111122223333"),
    ] {
        let mut trail = Trail { name: name.to_owned(), prefix: prefix.to_owned(), ..trail() };
        put(&world, &chain(&mut trail, 4));
    }
    let mut backfill = Trail { backfill: true, ..trail() };
    put(&world, &chain(&mut backfill, 2));
    assert_eq!(problems(&world, &[]), []);
    assert_eq!([&world.report()["trails"], &world.report()["chains"]], [4, 5]);
    // a digest of the backfill chain is not one of the other
    let digests = chain(&mut Trail { backfill: true, ..trail() }, 2);
    remove(&world, &digests[0].key);
    assert_eq!(problems(&world, &[]), [named("digest_missing", &digests[0].key)]);
}

#[test]
fn time_account_and_region_narrow_what_is_verified() {
    let world = world();
    let digests = chain(&mut trail(), 30);
    put(&world, &digests);
    let mut other = Trail::new("444455556666", "eu-west-1", "2026-01-31T20:00:00Z");
    let others = chain(&mut other, 30);
    put(&world, &others);
    remove(&world, &others[2].key);
    assert_eq!(problems(&world, &[]), [named("digest_missing", &others[2].key)]);
    assert_eq!(problems(&world, &["--account", ACCOUNT]), []);
    assert_eq!(problems(&world, &["--account", "444455556666,777788889999"]).len(), 1);
    assert_eq!(problems(&world, &["--from", "2026-02-01"]), [], "what is before was not asked for");
    assert_eq!(problems(&world, &["--from", "2026-02-01", "--to", "2026-02-01T05:00:00Z"]), []);
    assert_eq!(world.report()["digests"]["found"], 6 + 5);
    assert_eq!(problems(&world, &["--to", "2026-02-01T05:00:00Z"]).len(), 1);
    verify(&world, &["--from", "2026-02-01", "--to", "2026-01-01"]).expect(64);
    let none = verify(&world, &["--account", "999999999999"]).expect(2);
    assert!(none.stderr.contains("no digests"), "{}", none.stderr);
}

#[test]
fn a_copy_may_be_deeper_or_of_some_prefix() {
    let digests = chain(&mut trail(), 3);
    for (below, without) in [("evidence/bucket/", ""), ("", "AWSLogs/"), ("", "AWSLogs/o-abc/111122223333/")] {
        let world = world();
        for digest in &digests {
            let mut copy = digest.clone();
            let place = |key: &str| format!("{below}{}", key.strip_prefix(without).unwrap());
            copy.key = place(&copy.key);
            copy.logs.iter_mut().for_each(|log| log.key = place(&log.key));
            put(&world, &[copy]);
        }
        assert_eq!(problems(&world, &[]), [], "{below}{without}");
        assert_eq!(world.report()["logs"]["verified"], 4);
    }
    // digests alone: their chain is checked, and that the log files are not there is told
    let world = world();
    let head = "AWSLogs/o-abc/111122223333/CloudTrail-Digest/";
    for digest in &digests {
        let mut copy = digest.clone();
        copy.key = copy.key.strip_prefix(head).unwrap().to_owned();
        put_digest(&world, &copy);
    }
    let found = problems(&world, &[]);
    assert!(found.iter().all(|(kind, _)| kind == "log_unverified"), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[test]
fn hostile_names_are_inert_and_lead_nowhere() {
    let world = world();
    let mut trail = trail();
    let hostile =
        |key: &str| Log { key: key.to_owned(), text: "{}".to_owned(), oldest: "2026-01-31T20:00:00Z".parse().unwrap() };
    let digest = trail.hour(vec![hostile("../../keys.json"), hostile("/etc/passwd"), hostile("a\u{1b}[2Jb")]);
    put_digest(&world, &digest);
    let ended = verify(&world, &[]).expect(2);
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
    assert!(ended.stdout.contains("3 expected: 0 valid, 0 modified, 1 missing, 2 unverified"), "{}", ended.stdout);
}

fn query(world: &World, sql: &str) -> Vec<String> {
    let ended = world.run(&["query", "--lake", "lake", sql, "-o", "csv"]).expect(0);
    ended.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_lake_knows_which_hours_are_complete() {
    let world = world();
    let digests = chain(&mut trail(), 8);
    put(&world, &digests);
    world.ingest(&[]).expect(0);
    let lake = &["--lake", "lake"];
    verify(&world, lake).expect(0);
    let sql = "SELECT hour, status, digest, digests, expected, verified, ingested FROM completeness ORDER BY hour";
    let rows = query(&world, sql);
    assert_eq!(rows[0], "2026-01-31T20:00:00Z,no_digest,none,1,2,2,2", "the trail began at 20:01:31");
    assert_eq!(rows[1], "2026-01-31T21:00:00Z,complete,valid,1,2,2,2");
    assert_eq!(rows[2], "2026-01-31T22:00:00Z,complete,valid,1,0,0,0");
    assert_eq!(rows[7], "2026-02-01T03:00:00Z,complete,valid,1,2,2,2");
    assert_eq!(rows.len(), 8, "the hour that is not over has no row: {rows:?}");
    // a second time nothing is doubled
    verify(&world, lake).expect(0);
    assert_eq!(query(&world, sql), rows);
    // each kind of harm shows in its hour
    remove(&world, &digests[3].key);
    remove(&world, &digests[6].logs[0].key);
    world.put(&digests[1].logs[0].key, "{}");
    verify(&world, lake).expect(2);
    let rows = query(&world, "SELECT hour, status, missing, modified FROM completeness ORDER BY hour");
    assert_eq!(rows[1], "2026-01-31T21:00:00Z,modified,0,1");
    assert_eq!(rows[3], "2026-01-31T23:00:00Z,missing,0,0");
    assert_eq!(rows[4], "2026-02-01T00:00:00Z,missing,0,0", "its first minutes were of the digest that is gone");
    assert_eq!(rows[6], "2026-02-01T02:00:00Z,missing,1,0");
    let problems = query(&world, "SELECT problems FROM completeness WHERE hour = '2026-02-01T02:00:00Z'");
    assert!(problems[0].contains("log_missing"), "{problems:?}");
}

#[test]
fn what_is_not_ingested_is_not_complete() {
    let world = world();
    let digests = chain(&mut trail(), 4);
    put(&world, &digests[..2]);
    world.ingest(&[]).expect(0);
    put(&world, &digests[2..]);
    verify(&world, &["--lake", "lake"]).expect(0);
    let rows = query(&world, "SELECT status, expected, ingested FROM completeness ORDER BY hour");
    assert_eq!(rows, ["no_digest,2,2", "complete,2,2", "complete,0,0", "not_ingested,2,0"]);
}

#[test]
fn late_log_files_are_counted() {
    let world = world();
    let mut trail = trail();
    let mut late = events(&trail, 5, 1);
    late.oldest = trail.clock - TimeDelta::minutes(61);
    let usual = Log { oldest: trail.clock - TimeDelta::minutes(59), ..events(&trail, 6, 2) };
    put(&world, &[trail.hour(vec![late, usual])]);
    verify(&world, &["--report", "report.json"]).expect(0);
    assert_eq!(world.report()["logs"]["late"], 1);
}

/// Puts digests and log files into a bucket, digests with their metadata.
async fn upload(aws: &Aws, digests: &[Forged]) {
    for digest in digests {
        aws.put_described(&digest.bucket, &digest.key, gzip(&digest.text), &digest.metadata()).await;
        for log in &digest.logs {
            aws.put(&digest.bucket, &log.key, gzip(&log.text)).await;
        }
    }
}

#[tokio::test]
async fn a_bucket_is_verified_and_harm_is_found() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let (world, aws, bucket) = (world(), Aws::of(emulator), "verify-bucket");
        aws.bucket(bucket).await;
        let trails = [("main", "eu-west-1"), ("ma_in", "us-east-1")].map(|(name, region)| Trail {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            prefix: format!("pre/AWSLogs/o-abc/{ACCOUNT}"),
            region: region.to_owned(),
            ..trail()
        });
        let mut all = Vec::new();
        for mut trail in trails {
            let digests = chain(&mut trail, 30);
            upload(&aws, &digests).await;
            all.push(digests);
        }
        let run = |more: &[&str]| {
            let source = format!("s3://{bucket}");
            let args = [&["verify", &source, "--public-keys", "keys.json", "-o", "ndjson"], more].concat();
            world.run_at(emulator.endpoint(), &args)
        };
        let kinds = |ended: &Ended| -> Vec<String> {
            let kind = |line| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
            ended.stdout.lines().map(kind).collect()
        };
        // in a bucket, digests are due until now: both chains ended long ago
        let ended = run(&["--report", "report.json"]).expect(2);
        assert_eq!(kinds(&ended), ["stopped", "stopped"]);
        assert_eq!(world.report()["digests"]["valid"], 60);
        assert_eq!(world.report()["logs"]["verified"], 80);
        let until = &["--to", "2026-02-02T02:00:00Z"];
        run(until).expect(0);
        run(&["--from", "2026-02-01", "--to", "2026-02-01T05:00:00Z", "--report", "report.json"]).expect(0);
        assert_eq!(world.report()["digests"]["found"], 12);
        aws.delete(bucket, &all[0][3].key).await;
        aws.delete(bucket, &all[1][4].logs[1].key).await;
        let unsigned = &all[1][9];
        aws.put(bucket, &unsigned.key, gzip(&unsigned.text)).await;
        let newest = &all[1][29];
        aws.put(bucket, &newest.key, gzip(&newest.text)).await;
        let ended = run(until).expect(2);
        assert_eq!(
            kinds(&ended),
            ["digest_missing", "log_missing", "digest_unverified"],
            "without metadata, the successor's word for the signature counts; the newest has none: {}",
            ended.stdout
        );
    }
}

#[test]
fn public_keys_come_from_cloudtrail() {
    let world = world();
    let mut trail = trail();
    put(&world, &chain(&mut trail, 3));
    put(&world, &chain(&mut Trail { region: "us-west-2".to_owned(), ..self::trail() }, 3));
    let mut keys = public_keys(&[SIGNERS[0].pkcs1()]);
    for key in keys["PublicKeyList"].as_array_mut().unwrap() {
        // the API's own form of an instant
        (key["ValidityStartTime"], key["ValidityEndTime"]) = (json!(1.7e9), json!(1.8e9));
    }
    let server = Canned::start(vec![(200, keys.to_string())]);
    world.run_at(&server.endpoint, &["verify", "source"]).expect(0);
    let mut asked = server.requests();
    asked.sort();
    assert_eq!(asked.len(), 2, "once per region: {asked:?}");
    let request: Value = serde_json::from_str(&asked[0]).unwrap();
    let instant = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp();
    assert_eq!(request["StartTime"].as_f64(), Some(instant("2026-01-31T20:01:31Z") as f64));
    assert_eq!(request["EndTime"].as_f64(), Some(instant("2026-02-01T01:01:31Z") as f64));
}

#[test]
fn the_keys_of_a_backfill_digest_are_those_of_when_it_was_made() {
    let world = world();
    put(&world, &chain(&mut Trail { backfill: true, ..trail() }, 3));
    let mut keys = public_keys(&[SIGNERS[0].pkcs1()]);
    for name in ["ValidityStartTime", "ValidityEndTime"] {
        keys["PublicKeyList"][0].as_object_mut().unwrap().remove(name);
    }
    let server = Canned::start(vec![(200, keys.to_string())]);
    world.run_at(&server.endpoint, &["verify", "source"]).expect(0);
    let asked = server.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let request: Value = serde_json::from_str(&asked[0]).unwrap();
    let made = "2026-03-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp() as f64;
    assert!(
        request["StartTime"].as_f64().unwrap() <= made - 3600.0
            && request["EndTime"].as_f64().unwrap() >= made + 3600.0
    );
}

#[test]
fn without_keys_nothing_is_valid_and_the_reason_is_told_once() {
    let world = world();
    put(&world, &chain(&mut trail(), 3));
    let denied = json!({ "__type": "AccessDeniedException", "message": "not for you" }).to_string();
    let server = Canned::start(vec![(400, denied)]);
    let ended = world.run_at(&server.endpoint, &["verify", "source", "-o", "ndjson"]).expect(2);
    let problems: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(problems.len(), 4, "{}", ended.stdout);
    let detail = problems[0]["detail"].as_str().unwrap();
    assert!(detail.contains("not for you") && detail.contains("cloudtrail:ListPublicKeys"), "{detail}");
    assert!(problems[1..].iter().all(|problem| problem["kind"] == "digest_unverified"));
}

#[test]
fn an_ingest_keeps_the_table_current() {
    let world = world();
    let mut trail = trail();
    let mut digests = chain(&mut trail, 6);
    put(&world, &digests);
    let ingest = |code| {
        let args = ["--verify", "--public-keys", "keys.json", "--report", "report.json", "--relist-all"];
        world.ingest(&args).expect(code);
        world.report()
    };
    let report = ingest(0);
    assert_eq!([&report["verify"]["digests"]["valid"], &report["verify"]["digests"]["known"]], [6, 0]);
    assert_eq!(report["verify"]["logs_by_ledger"], 8, "what was hashed at ingest is not read again");
    assert_eq!(query(&world, "SELECT count(*) FROM objects WHERE length(sha256) = 64"), ["8"]);
    // only what is new is read; the last hour before it again, as it was not over
    digests.extend(chain(&mut trail, 2));
    put(&world, &digests[6..]);
    let report = ingest(0);
    assert_eq!(report["verify"]["digests"]["found"], 8);
    let read = report["verify"]["digests"]["valid"].as_u64().unwrap();
    assert!((2..=4).contains(&read), "{report}");
    let statuses = "SELECT status, count(*) FROM completeness GROUP BY 1 ORDER BY 1";
    assert_eq!(query(&world, statuses), ["complete,7", "no_digest,1"]);
    // a digest that was valid and is gone
    remove(&world, &digests[3].key);
    let report = ingest(2);
    assert_eq!(report["verify"]["problems_by_kind"], json!({ "digest_missing": 1 }));
    assert_eq!(query(&world, "SELECT status FROM completeness WHERE hour = '2026-01-31T23:00:00Z'"), ["missing"]);
    // it is found again
    put_digest(&world, &digests[3]);
    ingest(0);
    assert_eq!(query(&world, statuses), ["complete,7", "no_digest,1"]);
    // a log file that was changed since it was read is another version: read again, hashed again, and told of
    world.put(&digests[7].logs[0].key, gzip(&json!({ "Records": [record(424_242)] }).to_string()));
    remove(&world, &digests[0].key);
    let report = ingest(2);
    assert_eq!(report["rows"], 1);
    assert_eq!(report["verify"]["problems_by_kind"], json!({ "digest_missing": 1, "log_modified": 1 }));
}

#[test]
fn a_run_verifies_too_and_a_named_query_tells() {
    let world = world();
    put(&world, &chain(&mut trail(), 4));
    let run = [
        "run",
        "source",
        "--lake",
        "lake",
        "--findings-file",
        "findings.ndjson",
        "--verify",
        "--public-keys",
        "keys.json",
        "--report",
        "report.json",
    ];
    world.run(&run).expect(0);
    assert_eq!(world.report()["verify"]["digests"]["valid"], 4);
    let args = [
        "query",
        "--lake",
        "lake",
        "completeness",
        "-o",
        "csv",
        "-p",
        "account=111122223333",
        "-p",
        "until=2026-02-01",
    ];
    let ended = world.run(&args).expect(0);
    assert!(ended.stdout.contains("eu-west-1") && ended.stdout.contains("complete"), "{}", ended.stdout);
}

/// What awscli's validator says of a bucket; `None`, aloud, where it is not installed.
fn oracle(request: &Value) -> Option<Value> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/oracle.py");
    let mut command = std::process::Command::new(emulator::python());
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    child.stdin.take().expect("a pipe").write_all(request.to_string().as_bytes()).expect("takes the request");
    let output = child.wait_with_output().expect("ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{stderr}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// What is done to a bucket's digests.
type Harm = fn(&mut Vec<Forged>);

#[test]
fn verdicts_are_those_of_awscli() {
    let harms: [(&str, Harm); 9] = [
        ("nothing", |_| {}),
        ("deleted", |all| drop(all.remove(5))),
        ("two deleted apart", |all| drop((all.remove(7), all.remove(2)))),
        ("changed", |all| all[4].text = all[4].text.replace("\"awsAccountId\":\"1", "\"awsAccountId\":\"2")),
        ("no json", |all| all[4].text.truncate(20)),
        ("a member is missing", |all| all[4].text = all[4].text.replace("previousDigestSignature", "x")),
        ("signature of another", |all| all[3].signature = all[2].signature.clone()),
        ("signature is no hexadecimal", |all| all[3].signature = "xyz".to_owned()),
        ("the newest are deleted", |all| all.truncate(6)),
    ];
    for (name, harm) in harms {
        for backfill in [false, true] {
            let mut trail = Trail { name: "a_b-c.d".to_owned(), backfill, ..trail() };
            let mut digests = chain(&mut trail, 4);
            trail.signer = 1;
            digests.extend(chain(&mut trail, 3));
            trail.pause(3);
            digests.extend(chain(&mut trail, 4));
            harm(&mut digests);
            let world = world();
            put(&world, &digests);
            let Some(theirs) = oracle(&request(&trail, &digests)) else { return };
            strings_agree(&digests, &theirs["strings"]);
            let found = problems(&world, &["--to", "2026-02-02"]);
            assert_eq!(said(&digests, &found), spoken(&theirs["verdicts"]), "{name} (backfill: {backfill})");
        }
    }
}

fn request(trail: &Trail, digests: &[Forged]) -> Value {
    let object = |digest: &Forged| {
        let metadata: serde_json::Map<String, Value> =
            digest.metadata().into_iter().map(|(name, value)| (name, value.into())).collect();
        let bytes = base64::engine::general_purpose::STANDARD.encode(gzip(&digest.text));
        (digest.key.clone(), json!({ "bytes": bytes, "metadata": metadata }))
    };
    json!({
        "keys": public_keys(&[SIGNERS[0].pkcs1(), SIGNERS[1].pkcs1()]),
        "trail": {
            "account": trail.account, "name": trail.name, "region": trail.region, "home_region": trail.home_region,
            "organization": "o-abc", "prefix": null, "bucket": trail.bucket,
        },
        "start": "2026-01-31T20:00:00Z", "end": "2026-02-02T00:00:00Z",
        "objects": digests.iter().map(object).collect::<serde_json::Map<_, _>>(),
    })
}

/// The library's signing string of every digest that can be read is awscli's, letter by letter.
fn strings_agree(digests: &[Forged], theirs: &Value) {
    let mut compared = 0;
    for digest in digests {
        if let Ok(parsed) = trailhound::digest::parse(digest.text.as_bytes()) {
            let hash = trailhound::digest::hash(digest.text.as_bytes());
            let ours = trailhound::digest::signature::string_to_sign(&parsed, &hash);
            assert_eq!(theirs[&digest.key].as_str(), Some(ours.as_str()));
            compared += 1;
        }
    }
    assert!(compared > 3);
}

/// Our problems as a sorted list of verdicts: what no problem is about is valid. awscli knows no early end, and of digests
/// missing in a row only the one that has a name.
fn said(digests: &[Forged], problems: &[(String, String)]) -> Vec<(String, String)> {
    let word = |kind: &str| match kind {
        "digest_missing" => "missing",
        "digest_modified" => "invalid",
        "gap" => "gap",
        other => panic!("{other}"),
    };
    let beyond =
        |(kind, name): &&(String, String)| kind == "stopped" || (kind == "digest_missing" && name.contains(' '));
    let problems: Vec<_> = problems.iter().filter(|problem| !beyond(problem)).collect();
    let mut said: Vec<_> = problems
        .iter()
        .map(|(kind, name)| (word(kind).to_owned(), if kind == "gap" { String::new() } else { name.clone() }))
        .collect();
    for digest in digests {
        let name = digest.key.rsplit('/').next().unwrap();
        if !problems.iter().any(|(_, other)| other == name) {
            said.push(("valid".to_owned(), name.to_owned()));
        }
    }
    said.sort();
    said
}

fn spoken(verdicts: &Value) -> Vec<(String, String)> {
    let read = |verdict: &Value| {
        let name = verdict[1].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        (verdict[0].as_str().unwrap().to_owned(), name.to_owned())
    };
    let mut spoken: Vec<_> = verdicts.as_array().unwrap().iter().map(read).collect();
    spoken.sort();
    spoken
}

/// Makes the corpus that the figures of ARCHITECTURE.md are of: 20 accounts, 5 regions, 48 hours, four log files in each.
/// `TRAILHOUND_DIGEST_CORPUS=DIR cargo test --test it -- --ignored a_corpus_of_digests`
#[test]
#[ignore = "makes files for measuring"]
fn a_corpus_of_digests() {
    let folder = std::path::PathBuf::from(std::env::var_os("TRAILHOUND_DIGEST_CORPUS").expect("where to"));
    let write = |key: &str, bytes: &[u8]| {
        let path = folder.join("bucket").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let keys = public_keys(&[SIGNERS[0].pkcs1()]).to_string();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("keys.json"), keys).unwrap();
    let mut number = 0;
    for account in 0..20 {
        for region in ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-southeast-2"] {
            let mut trail =
                Trail::new(&format!("{:012}", 111_100_000_000u64 + account), region, "2026-01-30T00:00:00Z");
            for _ in 0..48 {
                let logs = [5, 20, 35, 50].map(|minute| {
                    number += 1;
                    let records: Vec<Value> = (number * 30..number * 30 + 30).map(record).collect();
                    trail.log(minute, &json!({ "Records": records }).to_string())
                });
                let digest = trail.hour(logs.to_vec());
                let metadata: serde_json::Map<String, Value> =
                    digest.metadata().into_iter().map(|(name, value)| (name, value.into())).collect();
                write(&digest.key, &gzip(&digest.text));
                write(&format!("{}.metadata.json", digest.key), json!({ "Metadata": metadata }).to_string().as_bytes());
                digest.logs.iter().for_each(|log| write(&log.key, &gzip(&log.text)));
            }
        }
    }
}
