//! The table `session_origins`: every temporary credential that a call in the lake made, with its chain.
//!
//! Owns: which calls make credentials, and the table. How chains are resolved is in `session`.
//! Invariants: nothing is stored, so calls and uses may arrive in any order, days apart, from several accounts. It is
//! made when a query first reads it, once per session, and its memory is taken from that of the queries.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime};
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use super::text::without_views;
use crate::schema::timestamp;
use crate::session::{Edge, Session, Sessions, Use};

/// Calls that make temporary credentials, and where their records have them. All columns but the time are text.
pub(super) const CALLS: &str = "\
SELECT eventid, eventtime, eventname, sharedeventid,
       coalesce(json_get_str(responseelements, 'credentials', 'accessKeyId'),
                json_get_str(responseelements, 'credentialSet', 0, 'credentials', 'accessKeyId'),
                json_get_str(responseelements, 'roleCredentials', 'accessKeyId')) AS session_id,
       coalesce(json_get_str(responseelements, 'assumedRoleUser', 'assumedRoleId'),
                json_get_str(responseelements, 'credentialSet', 0, 'assumedRoleUser', 'assumedRoleId')) AS principal,
       coalesce(json_get_str(requestparameters, 'roleArn'),
                regexp_replace(json_get_str(responseelements, 'assumedRoleUser', 'arn'),
                               '^arn:([^:]*):sts::([0-9]*):assumed-role/([^/]*)/.*$', 'arn:\\1:iam::\\2:role/\\3'),
                json_get_str(responseelements, 'federatedUser', 'arn'),
                CASE WHEN eventname = 'AssumeRoot'
                     THEN concat('arn:aws:iam::', json_get_str(requestparameters, 'targetPrincipal'), ':root') END) AS role,
       coalesce(json_get_str(requestparameters, 'roleSessionName'), json_get_str(requestparameters, 'name')) AS name,
       coalesce(json_get_str(responseelements, 'sourceIdentity'),
                json_get_str(requestparameters, 'sourceIdentity')) AS source_identity,
       useridentity.type AS caller, actor, useridentity.accesskeyid AS parent_key,
       useridentity.principalid AS parent_principal, sourceipaddress, useragent, recipientaccountid
FROM events
WHERE eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot',
                    'GetSessionToken', 'GetFederationToken', 'GetDelegatedAccessToken', 'CreateSession',
                    'AssumeRoleForPodIdentity', 'GetCredentialsForIdentity', 'GetRoleCredentials', 'GetDataAccess')
  AND eventsource IN ('sts.amazonaws.com', 'rolesanywhere.amazonaws.com', 'eks-auth.amazonaws.com',
                      'cognito-identity.amazonaws.com', 'sso.amazonaws.com', 's3.amazonaws.com')
  AND outcome = 'success'";

/// What is left to join by where a call's answer was lost. Read only where there is such a call, and of its second.
pub(super) const USES: &str = "\
SELECT DISTINCT useridentity.accesskeyid AS session_id, useridentity.principalid AS principal,
       useridentity.sessioncontext.sessionissuer.arn AS role,
       useridentity.sessioncontext.attributes.creationdate AS created
FROM events
WHERE useridentity.accesskeyid LIKE 'ASIA%' AND useridentity.sessioncontext.attributes.creationdate IS NOT NULL";

/// Seconds that a condition on [`USES`] names.
const SECONDS: usize = 1_000;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("session_id", DataType::Utf8, false),
        text("parent_id"),
        text("actor_root"),
        text("actor_role"),
        text("session_name"),
        Field::new("chain_depth", DataType::Int64, false),
        text("chain"),
        Field::new("chain_complete", DataType::Boolean, false),
        Field::new("made_at", timestamp(), false),
        text("made_with"),
        text("made_by"),
        text("made_from"),
        text("made_agent"),
        text("made_in_account"),
        text("made_event"),
    ]))
});

/// The table.
#[derive(Debug)]
pub(super) struct SessionOrigins {
    calls: LogicalPlan,
    uses: LogicalPlan,
    made: OnceCell<Made>,
}

#[derive(Debug)]
struct Made {
    table: MemTable,
    _memory: MemoryReservation,
}

impl SessionOrigins {
    /// A table that is made from the answers to these plans of [`CALLS`] and [`USES`].
    pub(super) fn new(calls: LogicalPlan, uses: LogicalPlan) -> Self {
        Self { calls, uses, made: OnceCell::new() }
    }

    async fn make(&self, state: &dyn CatalogSession) -> DfResult<Made> {
        let memory = MemoryConsumer::new("session_origins").register(&state.runtime_env().memory_pool);
        let calls = rows(state, &self.calls, &memory).await?;
        let lost = lost(&calls)?;
        let uses = match lost.len() {
            0 => None,
            1..=SECONDS => Some(rows(state, &made_at(&self.uses, &lost)?, &memory).await?),
            _ => Some(rows(state, &self.uses, &memory).await?),
        };
        let batch = resolved(&calls, uses.as_ref())?;
        drop((calls, uses));
        // what the steps took is free again
        memory.try_resize(batch.get_array_memory_size())?;
        Ok(Made { table: MemTable::try_new(Arc::clone(&SCHEMA), vec![vec![batch]])?, _memory: memory })
    }
}

#[async_trait]
impl TableProvider for SessionOrigins {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let made = self.made.get_or_try_init(|| self.make(state)).await?;
        made.table.scan(state, projection, filters, limit).await
    }
}

/// All rows of a plan in one batch; text as `Utf8`: a view would keep the dictionary that it came from.
async fn rows(state: &dyn CatalogSession, plan: &LogicalPlan, memory: &MemoryReservation) -> DfResult<RecordBatch> {
    let plan = state.create_physical_plan(plan).await?;
    let mut stream = without_views(execute_stream(plan, state.task_ctx())?);
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        // twice: the batches, and all of them in one
        memory.try_grow(2 * batch.get_array_memory_size())?;
        batches.push(batch);
    }
    let all = concat_batches(&stream.schema(), &batches)?;
    let fields = all.schema_ref().fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), all.columns().to_vec())?)
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> DfResult<&'b StringArray> {
    Ok(batch.column(batch.schema().index_of(name)?).as_string())
}

fn times(calls: &RecordBatch) -> DfResult<&TimestampMicrosecondArray> {
    Ok(calls.column(calls.schema().index_of("eventtime")?).as_primitive())
}

/// Seconds of calls whose answers were lost, but that can be found by what they asked for.
fn lost(calls: &RecordBatch) -> DfResult<BTreeSet<i64>> {
    let (keys, roles, names) = (texts(calls, "session_id")?, texts(calls, "role")?, texts(calls, "name")?);
    let time = times(calls)?;
    let lost = (0..calls.num_rows()).filter(|row| keys.is_null(*row) && roles.is_valid(*row) && names.is_valid(*row));
    Ok(lost.map(|row| time.value(row).div_euclid(1_000_000)).collect())
}

/// [`USES`] of sessions that were made in these seconds, in either notation of [`instant`].
fn made_at(uses: &LogicalPlan, seconds: &BTreeSet<i64>) -> DfResult<LogicalPlan> {
    let times = seconds.iter().filter_map(|second| DateTime::from_timestamp(*second, 0));
    let texts =
        times.flat_map(|time| ["%Y-%m-%dT%H:%M:%SZ", BASIC].map(|notation| lit(time.format(notation).to_string())));
    LogicalPlanBuilder::from(uses.clone()).filter(col("created").in_list(texts.collect(), false))?.build()
}

fn resolved(calls: &RecordBatch, uses: Option<&RecordBatch>) -> DfResult<RecordBatch> {
    let edges = edges(calls)?;
    let uses = uses.map(self::uses).transpose()?.unwrap_or_default();
    let sessions = Sessions::resolve(&edges, &uses);
    let all: Vec<Session<'_, '_>> = sessions.iter().collect();
    let text = |get: &dyn Fn(&Session<'_, '_>) -> Option<String>| -> ArrayRef {
        let mut column = StringBuilder::new();
        all.iter().for_each(|session| column.append_option(get(session)));
        Arc::new(column.finish())
    };
    let from = |name: &str| -> DfResult<ArrayRef> {
        let column = texts(calls, name)?;
        let cell = |session: &Session<'_, '_>| {
            let row = session.edge();
            column.is_valid(row).then(|| column.value(row))
        };
        Ok(Arc::new(all.iter().map(cell).collect::<StringArray>()))
    };
    let times = all.iter().map(|session| session.call().time);
    let columns: Vec<ArrayRef> = vec![
        text(&|session| Some(session.key().to_owned())),
        text(&|session| session.parent_key().map(str::to_owned)),
        text(&|session| session.root()),
        text(&|session| session.role().map(str::to_owned)),
        text(&|session| session.call().name.map(str::to_owned)),
        Arc::new(all.iter().map(|session| i64::from(session.depth())).collect::<Int64Array>()),
        text(&|session| Some(session.chain())),
        Arc::new(all.iter().map(|session| Some(session.is_complete())).collect::<BooleanArray>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        from("eventname")?,
        from("actor")?,
        from("sourceipaddress")?,
        from("useragent")?,
        from("recipientaccountid")?,
        from("eventid")?,
    ];
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), columns)?)
}

fn edges(calls: &RecordBatch) -> DfResult<Vec<Edge<'_>>> {
    let column = |name: &str| texts(calls, name);
    let [id, api, shared] = [column("eventid")?, column("eventname")?, column("sharedeventid")?];
    let [key, session, role] = [column("session_id")?, column("principal")?, column("role")?];
    let [name, source, caller] = [column("name")?, column("source_identity")?, column("caller")?];
    let [actor, parent, principal] = [column("actor")?, column("parent_key")?, column("parent_principal")?];
    let time = times(calls)?;
    let edge = |row: usize| {
        let text = |column: &'_ StringArray| column.is_valid(row);
        Edge {
            event_id: if text(id) { id.value(row) } else { "" },
            time: time.value(row),
            api: if text(api) { api.value(row) } else { "" },
            shared_id: text(shared).then(|| shared.value(row)),
            key: text(key).then(|| key.value(row)),
            session: text(session).then(|| session.value(row)),
            role: text(role).then(|| role.value(row)),
            name: text(name).then(|| name.value(row)),
            source_identity: text(source).then(|| source.value(row)),
            caller: text(caller).then(|| caller.value(row)),
            actor: text(actor).then(|| actor.value(row)),
            parent_key: text(parent).then(|| parent.value(row)),
            parent_principal: text(principal).then(|| principal.value(row)),
        }
    };
    Ok((0..calls.num_rows()).map(edge).collect())
}

fn uses(rows: &RecordBatch) -> DfResult<Vec<Use<'_>>> {
    let (key, principal) = (texts(rows, "session_id")?, texts(rows, "principal")?);
    let (role, created) = (texts(rows, "role")?, texts(rows, "created")?);
    let used = |row: usize| {
        Some(Use {
            key: key.is_valid(row).then(|| key.value(row))?,
            principal: principal.is_valid(row).then(|| principal.value(row)),
            role: role.is_valid(row).then(|| role.value(row)),
            created: instant(created.is_valid(row).then(|| created.value(row))?)?,
        })
    };
    Ok((0..rows.num_rows()).filter_map(used).collect())
}

/// Basic notation of ISO 8601.
const BASIC: &str = "%Y%m%dT%H%M%SZ";

/// `2026-01-31T12:00:00Z`, or in basic notation, `20260131T120000Z`.
fn instant(text: &str) -> Option<i64> {
    let basic = || NaiveDateTime::parse_from_str(text, BASIC).ok().map(|time| time.and_utc().timestamp_micros());
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros()).or_else(basic)
}
