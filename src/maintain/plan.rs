//! Which files are worth a rewrite, decided from the log alone.
//!
//! Owns: when a day is closed, and how often a row may be written again.
//! Invariant: a rewrite leaves nothing that is due, so that repeating it ends.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use crate::lake::{day_of, rewrite_of};
use crate::query::QueryOptions;
use crate::table::{DataFile, TableSnapshot};

/// Fresh files from which they are rewritten in any case.
const MANY_FILES: usize = 8;

/// Fresh files are rewritten together with the small files of earlier rewrites where they have at least this share
/// (1/4) of their bytes: a late event must not cost the rewrite of its whole day.
const SHARE: u64 = 4;

/// Input of one sort, as a multiple of the target size: bounds the room that it takes in the temporary folder.
const GROUP_TARGETS: u64 = 8;

/// Which files are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those for which it is worth it.
    Due,
    /// All of closed days.
    Full,
}

/// How files are rewritten.
#[derive(Debug, Clone)]
pub struct OptimizeOptions {
    /// Bytes that a file should have.
    pub target_size: u64,
    /// A day is closed once it is this many days ago (0: at once).
    pub closed_after: u32,
    /// Which.
    pub scope: Scope,
    /// Memory and threads of the sort.
    pub query: QueryOptions,
}

impl OptimizeOptions {
    /// The usual way.
    pub fn new(query: QueryOptions) -> Self {
        Self { target_size: 128 << 20, closed_after: 2, scope: Scope::Due, query }
    }

    /// First day that is not closed.
    fn open_from(&self, today: NaiveDate) -> NaiveDate {
        let newest = today.checked_add_days(Days::new(1)).unwrap_or(today);
        newest.checked_sub_days(Days::new(self.closed_after.into())).unwrap_or(NaiveDate::MIN)
    }

    /// A file of an earlier rewrite that can take more rows.
    fn is_small(&self, file: &DataFile) -> bool {
        file.size < self.target_size / 4 * 3
    }
}

/// Files of one partition that are rewritten together.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The day, where the table is partitioned.
    pub day: Option<NaiveDate>,
    /// In order of their first event.
    pub files: Vec<DataFile>,
}

/// What is to be rewritten of a table, the oldest day first.
pub(super) fn tasks(snapshot: &TableSnapshot, options: &OptimizeOptions, today: NaiveDate) -> Vec<Task> {
    let mut partitions: BTreeMap<Option<NaiveDate>, Vec<&DataFile>> = BTreeMap::new();
    for file in &snapshot.files {
        partitions.entry(day_of(file)).or_default().push(file);
    }
    let closed = |day: &Option<NaiveDate>| match day {
        Some(day) => *day < options.open_from(today),
        // a partition without a day is nobody's to rewrite
        None => snapshot.partition.is_none(),
    };
    let due = partitions.into_iter().filter(|(day, _)| closed(day));
    due.flat_map(|(day, files)| groups(&chosen(day, &files, options), options.target_size, day)).collect()
}

/// Files of a partition that are worth a rewrite; none where it is not.
fn chosen<'f>(day: Option<NaiveDate>, files: &[&'f DataFile], options: &OptimizeOptions) -> Vec<&'f DataFile> {
    if options.scope == Scope::Full {
        return files.to_vec();
    }
    let (mut chosen, rewritten): (Vec<&DataFile>, Vec<_>) = files.iter().partition(|file| rewrite_of(file).is_none());
    let rest: Vec<&DataFile> = rewritten.into_iter().filter(|file| options.is_small(file)).collect();
    let bytes = |files: &[&DataFile]| files.iter().map(|file| file.size).sum::<u64>();
    let weighty = day.is_some() && !chosen.is_empty() && bytes(&chosen) * SHARE >= bytes(&rest);
    if !weighty && chosen.len() < MANY_FILES {
        return Vec::new();
    }
    chosen.extend(rest);
    chosen
}

/// Cuts the files of a partition into parts that are sorted at once.
fn groups(files: &[&DataFile], target_size: u64, day: Option<NaiveDate>) -> Vec<Task> {
    let mut files: Vec<DataFile> = files.iter().copied().cloned().collect();
    files.sort_by_cached_key(|file| (file.min_values["eventtime"].as_str().map(str::to_owned), file.path.clone()));
    let mut groups: Vec<Task> = Vec::new();
    let mut bytes = 0;
    for file in files {
        bytes += file.size;
        match groups.last_mut() {
            Some(group) if bytes <= target_size.saturating_mul(GROUP_TARGETS) => group.files.push(file),
            _ => {
                bytes = file.size;
                groups.push(Task { day, files: vec![file] });
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path;
    use serde_json::json;

    use super::*;
    use crate::schema::{EVENTS, FINDINGS, Table};

    fn file(day: Option<&str>, name: &str, size: u64) -> DataFile {
        let folder = day.map(|day| format!("event_date={day}/")).unwrap_or_default();
        DataFile {
            path: Path::from(format!("lake/t/{folder}{name}")),
            size,
            rows: Some(size),
            partition: day.map(str::to_owned),
            min_values: json!({}),
            max_values: json!({}),
        }
    }

    fn snapshot(table: &'static Table, files: Vec<DataFile>) -> TableSnapshot {
        TableSnapshot {
            name: table.name.to_owned(),
            version: 9,
            schema: table.schema(),
            partition: table.partition.map(str::to_owned),
            files,
            store_url: "memory:///".parse().unwrap(),
            store: Arc::new(InMemory::new()),
        }
    }

    fn options() -> OptimizeOptions {
        let options = OptimizeOptions::new(QueryOptions::new(1, 1 << 20));
        OptimizeOptions { target_size: 100, ..options }
    }

    fn due(snapshot: &TableSnapshot, options: &OptimizeOptions) -> Vec<(String, Vec<String>)> {
        let tasks = tasks(snapshot, options, "2026-01-10".parse().unwrap());
        let names = |task: &Task| task.files.iter().map(|file| file.path.filename().unwrap().to_owned()).collect();
        tasks.iter().map(|task| (task.day.map(|day| day.to_string()).unwrap_or_default(), names(task))).collect()
    }

    #[test]
    fn only_closed_days_are_rewritten() {
        let day = |day: &str| file(Some(day), "part-1.parquet", 10);
        let events = snapshot(&EVENTS, vec![day("2026-01-08"), day("2026-01-09"), day("2026-01-10")]);
        let days = |closed_after| {
            let due = due(&events, &OptimizeOptions { closed_after, ..options() });
            due.into_iter().map(|(day, _)| day).collect::<Vec<_>>()
        };
        assert_eq!(days(2), ["2026-01-08"]);
        assert_eq!(days(1), ["2026-01-08", "2026-01-09"]);
        assert_eq!(days(0), ["2026-01-08", "2026-01-09", "2026-01-10"]);
    }

    #[test]
    fn a_late_event_does_not_cost_its_day() {
        let day = Some("2026-01-01");
        let mut files = vec![file(day, "rewrite-3-a.parquet", 100), file(day, "rewrite-3-b.parquet", 70)];
        assert!(due(&snapshot(&EVENTS, files.clone()), &options()).is_empty(), "nothing is fresh");
        files.push(file(day, "part-0.parquet", 10));
        assert!(due(&snapshot(&EVENTS, files.clone()), &options()).is_empty(), "10 against 70");
        files.push(file(day, "part-1.parquet", 8));
        let rewritten = due(&snapshot(&EVENTS, files.clone()), &options());
        assert_eq!(rewritten[0].1, ["part-0.parquet", "part-1.parquet", "rewrite-3-b.parquet"], "the full one stays");
        let full = due(&snapshot(&EVENTS, files), &OptimizeOptions { scope: Scope::Full, ..options() });
        assert_eq!(full[0].1.len(), 4);
    }

    #[test]
    fn tables_without_days_are_rewritten_when_they_have_many_files() {
        let files: Vec<_> = (0..8).map(|number| file(None, &format!("part-{number}.parquet"), 1)).collect();
        assert!(due(&snapshot(&FINDINGS, files[..7].to_vec()), &options()).is_empty());
        assert_eq!(due(&snapshot(&FINDINGS, files), &options())[0].1.len(), 8);
    }

    #[test]
    fn a_sort_is_bounded() {
        let files = (0..50).map(|number| file(Some("2026-01-01"), &format!("part-{number:02}.parquet"), 90)).collect();
        let sizes: Vec<_> = due(&snapshot(&EVENTS, files), &options()).iter().map(|(_, files)| files.len()).collect();
        assert_eq!(sizes, [8, 8, 8, 8, 8, 8, 2]);
    }
}
