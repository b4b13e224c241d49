//! AS numbers by address, from a file that the user has.
//!
//! Owns: the forms of such files.
//! - MMDB: GeoLite2 ASN, DB-IP ASN Lite, IPinfo Lite.
//! - text with a range a line, no header: iptoasn.com (`start end asn country org`, tabs), DB-IP ASN Lite
//!   (`start,end,asn,org`).
//! - text with a network or range a line under a header that names the columns: GeoLite2 ASN (`network,
//!   autonomous_system_number,autonomous_system_organization`), IPinfo Lite (`network,country_code,asn,as_name` …), or any
//!   table with such names; without a header `network,asn,org,country`.
//!
//! Invariant: an organization's name is held once, however many networks it has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use maxminddb::Reader;
use serde_json::Value;

use super::ranges::{Range, Ranges, network, number};
use super::{Country, Source};
use crate::error::{Error, ErrorKind, Result};

/// What stands before the metadata at the end of an MMDB file.
const MMDB_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// AS numbers by address.
pub(super) enum AsnTable {
    /// Read once.
    Text { ranges: Ranges<u32>, rows: Vec<Source> },
    /// Searched in its own form.
    Mmdb(Box<Reader<Vec<u8>>>),
}

impl std::fmt::Debug for AsnTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { rows, .. } => write!(f, "AsnTable::Text({} networks' owners)", rows.len()),
            Self::Mmdb(reader) => write!(f, "AsnTable::Mmdb({})", reader.metadata().database_type),
        }
    }
}

impl AsnTable {
    /// Reads a file; the second number is that of lines that could not be read.
    pub(super) fn read(bytes: Vec<u8>) -> Result<(Self, usize)> {
        let tail = &bytes[bytes.len().saturating_sub(128 << 10)..];
        if memchr::memmem::rfind(tail, MMDB_MARK).is_none() {
            return text(&bytes);
        }
        let reader = Reader::from_source(bytes).map_err(|error| unusable().source(error))?;
        Ok((Self::Mmdb(Box::new(reader)), 0))
    }

    /// What it says of an address.
    pub(super) fn look_up(&self, address: IpAddr) -> Source {
        match self {
            Self::Text { ranges, rows } => {
                ranges.get(address).map(|row| rows[row as usize].clone()).unwrap_or_default()
            }
            Self::Mmdb(reader) => {
                let found = reader.lookup(address).ok().and_then(|found| found.decode::<Value>().ok().flatten());
                found.map(|value| of_value(&value)).unwrap_or_default()
            }
        }
    }
}

fn unusable() -> Error {
    Error::new(ErrorKind::BadInput, "cannot read the file of AS numbers").hint(
        "take an MMDB or CSV with AS numbers: iptoasn.com (ip2asn-combined.tsv), DB-IP ASN Lite, IPinfo Lite or GeoLite2 ASN",
    )
}

/// A record of an MMDB. The makers name their members differently.
fn of_value(value: &Value) -> Source {
    let text = |names: &[&str]| names.iter().find_map(|name| value[*name].as_str()).filter(|text| !text.is_empty());
    let number = ["autonomous_system_number", "asn", "as_number"].iter().find_map(|name| match &value[*name] {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => asn(text),
        _ => None,
    });
    let country = text(&["country_code", "country"]).or_else(|| value["country"]["iso_code"].as_str());
    Source {
        kind: None,
        country: country.and_then(Country::parse),
        asn: number,
        org: text(&["autonomous_system_organization", "as_name", "as_org", "org", "name"]).map(Arc::from),
        class: text(&["type", "asn_type", "as_type", "class"]).map(Arc::from),
    }
}

/// `15169` or `AS15169`; 0 stands for a network that is not routed.
fn asn(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.parse().ok().filter(|number| *number != 0)
}

/// Which column holds what.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Columns {
    network: Option<usize>,
    first: Option<usize>,
    last: Option<usize>,
    asn: Option<usize>,
    org: Option<usize>,
    country: Option<usize>,
    class: Option<usize>,
}

impl Columns {
    /// By the names of a header; `None` where the line is none.
    fn named(header: &StringRecord) -> Option<Self> {
        let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
        let find = |wanted: &[&str]| wanted.iter().find_map(|name| names.iter().position(|other| other == name));
        let columns = Self {
            network: find(&["network", "cidr", "prefix"]),
            first: find(&["start_ip", "range_start", "ip_range_start", "start", "first"]),
            last: find(&["end_ip", "range_end", "ip_range_end", "end", "last"]),
            asn: find(&["asn", "as_number", "autonomous_system_number"]),
            org: find(&[
                "org",
                "as_name",
                "as_org",
                "autonomous_system_organization",
                "as_description",
                "organization",
                "name",
            ]),
            country: find(&["country_code", "country_iso_code", "country"]),
            class: find(&["type", "asn_type", "as_type", "class"]),
        };
        let placed = columns.network.is_some() || columns.first.is_some() && columns.last.is_some();
        (placed && columns.asn.is_some()).then_some(columns)
    }

    /// By the values of the first line, where there is no header.
    fn guessed(line: &StringRecord) -> Self {
        let is_address = |index: usize| line.get(index).is_some_and(|text| text.trim().parse::<IpAddr>().is_ok());
        let range = is_address(0) && is_address(1);
        let asn = if range { 2 } else { 1 };
        let country_first =
            line.get(asn + 1).is_some_and(|text| text.len() == 2 || text == "None") && line.len() > asn + 2;
        let (org, country) = if country_first { (asn + 2, asn + 1) } else { (asn + 1, asn + 2) };
        let place = if range { (None, Some(0), Some(1)) } else { (Some(0), None, None) };
        let (network, first, last) = place;
        Self { network, first, last, asn: Some(asn), org: Some(org), country: Some(country), class: None }
    }

    fn range(&self, line: &StringRecord, value: u32) -> Option<Range<u32>> {
        if let Some(text) = self.network.and_then(|index| line.get(index)) {
            return network(text, value);
        }
        let address = |index: Option<usize>| line.get(index?)?.trim().parse::<IpAddr>().ok();
        Some(Range { first: number(address(self.first)?), last: number(address(self.last)?), value })
    }

    fn source(&self, line: &StringRecord, names: &mut Names) -> Source {
        let cell = |index: Option<usize>| line.get(index?).map(str::trim).filter(|text| !text.is_empty());
        let number = cell(self.asn).and_then(asn);
        Source {
            kind: None,
            country: cell(self.country).and_then(Country::parse),
            asn: number,
            // a network that nobody announces has a phrase instead of a name
            org: cell(self.org).filter(|_| number.is_some()).map(|name| names.get(name)),
            class: cell(self.class).map(|name| names.get(name)),
        }
    }
}

/// Every name once.
#[derive(Default)]
struct Names(HashMap<String, Arc<str>>);

impl Names {
    fn get(&mut self, name: &str) -> Arc<str> {
        match self.0.get(name) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(self.0.entry(name.to_owned()).or_insert_with(|| Arc::from(name))),
        }
    }
}

fn text(bytes: &[u8]) -> Result<(AsnTable, usize)> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b'\t') { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new();
    let reader = reader.delimiter(delimiter).has_headers(false).flexible(true).quoting(delimiter == b',');
    let mut columns = None;
    let (mut ranges, mut rows, mut names, mut unread) = (Vec::new(), Rows::default(), Names::default(), 0);
    for line in reader.from_reader(bytes).into_records() {
        let Ok(line) = line else {
            unread += 1;
            continue;
        };
        if columns.is_none() {
            columns = Columns::named(&line);
            if columns.is_some() {
                continue;
            }
        }
        let columns = *columns.get_or_insert_with(|| Columns::guessed(&line));
        match columns.range(&line, 0) {
            Some(range) => ranges.push(Range { value: rows.get(columns.source(&line, &mut names)), ..range }),
            None => unread += 1,
        }
    }
    if ranges.is_empty() || unread > ranges.len() {
        return Err(unusable());
    }
    Ok((AsnTable::Text { ranges: Ranges::new(ranges), rows: rows.all }, unread))
}

type Owner = (Option<u32>, Option<Country>, Option<Arc<str>>, Option<Arc<str>>);

/// Every owner once.
#[derive(Default)]
struct Rows {
    all: Vec<Source>,
    known: HashMap<Owner, u32>,
}

impl Rows {
    fn get(&mut self, source: Source) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let key = (source.asn, source.country, source.org.clone(), source.class.clone());
        let index = *self.known.entry(key).or_insert(next);
        if index == next {
            self.all.push(source);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(text: &str, address: &str) -> (Option<u32>, Option<String>, Option<String>) {
        let (table, unread) = AsnTable::read(text.as_bytes().to_vec()).unwrap();
        assert_eq!(unread, 0, "{text}");
        let source = table.look_up(address.parse().unwrap());
        (source.asn, source.org.map(|org| org.to_string()), source.country.map(|country| country.as_str().to_owned()))
    }

    #[test]
    fn every_free_file_is_read() {
        let google = (Some(15169), Some("GOOGLE, Inc.".to_owned()), Some("US".to_owned()));
        for text in [
            "8.8.8.0\t8.8.8.255\t15169\tUS\tGOOGLE, Inc.\n8.8.9.0\t8.8.9.255\t0\tNone\tNot routed\n",
            "network,country,country_code,asn,as_name\n8.8.8.0/24,United States,US,AS15169,\"GOOGLE, Inc.\"\n",
            "cidr,asn,org,country,type\r\n8.8.8.0/24,15169,\"GOOGLE, Inc.\",US,hosting\r\n",
            "8.8.8.0/24,15169,\"GOOGLE, Inc.\",US\n",
            "2001:db8::,2001:db8::ff,1,US,x\n8.8.8.0,8.8.8.255,15169,US,\"GOOGLE, Inc.\"\n",
        ] {
            assert_eq!(look_up(text, "8.8.8.8"), google, "{text}");
        }
        let unnamed = (Some(15169), Some("GOOGLE".to_owned()), None);
        assert_eq!(look_up("8.8.8.0,8.8.8.255,15169,GOOGLE\n", "8.8.8.8"), unnamed);
        let text = "network,autonomous_system_number,autonomous_system_organization\n8.8.8.0/24,15169,GOOGLE\n";
        assert_eq!(look_up(text, "8.8.8.8"), unnamed);
        let unrouted = "8.8.8.0\t8.8.9.255\t0\tNone\tNot routed\n";
        assert_eq!(look_up(unrouted, "8.8.9.1"), (None, None, None));
    }

    #[test]
    fn another_file_is_refused_and_single_lines_are_counted() {
        for text in ["", "a,b,c\n", "{\"prefixes\":[]}", "\u{0}\u{1}"] {
            assert_eq!(
                AsnTable::read(text.as_bytes().to_vec()).err().map(|error| error.kind()),
                Some(ErrorKind::BadInput)
            );
        }
        let (_, unread) = AsnTable::read(b"8.8.8.0/24,1,A\n9.9.9.0/24,2,B\nnonsense,3,C\n".to_vec()).unwrap();
        assert_eq!(unread, 1);
        let mut broken = MMDB_MARK.to_vec();
        broken.extend([0xff; 40]);
        assert!(AsnTable::read(broken).is_err());
    }

    #[test]
    fn members_of_an_mmdb_are_known_by_any_of_their_names() {
        let geolite =
            serde_json::json!({"autonomous_system_number": 15169, "autonomous_system_organization": "GOOGLE"});
        let ipinfo = serde_json::json!({"asn": "AS15169", "as_name": "GOOGLE", "country_code": "US", "country": "United States"});
        assert_eq!(of_value(&geolite), Source { asn: Some(15169), org: Some("GOOGLE".into()), ..Source::default() });
        assert_eq!(of_value(&ipinfo), Source { country: Country::parse("US"), ..of_value(&geolite) });
        assert_eq!(of_value(&serde_json::json!([1])), Source::default());
    }
}
