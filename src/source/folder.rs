//! Objects in a folder, or one file.

use std::fs::{self, DirEntry, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use chrono::{DateTime, Utc};

use super::{Listing, ObjectInfo};
use crate::error::{Error, ErrorKind, Result};

/// A folder with everything below it, or a single file.
#[derive(Debug, Clone)]
pub struct FolderSource {
    root: PathBuf,
}

impl FolderSource {
    pub(super) fn open(location: &str) -> Result<Self> {
        let root = fs::canonicalize(location).map_err(|error| unreadable(Path::new(location), error))?;
        Ok(Self { root })
    }

    /// The folder; of a single file, the one that it is in.
    pub(super) fn folder(&self) -> &Path {
        match self.root.parent() {
            Some(parent) if self.root.is_file() => parent,
            _ => &self.root,
        }
    }

    /// Names of all files, whatever they are.
    pub(super) fn list_all(&self) -> Result<Names> {
        let mut names = Names::default();
        let metadata = fs::metadata(&self.root).map_err(|error| unreadable(&self.root, error))?;
        if metadata.is_dir() {
            fs::read_dir(&self.root).map_err(|error| unreadable(&self.root, error))?;
            walk_names(&self.root, &mut names);
        } else {
            names.names.push(text(&self.root));
        }
        Ok(names)
    }

    /// A file named by the user is read whatever its name; below a folder the name decides.
    pub(super) fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let metadata = fs::metadata(&self.root).map_err(|error| unreadable(&self.root, error))?;
        if metadata.is_dir() {
            fs::read_dir(&self.root).map_err(|error| unreadable(&self.root, error))?;
            walk(&self.root, &mut listing);
        } else {
            listing.objects.push(object(&self.root, &metadata, super::key::date(&text(&self.root))));
            listing.requests = 1;
        }
        Ok(listing)
    }
}

/// Names of files, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub names: Vec<String>,
    pub requests: u64,
    pub unreadable: Vec<String>,
}

/// Without following links, as [`walk`].
fn walk_names(root: &Path, names: &mut Names) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        names.requests += 1;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                names.unreadable.push(unreadable(&folder, error).to_string());
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if kind.is_dir() => folders.push(entry.path()),
                Ok((kind, entry)) if kind.is_file() => names.names.push(text(&entry.path())),
                Ok(_) => {}
                Err(error) => names.unreadable.push(unreadable(&folder, error).to_string()),
            }
        }
    }
}

/// Depth first, without following links: a link could lead out of the folder, or round in circles.
fn walk(root: &Path, listing: &mut Listing) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        listing.requests += 1;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                listing.unreadable.push(unreadable(&folder, error).to_string());
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if kind.is_dir() => folders.push(entry.path()),
                Ok((kind, entry)) if kind.is_file() => note(root, &entry, listing),
                Ok(_) => *listing.skipped.entry(super::Kind::Other).or_default() += 1,
                Err(error) => listing.unreadable.push(unreadable(&folder, error).to_string()),
            }
        }
    }
}

fn note(root: &Path, entry: &DirEntry, listing: &mut Listing) {
    let path = entry.path();
    match entry.metadata() {
        Ok(metadata) => {
            let key = text(path.strip_prefix(root).unwrap_or(&path));
            listing.note(&format!("/{key}"), |date| object(&path, &metadata, date));
        }
        Err(error) => listing.unreadable.push(unreadable(&path, error).to_string()),
    }
}

fn object(path: &Path, metadata: &Metadata, date: Option<chrono::NaiveDate>) -> ObjectInfo {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let day = || DateTime::<Utc>::from(UNIX_EPOCH + modified).date_naive();
    ObjectInfo {
        name: text(path),
        bytes: metadata.len(),
        version: format!("{}-{}", metadata.len(), modified.as_nanos()),
        date: date.unwrap_or_else(day),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "check the path"),
        std::io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "check its owner and mode"),
        _ => (ErrorKind::Unavailable, "check the disk and run again"),
    };
    Error::new(kind, format!("cannot read {}", path.display())).source(error).hint(hint)
}

/// Reads a listed file.
///
/// # Errors
/// `NotFound`, `Denied` or `Unavailable`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, &mut bytes).map(|()| bytes)
}

/// Reads a listed file into memory that is used again (what it held is replaced).
///
/// # Errors
/// As [`read`].
pub fn read_into(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    let read = File::open(path).and_then(|mut file| {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        bytes.reserve(usize::try_from(size).unwrap_or_default());
        file.read_to_end(bytes)
    });
    read.map(drop).map_err(|error| unreadable(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Kind;

    #[test]
    fn lists_what_is_there_by_day_and_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b/2026/01/02/x.json",
            "a/2026/01/02/y.json.gz",
            "z/2026/01/01/z.json",
            "n.txt",
            "CloudTrail-Digest/d.json.gz",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        std::os::unix::fs::symlink("/", folder.path().join("loop")).unwrap();
        let listing = FolderSource::open(&text(folder.path())).unwrap().list().unwrap().sort();
        let names: Vec<&str> = listing.objects.iter().map(|object| object.name.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["z.json", "y.json.gz", "x.json"]);
        assert_eq!(listing.skipped[&Kind::Digest], 1);
        assert_eq!(listing.skipped[&Kind::Other], 2);
        assert_eq!(listing.unreadable, Vec::<String>::new());
    }

    #[test]
    fn a_missing_path_is_not_found() {
        assert_eq!(FolderSource::open("/does/not/exist").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
