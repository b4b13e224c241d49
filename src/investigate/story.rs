//! What was remarkable, and why.
//!
//! Owns: what counts as new (for the identity, in the account), the reasons of a row of the timeline, and which rows are
//! worth a reader's time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::prelude::SessionContext;

use super::rows::{Rows, ask};
use super::subject::{behind, instant, list};
use crate::agent::{Purpose, family};
use crate::error::{Error, ErrorKind, Result};

/// Rows of a timeline.
const ROWS: usize = 500;

/// Past that somebody must have before anything is new.
const PAST: TimeDelta = TimeDelta::days(1);

/// What happened so shortly before belongs to the story, not to the past: the call that made a session comes before the
/// session's own events.
const LEAD: TimeDelta = TimeDelta::hours(1);

/// What can be new.
const FEATURES: [&str; 4] = ["call", "region", "network", "agent"];

/// First uses, by event, and the rows that tell them.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    /// Reasons by eventID.
    pub by_event: HashMap<String, Vec<String>>,
    /// The section.
    pub rows: Rows,
    /// Identities of which the lake has less than a day of past.
    pub strangers: Vec<String>,
}

impl Firsts {
    /// Adds the first uses of access keys.
    pub(super) fn add_keys(&mut self, keys: &Rows) {
        for row in 0..keys.rows.len() {
            if let (Some(key), Some(event)) = (keys.text(row, 0), keys.text(row, 2)) {
                self.by_event.entry(event.to_owned()).or_default().push(format!("first use of {key}"));
            }
        }
    }
}

/// What the past had: (who, feature, value), and of whom there is a past.
struct Past {
    seen: HashSet<(String, &'static str, String)>,
    known: HashSet<String>,
}

impl Past {
    /// Reads rows of `who`, the four features (one of which is set) and the first use. Of less than a day nothing can be
    /// told to be usual.
    fn of(rows: &Rows, from: DateTime<Utc>) -> Self {
        let mut past = Self { seen: HashSet::new(), known: HashSet::new() };
        for row in 0..rows.rows.len() {
            let who = rows.text(row, 0).unwrap_or_default().to_owned();
            if let Some((feature, value)) = set(rows, row, 1) {
                past.seen.insert((who.clone(), feature, value.to_owned()));
            }
            if rows.time(row, 5).is_some_and(|first| from - first >= PAST) {
                past.known.insert(who);
            }
        }
        past
    }

    /// Whether a value is new to somebody who has a past.
    fn is_new(&self, who: &str, feature: &'static str, value: &str) -> bool {
        self.known.contains(who) && !self.seen.contains(&(who.to_owned(), feature, value.to_owned()))
    }
}

/// The feature that a row of grouping sets is about: the one that is set, from a column on.
fn set(rows: &Rows, row: usize, column: usize) -> Option<(&'static str, &str)> {
    FEATURES.iter().zip(column..).find_map(|(feature, column)| Some((*feature, rows.text(row, column)?)))
}

/// The past of the scope's identities, and of its accounts.
async fn pasts(ctx: &SessionContext, from: DateTime<Utc>) -> Result<(Past, Past)> {
    let whose = ask(ctx, include_str!("sql/whose.sql"), Vec::new()).await?;
    let before = instant("from", from - LEAD);
    let roots = whose.column(0);
    let mut actors = Rows::default();
    if !roots.is_empty() {
        let (behind, mut values) = behind(ctx, &roots).await?;
        let (placeholders, more) = list("root", &roots);
        values.extend(more.into_iter().chain([before.clone()]));
        let sql = include_str!("sql/past_of_actors.sql").replace("{behind}", &behind);
        actors = ask(ctx, &sql.replace("{roots}", &placeholders), values).await?;
    }
    let accounts = whose.column(1);
    let mut past = Rows::default();
    if !accounts.is_empty() {
        let (placeholders, mut values) = list("account", &accounts);
        values.push(before);
        past = ask(ctx, &include_str!("sql/past_of_accounts.sql").replace("{accounts}", &placeholders), values).await?;
    }
    Ok((Past::of(&actors, from), Past::of(&past, from)))
}

/// Finds what was new in a scope, against all that the lake has from before it.
pub(super) async fn firsts(ctx: &SessionContext, from: DateTime<Utc>) -> Result<Firsts> {
    let (actors, accounts) = pasts(ctx, from).await?;
    let now = ask(ctx, include_str!("sql/firsts.sql"), Vec::new()).await?;
    let mut firsts = Firsts::default();
    let mut strangers = BTreeMap::new();
    for row in 0..now.rows.len() {
        let (Some(who), Some(account), Some((feature, value))) =
            (now.text(row, 0), now.text(row, 1), set(&now, row, 2))
        else {
            continue;
        };
        if !actors.known.contains(who) {
            strangers.insert(who.to_owned(), ());
        }
        let new_for = match (actors.is_new(who, feature, value), accounts.is_new(account, feature, value)) {
            (true, true) => "identity and account",
            (true, false) => "identity",
            (false, true) => "account",
            (false, false) => continue,
        };
        let event = now.text(row, 8).unwrap_or_default().to_owned();
        let text = |text: &str| Some(text.to_owned());
        firsts.rows.rows.push(vec![
            now.rows[row][7].clone(),
            text(feature),
            text(value),
            text(new_for),
            text(who),
            text(account),
            now.rows[row][6].clone(),
            text(&event),
        ]);
        firsts.by_event.entry(event).or_default().push(format!("new {feature} for the {new_for}: {value}"));
    }
    let names = ["time", "what", "value", "new_for", "who", "account", "events", "event_id"];
    firsts.rows.columns = names.iter().map(|name| ((*name).to_owned(), *name == "events")).collect();
    firsts.strangers = strangers.into_keys().collect();
    Ok(firsts)
}

/// A table of eventIDs, for a join.
pub(super) fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<RecordBatch> {
    let ids: std::collections::BTreeSet<&str> = ids.into_iter().collect();
    let schema = Arc::new(Schema::new(vec![Field::new("eventid", DataType::Utf8, false)]));
    let column = Arc::new(ids.iter().copied().map(Some).collect::<StringArray>());
    RecordBatch::try_new(schema, vec![column])
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot make a table of events").source(error))
}

/// Columns of `sql/timeline.sql` that reasons are read from.
struct Call<'r> {
    rows: &'r Rows,
    row: usize,
}

impl Call<'_> {
    fn text(&self, name: &str) -> &str {
        let column = self.rows.columns.iter().position(|(other, _)| other == name);
        column.and_then(|column| self.rows.text(self.row, column)).unwrap_or_default()
    }

    /// Why it stands in the timeline, the most important reason first, and how much it weighs.
    fn reasons(&self, firsts: &Firsts, mark: &str) -> (Vec<String>, u32) {
        let mut reasons: Vec<(String, u32)> = Vec::new();
        let (stake, outcome) = (self.text("stake"), self.text("outcome"));
        let worked = outcome == "success";
        if self.text("marked") == "true" {
            reasons.push((mark.to_owned(), 1000));
        }
        match (stake, outcome) {
            ("3", "success") => reasons.push((words(self.text("tactic")), 40)),
            ("3", _) => reasons.push((format!("tried: {}", words(self.text("tactic"))), 25)),
            ("2", "success") => reasons.push((words(self.text("tactic")), 12)),
            _ => {}
        }
        match outcome {
            "denied" => reasons.push(("denied".to_owned(), 10)),
            "auth_failed" => reasons.push(("credentials refused".to_owned(), 12)),
            _ => {}
        }
        for reason in firsts.by_event.get(self.text("event_id")).into_iter().flatten() {
            reasons.push((reason.clone(), 15));
        }
        if family(self.text("agent")).is_some_and(|family| family.purpose == Purpose::Attack) {
            reasons.push((format!("program: {}", self.text("agent")), 8));
        }
        if worked && self.text("writes") == "true" && reasons.is_empty() {
            reasons.push(("change".to_owned(), 4));
        }
        let weight = reasons.iter().map(|(_, weight)| weight).sum();
        (reasons.into_iter().map(|(reason, _)| reason).collect(), weight)
    }
}

/// `DefenseEvasion` -> `defense evasion`
fn words(tactic: &str) -> String {
    let mut words = String::new();
    for c in tactic.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// The timeline: calls that weigh most, in order of time. Answers also how many were left out.
pub(super) fn timeline(calls: &Rows, firsts: &Firsts, mark: &str) -> (Rows, usize) {
    let mut told: Vec<(u32, usize, Vec<String>)> = (0..calls.rows.len())
        .map(|row| {
            let (reasons, weight) = Call { rows: calls, row }.reasons(firsts, mark);
            (weight, row, reasons)
        })
        .filter(|(weight, ..)| *weight > 0)
        .collect();
    told.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left_out = told.len().saturating_sub(ROWS);
    told.truncate(ROWS);
    let order = |row: usize| {
        let call = Call { rows: calls, row };
        (call.text("time").to_owned(), call.text("event_id").to_owned())
    };
    told.sort_by_key(|(_, row, _)| order(*row));
    let names = [
        "time",
        "until",
        "events",
        "who",
        "api",
        "outcome",
        "reasons",
        "resource",
        "resources",
        "account",
        "region",
        "address",
        "network",
        "agent",
        "errorcode",
        "session_id",
        "event_id",
    ];
    let columns = names.iter().map(|name| ((*name).to_owned(), matches!(*name, "events" | "resources"))).collect();
    let rows = told.iter().map(|(_, row, reasons)| {
        let call = Call { rows: calls, row: *row };
        let cell = |name: &&str| match *name {
            "reasons" => Some(reasons.join("; ")),
            name => Some(call.text(name).to_owned()).filter(|text| !text.is_empty()),
        };
        names.iter().map(cell).collect()
    });
    (Rows { columns, rows: rows.collect() }, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(cells: &[(&str, &str)]) -> Rows {
        let columns = cells.iter().map(|(name, _)| ((*name).to_owned(), false)).collect();
        Rows { columns, rows: vec![cells.iter().map(|(_, text)| Some((*text).to_owned())).collect()] }
    }

    fn reasons(cells: &[(&str, &str)]) -> String {
        let (rows, left_out) = timeline(&call(cells), &Firsts::default(), "the event");
        assert_eq!(left_out, 0);
        rows.text(0, 6).unwrap_or_default().to_owned()
    }

    #[test]
    fn rows_say_why_they_stand_there() {
        let call = [("time", "1"), ("stake", "3"), ("tactic", "DefenseEvasion"), ("outcome", "success")];
        assert_eq!(reasons(&call), "defense evasion");
        assert_eq!(
            reasons(&[("stake", "3"), ("tactic", "Persistence"), ("outcome", "denied")]),
            "tried: persistence; denied"
        );
        assert_eq!(reasons(&[("stake", "1"), ("outcome", "success"), ("writes", "true")]), "change");
        assert_eq!(reasons(&[("stake", "1"), ("outcome", "success"), ("agent", "pacu")]), "program: pacu");
        assert_eq!(reasons(&[("stake", "1"), ("outcome", "success"), ("marked", "true")]), "the event");
        assert_eq!(reasons(&[("stake", "1"), ("outcome", "success"), ("agent", "aws-cli")]), "");
    }

    #[test]
    fn new_is_what_a_past_does_not_have() {
        let past = Rows {
            columns: Vec::new(),
            rows: vec![vec![
                Some("ana".into()),
                Some("s3:GetObject".into()),
                None,
                None,
                None,
                Some("2026-01-01T00:00:00Z".into()),
            ]],
        };
        let past = Past::of(&past, "2026-01-03T00:00:00Z".parse().unwrap());
        assert!(!past.is_new("ana", "call", "s3:GetObject") && past.is_new("ana", "call", "iam:ListUsers"));
        // of whom there is no past, nothing is new
        assert!(!past.is_new("bob", "call", "iam:ListUsers"));
    }
}
