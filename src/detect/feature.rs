//! Features of an event: the few small values that baselines count.
//!
//! Owns: how an API, a network, a user agent or an actor is reduced to a value that repeats. Training and scoring call
//! the same functions (through [`functions`], as SQL), so a value means the same in both.
//! Refuses: any state; each function is pure.
//! Invariant: [`VERSION`] changes whenever a value would change, and baselines of another version are built anew.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::error::Result as SqlResult;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use super::effect;
use super::names::Map;
use super::reads::BUCKET;
use crate::agent;

/// Version of the features, stored with every day of baselines.
pub const VERSION: &str = "7";

/// Value of a feature that the event does not have.
pub const NONE: &str = "(none)";

/// What is counted per actor, account and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `service:Operation`, version suffix removed.
    Api,
    /// What a call would do, see `effect`.
    Effect,
    /// Bucket, secret, role, function …
    Resource,
    /// The AS of the source, else its wide prefix; kept as /24 or /48, or as the AWS service that called.
    Network,
    /// /24 or /48 of the source, as kept for the network.
    Prefix,
    /// Country of the network; derived, not kept.
    Country,
    /// Kind of the network; derived, not kept.
    NetworkKind,
    /// Family of the user agent and its operating system.
    Agent,
    /// AWS region.
    Region,
    /// Account the event was recorded in.
    Account,
    /// Hour of the day, UTC, and `weekend`.
    Hour,
}

impl Feature {
    /// Those that are kept.
    pub const KEPT: [Self; 8] =
        [Self::Api, Self::Effect, Self::Resource, Self::Network, Self::Agent, Self::Region, Self::Account, Self::Hour];

    /// The name in the table `baselines` and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Effect => "consequence",
            Self::Resource => "resource",
            Self::Network => "network",
            Self::Prefix => "prefix",
            Self::Country => "country",
            Self::NetworkKind => "network_kind",
            Self::Agent => "user_agent",
            Self::Region => "region",
            Self::Account => "account",
            Self::Hour => "hour",
        }
    }

    /// The feature of a name; `None` for names of other versions.
    pub fn of(name: &str) -> Option<Self> {
        Self::KEPT.into_iter().find(|feature| feature.as_str() == name)
    }
}

/// What kind of actor, for the priors that it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    /// A person: an IAM user, root, or somebody behind a shared role.
    Person,
    /// A role that programs hold.
    Workload,
    /// A bucket, whoever reads from it; nobody's credentials.
    Bucket,
    /// AWS itself: a service principal or a service-linked role. Not scored; nobody's credentials.
    Service,
}

impl ActorKind {
    /// The kind of a profile (see [`profile`]).
    pub fn of(profile: &str) -> Self {
        if profile.ends_with(".amazonaws.com") || profile.contains("/aws-service-role/") || profile == "AWS Internal" {
            Self::Service
        } else if profile.starts_with(BUCKET) {
            Self::Bucket
        } else if profile.starts_with(PERSON) || profile.contains(":user/") || profile.ends_with(":root") {
            Self::Person
        } else {
            Self::Workload
        }
    }

    /// The name in SQL and in `models/reference`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Workload => "workload",
            Self::Bucket => "bucket",
            Self::Service => "service",
        }
    }
}

const PERSON: &str = "person/";

/// The profile that an actor's past is kept under: a person behind Identity Center has one role per account and
/// permission set, signs in at the portal as a SAML user, and has one profile over all of them.
pub fn profile(actor: &str) -> String {
    match person_of(actor) {
        Some(name) => format!("{PERSON}{name}"),
        None => actor.to_owned(),
    }
}

fn person_of(actor: &str) -> Option<&str> {
    if let Some((_, tail)) = actor.split_once("AWSReservedSSO_") {
        return tail.split_once('/').map(|(_, name)| name);
    }
    let (head, name) = actor.rsplit_once('/')?;
    (name.contains('@') && !head.starts_with("arn:")).then_some(name)
}

/// Whose identity a profile is: the name of somebody behind Identity Center (then it is true), or of an IAM user, in lower case and
/// without what follows an `@`; `None` for what is nobody's.
pub fn person(profile: &str) -> Option<(String, bool)> {
    let central = profile.strip_prefix(PERSON);
    let user = || profile.split_once(":user/").map(|(_, path)| path.rsplit('/').next().unwrap_or(path));
    let name = central.or_else(user)?;
    Some((name.split('@').next().unwrap_or(name).to_lowercase(), central.is_some()))
}

/// The group of actors that an actor is compared with: people are one (groups by permission set measured no better, and
/// small ones know little), programs are by the kind of their role, the second word from the end of its name
/// (`web` of `shop-web-prod-role`), those that an identity provider outside AWS vouches for by the provider's host.
pub fn peer(actor: &str) -> String {
    if ActorKind::of(&profile(actor)) == ActorKind::Person {
        return "people".to_owned();
    }
    if let Some((_, subject)) = actor.split_once(":oidc-provider/") {
        return format!("oidc/{}", subject.split('/').next().unwrap_or(subject));
    }
    let Some((_, role)) = actor.split_once(":role/") else { return "other".to_owned() };
    let name = role.rsplit('/').next().unwrap_or(role).trim_end_matches("-role");
    format!("role/{}", name.rsplit('-').take(2).last().unwrap_or_default())
}

/// `ec2.amazonaws.com` -> `ec2`.
pub fn service(source: &str) -> &str {
    source.split('.').next().unwrap_or(source)
}

/// `service:Operation`. Lambda (and others of its age) put a date and version behind the operation; the same call
/// through a newer SDK is not another API.
pub fn api(source: &str, name: &str) -> String {
    format!("{}:{}", service(source), operation(name))
}

/// Removes a suffix `20YYMMDD` or `20YYMMDDvN`.
fn operation(name: &str) -> &str {
    let digits_from = |text: &str| text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let unversioned = match name[..digits_from(name)].strip_suffix('v') {
        Some(head) if digits_from(name) < name.len() => head,
        _ => name,
    };
    let head = &unversioned[..digits_from(unversioned)];
    let digits = &unversioned[head.len()..];
    if digits.len() == 8 && digits.starts_with("20") && !head.is_empty() { head } else { name }
}

/// The network of a source address: /24, /48, a private /16, the calling AWS service, or the text itself.
pub fn network(source: &str) -> String {
    match source.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if is_private(ip) => v4(ip, 2),
        Ok(IpAddr::V4(ip)) => v4(ip, 3),
        Ok(IpAddr::V6(ip)) => v6(ip.segments(), 3),
        Err(_) => source.to_owned(),
    }
}

/// One step wider than a [`network`]: /16, /32, `private`, or `AWS` for every AWS service.
pub fn widened(network: &str) -> String {
    let address = network.split('/').next().unwrap_or(network);
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if is_private(ip) => "private".to_owned(),
        Ok(IpAddr::V4(ip)) => v4(ip, 2),
        Ok(IpAddr::V6(ip)) => v6(ip.segments(), 2),
        Err(_) if network.ends_with(".amazonaws.com") || network.starts_with("AWS Internal") => "AWS".to_owned(),
        Err(_) => network.to_owned(),
    }
}

/// Private, or the shared space that NAT gateways and VPC endpoints answer from.
fn is_private(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

fn v4(ip: Ipv4Addr, kept: usize) -> String {
    let mut octets = ip.octets();
    octets[kept..].fill(0);
    format!("{}/{}", Ipv4Addr::from(octets), kept * 8)
}

fn v6(segments: [u16; 8], kept: usize) -> String {
    let head: Vec<String> = segments[..kept].iter().map(|segment| format!("{segment:x}")).collect();
    format!("{}::/{}", head.join(":"), kept * 16)
}

/// The features as SQL functions: `profile_of(actor)`, `actor_kind(profile)`, `api_of(eventsource, eventname)`,
/// `network_of(sourceipaddress)`, `agent_of(useragent)`, `resource_of(api, parameters)`.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        unary("profile_of", profile),
        unary("actor_kind", |profile| ActorKind::of(profile).as_str().to_owned()),
        unary("network_of", network),
        unary("agent_of", |agent| agent::habit(agent).unwrap_or_else(|| NONE.to_owned())),
        binary("api_of", api),
        binary("resource_of", |api, parameters| effect::resource(api, parameters).unwrap_or_default()),
    ]
}

/// A function of one text. NULL is [`NONE`]: a call without a user agent is a family of its own.
pub fn unary(name: &str, map: fn(&str) -> String) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| -> SqlResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts = arrays[0].as_string_view();
        let value = |row| read(texts, row).map_or_else(|| NONE.to_owned(), map);
        Ok(ColumnarValue::Array(once_each(texts.len(), |row| [view(texts, row), 0], value)?))
    };
    create_udf(name, vec![DataType::Utf8View], DataType::Utf8View, Volatility::Immutable, Arc::new(body))
}

fn binary(name: &str, map: fn(&str, &str) -> String) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| -> SqlResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let (left, right) = (arrays[0].as_string_view(), arrays[1].as_string_view());
        let value = |row| map(read(left, row).unwrap_or(NONE), read(right, row).unwrap_or(NONE));
        Ok(ColumnarValue::Array(once_each(left.len(), |row| [view(left, row), view(right, row)], value)?))
    };
    create_udf(name, vec![DataType::Utf8View; 2], DataType::Utf8View, Volatility::Immutable, Arc::new(body))
}

fn read(texts: &StringViewArray, row: usize) -> Option<&str> {
    (!texts.is_null(row)).then(|| texts.value(row)).filter(|text| !text.is_empty())
}

/// What tells a cell of a batch from others: 16 bytes that hold a short text or the place of a long one, 0 for NULL. Two places
/// may hold the same text; that only costs time.
pub(super) fn view(texts: &StringViewArray, row: usize) -> u128 {
    if texts.is_null(row) { 0 } else { texts.views()[row] }
}

/// A text for every row, made once for rows of one key.
fn once_each(rows: usize, key: impl Fn(usize) -> [u128; 2], value: impl Fn(usize) -> String) -> SqlResult<ArrayRef> {
    let mut known: Map<[u128; 2], u32> = Map::default();
    let mut values = StringViewBuilder::new();
    let mut made = 0;
    let mut number = |row| {
        *known.entry(key(row)).or_insert_with(|| {
            values.append_value(value(row));
            made += 1;
            made - 1
        })
    };
    let numbers: UInt32Array = (0..rows).map(|row| Some(number(row))).collect();
    Ok(take(&values.finish(), &numbers, None)?)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::logical_expr::ScalarFunctionArgs;

    use super::*;

    #[test]
    fn version_suffix_is_not_part_of_an_api() {
        assert_eq!(api("lambda.amazonaws.com", "UpdateFunctionCode20150331v2"), "lambda:UpdateFunctionCode");
        assert_eq!(api("lambda.amazonaws.com", "ListFunctions20150331"), "lambda:ListFunctions");
        assert_eq!(api("wafv2.amazonaws.com", "GetWebACLv2"), "wafv2:GetWebACLv2");
        assert_eq!(api("x", "20150331"), "x:20150331");
        assert_eq!(api("", ""), ":");
    }

    #[test]
    fn networks_are_prefixes_or_service_names() {
        assert_eq!(network("198.51.100.77"), "198.51.100.0/24");
        assert_eq!(widened("198.51.100.0/24"), "198.51.0.0/16");
        assert_eq!(network("10.3.4.5"), "10.3.0.0/16");
        assert_eq!(widened(&network("100.64.3.1")), "private");
        assert_eq!(network("2001:db8:1:2::5"), "2001:db8:1::/48");
        assert_eq!(network("cloudformation.amazonaws.com"), "cloudformation.amazonaws.com");
        assert_eq!(widened("cloudformation.amazonaws.com"), "AWS");
        assert_eq!(network("AWS Internal"), "AWS Internal");
    }

    #[test]
    fn a_person_has_one_profile_over_accounts_and_permission_sets() {
        let role = |account: &str, set: &str| {
            format!(
                "arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_{set}_0123456789abcdef/ann"
            )
        };
        assert_eq!(profile(&role("111111111111", "Admin")), profile(&role("222222222222", "ReadOnly")));
        assert_eq!(profile("arn:aws:iam::111111111111:role/app"), "arn:aws:iam::111111111111:role/app");
        assert_eq!(ActorKind::of(&profile(&role("1", "A"))), ActorKind::Person);
        assert_eq!(profile("0123abcd/ann@example.com"), "person/ann@example.com");
        assert_eq!(peer(&role("1", "Admin")), "people");
        assert_eq!(peer("arn:aws:iam::111111111111:role/shop-web-prod-role"), "role/web");
        let job = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com/repo:shop/web:ref:refs/heads/main";
        assert_eq!(peer(job), "oidc/token.actions.githubusercontent.com");
        assert_eq!(ActorKind::of("ec2.amazonaws.com"), ActorKind::Service);
    }

    #[test]
    fn functions_answer_none_for_null() {
        let texts = StringViewArray::from(vec![None, Some(""), Some("10.0.0.1"), None, Some("10.0.0.2")]);
        let argument = [ColumnarValue::Array(Arc::new(texts))];
        let function = unary("network_of", network);
        let arguments = ScalarFunctionArgs {
            args: argument.to_vec(),
            arg_fields: vec![Arc::new(Field::new("a", DataType::Utf8View, true))],
            number_rows: 5,
            return_field: Arc::new(Field::new("b", DataType::Utf8View, true)),
            config_options: Arc::default(),
        };
        let out = function.invoke_with_args(arguments).unwrap().into_array(5).unwrap();
        let expected = StringViewArray::from(vec![NONE, NONE, "10.0.0.0/16", NONE, "10.0.0.0/16"]);
        assert_eq!(out.as_string_view(), &expected);
    }
}
