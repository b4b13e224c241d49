//! Records -> Arrow columns.
//!
//! Owns: what each column holds, and the columns of our own: `outcome`, `actor`, `source_object`, `eventhash`, `extra`.
//! Refuses: a record without a readable `eventTime`, or with a member twice; both are told as rejects.
//! Invariant: a row holds all of its record: what has no column, or does not fit its column, stands in `extra`
//! (`rebuild` gives the record back).

mod column;
pub mod rebuild;
pub mod time;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::SchemaRef;

use crate::event::{EventKey, Reject, RejectReason};
use crate::identity::{self, Caller};
use crate::outcome::{self, Answer};
use crate::parse::{Record, Tree};
use crate::schema::{EVENTS, Kind, RECORD, member};
use column::{Column, Fit};

/// Members that CloudTrail always writes and that are null more often than not: null is what their NULL means, and
/// their absence is what `extra` notes.
pub(crate) const USUALLY_NULL: [&str; 2] = ["requestParameters", "responseElements"];

/// Member of `extra` that lists which of [`USUALLY_NULL`] were absent. No JSON name of CloudTrail's begins with `$`.
pub(crate) const ABSENT: &str = "$absent";

/// Indexes in `schema::RECORD` of the members that are looked at here.
struct Index {
    user_identity: usize,
    event_time: usize,
    event_source: usize,
    error_code: usize,
    error_message: usize,
    request: usize,
    response: usize,
    event_id: usize,
    event_type: usize,
    service_details: usize,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| Index {
    user_identity: member("userIdentity"),
    event_time: member("eventTime"),
    event_source: member("eventSource"),
    error_code: member("errorCode"),
    error_message: member("errorMessage"),
    request: member("requestParameters"),
    response: member("responseElements"),
    event_id: member("eventID"),
    event_type: member("eventType"),
    service_details: member("serviceEventDetails"),
});

/// What is known of a record before it becomes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identified {
    /// The event's identity.
    pub key: EventKey,
    /// Event time in microseconds since 1970.
    pub time: i64,
}

impl Identified {
    /// The UTC day of the event, the partition it belongs to, in days since 1970.
    pub fn day(&self) -> i32 {
        time::day_of(self.time)
    }
}

/// Identity and time of a record.
///
/// # Errors
/// The reject, where the record cannot become a row.
pub fn identify(record: &Record<'_>) -> Result<Identified, Reject> {
    let reject = |reason, detail: String| Err(Reject::new(Some(record.position()), reason, detail, record.raw()));
    if let Some(name) = record.duplicate_member() {
        return reject(RejectReason::DuplicateMember, format!("{name} stands in the record twice"));
    }
    let text = |index| record.member(index).and_then(|value| value.tree().as_str());
    let Some((time, _)) = text(INDEX.event_time).and_then(time::parse) else {
        let raw = record.member(INDEX.event_time).map_or("absent", |value| value.raw());
        return reject(RejectReason::NoEventTime, format!("eventTime is {raw:.64}"));
    };
    let key = match text(INDEX.event_id).filter(|id| !id.is_empty()) {
        Some(id) => EventKey::of_event_id(id),
        None => EventKey::of_record(record.raw()),
    };
    Ok(Identified { key, time })
}

/// Rows of `events` under construction (without the partition column: all rows of a batch are of one day).
pub struct BatchBuilder {
    columns: Vec<Column>,
    outcome: StringBuilder,
    actor: StringBuilder,
    source_object: StringBuilder,
    event_hash: StringBuilder,
    extra: StringBuilder,
    rows: usize,
    bytes: usize,
    scratch: String,
}

static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| EVENTS.file_schema());

impl Default for BatchBuilder {
    fn default() -> Self {
        Self {
            columns: RECORD.iter().map(|member| Column::new(&member.kind)).collect(),
            outcome: StringBuilder::new(),
            actor: StringBuilder::new(),
            source_object: StringBuilder::new(),
            event_hash: StringBuilder::new(),
            extra: StringBuilder::new(),
            rows: 0,
            bytes: 0,
            scratch: String::new(),
        }
    }
}

impl BatchBuilder {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of JSON text behind the rows so far: a measure of the memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a record as a row.
    pub fn append(&mut self, record: &Record<'_>, identified: &Identified, source_object: &str) {
        self.scratch.clear();
        self.append_members(record);
        note_unknown(record, &mut self.scratch);
        if self.scratch.is_empty() {
            self.extra.append_null();
        } else {
            self.scratch.push('}');
            self.extra.append_value(&self.scratch);
        }
        self.append_own(record, identified, source_object);
        self.rows += 1;
        self.bytes += record.raw().len();
    }

    fn append_members(&mut self, record: &Record<'_>) {
        for (index, (member, column)) in RECORD.iter().zip(&mut self.columns).enumerate() {
            let Some(value) = record.member(index) else {
                column.append_nulls(1);
                continue;
            };
            let fit = match (&member.kind, column) {
                (Kind::Json, Column::Text(builder)) if !value.tree().is_null() => {
                    builder.append_value(value.raw());
                    Fit::Exact
                }
                (Kind::Json, column) if USUALLY_NULL.contains(&member.json) => {
                    column.append_nulls(1);
                    Fit::Exact
                }
                (kind, column) => column.append(kind, value.tree()),
            };
            if fit == Fit::Loose {
                note(&mut self.scratch, member.json, value.raw());
            }
        }
    }

    fn append_own(&mut self, record: &Record<'_>, identified: &Identified, source_object: &str) {
        let text = |index: usize| record.member(index).and_then(|value| value.tree().as_str());
        self.outcome.append_value(outcome::classify(&answer(record)).as_str());
        let known = record
            .member(INDEX.user_identity)
            .is_some_and(|identity| identity::actor(&caller(identity.tree()), &mut self.scratch));
        self.actor.append_option(known.then_some(self.scratch.as_str()));
        self.source_object.append_value(source_object);
        match text(INDEX.event_id) {
            Some(id) if !id.is_empty() => self.event_hash.append_null(),
            _ => self.event_hash.append_value(identified.key.to_event_hash()),
        }
    }

    /// Ends the batch and starts an empty one with the same memory.
    pub fn finish(&mut self) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        // in the order of schema::OWN_COLUMNS
        let own = [&mut self.outcome, &mut self.actor, &mut self.source_object, &mut self.event_hash, &mut self.extra];
        columns.extend(own.into_iter().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&FILE_SCHEMA), columns)
            .expect("the columns are built from the schema's members")
    }
}

/// Adds a member to the text of `extra`, whose closing brace is still missing.
fn note(extra: &mut String, name: &str, raw: &str) {
    extra.push(if extra.is_empty() { '{' } else { ',' });
    extra.push_str(&serde_json::Value::from(name).to_string());
    extra.push(':');
    extra.push_str(raw);
}

fn note_unknown(record: &Record<'_>, extra: &mut String) {
    for (name, raw) in record.unknown() {
        note(extra, name, raw);
    }
    let absent = |index: usize| record.member(index).is_none();
    if absent(INDEX.request) || absent(INDEX.response) {
        let names: Vec<&str> = [INDEX.request, INDEX.response]
            .into_iter()
            .filter(|&index| absent(index))
            .map(|index| RECORD[index].json)
            .collect();
        note(extra, ABSENT, &serde_json::Value::from(names).to_string());
    }
}

fn answer<'c>(record: &Record<'c>) -> Answer<'c> {
    let text = |index: usize| record.member(index).and_then(|value| value.tree().as_str());
    let event_type = text(INDEX.event_type);
    let event_source = text(INDEX.event_source);
    let sign_in = event_source == Some("signin.amazonaws.com");
    let raw = |index: usize| record.member(index).filter(|_| sign_in).map(|value| value.raw());
    Answer {
        error_code: text(INDEX.error_code),
        error_message: text(INDEX.error_message),
        event_type,
        response: raw(INDEX.response),
        service_details: raw(INDEX.service_details),
        event_source,
    }
}

/// Picks the members that name the caller.
fn caller(identity: Tree<'_>) -> Caller<'_> {
    let mut caller = Caller::default();
    for (name, value) in identity.members().into_iter().flatten() {
        match name {
            "type" => caller.kind = value.as_str(),
            "principalId" => caller.principal_id = value.as_str(),
            "arn" => caller.arn = value.as_str(),
            "accountId" => caller.account_id = value.as_str(),
            "userName" => caller.user_name = value.as_str(),
            "invokedBy" => caller.invoked_by = value.as_str(),
            "identityProvider" => caller.identity_provider = value.as_str(),
            "onBehalfOf" => {
                caller.on_behalf_of_user = child(value, "userId").and_then(|value| value.as_str());
                caller.on_behalf_of_store = child(value, "identityStoreArn").and_then(|value| value.as_str());
            }
            "sessionContext" => {
                caller.source_identity = child(value, "sourceIdentity").and_then(|value| value.as_str());
                let issuer = child(value, "sessionIssuer");
                caller.issuer_arn = issuer.and_then(|issuer| child(issuer, "arn")).and_then(|value| value.as_str());
            }
            _ => {}
        }
    }
    caller
}

fn child<'c>(tree: Tree<'c>, wanted: &str) -> Option<Tree<'c>> {
    tree.members()?.find_map(|(name, value)| (name == wanted).then_some(value))
}

#[cfg(test)]
mod tests;
