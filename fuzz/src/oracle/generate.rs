//! Records made up from a fuzzer's bytes: like CloudTrail's where that matters, wild elsewhere.
//!
//! Owns: the shapes of values, the ways to write one value as JSON.

use arbitrary::Arbitrary;

use crate::schema::RECORD;

/// Names below the records' own that have columns somewhere, or mean something in an envelope.
const NAMES: [&str; 20] = [
    "type",
    "arn",
    "ARN",
    "accountId",
    "principalId",
    "userName",
    "sessionContext",
    "sessionIssuer",
    "attributes",
    "webIdFederationData",
    "federatedProvider",
    "onBehalfOf",
    "inScopeOf",
    "ARNPrefix",
    "tlsVersion",
    "reason",
    "mfaAuthenticated",
    "Records",
    "detail",
    "$absent",
];

/// Texts that look like what the parser looks for.
const LURES: [&str; 12] = [
    "},{\"eventVersion\"",
    "},{\"eventTime\"",
    "\"}]}",
    "[{",
    "\\\"},{\"",
    "{\"Records\":[",
    "\\",
    "\"",
    "]",
    "}",
    "\u{1f}\u{7f}\u{fffd}\u{10ffff}",
    "2026-01-31T23:59:59Z",
];

/// Numbers that parsers disagree on.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "-0.0",
    "1e5",
    "1E+5",
    "1.50",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "0.1",
    "5e-324",
    "2.2250738585072011e-308",
    "1.7976931348623157e308",
    "0.000000000000000000000000000000000000001",
];

/// The name of a member.
#[derive(Debug, Arbitrary)]
pub enum Name {
    /// One of `schema::RECORD`.
    Column(u8),
    /// One that means something elsewhere.
    Nested(u8),
    /// Any other.
    Other(String),
}

/// A value.
#[derive(Debug, Arbitrary)]
pub enum Json {
    Null,
    Bool(bool),
    Number(u8),
    Int(i64),
    Float(f64),
    Text(String),
    Lure(u8),
    Time(u32),
    Array(Vec<Json>),
    Object(Vec<(Name, Json)>),
}

/// How JSON is written: every way means the same.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Style {
    space: Space,
    escapes: Escapes,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Space {
    None,
    Blank,
    Lines,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Escapes {
    Few,
    Solidus,
    All,
}

impl Style {
    /// White space between tokens.
    pub fn space(self) -> &'static str {
        match self.space {
            Space::None => "",
            Space::Blank => " ",
            Space::Lines => "\r\n\t",
        }
    }

    /// Writes a string.
    pub fn text(self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match (self.escapes, c) {
                (Escapes::All, _) | (_, '\0'..='\u{1f}' | '"' | '\\') => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                (Escapes::Solidus, '/') => out.push_str("\\/"),
                _ => out.push(c),
            }
        }
        out.push('"');
    }

    /// Writes what `items` write, separated by commas, between brackets.
    pub fn list<T>(self, ends: [char; 2], items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
        out.push(ends[0]);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(self.space());
            write(item, out);
            out.push_str(self.space());
        }
        out.push(ends[1]);
    }

    /// Writes a member whose value `write` writes.
    pub fn member(self, name: &str, out: &mut String, write: impl FnOnce(&mut String)) {
        self.text(name, out);
        out.push_str(self.space());
        out.push(':');
        out.push_str(self.space());
        write(out);
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Column(index) => RECORD[usize::from(*index) % RECORD.len()].json,
            Self::Nested(index) => NAMES[usize::from(*index) % NAMES.len()],
            Self::Other(name) => name,
        }
    }
}

/// Writes an object.
pub fn object(members: &[(Name, Json)], style: Style, out: &mut String) {
    style.list(['{', '}'], members, out, |(name, value), out| {
        style.member(name.as_str(), out, |out| value.write(style, out));
    });
}

impl Json {
    /// Writes the value.
    pub fn write(&self, style: Style, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(index) => out.push_str(NUMBERS[usize::from(*index) % NUMBERS.len()]),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Float(value) if value.is_finite() => out.push_str(&format!("{value:e}")),
            Self::Float(_) => out.push('0'),
            Self::Text(text) => style.text(text, out),
            Self::Lure(index) => style.text(LURES[usize::from(*index) % LURES.len()], out),
            Self::Time(seconds) => style.text(&time(*seconds), out),
            Self::Array(items) => style.list(['[', ']'], items, out, |item, out| item.write(style, out)),
            Self::Object(members) => object(members, style, out),
        }
    }
}

/// An instant as CloudTrail writes it; some are of the other forms that RFC 3339 has, some of none.
pub fn time(seconds: u32) -> String {
    let text = chrono::DateTime::from_timestamp(i64::from(seconds), 0).expect("in range");
    let form = match seconds % 8 {
        0 => "%Y-%m-%dT%H:%M:%S.250Z",
        1 => "%Y-%m-%dT%H:%M:%S+01:00",
        2 => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%SZ",
    };
    text.format(form).to_string()
}
