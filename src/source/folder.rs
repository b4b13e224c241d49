//! Objects in a folder, or one file.

use std::fs::{self, DirEntry, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use chrono::{DateTime, NaiveDate, Utc};

use super::listing::{self, Finished, ListOptions, Listing, Page, Pages, Totals};
use super::{Kind, ObjectInfo, key, layout};
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
    pub(super) fn list(&self, options: ListOptions) -> Listing {
        let root = self.root.clone();
        Listing::start(|pages| async move {
            let walk = tokio::task::spawn_blocking(move || Walk::new(root, options, pages).run());
            walk.await.map_err(|error| Error::new(ErrorKind::Internal, "the listing panicked").source(error))?
        })
    }
}

/// Names of files, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub names: Vec<String>,
    pub requests: u64,
    pub unreadable: Vec<String>,
}

/// Without following links, as [`Walk`].
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

/// Objects of a page.
const PAGE_OBJECTS: usize = 1_000;

/// A walk through a folder, depth first and by name, without following links: a link could lead out of the folder, or
/// round in circles.
struct Walk {
    root: PathBuf,
    options: ListOptions,
    pages: Pages,
    totals: Totals,
    objects: Vec<ObjectInfo>,
    /// Regions' folders that were entered.
    regions: Vec<String>,
    /// Folders that could not be read.
    unread: Vec<String>,
}

impl Walk {
    fn new(root: PathBuf, options: ListOptions, pages: Pages) -> Self {
        let (totals, objects) = (Totals::default(), Vec::with_capacity(PAGE_OBJECTS));
        Self { root, options, pages, totals, objects, regions: Vec::new(), unread: Vec::new() }
    }

    fn run(mut self) -> Result<Totals> {
        let metadata = fs::metadata(&self.root).map_err(|error| unreadable(&self.root, error))?;
        if metadata.is_dir() {
            fs::read_dir(&self.root).map_err(|error| unreadable(&self.root, error))?;
            self.folders();
        } else {
            self.objects.push(object(&self.root, &metadata, &text(&self.root)));
            self.totals.requests = 1;
        }
        self.send();
        self.finish();
        Ok(self.totals)
    }

    fn folders(&mut self) {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            if self.pages.is_closed() {
                self.regions.clear();
                return;
            }
            let prefix = format!("{}/", text(&folder));
            if layout::region_prefix(&prefix) == Some(&prefix) {
                self.regions.push(prefix);
            }
            self.totals.requests += 1;
            match fs::read_dir(&folder) {
                Ok(entries) => self.entries(&folder, entries, &mut folders),
                Err(error) => self.unreadable(&folder, error),
            }
        }
    }

    fn entries(&mut self, folder: &Path, entries: fs::ReadDir, folders: &mut Vec<PathBuf>) {
        let mut below = Vec::new();
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if kind.is_dir() => below.push(entry.path()),
                Ok((kind, entry)) if kind.is_file() => self.note(&entry),
                Ok(_) => *self.totals.skipped.entry(Kind::Other).or_default() += 1,
                Err(error) => self.unreadable(folder, error),
            }
        }
        below.retain(|path| self.enters(path));
        below.sort_by(|a, b| b.cmp(a));
        folders.append(&mut below);
    }

    fn enters(&mut self, folder: &Path) -> bool {
        let prefix = format!("{}/", text(folder));
        let name = format!("{}/", self.name(folder));
        let (start, end) = match layout::region_prefix(&prefix) {
            Some(region) => self.options.range(region, region),
            None => (None, None),
        };
        layout::overlaps(&prefix, start.as_deref(), end.as_deref())
            && self.totals.enters(&self.options.selection, &prefix, &name)
    }

    /// The path below the source.
    fn name(&self, path: &Path) -> String {
        text(path.strip_prefix(&self.root).unwrap_or(path))
    }

    fn note(&mut self, entry: &DirEntry) {
        let path = entry.path();
        let name = self.name(&path);
        if !self.totals.takes(&self.options.selection, key::kind(&format!("/{name}"))) {
            return;
        }
        match entry.metadata() {
            Ok(metadata) => {
                let object = object(&path, &metadata, &format!("/{name}"));
                if self.options.selection.takes(&object.name, &name, object.date) {
                    self.objects.push(object);
                } else {
                    self.totals.filtered += 1;
                }
            }
            Err(error) => self.unreadable(&path, error),
        }
        if self.objects.len() >= PAGE_OBJECTS {
            self.send();
        }
    }

    fn unreadable(&mut self, path: &Path, error: std::io::Error) {
        self.unread.push(format!("{}/", text(path)));
        self.totals.unreadable.push(unreadable(path, error).to_string());
    }

    fn send(&mut self) {
        let objects = std::mem::replace(&mut self.objects, Vec::with_capacity(PAGE_OBJECTS));
        // nobody takes it any more where the run was stopped
        let _ = self.pages.blocking_send(Page { objects, complete_before: NaiveDate::MIN });
    }

    fn finish(&mut self) {
        let whole = self.regions.drain(..).filter(|region| !self.unread.iter().any(|path| path.starts_with(region)));
        let finished = whole.map(|prefix| Finished { since: self.options.first_day(&prefix), prefix });
        self.totals.finished = finished.collect();
        self.totals.finished.sort();
        self.totals.unreadable.sort();
    }
}

fn object(path: &Path, metadata: &Metadata, key: &str) -> ObjectInfo {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let day = || DateTime::<Utc>::from(UNIX_EPOCH + modified).date_naive();
    ObjectInfo {
        name: text(path),
        bytes: metadata.len(),
        version: format!("{}-{}", metadata.len(), modified.as_nanos()),
        date: listing::day(key, day),
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
    use crate::source::Selection;

    #[tokio::test]
    async fn lists_what_is_there_by_day_and_name() {
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
        let options = ListOptions::new(Selection::default(), NaiveDate::MAX);
        let source = FolderSource::open(&text(folder.path())).unwrap();
        let (objects, totals) = source.list(options).collect().await.unwrap();
        let names: Vec<&str> = objects.iter().map(|object| object.name.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["z.json", "y.json.gz", "x.json"]);
        assert_eq!(totals.skipped[&Kind::Digest], 1);
        assert_eq!(totals.skipped[&Kind::Other], 2);
        assert_eq!(totals.unreadable, Vec::<String>::new());
    }

    #[test]
    fn a_missing_path_is_not_found() {
        assert_eq!(FolderSource::open("/does/not/exist").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
