//! Views that every session has.
//!
//! Owns: `events_latest`, in which a record that CloudTrail delivered anew with other content takes the place of the
//! one before. `events` keeps both.

use std::sync::Arc;

use datafusion::datasource::ViewTable;
use datafusion::prelude::SessionContext;
use futures::FutureExt;

use super::fault;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::EVENTS;
use crate::table::TableSnapshot;

/// An addendum with the reason UPDATED_DATA stands for the event that it names. Of several for one event the last one
/// counts; they have no number, so "last" is by time, then by the object (whose name has the time of delivery).
const EVENTS_LATEST: &str = "\
WITH updates AS (
  SELECT eventid, addendum['originaleventid'] AS original,
         row_number() OVER (PARTITION BY addendum['originaleventid']
                            ORDER BY eventtime DESC, source_object DESC, eventid DESC) AS place
  FROM events
  WHERE addendum['reason'] = 'UPDATED_DATA' AND addendum['originaleventid'] IS NOT NULL
), superseded AS (
  SELECT original AS eventid FROM updates WHERE original <> eventid
  UNION
  SELECT eventid FROM updates WHERE place > 1
)
SELECT events.* FROM events LEFT ANTI JOIN superseded ON events.eventid = superseded.eventid";

/// Adds the views of the tables that a session has.
///
/// # Errors
/// `Internal` where a view cannot be planned.
pub(super) fn register(ctx: &SessionContext, snapshots: &[TableSnapshot]) -> Result<()> {
    let events = |snapshot: &&TableSnapshot| snapshot.name == EVENTS.name && snapshot.schema == EVENTS.schema();
    if !snapshots.iter().any(|snapshot| events(&snapshot)) {
        return Ok(());
    }
    let state = ctx.state();
    // a session's tables are in memory, so there is nothing to wait for
    let planned = state.create_logical_plan(EVENTS_LATEST).now_or_never();
    let plan = planned
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the view events_latest has to wait"))?
        .map_err(|error| fault::of(&error))?;
    let view = ViewTable::new(plan, Some(EVENTS_LATEST.to_owned()));
    ctx.register_table("events_latest", Arc::new(view)).map_err(|error| fault::of(&error)).map(drop)
}
