//! Text into parts: every match of a pattern, the pieces between, a map of pairs.
//!
//! Owns: these functions. Patterns are those of Rust's regex crate, as in DataFusion's functions.
//! Invariant: a pattern that cannot be read is an error: it is part of the query, not of the data.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder, StringViewBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use regex::Regex;

use super::map::{Flat, map_type};
use super::udf::{Call, Function, Returns, trino};

pub(super) fn functions() -> Vec<Function> {
    let list = Returns::Always(|| DataType::new_list(DataType::Utf8View, true));
    vec![
        trino(
            "regexp_extract_all",
            "regexp_extract_all(text, pattern, group)",
            (2, 3),
            list,
            extract_all,
            "Every match of a pattern, or of a group of it (NULL where the group took no part)",
        ),
        trino(
            "regexp_split",
            "regexp_split(text, pattern)",
            (2, 2),
            list,
            split,
            "The pieces of a text between matches",
        ),
        trino(
            "split_to_map",
            "split_to_map(text, between entries, between key and value)",
            (3, 3),
            Returns::Always(pairs_type),
            split_to_map,
            "A map of a text such as a=1,b=2; of equal keys the first stays (an error in Trino)",
        ),
    ]
}

fn pairs_type() -> DataType {
    map_type(&DataType::Utf8, &Field::new("value", DataType::Utf8View, true))
}

/// Patterns by row; a text is compiled again only where it is another one than before.
struct Patterns(Option<(String, Regex)>);

impl Patterns {
    fn get(&mut self, text: &str) -> Result<&Regex> {
        if self.0.as_ref().is_none_or(|(before, _)| before != text) {
            let compiled = Regex::new(text);
            let compiled =
                compiled.map_err(|error| exec_datafusion_err!("cannot read the pattern {text:?}: {error}"))?;
            self.0 = Some((text.to_owned(), compiled));
        }
        self.0.as_ref().map(|(_, pattern)| pattern).ok_or_else(|| exec_datafusion_err!("no pattern"))
    }
}

fn lists<'a, T: Into<Cow<'a, str>>>(
    call: &'a Call,
    texts: &'a super::udf::Texts,
    parts: impl Fn(usize, &Regex, &'a str) -> Result<Option<Vec<Option<T>>>>,
) -> Result<ArrayRef> {
    let patterns = call.text(1)?;
    let mut compiled = Patterns(None);
    let mut out = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        let found = match texts.get(row).zip(patterns.get(row)) {
            Some((text, pattern)) => parts(row, compiled.get(pattern)?, text)?,
            None => None,
        };
        let valid = found.is_some();
        for part in found.into_iter().flatten() {
            out.values().append_option(part.map(Into::into));
        }
        out.append(valid);
    }
    Ok(Arc::new(out.finish()))
}

fn extract_all(call: &Call) -> Result<ArrayRef> {
    let groups = if call.given() > 2 { Some(call.integer(2)?) } else { None };
    let texts = call.text(0)?;
    lists(call, &texts, |row, pattern, text| {
        let Some(group) = groups.as_ref().map_or(Some(0), |groups| groups.get(row)) else { return Ok(None) };
        let Some(group) = usize::try_from(group).ok().filter(|group| *group < pattern.captures_len()) else {
            return exec_err!(
                "the pattern {:?} has {} groups, not {group}",
                pattern.as_str(),
                pattern.captures_len() - 1
            );
        };
        let matches = pattern.captures_iter(text).map(|found| found.get(group).map(|part| part.as_str()));
        Ok(Some(matches.collect()))
    })
}

fn split(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0)?;
    lists(call, &texts, |_, pattern, text| Ok(Some(pattern.split(text).map(Some).collect())))
}

fn split_to_map(call: &Call) -> Result<ArrayRef> {
    let (texts, entry, pair) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let (mut rows, mut keys, mut values) = (Vec::new(), StringBuilder::new(), StringViewBuilder::new());
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let given = texts.get(row).zip(entry.get(row)).zip(pair.get(row));
        valid.push(given.is_some());
        let Some(((text, entry), pair)) = given else { continue };
        for (key, value) in text.split(entry).filter_map(|part| part.split_once(pair)) {
            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            keys.append_value(key);
            values.append_value(value);
        }
    }
    let (keys, values) = (Arc::new(keys.finish()), Arc::new(values.finish()));
    let flat = Flat { rows, keys, values, nulls: Some(NullBuffer::from(valid)), count: call.rows };
    flat.distinct()?.into_maps(&pairs_type())
}
