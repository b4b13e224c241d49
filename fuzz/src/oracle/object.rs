//! Any bytes as an object of a bucket.

use std::collections::HashMap;
use std::io::Read;

use super::reading::{Fate, Reading};
use super::reference::{self, Expected, Item, Members, Opinion};
use super::row;
use crate::decode;
use crate::event::{EventKey, RejectReason};
use crate::parse::Parser;

/// Bytes of text that are accepted here: a bomb should cost the fuzzer little.
const LIMIT: u64 = 1 << 20;

/// Bytes of text parsed together: so few that small texts are cut in many places.
const SMALL_CHUNK: usize = 64;

/// So many that most texts are not cut.
const LARGE_CHUNK: usize = 16 << 10;

/// Decodes and reads an object.
pub fn check(object: &[u8]) {
    let mut text = b"what was there before".to_vec();
    let result = decode::decode(object, LIMIT, &mut text).map_err(|reject| reject.reason);
    check_decoded(object, result, &text);
    if result.is_ok() {
        check_text(&text);
    }
}

fn check_decoded(object: &[u8], result: Result<(), RejectReason>, text: &[u8]) {
    assert!(text.len() as u64 <= LIMIT);
    let expected = if object.starts_with(&[0x1f, 0x8b]) { gunzip(object) } else { Ok(object.to_vec()) };
    match (result, expected) {
        (Ok(()), Ok(expected)) => assert!(text == expected, "the text is another one"),
        // whether what follows the limit is broken is nobody's business
        (Err(_), Ok(expected)) => assert!(expected.len() as u64 > LIMIT, "rejected, and flate2 reads it"),
        (Err(_), Err(())) => {}
        (result, expected) => panic!("decoded: {result:?}, by flate2: {:?}", expected.map(|text| text.len())),
    }
}

/// flate2's opinion of what is in all members of a gzip file, a little more than the limit at most.
#[allow(clippy::disallowed_types, reason = "a second opinion; its output is bounded")]
fn gunzip(object: &[u8]) -> Result<Vec<u8>, ()> {
    let mut text = Vec::new();
    let mut decoder = flate2::bufread::MultiGzDecoder::new(object).take(LIMIT + 1);
    decoder.read_to_end(&mut text).map(|_| text).map_err(drop)
}

/// Reads a text in every way there is, holds the readings against each other and against serde_json, and answers one.
pub fn check_text(text: &[u8]) -> Reading {
    let mut parser = Parser::with_chunk(LARGE_CHUNK);
    let mut reading = Reading::of(text, &mut parser);
    check_same(&reading, &Reading::of(text, &mut parser), "with memory used before");
    let small = Reading::of(text, &mut Parser::with_chunk(SMALL_CHUNK));
    check_same(&reading, &small, "in small chunks");
    check_records(&mut reading);
    match reference::read(text) {
        Opinion::Yes(expected) => check_expected(&reading, &expected),
        Opinion::No => assert!(reading.is_partial(), "no JSON, and not told: {}", String::from_utf8_lossy(text)),
        Opinion::Beyond => {}
    }
    reading
}

fn check_same(one: &Reading, other: &Reading, how: &str) {
    assert_eq!(one.fates, other.fates, "read again {how}");
    assert_eq!(one.whole, other.whole, "read again {how}");
}

/// What is read is JSON, and every row holds all of it; the same eventID is the same event.
fn check_records(reading: &mut Reading) {
    let (mut row, rows) = (0, reading.rows());
    let mut ids: HashMap<EventKey, String> = HashMap::new();
    for fate in &reading.fates {
        let (raw, fit) = match fate {
            Fate::Row { raw, .. } => (raw, true),
            Fate::Refused { raw, .. } => (raw, false),
            Fate::Rejected { .. } => continue,
        };
        if let Opinion::No = reference::value(raw) {
            panic!("read, but no JSON: {}", String::from_utf8_lossy(raw));
        }
        let members = std::str::from_utf8(raw).ok().and_then(Members::of).expect("an object");
        assert_eq!(row::refusal(&members).is_none(), fit, "{}", String::from_utf8_lossy(raw));
        if let Fate::Refused { reason, .. } = fate {
            assert_eq!(Some(*reason), row::refusal(&members));
        }
        if let Fate::Row { key, .. } = fate {
            assert_eq!(*key, row::key(&members, raw));
            let id = members.first("eventID").map_or_else(String::new, |id| id.get().to_owned());
            let id: String = serde_json::from_str(&id).unwrap_or_default();
            assert_eq!(ids.entry(*key).or_insert_with(|| id.clone()), &id, "two ids, one key");
            if let Opinion::Yes(value) = reference::value(raw) {
                row::check(&rows, row, &members, &value);
            }
            row += 1;
        }
    }
    assert_eq!(rows.num_rows(), row);
}

/// JSON that serde_json reads is read the same way.
fn check_expected(reading: &Reading, expected: &Expected<'_>) {
    assert_eq!(reading.whole.len(), expected.whole, "{:?} {expected:?}", reading.whole);
    assert_eq!(reading.fates.len(), expected.items.len(), "{:?} are not {expected:?}", reading.fates);
    for (fate, item) in reading.fates.iter().zip(&expected.items) {
        match (fate, item) {
            (Fate::Row { raw, .. } | Fate::Refused { raw, .. }, Item::Record(text)) => {
                assert_eq!(raw, text.as_bytes());
            }
            (Fate::Rejected { raw, .. }, Item::Other(text)) => assert_eq!(raw, text),
            _ => panic!("{fate:?} is not {item:?}"),
        }
    }
}
