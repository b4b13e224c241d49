//! Small files of the lake beside its tables, e.g. models.

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::Lake;
use super::store::store_error;
use crate::error::Result;

impl Lake {
    pub(super) async fn put_bytes(&self, location: &Path, bytes: Bytes) -> Result<()> {
        let put = self.inner.place.store.put(location, PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(|error| store_error(format!("cannot write {location}"), error))
    }

    pub(super) fn file_path(&self, path: &str) -> Path {
        path.split('/').fold(self.inner.place.prefix.clone(), |path, part| path.join(part))
    }

    /// A small file of the lake beside its tables, e.g. `models/v1/model.json`; `None` where there is none.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn read_file(&self, path: &str) -> Result<Option<Bytes>> {
        let location = self.file_path(path);
        let fail = |error| store_error(format!("cannot read {location}"), error);
        match self.inner.place.store.get(&location).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fail),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// Writes a small file beside the tables; readers see the old one or the new one.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn write_file(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.put_bytes(&self.file_path(path), bytes).await
    }

    /// Names of the small files under a prefix, sorted.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn list_files(&self, prefix: &str) -> Result<Vec<String>> {
        let place = &self.inner.place;
        let folder = self.file_path(prefix);
        let fail = |error| store_error(format!("cannot list {folder}"), error);
        let mut names: Vec<String> = Vec::new();
        let mut objects = place.store.list(Some(&folder));
        while let Some(object) = objects.next().await {
            match object {
                Ok(object) => {
                    let parts = object.location.prefix_match(&place.prefix).into_iter().flatten();
                    names.push(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
                }
                Err(object_store::Error::NotFound { .. }) => break,
                Err(error) => return Err(fail(error)),
            }
        }
        names.sort();
        Ok(names)
    }
}
