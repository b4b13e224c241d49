//! Where a call came from, as far as its address tells: no service is asked.
//!
//! Owns: the kind of a source (`source_kind`), its country, its AS number and organization. The country comes from the
//! registries' own statistics, which are part of the program (the country a network is registered in, not where it is
//! used); AS numbers from a file that the user has, as no free one may be shipped; AWS's networks from AWS's own list; and which
//! addresses are on the user's own lists.
//! Refuses: to guess; what no source tells is absent.

mod asn;
mod aws;
mod list;
mod ranges;

use std::net::IpAddr;
use std::sync::Arc;

use crate::error::Result;
use asn::AsnTable;
pub use list::List;
use ranges::Ranges;

/// Most bytes of a file of networks (the largest free one has about 100 MB).
pub const MAX_FILE: u64 = 512 << 20;

/// What kind of thing a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKind {
    /// An AWS service called on somebody's behalf: a service's name, or `AWS Internal`.
    AwsService,
    /// A public address of AWS: a machine or function of somebody's, not necessarily ours.
    AwsIp,
    /// An address that is not routed on the internet.
    Private,
    /// A VPC endpoint.
    Vpce,
    /// Any other public address.
    Internet,
}

impl SourceKind {
    /// The word in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsService => "aws-service",
            Self::AwsIp => "aws-ip",
            Self::Private => "private",
            Self::Vpce => "vpce",
            Self::Internet => "internet",
        }
    }
}

/// A two-letter country code of ISO 3166, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads a code; `None` where the text is no two letters, or stands for "none" (`ZZ`, `XX`).
    pub fn parse(text: &str) -> Option<Self> {
        let [a, b] = text.trim().as_bytes() else { return None };
        let code = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
        let letters = code.iter().all(u8::is_ascii_uppercase) && !matches!(&code, b"ZZ" | b"XX");
        letters.then_some(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What is known of a source. Everything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// What kind of thing it is.
    pub kind: Option<SourceKind>,
    /// Country of registration.
    pub country: Option<Country>,
    /// AS number.
    pub asn: Option<u32>,
    /// Organization of the AS.
    pub org: Option<Arc<str>>,
    /// What the network is for (`isp`, `hosting`, `vpn`, `business` …), where the file has a column for it.
    pub class: Option<Arc<str>>,
}

/// The files of networks that the user has.
#[derive(Debug, Default)]
pub struct Networks {
    asn: Option<AsnTable>,
    aws: Option<Ranges<()>>,
    lists: [Option<Ranges<()>>; List::ALL.len()],
}

impl Networks {
    /// Takes a file with AS numbers: MMDB, or text with a network or range a line (see `asn` for the forms). Answers how
    /// many lines of a text could not be read.
    ///
    /// # Errors
    /// `BadInput` where nothing of it can be read.
    pub fn read_asn(&mut self, bytes: Vec<u8>) -> Result<usize> {
        let (table, unread) = AsnTable::read(bytes)?;
        self.asn = Some(table);
        Ok(unread)
    }

    /// Takes AWS's list of its networks, `ip-ranges.json`.
    ///
    /// # Errors
    /// `BadInput` where it is something else.
    pub fn read_aws(&mut self, bytes: &[u8]) -> Result<()> {
        self.aws = Some(aws::read(bytes)?);
        Ok(())
    }

    /// Takes a list of addresses, see `list` for its form. Answers how many lines could not be read.
    ///
    /// # Errors
    /// `BadInput` where nothing of it can be read.
    pub fn read_list(&mut self, list: List, bytes: &[u8]) -> Result<usize> {
        let (ranges, unread) = list::read(bytes)?;
        self.lists[list as usize] = Some(ranges);
        Ok(unread)
    }

    /// The list that an address is on.
    pub fn listed(&self, address: &str) -> Option<List> {
        if self.lists.iter().all(Option::is_none) {
            return None;
        }
        let address = parse(address)?;
        let holds =
            |list: &List| self.lists[*list as usize].as_ref().is_some_and(|ranges| ranges.get(address).is_some());
        List::ALL.into_iter().find(holds)
    }

    /// Whether AWS's own networks can be told from others.
    pub fn knows_aws(&self) -> bool {
        self.aws.is_some() || self.asn.is_some()
    }

    /// What is known of a source: the text of `sourceIPAddress` and of `vpcEndpointId`.
    pub fn look_up(&self, address: &str, vpc_endpoint: Option<&str>) -> Source {
        let endpoint = vpc_endpoint.is_some_and(|id| !id.is_empty());
        let Some(address) = parse(address) else {
            return Source { kind: of_text(address, endpoint), ..Source::default() };
        };
        if !is_public(address) {
            let kind = if endpoint { SourceKind::Vpce } else { SourceKind::Private };
            return Source { kind: Some(kind), ..Source::default() };
        }
        let mut source = self.asn.as_ref().map(|table| table.look_up(address)).unwrap_or_default();
        source.country = source.country.or_else(|| iptocc::country_code(address).and_then(Country::parse));
        source.kind = Some(match () {
            () if endpoint => SourceKind::Vpce,
            () if self.is_aws(address, &source) => SourceKind::AwsIp,
            () => SourceKind::Internet,
        });
        source
    }

    /// The country that the user's file puts an address in.
    pub fn located(&self, address: &str) -> Option<Country> {
        self.asn.as_ref()?.look_up(parse(address)?).country
    }

    /// By AWS's own list, or, without it, by the organization of the AS.
    fn is_aws(&self, address: IpAddr, source: &Source) -> bool {
        match &self.aws {
            Some(ranges) => ranges.get(address).is_some(),
            None => {
                source.asn.is_some_and(|asn| AMAZON.contains(&asn))
                    || source.org.as_ref().is_some_and(|org| org.to_ascii_lowercase().starts_with("amazon"))
            }
        }
    }
}

/// AS numbers under which Amazon announces most of its addresses (AMAZON-02, AMAZON-AES, AMAZON-AS, and Amazon Data
/// Services).
const AMAZON: [u32; 4] = [16509, 14618, 7224, 8987];

/// An address, alone or as a proxy writes it: with a port, in brackets, the first of several.
fn parse(text: &str) -> Option<IpAddr> {
    let first = text.split(',').next().unwrap_or_default().trim();
    let address = first
        .parse::<IpAddr>()
        .or_else(|_| first.trim_start_matches('[').trim_end_matches(']').parse())
        .or_else(|_| first.parse::<std::net::SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn of_text(text: &str, endpoint: bool) -> Option<SourceKind> {
    let text = text.trim();
    let service =
        text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") || text.ends_with(".amazon.com");
    match text {
        _ if service || text.eq_ignore_ascii_case("AWS Internal") => Some(SourceKind::AwsService),
        _ if endpoint || text.starts_with("vpce-") => Some(SourceKind::Vpce),
        _ => None,
    }
}

/// Whether an address can be reached on the internet: not private, shared (RFC 6598), loopback, link-local, for
/// documentation, or multicast.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || shared || v4.is_loopback() || v4.is_link_local() || a == 0 || a >= 224)
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            let local = (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80 || (first & 0xff00) == 0xff00;
            !(v6.is_loopback() || v6.is_unspecified() || local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        Networks::default().look_up(address, None).kind.map(SourceKind::as_str)
    }

    #[test]
    fn the_kind_is_told_from_the_text() {
        for (address, expected) in [
            ("cloudtrail.amazonaws.com", Some("aws-service")),
            ("AWS Internal", Some("aws-service")),
            ("10.1.2.3", Some("private")),
            ("100.64.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.1", Some("internet")),
            ("fd00::1", Some("private")),
            ("::ffff:192.168.0.1", Some("private")),
            ("8.8.8.8", Some("internet")),
            ("2001:4860:4860::8888", Some("internet")),
            ("[2001:4860:4860::8888]:443", Some("internet")),
            ("8.8.8.8, 10.0.0.1", Some("internet")),
            ("", None),
            ("HIDDEN_DUE_TO_SECURITY_REASONS", None),
            ("\u{1b}[31m", None),
        ] {
            assert_eq!(kind(address), expected, "{address:?}");
        }
        let endpoint = |address| Networks::default().look_up(address, Some("vpce-1")).kind;
        assert_eq!(endpoint("10.1.2.3"), Some(SourceKind::Vpce));
        assert_eq!(endpoint("ssm.amazonaws.com"), Some(SourceKind::AwsService));
    }

    #[test]
    fn a_country_needs_no_file() {
        let source = Networks::default().look_up("193.0.6.139", None);
        assert_eq!(source.country.as_ref().map(Country::as_str), Some("NL"));
        assert_eq!(Networks::default().look_up("10.0.0.1", None).country, None);
        assert_eq!(Country::parse("zz"), None);
        assert_eq!(Country::parse("Germany"), None);
    }

    #[test]
    fn an_address_on_both_lists_is_a_threat() {
        let mut networks = Networks::default();
        assert_eq!(networks.listed("8.8.8.8"), None);
        networks.read_list(List::Tor, b"8.8.8.8\n9.9.9.9\n").unwrap();
        networks.read_list(List::Threat, b"8.8.8.0/24\n").unwrap();
        assert_eq!(networks.listed("8.8.8.8"), Some(List::Threat));
        assert_eq!(networks.listed("9.9.9.9, 10.0.0.1"), Some(List::Tor));
        assert_eq!(networks.listed("ec2.amazonaws.com"), None);
    }

    #[test]
    fn files_tell_more() {
        let mut networks = Networks::default();
        networks
            .read_asn(
                b"cidr,asn,org,country,type\n8.8.8.0/24,15169,GOOGLE,US,hosting\n3.0.0.0/8,16509,AMAZON-02,US,x\n"
                    .to_vec(),
            )
            .unwrap();
        let google = networks.look_up("8.8.8.8", None);
        assert_eq!(
            (google.asn, google.org.as_deref(), google.kind),
            (Some(15169), Some("GOOGLE"), Some(SourceKind::Internet))
        );
        assert_eq!(networks.look_up("3.5.0.1", None).kind, Some(SourceKind::AwsIp));
        networks
            .read_aws(br#"{"prefixes":[{"ip_prefix":"8.8.8.0/24","region":"x","service":"EC2"}],"ipv6_prefixes":[]}"#)
            .unwrap();
        assert_eq!(networks.look_up("8.8.8.8", None).kind, Some(SourceKind::AwsIp));
        assert_eq!(networks.look_up("3.5.0.1", None).kind, Some(SourceKind::Internet));
    }
}
