//! Rules: events that are findings by themselves, whatever the past.
//!
//! Owns: the table `rules.toml`, the queries that name a day's hits, and what a hit is worth.
//! Refuses: statistics; a rule's bits are stated, not learned. Invariant: a hit of calls that succeeded makes a finding,
//! one of calls that failed adds to a score and makes none by itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::cell::Cell;
use super::names::{Name, Names};

/// Part of a rule's bits that calls add which failed.
const ATTEMPT: f64 = 0.25;

/// Linux distributions that attacks are made with.
const DISTRIBUTIONS: [&str; 3] = ["kali", "parrot", "pentoo"];

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// GuardDuty's name of the finding.
    #[serde(rename = "type")]
    pub finding_type: String,
    /// 1.0 to 10.0.
    pub severity: f64,
    /// What a hit adds to the score, in bits.
    pub bits: f64,
    /// What is usual, in words.
    pub expected: String,
    /// Which events, by cheap columns (SQL); none where the rule has a query of its own.
    events: Option<String>,
    /// Which of those (SQL).
    #[serde(rename = "where")]
    condition: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rule: Vec<Rule>,
}

/// All rules, in the order of the table.
pub static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("rules.toml")).unwrap_or_else(|error| panic!("rules.toml: {error}"));
    table.rule
});

/// The rule of a type.
pub fn find(finding_type: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.finding_type == finding_type)
}

/// The conditions of the rules over single events, as SQL over the columns of `sql/day.sql`: which events are looked at, and the
/// types of the rules that name one of those, separated by blanks.
pub fn conditions() -> (String, String) {
    let (mut cases, mut events) = (Vec::new(), Vec::new());
    for rule in RULES.iter() {
        let Some(which) = &rule.events else { continue };
        let condition = rule.condition.as_deref().unwrap_or("true");
        cases.push(format!("CASE WHEN ({which}) AND ({condition}) THEN '{}' END", rule.finding_type));
        events.push(format!("({which})"));
    }
    (format!("actor IS NOT NULL AND ({})", events.join(" OR ")), format!("concat_ws(' ', {})", cases.join(", ")))
}

/// The attack distribution that a user agent names as a word of its own, in lower case; empty where there is none.
pub fn distribution(agent: &str) -> &'static str {
    let agent = agent.to_ascii_lowercase();
    let mut words = agent.split(|c: char| !c.is_ascii_lowercase());
    words.find_map(|word| DISTRIBUTIONS.into_iter().find(|name| *name == word)).unwrap_or_default()
}

/// Like calls that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleHit {
    /// The rule's place in [`RULES`].
    rule: usize,
    /// API called.
    pub api: Name,
    /// Access key; the empty text where there is none.
    pub key: Name,
    /// Account the calls were recorded in.
    pub account: Name,
    /// Source address, as it was written.
    pub address: Name,
    /// What became of the calls.
    pub outcome: Name,
    /// Whether they succeeded.
    pub succeeded: bool,
    /// Calls.
    pub calls: i64,
}

impl RuleHit {
    /// A hit of the rule of a type; `None` where there is no such rule.
    pub fn of(
        finding_type: &str,
        [api, key, account, address, outcome]: [&str; 5],
        calls: i64,
        names: &mut Names,
    ) -> Option<Self> {
        Some(Self {
            rule: RULES.iter().position(|rule| rule.finding_type == finding_type)?,
            api: names.of(api),
            key: names.of(key),
            account: names.of(account),
            address: names.of(address),
            outcome: names.of(outcome),
            succeeded: outcome == "success",
            calls,
        })
    }

    /// The rule.
    pub fn rule(&self) -> &'static Rule {
        &RULES[self.rule]
    }

    /// What it adds to a score, in bits.
    pub fn bits(&self) -> f64 {
        if self.succeeded { self.rule().bits } else { self.rule().bits * ATTEMPT }
    }

    /// Whether a cell is of these calls.
    pub fn is_of(&self, cell: &Cell) -> bool {
        (self.api, self.key, self.account, self.address, self.outcome)
            == (cell.api, cell.key, cell.account, cell.address, cell.outcome)
    }
}

/// Hits by profile.
pub type Hits = BTreeMap<Name, Vec<RuleHit>>;

/// The worth of each rule that was hit, by its place in the table: its best hit's.
pub fn worth<'h>(hits: impl IntoIterator<Item = &'h RuleHit>) -> BTreeMap<usize, f64> {
    let mut worth: BTreeMap<usize, f64> = BTreeMap::new();
    for hit in hits {
        let bits = worth.entry(hit.rule).or_default();
        *bits = bits.max(hit.bits());
    }
    worth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::playbook::next_steps;

    #[test]
    fn the_table_is_whole() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES.iter() {
            let Rule { finding_type, severity, bits, .. } = rule;
            assert!(seen.insert(finding_type), "{finding_type} stands twice");
            assert!((1.0..=10.0).contains(severity) && *bits > 0.0, "{finding_type}");
            let fine = |c: char| c.is_ascii_alphanumeric() || ":/.".contains(c);
            assert!(finding_type.chars().all(fine) && finding_type.contains(':'), "{finding_type}");
            let moved = include_str!("sql/moved_credentials.sql").contains(&format!("'{finding_type}'"));
            let own = moved || finding_type == super::super::sign_in::TWO_PLACES;
            assert_eq!(rule.events.is_none(), own, "{finding_type}: one condition, or one query");
            assert!(!next_steps(finding_type).advice.is_empty(), "{finding_type}");
        }
    }

    #[test]
    fn a_distribution_is_a_word_of_its_own() {
        let named =
            ["aws-cli/2.9 Linux/5.18.0-kali5-amd64", "x (PENTOO)", "parrotfish/1.0", "Alkali/2", "", "a parrot kali"];
        assert_eq!(named.map(distribution), ["kali", "pentoo", "", "", "", "parrot"]);
    }

    #[test]
    fn attempts_are_worth_less_than_successes_and_a_rule_counts_once() {
        let mut names = Names::default();
        let mut hit =
            |kind, outcome| RuleHit::of(kind, ["a:B", "K", "1", "192.0.2.1", outcome], 1, &mut names).unwrap();
        let (kali, root) = ("PenTest:IAMUser/KaliLinux", "Policy:IAMUser/RootCredentialUsage");
        let hits = [hit(kali, "denied"), hit(kali, "success"), hit(kali, "success"), hit(root, "denied")];
        let mut bits: Vec<f64> = worth(&hits).into_values().collect();
        bits.sort_by(f64::total_cmp);
        assert_eq!(bits, [1.0, 30.0]);
        assert!(RuleHit::of("Nothing:Known/X", ["", "", "", "", ""], 1, &mut names).is_none());
    }
}
