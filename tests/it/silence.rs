//! An account that always talks and stops.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::records::{envelope, record};
use crate::support::schema::against_the_schema;

const TALKER: &str = "111122223333";
const QUIET: &str = "444455556666";

/// A call every twenty minutes of the days of January, in two accounts.
fn days(days: std::ops::RangeInclusive<u32>, accounts: &[&str]) -> Vec<Value> {
    let mut records = Vec::new();
    for (place, account) in accounts.iter().enumerate() {
        for (day, step) in days.clone().flat_map(|day| (0..72).map(move |step| (day, step))) {
            let number = day * 1000 + step * 10 + place as u32;
            let mut call = record(number);
            call["eventTime"] = format!("2026-01-{day:02}T{:02}:{:02}:00Z", step / 3, step % 3 * 20).into();
            call["recipientAccountId"] = (*account).into();
            call["userIdentity"] = json!({
                "type": "IAMUser", "principalId": "AIDA", "arn": format!("arn:aws:iam::{account}:user/job"),
                "accountId": account, "accessKeyId": "AKIAJOB", "userName": "job"
            });
            records.push(call);
        }
    }
    records
}

fn found(world: &World, day: u32) -> Vec<Value> {
    let (from, to) = (format!("2026-01-{day:02}"), format!("2026-01-{:02}", day + 1));
    let ended = world.run(&["detect", "--lake", "lake", "--from", &from, "--to", &to, "-o", "ndjson"]).expect(0);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_account_that_stops_is_told_once_with_its_numbers() {
    let world = World::new();
    world.put("before.json", envelope(&days(1..=16, &[TALKER, QUIET])));
    world.put("after.json", envelope(&days(17..=20, &[TALKER])));
    world.ingest(&[]).expect(0);
    assert_eq!(found(&world, 16), [Value::Null; 0]);
    let told = found(&world, 17);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(against_the_schema(&told), [""; 0]);
    let silence = &told[0];
    assert_eq!((&silence["type"], &silence["account"]), (&json!("Stealth:CloudTrail/AccountSilent"), &json!(QUIET)));
    assert_eq!((&silence["count"], &silence["completeness"]["status"]), (&json!(0), &json!("unknown")));
    assert!(silence["factors"][0]["expected"].as_str().is_some_and(|words| words.contains("54")), "{silence}");
    assert_eq!(found(&world, 17), told, "the same again");
    for day in [18, 20] {
        assert_eq!(found(&world, day), [Value::Null; 0], "told already on the {day}th");
    }
    let sql = silence["sql"].as_str().expect("SQL");
    let rows = world.run(&["query", sql, "--lake", "lake", "-o", "csv"]).expect(0);
    assert_eq!(rows.stdout.lines().count(), 1 + 16 * 4, "{}", rows.stdout);
    world.run(&["explain", silence["id"].as_str().expect("an id"), "--lake", "lake", "--replay"]).expect(0);
}

#[test]
fn a_lake_that_is_not_up_to_date_is_not_silent() {
    let world = World::new();
    world.put("before.json", envelope(&days(1..=16, &[TALKER, QUIET])));
    let early = |call: &Value| call["eventTime"].as_str().is_some_and(|time| time < "2026-01-17T06:30:00Z");
    world.put("after.json", envelope(&days(17..=17, &[TALKER]).into_iter().filter(early).collect::<Vec<_>>()));
    world.ingest(&[]).expect(0);
    assert_eq!(found(&world, 17), [Value::Null; 0], "the newest event is half an hour after the quarter");
}
