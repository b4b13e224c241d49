//! Where a call came from, as the detector counts it: a network, its country, what kind of network it is.
//!
//! Owns: the step from a source's prefix to those three. Refuses: to look anything up itself; what is known of an
//! address comes from the caller's files. Invariant: baselines keep prefixes, so that a better file tells more about
//! the past, too.

use std::net::IpAddr;
use std::sync::Arc;

use super::feature;
use super::names::{Map, Name, Names};

/// What is known of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// AS number.
    pub asn: Option<u32>,
    /// Two-letter country.
    pub country: Option<String>,
    /// What kind of network, e.g. `isp`, `hosting`, `vpn`.
    pub kind: Option<String>,
}

/// What tells of an address.
pub type Locator = Arc<dyn Fn(IpAddr) -> Location + Send + Sync>;

/// A source's prefix, placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The AS where it is known, else a wide prefix, or the AWS service that called.
    pub network: Name,
    /// Country, where it is known.
    pub country: Option<Name>,
    /// Kind of network, where it is known.
    pub kind: Option<Name>,
}

/// Places of prefixes (see [`feature::network`]), each looked up once.
#[derive(Default)]
pub struct Places {
    locator: Option<Locator>,
    known: Map<Name, Place>,
}

impl Places {
    /// Places by a locator; without one, prefixes are all there is.
    pub fn new(locator: Option<Locator>) -> Self {
        Self { locator, known: Map::default() }
    }

    /// The place of a prefix.
    pub fn of(&mut self, prefix: Name, names: &mut Names) -> Place {
        if let Some(place) = self.known.get(&prefix) {
            return *place;
        }
        let text = names.text(prefix).to_owned();
        let address = text.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
        let place = match (address, &self.locator) {
            (Some(address), Some(locator)) => located(&text, &locator(address), names),
            _ => located(&text, &Location::default(), names),
        };
        self.known.insert(prefix, place);
        place
    }
}

fn located(prefix: &str, location: &Location, names: &mut Names) -> Place {
    let network = match location.asn {
        Some(asn) => names.of(&format!("AS{asn}")),
        None => names.of(&feature::widened(prefix)),
    };
    let mut name = |text: &Option<String>| text.as_deref().map(|text| names.of(text));
    Place { network, country: name(&location.country), kind: name(&location.kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_located_is_a_wide_prefix() {
        let mut names = Names::default();
        let mut places = Places::default();
        let of = |text: &str, places: &mut Places, names: &mut Names| {
            let prefix = names.of(text);
            let place = places.of(prefix, names);
            (names.text(place.network).to_owned(), place.country)
        };
        assert_eq!(of("198.51.100.0/24", &mut places, &mut names), ("198.51.0.0/16".to_owned(), None));
        assert_eq!(of("2001:db8:1::/48", &mut places, &mut names).0, "2001:db8::/32");
        assert_eq!(of("cloudformation.amazonaws.com", &mut places, &mut names).0, "AWS");
    }

    #[test]
    fn what_is_located_is_an_as_with_its_country() {
        let mut names = Names::default();
        let locator: Locator =
            Arc::new(|_| Location { asn: Some(64500), country: Some("SE".to_owned()), kind: Some("vpn".to_owned()) });
        let mut places = Places::new(Some(locator));
        let prefix = names.of("198.51.100.0/24");
        let place = places.of(prefix, &mut names);
        assert_eq!(names.text(place.network), "AS64500");
        assert_eq!(place.kind.map(|kind| names.text(kind)), Some("vpn"));
    }
}
