//! What is known of the past at one moment: the plain structures that scores are computed from.
//!
//! Owns: each actor's days and first uses, the populations of the accounts, and the habits learned from them.
//! Refuses: anything at or after [`Past::to`]. Invariant: built from rows in a total order, so that sums of floats do
//! not depend on threads.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::feature::{ActorKind, Feature};
use super::model::{Exposure, Habit, Level};
use super::rows::{Numbers, Texts};
use crate::error::{Error, ErrorKind, Result};

/// Days after which a day of the past counts half.
const HALF_LIFE_DAYS: f64 = 10.0;

/// Active days at an actor's beginning on which everything is new and says nothing about its habits.
const BURN_IN_DAYS: usize = 3;

/// Volume and breadth of one actor-day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    /// UTC date.
    pub date: NaiveDate,
    /// Calls.
    pub calls: i64,
    /// Distinct APIs.
    pub apis: i64,
    /// Distinct services.
    pub services: i64,
    /// Distinct regions.
    pub regions: i64,
    /// Distinct networks.
    pub networks: i64,
    /// Distinct families of user agents.
    pub agents: i64,
    /// Distinct accounts.
    pub accounts: i64,
    /// Distinct hours of the day.
    pub hours: i64,
    /// Calls denied or not authenticated.
    pub denied: i64,
    /// Calls that did not succeed.
    pub failed: i64,
    /// Calls that are not read-only.
    pub writes: i64,
}

impl DayCounts {
    /// A day on which nothing happened.
    pub fn empty(date: NaiveDate) -> Self {
        Self {
            date,
            calls: 0,
            apis: 0,
            services: 0,
            regions: 0,
            networks: 0,
            agents: 0,
            accounts: 0,
            hours: 0,
            denied: 0,
            failed: 0,
            writes: 0,
        }
    }

    /// Reads the rows of `actor_days.sql`.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub fn read(batch: &RecordBatch) -> Result<Vec<(String, Self)>> {
        let actor = Texts::of(batch, "actor")?;
        let date = Numbers::of_dates(batch, "event_date")?;
        let count = |name| Numbers::of(batch, name);
        let (calls, apis, services) = (count("calls")?, count("apis")?, count("services")?);
        let (regions, networks, agents) = (count("regions")?, count("networks")?, count("agents")?);
        let (accounts, hours) = (count("accounts")?, count("hours")?);
        let (denied, failed, writes) = (count("denied")?, count("failed")?, count("writes")?);
        let day = |row| Self {
            date: date.date(row),
            calls: calls.at(row),
            apis: apis.at(row),
            services: services.at(row),
            regions: regions.at(row),
            networks: networks.at(row),
            agents: agents.at(row),
            accounts: accounts.at(row),
            hours: hours.at(row),
            denied: denied.at(row),
            failed: failed.at(row),
            writes: writes.at(row),
        };
        Ok((0..batch.num_rows()).map(|row| (actor.at(row).to_owned(), day(row))).collect())
    }
}

/// What one actor did before.
#[derive(Debug, Clone, Default)]
pub struct ActorPast {
    /// Its active days, ascending.
    pub days: Vec<DayCounts>,
    /// Bits of the values first used on a date.
    first_uses: BTreeMap<Feature, BTreeMap<NaiveDate, f64>>,
}

impl ActorPast {
    /// Calls in the past.
    pub fn events(&self) -> u64 {
        self.days.iter().map(|day| day.calls.max(0) as u64).sum()
    }

    /// How much new of the feature it met, older days counting less, the burn-in not at all.
    pub fn exposure(&self, feature: Feature, to: NaiveDate) -> Exposure {
        let first_uses = self.first_uses.get(&feature);
        let mut sum = Exposure::default();
        for day in self.days.iter().skip(BURN_IN_DAYS) {
            let weight = 0.5f64.powf((to - day.date).num_days() as f64 / HALF_LIFE_DAYS);
            let bits = first_uses.and_then(|dates| dates.get(&day.date)).copied();
            sum.add(Exposure {
                days: weight,
                new_days: bits.map_or(0.0, |_| weight),
                bits: bits.map_or(0.0, |bits| weight * bits),
            });
        }
        sum
    }

    fn level(&self, prior: Level, count: fn(&DayCounts) -> i64) -> Level {
        let series: Vec<f64> = self.days.iter().map(|day| count(day) as f64).collect();
        prior.learn(&series)
    }
}

/// A daily count whose tail is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Calls a day.
    Calls,
    /// Distinct APIs a day.
    Apis,
    /// Calls denied a day.
    Denied,
}

impl Volume {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Apis, Self::Denied];

    /// The name of the factor.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Apis => "distinct_apis",
            Self::Denied => "denied_calls",
        }
    }

    /// The count of a day.
    pub fn count(self, day: &DayCounts) -> i64 {
        match self {
            Self::Calls => day.calls,
            Self::Apis => day.apis,
            Self::Denied => day.denied,
        }
    }
}

/// What actors of a kind are like, before anything is known of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindPrior {
    /// Habit by feature name.
    pub habits: BTreeMap<String, Habit>,
    /// Level by volume name.
    pub levels: BTreeMap<String, Level>,
}

/// Priors by kind of actor, as shipped in `models/reference/priors.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priors {
    /// Version of the layout.
    pub schema_version: u32,
    /// What they were learned from.
    pub learned_from: String,
    /// By name of the kind.
    pub kinds: BTreeMap<String, KindPrior>,
}

impl Priors {
    /// Version of the layout that this program reads.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Reads the file's text.
    ///
    /// # Errors
    /// `BadInput` where it is of another version, cut short or lacks a kind or a feature.
    pub fn from_json(path: &str, text: &[u8]) -> Result<Self> {
        let refuse = |why: String| Error::new(ErrorKind::BadInput, format!("cannot use the priors {path}: {why}"));
        let priors: Self = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        if priors.schema_version != Self::SCHEMA_VERSION {
            return Err(refuse(format!("they have schema version {}", priors.schema_version)));
        }
        let whole = [ActorKind::Person, ActorKind::Workload].iter().all(|kind| {
            priors.kinds.get(kind.as_str()).is_some_and(|prior| {
                Feature::NOVELTY.iter().all(|feature| prior.habits.contains_key(feature.as_str()))
                    && Volume::ALL.iter().all(|volume| prior.levels.contains_key(volume.as_str()))
            })
        });
        if whole { Ok(priors) } else { Err(refuse("a kind or a feature is missing".to_owned())) }
    }

    fn kind(&self, kind: ActorKind) -> &KindPrior {
        self.kinds.get(kind.as_str()).or_else(|| self.kinds.values().next()).expect("checked when read")
    }
}

/// Everything before a date.
#[derive(Debug, Clone)]
pub struct Past {
    /// First date of the baseline; `to` where it is empty.
    pub from: NaiveDate,
    /// First date after the baseline.
    pub to: NaiveDate,
    /// By profile.
    pub actors: BTreeMap<String, ActorPast>,
    /// Actors by account.
    pub account_actors: BTreeMap<String, i64>,
    priors: Priors,
}

impl Past {
    /// An empty past, which knows only the reference priors.
    pub fn new(to: NaiveDate, reference: Priors) -> Self {
        Self { from: to, to, actors: BTreeMap::new(), account_actors: BTreeMap::new(), priors: reference }
    }

    /// Adds rows of `actor_days.sql`, which come sorted by actor and date.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub fn add_days(&mut self, batch: &RecordBatch) -> Result<()> {
        for (actor, day) in DayCounts::read(batch)? {
            self.add_day(actor, day);
        }
        Ok(())
    }

    /// Adds one day of one actor.
    pub fn add_day(&mut self, actor: String, day: DayCounts) {
        self.from = self.from.min(day.date);
        self.actors.entry(actor).or_default().days.push(day);
    }

    /// Adds rows of `first_uses.sql`.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub fn add_first_uses(&mut self, batch: &RecordBatch) -> Result<()> {
        let (actor, feature) = (Texts::of(batch, "actor")?, Texts::of(batch, "feature")?);
        let (date, millibits) = (Numbers::of_dates(batch, "first_date")?, Numbers::of(batch, "millibits")?);
        for row in 0..batch.num_rows() {
            if let Some(feature) = Feature::of(feature.at(row)) {
                let bits = millibits.at(row) as f64 / 1000.0;
                self.add_first_use(actor.at(row), feature, date.date(row), bits);
            }
        }
        Ok(())
    }

    /// Adds what an actor used first on a date.
    pub fn add_first_use(&mut self, actor: &str, feature: Feature, date: NaiveDate, bits: f64) {
        if let Some(past) = self.actors.get_mut(actor) {
            past.first_uses.entry(feature).or_default().insert(date, bits);
        }
    }

    /// Adds rows of `population.sql`.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub fn add_population(&mut self, batch: &RecordBatch) -> Result<()> {
        let (account, actors) = (Texts::of(batch, "account")?, Numbers::of(batch, "actors")?);
        for row in 0..batch.num_rows() {
            self.account_actors.insert(account.at(row).to_owned(), actors.at(row));
        }
        Ok(())
    }

    /// Learns what the kinds are like from all actors; call it once, when all rows are in.
    pub fn learn(&mut self) {
        let kinds = [ActorKind::Person, ActorKind::Workload];
        let learned = kinds.map(|kind| (kind.as_str().to_owned(), self.learn_kind(kind)));
        self.priors.kinds = learned.into_iter().collect();
    }

    /// The priors as they are now, for `models/reference`.
    pub fn priors(&self) -> &Priors {
        &self.priors
    }

    fn learn_kind(&self, kind: ActorKind) -> KindPrior {
        let before = self.priors.kind(kind);
        let members: Vec<&ActorPast> =
            self.actors.iter().filter(|(name, _)| ActorKind::of(name) == kind).map(|(_, past)| past).collect();
        let habit = |feature: Feature| {
            let mut all = Exposure::default();
            members.iter().for_each(|past| all.add(past.exposure(feature, self.to)));
            (feature.as_str().to_owned(), before.habits[feature.as_str()].learn(all))
        };
        let level = |volume: Volume| (volume.as_str().to_owned(), typical(&members, volume, before));
        KindPrior {
            habits: Feature::NOVELTY.into_iter().map(habit).collect(),
            levels: Volume::ALL.into_iter().map(level).collect(),
        }
    }

    /// Days from the first to the last of the baseline.
    pub fn length_days(&self) -> usize {
        (self.to - self.from).num_days().max(0) as usize
    }

    /// Number of actors of an account; of the organization for `""`.
    pub fn actors_of(&self, account: &str) -> i64 {
        self.account_actors.get(account).copied().unwrap_or(0)
    }

    /// The habit of an actor, learned from its own past on top of its kind's.
    pub fn habit(&self, actor: &str, feature: Feature) -> Habit {
        let kind = self.kind_habit(ActorKind::of(actor), feature);
        self.actors.get(actor).map_or(kind, |past| kind.learn(past.exposure(feature, self.to)))
    }

    /// The habit of a kind.
    pub fn kind_habit(&self, kind: ActorKind, feature: Feature) -> Habit {
        self.priors.kind(kind).habits[feature.as_str()]
    }

    /// The daily level of an actor, learned from its own past on top of its kind's.
    pub fn level(&self, actor: &str, volume: Volume) -> Level {
        let kind = self.priors.kind(ActorKind::of(actor)).levels[volume.as_str()];
        let count: fn(&DayCounts) -> i64 = match volume {
            Volume::Calls => |day| day.calls,
            Volume::Apis => |day| day.apis,
            Volume::Denied => |day| day.denied,
        };
        self.actors.get(actor).map_or(kind, |past| past.level(kind, count))
    }
}

/// Typical level of a kind: the geometric mean of its members' means (they span orders of magnitude) and the median of
/// their dispersions. Five members that look like the reference are assumed beside the real ones.
fn typical(members: &[&ActorPast], volume: Volume, before: &KindPrior) -> Level {
    const REFERENCE_MEMBERS: usize = 5;
    let reference = before.levels[volume.as_str()];
    let mut logs = (reference.mean + 1.0).ln() * REFERENCE_MEMBERS as f64;
    let mut dispersions = vec![reference.dispersion; REFERENCE_MEMBERS];
    for past in members {
        let series: Vec<f64> = past.days.iter().map(|day| volume.count(day) as f64).collect();
        let mean = series.iter().sum::<f64>() / series.len().max(1) as f64;
        logs += (mean + 1.0).ln();
        dispersions.push(Level { mean, ..reference }.learn(&series).dispersion);
    }
    dispersions.sort_by(f64::total_cmp);
    let mean = (logs / (members.len() + REFERENCE_MEMBERS) as f64).exp() - 1.0;
    Level { mean: mean.max(0.01), dispersion: dispersions[dispersions.len() / 2] }
}
