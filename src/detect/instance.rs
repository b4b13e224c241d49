//! Uses of instances' credentials.
//!
//! Owns: which calls they are, and which of them are alike. Refuses: where an instance belongs (`sql/moved_credentials.sql`).

use super::columns::{Columns, filled, text};
use super::group::Groups;

/// What tells uses apart: the role, the instance, the role's account, the access key, `eventSource`, `eventName`, the account
/// that recorded the call, the source address, the VPC endpoint and its account, and what became of the call. Empty is unknown.
pub type Use<'a> = [&'a str; 11];

/// Uses under construction: first call, in microseconds since 1970, and how many.
#[derive(Default)]
pub struct Uses(Groups<11, (i64, i64)>);

impl Uses {
    /// Adds a call, if it is one with an instance's credentials; AWS's services call on behalf of an instance from anywhere.
    pub fn add(&mut self, columns: &Columns, row: usize) {
        if text(&columns.identity_type, row) != Some("AssumedRole") || text(&columns.invoked_by, row).is_some() {
            return;
        }
        let session = text(&columns.principal, row).and_then(|id| id.split(':').nth(1)).unwrap_or_default();
        if text(&columns.delivery, row).is_none() && !is_instance(session) {
            return;
        }
        let (Some(actor), Some(address)) = (columns.actor(row), text(&columns.address, row)) else { return };
        let some = |column| text(column, row).unwrap_or_default();
        let key = [
            actor,
            session,
            some(&columns.home),
            columns.key(row),
            filled(&columns.source, row),
            filled(&columns.operation, row),
            columns.account(row),
            address,
            some(&columns.endpoint),
            some(&columns.endpoint_account),
            columns.outcome(row),
        ];
        let time = columns.time.at(row);
        let (first, calls) = self.0.of(key, || (time, 0));
        (*first, *calls) = ((*first).min(time), *calls + 1);
    }

    /// The uses, in one order, each with its first time and how often it came.
    pub fn sorted(&self) -> Vec<(Use<'_>, &(i64, i64))> {
        self.0.sorted()
    }
}

/// Whether a session's name is an instance's id: `i-` and 8 to 17 hexadecimal digits.
fn is_instance(session: &str) -> bool {
    let digits = session.strip_prefix("i-").unwrap_or_default();
    (8..=17).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::super::columns::batch;
    use super::*;

    fn uses(others: &[(&str, &str)]) -> Vec<(String, i64, i64)> {
        let columns = Columns::of(&batch(&[("GetObject", None, 9), ("GetObject", None, 7)], others)).unwrap();
        let mut uses = Uses::default();
        (0..2).for_each(|row| uses.add(&columns, row));
        uses.sorted().into_iter().map(|(one, (first, calls))| (one[1].to_owned(), *first, *calls)).collect()
    }

    #[test]
    fn an_instance_s_calls_are_told_by_their_session() {
        let role = ("identity_type", "AssumedRole");
        let instance = ("principal_id", "AROA:i-0123456789abcdef0");
        assert_eq!(uses(&[role, instance]), [("i-0123456789abcdef0".to_owned(), 7_000_000, 2)]);
        assert_eq!(uses(&[role, ("principal_id", "AROA:ana"), ("role_delivery", "2.0")]).len(), 1);
        assert!(uses(&[role, ("principal_id", "AROA:ana")]).is_empty());
        assert!(uses(&[role, instance, ("invoked_by", "ssm.amazonaws.com")]).is_empty());
        assert!(uses(&[instance]).is_empty());
    }

    #[test]
    fn an_instance_s_id_has_hexadecimal_digits() {
        assert!(is_instance("i-01234567") && is_instance("i-0123456789abcdef0"));
        assert!(
            ["i-0123456", "i-0123456789abcdef01", "i-0123456X", "i-0123456A", "01234567", "i-"]
                .iter()
                .all(|text| !is_instance(text))
        );
    }
}
