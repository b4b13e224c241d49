//! The walk over a lake's days: each is scored by what was known before it, and then known itself.
//!
//! Owns: the order of days, which of them are stale, and what is written back of them.
//! Refuses: to read a date whose number of events did not change; training on 90 days reads the new ones.
//! Invariant: a date's baselines are replaced whole, with the number of events they came from, in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::cell::{Cell, WEEKEND, hour_of, hour_value};
use super::day::DayEvents;
use super::feature::{ActorKind, Feature};
use super::issued::Issued;
use super::memory::{ActorDay, DayRecord, FactRow, Memory};
use super::names::{Name, Names};
use super::past::{Kept, Past};
use super::place::{Location, Locator, Places};
use super::prepared::Prepared;
use super::reads::{Amount, ReadRow};
use super::score::{ActorScore, Day, ShapeOf};
use super::sign_in::SignIn;
use super::signal::Signal;
use super::silence::{Traffic, TrafficRow, day_traffic};
use super::story::{Ruled, Scene, Story};
use super::workspace::{Window, Workspace, midnight_after};
use crate::error::Result;
use crate::lake::Lake;
use crate::network::Networks;
use crate::query::{self, QueryOptions};
use crate::schema;
use crate::table::TableSnapshot;

/// Days of the past that count. A value not used for a quarter is new again.
pub const LOOKBACK_DAYS: u64 = 90;

/// Values of one feature that are kept of an actor's day, and stories that are kept of a day.
const MOST_VALUES: usize = 1000;
const MOST_STORIES: usize = 200;

/// Rows of `baselines` that are read at once, those of one date at least.
const MOST_AHEAD: i64 = 200_000;

/// What was done to the baselines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Updated {
    /// Dates whose baselines were made anew.
    pub dates: u64,
    /// Events read for that.
    pub events: u64,
    /// Rows written.
    pub rows: u64,
}

/// A walk in progress.
pub struct Walk<'a> {
    lake: &'a Lake,
    /// The queries.
    pub workspace: Workspace,
    /// The texts.
    pub names: Names,
    /// The places.
    pub places: Places,
    /// What the user's files tell of addresses.
    pub networks: Arc<Networks>,
    /// What is known of the days before the next one.
    pub memory: Memory,
    /// How much accounts, regions and services said on the days before the next one.
    pub traffic: Traffic,
    /// Dates that have events, with their number where every file tells it.
    pub dates: BTreeMap<NaiveDate, Option<i64>>,
    trained: BTreeMap<NaiveDate, i64>,
    /// Rows of `baselines` by date.
    kept: BTreeMap<NaiveDate, Option<i64>>,
    /// What was kept of the next dates, read with the one before them.
    ahead: BTreeMap<NaiveDate, Past>,
    without: BTreeSet<Signal>,
    /// People's sign-ins of the window before.
    pub(super) sign_ins: Option<(NaiveDate, Vec<SignIn>)>,
    /// The keys made in the last windows.
    pub(super) issued: Vec<(Window, Issued)>,
    /// The date that the walk is at.
    last: Option<NaiveDate>,
    /// What was read of it to score it.
    read: Option<DayEvents>,
    /// What was done to the baselines.
    pub updated: Updated,
    /// What was forgotten of dates that were read, in words.
    pub limits: BTreeMap<NaiveDate, String>,
}

/// A day, scored.
pub struct ScoredDay {
    /// What was looked at.
    pub events: DayEvents,
    /// What was prepared of its cells.
    pub prepared: Prepared,
    /// Every actor, by its name's text.
    pub scores: Vec<ActorScore>,
}

impl<'a> Walk<'a> {
    /// Opens the lake's tables. Dates after `now` are left out: a clock that jumped must not become anybody's past.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn open(lake: &'a Lake, options: &QueryOptions, now: DateTime<Utc>) -> Result<Self> {
        let snapshots = [
            lake.snapshot(&schema::EVENTS).await?,
            lake.snapshot(&schema::BASELINES).await?,
            lake.snapshot(&schema::COMPLETENESS).await?,
        ];
        let mut dates = dates(&snapshots[0]);
        dates.retain(|date, _| *date <= now.date_naive());
        let networks = options.networks.clone().unwrap_or_default();
        let workspace = Workspace::new(query::session(&snapshots, options)?, options.memory_limit);
        let trained = workspace.trained_rows().await?;
        let (kept, ahead) = (self::dates(&snapshots[1]), BTreeMap::new());
        let places = Places::new(Some(locator(&networks)));
        let (names, memory, updated) = (Names::default(), Memory::default(), Updated::default());
        let (traffic, without) = (Traffic::default(), BTreeSet::new());
        let (sign_ins, issued, last, read) = (None, Vec::new(), None, None);
        Ok(Self {
            lake,
            workspace,
            names,
            places,
            networks,
            memory,
            traffic,
            dates,
            trained,
            kept,
            ahead,
            without,
            sign_ins,
            issued,
            last,
            read,
            updated,
            limits: BTreeMap::new(),
        })
    }

    /// Scores without some signals. What is kept was scored with all of them, so that every date is counted anew then,
    /// and nothing of it is kept.
    pub fn without(self, signals: BTreeSet<Signal>) -> Self {
        let trained = if signals.is_empty() { self.trained } else { BTreeMap::new() };
        Self { without: signals, trained, ..self }
    }

    /// Counts every date anew that has events.
    pub fn anew(self) -> Self {
        Self { trained: BTreeMap::new(), ..self }
    }

    /// Number of events of a date.
    async fn events(&self, date: NaiveDate) -> Result<i64> {
        match self.dates.get(&date).copied().flatten() {
            Some(rows) => Ok(rows),
            None => self.workspace.count(date).await,
        }
    }

    /// Dates whose baselines are not those of their events.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn stale(&self) -> Result<BTreeSet<NaiveDate>> {
        let mut stale = BTreeSet::new();
        for date in self.dates.keys() {
            if self.trained.get(date) != Some(&self.events(*date).await?) {
                stale.insert(*date);
            }
        }
        Ok(stale)
    }

    /// The dates to walk, so that those wanted are scored by all that counts for them.
    pub fn way(&self, wanted: &BTreeSet<NaiveDate>) -> Vec<NaiveDate> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
        let from = first.checked_sub_days(Days::new(LOOKBACK_DAYS)).unwrap_or(NaiveDate::MIN);
        self.dates.range(from..=*last).map(|(date, _)| *date).collect()
    }

    /// Goes to a date. What is known ends where no day within the lookback is: events of a clock that jumped back by years
    /// are nobody's past.
    pub fn arrive(&mut self, date: NaiveDate) {
        let gap = |last: NaiveDate| (date - last).num_days() > LOOKBACK_DAYS as i64;
        if self.last.is_some_and(gap) {
            (self.memory, self.traffic) = (Memory::default(), Traffic::default());
        }
        (self.last, self.read) = (Some(date), None);
    }

    /// Keeps what was read of the date that the walk is at, as it may have to be counted.
    pub fn keep(&mut self, events: DayEvents) {
        self.read = Some(events);
    }

    /// Scores a window by what is known.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn score(&mut self, window: Window, shape: ShapeOf<'_>) -> Result<ScoredDay> {
        let events = self.workspace.read(window, &mut self.names, &mut self.places).await?;
        if let Some(told) = events.forgotten.told() {
            tracing::warn!(date = %window.date, "{told}");
            self.limits.insert(window.date, told);
        }
        Ok(self.scored(window.date, events, shape))
    }

    fn scored(&mut self, date: NaiveDate, events: DayEvents, shape: ShapeOf<'_>) -> ScoredDay {
        let prepared = Prepared::of(&self.memory, &mut self.names, &events.cells);
        let mut day = ScoredDay { events, prepared, scores: Vec::new() };
        let mut scores = self.day(date, &day).score(shape);
        scores.sort_by(|a, b| self.names.text(a.profile).cmp(self.names.text(b.profile)));
        day.scores = scores;
        day
    }

    /// A day's cells beside what is known.
    pub fn day<'d>(&'d self, date: NaiveDate, day: &'d ScoredDay) -> Day<'d> {
        let (memory, names, without) = (&self.memory, &self.names, &self.without);
        Day { date, memory, names, cells: &day.events.cells, prepared: &day.prepared, without }
    }

    /// The stories of a scored day, with the rules' part.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn stories(&mut self, window: Window, day: &ScoredDay, ruled: &Ruled) -> Result<Vec<Story>> {
        let keys = self.scene(day, ruled).keys();
        let makers = self.makers(window, &keys).await?;
        Ok(self.scene(day, ruled).stories(&makers))
    }

    /// A day as its stories are made from.
    pub fn scene<'s>(&'s self, day: &'s ScoredDay, ruled: &'s Ruled) -> Scene<'s> {
        Scene { scores: &day.scores, cells: &day.events.cells, memory: &self.memory, names: &self.names, ruled }
    }

    /// Adds a date to what is known: as it was kept, or, where it is stale, counted anew and kept.
    ///
    /// # Errors
    /// Whatever reading or writing the lake gives.
    pub async fn learn(&mut self, date: NaiveDate, is_stale: bool) -> Result<()> {
        let (record, traffic) = match is_stale {
            false => self.kept(date).await?,
            true => self.count(date).await?,
        };
        self.memory.fold(&record, &mut self.names, &mut self.places);
        self.traffic.add(date, day_traffic(&traffic));
        Ok(())
    }

    /// A date as it was kept.
    async fn kept(&mut self, date: NaiveDate) -> Result<(DayRecord, Vec<TrafficRow>)> {
        if !self.ahead.contains_key(&date) {
            self.ahead = self.workspace.past(date, self.together(date)).await?;
        }
        let past = self.ahead.remove(&date).unwrap_or_default();
        past.read(date, &mut self.names)
    }

    /// The last date of those that are read together from one on: planning a query takes as long as reading some days.
    fn together(&self, date: NaiveDate) -> NaiveDate {
        let mut rows = 0;
        let fits = |(_, more): &(&NaiveDate, &Option<i64>)| {
            rows += more.unwrap_or(MOST_AHEAD);
            rows <= MOST_AHEAD
        };
        self.kept.range(date..).take_while(fits).last().map_or(date, |(last, _)| *last)
    }

    async fn count(&mut self, date: NaiveDate) -> Result<(DayRecord, Vec<TrafficRow>)> {
        let window = Window { date, before: midnight_after(date), as_of: None };
        let events = self.events(date).await?;
        // what was scored up to an instant may be all that there is
        let day = match self.read.take().filter(|read| read.number() == events) {
            Some(read) => self.scored(date, read, &|_| 0.0),
            None => self.score(window, &|_| 0.0).await?,
        };
        let stories = self.stories(window, &day, &Ruled::new()).await?;
        let record = record(date, &day, &stories, &mut self.names);
        let traffic = day.events.traffic;
        if !self.without.is_empty() {
            return Ok((record, traffic));
        }
        let batch = Kept { record: &record, names: &self.names, events, traffic: &traffic }.to_batch()?;
        self.updated.dates += 1;
        self.updated.events += events.max(0) as u64;
        self.updated.rows += batch.num_rows() as u64;
        self.lake.replace_partition(&schema::BASELINES, date, &[batch]).await?;
        Ok((record, traffic))
    }
}

/// The dates of the events with their number of rows, where every file of the date tells it.
pub fn dates(events: &TableSnapshot) -> BTreeMap<NaiveDate, Option<i64>> {
    let mut out: BTreeMap<NaiveDate, Option<i64>> = BTreeMap::new();
    for file in &events.files {
        let Some(date) = file.partition.as_deref().and_then(|text| text.parse().ok()) else { continue };
        let rows = file.rows.and_then(|rows| i64::try_from(rows).ok());
        let sum = out.entry(date).or_insert(Some(0));
        *sum = sum.zip(rows).map(|(sum, rows)| sum + rows);
    }
    out
}

/// What the user's files of networks tell of an address.
fn locator(networks: &Arc<Networks>) -> Locator {
    let networks = Arc::clone(networks);
    Arc::new(move |address| {
        let source = networks.look_up(&address.to_string(), None);
        Location {
            asn: source.asn,
            country: source.country.map(|country| country.as_str().to_owned()),
            kind: source.class.map(|class| class.to_string()),
        }
    })
}

/// What is kept of a scored day.
fn record(date: NaiveDate, day: &ScoredDay, stories: &[Story], names: &mut Names) -> DayRecord {
    let millibits = |bits: f64| (bits * 1000.0).round() as i64;
    let actor = |score: &ActorScore| ActorDay {
        profile: score.profile,
        peer: score.peer,
        counts: score.counts,
        hours: score.hours,
        values: score.values.iter().map(|(signal, bits)| (*signal, millibits(*bits))).collect(),
    };
    DayRecord {
        date,
        facts: facts(&day.events.cells, names),
        actors: day.scores.iter().map(actor).collect(),
        reads: read_rows(&day.events.cells, names),
        stories: stories.iter().take(MOST_STORIES).map(|story| millibits(story.score)).collect(),
    }
}

/// The values of a day, sorted by their texts, as they come back from the lake.
fn facts(cells: &[Cell], names: &mut Names) -> Vec<FactRow> {
    let mut calls: BTreeMap<(Name, Name, Feature, Name), i64> = BTreeMap::new();
    for cell in cells {
        let network = (Feature::Network, cell.prefix);
        let plain =
            cell.values().filter(|(feature, _)| Feature::KEPT.contains(feature) && *feature != Feature::Network);
        let hours = hours(cell, names);
        for (feature, value) in plain.chain([network]).chain(hours) {
            *calls.entry((cell.profile, cell.account, feature, value)).or_default() += cell.calls;
        }
    }
    let mut most: BTreeMap<(Name, Feature), usize> = BTreeMap::new();
    let mut rows: Vec<FactRow> = calls
        .into_iter()
        .map(|((profile, account, feature, value), calls)| FactRow { profile, account, feature, value, calls })
        .collect();
    let text = |row: &FactRow| [row.profile, row.account, row.value].map(|name| names.text(name).to_owned());
    rows.sort_by_cached_key(|row| {
        let [profile, account, value] = text(row);
        (profile, account, row.feature.as_str(), value, row.calls)
    });
    rows.retain(|row| {
        let seen = most.entry((row.profile, row.feature)).or_default();
        *seen += 1;
        *seen <= MOST_VALUES
    });
    rows
}

/// What actors read from buckets, sorted by their texts; of each the buckets with the most objects.
fn read_rows(cells: &[Cell], names: &Names) -> Vec<ReadRow> {
    let mut amounts: BTreeMap<(Name, Name), Amount> = BTreeMap::new();
    for cell in cells {
        let Some(bucket) = cell.reads else { continue };
        amounts.entry((cell.profile, bucket)).or_default().add(cell.calls, cell.bytes);
    }
    let row = |((profile, bucket), amount): ((Name, Name), Amount)| ReadRow { profile, bucket, amount };
    let mut rows: Vec<ReadRow> = amounts.into_iter().map(row).collect();
    let text = |name| names.text(name).to_owned();
    rows.sort_by_cached_key(|row| (text(row.profile), std::cmp::Reverse(row.amount.objects), text(row.bucket)));
    let mut most: BTreeMap<Name, usize> = BTreeMap::new();
    rows.retain(|row| {
        let seen = most.entry(row.profile).or_default();
        *seen += 1;
        *seen <= MOST_VALUES
    });
    rows
}

/// Hours are kept of people: programs have their own time.
fn hours(cell: &Cell, names: &mut Names) -> Vec<(Feature, Name)> {
    if ActorKind::of(names.text(cell.profile)) != ActorKind::Person {
        return Vec::new();
    }
    let (hour, weekend) = hour_of(cell.first);
    let rest = weekend.then(|| WEEKEND.to_owned());
    [hour_value(hour)].into_iter().chain(rest).map(|text| (Feature::Hour, names.of(&text))).collect()
}
