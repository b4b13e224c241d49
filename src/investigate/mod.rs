//! One command, one story: who was behind it, how they got in, what they did, what was new, what is left.
//!
//! Owns: the sections of an investigation, in order, and the questions behind them. The events of the subject are put
//! into a session in which `events` is nothing else, so that the named queries of `queries/` answer for them unchanged.
//! Refuses: how it is shown (`report`), and any judgement beyond the reasons that it names.
//! Invariant: every section is bounded, whatever the size of the lake or of the subject.

mod report;
mod rows;
mod story;
mod subject;
mod tree;

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;

use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::page::{Bucket, Leaf};
use crate::query::{self, named};
use rows::{Rows, batch, register};
use story::Firsts;
use subject::{Resolved, Scope};

pub(crate) use rows::ask;
pub(crate) use subject::{bounds, identities, list, nothing};

pub use report::{html, json, ndjson, section_names};
pub use subject::{InvestigateOptions, Subject};

/// Events of a subject that are kept in memory for its questions; of more, each question reads the lake.
const KEPT: usize = 50_000;

/// Steps of time that a figure has at most.
const STEPS: i64 = 120;

/// Lengths of a step, in seconds.
const LENGTHS: [i64; 10] = [60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800, 2_592_000, 31_536_000];

/// What was found out.
#[derive(Debug)]
pub struct Investigation {
    /// What was asked about.
    pub subject: Subject,
    /// First instant, where there is anything.
    pub from: Option<DateTime<Utc>>,
    /// First instant that is too late.
    pub to: Option<DateTime<Utc>>,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// What else must be said: why there is nothing, what was left out.
    pub notes: Vec<String>,
    /// The tables.
    pub sections: Vec<Section>,
    leaves: Vec<Leaf>,
    buckets: Vec<Bucket>,
}

/// A table of an investigation.
#[derive(Debug)]
pub struct Section {
    /// Name on the command line and in JSON.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it tells.
    pub lead: &'static str,
    rows: Rows,
}

const SECTIONS: [(&str, &str, &str); 11] = [
    (
        "sessions",
        "Who became whom",
        "Credentials of the subject, what they came from, and what was made with them: sessions and access keys.",
    ),
    (
        "timeline",
        "Timeline",
        "Calls that matter, in order, with the reason; alike calls of ten minutes (routine ones of a day) are one row. Times are UTC.",
    ),
    (
        "first-seen",
        "Never seen before",
        "Calls, regions, networks and programs that the identity, or the account, had not shown before.",
    ),
    ("denied-then-allowed", "Denied, then allowed", "Calls that were refused at first and worked later."),
    (
        "persistence",
        "Left behind: the responder's checklist",
        "What lets somebody come back. Look at each, and undo what nobody can explain.",
    ),
    ("data", "Data read", "Objects (where data events are recorded), secrets, and copies that leave."),
    ("resources", "Resources touched", "What was changed, read and refused, by resource; the most changed first."),
    ("calls", "Calls", "Every API with its outcomes."),
    ("denials", "Denials", "What was refused, and by which kind of policy."),
    ("others", "Others at the same address or program", "Identities that share an address, or a program that few use."),
    ("activity", "Activity by time", "The busiest calls by step of time."),
];

/// Investigates a subject.
///
/// # Errors
/// `Usage` where the times make no window; otherwise those of reading the lake.
pub async fn investigate(lake: &Lake, options: &InvestigateOptions) -> Result<Investigation> {
    if options.from.zip(options.to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::new(ErrorKind::Usage, "--from is not before --to"));
    }
    let ctx = query::session(&lake.snapshots().await?, &options.query)?;
    let mut found = Investigation {
        subject: options.subject.clone(),
        from: None,
        to: None,
        facts: Vec::new(),
        notes: Vec::new(),
        sections: Vec::new(),
        leaves: Vec::new(),
        buckets: Vec::new(),
    };
    tree::prepare(&ctx).await?;
    match subject::resolve(&ctx, options).await? {
        Resolved::Nothing(notes) => found.notes = notes,
        Resolved::Scope(scope) => found.tell(&ctx, *scope).await?,
    }
    Ok(found)
}

impl Investigation {
    async fn tell(&mut self, ctx: &SessionContext, scope: Scope) -> Result<()> {
        (self.from, self.to) = (Some(scope.from), Some(scope.to));
        let sql = format!(
            "SELECT * FROM events_by_actor AS events WHERE ({}) AND eventtime >= $from AND eventtime < $to",
            scope.condition
        );
        let marked = story::ids(scope.marked.iter().map(String::as_str))?;
        let ctx = query::scoped(ctx, &sql, scope.values.clone(), &[("marked", marked)]).await?;
        let ctx = kept(ctx).await?;
        self.tell_facts(&ctx, &scope).await?;
        let mut firsts = story::firsts(&ctx, scope.from).await?;
        let keys = ask(&ctx, include_str!("sql/keys.sql"), Vec::new()).await?;
        firsts.add_keys(&keys);
        self.tell_sessions(&ctx, keys.column(0)).await?;
        self.tell_timeline(&ctx, &firsts).await?;
        if !firsts.strangers.is_empty() {
            self.notes.push(format!(
                "The lake has less than a day of past of {}: nothing can be said to be new to it.",
                firsts.strangers.join(", ")
            ));
        }
        self.add("first-seen", firsts.rows);
        self.add("denied-then-allowed", named_rows(&ctx, &scope, "denied-then-allowed").await?);
        self.add("persistence", with_advice(named_rows(&ctx, &scope, "persistence-checklist").await?));
        self.add("data", ask(&ctx, include_str!("sql/data.sql"), Vec::new()).await?);
        self.add("resources", ask(&ctx, include_str!("sql/resources.sql"), Vec::new()).await?);
        self.add("calls", ask(&ctx, include_str!("sql/calls.sql"), Vec::new()).await?);
        self.add("denials", named_rows(&ctx, &scope, "denied-actions").await?);
        self.add("others", others(&ctx).await?);
        self.tell_activity(&ctx, &scope).await
    }

    fn add(&mut self, name: &'static str, rows: Rows) {
        let (_, title, lead) = SECTIONS.iter().find(|(other, ..)| *other == name).expect("a name of SECTIONS");
        self.sections.push(Section { name, title, lead, rows });
    }

    async fn tell_facts(&mut self, ctx: &SessionContext, scope: &Scope) -> Result<()> {
        self.facts.extend(scope.facts.iter().cloned());
        let totals = ask(ctx, include_str!("sql/totals.sql"), Vec::new()).await?;
        let number = |column| totals.number(0, column);
        let failed = number(0) - number(1) - number(2);
        let events = format!(
            "{} ({} succeeded, {} denied or refused, {failed} failed otherwise; {} changes)",
            number(0),
            number(1),
            number(2),
            number(5)
        );
        self.facts.push(("Events".to_owned(), events));
        let text = |column| totals.text(0, column).unwrap_or_default().to_owned();
        self.facts.push(("First and last".to_owned(), format!("{} to {}", text(3), text(4))));
        self.facts.push(("Different calls".to_owned(), number(6).to_string()));
        let facets = ask(ctx, include_str!("sql/facets.sql"), Vec::new()).await?;
        for (column, name) in ["Who was behind it", "Accounts", "Regions", "Addresses", "Programs"].iter().enumerate() {
            self.facts.push(((*name).to_owned(), most(&facets, column)));
        }
        Ok(())
    }

    async fn tell_sessions(&mut self, ctx: &SessionContext, mut keys: Vec<String>) -> Result<()> {
        if let Subject::Key(key) = &self.subject {
            // the others are relatives of it
            keys = vec![key.clone()];
        }
        let (rows, leaves) = tree::tree(ctx, &keys).await?;
        self.leaves = leaves;
        self.add("sessions", rows);
        Ok(())
    }

    async fn tell_timeline(&mut self, ctx: &SessionContext, firsts: &Firsts) -> Result<()> {
        let ids = story::ids(firsts.by_event.keys().map(String::as_str))?;
        register(ctx, "firsts", ids)?;
        let calls = ask(ctx, include_str!("sql/timeline.sql"), Vec::new()).await?;
        let mark = match self.subject {
            Subject::Finding(_) => "in the finding",
            _ => "the event asked about",
        };
        let (rows, left_out) = story::timeline(&calls, firsts, mark);
        if left_out > 0 {
            self.notes
                .push(format!("{left_out} calls that weigh less are not in the timeline; a shorter time shows them."));
        }
        self.add("timeline", rows);
        Ok(())
    }

    async fn tell_activity(&mut self, ctx: &SessionContext, scope: &Scope) -> Result<()> {
        let length = step(scope.from, scope.to);
        let values = vec![("step".to_owned(), datafusion::common::ScalarValue::Int64(Some(length)))];
        let mut rows = ask(ctx, include_str!("sql/activity.sql"), values.clone()).await?;
        let label = |step: i64| {
            DateTime::from_timestamp(step.saturating_mul(length), 0).map(|time| time.format("%FT%H:%MZ").to_string())
        };
        rows.columns[1] = ("time".to_owned(), false);
        rows.rows.iter_mut().for_each(|row| row[1] = row[1].as_deref().and_then(|step| label(step.parse().ok()?)));
        self.add("activity", rows);
        let steps = ask(ctx, include_str!("sql/steps.sql"), values).await?;
        self.buckets = buckets(&steps, &self.sections, length, label);
        Ok(())
    }
}

/// The same session with the subject's events in memory, where they are few.
async fn kept(ctx: SessionContext) -> Result<SessionContext> {
    // not counted first: finding the events, behind which the chains of all sessions are, is most of the work
    let events = batch(&ctx, &format!("SELECT * FROM events LIMIT {}", KEPT + 1), Vec::new()).await?;
    if events.num_rows() > KEPT {
        return Ok(ctx);
    }
    let internal = |error| Error::new(ErrorKind::Internal, "cannot keep the events").source(error);
    ctx.deregister_table("events").map_err(internal)?;
    register(&ctx, "events", events)?;
    Ok(ctx)
}

/// A named query over the events of the scope.
async fn named_rows(ctx: &SessionContext, scope: &Scope, name: &str) -> Result<Rows> {
    let before = scope.from - chrono::TimeDelta::seconds(1);
    let given = [("since", before), ("until", scope.to)].map(|(name, time)| (name.to_owned(), time.to_rfc3339()));
    let stream = named::execute(ctx, named::find(name)?, &given).await?;
    let schema = stream.schema();
    let all = arrow::compute::concat_batches(&schema, &query::gather(stream).await?);
    rows::of(&all.map_err(|error| Error::new(ErrorKind::Internal, "cannot join the rows of an answer").source(error))?)
}

/// Identities beside the subject's, by what they share with it.
async fn others(ctx: &SessionContext) -> Result<Rows> {
    let shared = ask(ctx, include_str!("sql/shared.sql"), Vec::new()).await?;
    let (addresses, mut values) = list("address", &shared.column(0));
    let (agents, more) = list("agent", &shared.column(1));
    values.extend(more);
    // a list without values is none in SQL
    let or_none = |list: String| if list.is_empty() { "NULL".to_owned() } else { list };
    let sql = include_str!("sql/others.sql").replace("{addresses}", &or_none(addresses));
    ask(ctx, &sql.replace("{agents}", &or_none(agents)), values).await
}

/// The first values of a facet, the most frequent first.
fn most(facets: &Rows, column: usize) -> String {
    const SHOWN: usize = 8;
    let values = (0..facets.rows.len()).filter_map(|row| Some((facets.text(row, column)?, facets.number(row, 5))));
    let values: Vec<_> = values.collect();
    let mut shown: Vec<String> = values.iter().take(SHOWN).map(|(value, count)| format!("{value} ({count})")).collect();
    if values.len() > SHOWN {
        shown.push(format!("and {} more", values.len() - SHOWN));
    }
    shown.join(", ")
}

/// Length of a step, in seconds.
fn step(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    let span = (to - from).num_seconds().max(1);
    LENGTHS.into_iter().find(|length| span / length < STEPS).unwrap_or(LENGTHS[LENGTHS.len() - 1])
}

/// Every step from the first to the last, also those in which nothing happened.
fn buckets(steps: &Rows, sections: &[Section], length: i64, label: impl Fn(i64) -> Option<String>) -> Vec<Bucket> {
    let timeline = sections.iter().find(|section| section.name == "timeline");
    let mut marks = std::collections::HashMap::<i64, String>::new();
    for row in timeline
        .map(|section| &section.rows)
        .into_iter()
        .flat_map(|rows| (0..rows.rows.len()).map(move |row| (rows, row)))
    {
        let (Some(time), Some(api), Some(reasons)) = (row.0.time(row.1, 0), row.0.text(row.1, 4), row.0.text(row.1, 6))
        else {
            continue;
        };
        if reasons != "change" {
            marks.entry(time.timestamp().div_euclid(length)).or_insert_with(|| format!("{api}: {reasons}"));
        }
    }
    let counts: std::collections::HashMap<i64, [u64; 3]> = (0..steps.rows.len())
        .map(|row| {
            (steps.number(row, 0), [1, 2, 3].map(|column| u64::try_from(steps.number(row, column)).unwrap_or_default()))
        })
        .collect();
    let (Some(first), Some(last)) = (counts.keys().min(), counts.keys().max()) else { return Vec::new() };
    (*first..=*last)
        .take(2 * usize::try_from(STEPS).unwrap_or_default())
        .map(|step| Bucket {
            label: label(step).unwrap_or_default(),
            counts: counts.get(&step).copied().unwrap_or_default(),
            mark: marks.get(&step).cloned(),
        })
        .collect()
}

/// What to do about each kind of thing that is left behind.
const ADVICE: [(&str, &str); 16] = [
    ("credential", "deactivate it, then delete it: aws iam update-access-key --status Inactive"),
    ("identity", "who asked for it? delete its login profile and keys, then the identity"),
    ("trust", "compare the trust policy with the one before; remove foreign principals"),
    ("provider", "whose is it? delete the provider or trust anchor and the roles that trust it"),
    ("permission", "detach or restore the policy; look for older versions of it"),
    ("second factor", "who holds the device? deactivate it and enrol anew"),
    ("session that outlives its key", "revoke: deny all to the user until the session has expired"),
    ("function", "compare code, layers and permissions with what was deployed"),
    ("machine", "isolate it and keep its disks; remove the instance profile or key pair"),
    ("way in", "remove the rule, peering or route"),
    ("grant", "retire the grant, restore the key or resource policy"),
    ("bucket", "restore policy, ACL, replication and notifications"),
    ("command", "delete the activation, association or document; list managed instances"),
    ("schedule", "delete the rule or schedule and its targets"),
    ("image", "make it private again"),
    ("snapshot", "make it private again"),
];

fn with_advice(mut rows: Rows) -> Rows {
    let of = |kind: &str| ADVICE.iter().find(|(other, _)| *other == kind).map_or("look at it", |(_, advice)| advice);
    rows.columns.insert(0, ("done".to_owned(), false));
    rows.columns.push(("what_to_do".to_owned(), false));
    for row in &mut rows.rows {
        row.push(row.first().and_then(|kind| kind.as_deref()).map(|kind| of(kind).to_owned()));
        row.insert(0, Some("[ ]".to_owned()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_few_however_long_the_time() {
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for (seconds, length) in [(0, 60), (3_600, 60), (86_400, 900), (7 * 86_400, 10_800), (400 * 86_400, 604_800)] {
            assert_eq!(step(from, from + chrono::TimeDelta::seconds(seconds)), length);
        }
        assert_eq!(step(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC), LENGTHS[9]);
    }

    #[test]
    fn every_kind_of_what_is_left_has_advice() {
        let sql = &named::find("persistence-checklist").unwrap().sql;
        let kinds = sql.split("THEN '").skip(1).filter_map(|rest| rest.split('\'').next());
        let unknown: Vec<_> = kinds.filter(|kind| !ADVICE.iter().any(|(other, _)| other == kind)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
