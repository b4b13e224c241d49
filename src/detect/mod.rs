//! Detection: which actor-days do not fit their past, and why.
//!
//! Owns: the walk over the days of a range, the models in the lake, and the findings written back.
//! Refuses: the clock (`now` is an argument) and anything later than the instant that is asked for.
//! Invariant: a day is scored from the days before it only; the same lake and range give the same findings, byte by
//! byte, whatever the number of threads.

pub mod feature;
pub mod model;
pub mod past;
pub mod reference;
mod rows;
pub mod score;
pub mod shape;
mod store;
pub mod tactic;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use crate::schema;
use crate::train::{self, TrainReport};

use self::past::Past;
use self::score::Scored;
use self::shape::ShapeModel;
use self::workspace::{Carriers, Window, Workspace};

/// Bits from which an actor-day is a finding, unless the options say otherwise. On a synthetic organization of 440
/// identities and 60,000 events a day this gives a few findings a day.
pub const DEFAULT_MIN_SCORE: f64 = 25.0;

/// What to detect.
#[derive(Debug, Clone)]
pub struct DetectOptions {
    /// First instant; its whole UTC day is scored. By default 24 hours before `to`.
    pub from: Option<DateTime<Utc>>,
    /// First instant that is not read. By default now. With neither given and no event in the last 24 hours, the
    /// newest day that has events is scored.
    pub to: Option<DateTime<Utc>>,
    /// Bits from which an actor-day is a finding. Rules (root, logging disabled, attack distributions) always are.
    pub min_score: f64,
    /// Threads and memory.
    pub query: QueryOptions,
}

impl DetectOptions {
    /// The default range and threshold.
    pub fn new(query: QueryOptions) -> Self {
        Self { from: None, to: None, min_score: DEFAULT_MIN_SCORE, query }
    }
}

/// What a detection run found.
#[derive(Debug, Clone, Serialize)]
pub struct DetectReport {
    /// First instant that was scored; `None` where the lake has no events in the range.
    pub from: Option<DateTime<Utc>>,
    /// First instant that was not read.
    pub to: Option<DateTime<Utc>>,
    /// Days scored.
    pub days: u64,
    /// Actor-days scored.
    pub actor_days: u64,
    /// Days of past behind the last day scored; below a week, trust the scores accordingly.
    pub baseline_days: u64,
    /// Findings whose content is new or changed, written to the table `findings`.
    pub written: u64,
    /// What bringing the baselines up to date did.
    pub train: TrainReport,
    /// By score, the highest first, then by id.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Scores the actor-days of a range, after bringing the baselines up to date, and records the findings in the lake.
///
/// # Errors
/// `Usage` where the range is empty, `BadInput` where a model file is broken, and whatever the lake gives.
pub async fn detect(lake: &Lake, options: &DetectOptions, now: DateTime<Utc>) -> Result<DetectReport> {
    let train = train::train(lake, &options.query, now).await?;
    let snapshots = lake.snapshots().await?;
    let events = snapshots.iter().find(|snapshot| snapshot.name == schema::EVENTS.name);
    let dates: BTreeSet<NaiveDate> =
        events.map(|events| train::dates(events).into_keys().collect()).unwrap_or_default();
    let windows = windows(options, &dates, now)?;
    let workspace = Workspace::new(query::session(&snapshots, &options.query)?).await?;
    let mut report = DetectReport {
        from: windows.first().map(|window| midnight(window.date)),
        to: windows.last().map(|window| window.before),
        days: windows.len() as u64,
        actor_days: 0,
        baseline_days: 0,
        written: 0,
        train,
        findings: Vec::new(),
    };
    for window in windows {
        let day = detect_day(lake, &workspace, window, options.min_score).await?;
        report.actor_days += day.actors;
        report.baseline_days = day.baseline_days;
        report.findings.extend(day.findings);
    }
    report.findings.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    report.written = store::record(lake, &options.query, &report.findings, now).await?;
    Ok(report)
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

fn next_midnight(date: NaiveDate) -> DateTime<Utc> {
    midnight(date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX))
}

/// The days to score: every date with events that the range touches, from its midnight, so that a later run over the
/// same day sees at least as much.
fn windows(options: &DetectOptions, dates: &BTreeSet<NaiveDate>, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let to = options.to.unwrap_or(now);
    let from = options.from.unwrap_or_else(|| to.checked_sub_signed(TimeDelta::hours(24)).unwrap_or(to));
    if from >= to {
        return Err(Error::new(ErrorKind::Usage, format!("the range from {from} to {to} is empty"))
            .hint("give a from before to, for example --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z"));
    }
    let window = |date: &NaiveDate| Window { date: *date, before: to.min(next_midnight(*date)) };
    let touched = |date: &&NaiveDate| midnight(**date) < to && next_midnight(**date) > from;
    let found: Vec<Window> = dates.iter().filter(touched).map(window).collect();
    if !found.is_empty() || options.from.is_some() {
        return Ok(found);
    }
    Ok(dates.iter().rev().find(|date| midnight(**date) < to).map(window).into_iter().collect())
}

struct Day {
    actors: u64,
    baseline_days: u64,
    findings: Vec<Finding>,
}

async fn detect_day(lake: &Lake, workspace: &Workspace, window: Window, min_score: f64) -> Result<Day> {
    let past = workspace.past(window.date, reference::priors()?).await?;
    let (version, shape) = store::shape_model(lake, &past).await?;
    let scored = score_day(workspace, window, &past, &shape).await?;
    let actors = scored.len() as u64;
    let flagged: Vec<Scored> = scored.into_iter().filter(|scored| is_finding(scored, min_score)).collect();
    let findings = explain(workspace, window, &past, &flagged, &version).await?;
    Ok(Day { actors, baseline_days: past.length_days() as u64, findings })
}

/// A rule's name holds a colon, a statistic's does not.
fn is_finding(scored: &Scored, min_score: f64) -> bool {
    scored.score >= min_score || scored.signals.iter().any(|signal| signal.name.contains(':'))
}

async fn score_day(workspace: &Workspace, window: Window, past: &Past, shape: &ShapeModel) -> Result<Vec<Scored>> {
    let (actors, newcomers) = workspace.today(window, past).await?;
    Ok(actors.iter().map(|today| score::score(past, shape, &newcomers, today)).collect())
}

async fn explain(
    workspace: &Workspace,
    window: Window,
    past: &Past,
    flagged: &[Scored],
    version: &str,
) -> Result<Vec<Finding>> {
    let mut carriers = Carriers::default();
    flagged.iter().for_each(|scored| carriers.add(&scored.profile, verdict::carriers(scored)));
    if carriers.is_empty() {
        return Ok(Vec::new());
    }
    let evidence: BTreeMap<_, _> = workspace.evidence(window, &carriers).await?;
    let finding = |scored: &Scored| verdict::finding(scored, evidence.get(&scored.profile)?, past, version);
    Ok(flagged.iter().filter_map(finding).collect())
}
