//! Records -> Arrow columns.
//!
//! Owns: what each column holds, and the columns of our own: `outcome`, `actor`, `source_object`, `eventhash`, `extra`.
//! Refuses: a record without a readable `eventTime`, or with a member twice; both are told as rejects.
//! Invariant: a row holds all of its record: what has no column, or does not fit its column, stands in `extra`
//! (`rebuild` gives the record back).

mod column;
pub mod dictionary;
pub mod flat;
mod group;
pub mod leaf;
mod order;
pub mod rebuild;
pub mod time;

use std::sync::LazyLock;

use crate::event::{EventKey, Reject, RejectReason};
use crate::identity::{self, Caller};
use crate::outcome::{self, Answer};
use crate::parse::{Record, Tree};
use crate::schema::{Kind, RECORD, is_unique, member};
use column::{Codes, Column, Fit, Texts};
use dictionary::NULL;
use group::{Group, Note};
use leaf::Leaf;
use order::Order;

/// Members that CloudTrail always writes and that are null more often than not: null is what their NULL means, and
/// their absence is what `extra` notes.
pub(crate) const USUALLY_NULL: [&str; 2] = ["requestParameters", "responseElements"];

/// Member of `extra` that lists which of [`USUALLY_NULL`] were absent. No JSON name of CloudTrail's begins with `$`; one
/// that does is kept with one more.
pub(crate) const ABSENT: &str = "$absent";

/// What a record's own name gets in `extra` where it begins with it already.
pub(crate) const MARK: &str = "$";

/// Indexes in `schema::RECORD` of the members that are looked at here.
struct Index {
    user_identity: usize,
    event_time: usize,
    event_source: usize,
    event_name: usize,
    error_code: usize,
    error_message: usize,
    request: usize,
    response: usize,
    event_id: usize,
    event_type: usize,
    service_details: usize,
    event_category: usize,
    insight_details: usize,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| Index {
    user_identity: member("userIdentity"),
    event_time: member("eventTime"),
    event_source: member("eventSource"),
    event_name: member("eventName"),
    error_code: member("errorCode"),
    error_message: member("errorMessage"),
    request: member("requestParameters"),
    response: member("responseElements"),
    event_id: member("eventID"),
    event_type: member("eventType"),
    service_details: member("serviceEventDetails"),
    event_category: member("eventCategory"),
    insight_details: member("insightDetails"),
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
    let key = match event_id(record) {
        Some(id) => EventKey::of_event_id(id),
        None => EventKey::of_record(record.raw()),
    };
    Ok(Identified { key, time })
}

/// The record's event id, where it has one: the text behind its key.
pub fn event_id<'c>(record: &Record<'c>) -> Option<&'c str> {
    record.member(INDEX.event_id).and_then(|value| value.tree().as_str()).filter(|id| !id.is_empty())
}

/// Rows of `events` as columns, for one row group of a file (without the partition column: all rows of a file are of
/// one day).
pub struct RowGroup {
    columns: Vec<Column>,
    outcome: Codes,
    actor: Codes,
    source_object: Codes,
    event_hash: Codes,
    extra: Texts,
    rows: usize,
    order: Order,
    /// Memory that the texts of a column are put into another order in.
    spare: Vec<u8>,
    scratch: String,
}

impl Default for RowGroup {
    fn default() -> Self {
        Self {
            columns: RECORD.iter().map(|member| Column::new(member, is_unique(&member.json.to_lowercase()))).collect(),
            outcome: Codes::default(),
            actor: Codes::default(),
            source_object: Codes::default(),
            event_hash: Codes::default(),
            extra: Texts::default(),
            rows: 0,
            order: Order::default(),
            spare: Vec::new(),
            scratch: String::new(),
        }
    }
}

impl RowGroup {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory that the rows take.
    pub fn memory(&self) -> usize {
        let own = [&self.outcome, &self.actor, &self.source_object, &self.event_hash];
        let columns: usize = self.columns.iter().map(Column::memory).sum();
        columns + own.into_iter().map(Codes::memory).sum::<usize>() + self.extra.memory()
    }

    /// Appends a record as a row.
    pub fn append(&mut self, record: &Record<'_>, identified: &Identified, source_object: &str) {
        self.scratch.clear();
        self.append_members(record);
        note_unknown(record, &mut self.scratch);
        if self.scratch.is_empty() {
            self.extra.push(None);
        } else {
            self.scratch.push('}');
            self.extra.push(Some(self.scratch.as_bytes()));
        }
        self.append_own(record, identified, source_object);
        self.rows += 1;
    }

    fn append_members(&mut self, record: &Record<'_>) {
        for (index, (member, column)) in RECORD.iter().zip(&mut self.columns).enumerate() {
            let Some(value) = record.member(index) else {
                column.push_null();
                continue;
            };
            let fit = match member.kind {
                Kind::Json if value.tree().is_null() && USUALLY_NULL.contains(&member.json) => {
                    column.push_null();
                    Fit::Exact
                }
                ref kind => column.push(kind, value),
            };
            if fit == Fit::Loose {
                note(&mut self.scratch, member.json, value.raw());
            }
        }
    }

    fn append_own(&mut self, record: &Record<'_>, identified: &Identified, source_object: &str) {
        let text = |index: usize| record.member(index).and_then(|value| value.tree().as_str());
        self.outcome.push(Some(outcome::classify(&answer(record)).as_str().as_bytes()));
        self.append_actor(record);
        self.source_object.push(Some(source_object.as_bytes()));
        match text(INDEX.event_id) {
            Some(id) if !id.is_empty() => self.event_hash.push(None),
            _ => self.event_hash.push(Some(identified.key.to_event_hash().as_bytes())),
        }
    }

    /// The actor is a function of `userIdentity` alone, so it is made once for each identity.
    fn append_actor(&mut self, record: &Record<'_>) {
        let Some(note) = identities(&mut self.columns).note() else { return self.actor.push(None) };
        if let Note::Made(code) = *note {
            return self.actor.codes.push(code);
        }
        let tree = record.member(INDEX.user_identity).map(|identity| identity.tree());
        let known = tree.is_some_and(|tree| identity::actor(&caller(tree), &mut self.scratch));
        self.actor.push(known.then_some(self.scratch.as_bytes()));
        *note = Note::Made(self.actor.codes.last().copied().unwrap_or(NULL));
    }

    /// Brings what is alike together, for the compressor: rows of one identity, each in the order in which they came (its ARN,
    /// session, address and agent become long runs), and in the dictionaries of JSON the texts of one API.
    pub fn arrange(&mut self) {
        identities(&mut self.columns).sort(&mut self.order);
        let order = &mut self.order;
        self.columns.iter_mut().for_each(|column| column.arrange(order, &mut self.spare));
        let own = [&mut self.outcome, &mut self.actor, &mut self.source_object, &mut self.event_hash];
        own.into_iter().for_each(|codes| codes.arrange(order));
        self.extra.arrange(order, &mut self.spare);
        self.arrange_json();
    }

    fn arrange_json(&mut self) {
        let Column::Codes(names) = &self.columns[INDEX.event_name] else { unreachable!("names repeat") };
        self.order.sort(&names.codes, names.dictionary.len());
        for (member, column) in RECORD.iter().zip(&mut self.columns) {
            if let (Kind::Json, Column::Codes(texts)) = (&member.kind, column) {
                texts.renumber(&self.order, &mut self.spare);
            }
        }
    }

    /// Visits the leaf columns in the order of the schema of a file of `events`.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn visit<E>(&self, visit: &mut dyn FnMut(Leaf<'_>) -> Result<(), E>) -> Result<(), E> {
        self.columns.iter().try_for_each(|column| column.visit(visit))?;
        // in the order of schema::OWN_COLUMNS
        for codes in [&self.outcome, &self.actor, &self.source_object, &self.event_hash] {
            visit(codes.leaf())?;
        }
        visit(self.extra.leaf())
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        let own = [&mut self.outcome, &mut self.actor, &mut self.source_object, &mut self.event_hash];
        own.into_iter().for_each(Codes::clear);
        self.extra.clear();
        self.rows = 0;
    }
}

fn identities(columns: &mut [Column]) -> &mut Group {
    match &mut columns[INDEX.user_identity] {
        Column::Group(identities) => identities,
        _ => unreachable!("userIdentity is a struct"),
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
        if name.starts_with(MARK) {
            note(extra, &format!("{MARK}{name}"), raw);
        } else {
            note(extra, name, raw);
        }
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
