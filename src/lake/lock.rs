//! One run at a time on a lake.
//!
//! In a folder the operating system's file lock is used, which ends with its process however that dies. On S3 there is
//! no such thing: a lease is put where none is (`If-None-Match`), renewed while the run lasts, and may be taken over
//! once it has expired (`If-Match`, so that one of several wins).
//!
//! Ingest, detection and publishing are safe without the lock; it only keeps two scheduled runs from doing the same
//! work, and from sending the same finding, at the same time.

use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{Lake, store_error};
use crate::error::{Error, ErrorKind, Result};

/// Name of the lock in the lake.
const NAME: &str = "run.lock";

/// How long a lease holds without renewal.
const LEASE: Duration = Duration::from_secs(300);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(60);

/// The lock, held until it is released or dropped.
#[derive(Debug)]
pub enum RunLock {
    /// In a folder.
    File(File),
    /// On S3.
    Lease(Lease),
}

/// A lease and the task that renews it.
#[derive(Debug)]
pub struct Lease {
    store: Arc<dyn ObjectStore>,
    path: Path,
    renewal: JoinHandle<()>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    id: String,
    expires: DateTime<Utc>,
}

impl Holder {
    fn until(&self, expires: DateTime<Utc>) -> Self {
        Self { id: self.id.clone(), expires }
    }

    fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("two texts always serialize").into()
    }
}

impl Lake {
    /// Takes the run lock.
    ///
    /// # Errors
    /// `Conflict` where another run has it.
    pub async fn lock(&self, now: DateTime<Utc>) -> Result<RunLock> {
        if self.inner.place.store_url.scheme() == "file" {
            return self.lock_file().map(RunLock::File);
        }
        self.lease(now).await.map(RunLock::Lease)
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.inner.place.url.join(NAME).ok().and_then(|url| url.to_file_path().ok());
        let fail = |error: std::io::Error| {
            Error::new(ErrorKind::Denied, format!("cannot lock the lake {}", self.location())).source(error)
        };
        let path = path.ok_or_else(|| fail(std::io::ErrorKind::InvalidInput.into()))?;
        let file = File::options().create(true).append(true).open(path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(self.held("another run works on it")),
            Err(TryLockError::Error(error)) => Err(fail(error)),
        }
    }

    fn held(&self, why: &str) -> Error {
        Error::new(ErrorKind::Conflict, format!("the lake {} is locked: {why}", self.location()))
            .hint("wait for it to end; the next run will catch up")
    }

    async fn lease(&self, now: DateTime<Utc>) -> Result<Lease> {
        let path = self.file_path(NAME);
        let holder = Holder { id: format!("{:032x}", rand::random::<u128>()), expires: now + LEASE };
        let version = self.acquire(&path, &holder, now).await?;
        let store = Arc::clone(&self.inner.place.store);
        let renewal = tokio::spawn(renew(Arc::clone(&store), path.clone(), holder, version, now));
        Ok(Lease { store, path, renewal })
    }

    async fn acquire(&self, path: &Path, holder: &Holder, now: DateTime<Utc>) -> Result<UpdateVersion> {
        let store = &self.inner.place.store;
        let fail = |error| store_error(format!("cannot lock the lake {}", self.location()), error);
        match put(store, path, holder, PutMode::Create).await {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            result => return result.map_err(fail),
        }
        let found = match store.get(path).await {
            // released between the two calls
            Err(object_store::Error::NotFound { .. }) => return Err(self.held("another run has just ended")),
            result => result.map_err(fail)?,
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let other: Option<Holder> = serde_json::from_slice(&found.bytes().await.map_err(fail)?).ok();
        match other {
            Some(other) if other.expires > now => {
                Err(self.held(&format!("another run has it until {} at least", other.expires.format("%FT%TZ"))))
            }
            _ => put(store, path, holder, PutMode::Update(version)).await.map_err(|error| match error {
                object_store::Error::Precondition { .. } => self.held("another run took it over"),
                error => fail(error),
            }),
        }
    }
}

async fn put(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    holder: &Holder,
    mode: PutMode,
) -> object_store::Result<UpdateVersion> {
    let options = PutOptions { mode, ..PutOptions::default() };
    store.put_opts(path, PutPayload::from_bytes(holder.bytes()), options).await.map(UpdateVersion::from)
}

async fn renew(
    store: Arc<dyn ObjectStore>,
    path: Path,
    holder: Holder,
    mut version: UpdateVersion,
    now: DateTime<Utc>,
) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(RENEWAL).await;
        let expires = now + started.elapsed() + LEASE;
        match put(&store, &path, &holder.until(expires), PutMode::Update(version.clone())).await {
            Ok(renewed) => version = renewed,
            Err(error) => tracing::warn!("the run lock could not be renewed: {error}"),
        }
    }
}

impl RunLock {
    /// Gives the lock back. A process that dies without it leaves a lease that expires, or nothing in a folder.
    pub async fn release(self) {
        match self {
            Self::File(file) => drop(file.unlock()),
            Self::Lease(lease) => {
                lease.renewal.abort();
                if let Err(error) = lease.store.delete(&lease.path).await {
                    tracing::warn!("the run lock could not be given back; it expires by itself: {error}");
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::LakeOptions;

    #[tokio::test]
    async fn one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().join("lake").to_string_lossy().into_owned();
        let lake = Lake::open_or_create(&LakeOptions { location, ..LakeOptions::default() }).await.unwrap();
        let first = lake.lock(Utc::now()).await.unwrap();
        assert_eq!(lake.lock(Utc::now()).await.unwrap_err().kind(), ErrorKind::Conflict);
        first.release().await;
        lake.lock(Utc::now()).await.unwrap();
    }
}
