//! Where a source keeps what a digest names.
//!
//! Owns: the two ways between an object's name in the source and the bucket and key that CloudTrail gave it. In a bucket
//! they are the same. A folder is a copy of a bucket: it may lie deeper than the bucket's root, or hold only some prefix of it;
//! which of them is seen when a digest's own key is held against its path.
//! Invariant: a name below the source's folder, or none; what a digest says never leads out of it.

use std::path::Path;

use crate::digest::Location;
use crate::source::Root;

/// How the keys of a digest's bucket map to names of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The same.
    Bucket,
    /// Below a folder, in a sub-folder, without the head of the key.
    Folder { root: String, below: String, without: String },
}

/// The part of a path below a folder, with `/` between its parts.
fn relative(root: &Path, name: &str) -> Option<String> {
    let rest = Path::new(name).strip_prefix(root).ok()?;
    Some(rest.to_string_lossy().replace('\\', "/"))
}

/// Head of a text that ends with a path, which is all of it or starts at a `/`.
fn head<'t>(text: &'t str, tail: &str) -> Option<&'t str> {
    let head = text.strip_suffix(tail)?;
    (head.is_empty() || head.ends_with('/')).then_some(head)
}

impl Place {
    /// Where a digest was found in the terms of digests, and how it maps what it names; it claims to be at `claimed`.
    pub(super) fn of(root: &Root, name: &str, claimed: &Location) -> (Location, Self) {
        let folder = match root {
            Root::Bucket(_) => return (bucket_location(name), Self::Bucket),
            Root::Folder(folder) => folder,
        };
        let path = relative(folder, name).unwrap_or_default();
        let root = folder.to_string_lossy().into_owned();
        let place = |below: &str, without: &str| Self::Folder {
            root: root.clone(),
            below: below.to_owned(),
            without: without.to_owned(),
        };
        if let Some(below) = head(&path, &claimed.key) {
            (claimed.clone(), place(below, ""))
        } else if let Some(without) = head(&claimed.key, &path).filter(|_| !path.is_empty()) {
            (claimed.clone(), place("", without))
        } else {
            (Location::new("", path), place("", ""))
        }
    }

    /// The location that an object of this name has, in the bucket that the folder is a copy of.
    pub(super) fn location(&self, name: &str, bucket: &str) -> Location {
        match self {
            Self::Bucket => bucket_location(name),
            Self::Folder { root, below, without } => {
                let path = relative(Path::new(root), name).unwrap_or_default();
                let path = path.strip_prefix(below.as_str()).unwrap_or(&path);
                Location::new(bucket, format!("{without}{path}"))
            }
        }
    }

    /// The source's name of an object; `None` where it is outside of the source.
    pub(super) fn name(&self, location: &Location) -> Option<String> {
        match self {
            Self::Bucket => Some(location.to_string()),
            Self::Folder { root, below, without } => {
                let key = location.key.strip_prefix(without.as_str())?;
                let plain = key.split('/').all(|part| !matches!(part, "" | "." | "..")) && !key.contains('\\');
                plain.then(|| format!("{root}/{below}{key}"))
            }
        }
    }
}

/// `s3://bucket/key`
fn bucket_location(name: &str) -> Location {
    let rest = name.strip_prefix("s3://").unwrap_or(name);
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    Location::new(bucket, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, key: &str) -> (Location, Place) {
        Place::of(&Root::Folder("/copy".into()), &format!("/copy/{path}"), &Location::new("b", key))
    }

    #[test]
    fn a_copy_may_be_deeper_or_of_a_prefix() {
        let key = "p/AWSLogs/1/CloudTrail-Digest/r/d.json.gz";
        let log = Location::new("b", "p/AWSLogs/1/CloudTrail/r/l.json.gz");
        for (path, name) in [
            ("p/AWSLogs/1/CloudTrail-Digest/r/d.json.gz", "/copy/p/AWSLogs/1/CloudTrail/r/l.json.gz"),
            ("x/y/p/AWSLogs/1/CloudTrail-Digest/r/d.json.gz", "/copy/x/y/p/AWSLogs/1/CloudTrail/r/l.json.gz"),
            ("1/CloudTrail-Digest/r/d.json.gz", "/copy/1/CloudTrail/r/l.json.gz"),
        ] {
            let (location, place) = place(path, key);
            assert_eq!(location, Location::new("b", key));
            assert_eq!(place.name(&log).as_deref(), Some(name));
            assert_eq!(place.location(name, "b"), log);
        }
        let (_, deep) = place("r/d.json.gz", key);
        assert_eq!(deep.name(&log), None, "the log files are outside of what was copied");
    }

    #[test]
    fn a_digest_elsewhere_has_moved() {
        let (location, _) = place("AWSLogs/2/d.json.gz", "AWSLogs/1/d.json.gz");
        assert_eq!(location, Location::new("", "AWSLogs/2/d.json.gz"));
        let root = Root::Bucket("b".to_owned());
        let (location, place) = Place::of(&root, "s3://b/k/d", &Location::new("c", "k/d"));
        assert_eq!((location, place), (Location::new("b", "k/d"), Place::Bucket));
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let (_, place) = place("AWSLogs/d.json.gz", "AWSLogs/d.json.gz");
        for key in ["../etc/passwd", "/etc/passwd", "a/../../b", "a//b", "a/./b", "", "a\\..\\b"] {
            assert_eq!(place.name(&Location::new("b", key)), None, "{key}");
        }
    }
}
