//! What must hold of the whole organization.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::*;

fn options(seed: u64) -> DemoOptions {
    DemoOptions { seed, days: 3, end: ids::instant(1_769_860_800) }
}

/// Every file below a folder, by its path below it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("a path below").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn equal_options_give_equal_files() {
    let folders = [(1, "a"), (1, "b"), (2, "c")].map(|(seed, _)| {
        let folder = tempfile::tempdir().expect("a folder");
        let summary = write(&options(seed), folder.path()).expect("a demo");
        (summary, files(folder.path()))
    });
    assert_eq!(folders[0], folders[1]);
    assert_ne!(folders[0].1, folders[2].1);
    let (summary, files) = &folders[0];
    assert_eq!(files.len() as u64, summary.objects + summary.other_objects + 1);
    let logs = files.iter().filter(|(name, _)| name.to_string_lossy().contains("/CloudTrail/"));
    assert_eq!(logs.map(|(_, bytes)| bytes.len() as u64).sum::<u64>(), summary.bytes);
    assert!(files.contains_key(Path::new(TRUTH_FILE)));
}

#[test]
fn every_record_is_json_with_an_id_of_its_own() {
    let life = generate(&options(1));
    let mut ids = BTreeSet::new();
    for event in &life.events {
        let record: Value = serde_json::from_str(&event.record).expect("a record is JSON");
        assert_eq!(record["eventID"], ids::uuid_text(event.id).as_str());
        assert_eq!(record["eventTime"], ids::iso(event.time).as_str());
        assert_eq!(record["recipientAccountId"], event.account.id);
        assert_eq!(record["awsRegion"], event.region);
        assert!(ids.insert(event.id), "eventID twice: {}", event.record);
        assert!(!event.record.contains('@') || !event.record.contains("@account@"), "{}", event.record);
    }
}

#[test]
fn life_has_the_size_and_span_asked_for() {
    let (life, span) = (generate(&options(1)), span(&options(1)));
    assert!(life.events.len() > 8_000, "{} events", life.events.len());
    assert!(life.events.iter().all(|event| (span.from..span.to).contains(&event.time)));
    let sources: BTreeSet<&str> = life.events.iter().map(|event| event.account.id).collect();
    assert_eq!(sources.len(), org::ACCOUNTS.len());
}

#[test]
fn attacks_are_in_the_last_day_and_their_events_in_the_logs() {
    let options = options(1);
    let life = generate(&options);
    let by_id: BTreeMap<String, &Event> = life.events.iter().map(|event| (ids::uuid_text(event.id), event)).collect();
    assert_eq!(life.attacks.len(), attack::SCRIPTS.len());
    for attack in &life.attacks {
        assert!(attack.event_ids.len() > 15, "{attack:?}");
        for id in &attack.event_ids {
            let event = by_id[id];
            assert!(event.time >= span(&options).to - 86_400, "{attack:?}");
        }
        assert!(attack.first < attack.last);
    }
}

#[test]
fn the_abused_identities_had_a_past() {
    let options = DemoOptions { days: 7, ..options(1) };
    let life = generate(&options);
    let attacked: BTreeSet<&String> = life.attacks.iter().flat_map(|attack| &attack.event_ids).collect();
    for attack in &life.attacks {
        // The user's name, or the role's and the person's.
        let parts: Vec<&str> = attack.actor.rsplit('/').take(2).filter(|part| part.contains(['-', '_', '@'])).collect();
        let names = |event: &&Event| parts.iter().all(|part| event.record.contains(part));
        let past =
            life.events.iter().filter(|event| !attacked.contains(&ids::uuid_text(event.id))).filter(names).count();
        assert!(past > 30, "{}: {past} events of the past", attack.actor);
    }
}

#[test]
fn delivery_repeats_a_few_and_loses_none() {
    let options = options(1);
    let life = generate(&options);
    let objects = layout::arrange(&life.events, options.seed, span(&options).to);
    let mut times = vec![0; life.events.len()];
    objects.iter().flat_map(|object| &object.events).for_each(|index| times[*index] += 1);
    let twice = times.iter().filter(|count| **count == 2).count();
    assert!(times.iter().all(|count| (1..=2).contains(count)));
    assert!((1..life.events.len() / 200).contains(&twice), "{twice} events twice");
    let keys: BTreeSet<&String> = objects.iter().map(|object| &object.key).collect();
    assert_eq!(keys.len(), objects.len());
    let unordered = objects.iter().filter(|object| !object.events.is_sorted()).count();
    assert!(unordered * 2 > objects.len(), "{unordered} of {} objects are unordered", objects.len());
}

#[test]
fn days_out_of_range_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = write(&DemoOptions { days: 1, ..options(1) }, folder.path()).expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(files(folder.path()).is_empty());
}
