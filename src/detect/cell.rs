//! A cell: like calls of one session in one hour, the smallest thing that the detector looks at.
//!
//! Owns: what a cell holds and which values it has. Refuses: reading it from anywhere.
//! Invariant: cells come in the order of their first call, then of all their members.

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::feature::Feature;
use super::names::Name;
use super::place::Place;

/// Parts of an hour in which calls are counted: ten minutes each.
pub const SLOTS: usize = 6;

/// Like calls.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The actor (see `identity`).
    pub actor: Name,
    /// The profile its past is kept under.
    pub profile: Name,
    /// The group it is compared with.
    pub peer: Name,
    /// Access key; the empty text where there is none.
    pub key: Name,
    /// Account the calls were recorded in.
    pub account: Name,
    /// `service:Operation`.
    pub api: Name,
    /// Region.
    pub region: Name,
    /// Source address, as it was written.
    pub address: Name,
    /// Its /24 or /48, or the AWS service that called.
    pub prefix: Name,
    /// Where that is.
    pub place: Place,
    /// Family of the user agent.
    pub agent: Name,
    /// What became of the calls.
    pub outcome: Name,
    /// What they are about.
    pub resource: Option<Name>,
    /// What they would do.
    pub effects: Vec<Name>,
    /// Whether the calls' access keys are not known, and are several perhaps (see `level`).
    pub any_key: bool,
    /// The same of what they are about.
    pub any_resource: bool,
    /// ARN of the bucket that objects were read from.
    pub reads: Option<Name>,
    /// Bytes read from it.
    pub bytes: i64,
    /// Not read-only.
    pub writes: bool,
    /// First call.
    pub first: DateTime<Utc>,
    /// Last call.
    pub last: DateTime<Utc>,
    /// Number of calls.
    pub calls: i64,
    /// Of those, the calls in each ten minutes of the hour.
    pub slots: [u32; SLOTS],
}

impl Cell {
    /// Values that tell who calls from where.
    pub fn context(&self) -> impl Iterator<Item = (Feature, Name)> {
        let place = self.place;
        let country = place.country.map(|country| (Feature::Country, country));
        let kind = place.kind.map(|kind| (Feature::NetworkKind, kind));
        let always = [
            (Feature::Network, place.network),
            (Feature::Agent, self.agent),
            (Feature::Region, self.region),
            (Feature::Account, self.account),
        ];
        always.into_iter().chain(country).chain(kind)
    }

    /// Whether another cell has the same values that tell who calls from where.
    pub fn has_context_of(&self, other: &Self) -> bool {
        let context = |cell: &Self| (cell.place, cell.agent, cell.region, cell.account);
        context(self) == context(other)
    }

    /// Values that tell what is done.
    pub fn deeds(&self) -> impl Iterator<Item = (Feature, Name)> {
        let api = [(Feature::Api, self.api)];
        let effects = self.effects.iter().map(|effect| (Feature::Effect, *effect));
        api.into_iter().chain(effects).chain(self.resource.map(|resource| (Feature::Resource, resource)))
    }

    /// All values but the hour.
    pub fn values(&self) -> impl Iterator<Item = (Feature, Name)> {
        self.context().chain(self.deeds())
    }
}

/// The part of its hour that an instant is in, of microseconds since 1970.
pub fn slot_of(micros: i64) -> usize {
    const HOUR: i64 = 3_600_000_000;
    (micros.rem_euclid(HOUR) / (HOUR / SLOTS as i64)) as usize
}

/// Name of the value of [`Feature::Hour`] that a weekend has.
pub const WEEKEND: &str = "weekend";

/// The value of [`Feature::Hour`] of an hour of the day.
pub fn hour_value(hour: u32) -> String {
    format!("{:02}", hour % 24)
}

/// Hour of the day, UTC, and whether it is Saturday or Sunday.
pub fn hour_of(time: DateTime<Utc>) -> (u32, bool) {
    (time.hour(), time.weekday().number_from_monday() > 5)
}
