//! Detection: what does not fit its past, told as stories, and why.
//!
//! Owns: the days of a range, the models in the lake, and the findings written back.
//! Refuses: the clock (`now` is an argument) and anything later than the instant that is asked for.
//! Invariant: a day is scored from the days before it only; the same lake and range give the same findings, byte by
//! byte, whatever the number of threads.

mod bar;
pub mod baseline;
pub mod cell;
mod coded;
pub mod columns;
pub mod completeness;
pub mod counts;
mod crowd;
pub mod day;
mod day_set;
pub mod effect;
mod evidence;
pub mod explain;
pub mod feature;
mod fold;
pub mod group;
mod hits;
pub mod hours;
pub mod instance;
pub mod issued;
mod keys;
mod level;
pub mod memory;
pub mod model;
pub mod names;
mod past;
pub mod place;
pub mod playbook;
mod prepared;
pub mod reads;
pub mod reference;
mod regain;
mod rows;
pub mod rule;
pub mod score;
pub mod shape;
mod sieve;
pub mod sign_in;
pub mod signal;
pub mod silence;
mod store;
pub mod story;
pub mod tactic;
#[cfg(test)]
mod tests;
pub mod traffic;
mod unit;
pub mod verdict;
pub mod walk;
pub mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::govern::Governance;
use crate::lake::Lake;
use crate::query::QueryOptions;
use crate::train::TrainReport;

pub use self::bar::{Bar, COLD_SCORE, DEFAULT_BUDGET};
use self::cell::Cell;
use self::day::DayEvents;
use self::explain::Explainer;
use self::feature::ActorKind;
use self::names::Name;
use self::rule::{Hits, RuleHit};
use self::score::{ActorScore, Day};
use self::signal::Signal;
use self::story::{Ruled, Scene, Story};
use self::verdict::Case;
use self::walk::{ScoredDay, Walk};
use self::workspace::{Window, midnight_after};

/// Findings of a day at most, beside silence: what rules name is told beside the budget, and a list or a rule may name everybody.
const MOST_FINDINGS: usize = 200;

/// What to detect.
#[derive(Debug, Clone)]
pub struct DetectOptions {
    /// First instant; its whole UTC day is scored. By default 24 hours before `to`.
    pub from: Option<DateTime<Utc>>,
    /// First instant that is not read. By default now. With neither given and no event in the last 24 hours, the
    /// newest day that has events is scored.
    pub to: Option<DateTime<Utc>>,
    /// Only what had been delivered by then, as the names of the objects tell.
    pub as_of: Option<DateTime<Utc>>,
    /// When a story is a finding. What a rule names (root, logging disabled, attack distributions) always is.
    pub bar: Bar,
    /// Signals that count for nothing: what the others are worth alone.
    pub without: BTreeSet<Signal>,
    /// Threads, memory, networks.
    pub query: QueryOptions,
}

impl DetectOptions {
    /// The default range and budget.
    pub fn new(query: QueryOptions) -> Self {
        Self { from: None, to: None, as_of: None, bar: Bar::Usual, without: BTreeSet::new(), query }
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
    /// Calls scored; those of AWS itself are left out.
    pub events: u64,
    /// Actor-days scored.
    pub actor_days: u64,
    /// Days of past behind the last day scored; below a week, trust the scores accordingly.
    pub baseline_days: u64,
    /// Bits from which a story of the last day is a finding.
    pub threshold: f64,
    /// Findings whose content is new or changed, written to the table `findings`.
    pub written: u64,
    /// Findings that a suppression keeps from being told; they are in the table, too.
    pub suppressed: u64,
    /// What failed without keeping findings from being told, in words.
    pub failures: Vec<String>,
    /// Threshold and findings of each day.
    pub by_day: Vec<DayReport>,
    /// What bringing the baselines up to date did.
    pub train: TrainReport,
    /// By score, the highest first, then by id.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// One scored day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayReport {
    /// The day.
    pub date: NaiveDate,
    /// Actors scored.
    pub actors: u64,
    /// Bits from which a story was a finding.
    pub threshold: f64,
    /// Findings.
    pub findings: u64,
}

/// Scores the days of a range, bringing the baselines up to date on the way, and records the findings in the lake.
///
/// # Errors
/// `Usage` where the range is empty, `BadInput` where a model file is broken, and whatever the lake gives.
pub async fn detect(lake: &Lake, options: &DetectOptions, now: DateTime<Utc>) -> Result<DetectReport> {
    let mut report = find(lake, options, now).await?;
    report.written = store::record(lake, &options.query, &report.findings, now).await?;
    let (governance, failure) = Governance::load_or_tell_all(lake).await;
    report.failures.extend(failure);
    let all = report.findings.len();
    report.findings.retain(|finding| governance.suppression(finding).is_none());
    report.suppressed = (all - report.findings.len()) as u64;
    Ok(report)
}

/// As [`detect`], but records no finding and suppresses none: what a backtest and a replay ask for.
///
/// # Errors
/// As [`detect`].
pub async fn find(lake: &Lake, options: &DetectOptions, now: DateTime<Utc>) -> Result<DetectReport> {
    let mut walk = Walk::open(lake, &options.query, now).await?.without(options.without.clone());
    let dates: BTreeSet<NaiveDate> = walk.dates.keys().copied().collect();
    let windows = windows(options, &dates, now)?;
    let by_date: BTreeMap<NaiveDate, Window> = windows.iter().map(|window| (window.date, *window)).collect();
    let mut report = DetectReport {
        from: windows.first().map(|window| midnight(window.date)),
        to: windows.last().map(|window| window.before),
        days: windows.len() as u64,
        events: 0,
        actor_days: 0,
        baseline_days: 0,
        threshold: 0.0,
        written: 0,
        suppressed: 0,
        failures: Vec::new(),
        by_day: Vec::new(),
        train: TrainReport::default(),
        findings: Vec::new(),
    };
    let stale = walk.stale().await?;
    let wanted = by_date.keys().chain(&stale).copied().collect();
    for date in walk.way(&wanted) {
        walk.arrive(date);
        if let Some(window) = by_date.get(&date) {
            detect_day(lake, &mut walk, *window, options.bar, &mut report).await?;
        }
        walk.learn(date, stale.contains(&date)).await?;
    }
    report.train = TrainReport::of(&walk);
    report.findings.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    Ok(report)
}

/// The findings of a lake, each in its latest version, by time, then id.
///
/// # Errors
/// Whatever reading the lake gives.
pub async fn findings(lake: &Lake, options: &QueryOptions) -> Result<Vec<Finding>> {
    store::latest(lake, options).await
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

/// The days to score: every date with events that the range touches, from its midnight, so that a later run over the
/// same day sees at least as much.
fn windows(options: &DetectOptions, dates: &BTreeSet<NaiveDate>, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let to = options.to.or(options.as_of).unwrap_or(now);
    let from = options.from.unwrap_or_else(|| to.checked_sub_signed(TimeDelta::hours(24)).unwrap_or(to));
    if from >= to {
        return Err(Error::new(ErrorKind::Usage, format!("the range from {from} to {to} is empty"))
            .hint("give a from before to, for example --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z"));
    }
    let window = |date: &NaiveDate| Window { date: *date, before: to.min(midnight_after(*date)), as_of: options.as_of };
    let touched = |date: &&NaiveDate| midnight(**date) < to && midnight_after(**date) > from;
    let found: Vec<Window> = dates.iter().filter(touched).map(window).collect();
    if !found.is_empty() || options.from.is_some() {
        return Ok(found);
    }
    Ok(dates.iter().rev().find(|date| midnight(**date) < to).map(window).into_iter().collect())
}

/// Scores a day and adds its findings to the report.
async fn detect_day(
    lake: &Lake,
    walk: &mut Walk<'_>,
    window: Window,
    bar: Bar,
    report: &mut DetectReport,
) -> Result<()> {
    let (version, shape) = store::shape_model(lake, &walk.memory, &walk.names, window.date).await?;
    let day = walk.score(window, &|counts| shape.surprise(counts).1).await?;
    let hits = walk.rules(window, &day.events).await?;
    let ruled = ruled(&hits);
    let threshold = bar.score(&walk.memory);
    let stories = walk.stories(window, &day, &ruled).await?;
    let is_named =
        |at: &usize| hits.get(&day.scores[*at].profile).is_some_and(|hits| hits.iter().any(|hit| hit.succeeded));
    let is_finding = |story: &&Story| story.score >= threshold || story.members.iter().any(is_named);
    let mut told: Vec<&Story> = stories.iter().filter(is_finding).collect();
    if told.len() > MOST_FINDINGS {
        let failure = too_many(window.date, told.len());
        tracing::error!("{failure}");
        report.failures.push(failure);
        told.truncate(MOST_FINDINGS);
    }
    report.events += day.events.cells.iter().map(|cell| cell.calls.max(0) as u64).sum::<u64>();
    let actors = actors(walk, &day);
    report.actor_days += actors;
    report.baseline_days = walk.memory.length_days(window.date).max(0) as u64;
    report.threshold = threshold;
    let told = Told { day: &day, hits: &hits, ruled: &ruled, stories: told, threshold, version: &version };
    let mut findings = told.findings(walk, window).await?;
    findings.extend(silences(walk, window, &day.events));
    complete(walk, window, &mut findings).await?;
    report.by_day.push(DayReport { date: window.date, actors, threshold, findings: findings.len() as u64 });
    report.findings.extend(findings);
    walk.keep(day.events);
    Ok(())
}

/// Actors of a scored day; its buckets are none.
fn actors(walk: &Walk<'_>, day: &ScoredDay) -> u64 {
    let is_actor = |score: &&ActorScore| ActorKind::of(walk.names.text(score.profile)) != ActorKind::Bucket;
    day.scores.iter().filter(is_actor).count() as u64
}

/// Bits of the rules that each profile hit, each rule once.
fn ruled(hits: &Hits) -> Ruled {
    hits.iter().map(|(profile, hits)| (*profile, rule::worth(hits).values().sum())).collect()
}

fn too_many(date: NaiveDate, stories: usize) -> String {
    format!(
        "{stories} stories of {date} would be findings, and only the {MOST_FINDINGS} with the highest score are told: a list \
         of addresses or a rule names too much, or --min-score is too low"
    )
}

/// What fell silent on a day.
fn silences(walk: &Walk<'_>, window: Window, events: &DayEvents) -> Vec<Finding> {
    let Some(newest) = events.newest else { return Vec::new() };
    let found = walk.traffic.silences(window.date, &silence::day_traffic(&events.traffic), newest);
    found.iter().map(silence::Silence::finding).collect()
}

/// Adds what only other tables and other days tell: how the credentials came to be, and whether the hours are complete.
/// Silence of hours whose logs are there and only not ingested is none.
async fn complete(walk: &mut Walk<'_>, window: Window, findings: &mut Vec<Finding>) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let keys = findings.iter().flat_map(|finding| finding.access_key_ids.iter().cloned()).collect();
    let steps = walk.chains(window, keys).await?;
    let accounts = findings.iter().flat_map(|finding| finding.accounts.iter().map(String::as_str)).collect();
    let hours = walk.workspace.hours(window, &accounts).await?;
    for finding in findings.iter_mut() {
        finding.completeness = completeness::of(finding, &hours);
        silence::weigh(finding);
        finding.chain = verdict::chain(&finding.access_key_ids, &steps);
    }
    findings.retain(|finding| !silence::is_only_late(finding));
    Ok(())
}

/// The stories of a day that are findings.
struct Told<'a> {
    day: &'a ScoredDay,
    hits: &'a Hits,
    ruled: &'a Ruled,
    stories: Vec<&'a Story>,
    threshold: f64,
    version: &'a str,
}

impl Told<'_> {
    /// The findings of the stories, with their events.
    async fn findings(&self, walk: &Walk<'_>, window: Window) -> Result<Vec<Finding>> {
        let scene = walk.scene(self.day, self.ruled);
        let mut flagged: Vec<(i64, &Cell, i64)> = Vec::new();
        for (number, story) in self.stories.iter().enumerate() {
            let mut weights = scene.evidence(story);
            add_rules(self.day, self.hits, story, &mut weights);
            let cells = heaviest(weights).into_iter();
            flagged.extend(cells.map(|(at, millibits)| (number as i64, &self.day.events.cells[at], millibits)));
        }
        if flagged.is_empty() {
            return Ok(Vec::new());
        }
        let evidence = walk.workspace.evidence(window, &flagged, &walk.names).await?;
        let day = walk.day(window.date, self.day);
        let finding = |(number, story): (usize, &&Story)| {
            let members: Vec<_> = story.members.iter().map(|at| &self.day.scores[*at]).collect();
            let rules = members.iter().filter_map(|score| self.hits.get(&score.profile)).flatten().copied().collect();
            let explainer = Explainer { memory: &walk.memory, names: &walk.names, date: window.date };
            let case = Case { members, story, rules, explainer, model_version: self.version };
            let mut finding = verdict::finding(&case, evidence.get(&(number as i64))?)?;
            if let Some(told) = self.day.events.forgotten.told() {
                finding.description = format!("{} The day had {told}.", finding.description);
            }
            Some(Finding { time: self.moment(&day, &scene, story).unwrap_or(finding.time), ..finding })
        };
        Ok(self.stories.iter().enumerate().filter_map(finding).collect())
    }

    /// When a story became one that is told.
    fn moment(&self, day: &Day<'_>, scene: &Scene<'_>, story: &Story) -> Option<DateTime<Utc>> {
        let named =
            |(profile, hits): (&Name, &Vec<RuleHit>)| hits.iter().map(|hit| (*profile, hit.api)).collect::<Vec<_>>();
        let rules: Vec<(Name, Name)> = self.hits.iter().flat_map(named).collect();
        scene.moment(day, story, self.threshold.min(story.score) / story.weight(), &rules)
    }
}

/// Cells of a story whose events are looked up at most: one event of each would be more than are told.
const MOST_CELLS: usize = 5 * evidence::EVENT_LIMIT;

/// The cells that carry the most, in the order of their first call.
fn heaviest(weights: BTreeMap<usize, i64>) -> BTreeMap<usize, i64> {
    let mut sorted: Vec<(usize, i64)> = weights.into_iter().collect();
    sorted.sort_by_key(|(at, millibits)| (std::cmp::Reverse(*millibits), *at));
    sorted.truncate(MOST_CELLS);
    sorted.into_iter().collect()
}

/// The cells that rules name carry the story, too; where a rule is most of it, they alone do.
fn add_rules(day: &ScoredDay, hits: &Hits, story: &Story, weights: &mut BTreeMap<usize, i64>) {
    for score in story.members.iter().map(|at| &day.scores[*at]) {
        let Some(hits) = hits.get(&score.profile) else { continue };
        if score.best.score < story::LEAST_SCORE {
            weights.retain(|at, _| day.events.cells[*at].profile != score.profile);
        }
        for at in day.prepared.cells_of(score.profile).iter().copied() {
            let cell = &day.events.cells[at];
            let bits = hits.iter().filter(|hit| hit.is_of(cell)).map(RuleHit::bits).fold(0.0, f64::max);
            if bits > 0.0 {
                *weights.entry(at).or_default() += (bits * 1000.0) as i64;
            }
        }
    }
}
