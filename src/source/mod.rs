//! Where objects come from: an S3 prefix, a folder, one file.
//!
//! Owns: listing, reading with retries, and telling log objects from others.
//! Refuses: to look inside an object.
//! Invariant: every object under the source is listed, as a log to read or as one skipped by kind.

mod described;
mod digests;
pub mod folder;
mod key;
mod s3;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use chrono::NaiveDate;

pub use described::{Described, Root};
pub use digests::{DayRange, DigestListing};
pub use key::{Kind, date};

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

/// What a source holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Log objects, by day, then name: objects of a day are read together, so that its events are written together.
    pub objects: Vec<ObjectInfo>,
    /// Objects that are no logs, by kind.
    pub skipped: BTreeMap<Kind, u64>,
    /// Requests (or folders) it took.
    pub requests: u64,
    /// What could not be listed, and why: its objects are left for the next run.
    pub unreadable: Vec<String>,
}

impl Listing {
    fn note(&mut self, key: &str, object: impl FnOnce(Option<NaiveDate>) -> ObjectInfo) {
        match key::kind(key) {
            Kind::Log | Kind::Insight | Kind::Aggregated => self.objects.push(object(key::date(key))),
            other => *self.skipped.entry(other).or_default() += 1,
        }
    }

    fn sort(mut self) -> Self {
        self.objects.sort_by(|a, b| (a.date, &a.name).cmp(&(b.date, &b.name)));
        self
    }
}

/// The bytes of an object, or where a worker finds them.
#[derive(Debug)]
pub enum Payload {
    /// Fetched.
    Bytes(Bytes),
    /// A local file, which the worker that needs it reads itself.
    File(PathBuf),
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

    /// Lists every object.
    ///
    /// # Errors
    /// Where the source as a whole cannot be listed.
    pub async fn list(&self) -> Result<Listing> {
        let listing = match self {
            Self::S3(source) => source.list().await?,
            Self::Folder(source) => source.list()?,
        };
        Ok(listing.sort())
    }

    /// Fetches an object, repeating what may succeed the next time.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn fetch(&self, object: &ObjectInfo) -> Result<Payload> {
        match self {
            Self::S3(source) => source.fetch(object).await.map(Payload::Bytes),
            Self::Folder(_) => Ok(Payload::File(PathBuf::from(&object.name))),
        }
    }
}
