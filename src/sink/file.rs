//! A file as a sink: one JSON object a line.
//!
//! Owns: that the file is either as it was or whole: what is written goes to a new file beside it, which then takes
//! its name. Refuses: standard output, which is the edge's.
//! Invariant: a line is never cut.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::message::{Message, json_text};
use super::shorten::LeftOut;
use super::{Batch, Outcome, Plan, Sent, Shape};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// What happens to the lines that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileMode {
    /// They stay, in front.
    #[default]
    Append,
    /// They go; the file holds what this run sends.
    Replace,
}

/// Which file, written how.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// What happens to the lines that are there already.
    pub mode: FileMode,
    /// The JSON of a line.
    pub shape: Shape,
}

/// A file, ready to be written.
#[derive(Debug, Clone)]
pub struct FileSink {
    path: PathBuf,
    mode: FileMode,
    shape: Shape,
    destination: String,
}

impl FileSink {
    /// Finds the file's folder, so that one file has one name in the record of deliveries.
    ///
    /// # Errors
    /// `NotFound` where the folder does not exist, `Usage` where the path is a folder or names no file.
    pub fn open(options: FileOptions) -> Result<Self> {
        let FileOptions { path, mode, shape } = options;
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            let what = format!("cannot write findings to {}: it is not a file", path.display());
            return Err(Error::new(ErrorKind::Usage, what).hint("name a file in an existing folder"));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = parent.canonicalize().map_err(|error| io_error("cannot find the folder of", &path, error))?;
        // a link is followed, or replacing the file would replace the link
        let path = path.canonicalize().unwrap_or_else(|_| folder.join(name));
        let destination = format!("file:{}", path.display());
        Ok(Self { path, mode, shape, destination })
    }

    pub(super) fn destination(&self) -> &str {
        &self.destination
    }

    /// One batch, as every delivery is one replacement of the file; no findings are no batch, except that a file to be
    /// replaced is replaced by an empty one.
    pub(super) fn plan(&self, findings: &[Finding]) -> Plan {
        let messages: Vec<_> = findings.iter().map(|finding| Message::line(finding, self.shape)).collect();
        let batches = match (self.mode, messages.is_empty()) {
            (FileMode::Append, true) => Vec::new(),
            _ => vec![Batch(messages)],
        };
        Plan { batches, ..Plan::default() }
    }

    pub(super) async fn deliver(&self, Batch(messages): &Batch) -> Result<Vec<Sent>> {
        let lines: String = messages.iter().flat_map(|message| [message.body.as_str(), "\n"]).collect();
        let (path, mode) = (self.path.clone(), self.mode);
        let written = tokio::task::spawn_blocking(move || write(&path, mode, lines.as_bytes())).await;
        let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        written.map_err(|error| io_error("cannot write findings to", &self.path, error))?;
        Ok(messages.iter().map(delivered).collect())
    }
}

fn delivered(message: &Message) -> Sent {
    Sent { id: message.id.clone(), outcome: Outcome::Delivered { message_id: None } }
}

impl Message {
    /// A line of a file: no limit, so nothing is left out.
    fn line(finding: &Finding, shape: Shape) -> Self {
        let content_hash = finding.content_hash();
        let body = json_text(&shape.render(finding, &LeftOut::default(), &content_hash));
        Self::new(finding, &content_hash, body)
    }
}

fn write(path: &Path, mode: FileMode, lines: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        // a pipe or device cannot be replaced; it takes the lines as they come
        Ok(old) if !old.is_file() => File::options().append(true).open(path)?.write_all(lines),
        Ok(old) => replace(path, mode, lines, Some(old.permissions())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, FileMode::Replace, lines, None),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, mode: FileMode, lines: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let beside = beside(path);
    let written = (|| {
        let mut file = File::create_new(&beside)?;
        if mode == FileMode::Append {
            copy_lines(path, &mut file)?;
        }
        file.write_all(lines)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // the first error is the one worth telling
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Copies what is there, ending a last line that another program left open.
fn copy_lines(from: &Path, to: &mut File) -> io::Result<()> {
    let old = fs::read(from)?;
    to.write_all(&old)?;
    if old.last().is_some_and(|byte| *byte != b'\n') { to.write_all(b"\n") } else { Ok(()) }
}

/// A name in the same folder that no other writer uses: process and a count of this process.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

fn io_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "create the folder first"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "allow this user to write there"),
        _ => (ErrorKind::Unavailable, "check the disk; the next run writes them"),
    };
    Error::new(kind, format!("{doing} {}", path.display())).source(error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn sink(path: &Path, mode: FileMode) -> FileSink {
        FileSink::open(FileOptions { path: path.to_owned(), mode, shape: Shape::Native }).expect("opens")
    }

    async fn send(sink: &FileSink, numbers: std::ops::Range<u32>) -> usize {
        let findings: Vec<_> = numbers.map(sample::finding).collect();
        let mut delivered = 0;
        for batch in sink.plan(&findings).batches {
            delivered += sink.deliver(&batch).await.expect("delivers").len();
        }
        delivered
    }

    fn findings(path: &Path) -> Vec<Finding> {
        let text = fs::read_to_string(path).expect("reads");
        text.lines().map(|line| serde_json::from_str(line).expect("a finding")).collect()
    }

    #[tokio::test]
    async fn appends_whole_lines_and_leaves_no_other_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("findings.ndjson");
        fs::write(&path, serde_json::to_vec(&sample::finding(9)).expect("serializes")).expect("writes");
        let sink = sink(&path, FileMode::Append);
        assert_eq!(send(&sink, 0..2).await, 2);
        assert_eq!(send(&sink, 0..0).await, 0);
        assert_eq!(findings(&path), [sample::finding(9), sample::finding(0), sample::finding(1)]);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
    }

    #[tokio::test]
    async fn replaces_even_by_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("findings.ndjson");
        let sink = sink(&path, FileMode::Replace);
        send(&sink, 0..2).await;
        send(&sink, 5..6).await;
        assert_eq!(findings(&path), [sample::finding(5)]);
        send(&sink, 0..0).await;
        assert_eq!(findings(&path), []);
    }

    #[test]
    fn a_missing_folder_is_said() {
        let path = PathBuf::from("/nonexistent-folder/findings.ndjson");
        let options = FileOptions { path, mode: FileMode::Append, shape: Shape::Native };
        let error = FileSink::open(options).expect_err("no folder");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("create the folder first"), "{error}");
    }

    #[test]
    fn one_file_has_one_destination() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = sink(&folder.path().join("a.ndjson"), FileMode::Append);
        let dotted = sink(&folder.path().join(".").join("a.ndjson"), FileMode::Append);
        assert_eq!(plain.destination(), dotted.destination());
    }
}
