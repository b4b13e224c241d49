//! Writes to the local disk that were cut off.
//!
//! The store writes `NAME#1` and renames it; where the process dies in between, the file stays, and no listing of the
//! store shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::survey::{Garbage, Reason};
use crate::error::{Error, ErrorKind, Result};

/// Files of unfinished writes in a folder and those below, last written before `until`.
///
/// # Errors
/// As the disk answers.
pub(super) fn find(folder: &Path, until: DateTime<Utc>) -> Result<Vec<Garbage>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        walk(&folder, until.into(), &mut folders, &mut found).map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("cannot list {}", folder.display())).source(error)
        })?;
    }
    Ok(found)
}

fn walk(folder: &Path, until: SystemTime, folders: &mut Vec<PathBuf>, found: &mut Vec<Garbage>) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // what is renamed or deleted meanwhile is not debris
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            folders.push(path);
        } else if is_unfinished(&path) && meta.modified()? < until {
            let path = object_store::path::Path::from_absolute_path(&path).map_err(std::io::Error::other)?;
            found.push(Garbage { path, bytes: meta.len(), reason: Reason::Debris });
        }
    }
    Ok(())
}

/// `NAME#123`
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.rsplit_once('#').map(|(_, digits)| digits);
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Deletes one; that it is gone already is no error.
///
/// # Errors
/// As the disk answers.
pub(super) fn delete(path: &object_store::path::Path) -> Result<()> {
    let path = Path::new("/").join(path.as_ref());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::Unavailable, format!("cannot delete {}", path.display())).source(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_writes_are_debris() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("event_date=2026-01-01")).unwrap();
        for name in ["event_date=2026-01-01/part-1.parquet#1", "part-1.parquet", "note#x", "b.json#12"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let late = Utc::now() + chrono::Duration::hours(1);
        let mut found = find(folder.path(), late).unwrap();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let names: Vec<_> = found.iter().filter_map(|file| file.path.filename()).collect();
        assert_eq!(names, ["b.json#12", "part-1.parquet#1"]);
        assert!(find(folder.path(), Utc::now() - chrono::Duration::hours(1)).unwrap().is_empty());
        for file in found {
            delete(&file.path).unwrap();
            delete(&file.path).unwrap();
        }
        assert_eq!(find(folder.path(), late).unwrap(), []);
    }
}
