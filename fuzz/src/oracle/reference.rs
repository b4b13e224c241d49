//! What serde_json makes of a text: the second opinion on what is JSON, where records begin and end, and what they hold.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Members of an object in the order of the text, those that stand in it twice included.
#[derive(Debug)]
pub struct Members<'t>(pub Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Members<'t> {
    /// Reads an object's members; `None` for anything else.
    pub fn of(text: &'t str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The first member of that name.
    pub fn first(&self, name: &str) -> Option<&'t RawValue> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A name, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

/// serde_json's opinion of a text.
#[derive(Debug)]
pub enum Opinion<T> {
    /// It is JSON.
    Yes(T),
    /// It is not.
    No,
    /// It lies beyond a limit of serde_json's own (nesting, range of numbers) that trailhound does not share.
    Beyond,
}

/// Whether a text is one JSON value.
pub fn value(text: &[u8]) -> Opinion<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Opinion::Yes(value),
        Err(error) => because(&error),
    }
}

fn because<T>(error: &serde_json::Error) -> Opinion<T> {
    let text = error.to_string();
    if text.contains("recursion limit") || text.contains("out of range") { Opinion::Beyond } else { Opinion::No }
}

/// What should become of a stretch of the text.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'t> {
    /// A record to be read.
    Record(&'t str),
    /// Something else where a record should stand.
    Other(&'t str),
}

/// What should become of a text.
#[derive(Debug, Default)]
pub struct Expected<'t> {
    /// In order.
    pub items: Vec<Item<'t>>,
    /// Rejects of the object as a whole: no records in it, or an array of records that is not the only one.
    pub whole: usize,
}

/// Reads a text of JSON values one after another.
pub fn read(text: &[u8]) -> Opinion<Expected<'_>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let Ok(text) = std::str::from_utf8(text) else { return Opinion::No };
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match document {
            Ok(document) => documents.push(document.get()),
            Err(_) => return Opinion::No,
        }
    }
    let mut beyond = false;
    for document in &documents {
        match value(document.as_bytes()) {
            Opinion::Yes(_) => {}
            Opinion::No => return Opinion::No,
            Opinion::Beyond => beyond = true,
        }
    }
    if beyond {
        return Opinion::Beyond;
    }
    Opinion::Yes(expected(&documents))
}

fn expected<'t>(documents: &[&'t str]) -> Expected<'t> {
    let mut expected = Expected { items: Vec::new(), whole: usize::from(documents.is_empty()) };
    for document in documents {
        match envelope(document) {
            Envelope::Records(records, Others::None) => expected.items.extend(records.into_iter().map(item)),
            Envelope::Records(records, Others::Some) => {
                expected.items.extend(records.into_iter().map(item));
                expected.whole += 1;
            }
            Envelope::One(record) => expected.items.push(item(record)),
            Envelope::Other if documents.len() == 1 => expected.whole += 1,
            Envelope::Other => expected.items.push(Item::Other(document)),
        }
    }
    expected
}

fn item(text: &str) -> Item<'_> {
    match Members::of(text) {
        Some(members) if !members.0.is_empty() => Item::Record(text),
        _ => Item::Other(text),
    }
}

/// Whether `Records` stands in an object once more.
enum Others {
    None,
    Some,
}

enum Envelope<'t> {
    Records(Vec<&'t str>, Others),
    One(&'t str),
    Other,
}

/// The envelopes of `parse`: an array; an object with the array `Records`, else with the object `detail`, else with
/// a member that only records have. The first member that decides does.
fn envelope(document: &str) -> Envelope<'_> {
    if let Some(records) = elements(document) {
        return Envelope::Records(records, Others::None);
    }
    let Some(members) = Members::of(document) else { return Envelope::Other };
    let mut is_record = false;
    for (name, value) in &members.0 {
        match &**name {
            "Records" => {
                let times = members.0.iter().filter(|(name, _)| name == "Records").count();
                let others = if times > 1 { Others::Some } else { Others::None };
                return elements(value.get()).map_or(Envelope::Other, |records| Envelope::Records(records, others));
            }
            "detail" if value.get().starts_with('{') => return Envelope::One(value.get()),
            "eventTime" | "eventVersion" | "eventName" | "eventID" => is_record = true,
            _ => {}
        }
    }
    if is_record { Envelope::One(document) } else { Envelope::Other }
}

fn elements(text: &str) -> Option<Vec<&str>> {
    let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(values.into_iter().map(RawValue::get).collect())
}
