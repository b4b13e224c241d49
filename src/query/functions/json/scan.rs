//! A lazy look into JSON text: finds a value and reads nothing behind it.
//!
//! Owns: where a value begins and ends, and its members or elements, as slices of the text.
//! Refuses: judging the rest of the text. What stands before a value must be JSON; what stands behind it is not read.
//! Invariant: no allocation, except for a string with escapes; broken text is `None`, never a panic.

use std::borrow::Cow;

use memchr::memchr2;

use super::path::Step;

/// The value at the end of a path; for a path with `[*]` see [`find_all`].
pub(in crate::query) fn find<'a>(text: &'a str, path: &[Step]) -> Option<&'a str> {
    let mut value = root(text, path.is_empty())?;
    for step in path {
        value = match step {
            Step::Key(key) => member(value, key)?,
            Step::Index(index) => element(value, *index)?,
            Step::All => return None,
        };
    }
    Some(value)
}

/// Every value at the end of a path, in the order of the text.
pub(in crate::query) fn find_all<'a>(text: &'a str, path: &[Step]) -> Vec<&'a str> {
    let mut values: Vec<&str> = root(text, path.is_empty()).into_iter().collect();
    for step in path {
        values = match step {
            Step::Key(key) => values.into_iter().filter_map(|value| member(value, key)).collect(),
            Step::Index(index) => values.into_iter().filter_map(|value| element(value, *index)).collect(),
            Step::All => values.into_iter().flat_map(children).collect(),
        };
    }
    values
}

/// Where the text's first value begins; it is read to its end only where it is wanted itself.
pub(in crate::query) fn root(text: &str, itself: bool) -> Option<&str> {
    if itself { whole(text) } else { Some(&text[space(text.as_bytes(), 0)..]) }
}

/// The text's first value.
pub(in crate::query) fn whole(text: &str) -> Option<&str> {
    let start = space(text.as_bytes(), 0);
    Some(&text[start..value_end(text.as_bytes(), start)?])
}

/// The value of an object's member; the first of that name.
pub(in crate::query) fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    members(object).find(|(name, _)| is_key(name, key)).map(|(_, value)| value)
}

/// The element of an array, from 0; negative from its end.
pub(in crate::query) fn element(array: &str, index: i64) -> Option<&str> {
    match usize::try_from(index) {
        Ok(index) => elements(array).nth(index),
        Err(_) => {
            let all: Vec<&str> = elements(array).collect();
            let back = usize::try_from(index.unsigned_abs()).ok()?;
            all.len().checked_sub(back).map(|index| all[index])
        }
    }
}

fn children(value: &str) -> Vec<&str> {
    match value.as_bytes().first() {
        Some(b'{') => members(value).map(|(_, value)| value).collect(),
        _ => elements(value).collect(),
    }
}

/// An object's members: the raw name with its quotes, and the value.
pub(in crate::query) fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Items::new(object, b'{');
    std::iter::from_fn(move || {
        let name = rest.next()?;
        if !name.starts_with('"') {
            return None;
        }
        rest.colon()?;
        Some((name, rest.value()?))
    })
}

/// An array's elements.
pub(in crate::query) fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut rest = Items::new(array, b'[');
    std::iter::from_fn(move || rest.next())
}

/// The inside of an object or array.
struct Items<'a> {
    text: &'a str,
    at: Option<usize>,
    first: bool,
}

impl<'a> Items<'a> {
    fn new(text: &'a str, opening: u8) -> Self {
        let at = (text.as_bytes().first() == Some(&opening)).then_some(1);
        Self { text, at, first: true }
    }

    /// The next value behind the opening bracket or a comma.
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let at = space(bytes, self.at?);
        self.at = match (bytes.get(at)?, std::mem::take(&mut self.first)) {
            (b'}' | b']', _) => None,
            (b',', false) => Some(space(bytes, at + 1)),
            (_, true) => Some(at),
            _ => None,
        };
        self.value()
    }

    fn colon(&mut self) -> Option<()> {
        let at = space(self.text.as_bytes(), self.at?);
        self.at = (self.text.as_bytes().get(at) == Some(&b':')).then_some(at + 1);
        self.at.map(drop)
    }

    fn value(&mut self) -> Option<&'a str> {
        let start = space(self.text.as_bytes(), self.at?);
        let end = value_end(self.text.as_bytes(), start);
        self.at = end;
        end.map(|end| &self.text[start..end])
    }
}

/// Whether a raw name, with its quotes, is a key.
pub(in crate::query) fn is_key(raw: &str, key: &str) -> bool {
    let inner = &raw[1..raw.len() - 1];
    inner == key || inner.contains('\\') && string(raw).is_some_and(|name| name == key)
}

/// A string's text without quotes and escapes.
pub(in crate::query) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
    }
}

/// A scalar as text; `None` for null, objects and arrays.
pub(in crate::query) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => string(raw),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// A value as text: a string without its quotes, anything else as JSON; `None` for null.
pub(in crate::query) fn text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => string(raw),
        b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that begins at `start` ends.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => container_end(bytes, start),
        b't' => word(bytes, start, b"true"),
        b'f' => word(bytes, start, b"false"),
        b'n' => word(bytes, start, b"null"),
        b'-' | b'0'..=b'9' => Some(number_end(bytes, start)),
        _ => None,
    }
}

fn word(bytes: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    let end = start + word.len();
    (bytes.get(start..end) == Some(word)).then_some(end)
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes[start..].iter();
    start + rest.take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count()
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at = string_end(bytes, at)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => {
                (at, depth) = (at + 1, depth - 1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::query::functions::json::path::parse;

    fn at<'a>(text: &'a str, path: &str) -> Option<&'a str> {
        find(text, &parse(path).unwrap())
    }

    #[test]
    fn a_value_is_found_where_it_is() {
        let text = r#" {"a" : {"b":[1, {"c":"x\"]}"} , null]}, "a\u0062":7, "e":{} } "#;
        assert_eq!(at(text, "$.a.b[1].c"), Some(r#""x\"]}""#));
        assert_eq!(at(text, "$.a.b[-1]"), Some("null"));
        assert_eq!(at(text, "$.ab"), Some("7"), "an escaped name");
        assert_eq!(at(text, "$.e"), Some("{}"));
        assert_eq!((at(text, "$.a.b[3]"), at(text, "$.x"), at(text, "$.e.x")), (None, None, None));
        assert_eq!(find_all(text, &parse("$.a.b[*]").unwrap()), ["1", r#"{"c":"x\"]}"}"#, "null"]);
    }

    #[test]
    fn broken_text_is_nothing() {
        for text in [
            "",
            "x",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":\"",
            "{\"a\":tru",
            "[1",
            "{\"a\" 1}",
            "{a:1}",
            "{\"b\":1 \"a\":2}",
        ] {
            assert_eq!(at(text, "$.a"), None, "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_member_and_element_is_the_one_that_a_parser_sees(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(whole(&text), Some(text.as_str()));
            if let Value::Object(map) = &value {
                for (key, expected) in map {
                    let found: Value = serde_json::from_str(member(&text, key).unwrap()).unwrap();
                    prop_assert_eq!(&found, expected);
                }
                prop_assert_eq!(members(&text).count(), map.len());
            }
            if let Value::Array(all) = &value {
                let found: Vec<Value> = elements(&text).map(|text| serde_json::from_str(text).unwrap()).collect();
                prop_assert_eq!(&found, all);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", cut in 0_usize..40) {
            let sample = format!("{}{text}", &json!({"a": [1, {"b": "c"}]}).to_string()[..cut.min(18)]);
            let _ = (find(&sample, &[Step::Key("a".into()), Step::Index(1), Step::Key("b".into())]), members(&sample).count());
        }
    }
}
