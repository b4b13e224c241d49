//! Signals: what is measured of an actor's doings, and how a measured value becomes a probability.
//!
//! Owns: the list of signals, their weights, and the tail of what was measured on past actor-days ([`Tail`]).
//! Refuses: how a value is measured. Invariant: a value's p-value comes from actor-days before it only.

use super::model::bits;
use super::tactic::Tactic;

/// One measured side of what an actor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The network it came from.
    Network,
    /// Country and kind of that network.
    Place,
    /// The user agent's family.
    Agent,
    /// Regions.
    Region,
    /// Accounts.
    Account,
    /// Hour of the day, and working day or weekend.
    Hour,
    /// One access key in two networks at once.
    TwoNetworks,
    /// Calls, against the actor's days.
    Calls,
    /// Distinct APIs, against the actor's days.
    Apis,
    /// Calls denied, against the actor's days.
    Denied,
    /// Distinct resources changed or read out, against the actor's days.
    Resources,
    /// Objects read, against the actor's days.
    Objects,
    /// Bytes read, against the actor's days.
    Bytes,
    /// Objects and bytes read from one bucket, against what the actor reads from it on its days.
    BucketReads,
    /// Calls in an hour, against the busiest one of the actor's days.
    BusiestHour,
    /// Calls in ten minutes, against the busiest ones of the actor's days.
    BusiestMinutes,
    /// Objects read within seven days, against the actor's weeks.
    WeekObjects,
    /// Bytes read within seven days, against the actor's weeks.
    WeekBytes,
    /// Calls denied within seven days, against the actor's weeks.
    WeekDenied,
    /// How the day's counts stand to each other.
    Shape,
    /// What a call would do, read from its parameters.
    Consequence,
    /// Which bucket, secret, role, function …
    Resource,
    /// Calls that were denied before and succeed now.
    Regained,
    /// APIs of a tactic.
    Api(Tactic),
}

impl Signal {
    /// Those that are no API's.
    const PLAIN: [Self; 23] = [
        Self::Network,
        Self::Place,
        Self::Agent,
        Self::Region,
        Self::Account,
        Self::Hour,
        Self::TwoNetworks,
        Self::Calls,
        Self::Apis,
        Self::Denied,
        Self::Resources,
        Self::Objects,
        Self::Bytes,
        Self::BucketReads,
        Self::BusiestHour,
        Self::BusiestMinutes,
        Self::WeekObjects,
        Self::WeekBytes,
        Self::WeekDenied,
        Self::Shape,
        Self::Consequence,
        Self::Resource,
        Self::Regained,
    ];

    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain(Tactic::ALL.into_iter().map(Self::Api))
    }

    /// The name in factors and in `baselines`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Place => "country",
            Self::Agent => "user_agent",
            Self::Region => "region",
            Self::Account => "account",
            Self::Hour => "hour",
            Self::TwoNetworks => "two_networks",
            Self::Calls => "calls",
            Self::Apis => "distinct_apis",
            Self::Denied => "denied_calls",
            Self::Resources => "distinct_resources",
            Self::Objects => "objects_read",
            Self::Bytes => "bytes_read",
            Self::BucketReads => "reads_from_bucket",
            Self::BusiestHour => "calls_in_an_hour",
            Self::BusiestMinutes => "calls_in_ten_minutes",
            Self::WeekObjects => "objects_read_in_a_week",
            Self::WeekBytes => "bytes_read_in_a_week",
            Self::WeekDenied => "denied_calls_in_a_week",
            Self::Shape => "shape",
            Self::Consequence => "consequence",
            Self::Resource => "resource",
            Self::Regained => "denied_then_allowed",
            Self::Api(tactic) => tactic.signal(),
        }
    }

    /// The signal of a name; `None` for names of other versions.
    pub fn of(name: &str) -> Option<Self> {
        Self::all().find(|signal| signal.as_str() == name)
    }

    /// Whether it tells who is calling from where, rather than what is done.
    pub fn is_context(self) -> bool {
        self <= Self::TwoNetworks
    }

    /// Whether it is an amount: of everything that was done, whatever of it is new.
    pub fn is_volume(self) -> bool {
        (Self::Calls..=Self::Shape).contains(&self)
    }

    /// Worth of a bit of this signal. Tuned on synthetic organizations (ARCHITECTURE.md, "The detector's figures"); what
    /// an attacker needs and people rarely do counts more, what varies with everyday work less.
    pub fn weight(self) -> f64 {
        match self {
            Self::Network => 1.35,
            Self::Place => 0.8,
            Self::Agent => 0.7,
            Self::Region => 1.1,
            Self::Account => 0.47,
            Self::Hour => 1.35,
            Self::TwoNetworks => 0.23,
            Self::Calls => 0.12,
            Self::Apis => 0.13,
            Self::Denied => 0.22,
            Self::Resources => 0.47,
            Self::Objects => 0.5,
            Self::Bytes => 0.3,
            Self::BucketReads => 0.5,
            Self::BusiestHour => 0.3,
            Self::BusiestMinutes => 0.5,
            Self::WeekObjects => 0.6,
            Self::WeekBytes => 0.6,
            Self::WeekDenied => 0.2,
            Self::Shape => 0.2,
            Self::Consequence => 0.88,
            Self::Resource => 0.66,
            Self::Regained => 1.0,
            Self::Api(tactic) => match tactic {
                Tactic::Discovery => 0.53,
                Tactic::DiscoveryS3 => 0.6,
                Tactic::InitialAccess | Tactic::ImpactS3Permission | Tactic::ImpactS3Delete => 1.0,
                Tactic::CredentialAccess => 1.9,
                Tactic::DefenseEvasion => 1.32,
                Tactic::Persistence => 0.76,
                Tactic::PrivilegeEscalation => 1.2,
                Tactic::Exfiltration => 0.92,
                Tactic::Impact => 0.36,
                Tactic::ExfiltrationS3 => 2.4,
                Tactic::ImpactS3Write => 0.8,
            },
        }
    }
}

/// Bits beyond which a signal's weight is at least a half: what is that improbable is no everyday variation, whatever
/// the signal.
const EXTREME: f64 = 12.0;

impl Signal {
    /// What so many bits of this signal are worth.
    pub fn credit(self, bits: f64) -> f64 {
        let usual = bits.min(EXTREME) * self.weight();
        usual + (bits - EXTREME).max(0.0) * self.weight().max(0.5)
    }
}

/// Bins of a quarter of a bit, up to 30 bits.
const BINS: usize = 120;
const BINS_PER_BIT: f64 = 4.0;

/// Actor-days that the prior counts for: in four of five nothing is measured, and what is halves every
/// 2.7 bits.
const PRIOR_DAYS: f64 = 15.0;
const PRIOR_ANY: f64 = 0.2;
const PRIOR_HALF: f64 = 2.7;
const PRIOR_MOST: f64 = 30.0;

/// Half a day of anything at all: what never happened is not impossible.
const FLOOR: f64 = 0.4;

/// See [`Tail::p`]; small samples are not believed below.
const BEYOND: f64 = 3.8;
const BEYOND_FROM: f64 = 16.0;
const MOST_BEYOND: f64 = 12.0;

/// From here on a value is worth counting as "had any".
pub const ANY: f64 = 1.0;

/// Values of a signal on past actor-days of one kind: the conformal reference of new ones.
#[derive(Debug, Clone)]
pub struct Tail {
    days: f64,
    any: f64,
    most: f64,
    bins: [f64; BINS],
}

impl Default for Tail {
    fn default() -> Self {
        Self { days: 0.0, any: 0.0, most: 0.0, bins: [0.0; BINS] }
    }
}

fn bin(value: f64) -> usize {
    ((value * BINS_PER_BIT) as usize).min(BINS - 1)
}

impl Tail {
    /// Adds an actor-day's largest value.
    pub fn add(&mut self, value: f64) {
        self.days += 1.0;
        self.most = self.most.max(value);
        if value > 0.0 {
            self.bins[bin(value)] += 1.0;
        }
        if value > ANY {
            self.any += 1.0;
        }
    }

    /// Probability that an actor-day has at least this value: (days with at least it + prior) / (days + prior). Beyond
    /// everything that was ever measured it halves with every few bits, twelve times at most: the days cannot tell.
    pub fn p(&self, value: f64) -> f64 {
        let beyond = (value - self.most.max(BEYOND_FROM)).max(0.0) / BEYOND;
        self.within(value) * 0.5f64.powf(beyond.min(MOST_BEYOND))
    }

    fn within(&self, value: f64) -> f64 {
        let at = bin(value);
        let above = self.bins[at + 1..].iter().sum::<f64>() + self.bins[at] / 2.0;
        let prior = PRIOR_DAYS * PRIOR_ANY * 0.5f64.powf(value.min(PRIOR_MOST) / PRIOR_HALF);
        let floor = FLOOR * self.days / (self.days + PRIOR_DAYS);
        (above + prior + floor) / (self.days + PRIOR_DAYS + 1.0)
    }

    /// Share of the actor-days that had any.
    pub fn rate(&self) -> f64 {
        (self.any + 0.5) / (self.days + 1.0)
    }

    /// Actor-days behind it.
    pub fn days(&self) -> f64 {
        self.days
    }
}

/// How often an actor had any of a signal; older days count less.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habit {
    days: f64,
    any: f64,
}

/// What a day counts the day after.
const FADE: f64 = 0.98;

/// Days that the kind's rate counts for against the actor's own.
const HABIT_DAYS: f64 = 12.0;

/// How far an actor's habit may move a probability, up or down.
const MOST_RATIO: f64 = 2.6;

impl Habit {
    /// The habit of an actor that never had any, in so many days.
    pub fn quiet(days: f64) -> Self {
        Self { days: (1.0 - FADE.powf(days)) / (1.0 - FADE), any: 0.0 }
    }

    /// Adds a day.
    pub fn add(&mut self, value: f64) {
        self.days = self.days * FADE + 1.0;
        self.any = self.any * FADE + f64::from(u8::from(value > ANY));
    }

    /// How much more often than its kind the actor has any: people who explore every day are expected to.
    pub fn ratio(&self, rate: f64) -> f64 {
        let own = (self.any + HABIT_DAYS * rate) / (self.days + HABIT_DAYS);
        (own / rate).clamp(1.0 / MOST_RATIO, MOST_RATIO)
    }
}

/// How often actors of a peer group had any of a signal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Custom {
    /// Days of its actors.
    pub days: f64,
    /// Of those, days with any.
    pub any: f64,
}

/// Days that the kind's rate counts for against the group's own.
const CUSTOM_DAYS: f64 = 40.0;

/// How much more often a group may be expected to have any than its kind.
const MOST_USUAL: f64 = 8.0;

impl Custom {
    /// The group's rate where its kind's is `rate`: jobs that run on whatever runner is free change networks, services on a machine of
    /// their own do not, and both are programs.
    fn rate(&self, rate: f64) -> f64 {
        let own = (self.any + CUSTOM_DAYS * rate) / (self.days + CUSTOM_DAYS);
        own.clamp(rate, rate * MOST_USUAL).min(1.0)
    }
}

/// Bits of a value for an actor: -log2 of its kind's tail, moved by its peer group's custom, and that by the actor's habit.
pub fn surprise(value: f64, tail: Option<&Tail>, custom: Custom, habit: Option<&Habit>) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let nothing = Tail::default();
    let tail = tail.unwrap_or(&nothing);
    let usual = custom.rate(tail.rate());
    let ratio = usual / tail.rate() * habit.copied().unwrap_or_default().ratio(usual);
    bits((tail.p(value) * ratio).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_known() {
        let names: std::collections::BTreeSet<&str> = Signal::all().map(Signal::as_str).collect();
        assert_eq!(names.len(), Signal::all().count());
        assert!(Signal::all().all(|signal| Signal::of(signal.as_str()) == Some(signal)));
    }

    #[test]
    fn a_larger_value_is_never_more_probable() {
        let mut tail = Tail::default();
        (0..200).for_each(|day| tail.add(f64::from(day % 13)));
        let p: Vec<f64> = (0..60).map(|half| tail.p(f64::from(half) / 2.0)).collect();
        assert!(p.windows(2).all(|pair| pair[1] <= pair[0]));
        assert!(p.iter().all(|p| *p > 0.0 && *p <= 1.0));
    }

    #[test]
    fn who_explores_every_day_surprises_less() {
        let mut tail = Tail::default();
        (0..1000).for_each(|day| tail.add(if day % 20 == 0 { 8.0 } else { 0.0 }));
        let (mut explorer, mut steady) = (Habit::default(), Habit::default());
        (0..30).for_each(|_| explorer.add(8.0));
        (0..30).for_each(|_| steady.add(0.0));
        let of = |habit: &Habit| surprise(8.0, Some(&tail), Custom::default(), Some(habit));
        assert!(of(&explorer) + 1.0 < surprise(8.0, Some(&tail), Custom::default(), None));
        assert!(of(&steady) > surprise(8.0, Some(&tail), Custom::default(), None));
    }

    #[test]
    fn what_a_group_does_often_surprises_less_of_its_members() {
        let mut tail = Tail::default();
        (0..2000).for_each(|day| tail.add(if day % 100 == 0 { 8.0 } else { 0.0 }));
        let quiet = Habit::quiet(20.0);
        let of = |days, any| surprise(8.0, Some(&tail), Custom { days, any }, Some(&quiet));
        let (unknown, roaming, fixed) = (of(0.0, 0.0), of(200.0, 20.0), of(200.0, 0.0));
        assert!(roaming + 2.0 < unknown && unknown == fixed, "{roaming} {unknown} {fixed}");
        // three bits at most for what the group is used to
        assert!(unknown - of(1e6, 1e6) < 3.1);
    }

    #[test]
    fn nothing_is_no_surprise() {
        assert_eq!(surprise(0.0, Some(&Tail::default()), Custom::default(), None), 0.0);
        let cold = surprise(8.0, None, Custom::default(), None);
        assert!(cold > surprise(4.0, None, Custom::default(), None) && cold < 10.0, "{cold}");
    }
}
