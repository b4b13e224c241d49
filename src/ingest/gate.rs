//! The gate between records and rows: an event passes once.
//!
//! Owns: what is known of each table that records go to, shared by the workers, and the commits that are only made
//! where nobody else has committed what this run does not know of.
//! Invariant: the events of a commit are in no file of the version that it follows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::runtime::Handle;

use super::seen::Seen;
use crate::batch::Identified;
use crate::batch::flat::Shape;
use crate::batch::time::days;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKey;
use crate::lake::{Base, EncodedFile, FileWriter, KeyFile, Lake, rewrite_of};
use crate::schema::Table;
use crate::table::{DataFile, TableSnapshot};

/// Files that are ready to be committed, by the table they belong to.
pub(super) type Files = BTreeMap<Shape, Vec<EncodedFile>>;

/// What became of the files of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Committed {
    /// Commits made.
    pub commits: u64,
    /// Rows that are in the lake now.
    pub rows: u64,
    /// Rows of events that another writer had committed first.
    pub doubled: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// The gate of a run.
pub(super) struct Gate {
    lake: Lake,
    seen: BTreeMap<Shape, Mutex<Seen>>,
    handle: Handle,
}

impl Gate {
    /// Reads which files there are. `budget` bounds what is known of their events, in bytes.
    pub(super) async fn new(lake: &Lake, budget: u64) -> Result<Self> {
        let mut seen = BTreeMap::new();
        for shape in Shape::ALL {
            let snapshot = lake.snapshot(shape.table()).await?;
            seen.insert(shape, Mutex::new(Seen::new(snapshot, budget)));
        }
        Ok(Self { lake: lake.clone(), seen, handle: Handle::current() })
    }

    fn seen(&self, shape: Shape) -> Result<MutexGuard<'_, Seen>> {
        self.seen[&shape].lock().map_err(|_| Error::new(ErrorKind::Internal, "another worker panicked"))
    }

    /// Version of the table of events, as of the last commit.
    pub(super) fn version(&self) -> Result<i64> {
        Ok(self.seen(Shape::Event)?.snapshot().version)
    }

    /// Keeps the events that are new. `id_of` answers the event id behind an event's index. To be called by a thread
    /// that may block.
    ///
    /// # Errors
    /// Where the lake cannot be read.
    pub(super) fn admit<'i>(
        &self,
        shape: Shape,
        events: &mut Vec<(usize, Identified)>,
        id_of: impl Fn(usize) -> Option<&'i str>,
    ) -> Result<()> {
        let mut seen = self.seen(shape)?;
        let mut parts: BTreeMap<i32, Vec<(usize, Identified)>> = BTreeMap::new();
        for (index, event) in events.drain(..) {
            parts.entry(event.day()).or_default().push((index, event));
        }
        for (day, mut part) in parts {
            let questions = seen.questions(day, &part, &id_of);
            if !questions.is_empty() {
                self.handle.block_on(seen.ask(day, &questions))?;
            }
            seen.admit(day, &mut part);
            events.append(&mut part);
        }
        events.sort_unstable_by_key(|&(index, _)| index);
        Ok(())
    }

    /// Commits the files of a batch, table by table.
    ///
    /// # Errors
    /// As the store answers; `Internal` where the table's rows do not add up afterwards.
    pub(super) async fn commit(&self, files: Files) -> Result<Vec<(&'static Table, Committed)>> {
        let mut done = Vec::new();
        for (shape, files) in files {
            done.push((shape.table(), self.commit_to(shape, files).await?));
        }
        for shape in Shape::ALL {
            self.seen(shape)?.next_batch();
        }
        Ok(done)
    }

    async fn commit_to(&self, shape: Shape, mut files: Vec<EncodedFile>) -> Result<Committed> {
        let mut done = Committed::default();
        files.sort_by_key(|file| file.date);
        let mut staged = self.lake.stage(shape.table(), &files).await?;
        while !files.is_empty() {
            let before = self.seen(shape)?.snapshot().clone();
            match self.lake.commit_staged(shape.table(), &staged, Base::Version(before.version)).await {
                Ok(after) => {
                    done.commits = 1;
                    done.rows = files.iter().map(|file| file.rows).sum();
                    done.bytes = files.iter().map(|file| file.bytes.len() as u64).sum();
                    check(&before, &after, done.rows)?;
                    let known: HashSet<&Path> = before.files.iter().map(|file| &file.path).collect();
                    // nobody else's files can be in the version that follows the one known
                    self.seen(shape)?.advance(after, |path| !known.contains(path));
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let removed = self.catch_up(shape, &mut files).await?;
                    if removed > 0 {
                        staged = self.lake.stage(shape.table(), &files).await?;
                    }
                    done.doubled += removed;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Reads what others have committed since, takes the events they had first out of the files, and answers how many.
    async fn catch_up(&self, shape: Shape, files: &mut Vec<EncodedFile>) -> Result<u64> {
        let latest = self.lake.snapshot(shape.table()).await?;
        let (known, at): (HashSet<Path>, i64) = {
            let seen = self.seen(shape)?;
            let snapshot = seen.snapshot();
            (snapshot.files.iter().map(|file| file.path.clone()).collect(), snapshot.version)
        };
        let ours: BTreeSet<String> = files.iter().filter_map(|file| file.date).map(|date| date.to_string()).collect();
        // a compaction of what this run knows is no news, however large
        let is_news = |file: &&DataFile| {
            !known.contains(&file.path)
                && rewrite_of(file).is_none_or(|of| of > at)
                && file.partition.as_ref().is_some_and(|date| ours.contains(date))
        };
        let (mut theirs, mut read) = (HashSet::new(), HashSet::new());
        for file in latest.files.iter().filter(is_news) {
            let keys = all_keys(&latest, file).await?;
            if let Some(day) = file.partition.as_deref().and_then(|date| date.parse().ok()).map(days) {
                self.seen(shape)?.learn(day, &keys);
            }
            theirs.extend(keys.iter().map(|event| event.key));
            read.insert(file.path.clone());
        }
        self.seen(shape)?.advance(latest, |path| read.contains(path));
        let mut removed = 0;
        let mut kept = Vec::with_capacity(files.len());
        for file in files.drain(..) {
            let (count, file) = without(shape, file, &theirs)?;
            removed += count;
            kept.extend(file);
        }
        *files = kept;
        Ok(removed)
    }
}

/// Identities of all events of a file.
async fn all_keys(snapshot: &TableSnapshot, file: &DataFile) -> Result<Vec<Identified>> {
    let file = KeyFile::open(snapshot, file).await?;
    let mut keys = Vec::new();
    for group in 0..file.groups().len() {
        keys.extend(file.keys(group).await?);
    }
    Ok(keys)
}

/// A commit on top of a known version adds its own rows and nothing else.
fn check(before: &TableSnapshot, after: &TableSnapshot, added: u64) -> Result<()> {
    let rows = |snapshot: &TableSnapshot| snapshot.files.iter().map(|file| file.rows).sum::<Option<u64>>();
    match (rows(before), rows(after)) {
        (Some(before), Some(after)) if before + added != after => Err(Error::new(
            ErrorKind::Internal,
            format!("{before} rows and {added} new ones became {after} in the lake"),
        )
        .hint("please report it")),
        _ => Ok(()),
    }
}

/// The file without some events, and how many those were; no file where nothing is left.
fn without(shape: Shape, file: EncodedFile, events: &HashSet<EventKey>) -> Result<(u64, Option<EncodedFile>)> {
    let fail = |error: parquet::errors::ParquetError| {
        Error::new(ErrorKind::Internal, "cannot read back a file that was just written").source(error)
    };
    let mut writer = FileWriter::new(shape.table())?;
    let mut removed = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).and_then(|b| b.build()).map_err(fail)? {
        let batch = batch.map_err(|error| fail(error.into()))?;
        let mask = new_events(&batch, events);
        removed += mask.false_count() as u64;
        let kept = arrow::compute::filter_record_batch(&batch, &mask).map_err(|error| fail(error.into()))?;
        writer.write(&kept)?;
    }
    match removed {
        0 => Ok((0, Some(file))),
        all if all == file.rows => Ok((all, None)),
        some => writer.finish(file.date).map(|file| (some, Some(file))),
    }
}

fn new_events(batch: &RecordBatch, known: &HashSet<EventKey>) -> BooleanArray {
    let column = |name: &str| batch.column_by_name(name).map(|column| column.as_string::<i32>());
    let (ids, hashes) = (column("eventid"), column("eventhash"));
    let key = |row: usize| match (ids, hashes) {
        (_, Some(hashes)) if hashes.is_valid(row) => EventKey::of_event_hash(hashes.value(row)),
        (Some(ids), _) if ids.is_valid(row) => Some(EventKey::of_event_id(ids.value(row))),
        _ => None,
    };
    (0..batch.num_rows()).map(|row| Some(key(row).is_none_or(|key| !known.contains(&key)))).collect()
}
