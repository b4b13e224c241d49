use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use object_store::memory::InMemory;
use proptest::prelude::*;
use url::Url;

use super::*;
use crate::batch::time::date_of;
use crate::lake::{Base, FileWriter, Lake, Profile};
use crate::schema::EVENTS;

/// 2026-01-01, in days since 1970.
const DAY: i32 = 20_454;

fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn event(number: u32, time: i64) -> Identified {
    Identified { key: EventKey::of_event_id(&id(number)), time }
}

/// An instant of the day, in minutes.
fn at(minute: i64) -> i64 {
    i64::from(DAY) * DAY_MICROS + minute * MINUTE_MICROS
}

/// A lake whose files have these events: number and minute.
async fn lake_of(files: &[Vec<(u32, i64)>]) -> Lake {
    let root = Url::parse("memory:///").unwrap();
    let lake = Lake::on(Arc::new(InMemory::new()), &root, &Path::from("lake")).await.unwrap();
    for events in files {
        append(&lake, events).await;
    }
    lake
}

/// Commits a file and answers the table as it is then.
async fn append(lake: &Lake, events: &[(u32, i64)]) -> TableSnapshot {
    let schema = EVENTS.file_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "eventid" => Arc::new(events.iter().map(|&(number, _)| Some(id(number))).collect::<StringArray>()),
            "eventtime" => {
                let times = events.iter().map(|&(_, minute)| at(minute));
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            _ => new_null_array(field.data_type(), events.len()),
        }
    });
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
    let mut writer = FileWriter::with(&EVENTS, Profile::Compacted, 0).unwrap();
    writer.write(&batch).unwrap();
    let file = writer.finish(Some(date_of(DAY))).unwrap();
    let staged = lake.stage(&EVENTS, &[file]).await.unwrap();
    lake.commit_staged(&EVENTS, &staged, Base::Any).await.unwrap()
}

/// Takes events through, and answers the numbers of those that are new.
async fn pass(seen: &mut Seen, events: &[(u32, i64)]) -> Vec<u32> {
    let mut identified: Vec<(usize, Identified)> =
        events.iter().map(|&(number, minute)| event(number, at(minute))).enumerate().collect();
    let ids: Vec<String> = events.iter().map(|&(number, _)| id(number)).collect();
    let questions = seen.questions(DAY, &identified, |index| Some(ids[index].as_str()));
    if !questions.is_empty() {
        seen.ask(DAY, &questions).await.unwrap();
    }
    seen.admit(DAY, &mut identified);
    identified.iter().map(|&(index, _)| events[index].0).collect()
}

fn learned(seen: &Seen) -> usize {
    seen.days[&DAY].minutes.iter().map(|minute| minute.lake.len()).sum()
}

#[tokio::test]
async fn an_event_is_new_once() {
    let lake = lake_of(&[]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    assert_eq!(pass(&mut seen, &[(1, 0), (2, 0), (1, 0)]).await, [1, 2]);
    assert_eq!(pass(&mut seen, &[(2, 0), (3, 0)]).await, [3]);
}

#[tokio::test]
async fn only_files_whose_times_span_an_event_are_read() {
    let lake = lake_of(&[vec![(1, 10), (2, 20)], vec![(3, 30), (4, 40)]]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    assert_eq!(pass(&mut seen, &[(9, 25)]).await, [9]);
    assert_eq!(learned(&seen), 0);
    assert_eq!(pass(&mut seen, &[(2, 20), (8, 15)]).await, [8]);
    assert_eq!(learned(&seen), 2);
}

#[tokio::test]
async fn few_events_ask_the_filter_and_a_copy_is_found_exactly() {
    let old: Vec<(u32, i64)> = (0..10_000).map(|number| (number, i64::from(number) % 1440)).collect();
    let lake = lake_of(&[old]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    // one in a hundred is a wrong "perhaps"; these are not
    assert_eq!(pass(&mut seen, &[(20_000, 5)]).await, [20_000]);
    assert_eq!(learned(&seen), 0, "the filter was enough");
    assert_eq!(pass(&mut seen, &[(20_001, 6), (7, 7)]).await, [20_001]);
    assert_eq!(learned(&seen), 10_000, "a copy is told by the identities");
    assert!(seen.days[&DAY].settled.iter().filter(|&&settled| settled).count() >= 2);
}

#[tokio::test]
async fn many_events_read_the_identities() {
    let old: Vec<(u32, i64)> = (0..5_000).map(|number| (number, 0)).collect();
    let lake = lake_of(&[old]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    let new: Vec<(u32, i64)> = (10_000..10_200).map(|number| (number, 0)).collect();
    assert_eq!(pass(&mut seen, &new).await.len(), 200);
    assert_eq!(learned(&seen), 5_000);
}

#[tokio::test]
async fn files_of_others_are_asked_once_they_are_in_the_snapshot_and_own_ones_are_not() {
    let lake = lake_of(&[]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    assert_eq!(pass(&mut seen, &[(1, 0)]).await, [1]);
    let own = append(&lake, &[(1, 0)]).await;
    let ours = own.files[0].path.clone();
    seen.advance(own, |path| *path == ours);
    assert_eq!(pass(&mut seen, &[(1, 0), (2, 0)]).await, [2]);
    assert_eq!(learned(&seen), 0, "what this run wrote it knows");
    seen.advance(append(&lake, &[(3, 0)]).await, |_| false);
    assert_eq!(pass(&mut seen, &[(3, 0), (4, 0)]).await, [4]);
}

#[tokio::test]
async fn what_makes_room_is_read_again_when_it_is_needed() {
    let lake = lake_of(&[vec![(1, 0), (2, 1)]]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), 0);
    for _ in 0..3 {
        assert_eq!(pass(&mut seen, &[(1, 0)]).await, [] as [u32; 0]);
        assert_eq!(pass(&mut seen, &[(2, 1)]).await, [] as [u32; 0]);
        seen.next_batch();
        assert!(seen.days.is_empty());
    }
}

#[tokio::test]
async fn hours_of_two_batches_are_held_and_older_ones_are_read_again() {
    let lake = lake_of(&[]).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), u64::MAX);
    for hour in 0u32..5 {
        let new: Vec<(u32, i64)> = (0..100).map(|number| (hour * 100 + number, i64::from(hour) * 60)).collect();
        assert_eq!(pass(&mut seen, &new).await.len(), 100);
        let before: HashSet<Path> = seen.snapshot().files.iter().map(|file| file.path.clone()).collect();
        seen.advance(append(&lake, &new).await, |path| !before.contains(path));
        seen.next_batch();
        assert_eq!(learned(&seen), if hour == 0 { 100 } else { 200 });
    }
    assert_eq!(pass(&mut seen, &[(7, 0), (499, 240)]).await, [] as [u32; 0]);
}

#[tokio::test]
async fn hours_that_are_not_used_are_given_up_and_only_they_are_read_again() {
    let old: Vec<(u32, i64)> = (0..6_000).map(|number| (number, i64::from(number) % 1440)).collect();
    let lake = lake_of(std::slice::from_ref(&old)).await;
    let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), 30_000);
    for hour in 0..24 {
        let part: Vec<(u32, i64)> = old.iter().copied().filter(|&(_, minute)| minute / 60 == hour).collect();
        assert_eq!(pass(&mut seen, &part).await, [] as [u32; 0], "hour {hour}");
        assert!(learned(&seen) < 2_000, "bounded by the budget, not by the day: {}", learned(&seen));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against a plain set: whatever is in which file, in whatever batches events come, with or without room.
    #[test]
    fn every_event_passes_once(
        files in prop::collection::vec(prop::collection::vec((0u32..60, 0i64..1), 1..30), 0..4),
        batches in prop::collection::vec(prop::collection::vec(0u32..80, 1..40), 1..5),
        budget in prop::sample::select(vec![0, 2_000, u64::MAX]),
    ) {
        // an event has one time, here made from its number
        let timed = |number: u32| (number, i64::from(number) * 17 % 1440);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut known: HashSet<u32> = files.iter().flatten().map(|&(number, _)| number).collect();
            let files: Vec<Vec<(u32, i64)>> =
                files.iter().map(|file| file.iter().map(|&(number, _)| timed(number)).collect()).collect();
            let lake = lake_of(&files).await;
            let mut seen = Seen::new(lake.snapshot(&EVENTS).await.unwrap(), budget);
            for batch in &batches {
                let mut new = Vec::new();
                for part in batch.chunks(7) {
                    let part: Vec<(u32, i64)> = part.iter().map(|&number| timed(number)).collect();
                    new.extend(pass(&mut seen, &part).await);
                }
                let mut expected: Vec<u32> = batch.iter().copied().filter(|&number| known.insert(number)).collect();
                expected.sort_unstable();
                let mut found = new.clone();
                found.sort_unstable();
                assert_eq!(found, expected);
                if !new.is_empty() {
                    let rows: Vec<(u32, i64)> = new.iter().map(|&number| timed(number)).collect();
                    let before: HashSet<Path> = seen.snapshot().files.iter().map(|file| file.path.clone()).collect();
                    let after = append(&lake, &rows).await;
                    seen.advance(after, |path| !before.contains(path));
                }
                seen.next_batch();
            }
        });
    }
}
