//! What the rules name in a window.
//!
//! Owns: the rules that look at more than one event. They compare the day with the networks that the memory has of a person or
//! a role.
//! Refuses: what a hit is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};

use super::day::{DayEvents, Named};
use super::feature::{self, Feature};
use super::instance::Use;
use super::names::Names;
use super::rows::{Numbers, Texts};
use super::rule::{Hits, RuleHit};
use super::sign_in::{SIGN_IN, SignIn, TWO_PLACES, in_two_places};
use super::walk::Walk;
use super::workspace::{Window, in_window};
use crate::error::Result;
use crate::network::SourceKind;
use crate::query::collect;

/// Actors that used a network before, up to which the country that it is registered in is where they are.
const FEW_USERS: f64 = 2.0;

impl Walk<'_> {
    /// Rules hit in a window, by profile; the memory is of the days before it.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn rules(&mut self, window: Window, events: &DayEvents) -> Result<Hits> {
        let mut hits = Hits::new();
        add(&events.named, &mut self.names, &mut hits);
        add(&self.two_places(window, &events.sign_ins).await?, &mut self.names, &mut hits);
        add(&self.moved(window, events).await?, &mut self.names, &mut hits);
        Ok(hits)
    }

    /// Sign-ins from two countries at about the same time.
    async fn two_places(&mut self, window: Window, today: &[SignIn]) -> Result<Named> {
        let mut named = Named::default();
        let before = self.sign_ins_before(window).await?;
        let country = |address: &str| self.country_of(address);
        let is_known = |profile: &str, country: &str| self.days_in(profile, country, window) > 1;
        for one in in_two_places(&before, today, &country, &is_known) {
            let row = [&one.profile, TWO_PLACES, SIGN_IN, &one.key, &one.account, &one.address, "success"];
            *named.of(row, || 0) += 1;
        }
        self.sign_ins = Some((window.date, today.to_vec()));
        Ok(named)
    }

    /// The country that somebody is in who calls from an address. Where no file of the user's tells it, it is the one that the network is
    /// registered in; of a network that several actors use (a proxy's, a VPN's, a large provider's) that says nothing.
    fn country_of(&self, address: &str) -> Option<String> {
        let registered = || {
            let wide = self.names.find(&feature::widened(&feature::network(address)));
            let is_shared = wide.is_some_and(|wide| self.memory.users(Feature::Network, wide) > FEW_USERS);
            self.networks.look_up(address, None).country.filter(|_| !is_shared)
        };
        self.networks.located(address).or_else(registered).map(|country| country.as_str().to_owned())
    }

    /// Sign-ins of the day before: those of the window before, or read.
    async fn sign_ins_before(&mut self, window: Window) -> Result<Vec<SignIn>> {
        let before = window.date.pred_opt().filter(|date| self.dates.contains_key(date));
        let Some(before) = before else { return Ok(Vec::new()) };
        match self.sign_ins.take() {
            Some((date, sign_ins)) if date == before => Ok(sign_ins),
            _ => self.workspace.sign_ins(Window { date: before, ..window }).await,
        }
    }

    /// Days of the past quarter on which a person called from a country.
    fn days_in(&self, profile: &str, country: &str, window: Window) -> u32 {
        let days = self.known_networks(profile, window).filter(|(network, _)| {
            self.networks.look_up(host(network), None).country.is_some_and(|known| known.as_str() == country)
        });
        days.fold(0, |all, (_, days)| all | days).count_ones()
    }

    /// The networks that an actor called from in the past quarter, with the days as bits.
    fn known_networks(&self, profile: &str, window: Window) -> impl Iterator<Item = (&str, u128)> {
        let profile = self.names.find(profile).into_iter();
        let networks = profile.flat_map(move |profile| self.memory.networks(profile, window.date));
        networks.map(|(network, days)| (self.names.text(network), days))
    }

    /// Credentials of instances that came from where they do not belong: asked where a role came from where it is not known.
    async fn moved(&self, window: Window, events: &DayEvents) -> Result<Named> {
        let mut named = Named::default();
        let uses: Vec<Used> =
            events.uses.sorted().into_iter().filter_map(|(one, calls)| self.used(one, *calls)).collect();
        let mut known: BTreeMap<&str, BTreeMap<&str, u128>> = BTreeMap::new();
        for one in &uses {
            let networks = || self.known_networks(&one.profile, window).collect();
            known.entry(&one.profile).or_insert_with(networks);
        }
        let is_strange = |one: &&Used| !known[one.profile.as_str()].contains_key(one.network.as_str());
        let strangers: BTreeSet<&str> = uses.iter().filter(is_strange).map(|one| one.profile.as_str()).collect();
        if strangers.is_empty() {
            return Ok(named);
        }
        known.retain(|profile, _| strangers.contains(profile));
        self.prepare(&uses, &known)?;
        let knows_aws = if self.networks.knows_aws() { "true" } else { "false" };
        let sql = include_str!("sql/moved_credentials.sql").replace("{knows_aws}", knows_aws);
        for batch in collect(&self.workspace.ctx, &in_window(&sql, window)).await? {
            let text = |name| Texts::of(&batch, name);
            let columns = ["profile", "rules", "api", "access_key", "account", "address", "outcome"];
            let [profile, rules, api, key, account, address, outcome] = columns.map(text);
            let texts = [profile?, rules?, api?, key?, account?, address?, outcome?];
            let calls = Numbers::of(&batch, "calls")?;
            (0..batch.num_rows()).for_each(|row| {
                *named.of(texts.each_ref().map(|texts| texts.at(row)), || 0) += calls.at(row);
            });
        }
        Ok(named)
    }

    /// A use with what its texts mean; `None` where it is no call over a network.
    fn used<'u>(&self, texts: Use<'u>, (first, calls): (i64, i64)) -> Option<Used<'u>> {
        let [actor, _, home, _, source, operation, _, address, endpoint, endpoint_account, _] = texts;
        let kind =
            self.networks.look_up(address, some(endpoint)).kind.filter(|kind| *kind != SourceKind::AwsService)?;
        Some(Used {
            texts,
            profile: feature::profile(actor),
            api: feature::api(source, operation),
            network: feature::network(address),
            kind,
            foreign_endpoint: !endpoint_account.is_empty() && !home.is_empty() && endpoint_account != home,
            first,
            calls,
        })
    }

    /// Puts uses, the roles in question and what is known of them beside the lake's tables.
    fn prepare(&self, uses: &[Used<'_>], known: &BTreeMap<&str, BTreeMap<&str, u128>>) -> Result<()> {
        let text = |of: &dyn Fn(&Used<'_>) -> Option<String>| -> ArrayRef {
            Arc::new(uses.iter().map(of).collect::<StringArray>())
        };
        let part = |at: usize| text(&|one| Some(one.texts[at].to_owned()));
        let known_part = |at: usize| text(&|one| some(one.texts[at]).map(str::to_owned));
        let first = TimestampMicrosecondArray::from_iter_values(uses.iter().map(|one| one.first)).with_timezone("UTC");
        let columns: [(&str, ArrayRef); 13] = [
            ("profile", text(&|one| Some(one.profile.clone()))),
            ("instance", known_part(1)),
            ("home", known_part(2)),
            ("access_key", part(3)),
            ("api", text(&|one| Some(one.api.clone()))),
            ("account", part(6)),
            ("address", part(7)),
            ("network", text(&|one| Some(one.network.clone()))),
            ("kind", text(&|one| Some(one.kind.as_str().to_owned()))),
            ("foreign_endpoint", Arc::new(uses.iter().map(|one| Some(one.foreign_endpoint)).collect::<BooleanArray>())),
            ("outcome", part(10)),
            ("first_time", Arc::new(first)),
            ("calls", Arc::new(Int64Array::from_iter_values(uses.iter().map(|one| one.calls)))),
        ];
        self.workspace.table("uses", &columns)?;
        let texts =
            |texts: &mut dyn Iterator<Item = &str>| -> ArrayRef { Arc::new(StringArray::from_iter(texts.map(Some))) };
        let pairs =
            || known.iter().flat_map(|(profile, networks)| networks.keys().map(move |network| (*profile, *network)));
        self.workspace.table("asked", &[("profile", texts(&mut known.keys().copied()))])?;
        let networks = texts(&mut pairs().map(|(_, network)| network));
        self.workspace
            .table("known", &[("profile", texts(&mut pairs().map(|(profile, _)| profile))), ("network", networks)])?;
        let mut indoors = known.iter().filter(|(_, networks)| self.is_indoors(networks)).map(|(profile, _)| *profile);
        self.workspace.table("indoors", &[("profile", texts(&mut indoors))])
    }

    /// Whether networks are those of somebody who is known, and has called from private ones only.
    fn is_indoors(&self, networks: &BTreeMap<&str, u128>) -> bool {
        let days = networks.values().fold(0, |all, days| all | days).count_ones();
        let kind = |network: &&str| self.networks.look_up(host(network), None).kind;
        days > 2
            && !networks.keys().filter_map(kind).any(|kind| matches!(kind, SourceKind::Internet | SourceKind::AwsIp))
    }
}

/// A use of an instance's credentials.
struct Used<'u> {
    texts: Use<'u>,
    profile: String,
    api: String,
    network: String,
    kind: SourceKind,
    /// Through a VPC endpoint of another account.
    foreign_endpoint: bool,
    /// Microseconds since 1970.
    first: i64,
    calls: i64,
}

/// The address that a prefix begins with, or the service that it is.
fn host(network: &str) -> &str {
    network.split('/').next().unwrap_or(network)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn add(named: &Named, names: &mut Names, hits: &mut Hits) {
    for ([profile, rules, api, key, account, address, outcome], calls) in named.sorted() {
        let parts = [api, key, account, address, outcome];
        let found: Vec<RuleHit> = rules.split(' ').filter_map(|rule| RuleHit::of(rule, parts, *calls, names)).collect();
        hits.entry(names.of(profile)).or_default().extend(found);
    }
}
