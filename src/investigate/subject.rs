//! What is investigated, and which events belong to it.
//!
//! Owns: the kinds of subjects, the condition that each means (a text of ours with values bound into it), and what to
//! say where nothing fits.

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::rows::ask;
use super::tree;
use crate::error::{Error, ErrorKind, Result};
use crate::query::QueryOptions;

/// Days that are looked at of subjects that live long.
const DAYS: i64 = 7;

/// Sessions of an identity that a condition names.
const SESSIONS: usize = 1_000;

/// What happened around a single event or a finding, in hours.
const AROUND: i64 = 1;

/// What is investigated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An access key id, and whatever was made with it.
    Key(String),
    /// An address (or the name of a service).
    Address(String),
    /// An identity as in the column `actor`, or its name.
    Actor(String),
    /// A role: ARN or name.
    Role(String),
    /// A resource: ARN, name or id.
    Resource(String),
    /// An event, by its eventID: the session that it is of, around it.
    Event(String),
    /// A finding, by its id or the beginning of it.
    Finding(String),
}

impl Subject {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "access key",
            Self::Address(_) => "address",
            Self::Actor(_) => "identity",
            Self::Role(_) => "role",
            Self::Resource(_) => "resource",
            Self::Event(_) => "event",
            Self::Finding(_) => "finding",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Key(name)
            | Self::Address(name)
            | Self::Actor(name)
            | Self::Role(name)
            | Self::Resource(name)
            | Self::Event(name)
            | Self::Finding(name) => name,
        }
    }
}

/// What is investigated, when, and with how much.
#[derive(Debug, Clone)]
pub struct InvestigateOptions {
    /// What.
    pub subject: Subject,
    /// First instant, where one is given.
    pub from: Option<DateTime<Utc>>,
    /// First instant that is too late, where one is given.
    pub to: Option<DateTime<Utc>>,
    /// Threads, memory, networks.
    pub query: QueryOptions,
}

/// The events of a subject.
#[derive(Debug)]
pub(super) struct Scope {
    /// A condition over `events_by_actor`, where it can be over columns of `events` alone.
    pub condition: String,
    /// The values of its placeholders.
    pub values: Vec<(String, ScalarValue)>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// First instant that is too late.
    pub to: DateTime<Utc>,
    /// Events that the subject names.
    pub marked: Vec<String>,
    /// The subject by its full name, and what is said of it elsewhere.
    pub facts: Vec<(String, String)>,
}

/// A scope, or why there is none.
#[derive(Debug)]
pub(super) enum Resolved {
    Scope(Box<Scope>),
    Nothing(Vec<String>),
}

/// A condition on its way to a scope.
#[derive(Debug, Default)]
struct Draft {
    condition: String,
    values: Vec<(String, ScalarValue)>,
    /// How far the default window reaches back from the newest event of the subject; all of it without.
    days: Option<i64>,
    window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    marked: Vec<String>,
    facts: Vec<(String, String)>,
}

fn text(name: &str, value: &str) -> (String, ScalarValue) {
    (name.to_owned(), ScalarValue::from(value))
}

pub(super) fn instant(name: &str, time: DateTime<Utc>) -> (String, ScalarValue) {
    let value = ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()));
    (name.to_owned(), value)
}

/// `$from` and `$to`: everything where they are not given.
pub(crate) fn bounds(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> [(String, ScalarValue); 2] {
    let ever = |text: &str| text.parse().unwrap_or_default();
    let from = from.unwrap_or_else(|| ever("0001-01-01T00:00:00Z"));
    [instant("from", from), instant("to", to.unwrap_or_else(|| ever("9999-12-31T00:00:00Z")))]
}

/// `$k0, $k1, …` with their values.
pub(crate) fn list(prefix: &str, texts: &[String]) -> (String, Vec<(String, ScalarValue)>) {
    let names: Vec<String> = (0..texts.len()).map(|index| format!("{prefix}{index}")).collect();
    let values = names.iter().zip(texts).map(|(name, value)| text(name, value)).collect();
    let placeholders: Vec<String> = names.iter().map(|name| format!("${name}")).collect();
    (placeholders.join(", "), values)
}

/// Finds the events of a subject.
pub(super) async fn resolve(ctx: &SessionContext, options: &InvestigateOptions) -> Result<Resolved> {
    let draft = match &options.subject {
        Subject::Key(key) => of_key(ctx, key).await?,
        Subject::Address(address) => Draft {
            condition: "sourceipaddress = $address".to_owned(),
            values: vec![text("address", address)],
            ..Draft::default()
        },
        Subject::Actor(name) => of_actor(ctx, name).await?,
        Subject::Role(name) => of_role(ctx, name).await?,
        Subject::Resource(name) => of_resource(name),
        Subject::Event(id) => of_event(ctx, id).await?,
        Subject::Finding(id) => of_finding(ctx, id).await?,
    };
    within(ctx, options, draft).await
}

/// Gives a draft its window, or says why it has none.
async fn within(ctx: &SessionContext, options: &InvestigateOptions, draft: Draft) -> Result<Resolved> {
    if draft.condition.is_empty() {
        return Ok(Resolved::Nothing(nothing(ctx, &options.subject).await?));
    }
    // a window of its own is known without looking
    let ever = match draft.window {
        Some(_) => None,
        None => Some(match span(ctx, &draft).await? {
            Some(ever) => ever,
            None => return Ok(Resolved::Nothing(nothing(ctx, &options.subject).await?)),
        }),
    };
    let newest = ever.map(|(first, last)| (first, last + TimeDelta::seconds(1)));
    let (mut from, mut to) = draft.window.or(newest).unwrap_or_default();
    to = options.to.unwrap_or(to);
    if let Some(days) = draft.days {
        from = from.max(to - TimeDelta::days(days));
    }
    from = options.from.unwrap_or(from);
    let mut values = draft.values.clone();
    values.extend([instant("from", from), instant("to", to)]);
    // the newest event is in the window unless that was given
    let certain = ever.is_some() && options.from.is_none() && options.to.is_none();
    if !certain && !any(ctx, &draft.condition, values.clone()).await? {
        return Ok(Resolved::Nothing(elsewhere(ctx, options, &draft, (from, to)).await?));
    }
    let Draft { condition, marked, facts, .. } = draft;
    Ok(Resolved::Scope(Box::new(Scope { condition, values, from, to, marked, facts })))
}

/// The first and the last event of a draft.
async fn span(ctx: &SessionContext, draft: &Draft) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let sql = format!("SELECT min(eventtime), max(eventtime) FROM events_by_actor WHERE {}", draft.condition);
    let all = ask(ctx, &sql, draft.values.clone()).await?;
    Ok(all.time(0, 0).zip(all.time(0, 1)))
}

/// Whether there is an event in a window.
async fn any(ctx: &SessionContext, condition: &str, values: Vec<(String, ScalarValue)>) -> Result<bool> {
    let sql =
        format!("SELECT count(*) FROM events_by_actor WHERE ({condition}) AND eventtime >= $from AND eventtime < $to");
    Ok(ask(ctx, &sql, values).await?.number(0, 0) > 0)
}

/// What is said where a subject has no event in a window: when it has some.
async fn elsewhere(
    ctx: &SessionContext,
    options: &InvestigateOptions,
    draft: &Draft,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<String>> {
    let Some((first, last)) = span(ctx, draft).await? else { return nothing(ctx, &options.subject).await };
    let time = |time: DateTime<Utc>| time.format("%FT%TZ").to_string();
    Ok(vec![format!(
        "The {} {} has no event between {} and {}. It has events from {} to {}: ask for that with --from and --to.",
        options.subject.kind(),
        options.subject.name(),
        time(from),
        time(to),
        time(first),
        time(last),
    )])
}

/// What can be said where nothing fits: what the lake has, and what is spelt alike.
pub(crate) async fn nothing(ctx: &SessionContext, subject: &Subject) -> Result<Vec<String>> {
    let lake = "SELECT min(eventtime), max(eventtime), count(*), count(DISTINCT recipientaccountid) FROM events";
    let lake = ask(ctx, lake, Vec::new()).await?;
    let (Some(first), Some(last)) = (lake.time(0, 0), lake.time(0, 1)) else {
        return Ok(vec!["The lake has no events yet. Fill it with `trailhound ingest SOURCE --lake LAKE`.".to_owned()]);
    };
    let mut notes = vec![format!(
        "Nothing is known of the {} {}. The lake has {} events of {} accounts from {} to {}.",
        subject.kind(),
        subject.name(),
        lake.number(0, 2),
        lake.number(0, 3),
        first.format("%FT%TZ"),
        last.format("%FT%TZ"),
    )];
    let alike = alike(ctx, subject).await?;
    match (alike.is_empty(), subject) {
        (false, _) => notes.push(format!("Spelt alike: {}", alike.join(", "))),
        (true, Subject::Finding(_)) => notes.push("`trailhound query latest-findings` lists findings.".to_owned()),
        (true, Subject::Resource(_)) => notes.push("A part of its name finds more: try that.".to_owned()),
        (true, _) => {}
    }
    Ok(notes)
}

async fn alike(ctx: &SessionContext, subject: &Subject) -> Result<Vec<String>> {
    let column = match subject {
        Subject::Key(_) => "useridentity.accesskeyid",
        Subject::Address(_) => "sourceipaddress",
        Subject::Actor(_) => "actor",
        Subject::Role(_) => "useridentity.sessioncontext.sessionissuer.arn",
        _ => return Ok(Vec::new()),
    };
    let name = subject.name();
    let tail = name.rsplit(['/', ':']).next().unwrap_or(name);
    let stem: String = tail.chars().take(tail.chars().count().div_ceil(2).max(3)).collect();
    let sql = format!(
        "SELECT {column} AS name, count(*) AS n FROM events WHERE strpos(lower({column}), lower($stem)) > 0
         GROUP BY 1 ORDER BY levenshtein(lower({column}), lower($name)), n DESC, 1 LIMIT 5"
    );
    let sql = match stem.is_empty() {
        true => return Ok(Vec::new()),
        false => sql,
    };
    Ok(ask(ctx, &sql, vec![text("stem", &stem), text("name", name)]).await?.column(0))
}

async fn of_key(ctx: &SessionContext, key: &str) -> Result<Draft> {
    let keys = tree::with_descendants(ctx, &[key.to_owned()]).await?;
    let (placeholders, values) = list("key", &keys);
    Ok(Draft { condition: format!("useridentity.accesskeyid IN ({placeholders})"), values, ..Draft::default() })
}

/// The identity of a full name, or all that are called so at the end of theirs.
pub(crate) async fn identities(ctx: &SessionContext, name: &str) -> Result<Vec<String>> {
    let sql = "SELECT actor FROM events
               WHERE actor = $name OR ends_with(actor, concat('/', $name)) OR ends_with(actor, concat(':', $name))
               GROUP BY actor ORDER BY actor <> $name, count(*) DESC, actor LIMIT 20";
    let found = ask(ctx, sql, vec![text("name", name)]).await?.column(0);
    match found.first() {
        Some(exact) if exact == name => Ok(vec![exact.clone()]),
        Some(_) => Ok(found),
        // it may be known only as the beginning of chains
        None => {
            let sql = "SELECT actor_root FROM session_origins WHERE actor_root = $name LIMIT 1";
            Ok(ask(ctx, sql, vec![text("name", name)]).await?.column(0))
        }
    }
}

async fn of_actor(ctx: &SessionContext, name: &str) -> Result<Draft> {
    let names = identities(ctx, name).await?;
    if names.is_empty() {
        return Ok(Draft::default());
    }
    let (condition, values) = behind(ctx, &names).await?;
    let facts = vec![("Identity".to_owned(), names.join(", "))];
    Ok(Draft { condition, values, days: Some(DAYS), facts, ..Draft::default() })
}

/// Events of identities and of the sessions that they are behind, by columns of `events` alone where those sessions are few:
/// a condition on the chains would be asked only after every event was joined to its own.
pub(super) async fn behind(ctx: &SessionContext, names: &[String]) -> Result<(String, Vec<(String, ScalarValue)>)> {
    let (actors, mut values) = list("actor", names);
    let sql =
        format!("SELECT session_id FROM public.session_origins WHERE actor_root IN ({actors}) LIMIT {}", SESSIONS + 1);
    let keys = ask(ctx, &sql, values.clone()).await?.column(0);
    let (condition, more) = either(&format!("actor IN ({actors})"), &keys, &format!("actor_root IN ({actors})"));
    values.extend(more);
    Ok((condition, values))
}

/// A condition, or one of some access keys; where these are too many to name, what they were chosen by.
fn either(condition: &str, keys: &[String], chosen: &str) -> (String, Vec<(String, ScalarValue)>) {
    let (placeholders, values) = list("key", keys);
    match keys.len() {
        0 => (condition.to_owned(), values),
        many if many > SESSIONS => (format!("{condition} OR {chosen}"), Vec::new()),
        _ => (format!("{condition} OR useridentity.accesskeyid IN ({placeholders})"), values),
    }
}

/// What sessions of a role did, and the calls that took it.
async fn of_role(ctx: &SessionContext, name: &str) -> Result<Draft> {
    let sql = "SELECT DISTINCT role FROM (
                 SELECT useridentity.sessioncontext.sessionissuer.arn AS role FROM events
                 UNION ALL SELECT actor_role FROM session_origins)
               WHERE role = $name OR ends_with(role, concat('/', $name)) ORDER BY role LIMIT 20";
    let names = ask(ctx, sql, vec![text("name", name)]).await?.column(0);
    if names.is_empty() {
        return Ok(Draft::default());
    }
    let (roles, mut values) = list("role", &names);
    // events of a role's own sessions name it; those of root and of federated users do not
    let sql = format!(
        "SELECT session_id FROM session_origins WHERE actor_role IN ({roles}) AND made_with NOT LIKE 'AssumeRole%'
         LIMIT {}",
        SESSIONS + 1
    );
    let keys = ask(ctx, &sql, values.clone()).await?.column(0);
    let (condition, more) = either(
        &format!(
            "useridentity.sessioncontext.sessionissuer.arn IN ({roles})
             OR contains(requestparameters, '\"roleArn\"') AND json_get_str(requestparameters, 'roleArn') IN ({roles})"
        ),
        &keys,
        &format!("actor_role IN ({roles})"),
    );
    values.extend(more);
    let facts = vec![("Role".to_owned(), names.join(", "))];
    Ok(Draft { condition, values, days: Some(DAYS), facts, ..Draft::default() })
}

/// Calls that name a resource: by its ARN anywhere, or by its own name as a whole value.
fn of_resource(name: &str) -> Draft {
    let tail = match name.strip_prefix("arn:") {
        Some(rest) => rest.splitn(5, ':').last().unwrap_or(rest).rsplit(['/', ':']).next().unwrap_or(rest),
        None => name,
    };
    let bucket = name.strip_prefix("arn:aws:s3:::").or_else(|| name.strip_prefix("s3://"));
    let (own, key) = match bucket {
        Some(path) => path.split_once('/').map_or((path, ""), |(bucket, key)| (bucket, key)),
        None => (tail, ""),
    };
    let quoted = serde_json::to_string(own).unwrap_or_default();
    let mut condition = "(contains(requestparameters, $quoted) OR contains(responseelements, $quoted) \
                          OR contains(requestparameters, $name) \
                          OR contains(concat_ws(' ', resources[1]['arn'], resources[2]['arn']), $name))"
        .to_owned();
    let mut values = vec![text("quoted", &quoted), text("name", name)];
    if !key.is_empty() {
        condition.push_str(" AND json_get_str(requestparameters, 'key') = $key");
        values.push(text("key", key));
    }
    Draft { condition, values, days: Some(DAYS), ..Draft::default() }
}

async fn of_event(ctx: &SessionContext, id: &str) -> Result<Draft> {
    let sql = "SELECT eventtime, actor, useridentity.accesskeyid, sourceipaddress, concat(eventsource, ' ', eventname)
               FROM events WHERE eventid = $id ORDER BY eventtime LIMIT 1";
    let event = ask(ctx, sql, vec![text("id", id)]).await?;
    let Some(time) = event.time(0, 0) else { return Ok(Draft::default()) };
    let around = TimeDelta::hours(AROUND);
    let by = [("useridentity.accesskeyid", 2), ("actor", 1), ("sourceipaddress", 3)];
    let found =
        by.iter().find_map(|(column, cell)| Some((column, event.text(0, *cell).filter(|text| !text.is_empty())?)));
    let (condition, values) = match found {
        Some((column, value)) => {
            (format!("{column} = $value OR eventid = $id"), vec![text("value", value), text("id", id)])
        }
        None => ("eventid = $id".to_owned(), vec![text("id", id)]),
    };
    let call = event.text(0, 4).unwrap_or_default();
    Ok(Draft {
        condition,
        values,
        window: Some((time - around, time + around)),
        marked: vec![id.to_owned()],
        facts: vec![("Event".to_owned(), format!("{call} at {}", time.format("%FT%TZ")))],
        ..Draft::default()
    })
}

/// What the identity of a finding did in its account while it lasted, and shortly before and after.
async fn of_finding(ctx: &SessionContext, id: &str) -> Result<Draft> {
    let alike = "SELECT DISTINCT id FROM findings WHERE starts_with(id, $id) ORDER BY id LIMIT 2";
    let id = match ask(ctx, alike, vec![text("id", id)]).await?.column(0).as_slice() {
        [] => return Ok(Draft::default()),
        [first, ..] if first == id => first.clone(),
        [only] => only.clone(),
        [..] => {
            return Err(Error::new(ErrorKind::Usage, format!("several findings have an id that begins with {id}"))
                .hint("give more of it; `trailhound query latest-findings` lists findings"));
        }
    };
    let sql = "SELECT finding, actor, account, first_seen, last_seen, severity_label, title FROM findings
               WHERE id = $id ORDER BY detected_at DESC, content_hash LIMIT 1";
    let finding = ask(ctx, sql, vec![text("id", &id)]).await?;
    let (Some(first), Some(last)) = (finding.time(0, 3), finding.time(0, 4)) else { return Ok(Draft::default()) };
    let whole: Value = serde_json::from_str(finding.text(0, 0).unwrap_or_default()).unwrap_or_default();
    let ids = whole["event_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (actor, account) = (finding.text(0, 1).unwrap_or_default(), finding.text(0, 2).unwrap_or_default());
    let around = TimeDelta::hours(AROUND);
    let facts =
        [("Finding", finding.text(0, 6)), ("Severity", finding.text(0, 5)), ("Says", whole["description"].as_str())];
    Ok(Draft {
        condition: "actor = $actor AND recipientaccountid = $account".to_owned(),
        values: vec![text("actor", actor), text("account", account)],
        window: Some((first - around, last + around)),
        marked: ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        facts: facts.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned()))).collect(),
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_named_while_they_are_few() {
        let keys: Vec<String> = (0..=SESSIONS).map(|number| format!("ASIA{number}")).collect();
        let of = |keys: &[String]| either("a = 1", keys, "b = 2");
        assert_eq!(of(&[]), ("a = 1".to_owned(), Vec::new()));
        let (condition, values) = of(&keys[..2]);
        assert_eq!(condition, "a = 1 OR useridentity.accesskeyid IN ($key0, $key1)");
        assert_eq!(values, [text("key0", "ASIA0"), text("key1", "ASIA1")]);
        assert_eq!(of(&keys), ("a = 1 OR b = 2".to_owned(), Vec::new()));
    }

    #[test]
    fn a_resource_is_known_by_its_own_name() {
        let own = |name: &str| match &of_resource(name).values[0].1 {
            ScalarValue::Utf8(Some(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(own("arn:aws:s3:::logs"), "\"logs\"");
        assert_eq!(own("arn:aws:s3:::logs/a/b.gz"), "\"logs\"");
        assert_eq!(own("s3://logs/a"), "\"logs\"");
        assert_eq!(own("arn:aws:iam::111122223333:role/path/admin"), "\"admin\"");
        assert_eq!(own("arn:aws:lambda:eu-west-1:111122223333:function:job"), "\"job\"");
        assert_eq!(own("i-0123"), "\"i-0123\"");
        assert_eq!(own("a\"b"), "\"a\\\"b\"");
    }
}
