//! Uses of instances' credentials.
//!
//! Owns: which calls they are, and which of them are alike. Refuses: where an instance belongs (`sql/moved_credentials.sql`).

use super::coded::codes;
use super::columns::{Columns, text};
use super::feature::NONE;
use super::group::Groups;

/// What tells uses apart: the role, the instance, the role's account, the access key, `eventSource`, `eventName`, the account
/// that recorded the call, the source address, the VPC endpoint and its account, and what became of the call. Empty is unknown.
pub type Use<'a> = [&'a str; 11];

/// Uses under construction: first call, in microseconds since 1970, and how many.
#[derive(Default)]
pub struct Uses(Groups<11, (i64, i64)>);

impl Uses {
    /// Adds a batch's calls with instances' credentials; AWS's services call on behalf of an instance from anywhere.
    pub fn add(&mut self, columns: &Columns) {
        let sessions: Vec<Option<&str>> = columns.rows().map(|row| session(columns, row)).collect();
        if sessions.iter().all(Option::is_none) {
            return;
        }
        let mut of = |at, column, absent| {
            let read = |text: Option<&str>| self.0.code(at, text.filter(|text| !text.is_empty()).unwrap_or(absent));
            codes(column, |row| sessions[row].is_some(), read)
        };
        let actor = of(0, &columns.actor, "");
        let source = of(4, &columns.source, NONE);
        let operation = of(5, &columns.operation, NONE);
        let account = of(6, &columns.account, NONE);
        let address = of(7, &columns.address, "");
        let endpoint = of(8, &columns.endpoint, "");
        let endpoint_account = of(9, &columns.endpoint_account, "");
        let outcome = of(10, &columns.outcome, "success");
        for (row, session) in sessions.iter().enumerate().filter_map(|(row, session)| Some((row, (*session)?))) {
            let codes = [
                actor[row],
                self.0.code(1, session),
                self.0.code(2, text(&columns.home, row).unwrap_or_default()),
                self.0.code(3, columns.key(row)),
                source[row],
                operation[row],
                account[row],
                address[row],
                endpoint[row],
                endpoint_account[row],
                outcome[row],
            ];
            let time = columns.time.at(row);
            let (first, calls) = self.0.of_codes(codes, || (time, 0));
            (*first, *calls) = ((*first).min(time), *calls + 1);
        }
    }

    /// The uses, in one order, each with its first time and how often it came.
    pub fn sorted(&self) -> Vec<(Use<'_>, &(i64, i64))> {
        self.0.sorted()
    }
}

/// The session of a call with an instance's credentials, `None` of any other call.
fn session(columns: &Columns, row: usize) -> Option<&str> {
    if text(&columns.identity_type, row) != Some("AssumedRole") || text(&columns.invoked_by, row).is_some() {
        return None;
    }
    let session = text(&columns.principal, row).and_then(|id| id.split(':').nth(1)).unwrap_or_default();
    let is_used = text(&columns.delivery, row).is_some() || is_instance(session);
    let has_place = columns.actor(row).is_some() && text(&columns.address, row).is_some();
    (is_used && has_place).then_some(session)
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
        uses.add(&columns);
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
