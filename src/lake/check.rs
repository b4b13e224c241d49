//! Whether the files that a table's log names are there and can be read.
//!
//! Owns: telling a file that is lost or damaged from a store that does not answer. Only the first is ever an answer here:
//! a store that is down must not make a file look lost.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStoreExt};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::Lake;
use super::scan::{Reader, damaged, is_damage};
use super::store::store_error;
use crate::error::Result;
use crate::table::{DataFile, TableSnapshot};

/// How much of a file is read to know that it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its size and its footer.
    Footer,
    /// Every page.
    Whole,
}

impl Lake {
    /// What is wrong with a file of a snapshot, in words; `None` where nothing is.
    ///
    /// # Errors
    /// `Unavailable` or `Denied` where the store does not let the file be looked at.
    pub async fn check(&self, snapshot: &TableSnapshot, file: &DataFile, depth: Depth) -> Result<Option<String>> {
        match snapshot.store.head(&file.path).await {
            Ok(found) if found.size != file.size => {
                return Ok(Some(format!("it has {} bytes instead of {}", found.size, file.size)));
            }
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => return Ok(Some("it is gone".to_owned())),
            Err(error) => return Err(store_error(format!("cannot look at {}", file.path), error)),
        }
        match read(snapshot, file, depth).await {
            Ok(()) => Ok(None),
            Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
            Err(error) => Err(damaged(&file.path, error)),
        }
    }
}

async fn read(snapshot: &TableSnapshot, file: &DataFile, depth: Depth) -> parquet::errors::Result<()> {
    let reader = Reader { store: Arc::clone(&snapshot.store), path: file.path.clone(), size: file.size };
    let footer = ParquetRecordBatchStreamBuilder::new(reader).await?;
    match depth {
        Depth::Footer => Ok(()),
        Depth::Whole => footer.build()?.try_for_each(|_| std::future::ready(Ok(()))).await,
    }
}
