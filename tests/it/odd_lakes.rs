//! Lakes that nobody expects: the detector says in words what is wrong, or goes on, and never panics or floods.

use serde_json::{Value, json};

use crate::support::records::{envelope, record};
use crate::support::{Ended, World};

const DAY: [&str; 4] = ["--from", "2026-01-15", "--to", "2026-01-16"];

fn detect(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["detect", "--lake", "lake", "-o", "ndjson"], &DAY[..], more].concat())
}

fn lake(records: &[Value]) -> World {
    let world = World::new();
    world.put("log.json", envelope(records));
    world.ingest(&[]).expect(0);
    world
}

/// A call of somebody at a time; `number` makes it an event of its own.
fn call(number: u32, who: &str, time: &str) -> Value {
    let mut call = record(number);
    call["eventTime"] = time.into();
    call["userIdentity"] = json!({
        "type": "IAMUser", "principalId": format!("AIDA{who}"), "arn": format!("arn:aws:iam::111122223333:user/{who}"),
        "accountId": "111122223333", "accessKeyId": format!("AKIA{who}"), "userName": who
    });
    call
}

/// Ten people over fourteen days, the fifteenth included.
fn habit() -> Vec<Value> {
    let people = (1..=15).flat_map(|day| (0..10).flat_map(move |who| (0..4).map(move |step| (day, who, step))));
    people
        .map(|(day, who, step)| {
            let time = format!("2026-01-{day:02}T{:02}:{:02}:00Z", 9 + step, who * 3);
            call(day * 1000 + who * 10 + step, &format!("u{who}"), &time)
        })
        .collect()
}

/// A stolen key of the fifteenth.
fn attack() -> Vec<Value> {
    let calls = ["ListUsers", "CreateAccessKey", "AttachUserPolicy", "CreateLoginProfile", "UpdateAssumeRolePolicy"];
    let theft = |(step, name): (usize, &&str)| {
        let mut call = call(900_000 + step as u32, "u3", &format!("2026-01-15T03:{step:02}:00Z"));
        (call["eventName"], call["eventSource"]) = ((*name).into(), "iam.amazonaws.com".into());
        (call["sourceIPAddress"], call["userAgent"]) = ("203.0.113.66".into(), "Boto3/1.3".into());
        (call["readOnly"], call["requestParameters"]) = (name.starts_with("List").into(), json!({"userName": "other"}));
        call
    };
    calls.iter().enumerate().map(theft).collect()
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_lake_of_nothing_one_event_one_actor_or_one_day_says_what_it_knows() {
    let nothing = lake(&[]);
    let ended = detect(&nothing, &[]).expect(0);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("no events in that time"), "{}", ended.stderr);
    for command in ["train", "tune"] {
        nothing.run(&[command, "--lake", "lake"]).expect(0);
    }
    let missing = World::new().run(&["detect", "--lake", "nowhere"]).expect(2);
    assert!(missing.stderr.contains("nowhere"), "{}", missing.stderr);

    let one = lake(&[call(1, "ana", "2026-01-15T10:00:00Z")]);
    let ended = detect(&one, &[]).expect(0);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("1 actor-days"), "{}", ended.stderr);
    assert!(ended.stderr.contains("against 0 days of past"), "{}", ended.stderr);

    let actor: Vec<Value> =
        (0..300).map(|n| call(n, "ana", &format!("2026-01-{:02}T10:00:{:02}Z", n / 20 + 1, n % 60))).collect();
    assert_eq!(lines(&detect(&lake(&actor), &[]).expect(0)), [Value::Null; 0]);

    let day: Vec<Value> =
        habit().into_iter().filter(|call| call["eventTime"].as_str().is_some_and(|t| t.contains("01-15"))).collect();
    assert_eq!(lines(&detect(&lake(&day), &[]).expect(0)), [Value::Null; 0]);
}

#[test]
fn a_clock_that_jumped_is_nobodys_past() {
    let plain = lake(&[habit(), attack()].concat());
    let wanted = lines(&detect(&plain, &[]).expect(0));
    assert_eq!(wanted.len(), 1);
    let mut records = [habit(), attack()].concat();
    for (number, time) in
        ["2099-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-01-16T00:00:00Z"]
            .iter()
            .enumerate()
    {
        records.push(call(800_000 + number as u32, "u3", time));
    }
    let world = lake(&records);
    assert_eq!(lines(&detect(&world, &[]).expect(0)), wanted);
    let newest = world.run(&["detect", "--lake", "lake"]).expect(0);
    assert!(!newest.stderr.contains("2099"), "the newest day that has been is scored: {}", newest.stderr);
    let far = world.run(&["detect", "--lake", "lake", "--from", "1970-01-01", "--to", "1970-01-02"]).expect(0);
    assert!(far.stderr.contains("1 actor-days"), "{}", far.stderr);
}

#[test]
fn thousands_of_new_actors_in_a_day_are_no_thousands_of_findings() {
    let newcomers = (0..3_000).map(|n| {
        let mut call = call(100_000 + n, &format!("n{n}"), &format!("2026-01-15T{:02}:{:02}:00Z", n % 24, n / 24 % 60));
        call["sourceIPAddress"] = format!("198.18.{}.{}", n / 250, n % 250).into();
        (call["eventName"], call["requestParameters"]) = ("ListBuckets".into(), Value::Null);
        call
    });
    let world = lake(&[habit(), attack(), newcomers.collect()].concat());
    let found = lines(&detect(&world, &[]).expect(0));
    assert!(found.len() <= 25, "{} findings", found.len());
    let theft = |finding: &Value| finding["actor"].as_str().is_some_and(|actor| actor.ends_with("user/u3"));
    assert!(found.iter().any(theft), "the theft is among them");
    // a list that names everybody
    std::fs::write(world.path("all"), "0.0.0.0/0\n").expect("writes");
    let ended = detect(&world, &["--threat-list", "all"]).expect(2);
    assert_eq!(ended.stdout.lines().count(), 200);
    assert!(ended.stderr.contains("names too much"), "{}", ended.stderr);
}

#[test]
fn an_actor_that_never_stops_is_one_finding_with_few_events() {
    let burst = (0..20_000).map(|n| {
        let mut call = call(200_000 + n, "u5", &format!("2026-01-15T10:{:02}:{:02}Z", n / 60 % 60, n % 60));
        (call["eventName"], call["requestParameters"]) =
            ("GetBucketPolicy".into(), json!({"bucketName": format!("b{n}")}));
        call
    });
    let world = lake(&[habit(), burst.collect()].concat());
    let found = lines(&detect(&world, &["--min-score", "4"]).expect(0));
    let own: Vec<&Value> =
        found.iter().filter(|finding| finding["actor"].as_str().is_some_and(|a| a.ends_with("/u5"))).collect();
    assert_eq!(own.len(), 1, "{found:?}");
    assert!(own[0]["event_ids"].as_array().is_some_and(|ids| (1..=200).contains(&ids.len())));
}

#[test]
fn damaged_baselines_and_models_are_named_and_never_an_empty_answer() {
    let world = lake(&[habit(), attack()].concat());
    let wanted = lines(&detect(&world, &[]).expect(0));
    assert_eq!(wanted.len(), 1);

    let model = world.path("lake/models/shape-2026-01-15/shape.json");
    if let Ok(text) = std::fs::read(&model) {
        for broken in [&text[..text.len() / 2], &b"{}"[..], &b""[..]] {
            std::fs::write(&model, broken).expect("writes");
            let ended = detect(&world, &[]).expect(2);
            assert!(
                ended.stdout.is_empty()
                    && ended.stderr.contains("shape.json")
                    && ended.stderr.contains("remove the file"),
                "{}",
                ended.stderr
            );
        }
        std::fs::remove_file(&model).expect("removed");
        assert_eq!(lines(&detect(&world, &[]).expect(0)), wanted);
    }

    let file = first_file(&world.path("lake/baselines"));
    let whole = std::fs::read(&file).expect("a file");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("writes");
    let ended = detect(&world, &[]).expect(2);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("baselines"), "{}", ended.stderr);
    std::fs::remove_file(&file).expect("removed");
    let ended = detect(&world, &[]).expect(2);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("baselines"), "{}", ended.stderr);
    // what the hint says: without the folder, everything is counted anew
    std::fs::remove_dir_all(world.path("lake/baselines")).expect("removed");
    assert_eq!(lines(&detect(&world, &[]).expect(0)), wanted);
}

fn first_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "parquet") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files.into_iter().next().expect("a file of rows")
}
