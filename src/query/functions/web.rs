//! URLs and addresses.
//!
//! Owns: Trino's `url_*` functions, and its `ip_prefix` arithmetic as one question: is an address in a network?
//! Invariant: what is no URL, address or network is NULL.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringViewBuilder};
use datafusion::common::Result;
use ipnet::IpNet;
use url::Url;

use super::Origin;
use super::udf::{Call, Function, Returns, trino};

pub(super) fn functions() -> Vec<Function> {
    let mut all = parts_of_urls();
    all.extend([
        trino(
            "url_extract_port",
            "url_extract_port(url)",
            (1, 1),
            Returns::INT,
            port,
            "The port that a URL names",
        ),
        trino(
            "url_extract_parameter",
            "url_extract_parameter(url, name)",
            (2, 2),
            Returns::TEXT,
            parameter,
            "The first value of a parameter in a URL's query",
        ),
        trino("url_decode", "url_decode(text)", (1, 1), Returns::TEXT, decode, "Text without its percent escapes, + as a space"),
        trino("url_encode", "url_encode(text)", (1, 1), Returns::TEXT, encode, "Text with percent escapes, as in a query"),
        Function::new(
            Origin::Trailhound,
            "ip_in",
            "ip_in(address, network)",
            (2, 2),
            Returns::BOOL,
            ip_in,
            "Whether an address is in a network such as 10.0.0.0/8; what contains('10.0.0.0/8', CAST(x AS ipaddress)) becomes",
        ),
    ]);
    all
}

fn parts_of_urls() -> Vec<Function> {
    let entry = |name, syntax, run, about| trino(name, syntax, (1, 1), Returns::TEXT, run, about);
    vec![
        entry(
            "url_extract_host",
            "url_extract_host(url)",
            |call| part(call, |url| url.host_str().map(str::to_owned)),
            "The host of a URL",
        ),
        entry(
            "url_extract_protocol",
            "url_extract_protocol(url)",
            |call| part(call, |url| Some(url.scheme().to_owned())),
            "The scheme of a URL",
        ),
        entry(
            "url_extract_path",
            "url_extract_path(url)",
            |call| part(call, |url| Some(url.path().to_owned())),
            "The path of a URL",
        ),
        entry(
            "url_extract_query",
            "url_extract_query(url)",
            |call| part(call, |url| url.query().map(str::to_owned)),
            "The query of a URL",
        ),
        entry(
            "url_extract_fragment",
            "url_extract_fragment(url)",
            |call| part(call, |url| url.fragment().map(str::to_owned)),
            "The fragment of a URL",
        ),
    ]
}

fn texts(call: &Call, one: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let values = call.text(0)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    (0..call.rows).for_each(|row| out.append_option(values.get(row).and_then(&one)));
    Ok(Arc::new(out.finish()))
}

fn part(call: &Call, part: fn(&Url) -> Option<String>) -> Result<ArrayRef> {
    texts(call, |text| Url::parse(text).ok().and_then(|url| part(&url)))
}

fn port(call: &Call) -> Result<ArrayRef> {
    let urls = call.text(0)?;
    let port = |row| urls.get(row).and_then(|text| Url::parse(text).ok()?.port()).map(i64::from);
    Ok(Arc::new((0..call.rows).map(port).collect::<Int64Array>()))
}

fn parameter(call: &Call) -> Result<ArrayRef> {
    let (urls, names) = (call.text(0)?, call.text(1)?);
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let found = urls.get(row).zip(names.get(row)).and_then(|(url, name)| {
            let url = Url::parse(url).ok()?;
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        });
        out.append_option(found);
    }
    Ok(Arc::new(out.finish()))
}

fn decode(call: &Call) -> Result<ArrayRef> {
    texts(call, |text| {
        // as the value of a parameter, in which = and & are themselves
        let escaped = text.replace('&', "%26");
        let mut pairs = form_urlencoded::parse(escaped.as_bytes());
        let (key, value) = pairs.next().unwrap_or_default();
        Some(if text.contains('=') { format!("{key}={value}") } else { key.into_owned() })
    })
}

fn encode(call: &Call) -> Result<ArrayRef> {
    texts(call, |text| Some(form_urlencoded::byte_serialize(text.as_bytes()).collect()))
}

fn ip_in(call: &Call) -> Result<ArrayRef> {
    let (addresses, networks) = (call.text(0)?, call.text(1)?);
    let constant: Option<IpNet> = networks.constant().and_then(|text| text.parse().ok());
    let inside = |row| {
        let address: IpAddr = addresses.get(row)?.parse().ok()?;
        let network = constant.or_else(|| networks.get(row)?.parse().ok())?;
        Some(network.contains(&address))
    };
    Ok(Arc::new((0..call.rows).map(inside).collect::<BooleanArray>()))
}
