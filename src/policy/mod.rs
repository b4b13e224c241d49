//! The permissions that an identity used: the least policy that covers them, and used against granted.
//!
//! Owns: the question to the lake. Names of actions are in `action`, documents in `document`.
//! Refuses: to promise: what was not done in the time asked about is not in the policy, and permissions that no event
//! tells of (`iam:PassRole`, reads of data where data events are off) cannot be.

pub mod action;
pub mod document;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::Result;
use crate::investigate::{Subject, ask, bounds, identities, list, nothing};
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use action::actions;
use document::{Grants, Used, least};

/// Whose permissions, and when.
#[derive(Debug, Clone)]
pub struct PolicyOptions {
    /// Identity as in the column `actor`, or its name.
    pub actor: String,
    /// First instant; the lake's first without.
    pub from: Option<DateTime<Utc>>,
    /// First instant that is too late; after the lake's last without.
    pub to: Option<DateTime<Utc>>,
    /// What is granted, to compare with.
    pub granted: Option<Grants>,
    /// Threads, memory, networks.
    pub query: QueryOptions,
}

/// An action with its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionUse {
    /// IAM action, or a pattern that is granted and was not used.
    pub action: String,
    /// How often it was used.
    pub events: i64,
    /// First use.
    pub first: Option<String>,
    /// Last use.
    pub last: Option<String>,
    /// The pattern that grants it, where a document was given.
    pub granted_by: Option<String>,
    /// What to make of it.
    pub verdict: &'static str,
}

/// The permissions that were used.
#[derive(Debug)]
pub struct Permissions {
    /// The least policy.
    pub policy: Value,
    /// Every action, by name.
    pub actions: Vec<ActionUse>,
    /// What else must be said.
    pub notes: Vec<String>,
}

/// Finds the permissions that an identity used.
///
/// # Errors
/// Those of reading the lake.
pub async fn permissions(lake: &Lake, options: &PolicyOptions) -> Result<Permissions> {
    let ctx = query::session(&lake.snapshots().await?, &options.query)?;
    let names = identities(&ctx, &options.actor).await?;
    if names.is_empty() {
        let notes = nothing(&ctx, &Subject::Actor(options.actor.clone())).await?;
        return Ok(Permissions { policy: least(&[]), actions: Vec::new(), notes });
    }
    let (placeholders, mut values) = list("name", &names);
    values.extend(bounds(options.from, options.to));
    let sql = include_str!("used.sql").replace("SELECT name FROM names", &placeholders);
    let rows = ask(&ctx, &sql, values).await?;
    let mut used = Vec::new();
    let mut uses: BTreeMap<String, ActionUse> = BTreeMap::new();
    for row in 0..rows.rows.len() {
        let (Some(source), Some(event)) = (rows.text(row, 0), rows.text(row, 1)) else { continue };
        for action in actions(source, event) {
            used.push(Used { action: action.clone(), resource: rows.text(row, 2).map(str::to_owned) });
            let time = |column| rows.text(row, column).map(str::to_owned);
            add(&mut uses, action, rows.number(row, 3), time(4), time(5));
        }
    }
    let mut notes = vec![format!("Of {}.", names.join(", "))];
    if uses.is_empty() {
        notes.push("It used no permission in that time; --from and --to choose another.".to_owned());
    }
    let actions = judged(uses, options.granted.as_ref());
    Ok(Permissions { policy: least(&used), actions, notes })
}

fn add(
    uses: &mut BTreeMap<String, ActionUse>,
    action: String,
    events: i64,
    first: Option<String>,
    last: Option<String>,
) {
    let fresh =
        ActionUse { action: action.clone(), events: 0, first: None, last: None, granted_by: None, verdict: "used" };
    let known = uses.entry(action).or_insert(fresh);
    known.events += events;
    known.first = known.first.take().into_iter().chain(first).min();
    known.last = known.last.take().into_iter().chain(last).max();
}

/// Used against granted, and after it what was granted and not used.
fn judged(uses: BTreeMap<String, ActionUse>, granted: Option<&Grants>) -> Vec<ActionUse> {
    let Some(grants) = granted else { return uses.into_values().collect() };
    let names: BTreeSet<&str> = uses.keys().map(String::as_str).collect();
    let idle: Vec<ActionUse> = grants
        .unused(&names)
        .into_iter()
        .map(|pattern| ActionUse {
            action: pattern.to_owned(),
            events: 0,
            first: None,
            last: None,
            granted_by: Some(pattern.to_owned()),
            verdict: "granted, never used",
        })
        .collect();
    let judge = |mut used: ActionUse| {
        used.granted_by = grants.by(&used.action);
        used.verdict = match &used.granted_by {
            Some(pattern) if pattern.contains(['*', '?', ' ']) => "used, granted by a pattern",
            Some(_) => "used and granted",
            None => "used, granted elsewhere",
        };
        used
    };
    uses.into_values().map(judge).chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_held_against_granted() {
        let mut uses = BTreeMap::new();
        for (action, time) in
            [("s3:GetObject", "2"), ("s3:GetObject", "1"), ("iam:ListUsers", "3"), ("ec2:RunInstances", "4")]
        {
            add(&mut uses, action.to_owned(), 1, Some(time.to_owned()), Some(time.to_owned()));
        }
        let text = r#"{"Statement":[{"Effect":"Allow","Action":["s3:Get*","iam:ListUsers","kms:*"]}]}"#;
        let told: Vec<_> = judged(uses, Some(&Grants::read(text).unwrap()));
        let told: Vec<_> = told.iter().map(|used| (used.action.as_str(), used.events, used.verdict)).collect();
        assert_eq!(
            told,
            [
                ("ec2:RunInstances", 1, "used, granted elsewhere"),
                ("iam:ListUsers", 1, "used and granted"),
                ("s3:GetObject", 2, "used, granted by a pattern"),
                ("kms:*", 0, "granted, never used"),
            ]
        );
    }
}
