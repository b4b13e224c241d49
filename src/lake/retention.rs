//! How far back the lake keeps events.
//!
//! Owns: the first day that is kept, as a small file of the lake. Ingest leaves objects of earlier days alone, so that
//! what was dropped does not come back; their entries in the ledger are dropped with the events.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Lake;
use crate::error::{Error, ErrorKind, Result};

/// File of the lake.
const NAME: &str = "retention.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    /// First day that is kept.
    first_day: NaiveDate,
}

impl Lake {
    /// The first day that is kept; `None` where all are.
    ///
    /// # Errors
    /// As the store answers; `BadInput` where the file is broken.
    pub async fn first_day(&self) -> Result<Option<NaiveDate>> {
        let Some(bytes) = self.read_file(NAME).await? else { return Ok(None) };
        let retention: Retention = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::BadInput, format!("{NAME} in {} is broken", self.location()))
                .source(error)
                .hint("write it anew with `trailhound lake retain --days N`")
        })?;
        Ok(Some(retention.first_day))
    }

    /// Sets the first day that is kept.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn set_first_day(&self, first_day: NaiveDate) -> Result<()> {
        let text = serde_json::to_vec(&Retention { first_day }).expect("a date always serializes");
        self.write_file(NAME, text.into()).await
    }
}
