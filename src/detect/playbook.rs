//! What to do about a finding: advice, and the calls that contain the harm.
//!
//! Owns: the table `playbooks.tsv`. Refuses: to make any call. Invariant: every type has a line.

use crate::finding::NextSteps;

const TABLE: &str = include_str!("playbooks.tsv");

/// The line of a finding's type.
pub fn next_steps(finding_type: &str) -> NextSteps {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut cells = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let found = cells.find(|cells| finding_type.starts_with(cells[0])).unwrap_or_default();
    let cell = |at: usize| found.get(at).copied().unwrap_or_default();
    let calls = cell(2).split("; ").filter(|call| !call.is_empty()).map(str::to_owned).collect();
    NextSteps { advice: cell(1).to_owned(), containment: calls }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::tactic::Tactic;

    #[test]
    fn every_type_has_advice_and_containment() {
        let rules =
            ["PenTest:IAMUser/KaliLinux", "Stealth:IAMUser/PasswordPolicyChange", "Policy:IAMUser/RootCredentialUsage"];
        for name in Tactic::ALL.into_iter().map(Tactic::finding_type).chain(rules).chain(["Anything:Else/X"]) {
            let steps = next_steps(name);
            assert!(!steps.advice.is_empty() && !steps.containment.is_empty(), "{name}");
        }
        assert!(next_steps("CredentialAccess:IAMUser/AnomalousBehavior").advice.starts_with("Rotate"));
    }
}
