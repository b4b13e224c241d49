//! Views that every session has.
//!
//! Owns:
//! - `events_latest`, in which a record that CloudTrail delivered anew with other content takes the place of the one
//!   before. `events` keeps both.
//! - `events_by_actor`: events with who was behind them, through all chains of temporary credentials, and what is known
//!   of where they came from.
//! - `sessions`: a row per temporary credential, made or used.
//! - `events_with_keys`: events with the members of their parameters that are asked for most, each read only where it is.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::FutureExt;

use super::fault;
use super::origins::{CALLS, SessionOrigins, USES};
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

/// A session that no call in the lake made is at least one call away from whoever is behind it. The sessions stand on the
/// left, which is the side that a join holds in memory where it does not know the smaller one.
const EVENTS_BY_ACTOR: &str = "\
SELECT events.*,
       CASE WHEN useridentity.accesskeyid <> '' THEN useridentity.accesskeyid END AS session_id,
       coalesce(origin.actor_root, events.actor) AS actor_root,
       coalesce(origin.actor_role, useridentity.sessioncontext.sessionissuer.arn) AS actor_role,
       coalesce(origin.chain_depth, CASE WHEN useridentity.type = 'AssumedRole' THEN 1 ELSE 0 END) AS chain_depth,
       coalesce(origin.chain, concat(CASE WHEN useridentity.type = 'AssumedRole' THEN '? -> ' ELSE '' END,
                                     regexp_replace(events.actor, '^arn:aws[^:]*:(iam|sts)::', ''))) AS chain,
       source_kind(sourceipaddress, vpcendpointid) AS source_kind,
       source_country(sourceipaddress) AS source_country,
       source_asn(sourceipaddress) AS source_asn,
       source_org(sourceipaddress) AS source_org,
       agent_family(useragent) AS agent_family
FROM session_origins AS origin RIGHT JOIN events ON useridentity.accesskeyid = origin.session_id";

/// Grouped twice: first by what hardly varies within a session, which is fast, then into lists. `forwarded`: only services
/// used the key, on behalf of whoever called them.
const SESSIONS: &str = "\
WITH parts AS (
  SELECT useridentity.accesskeyid AS session_id, sourceipaddress, vpcendpointid, useragent, recipientaccountid, awsregion,
         min(actor) AS actor, max(useridentity.sessioncontext.sessionissuer.arn) AS role, max(useridentity.type) AS type,
         max(useridentity.sessioncontext.sourceidentity) AS source_identity,
         max(useridentity.sessioncontext.attributes.mfaauthenticated) AS mfa,
         min(eventtime) AS first_use, max(eventtime) AS last_use, count(*) AS events,
         count(*) FILTER (WHERE outcome = 'denied') AS denied,
         bool_and(useridentity.invokedby IS NOT NULL) AS forwarded
  FROM events
  WHERE useridentity.accesskeyid LIKE 'ASIA%'
  GROUP BY useridentity.accesskeyid, sourceipaddress, vpcendpointid, useragent, recipientaccountid, awsregion
), uses AS (
  SELECT session_id, min(actor) AS actor, max(role) AS role, max(type) AS type, max(source_identity) AS source_identity,
         max(mfa) AS mfa, min(first_use) AS first_use, max(last_use) AS last_use, sum(events) AS events,
         sum(denied) AS denied, bool_and(forwarded) AS forwarded,
         array_sort(array_agg(DISTINCT sourceipaddress) FILTER (WHERE sourceipaddress IS NOT NULL)) AS addresses,
         array_sort(array_agg(DISTINCT coalesce(source_org(sourceipaddress), source_country(sourceipaddress),
                                                source_kind(sourceipaddress, vpcendpointid), 'unknown'))) AS networks,
         array_sort(array_agg(DISTINCT agent_family(useragent)) FILTER (WHERE agent_family(useragent) IS NOT NULL)) AS agents,
         array_sort(array_agg(DISTINCT recipientaccountid) FILTER (WHERE recipientaccountid IS NOT NULL)) AS accounts,
         array_sort(array_agg(DISTINCT awsregion) FILTER (WHERE awsregion IS NOT NULL)) AS regions
  FROM parts
  GROUP BY session_id
)
SELECT coalesce(uses.session_id, origin.session_id) AS session_id, origin.parent_id,
       coalesce(origin.actor_root, uses.actor) AS actor_root, coalesce(origin.actor_role, uses.role) AS actor_role,
       uses.actor, origin.session_name, uses.source_identity,
       coalesce(origin.chain_depth, CASE WHEN uses.type = 'AssumedRole' THEN 1 ELSE 0 END) AS chain_depth,
       coalesce(origin.chain, concat(CASE WHEN uses.type = 'AssumedRole' THEN '? -> ' ELSE '' END,
                                     regexp_replace(uses.actor, '^arn:aws[^:]*:(iam|sts)::', ''))) AS chain,
       coalesce(origin.chain_complete, uses.type <> 'AssumedRole') AS chain_complete,
       origin.made_at, origin.made_with, origin.made_by, origin.made_from, origin.made_agent, origin.made_in_account,
       origin.made_event,
       uses.first_use, uses.last_use, coalesce(uses.events, 0) AS events, coalesce(uses.denied, 0) AS denied,
       coalesce(uses.forwarded, false) AS forwarded,
       uses.mfa = 'true' AS mfa, uses.addresses, uses.networks, uses.agents, uses.accounts, uses.regions
FROM uses FULL JOIN session_origins AS origin ON uses.session_id = origin.session_id";

/// What a call is about, by the names that most services give it. The members are looked up by one scan of a cell.
const EVENTS_WITH_KEYS: &str = "\
SELECT events.*,
       element_at(requestparameters, 'bucketName') AS bucket_name,
       element_at(requestparameters, 'key') AS object_key,
       coalesce(element_at(requestparameters, 'roleName'), split_part(element_at(requestparameters, 'roleArn'), '/', -1)) AS role_name,
       element_at(requestparameters, 'userName') AS user_name,
       coalesce(element_at(requestparameters, 'instanceId'),
                json_extract_scalar(requestparameters, '$.instancesSet.items[0].instanceId')) AS instance_id,
       element_at(requestparameters, 'policyArn') AS policy_arn,
       coalesce(useridentity.sessioncontext.sourceidentity, element_at(requestparameters, 'sourceIdentity')) AS source_identity
FROM events";

/// Adds the views of the tables that a session has.
///
/// # Errors
/// `Internal` where a view cannot be planned.
pub(super) fn register(ctx: &SessionContext, snapshots: &[TableSnapshot]) -> Result<()> {
    let events = |snapshot: &&TableSnapshot| snapshot.name == EVENTS.name && snapshot.schema == EVENTS.schema();
    if !snapshots.iter().any(|snapshot| events(&snapshot)) {
        return Ok(());
    }
    let origins = SessionOrigins::new(plan(ctx, "session_origins", CALLS)?, plan(ctx, "session_origins", USES)?);
    add(ctx, "session_origins", Arc::new(origins))?;
    for (name, sql) in [
        ("events_latest", EVENTS_LATEST),
        ("events_by_actor", EVENTS_BY_ACTOR),
        ("sessions", SESSIONS),
        ("events_with_keys", EVENTS_WITH_KEYS),
    ] {
        let view = ViewTable::new(plan(ctx, name, sql)?, Some(sql.to_owned()));
        add(ctx, name, Arc::new(view))?;
    }
    Ok(())
}

fn add(ctx: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    ctx.register_table(name, table).map_err(|error| fault::of(&error)).map(drop)
}

fn plan(ctx: &SessionContext, name: &str, sql: &str) -> Result<LogicalPlan> {
    // a session's tables are in memory, so there is nothing to wait for
    let planned = ctx.state().create_logical_plan(sql).now_or_never();
    planned
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the view {name} has to wait")))?
        .map_err(|error| fault::of(&error))
}
