//! Views of parsed records: typed values from the tape, raw text from the object.
//!
//! Owns: the way from a node of simd-json's tape back to the bytes it came from. simd-json unescapes in place, so the
//! tape is made from a copy; a string's address in the copy tells its offset in the untouched original, and from there
//! every member can be sliced out byte for byte: nothing is ever encoded again.

use std::ops::Range;

use simd_json::{Node, StaticNode};

use super::split::{skip_space, string_end, trim_end};
use crate::schema::RECORD;

/// "Absent": the tape's first node is the array around the records, never a member's key.
const ABSENT: u32 = 0;

/// Records parsed together: the text they stand in and the tape over it.
pub struct Chunk<'a> {
    pub(super) text: &'a [u8],
    pub(super) nodes: &'a [Node<'a>],
    /// Address of the copy's byte that stands for `text[0]`.
    pub(super) base: usize,
    pub(super) records: &'a [Slots],
    pub(super) unknown: &'a [u32],
}

/// Where one record's members are: tape indexes of their keys.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    /// Index of the record in its object.
    pub position: u64,
    /// The record in the chunk's text.
    pub range: Range<usize>,
    /// First tape node after the record.
    pub tape_end: u32,
    /// By member of `schema::RECORD`.
    pub known: [u32; RECORD.len()],
    /// Members without a column: a range of `Chunk::unknown`.
    pub unknown: Range<usize>,
    /// A known member that stands in the record twice.
    pub duplicate: Option<u8>,
}

impl Slots {
    pub(super) fn new(position: u64, tape_end: u32, unknown_start: usize) -> Self {
        let known = [ABSENT; RECORD.len()];
        Self { position, range: 0..0, tape_end, known, unknown: unknown_start..unknown_start, duplicate: None }
    }

    /// Notes where the key of a known member is; the second of the same name makes the record a duplicate.
    pub(super) fn set(&mut self, member: usize, key: u32) {
        if self.known[member] == ABSENT {
            self.known[member] = key;
        } else {
            self.duplicate = Some(member as u8);
        }
    }
}

impl<'a> Chunk<'a> {
    /// The records, in the order of the object.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(move |slots| Record { chunk: self, slots })
    }

    /// One record by its place in the chunk.
    pub fn record(&self, index: usize) -> Record<'_> {
        Record { chunk: self, slots: &self.records[index] }
    }

    /// Offset in the text of a string's first byte.
    pub(super) fn offset(&self, string: &str) -> usize {
        string.as_ptr() as usize - self.base
    }
}

/// Number of nodes a value takes on the tape.
pub(super) fn width(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        _ => 1,
    }
}

/// One record of a chunk.
#[derive(Clone, Copy)]
pub struct Record<'c> {
    chunk: &'c Chunk<'c>,
    slots: &'c Slots,
}

impl<'c> Record<'c> {
    /// Index of the record in its object, from 0.
    pub fn position(&self) -> u64 {
        self.slots.position
    }

    /// The record's text, byte for byte.
    pub fn raw(&self) -> &'c [u8] {
        &self.chunk.text[self.slots.range.clone()]
    }

    /// Name of a known member that stands in the record twice.
    pub fn duplicate_member(&self) -> Option<&'static str> {
        self.slots.duplicate.map(|member| RECORD[usize::from(member)].json)
    }

    /// A member that has a column, by its index in `schema::RECORD`.
    pub fn member(&self, index: usize) -> Option<Value<'c>> {
        let key = self.slots.known[index];
        (key != ABSENT).then(|| self.value(key))
    }

    /// Members that have no column: name and raw value.
    pub fn unknown(&self) -> impl Iterator<Item = (&'c str, &'c str)> {
        let keys = &self.chunk.unknown[self.slots.unknown.clone()];
        keys.iter().map(move |&key| (self.key(key), self.value(key).raw()))
    }

    fn key(&self, key: u32) -> &'c str {
        match &self.chunk.nodes[key as usize] {
            Node::String(text) => text,
            other => unreachable!("a key is a string, not {other:?}"),
        }
    }

    fn value(&self, key: u32) -> Value<'c> {
        let index = key as usize + 1;
        Value { record: *self, key, node: &self.chunk.nodes[index] }
    }

    /// Raw text of the value behind a key of the record itself: from after the colon to before the next key's comma,
    /// or to the record's closing brace.
    fn raw_value(&self, key: u32) -> &'c [u8] {
        let text = self.chunk.text;
        let next = key as usize + 1 + width(&self.chunk.nodes[key as usize + 1]);
        let end = if next < self.slots.tape_end as usize {
            let quote = self.chunk.offset(self.key(next as u32)) - 1;
            trim_end(text, quote) - 1
        } else {
            self.slots.range.end - 1
        };
        let start = skip_space(text, self.colon(key, end) + 1);
        &text[start..trim_end(text, end)]
    }

    /// Index of the colon behind a key. A name without escapes stands in the text as it does on the tape.
    fn colon(&self, key: u32, end: usize) -> usize {
        let text = self.chunk.text;
        let name = self.key(key).as_bytes();
        let start = self.chunk.offset(self.key(key));
        let plain = text[start..].strip_prefix(name).is_some_and(|rest| rest.starts_with(b"\":"));
        if plain && !name.contains(&b'\\') {
            return start + name.len() + 1;
        }
        string_end(text, start - 1).map_or(end, |after| skip_space(text, after))
    }
}

/// The value of a record's member.
#[derive(Clone, Copy)]
pub struct Value<'c> {
    record: Record<'c>,
    key: u32,
    node: &'c Node<'c>,
}

impl<'c> Value<'c> {
    /// The value as it stands in the record, byte for byte.
    pub fn raw(&self) -> &'c str {
        // the parser has checked the whole text; a slice between delimiters is UTF-8 as well
        std::str::from_utf8(self.raw_bytes()).unwrap_or_default()
    }

    /// The same, without a second look at its UTF-8.
    pub fn raw_bytes(&self) -> &'c [u8] {
        self.record.raw_value(self.key)
    }

    /// The value's node and what it contains.
    pub fn tree(&self) -> Tree<'c> {
        let start = self.key as usize + 1;
        Tree(&self.record.chunk.nodes[start..start + width(self.node)])
    }
}

/// A value on the tape, with all that it contains.
#[derive(Clone, Copy)]
pub struct Tree<'c>(&'c [Node<'c>]);

impl<'c> Tree<'c> {
    /// The string, unescaped.
    pub fn as_str(&self) -> Option<&'c str> {
        match self.0[0] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.0[0] {
            Node::Static(StaticNode::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// True for JSON null.
    pub fn is_null(&self) -> bool {
        matches!(self.0[0], Node::Static(StaticNode::Null))
    }

    /// Members of an object: name and value; `None` for anything else.
    pub fn members(&self) -> Option<impl Iterator<Item = (&'c str, Tree<'c>)>> {
        let Node::Object { len, .. } = self.0[0] else { return None };
        let nodes = self.0;
        let mut at = 1;
        Some((0..len).map(move |_| {
            let Node::String(name) = nodes[at] else { unreachable!("a key is a string") };
            let end = at + 1 + width(&nodes[at + 1]);
            let value = Tree(&nodes[at + 1..end]);
            at = end;
            (name, value)
        }))
    }

    /// Elements of an array; `None` for anything else.
    pub fn elements(&self) -> Option<impl Iterator<Item = Tree<'c>>> {
        let Node::Array { len, .. } = self.0[0] else { return None };
        let nodes = self.0;
        let mut at = 1;
        Some((0..len).map(move |_| {
            let end = at + width(&nodes[at]);
            let value = Tree(&nodes[at..end]);
            at = end;
            value
        }))
    }
}
