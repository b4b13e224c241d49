//! The user's files of networks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trailhound::decode::decode;
use trailhound::error::{Error, ErrorKind, Result};
use trailhound::network::{List, MAX_FILE, Networks};

/// Which files there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFiles {
    /// `--asn-db`
    pub asn_db: Option<PathBuf>,
    /// `--aws-ip-ranges`
    pub aws_ip_ranges: Option<PathBuf>,
    /// `--threat-list`
    pub threat_list: Option<PathBuf>,
    /// `--tor-list`
    pub tor_list: Option<PathBuf>,
}

/// Reads the files that are named, if any.
///
/// # Errors
/// `Usage` where one cannot be read, `BadInput` where it is something else.
pub fn load(files: &NetworkFiles) -> Result<Option<Arc<Networks>>> {
    if *files == NetworkFiles::default() {
        return Ok(None);
    }
    let mut networks = Networks::default();
    if let Some(path) = &files.asn_db {
        tell(path, networks.read_asn(read(path, "--asn-db")?))?;
    }
    if let Some(path) = &files.aws_ip_ranges {
        networks.read_aws(&read(path, "--aws-ip-ranges")?).map_err(|error| of(path, error))?;
    }
    if let Some(path) = &files.threat_list {
        tell(path, networks.read_list(List::Threat, &read(path, "--threat-list")?))?;
    }
    if let Some(path) = &files.tor_list {
        tell(path, networks.read_list(List::Tor, &read(path, "--tor-list")?))?;
    }
    Ok(Some(Arc::new(networks)))
}

/// Says how many lines were of no use.
fn tell(path: &Path, unread: Result<usize>) -> Result<()> {
    let unread = unread.map_err(|error| of(path, error))?;
    if unread > 0 {
        tracing::warn!("{}: {unread} lines could not be read", path.display());
    }
    Ok(())
}

/// The file's content, gunzipped where it is gzip.
fn read(path: &Path, option: &str) -> Result<Vec<u8>> {
    let fail = |what: &str| Error::new(ErrorKind::Usage, format!("{option}: {what} {}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| fail("cannot read").source(error))?;
    let mut text = Vec::new();
    decode(&bytes, MAX_FILE, &mut text).map_err(|reject| fail("cannot use").hint(reject.detail))?;
    Ok(text)
}

fn of(path: &Path, error: Error) -> Error {
    Error::new(error.kind(), path.display().to_string()).source(error)
}
