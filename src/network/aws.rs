//! AWS's list of its own networks: <https://ip-ranges.amazonaws.com/ip-ranges.json>.

use serde::Deserialize;

use super::ranges::{Ranges, network};
use crate::error::{Error, ErrorKind, Result};

#[derive(Deserialize)]
struct IpRanges {
    prefixes: Vec<V4>,
    #[serde(default)]
    ipv6_prefixes: Vec<V6>,
}

#[derive(Deserialize)]
struct V4 {
    ip_prefix: String,
}

#[derive(Deserialize)]
struct V6 {
    ipv6_prefix: String,
}

/// Reads the list.
///
/// # Errors
/// `BadInput` where the text is something else.
pub(super) fn read(bytes: &[u8]) -> Result<Ranges<()>> {
    let wrong = || {
        Error::new(ErrorKind::BadInput, "this is not AWS's list of networks")
            .hint("take it from https://ip-ranges.amazonaws.com/ip-ranges.json")
    };
    let list: IpRanges = serde_json::from_slice(bytes).map_err(|error| wrong().source(error))?;
    let v6 = list.ipv6_prefixes.iter().map(|prefix| &prefix.ipv6_prefix);
    let all = list.prefixes.iter().map(|prefix| &prefix.ip_prefix).chain(v6);
    let ranges: Option<Vec<_>> = all.map(|text| network(text, ())).collect();
    ranges.map(Ranges::new).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_read_and_other_files_refused() {
        let text = br#"{"syncToken":"1","prefixes":[{"ip_prefix":"3.5.140.0/22","region":"ap-northeast-2","service":"AMAZON"}],
            "ipv6_prefixes":[{"ipv6_prefix":"2600:1f14::/36","region":"us-west-2"}]}"#;
        let ranges = read(text).unwrap();
        assert!(ranges.get("3.5.143.255".parse().unwrap()).is_some());
        assert!(ranges.get("3.5.144.0".parse().unwrap()).is_none());
        assert!(ranges.get("2600:1f14::1".parse().unwrap()).is_some());
        for text in [&b"{}"[..], b"", b"[]", br#"{"prefixes":[{"ip_prefix":"many"}]}"#] {
            assert_eq!(read(text).err().map(|error| error.kind()), Some(ErrorKind::BadInput));
        }
    }
}
