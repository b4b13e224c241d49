//! Packing of messages into requests.
//!
//! Owns: the rule that a request holds at most so many entries and so many bytes.
//! Refuses: any knowledge of what an entry is.
//! Invariant: every entry is in exactly one request, in the order given; emulators accept what breaks the byte
//! limit and the real service does not, so this is proven here and not against a server.

use std::ops::Range;

/// What one request may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in a request.
    pub entries: usize,
    /// Bytes of all entries of a request together.
    pub bytes: usize,
}

/// Cuts entries of the given sizes (bytes) into consecutive requests, each as full as the order allows.
///
/// An entry that alone is over the limit gets a request of its own, so that its refusal takes no other with it.
pub fn pack(sizes: &[usize], limits: Limits) -> Vec<Range<usize>> {
    let mut requests = Vec::new();
    let mut start = 0;
    let mut bytes = 0_usize;
    for (index, size) in sizes.iter().enumerate() {
        let full = index - start >= limits.entries || bytes.saturating_add(*size) > limits.bytes;
        if full && index > start {
            requests.push(start..index);
            start = index;
            bytes = 0;
        }
        bytes = bytes.saturating_add(*size);
    }
    if start < sizes.len() {
        requests.push(start..sizes.len());
    }
    requests
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SNS: Limits = Limits { entries: 10, bytes: 262_144 };

    #[test]
    fn nothing_gives_no_request() {
        assert!(pack(&[], SNS).is_empty());
    }

    #[test]
    fn entries_end_a_request() {
        assert_eq!(pack(&[1; 25], SNS), [0..10, 10..20, 20..25]);
    }

    #[test]
    fn bytes_end_a_request_before_the_entries_do() {
        assert_eq!(pack(&[100_000, 100_000, 62_144, 1], SNS), [0..3, 3..4]);
        assert_eq!(pack(&[262_144, 262_144], SNS), [0..1, 1..2]);
    }

    #[test]
    fn an_oversized_entry_travels_alone() {
        assert_eq!(pack(&[10, 300_000, 10], SNS), [0..1, 1..2, 2..3]);
    }

    proptest! {
        #[test]
        fn every_entry_once_in_order_and_within_limits(
            sizes in prop::collection::vec(0_usize..2_000, 0..80),
            entries in 1_usize..12,
            bytes in 2_000_usize..6_000,
        ) {
            let requests = pack(&sizes, Limits { entries, bytes });
            let seen: Vec<usize> = requests.iter().cloned().flatten().collect();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            for request in requests {
                prop_assert!(!request.is_empty() && request.len() <= entries);
                prop_assert!(sizes[request].iter().sum::<usize>() <= bytes);
            }
        }
    }
}
