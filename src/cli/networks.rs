//! The user's files of networks.

use std::path::Path;
use std::sync::Arc;

use trailhound::decode::decode;
use trailhound::error::{Error, ErrorKind, Result};
use trailhound::network::{MAX_FILE, Networks};

/// Reads the files that are named, if any.
///
/// # Errors
/// `Usage` where one cannot be read, `BadInput` where it is something else.
pub fn load(asn: Option<&Path>, aws: Option<&Path>) -> Result<Option<Arc<Networks>>> {
    if asn.is_none() && aws.is_none() {
        return Ok(None);
    }
    let mut networks = Networks::default();
    if let Some(path) = asn {
        let unread = networks.read_asn(read(path, "--asn-db")?).map_err(|error| of(path, error))?;
        if unread > 0 {
            tracing::warn!("{}: {unread} lines could not be read", path.display());
        }
    }
    if let Some(path) = aws {
        networks.read_aws(&read(path, "--aws-ip-ranges")?).map_err(|error| of(path, error))?;
    }
    Ok(Some(Arc::new(networks)))
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
