//! A table's files, as Delta's log has them.

use std::sync::Arc;

use deltalake_core::DeltaTable;
use deltalake_core::kernel::LogicalFileView;
use object_store::path::Path;
use serde_json::Value;

use super::Lake;
use super::fault::delta_error;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{TABLES, Table};
use crate::table::{DataFile, TableSnapshot};

impl Lake {
    /// A table's files; none, at version -1, where it does not exist.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn snapshot(&self, table: &'static Table) -> Result<TableSnapshot> {
        let current = self.table(table).await?;
        self.snapshot_of(table, current.as_ref())
    }

    pub(super) fn snapshot_of(&self, table: &'static Table, current: Option<&DeltaTable>) -> Result<TableSnapshot> {
        let place = &self.inner.place;
        let root = place.prefix.clone().join(table.name);
        let (version, files) = match current {
            Some(current) => self.files(table, current, &root)?,
            None => (-1, Vec::new()),
        };
        Ok(TableSnapshot {
            name: table.name.to_owned(),
            version,
            schema: table.schema(),
            partition: table.partition.map(str::to_owned),
            files,
            store_url: place.store_url.clone(),
            store: Arc::clone(&place.store),
        })
    }

    fn files(&self, table: &Table, current: &DeltaTable, root: &Path) -> Result<(i64, Vec<DataFile>)> {
        let what = || format!("cannot read the log of {} in {}", table.name, self.location());
        let state = current.snapshot().map_err(|error| delta_error(what(), error))?;
        let mut files = Vec::new();
        for view in state.log_data().iter() {
            if view.deletion_vector_descriptor().is_some() {
                return Err(Error::new(ErrorKind::BadInput, format!("{} has deletion vectors", table.name))
                    .hint("another program rewrote the table; purge its deletion vectors first"));
            }
            files.push(data_file(&view, table, root));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((state.version() as i64, files))
    }

    /// Files of every table.
    ///
    /// # Errors
    /// As [`Lake::snapshot`].
    pub async fn snapshots(&self) -> Result<Vec<TableSnapshot>> {
        let mut snapshots = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            snapshots.push(self.snapshot(table).await?);
        }
        Ok(snapshots)
    }
}

pub(super) fn data_file(view: &LogicalFileView, table: &Table, root: &Path) -> DataFile {
    let stats: Value = view.stats().and_then(|stats| serde_json::from_str(&stats).ok()).unwrap_or_default();
    let partition = |name: &str| view.partition_values_map().remove(name).flatten();
    DataFile {
        path: view.object_store_path().parts().fold(root.clone(), |path, part| path.join(part)),
        size: view.size() as u64,
        rows: stats["numRecords"].as_u64(),
        partition: table.partition.and_then(partition),
        min_values: stats["minValues"].clone(),
        max_values: stats["maxValues"].clone(),
    }
}
