//! What the rules name in a window.
//!
//! Owns: which queries are asked. The rules that look at more than one event are asked in two steps, as on most days the first
//! one tells that there is nothing to ask.
//! Refuses: what a hit is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use chrono::Days;

use super::feature::Feature;
use super::memory::Memory;
use super::names::Names;
use super::rows::{Numbers, Texts};
use super::rule::{self, Hits, RuleHit};
use super::workspace::{QUARTER, Window, Workspace, in_window};
use crate::error::Result;
use crate::query::collect;

impl Workspace {
    /// Rules hit in a window, by profile; `memory` is of the days before it.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn rules(&self, window: Window, names: &mut Names, memory: &Memory) -> Result<Hits> {
        let mut hits = Hits::new();
        self.ask(&rule::query(), window, names, &mut hits).await?;
        if self.is_anybody_in_two_countries(window).await? {
            self.ask(include_str!("sql/two_places.sql"), window, names, &mut hits).await?;
        }
        if self.is_any_instance_elsewhere(window, names, memory).await? {
            let knows_aws = if self.knows_aws { "true" } else { "false" };
            let sql = include_str!("sql/moved_credentials.sql").replace("{knows_aws}", knows_aws);
            self.ask(&sql, window, names, &mut hits).await?;
        }
        Ok(hits)
    }

    async fn ask(&self, sql: &str, window: Window, names: &mut Names, hits: &mut Hits) -> Result<()> {
        for batch in collect(&self.ctx, &in_window(sql, window)).await? {
            read_hits(&batch, names, hits)?;
        }
        Ok(())
    }

    /// Prepares `sign_ins` and `asked` where a person signed in from more than one country.
    async fn is_anybody_in_two_countries(&self, window: Window) -> Result<bool> {
        let batches = collect(&self.ctx, &in_window(include_str!("sql/sign_ins.sql"), window)).await?;
        let mut countries: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for batch in &batches {
            let (profile, country) = (Texts::of(batch, "profile")?, Texts::of(batch, "country")?);
            for row in 0..batch.num_rows() {
                countries.entry(profile.at(row).to_owned()).or_default().insert(country.at(row).to_owned());
            }
        }
        countries.retain(|_, countries| countries.len() > 1);
        self.prepare("sign_ins", batches, countries.keys())
    }

    /// Prepares `uses` and `asked` where an instance's credentials were used in a network that its role is not known from.
    async fn is_any_instance_elsewhere(&self, window: Window, names: &Names, memory: &Memory) -> Result<bool> {
        let batches = collect(&self.ctx, &in_window(include_str!("sql/uses.sql"), window)).await?;
        let since = window.date.checked_sub_days(Days::new(QUARTER));
        let is_known = |profile: &str, network: &str| {
            let (profile, network) = (names.find(profile), names.find(network));
            let used =
                profile.zip(network).and_then(|(profile, network)| memory.last_used(profile, Feature::Prefix, network));
            used.is_some_and(|used| Some(used) >= since)
        };
        let mut strangers: BTreeSet<String> = BTreeSet::new();
        for batch in &batches {
            let (profile, network) = (Texts::of(batch, "profile")?, Texts::of(batch, "network")?);
            let strange = (0..batch.num_rows()).filter(|&row| !is_known(profile.at(row), network.at(row)));
            strangers.extend(strange.map(|row| profile.at(row).to_owned()));
        }
        self.prepare("uses", batches, strangers.iter())
    }

    /// Puts rows and the profiles in question beside the lake's tables, where there are any.
    fn prepare<'p>(
        &self,
        name: &str,
        batches: Vec<RecordBatch>,
        profiles: impl Iterator<Item = &'p String>,
    ) -> Result<bool> {
        let profiles = StringArray::from_iter_values(profiles);
        let Some(schema) = batches.first().map(RecordBatch::schema).filter(|_| !profiles.is_empty()) else {
            return Ok(false);
        };
        let profiles: ArrayRef = Arc::new(profiles);
        self.table("asked", &[("profile", profiles)])?;
        self.batches(name, schema, batches)?;
        Ok(true)
    }
}

fn read_hits(batch: &RecordBatch, names: &mut Names, hits: &mut Hits) -> Result<()> {
    let text = |name| Texts::of(batch, name);
    let (profile, rules, api, key) = (text("profile")?, text("rules")?, text("api")?, text("access_key")?);
    let (account, address, outcome) = (text("account")?, text("address")?, text("outcome")?);
    let calls = Numbers::of(batch, "calls")?;
    for row in 0..batch.num_rows() {
        let parts = [api.at(row), key.at(row), account.at(row), address.at(row), outcome.at(row)];
        let found = rules.at(row).split(' ').filter_map(|rule| RuleHit::of(rule, parts, calls.at(row), names));
        let found: Vec<RuleHit> = found.collect();
        hits.entry(names.of(profile.at(row))).or_default().extend(found);
    }
    Ok(())
}
