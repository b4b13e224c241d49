//! Reading objects: fetched, unpacked and looked at in tasks of their own.
//!
//! Owns: how many objects are in memory and how many are worked on at once.
//! A task of its own, because a walk waits for the digest that is next while others are read ahead: a future that waits unpolled
//! with a permit in its hand would stop all.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::{VerifyOptions, panicked};
use crate::error::Result;
use crate::source::{Described, Source};

/// Reads objects of a source.
pub(super) struct Reader {
    source: Source,
    fetches: Semaphore,
    turns: Semaphore,
    /// Memory that is used again from text to text.
    buffers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Reader {
    pub(super) fn new(source: &Source, options: &VerifyOptions) -> Self {
        Self {
            source: source.clone(),
            fetches: Semaphore::new(options.concurrency.max(1)),
            turns: Semaphore::new(options.threads.max(1)),
            buffers: Arc::default(),
        }
    }

    /// Fetches an object and has it worked on, with a buffer that is used again.
    ///
    /// # Errors
    /// As [`Source::describe`].
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        name: String,
        work: impl FnOnce(&Described, &mut Vec<u8>) -> T + Send + 'static,
    ) -> Result<T> {
        let reader = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _fetch = reader.fetches.acquire().await;
            let object = reader.source.describe(&name).await?;
            let _turn = reader.turns.acquire().await;
            let buffers = Arc::clone(&reader.buffers);
            let work = move || {
                let mut buffer = buffers.lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default();
                let result = work(&object, &mut buffer);
                if let Ok(mut buffers) = buffers.lock() {
                    buffers.push(buffer);
                }
                result
            };
            tokio::task::spawn_blocking(work).await.map_err(|error| panicked().source(error))
        });
        task.await.map_err(|error| panicked().source(error))?
    }
}
