//! JSON text of an object -> records.
//!
//! Owns: the envelopes (`{"Records":[…]}`, a bare array, one record, NDJSON, EventBridge's `detail`, and any of them
//! one after another), and what is salvaged from text that is broken in places.
//! Refuses: any knowledge of columns beyond the names of `schema::RECORD`.
//! Invariant: every record of the text is visited once, or reported once as a reject, in order.
//!
//! The fast way cuts the array of records into chunks of about 64 KiB, so that the tape of a chunk stays in the
//! processor's cache and memory does not grow with the object. A cut is made before text that looks like a record's
//! beginning. It cannot be wrong unnoticed: inside a string the quotes would be escaped, and inside a nested value
//! both halves are unbalanced, so that the chunk does not parse. Then, and for every other shape, the slow way takes
//! one value at a time.

mod record;
mod split;

use std::ops::Range;

use memchr::memmem::Finder;
use simd_json::{Buffers, INPUT_PADDING, Node, Tape};

pub use record::{Chunk, Record, Tree, Value};

use crate::event::{Reject, RejectReason};
use crate::schema::RECORD;
use record::{Slots, width};
use split::{is_document, next_document, object_end, skip_commas, skip_space, string_end, trim_end, value_end};

/// Bytes of text parsed together: small enough that text, copy, indexes and tape stay in the second-level cache.
const CHUNK: usize = 64 * 1024;

/// How many times over the slow way may read a text. An honest one is read once; one in which no record ends would
/// be read once for each record.
const EFFORT: usize = 16;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a parser tells of an object.
pub trait Visitor {
    /// Some of the object's records, at least one.
    fn chunk(&mut self, chunk: &Chunk<'_>);
    /// A record, or the whole object, that is not readable.
    fn reject(&mut self, reject: Reject);
}

/// A parser and the memory it reuses from object to object.
pub struct Parser {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    records: Vec<Slots>,
    unknown: Vec<u32>,
    order: MemberOrder,
    position: u64,
    chunk: usize,
    effort: usize,
}

impl Default for Parser {
    fn default() -> Self {
        Self::with_chunk(CHUNK)
    }
}

impl Parser {
    /// A parser that takes about so many bytes of text at a time. What it tells does not depend on it.
    pub fn with_chunk(bytes: usize) -> Self {
        Self {
            copy: Vec::with_capacity(2 * bytes),
            buffers: Buffers::new(2 * bytes),
            tape: Tape(Vec::new()),
            records: Vec::new(),
            unknown: Vec::new(),
            order: MemberOrder::default(),
            position: 0,
            chunk: bytes,
            effort: 0,
        }
    }

    /// Reads the text of one object.
    pub fn parse(&mut self, text: &[u8], visitor: &mut dyn Visitor) {
        self.position = 0;
        self.effort = text.len().saturating_mul(EFFORT);
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let start = skip_space(text, 0);
        if start == text.len() {
            return visitor.reject(Reject::new(None, RejectReason::NoRecords, "the object is empty", text));
        }
        let mut at = start;
        while at < text.len() {
            at = skip_space(text, self.document(text, start, at, visitor));
        }
    }

    /// Reads one top-level value (the first of which starts at `first`) and answers where it ends.
    fn document(&mut self, text: &[u8], first: usize, at: usize, visitor: &mut dyn Visitor) -> usize {
        if let Some(elements) = elements_start(text, at) {
            return self.array(text, at, elements, visitor);
        }
        let end = value_end(text, at).unwrap_or(text.len());
        let raw = &text[at..end];
        let alone = at == first && skip_space(text, end) == text.len();
        let position = (!alone).then_some(self.position);
        match self.classify(raw) {
            Ok(Document::Record) => self.records_of(raw, 0, visitor).unwrap_or_else(|_| unreachable!("parsed before")),
            Ok(Document::Detail(range)) => self.one(text, at + range.start..at + range.end, visitor),
            Ok(Document::Records(range)) => {
                self.array(text, at, at + range.start + 1, visitor);
            }
            Ok(Document::Other(what)) => self.reject(position, RejectReason::NoRecords, what, raw, visitor),
            Err(error) => {
                let end = self.broken_end(text, at..end);
                let position = (position.is_some() || end < text.len()).then_some(self.position);
                self.reject(position, reason(&error), error.to_string(), &text[at..end], visitor);
                return end;
            }
        }
        end
    }

    /// Where a document ends that does not parse: before the next one, where one can be made out. Its own brackets and
    /// quotes are not to be trusted.
    fn broken_end(&mut self, text: &[u8], seeming: Range<usize>) -> usize {
        let Some(rest) = self.effort.checked_sub(seeming.len()) else { return text.len() };
        self.effort = rest;
        match next_document(text, seeming.start) {
            Some(next) => next,
            None if !is_document(text, seeming.start) || is_document(text, skip_space(text, seeming.end)) => {
                seeming.end
            }
            None => text.len(),
        }
    }

    fn reject(
        &mut self,
        position: Option<u64>,
        reason: RejectReason,
        detail: impl Into<String>,
        raw: &[u8],
        visitor: &mut dyn Visitor,
    ) {
        self.position += u64::from(position.is_some());
        visitor.reject(Reject::new(position, reason, detail, raw));
    }

    /// Reads the records of an array whose elements start at `elements`, in the document that starts at `document`, and
    /// answers where the document ends.
    fn array(&mut self, text: &[u8], document: usize, elements: usize, visitor: &mut dyn Visitor) -> usize {
        let mut at = skip_space(text, elements);
        if let Some(end) = usual_end(text, document) {
            at = self.chunks(text, at, end, visitor);
            if at >= end {
                return text.len();
            }
        }
        let Some(end) = self.one_by_one(text, at, visitor) else { return text.len() };
        if text[document] == b'[' { end } else { self.members_behind(text, end, visitor) }
    }

    /// Passes over what stands behind the array `Records` in its object, and answers where the object ends. Where it is
    /// no object that goes on, what follows is left to be read as documents of its own: records may be among it.
    fn members_behind(&mut self, text: &[u8], at: usize, visitor: &mut dyn Visitor) -> usize {
        let at = skip_space(text, at);
        match text.get(at) {
            Some(b'}') => return at + 1,
            Some(b',') => {}
            Some(_) => return at,
            None => {
                let detail = "the text ends before the object of records does";
                visitor.reject(Reject::new(None, RejectReason::BrokenJson, detail, text));
                return at;
            }
        }
        let Some(end) = object_end(text, at) else { return at };
        // an object whose first member has no name that matters
        match self.classify(&[br#"{"":0"#, &text[at..end]].concat()) {
            Ok(Document::Other(what)) if what == NOT_AN_ARRAY => {}
            Ok(Document::Records(_)) => {}
            Ok(_) => return end,
            Err(_) => return at,
        }
        let detail = "Records stands in the object twice";
        visitor.reject(Reject::new(None, RejectReason::DuplicateMember, detail, &text[at..end]));
        end
    }

    /// The fast way: visits chunk after chunk of `text[at..end]` and answers where the first one that does not parse
    /// starts; `end` or more where all do.
    fn chunks(&mut self, text: &[u8], mut at: usize, end: usize, visitor: &mut dyn Visitor) -> usize {
        let cut = Cut::new(text.get(at..end).unwrap_or_default());
        while at < end {
            let (chunk_end, next) = cut.after(text, at, end, self.chunk);
            if self.records_of(&text[..chunk_end], at, visitor).is_err() {
                return at;
            }
            at = next;
        }
        at
    }

    /// The slow way: one element at a time, up to the array's end or the text's; answers where the array ends.
    fn one_by_one(&mut self, text: &[u8], start: usize, visitor: &mut dyn Visitor) -> Option<usize> {
        let cut = Cut::new(&text[start..]);
        let mut effort = text.len().saturating_mul(EFFORT);
        let (mut at, mut apart) = (start, true);
        loop {
            let (next, commas) = skip_commas(text, at);
            let ends = matches!(text.get(next), None | Some(b']'));
            apart &= commas == usize::from(at > start && !ends);
            at = next;
            if ends {
                break;
            }
            let end = value_end(text, at).unwrap_or(text.len());
            let Some(rest) = effort.checked_sub(end - at) else {
                let position = Some(self.position);
                self.reject(position, RejectReason::BrokenJson, "too broken to separate", &text[at..], visitor);
                return None;
            };
            effort = rest;
            at = self.element(text, at..end, &cut, visitor);
        }
        let whole = |detail| Reject::new(None, RejectReason::BrokenJson, detail, text);
        if at == text.len() {
            visitor.reject(whole("the text ends before the array of records does"));
            return None;
        }
        if !apart {
            visitor.reject(whole("the records are not separated by one comma each"));
        }
        Some(at + 1)
    }

    /// Reads one element and answers where it ends. Where it does not parse and the beginning of another record stands
    /// in it, a broken string or bracket has swallowed that one: only the part before it is given up.
    fn element(&mut self, text: &[u8], range: Range<usize>, cut: &Cut, visitor: &mut dyn Visitor) -> usize {
        let mut end = range.end;
        if self.classify(&text[range.clone()]).is_err()
            && let Some(found) = cut.find(&text[range.clone()])
        {
            end = range.start + found + 1;
        }
        self.one(text, range.start..end, visitor);
        end
    }

    /// Reads one value that should be a record.
    fn one(&mut self, text: &[u8], range: Range<usize>, visitor: &mut dyn Visitor) {
        let raw = &text[range.clone()];
        let position = Some(self.position);
        match self.records_of(&text[..range.end], range.start, visitor) {
            Ok(()) => {}
            Err(Failure::Irregular) => {
                self.reject(
                    position,
                    RejectReason::NotAnObject,
                    "the record is not an object with members",
                    raw,
                    visitor,
                );
            }
            Err(Failure::Json(error)) => self.reject(position, reason(&error), error.to_string(), raw, visitor),
        }
    }

    /// Parses the comma-separated records of `text[at..]` and visits them.
    fn records_of(&mut self, text: &[u8], at: usize, visitor: &mut dyn Visitor) -> Result<(), Failure> {
        let text = &text[at..];
        let length = fill_copy(&mut self.copy, text);
        let base = self.copy.as_ptr() as usize + 1;
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let mut result =
            simd_json::fill_tape_padded(&mut self.copy, length, &mut self.buffers, &mut tape).map_err(Failure::Json);
        if result.is_ok() {
            let index = Index { order: &mut self.order, records: &mut self.records, unknown: &mut self.unknown };
            let regular = index.build(&tape.0, self.position);
            let mut chunk = Chunk { text, nodes: &tape.0, base, records: &[], unknown: &self.unknown };
            if regular && locate(&chunk, &mut self.records) {
                chunk.records = &self.records;
                self.position += self.records.len() as u64;
                visitor.chunk(&chunk);
            } else {
                result = Err(Failure::Irregular);
            }
        }
        self.tape = tape.reset();
        result
    }

    /// What a top-level value is.
    fn classify(&mut self, raw: &[u8]) -> Result<Document, simd_json::Error> {
        let length = fill_copy(&mut self.copy, raw);
        let base = self.copy.as_ptr() as usize + 1;
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let result = simd_json::fill_tape_padded(&mut self.copy, length, &mut self.buffers, &mut tape)
            .map(|()| Document::of(&tape.0, raw, base));
        self.tape = tape.reset();
        result
    }
}

/// Copies text into `[text]` with the padding that simd-json wants, and answers the length without padding.
fn fill_copy(copy: &mut Vec<u8>, text: &[u8]) -> usize {
    copy.clear();
    copy.push(b'[');
    copy.extend_from_slice(text);
    copy.push(b']');
    let length = copy.len();
    copy.resize(length + INPUT_PADDING, b' ');
    length
}

enum Failure {
    /// The JSON is broken.
    Json(simd_json::Error),
    /// An element is not an object with members.
    Irregular,
}

fn reason(error: &simd_json::Error) -> RejectReason {
    match error.error() {
        simd_json::ErrorType::DepthLimitExceeded => RejectReason::TooDeep,
        _ => RejectReason::BrokenJson,
    }
}

/// Why an object with a member `Records` may hold none.
const NOT_AN_ARRAY: &str = "Records is not an array";

/// What a top-level value turned out to be; ranges are those of its text.
enum Document {
    Record,
    Detail(Range<usize>),
    Records(Range<usize>),
    Other(&'static str),
}

impl Document {
    fn of(nodes: &[Node<'_>], raw: &[u8], base: usize) -> Self {
        let Some(Node::Object { len, .. }) = nodes.get(1) else {
            return Self::Other("the value is neither an object nor an array");
        };
        let mut at = 2;
        let mut kind = Self::Other("the object has neither Records nor a record's members");
        for _ in 0..*len {
            let (Node::String(name), value) = (&nodes[at], &nodes[at + 1]) else { break };
            let range = || member_range(raw, name.as_ptr() as usize - base - 1);
            match (*name, value) {
                ("Records", Node::Array { .. }) => return Self::Records(range()),
                ("Records", _) => return Self::Other(NOT_AN_ARRAY),
                ("detail", Node::Object { .. }) => return Self::Detail(range()),
                ("eventTime" | "eventVersion" | "eventName" | "eventID", _) => kind = Self::Record,
                _ => {}
            }
            at += 1 + width(value);
        }
        kind
    }
}

/// Text range of the value behind the key whose opening quote is at `quote`.
fn member_range(raw: &[u8], quote: usize) -> Range<usize> {
    let colon = skip_space(raw, string_end(raw, quote).unwrap_or(raw.len()));
    let start = skip_space(raw, (colon + 1).min(raw.len()));
    start..value_end(raw, start).unwrap_or(raw.len())
}

/// Where the elements of an array of records start, if the document at `at` is a bare array, or an object whose first
/// member is the array `Records`.
fn elements_start(text: &[u8], at: usize) -> Option<usize> {
    match text[at] {
        b'[' => Some(at + 1),
        b'{' => {
            let name = skip_space(text, at + 1);
            let colon = skip_space(text, name + text[name..].strip_prefix(b"\"Records\"").map(|_| 9)?);
            let bracket = skip_space(text, colon + text[colon..].strip_prefix(b":").map(|_| 1)?);
            (text.get(bracket) == Some(&b'[')).then_some(bracket + 1)
        }
        _ => None,
    }
}

/// Where the elements end, if the document is the last of the text and the array the last of the document.
fn usual_end(text: &[u8], document: usize) -> Option<usize> {
    let mut end = trim_end(text, text.len());
    if text[document] == b'{' {
        end = trim_end(text, text[..end].strip_suffix(b"}")?.len());
    }
    Some(trim_end(text, text[..end].strip_suffix(b"]")?.len()))
}

/// Finds where a record seems to begin behind another: `},` and the head of the first record, up to its first key.
struct Cut(Option<Finder<'static>>);

impl Cut {
    fn new(elements: &[u8]) -> Self {
        let key = skip_space(elements, 1.min(elements.len()));
        let head = match elements.first() {
            Some(b'{') if elements.get(key) == Some(&b'"') => string_end(elements, key).map(|end| &elements[..end]),
            _ => None,
        };
        Self(head.map(|head| Finder::new(&[b"},", head].concat()).into_owned()))
    }

    /// Index of the brace that ends the record before the cut.
    fn find(&self, text: &[u8]) -> Option<usize> {
        self.0.as_ref()?.find(text)
    }

    /// End of the chunk that starts at `at`, and start of the next one.
    fn after(&self, text: &[u8], at: usize, end: usize, chunk: usize) -> (usize, usize) {
        let from = (at + chunk).min(end);
        self.find(&text[from..end]).map_or((end, end), |found| (from + found + 1, from + found + 2))
    }
}

/// Makes the records' slots from a tape.
struct Index<'p> {
    order: &'p mut MemberOrder,
    records: &'p mut Vec<Slots>,
    unknown: &'p mut Vec<u32>,
}

impl Index<'_> {
    /// False where an element is not an object with members (or there is none): the slow way then says which.
    fn build(self, nodes: &[Node<'_>], first_position: u64) -> bool {
        self.records.clear();
        self.unknown.clear();
        let mut at = 1;
        while at < nodes.len() {
            let Node::Object { len, .. } = nodes[at] else { return false };
            let end = at + width(&nodes[at]);
            if len == 0 {
                return false;
            }
            let position = first_position + self.records.len() as u64;
            let mut slots = Slots::new(position, end as u32, self.unknown.len());
            let mut key = at + 1;
            for ordinal in 0..len {
                let Node::String(name) = nodes[key] else { return false };
                match self.order.member(ordinal, name) {
                    Some(member) => slots.set(member, key as u32),
                    None => self.unknown.push(key as u32),
                }
                key += 1 + width(&nodes[key + 1]);
            }
            slots.unknown.end = self.unknown.len();
            self.records.push(slots);
            at = end;
        }
        !self.records.is_empty()
    }
}

/// Notes each record's range of the text. False where the addresses of the tape's strings do not lead back to keys of
/// the text (no known version of simd-json does that; the slow way would reject the records, not corrupt them).
fn locate(chunk: &Chunk<'_>, records: &mut [Slots]) -> bool {
    let text = chunk.text;
    let mut end = trim_end(text, text.len());
    let mut first_key = 2;
    let mut starts = Vec::with_capacity(records.len());
    for slots in records.iter() {
        let Node::String(name) = chunk.nodes[first_key] else { return false };
        let quote = chunk.offset(name).wrapping_sub(1);
        if text.get(quote) != Some(&b'"') {
            return false;
        }
        starts.push(trim_end(text, quote) - 1);
        first_key = slots.tape_end as usize + 1;
    }
    for (slots, &start) in records.iter_mut().zip(&starts).rev() {
        slots.range = start..end;
        // back over white space, the comma, and white space
        end = trim_end(text, trim_end(text, start).saturating_sub(1));
    }
    true
}

/// Which member of `schema::RECORD` stands at which place of a record. CloudTrail writes the records of a service in
/// the same order again and again, so the guess is nearly always right and saves the search.
struct MemberOrder {
    by_ordinal: Vec<u8>,
}

impl Default for MemberOrder {
    fn default() -> Self {
        Self { by_ordinal: (0..RECORD.len() as u8).collect() }
    }
}

impl MemberOrder {
    fn member(&mut self, ordinal: usize, name: &str) -> Option<usize> {
        if let Some(&guess) = self.by_ordinal.get(ordinal)
            && RECORD[usize::from(guess)].json == name
        {
            return Some(usize::from(guess));
        }
        let member = RECORD.iter().position(|member| member.json == name)?;
        if let Some(place) = self.by_ordinal.get_mut(ordinal) {
            *place = member as u8;
        }
        Some(member)
    }
}

#[cfg(test)]
mod tests;
