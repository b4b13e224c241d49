//! Where objects come from: an S3 prefix, a folder, one file.
//!
//! Owns: listing, reading with retries, and telling log objects from others.
//! Refuses: to look inside an object.
//! Invariant: every object under the source is accounted for; see `listing`.

mod described;
mod digests;
pub mod folder;
pub mod key;
mod layout;
mod listing;
pub mod notice;
mod patience;
mod queue;
mod s3;
mod select;

use std::path::PathBuf;

use bytes::Bytes;
use chrono::NaiveDate;

pub use described::{Described, Root};
pub use digests::{DayRange, DigestListing};
pub use key::{Kind, date};
pub use layout::{delivered, region_prefix};
pub use listing::{Finished, ListOptions, Listing, Page, Totals};
pub use queue::{MAX_BATCH, Message, Queue};
pub use select::{Names, Selection};

use crate::aws::AwsOptions;
use crate::error::{Error, ErrorKind, Result};

/// Where to read from.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// `s3://bucket/prefix`, a folder or a file.
    pub location: String,
    /// For a source on S3.
    pub aws: AwsOptions,
}

/// A log object of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Full name: `s3://bucket/key`, or an absolute path.
    pub name: String,
    /// Bytes as stored.
    pub bytes: u64,
    /// Changes when the object does: the ETag, or size and modification time of a file.
    pub version: String,
    /// The UTC day it belongs to.
    pub date: NaiveDate,
}

/// The bytes of an object, or where a worker finds them.
#[derive(Debug)]
pub enum Payload {
    /// Here already.
    Bytes(Bytes),
    /// Fetched over a network.
    Remote(Bytes, Again),
    /// A local file, which the worker that needs it reads itself.
    File(PathBuf),
}

/// The way to fetch an object once more: what arrived broken may have been whole when it was sent.
#[derive(Debug)]
pub struct Again {
    source: s3::S3Source,
    object: ObjectInfo,
}

impl Again {
    /// Fetches it; meant for a worker, which may wait.
    ///
    /// # Errors
    /// As [`Source::fetch`].
    pub fn fetch_blocking(&self) -> Result<Bytes> {
        tokio::runtime::Handle::current().block_on(self.source.fetch(&self.object))
    }
}

/// A source of objects.
#[derive(Debug, Clone)]
pub enum Source {
    /// A bucket's prefix.
    S3(s3::S3Source),
    /// A folder or a file.
    Folder(folder::FolderSource),
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// `Usage` for a location of unknown kind, `NotFound` for a path that does not exist.
    pub async fn open(options: &SourceOptions) -> Result<Self> {
        match options.location.split_once("://") {
            Some(("s3", rest)) => s3::S3Source::open(rest, &options.aws).await.map(Self::S3),
            Some(("file", path)) => folder::FolderSource::open(path).map(Self::Folder),
            Some((scheme, _)) => Err(Error::new(ErrorKind::Usage, format!("unknown kind of source {scheme}://"))
                .hint("use s3://bucket/prefix, a folder or a file")),
            None => folder::FolderSource::open(&options.location).map(Self::Folder),
        }
    }

    /// Every bucket that the credentials may read, for objects that are named by others.
    pub async fn anywhere(aws: &AwsOptions) -> Self {
        Self::S3(s3::S3Source::anywhere(aws).await)
    }

    /// Starts to list the objects that are asked for.
    pub fn list(&self, options: ListOptions) -> Listing {
        match self {
            Self::S3(source) => source.list(options),
            Self::Folder(source) => source.list(options),
        }
    }

    /// Whether an object of this full name is under the source.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::S3(source) => source.covers(name),
            Self::Folder(_) => false,
        }
    }

    /// Size, version and day of an object in a bucket of which no more than the name is known.
    ///
    /// # Errors
    /// `NotFound` or `Denied`, or where it cannot be answered now.
    pub async fn look(&self, name: &str) -> Result<ObjectInfo> {
        match self {
            Self::S3(source) => source.look(name).await,
            Self::Folder(_) => Err(Error::new(ErrorKind::Usage, format!("{name} is not in a bucket"))),
        }
    }

    /// Fetches an object, repeating what may succeed the next time.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn fetch(&self, object: &ObjectInfo) -> Result<Payload> {
        match self {
            Self::S3(source) => {
                let bytes = source.fetch(object).await?;
                Ok(Payload::Remote(bytes, Again { source: source.clone(), object: object.clone() }))
            }
            Self::Folder(_) => Ok(Payload::File(PathBuf::from(&object.name))),
        }
    }

    /// Why the source should not be asked for more objects in this run; those that were not are left for the next.
    pub fn given_up(&self) -> Option<Error> {
        match self {
            Self::S3(source) => source.given_up(),
            Self::Folder(_) => None,
        }
    }

    /// Asks again after all, for a worker that goes on for ever.
    pub fn resume(&self) {
        if let Self::S3(source) = self {
            source.resume();
        }
    }
}
