//! Deleting what nobody needs: files of old versions, what dead writers left, expired entries of the log.

use chrono::{DateTime, Utc};
use deltalake_core::checkpoints::{cleanup_metadata, create_checkpoint};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::fault::{delta_error, joined};
use super::store::store_error;
use super::survey::{Garbage, Reason, Survey};
use super::{Lake, debris};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;

/// Commits since the last checkpoint from which a new one is worth its writing.
const CHECKPOINT_WORTH: u64 = 10;

/// Files deleted at the same time.
const DELETE_CONCURRENCY: usize = 16;

/// What was done to a table's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LogTended {
    /// A checkpoint was written.
    pub checkpoint: bool,
    /// Expired entries deleted.
    pub entries_deleted: u64,
}

impl Lake {
    /// Deletes what a survey found to be garbage.
    ///
    /// # Errors
    /// As the store answers; what was deleted before stays so.
    pub async fn delete_garbage(&self, garbage: &[Garbage]) -> Result<()> {
        let store = &self.inner.place.store;
        let deletions = garbage.iter().map(|file| async move {
            if file.reason == Reason::Debris {
                let path = file.path.clone();
                return tokio::task::spawn_blocking(move || debris::delete(&path)).await.map_err(joined)?;
            }
            match store.delete(&file.path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(store_error(format!("cannot delete {}", file.path), error)),
            }
        });
        futures::stream::iter(deletions).buffer_unordered(DELETE_CONCURRENCY).try_collect().await
    }

    /// Writes a checkpoint where a reader would have to read many commits one by one, and deletes the log's entries that
    /// are older than its retention (30 days unless the table's property `delta.logRetentionDuration` says otherwise)
    /// and that a checkpoint stands for.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn tend_log(&self, table: &'static Table, survey: &Survey) -> Result<LogTended> {
        let Some(current) = self.table(table).await? else { return Ok(LogTended::default()) };
        let fail = |error| delta_error(format!("cannot tend the log of {} in {}", table.name, self.location()), error);
        let checkpoint = survey.commits_since_checkpoint() >= CHECKPOINT_WORTH;
        if checkpoint {
            create_checkpoint(&current, None).await.map_err(fail)?;
        }
        let entries_deleted = cleanup_metadata(&current, None).await.map_err(fail)? as u64;
        Ok(LogTended { checkpoint, entries_deleted })
    }

    /// When a whole vacuum of the lake last ended; `None` where none has.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn vacuumed_at(&self) -> Result<Option<DateTime<Utc>>> {
        let Some(bytes) = self.read_file(STATE).await? else { return Ok(None) };
        let state: State = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::BadInput, format!("{STATE} in {} is broken", self.location()))
                .source(error)
                .hint("delete it; the next vacuum writes it anew")
        })?;
        Ok(Some(state.vacuumed_at))
    }

    /// Notes that a whole vacuum has ended.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn note_vacuum(&self, now: DateTime<Utc>) -> Result<()> {
        let state = serde_json::to_vec(&State { vacuumed_at: now }).expect("an instant always serializes");
        self.write_file(STATE, state.into()).await
    }
}

/// File of the lake that remembers the last vacuum.
const STATE: &str = "maintenance.json";

#[derive(Serialize, Deserialize)]
struct State {
    vacuumed_at: DateTime<Utc>,
}
