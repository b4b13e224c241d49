//! Lists of addresses that the user does not trust: a threat list, Tor's exits.
//!
//! Owns: their form, an address or a network a line. Refuses: to fetch one; no list is part of the program.
//! Invariant: a line is either a range, a comment, empty, or counted as unread.

use std::net::IpAddr;

use super::ranges::{Range, Ranges, network, number};
use crate::error::{Error, ErrorKind, Result};

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum List {
    /// Addresses of attackers.
    Threat,
    /// Exits of the Tor network.
    Tor,
}

impl List {
    /// Both, in the order in which an address is looked up: one that is in both is a threat.
    pub const ALL: [Self; 2] = [Self::Threat, Self::Tor];

    /// The word in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threat => "threat",
            Self::Tor => "tor",
        }
    }
}

/// Reads a list: the first word of a line is an address or a network (`10.0.0.0/8`), and `#` begins a comment. Answers the
/// list, and how many lines are neither.
///
/// # Errors
/// `BadInput` where there are lines and none of them can be read.
pub(super) fn read(text: &[u8]) -> Result<(Ranges<()>, usize)> {
    let text = String::from_utf8_lossy(text);
    let lines = text.trim_start_matches('\u{feff}').lines();
    let words = lines.filter_map(|line| line.split('#').next()?.split([' ', '\t', ',', ';']).find(|w| !w.is_empty()));
    let ranges: Vec<Option<Range<()>>> = words.map(|word| range(word.trim())).collect();
    let unread = ranges.iter().filter(|range| range.is_none()).count();
    if unread > 0 && unread == ranges.len() {
        return Err(Error::new(ErrorKind::BadInput, "no line of it is an address or a network")
            .hint("one address or network a line, such as 203.0.113.7 or 198.51.100.0/24; # begins a comment"));
    }
    Ok((Ranges::new(ranges.into_iter().flatten().collect()), unread))
}

fn range(word: &str) -> Option<Range<()>> {
    let one = || word.parse::<IpAddr>().ok().map(|address| number(address.to_canonical()));
    network(word, ()).or_else(|| one().map(|address| Range { first: address, last: address, value: () }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_comments() {
        let text =
            "\u{feff}# ours\n203.0.113.7 # seen in March\n198.51.100.0/24\r\n\n2001:db8::/32,x\n::ffff:192.0.2.1\n";
        let (list, unread) = read(text.as_bytes()).unwrap();
        let holds = |address: &str| list.get(address.parse().unwrap()).is_some();
        assert_eq!(unread, 0);
        for address in ["203.0.113.7", "198.51.100.255", "2001:db8::1", "192.0.2.1"] {
            assert!(holds(address), "{address}");
        }
        assert!(!holds("203.0.113.8") && !holds("198.51.101.0") && !holds("2001:db9::1"));
    }

    #[test]
    fn what_is_no_address_is_counted_and_a_file_of_something_else_refused() {
        assert_eq!(read(b"203.0.113.7\nexample.com\n1.2.3.4/99\n").unwrap().1, 2);
        assert_eq!(read(b"# nothing yet\n\n").unwrap().1, 0);
        assert!(read(b"<html>\nnot found\n").is_err());
    }
}
