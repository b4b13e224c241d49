//! Ranges of addresses, each with a value.
//!
//! Invariant: segments do not overlap and are in order, so a look-up is one binary search; where ranges given overlap,
//! the narrower one counts, as with routes.

use std::net::IpAddr;

/// A range with its value, both ends in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<V> {
    /// First address.
    pub first: u128,
    /// Last address.
    pub last: u128,
    /// What it stands for.
    pub value: V,
}

/// Many ranges.
#[derive(Debug)]
pub(super) struct Ranges<V> {
    segments: Vec<Range<V>>,
}

/// An address as a number: those of IPv4 are in the part of IPv6 that stands for them.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A network such as `10.0.0.0/8` as a range.
pub(super) fn network<V>(text: &str, value: V) -> Option<Range<V>> {
    let network: ipnet::IpNet = text.trim().parse().ok()?;
    Some(Range { first: number(network.network()), last: number(network.broadcast()), value })
}

impl<V: Copy> Ranges<V> {
    /// Makes segments of ranges, in any order and overlapping.
    pub(super) fn new(mut ranges: Vec<Range<V>>) -> Self {
        ranges.retain(|range| range.first <= range.last);
        // outer ranges before those in them
        ranges.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut cut = Cut { segments: Vec::with_capacity(ranges.len()), open: Vec::new(), at: 0 };
        for range in ranges {
            cut.close_before(range.first);
            cut.up_to(range.first);
            cut.at = range.first;
            cut.open.push(range);
        }
        cut.close_before(u128::MAX);
        cut.segments.shrink_to_fit();
        Self { segments: cut.segments }
    }

    /// The value of the narrowest range that holds an address.
    pub(super) fn get(&self, address: IpAddr) -> Option<V> {
        let number = number(address);
        let after = self.segments.partition_point(|segment| segment.first <= number);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (number <= segment.last).then_some(segment.value)
    }
}

/// Ranges being cut: those that are open stand in one another, the narrowest last.
struct Cut<V> {
    segments: Vec<Range<V>>,
    open: Vec<Range<V>>,
    /// First address that no segment is made for yet.
    at: u128,
}

impl<V: Copy> Cut<V> {
    /// Ends every range that ends before an address.
    fn close_before(&mut self, address: u128) {
        while let Some(top) = self.open.last().copied() {
            // the very last address has none after it
            if top.last >= address && address != u128::MAX {
                break;
            }
            if top.last >= self.at {
                self.segments.push(Range { first: self.at, last: top.last, value: top.value });
                self.at = top.last.saturating_add(1);
            }
            self.open.pop();
        }
    }

    /// Makes the segment of the open range up to an address.
    fn up_to(&mut self, address: u128) {
        if let Some(top) = self.open.last()
            && self.at < address
        {
            self.segments.push(Range { first: self.at, last: address - 1, value: top.value });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(ranges: &Ranges<u32>, address: &str) -> Option<u32> {
        ranges.get(address.parse().unwrap())
    }

    #[test]
    fn the_narrowest_network_counts() {
        let all =
            [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.0/24", 3), ("192.0.2.1/32", 4), ("2001:db8::/32", 5)];
        let ranges = Ranges::new(all.iter().filter_map(|(text, value)| network(text, *value)).collect());
        for (address, value) in [
            ("10.0.0.0", Some(1)),
            ("10.1.0.1", Some(2)),
            ("10.1.2.255", Some(3)),
            ("10.1.3.0", Some(2)),
            ("10.255.255.255", Some(1)),
            ("11.0.0.0", None),
            ("192.0.2.1", Some(4)),
            ("2001:db8:ffff::1", Some(5)),
            ("::1", None),
        ] {
            assert_eq!(get(&ranges, address), value, "{address}");
        }
    }

    #[test]
    fn both_ends_of_all_addresses_are_fine() {
        let all = Range { first: 0, last: u128::MAX, value: 1 };
        let one = Range { first: u128::MAX, last: u128::MAX, value: 2 };
        let ranges = Ranges::new(vec![all, one]);
        assert_eq!(get(&ranges, "::"), Some(1));
        assert_eq!(get(&ranges, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), Some(1));
        assert_eq!(get(&ranges, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(2));
        assert_eq!(get(&Ranges::new(Vec::new()), "::"), None);
    }

    proptest! {
        /// Nested or apart, as networks are: the answer is that of a plain search for the narrowest.
        #[test]
        fn networks_are_found_as_a_plain_search_finds_them(
            nets in proptest::collection::vec((any::<u8>(), 0u8..=8), 0..40), probes in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            let text = |(byte, length): &(u8, u8)| format!("::{byte:x}/{}", 120 + length);
            let all: Vec<_> = nets.iter().enumerate().filter_map(|(index, net)| {
                let net: ipnet::IpNet = text(net).parse().ok()?;
                network(&net.trunc().to_string(), (index, net.prefix_len()))
            }).collect();
            let ranges = Ranges::new(all.clone());
            for probe in probes {
                let number = u128::from(probe);
                let expected = all.iter().filter(|range| range.first <= number && number <= range.last)
                    .map(|range| range.value.1).max();
                let address = IpAddr::V6(std::net::Ipv6Addr::from_bits(number));
                prop_assert_eq!(ranges.get(address).map(|value| value.1), expected);
            }
        }
    }
}
