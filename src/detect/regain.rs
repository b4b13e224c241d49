//! Denied, then allowed: somebody tries, changes rights, and tries again.
//!
//! Owns: which calls of a unit are such second tries, and how many bits each is worth as a value; what that says is
//! decided by how often actors do it (see `signal`). Refuses: to guess at what a change of rights allowed.
//! Invariant: a call counts only where the same call, on the same thing, was denied before and had not succeeded before.

use std::collections::BTreeMap;

use super::cell::Cell;
use super::effect::FOR_ANOTHER;
use super::feature::Feature;
use super::names::Name;
use super::score::{Day, Fact};
use super::signal::Signal;
use super::tactic::Tactic;

/// Bits of a call that was denied and then succeeds: by itself, after somebody changed rights or made credentials in
/// between, and after the actor gave rights to itself.
const LATER: f64 = 2.0;
const BY_CHANGE: f64 = 8.0;
const BY_ITSELF: f64 = 16.0;

/// What makes two calls the same: account, API, resource.
type Deed = (Name, Name, Option<Name>);

/// The calls of a unit that were denied first, one fact for each API.
pub fn regained(day: &Day<'_>, unit: &[usize]) -> Vec<Fact> {
    let cells = day.cells;
    let outcome = |cell: &Cell| day.names.text(cell.outcome);
    if unit.iter().all(|at| outcome(&cells[*at]) != "denied") {
        return Vec::new();
    }
    let mut first: BTreeMap<Deed, &Cell> = BTreeMap::new();
    for cell in unit.iter().map(|at| &cells[*at]) {
        let known = first.entry((cell.account, cell.api, cell.resource)).or_insert(cell);
        if cell.first < known.first {
            *known = cell;
        }
    }
    let changes = changes(day, unit);
    let mut facts: BTreeMap<Name, Fact> = BTreeMap::new();
    for (at, cell) in unit.iter().map(|at| (*at, &cells[*at])).filter(|(_, cell)| outcome(cell) == "success") {
        let denied = first[&(cell.account, cell.api, cell.resource)];
        if outcome(denied) != "denied" || cell.first < denied.last {
            continue;
        }
        let between = changes.iter().filter(|(change, _)| denied.first < change.first && change.first < cell.last);
        let bits = between.map(|(_, bits)| *bits).fold(LATER, f64::max);
        let fact = Fact { signal: Signal::Regained, feature: Feature::Api, value: cell.api, cell: at, bits };
        facts.entry(cell.api).or_insert(fact);
    }
    facts.into_values().collect()
}

/// Calls of a unit that changed somebody's rights, with what they are worth between a denial and a success.
fn changes<'d>(day: &Day<'d>, unit: &[usize]) -> Vec<(&'d Cell, f64)> {
    let rights = |cell: &&Cell| {
        let intent = day.intent(cell.api);
        let tactic = matches!(intent.tactic, Tactic::PrivilegeEscalation | Tactic::Persistence);
        tactic && intent.stake > 2 && day.names.text(cell.outcome) == "success"
    };
    let worth = |cell: &'d Cell| (cell, if is_for_itself(day, cell) { BY_ITSELF } else { BY_CHANGE });
    unit.iter().map(|at| &day.cells[*at]).filter(rights).map(worth).collect()
}

/// Whether a call gives rights to the one who makes it.
fn is_for_itself(day: &Day<'_>, cell: &Cell) -> bool {
    let text = |name| day.names.text(name);
    match text(cell.api) {
        "iam:PutUserPolicy" | "iam:AttachUserPolicy" | "iam:AddUserToGroup" => {
            !cell.effects.iter().any(|effect| text(*effect).ends_with(FOR_ANOTHER))
        }
        "iam:PutRolePolicy" | "iam:AttachRolePolicy" => {
            let role = cell.resource.map(text).unwrap_or_default();
            let role = role.rsplit(['/', ':']).next().unwrap_or_default();
            !role.is_empty() && text(cell.actor).split('/').any(|part| part == role)
        }
        _ => false,
    }
}
