//! Objects with the metadata that their writer noted, and digests by key.
//!
//! Owns: what verification needs of a source beyond logs: user metadata (S3's `x-amz-meta-…`; beside a file in a folder
//! `NAME.metadata.json`, as `aws s3api head-object` prints it), and names for objects that a digest points to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

use super::{Source, folder};
use crate::error::{Error, ErrorKind, Result};

/// An object's bytes and its user metadata, without `x-amz-meta-`.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// As stored.
    pub bytes: Bytes,
    /// By lower-case name; empty where there is none.
    pub metadata: BTreeMap<String, String>,
}

/// What the names of a source's objects start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `s3://bucket/key`
    Bucket(String),
    /// A path below this folder.
    Folder(PathBuf),
}

impl Source {
    /// What names of this source start with.
    pub fn root(&self) -> Root {
        match self {
            Self::S3(source) => Root::Bucket(source.bucket().to_owned()),
            Self::Folder(source) => Root::Folder(source.folder().to_owned()),
        }
    }

    /// Fetches an object by its name (`s3://bucket/key` or a path), with its metadata; repeats what may succeed the next time.
    ///
    /// # Errors
    /// `NotFound` where it is not there, or where it cannot be read.
    pub async fn describe(&self, name: &str) -> Result<Described> {
        match self {
            Self::S3(source) => source.describe(name).await,
            Self::Folder(_) => {
                let path = PathBuf::from(name);
                let read = move || describe_file(&path);
                tokio::task::spawn_blocking(read)
                    .await
                    .map_err(|error| Error::new(ErrorKind::Internal, "a reader ended in a panic").source(error))?
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HeadObject {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

fn describe_file(path: &Path) -> Result<Described> {
    let bytes = folder::read(path)?.into();
    let mut beside = path.as_os_str().to_owned();
    beside.push(".metadata.json");
    let beside = PathBuf::from(beside);
    let metadata = match folder::read(&beside) {
        Ok(text) => {
            serde_json::from_slice::<HeadObject>(&text)
                .map_err(|error| {
                    Error::new(ErrorKind::BadInput, format!("cannot read {}", beside.display()))
                        .source(error)
                        .hint("write it with `aws s3api head-object`")
                })?
                .metadata
        }
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    Ok(Described { bytes, metadata: lower_case(metadata) })
}

/// S3 keeps names in lower case; others may not.
pub(super) fn lower_case(metadata: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    metadata.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}
