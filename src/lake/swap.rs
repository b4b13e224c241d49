//! Commits in which files give way to others, or to nothing.
//!
//! Owns: replacing a day, rewriting files without changing a row, dropping days.
//! Invariant: what gives way is decided on the very version that the commit follows; where another writer is first, it
//! is decided anew. Delta's own check of two rewrites of one file is not relied on: it lets both pass where neither
//! changes data, and the rows would be there twice.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use backon::BackoffBuilder;
use chrono::NaiveDate;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Action;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use object_store::path::Path;
use serde::Serialize;

use super::commit::{COMMIT_ATTEMPTS, StagedFile, check_age};
use super::fault::{delta_error, joined};
use super::file::{self, EncodedFile};
use super::snapshot::data_file;
use super::{Lake, store};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;
use crate::table::DataFile;

/// How the name of a file begins that a rewrite made; the version it was made of follows.
const REWRITE: &str = "rewrite";

/// What a commit took out of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swapped {
    /// The table's version afterwards.
    pub version: i64,
    /// Files that gave way.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes; they are freed by a later vacuum.
    pub bytes: u64,
}

/// Files that give way, and those that take their place.
struct Swap<'s> {
    staged: &'s [StagedFile],
    gives_way: &'s (dyn Fn(&DataFile) -> bool + Sync),
    /// How many files have to give way, where it matters.
    expected: Option<usize>,
    /// Whether the table's rows are others afterwards.
    data_change: bool,
    operation: DeltaOperation,
}

impl Lake {
    /// Replaces the rows of one day in one commit, and answers the version.
    ///
    /// # Errors
    /// As the store answers; `Conflict` where others keep changing the same table.
    pub async fn replace_partition(
        &self,
        table: &'static Table,
        date: NaiveDate,
        batches: &[RecordBatch],
    ) -> Result<i64> {
        self.replace_rows(table, Some(date), batches).await
    }

    /// Replaces all rows of a table in one commit, and answers the version.
    ///
    /// # Errors
    /// As [`Lake::replace_partition`].
    pub async fn replace(&self, table: &'static Table, batches: &[RecordBatch]) -> Result<i64> {
        self.replace_rows(table, None, batches).await
    }

    async fn replace_rows(
        &self,
        table: &'static Table,
        date: Option<NaiveDate>,
        batches: &[RecordBatch],
    ) -> Result<i64> {
        let batches: Vec<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
        let files = tokio::task::spawn_blocking(move || file::encode(table, &batches)).await.map_err(joined)??;
        let staged = self.stage(table, &files).await?;
        let day = date.map(|date| date.to_string());
        let operation = DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: table.partition.map(|name| vec![name.to_owned()]),
            predicate: table.partition.zip(date).map(|(name, date)| format!("{name} = '{date}'")),
        };
        let gives_way = |file: &DataFile| day.is_none() || file.partition == day;
        let swap = Swap { staged: &staged, gives_way: &gives_way, expected: None, data_change: true, operation };
        self.swap(table, swap).await.map(|swapped| swapped.version)
    }

    /// Writes a file that holds rows of the table as it was at `version`, and nothing else.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn stage_rewrite(&self, table: &'static Table, file: &EncodedFile, version: i64) -> Result<StagedFile> {
        self.put_one(table, file, &format!("{REWRITE}-{version}")).await
    }

    /// Puts files in the place of others that hold the same rows, in one commit. Others may commit at the same time, as
    /// long as these files stay.
    ///
    /// # Errors
    /// As the store answers; `Conflict` where one of the old files is not the table's any more.
    pub async fn rewrite(
        &self,
        table: &'static Table,
        old: &[DataFile],
        staged: &[StagedFile],
        target_size: u64,
    ) -> Result<Swapped> {
        let paths: HashSet<&Path> = old.iter().map(|file| &file.path).collect();
        let operation = DeltaOperation::Optimize { predicate: None, target_size: target_size as i64 };
        let gives_way = |file: &DataFile| paths.contains(&file.path);
        let expected = Some(old.len());
        self.swap(table, Swap { staged, gives_way: &gives_way, expected, data_change: false, operation }).await
    }

    /// Puts files in the place of others, in one commit: the same rows with other values.
    ///
    /// # Errors
    /// As [`Lake::rewrite`].
    pub async fn replace_files(
        &self,
        table: &'static Table,
        old: &[DataFile],
        files: &[EncodedFile],
    ) -> Result<Swapped> {
        let staged = self.stage(table, files).await?;
        let paths: HashSet<&Path> = old.iter().map(|file| &file.path).collect();
        let gives_way = |file: &DataFile| paths.contains(&file.path);
        let operation = DeltaOperation::Update { predicate: None };
        let expected = Some(old.len());
        self.swap(table, Swap { staged: &staged, gives_way: &gives_way, expected, data_change: true, operation }).await
    }

    /// Drops all days before `first` in one commit; no commit where there are none.
    ///
    /// # Errors
    /// As the store answers; `Conflict` where others keep changing the same table.
    pub async fn drop_days_before(&self, table: &'static Table, first: NaiveDate) -> Result<Swapped> {
        let Some(column) = table.partition else {
            return Err(Error::new(ErrorKind::Internal, format!("{} has no days to drop", table.name)));
        };
        if self.table(table).await?.is_none() {
            return Ok(Swapped { version: -1, ..Swapped::default() });
        }
        let before = |file: &DataFile| day_of(file).is_some_and(|day| day < first);
        let operation = DeltaOperation::Delete { predicate: Some(format!("{column} < '{first}'")) };
        self.swap(table, Swap { staged: &[], gives_way: &before, expected: None, data_change: true, operation }).await
    }

    /// Takes files out of a table in one commit, with the rows that they hold or held; no commit where there are none.
    ///
    /// # Errors
    /// As [`Lake::drop_days_before`].
    pub async fn drop_files(
        &self,
        table: &'static Table,
        is_dropped: &(dyn Fn(&DataFile) -> bool + Sync),
    ) -> Result<Swapped> {
        let operation = DeltaOperation::Delete { predicate: None };
        let swap = Swap { staged: &[], gives_way: is_dropped, expected: None, data_change: true, operation };
        self.swap(table, swap).await
    }

    async fn swap(&self, table: &'static Table, swap: Swap<'_>) -> Result<Swapped> {
        let mut delays = store::again().build();
        for _ in 0..COMMIT_ATTEMPTS {
            check_age(swap.staged)?;
            let current = self.existing(table).await?;
            let (swapped, actions) = match self.plan(table, &current, &swap)? {
                Plan::Commit(swapped, actions) => (swapped, actions),
                Plan::Nothing(version) => return Ok(Swapped { version, ..Swapped::default() }),
            };
            match self.write_log(table, &current, actions, swap.operation.clone(), 0).await {
                Ok(table) => return Ok(Swapped { version: version_of(&table), ..swapped }),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                // the next attempt finds out whether this one was carried out
                Err(error) if error.is_transient() => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, format!("{} keeps changing under this commit", table.name))
            .hint("run again when the other writers have finished"))
    }

    fn plan(&self, table: &'static Table, current: &DeltaTable, swap: &Swap<'_>) -> Result<Plan> {
        let state = current.snapshot().map_err(|error| delta_error(format!("log of {}", table.name), error))?;
        let root = self.inner.place.prefix.clone().join(table.name);
        let mut swapped = Swapped::default();
        let mut actions = Vec::new();
        let mut paths = HashSet::new();
        for view in state.log_data().iter() {
            let file = data_file(&view, table, &root);
            if (swap.gives_way)(&file) {
                swapped.files += 1;
                swapped.rows += file.rows.unwrap_or(0);
                swapped.bytes += file.size;
                actions.push(Action::Remove(view.remove_action(swap.data_change)));
            }
            paths.insert(file.path);
        }
        let there = |staged: &StagedFile| paths.contains(&self.path_in(table, &staged.0.path));
        if !swap.staged.is_empty() && swap.staged.iter().all(there) {
            return Ok(Plan::Nothing(version_of(current)));
        }
        if swap.expected.is_some_and(|expected| expected as u64 != swapped.files) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("another writer rewrote the same files of {}", table.name),
            )
            .hint("nothing was changed; run again"));
        }
        actions.extend(swap.staged.iter().map(|file| {
            let mut add = file.0.clone();
            add.data_change = swap.data_change;
            Action::Add(add)
        }));
        Ok(if actions.is_empty() { Plan::Nothing(version_of(current)) } else { Plan::Commit(swapped, actions) })
    }
}

/// What is to be committed.
enum Plan {
    Commit(Swapped, Vec<Action>),
    /// It is so already, as of this version.
    Nothing(i64),
}

fn version_of(table: &DeltaTable) -> i64 {
    table.version().map_or(-1, |version| version as i64)
}

/// The day of a file, where its table is partitioned by day.
pub fn day_of(file: &DataFile) -> Option<NaiveDate> {
    file.partition.as_deref()?.parse().ok()
}

/// The version whose rows a file holds, and no others, where a rewrite made it. A writer that knows that version knows
/// every row of the file.
pub fn rewrite_of(file: &DataFile) -> Option<i64> {
    let name = file.path.filename()?.strip_prefix(REWRITE)?.strip_prefix('-')?;
    name.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
    use object_store::memory::InMemory;
    use url::Url;

    use super::*;
    use crate::schema::DELIVERIES;

    fn rows(ids: &[&str]) -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1; ids.len()]).with_timezone("UTC"));
        let schema = DELIVERIES.schema();
        let columns = schema.fields().iter().map(|field| match field.name().as_str() {
            "delivered_at" => Arc::clone(&times),
            _ => Arc::clone(&texts),
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    }

    async fn count(lake: &Lake) -> u64 {
        lake.snapshot(&DELIVERIES).await.unwrap().files.iter().filter_map(|file| file.rows).sum()
    }

    #[tokio::test]
    async fn of_two_rewrites_of_one_file_one_wins() {
        let (store, root) = (Arc::new(InMemory::new()), Url::parse("memory:///").unwrap());
        let first = Lake::on(Arc::<InMemory>::clone(&store), &root, &Path::ROOT).await.unwrap();
        let second = Lake::on(store, &root, &Path::ROOT).await.unwrap();
        first.append(&DELIVERIES, &[rows(&["a"])]).await.unwrap();
        first.append(&DELIVERIES, &[rows(&["b"])]).await.unwrap();
        let (old, version) = second.snapshot(&DELIVERIES).await.map(|found| (found.files, found.version)).unwrap();
        let both = file::encode(&DELIVERIES, &[rows(&["a", "b"])]).unwrap();
        let mut staged = Vec::new();
        for lake in [&first, &second] {
            staged.push([lake.stage_rewrite(&DELIVERIES, &both[0], version).await.unwrap()]);
        }
        // others append at the same time
        first.append(&DELIVERIES, &[rows(&["c"])]).await.unwrap();
        let swapped = first.rewrite(&DELIVERIES, &old, &staged[0], 1).await.unwrap();
        assert_eq!((swapped.version, swapped.files, swapped.rows), (4, 2, 2));
        let error = second.rewrite(&DELIVERIES, &old, &staged[1], 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!((count(&first).await, count(&second).await), (3, 3));
        // a rewrite whose answer was lost is not made again
        let again = first.rewrite(&DELIVERIES, &old, &staged[0], 1).await.unwrap();
        assert_eq!((again.version, again.files), (4, 0));
        // a table without days has none to drop
        let day = NaiveDate::default();
        assert_eq!(first.drop_days_before(&DELIVERIES, day).await.unwrap_err().kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn what_waited_too_long_is_not_committed() {
        let (store, root) = (Arc::new(InMemory::new()), Url::parse("memory:///").unwrap());
        let lake = Lake::on(store, &root, &Path::ROOT).await.unwrap();
        let file = file::encode(&DELIVERIES, &[rows(&["a"])]).unwrap();
        let mut staged = lake.stage(&DELIVERIES, &file).await.unwrap();
        staged[0].0.modification_time -= 13 * 3_600_000;
        let error = lake.commit_staged(&DELIVERIES, &staged, crate::lake::Base::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert_eq!(count(&lake).await, 0);
    }

    #[test]
    fn a_rewrite_tells_the_version_it_was_made_of() {
        let file = |name: &str| DataFile {
            path: Path::from(format!("lake/events/event_date=2026-01-31/{name}")),
            size: 1,
            rows: None,
            partition: Some("2026-01-31".into()),
            min_values: serde_json::Value::Null,
            max_values: serde_json::Value::Null,
        };
        assert_eq!(rewrite_of(&file("rewrite-12-00ff.zstd.parquet")), Some(12));
        for name in ["part-12-00ff.zstd.parquet", "rewrite-.zstd.parquet", "rewrite-x-1.parquet", "rewrite12-1.parquet"]
        {
            assert_eq!(rewrite_of(&file(name)), None, "{name}");
        }
        assert_eq!(day_of(&file("x")), NaiveDate::from_ymd_opt(2026, 1, 31));
    }
}
