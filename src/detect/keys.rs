//! Who made the keys of a day.
//!
//! Owns: which days' calls are asked: the window's, and those of the day before. Each day's are read once.

use std::collections::{BTreeMap, BTreeSet};

use super::feature::profile;
use super::issued::rank;
use super::story::Makers;
use super::walk::Walk;
use super::workspace::{Window, midnight_after};
use crate::error::Result;
use crate::finding::ChainStep;

/// Steps of a chain of credentials at most.
const CHAIN: usize = 8;

impl Walk<'_> {
    /// Who made the keys given.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn makers(&mut self, window: Window, keys: &BTreeSet<String>) -> Result<Makers> {
        let steps = self.made(window, keys).await?;
        let one = |step: &ChainStep| (self.names.of(&step.access_key_id), self.names.of(&profile(&step.made_by)));
        Ok(steps.iter().map(one).collect())
    }

    /// How keys were made, and the keys they were made with, by the key that was made.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn chains(&mut self, window: Window, keys: BTreeSet<String>) -> Result<BTreeMap<String, ChainStep>> {
        let mut steps: BTreeMap<String, ChainStep> = BTreeMap::new();
        let mut asked = keys;
        for _ in 0..CHAIN {
            asked.retain(|key| !steps.contains_key(key));
            let found = self.made(window, &asked).await?;
            asked = found.iter().filter_map(|step| step.made_with.clone()).collect();
            steps.extend(found.into_iter().map(|step| (step.access_key_id.clone(), step)));
        }
        Ok(steps)
    }

    /// The calls that made the keys given, on the window's day or the day before.
    async fn made(&mut self, window: Window, keys: &BTreeSet<String>) -> Result<Vec<ChainStep>> {
        // only temporary keys are made by a call of STS
        let keys: Vec<&String> = keys.iter().filter(|key| key.starts_with("ASIA")).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.read_issued(window).await?;
        let made = |key: &String| {
            let steps = self.issued.iter().filter_map(|(_, issued)| issued.step(key));
            steps.min_by(|a, b| rank(a).cmp(&rank(b)))
        };
        Ok(keys.into_iter().filter_map(made).collect())
    }

    /// Has the keys made on the window's day and the day before, and no others.
    async fn read_issued(&mut self, window: Window) -> Result<()> {
        let day_before = window.date.pred_opt().map(|date| Window { date, before: midnight_after(date), ..window });
        let asked: Vec<Window> = day_before.into_iter().chain([window]).collect();
        self.issued.retain(|(known, _)| asked.contains(known));
        for window in asked {
            if self.dates.contains_key(&window.date) && !self.issued.iter().any(|(known, _)| *known == window) {
                self.issued.push((window, self.workspace.issued(window).await?));
            }
        }
        Ok(())
    }
}
