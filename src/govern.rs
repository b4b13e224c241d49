//! Governance of findings: what people said of them, and what is not to be told again for a while.
//!
//! Owns: `governance/feedback.json` and `governance/suppressions.json` in the lake, and the rules for them.
//! Refuses: a suppression without owner, reason, scope and end, and one that would hide what somebody confirmed.
//! Invariant: a suppressed finding is still found, kept and counted; it is only not told.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, FindingId};
use crate::lake::Lake;

const FEEDBACK: &str = "governance/feedback.json";
const SUPPRESSIONS: &str = "governance/suppressions.json";

/// Days of findings that a proposal is held against.
pub const TUNE_DAYS: i64 = 90;

/// Days that a proposed suppression holds.
const PROPOSED_DAYS: i64 = 90;

/// What somebody found a finding to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// An attack, or a violation.
    TruePositive,
    /// Nothing of concern.
    Benign,
    /// Unusual, and planned.
    Expected,
}

/// One judgement; the latest of a finding counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The finding.
    pub finding: FindingId,
    /// What it is.
    pub judgement: Judgement,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which findings; every part that is given has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The actor, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The finding's type, whole.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub finding_type: Option<String>,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Scope {
    fn is_empty(&self) -> bool {
        self.actor.is_none() && self.finding_type.is_none() && self.account.is_none()
    }

    /// Whether a finding is in it.
    pub fn covers(&self, finding: &Finding) -> bool {
        let same = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        same(&self.actor, &finding.actor)
            && same(&self.finding_type, &finding.finding_type)
            && same(&self.account, &finding.account)
    }
}

/// What is not told for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Eight hexadecimal digits, from its scope and its beginning.
    pub id: String,
    /// Which findings.
    pub scope: Scope,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created: DateTime<Utc>,
    /// Until when.
    pub expires: DateTime<Utc>,
}

impl Suppression {
    /// A suppression that says all that it has to.
    ///
    /// # Errors
    /// `Usage` where owner, reason or scope are empty, or it ends before it begins.
    pub fn new(
        scope: Scope,
        owner: &str,
        reason: &str,
        created: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> Result<Self> {
        let refuse = |what: &str, hint: &str| Err(Error::new(ErrorKind::Usage, what.to_owned()).hint(hint.to_owned()));
        if scope.is_empty() {
            return refuse("a suppression of everything is none", "name an actor, a type or an account");
        }
        if owner.trim().is_empty() || reason.trim().is_empty() {
            return refuse("a suppression needs an owner and a reason", "add --owner and --reason");
        }
        if expires <= created {
            return refuse("the suppression is over before it begins", "give a later --expires");
        }
        let text = serde_json::to_vec(&(&scope, created)).expect("a scope is plain data");
        let id = Sha256::digest(&text).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, scope, owner: owner.to_owned(), reason: reason.to_owned(), created, expires })
    }

    /// Whether it holds for a finding: by the finding's own time, so that a replay gives the same.
    pub fn holds(&self, finding: &Finding) -> bool {
        self.created <= finding.time && finding.time < self.expires && self.scope.covers(finding)
    }
}

/// What would be suppressed, and what that would have hidden.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// Which findings.
    pub scope: Scope,
    /// Findings of it that were judged benign or expected.
    pub judged: usize,
    /// Findings of it in the last [`TUNE_DAYS`] days, all of which would have been hidden.
    pub would_hide: usize,
    /// Confirmed findings among them; a proposal with any is refused.
    pub confirmed: usize,
    /// Until when it would hold.
    pub expires: DateTime<Utc>,
}

impl Proposal {
    /// Whether it may become a suppression.
    pub fn is_safe(&self) -> bool {
        self.confirmed == 0
    }
}

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Governance {
    /// In the order in which it was said.
    pub feedback: Vec<Feedback>,
    /// In the order in which they were made.
    pub suppressions: Vec<Suppression>,
}

impl Governance {
    /// Reads it.
    ///
    /// # Errors
    /// `BadInput` where a file is damaged; whatever the lake gives.
    pub async fn load(lake: &Lake) -> Result<Self> {
        Ok(Self { feedback: read(lake, FEEDBACK).await?, suppressions: read(lake, SUPPRESSIONS).await? })
    }

    /// Reads it for telling findings: where it cannot be read nothing is suppressed, and the words say why. A damaged
    /// file must not silence an alert.
    pub async fn load_or_tell_all(lake: &Lake) -> (Self, Option<String>) {
        match Self::load(lake).await {
            Ok(governance) => (governance, None),
            Err(error) => {
                tracing::error!("{error}; no finding is suppressed");
                (Self::default(), Some(error.to_string()))
            }
        }
    }

    /// Writes it back.
    ///
    /// # Errors
    /// Whatever the lake gives.
    pub async fn save(&self, lake: &Lake) -> Result<()> {
        write(lake, FEEDBACK, &self.feedback).await?;
        write(lake, SUPPRESSIONS, &self.suppressions).await
    }

    /// The suppression that holds for a finding, the oldest first. What was confirmed is never hidden.
    pub fn suppression(&self, finding: &Finding) -> Option<&Suppression> {
        if self.judgement(&finding.id) == Some(Judgement::TruePositive) {
            return None;
        }
        self.suppressions.iter().find(|suppression| suppression.holds(finding))
    }

    /// What a finding was found to be, by the latest judgement.
    pub fn judgement(&self, id: &FindingId) -> Option<Judgement> {
        self.feedback.iter().rev().find(|feedback| feedback.finding == *id).map(|feedback| feedback.judgement)
    }

    /// Confirmed findings that a scope covers.
    pub fn confirmed<'f>(&self, scope: &Scope, findings: &'f [Finding]) -> Vec<&'f Finding> {
        let confirmed =
            |finding: &&Finding| scope.covers(finding) && self.judgement(&finding.id) == Some(Judgement::TruePositive);
        findings.iter().filter(confirmed).collect()
    }

    /// What could be suppressed after the feedback: an actor and type of which at least two findings, and every one that
    /// was judged but the confirmed, are benign or expected.
    pub fn proposals(&self, findings: &[Finding], now: DateTime<Utc>) -> Vec<Proposal> {
        let mut judged: BTreeMap<Scope, usize> = BTreeMap::new();
        for finding in findings {
            if matches!(self.judgement(&finding.id), Some(Judgement::Benign | Judgement::Expected)) {
                let scope = Scope {
                    actor: Some(finding.actor.clone()),
                    finding_type: Some(finding.finding_type.clone()),
                    account: None,
                };
                *judged.entry(scope).or_default() += 1;
            }
        }
        let since = now - TimeDelta::days(TUNE_DAYS);
        let propose = |(scope, judged): (Scope, usize)| Proposal {
            judged,
            would_hide: findings.iter().filter(|finding| finding.time >= since && scope.covers(finding)).count(),
            confirmed: self.confirmed(&scope, findings).len(),
            expires: now + TimeDelta::days(PROPOSED_DAYS),
            scope,
        };
        judged.into_iter().filter(|(_, judged)| *judged >= 2).map(propose).collect()
    }
}

async fn read<T: DeserializeOwned>(lake: &Lake, path: &str) -> Result<Vec<T>> {
    let Some(text) = lake.read_file(path).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&text).map_err(|error| {
        Error::new(ErrorKind::BadInput, format!("cannot read {path} of the lake"))
            .source(error)
            .hint("it is a JSON array; repair it, or restore an older version of the file")
    })
}

async fn write<T: Serialize>(lake: &Lake, path: &str, all: &[T]) -> Result<()> {
    let text = serde_json::to_vec_pretty(all)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot write {path}")).source(error))?;
    lake.write_file(path, Bytes::from(text)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn scope(finding: &Finding) -> Scope {
        Scope { actor: Some(finding.actor.clone()), ..Scope::default() }
    }

    fn said(finding: &Finding, judgement: Judgement) -> Feedback {
        let at = at("2026-03-02T00:00:00Z");
        Feedback { finding: finding.id.clone(), judgement, by: "ana".to_owned(), at, note: None }
    }

    #[test]
    fn a_suppression_says_all_that_it_has_to() {
        let (now, later) = (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
        let some = Scope { account: Some("111122223333".to_owned()), ..Scope::default() };
        assert!(Suppression::new(Scope::default(), "ana", "why", now, later).is_err());
        assert!(Suppression::new(some.clone(), " ", "why", now, later).is_err());
        assert!(Suppression::new(some.clone(), "ana", "", now, later).is_err());
        assert!(Suppression::new(some.clone(), "ana", "why", later, now).is_err());
        assert_eq!(Suppression::new(some, "ana", "why", now, later).unwrap().id.len(), 8);
    }

    #[test]
    fn it_holds_in_its_time_and_scope_and_never_hides_what_was_confirmed() {
        let finding = sample::finding(1);
        let (from, to) = (finding.time - TimeDelta::days(1), finding.time + TimeDelta::days(1));
        let make = |scope, from, to| Suppression::new(scope, "ana", "why", from, to).unwrap();
        let mut all = Governance { suppressions: vec![make(scope(&finding), from, to)], ..Governance::default() };
        assert!(all.suppression(&finding).is_some());
        let another = Finding { actor: "somebody else".to_owned(), ..finding.clone() };
        assert!(all.suppression(&another).is_none());
        let over = Finding { time: to, ..finding.clone() };
        assert!(all.suppression(&over).is_none());
        all.feedback.push(said(&finding, Judgement::TruePositive));
        assert!(all.suppression(&finding).is_none());
    }

    #[test]
    fn what_was_judged_benign_twice_is_proposed_and_what_was_confirmed_refuses_it() {
        let findings: Vec<Finding> = (1..=3).map(sample::finding).collect();
        let mut all = Governance::default();
        all.feedback.push(said(&findings[0], Judgement::Benign));
        let now = findings[0].time + TimeDelta::days(1);
        assert_eq!(all.proposals(&findings, now), []);
        all.feedback.push(said(&findings[1], Judgement::Expected));
        let proposal = all.proposals(&findings, now).remove(0);
        assert_eq!((proposal.judged, proposal.would_hide, proposal.is_safe()), (2, 3, true));
        all.feedback.push(said(&findings[2], Judgement::TruePositive));
        assert!(!all.proposals(&findings, now)[0].is_safe());
    }
}
