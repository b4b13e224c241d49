//! Shortening of a finding that is too large for where it goes.
//!
//! Owns: the order in which things are left out: what a person can get back from the lake goes first (event ids),
//! what tells them to look goes last (id, type, severity, actor, score: these never go).
//! Refuses: cutting rendered text; a finding is shortened as data, so what is rendered from it is always valid JSON.
//! Invariant: every element and text left out is counted in [`LeftOut`].

use serde::Serialize;

use crate::finding::Finding;

/// How much of a finding was left out, by member; members that are whole do not appear in the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Event ids.
    #[serde(skip_serializing_if = "is_zero")]
    pub event_ids: usize,
    /// Source addresses.
    #[serde(skip_serializing_if = "is_zero")]
    pub source_addresses: usize,
    /// User agents.
    #[serde(skip_serializing_if = "is_zero")]
    pub user_agents: usize,
    /// Access keys.
    #[serde(skip_serializing_if = "is_zero")]
    pub access_key_ids: usize,
    /// APIs.
    #[serde(skip_serializing_if = "is_zero")]
    pub apis: usize,
    /// Factors, the least contributing ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub factors: usize,
    /// Characters of the SQL; it is whole or absent, as half a statement is no use.
    #[serde(skip_serializing_if = "is_zero")]
    pub sql_characters: usize,
    /// Characters of all other texts, each of which then ends in `…`.
    #[serde(skip_serializing_if = "is_zero")]
    pub text_characters: usize,
}

// serde's skip_serializing_if hands over a reference
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl LeftOut {
    /// True where the finding is whole.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What one step of shortening keeps.
struct Keep {
    event_ids: usize,
    /// Elements of each other list.
    elements: usize,
    /// Characters of each text.
    text: usize,
    /// Characters of SQL; longer SQL is dropped whole.
    sql: usize,
}

/// Each step keeps less than the one before; the last leaves under 4 KiB of any finding.
const STEPS: [Keep; 6] = [
    Keep { event_ids: 100, elements: usize::MAX, text: usize::MAX, sql: usize::MAX },
    Keep { event_ids: 20, elements: 50, text: 1_024, sql: 64 * 1_024 },
    Keep { event_ids: 10, elements: 20, text: 512, sql: 8 * 1_024 },
    Keep { event_ids: 5, elements: 5, text: 256, sql: 1_024 },
    Keep { event_ids: 1, elements: 2, text: 100, sql: 0 },
    Keep { event_ids: 0, elements: 1, text: 40, sql: 0 },
];

/// Leaves out as little as makes `render` give a value, trying the whole finding first.
///
/// `render` answers `None` where its result is too large. `None` comes back where even the last step is.
pub fn until<T>(finding: &Finding, mut render: impl FnMut(&Finding, &LeftOut) -> Option<T>) -> Option<(T, LeftOut)> {
    let whole = LeftOut::default();
    if let Some(value) = render(finding, &whole) {
        return Some((value, whole));
    }
    STEPS.iter().find_map(|keep| {
        let (short, left_out) = shorten(finding, keep);
        render(&short, &left_out).map(|value| (value, left_out))
    })
}

fn shorten(finding: &Finding, keep: &Keep) -> (Finding, LeftOut) {
    let mut short = finding.clone();
    let mut out = LeftOut {
        event_ids: cut(&mut short.event_ids, keep.event_ids),
        source_addresses: cut(&mut short.source_addresses, keep.elements),
        user_agents: cut(&mut short.user_agents, keep.elements),
        access_key_ids: cut(&mut short.access_key_ids, keep.elements),
        apis: cut(&mut short.apis, keep.elements),
        factors: cut(&mut short.factors, keep.elements),
        ..LeftOut::default()
    };
    if short.sql.chars().count() > keep.sql {
        out.sql_characters = short.sql.chars().count();
        short.sql.clear();
    }
    out.text_characters = texts(&mut short).map(|text| cut_text(text, keep.text)).sum();
    (short, out)
}

fn cut<T>(list: &mut Vec<T>, keep: usize) -> usize {
    let over = list.len().saturating_sub(keep);
    list.truncate(keep);
    over
}

/// Every text of a finding that may be long; ids, account, region and type are short by what they are.
fn texts(finding: &mut Finding) -> impl Iterator<Item = &mut String> {
    let factors = finding.factors.iter_mut().flat_map(|f| [&mut f.feature, &mut f.observed, &mut f.expected]);
    let apis = finding.apis.iter_mut().flat_map(|call| [&mut call.service, &mut call.api]);
    [&mut finding.title, &mut finding.description, &mut finding.actor, &mut finding.actor_type]
        .into_iter()
        .chain(&mut finding.user_name)
        .chain(&mut finding.principal_id)
        .chain(&mut finding.event_ids)
        .chain(&mut finding.access_key_ids)
        .chain(&mut finding.source_addresses)
        .chain(&mut finding.user_agents)
        .chain([&mut finding.baseline.model_version])
        .chain(factors)
        .chain(apis)
}

fn cut_text(text: &mut String, keep: usize) -> usize {
    let Some((end, _)) = text.char_indices().nth(keep) else { return 0 };
    let over = text[end..].chars().count();
    text.truncate(end);
    text.push('…');
    over
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{guardduty, sample};

    fn size(finding: &Finding, left_out: &LeftOut) -> usize {
        guardduty::finding(finding, left_out).to_string().len()
    }

    fn fit(finding: &Finding, limit: usize) -> Option<(serde_json::Value, LeftOut)> {
        until(finding, |short, left_out| {
            let value = guardduty::finding(short, left_out);
            (value.to_string().len() <= limit).then_some(value)
        })
    }

    #[test]
    fn a_finding_that_fits_stays_whole() {
        let finding = sample::finding(1);
        let (value, left_out) = fit(&finding, 262_144).expect("fits");
        assert!(left_out.is_empty());
        assert_eq!(value, guardduty::finding(&finding, &LeftOut::default()));
    }

    #[test]
    fn event_ids_go_first_and_are_counted() {
        let finding = sample::large(10_000);
        assert!(size(&finding, &LeftOut::default()) > 262_144);
        let (value, left_out) = fit(&finding, 262_144).expect("fits");
        assert_eq!(left_out, LeftOut { event_ids: 9_900, ..LeftOut::default() });
        let ours = &value["service"]["additionalInfo"]["trailhound"];
        assert_eq!(ours["truncated"], true);
        assert_eq!(ours["left_out"]["event_ids"], 9_900);
        assert_eq!(ours["event_ids"].as_array().map(Vec::len), Some(100));
        assert_eq!(ours["sql"], finding.sql);
    }

    #[test]
    fn hostile_text_is_cut_at_characters_and_what_identifies_stays() {
        let mut finding = sample::large(10_000);
        finding.user_agents = vec!["\u{1}\"ü🦀".repeat(100_000)];
        finding.sql = "x".repeat(300_000);
        finding.actor = "é".repeat(300_000);
        let (value, left_out) = fit(&finding, 4_096).expect("the last step fits");
        assert!(left_out.text_characters > 0 && left_out.sql_characters == 300_000);
        assert_eq!(value["id"], finding.id.as_str());
        assert_eq!(value["severity"], finding.severity);
        assert!(value["service"]["additionalInfo"]["trailhound"].get("sql").is_none());
    }

    #[test]
    fn every_step_is_smaller() {
        let mut finding = sample::large(10_000);
        finding.description = "d".repeat(5_000);
        finding.source_addresses = (0..5_000).map(|n| format!("198.51.{}.{}", n / 250, n % 250)).collect();
        let mut sizes = STEPS.iter().map(|keep| {
            let (short, left_out) = shorten(&finding, keep);
            size(&short, &left_out)
        });
        let first = sizes.next().expect("a step");
        sizes.fold(first, |before, now| {
            assert!(now < before, "{now} is not below {before}");
            now
        });
    }

    #[test]
    fn what_cannot_fit_is_not_rendered() {
        assert!(fit(&sample::finding(1), 200).is_none());
    }
}
