//! Columns of nested members: a struct (`userIdentity`), or a list of structs (`resources`).
//!
//! Owns: the flattening of a nested value into entries of its leaves. The same identity stands in thousands of records,
//! byte for byte: a value is flattened when its text is seen first, and from then on found by its text.
//! Invariant: memory is bounded by the row group: at most one flattened value for each row.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::column::Fit;
use super::dictionary::{Dictionary, FIRST_NULL, NULL, null_at};
use super::leaf::{Entries, Leaf, Values};
use super::order::Order;
use crate::parse::{Tree, Value};
use crate::schema::{Kind, Member};

/// Longest text of a nested value that is kept to be found again, in bytes.
const MAX_KNOWN_TEXT: usize = 4096;

/// A flattened value.
#[derive(Clone)]
struct Known {
    text: Range<usize>,
    /// Index of its first item; items of a group lie one after another.
    first: u32,
    items: u32,
    fit: Fit,
    note: Note,
}

/// What the user of a group derived from a value: a code of another column.
#[derive(Clone, Copy)]
pub(super) enum Note {
    /// Nothing yet.
    None,
    /// This.
    Made(u32),
}

/// Id of the absent value.
const ABSENT: u32 = 0;

/// A column of nested values.
pub(super) struct Group {
    shape: Shape,
    in_list: bool,
    /// One dictionary for each leaf.
    leaves: Vec<Dictionary>,
    /// For each item one entry for each leaf.
    entries: Vec<u32>,
    known: Vec<Known>,
    texts: Vec<u8>,
    table: HashTable<u32>,
    hasher: RandomState,
    rows: Vec<u32>,
}

impl Group {
    pub(super) fn of_struct(members: &'static [Member]) -> Self {
        Self::new(members, false)
    }

    pub(super) fn of_list(members: &'static [Member]) -> Self {
        Self::new(members, true)
    }

    fn new(members: &'static [Member], in_list: bool) -> Self {
        let shape = Shape::of(members, 0);
        let leaves = (0..shape.leaves.len()).map(|_| Dictionary::default()).collect();
        let mut group = Self {
            shape,
            in_list,
            leaves,
            entries: Vec::new(),
            known: Vec::new(),
            texts: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::default(),
            rows: Vec::new(),
        };
        group.know_absence();
        group
    }

    fn know_absence(&mut self) {
        self.entries.resize(self.leaves.len(), NULL);
        self.known.push(Known { text: 0..0, first: 0, items: 1, fit: Fit::Exact, note: Note::None });
    }

    pub(super) fn push_null(&mut self) {
        self.rows.push(ABSENT);
    }

    pub(super) fn push(&mut self, value: Value<'_>) -> Fit {
        let text = value.raw_bytes();
        let hash = self.hasher.hash_one(text);
        let Self { table, known, texts, .. } = self;
        let found = table.find(hash, |&id| &texts[known[id as usize].text.clone()] == text);
        let id = match found {
            Some(&id) => id,
            None => self.learn(text, hash, value.tree()),
        };
        self.rows.push(id);
        self.known[id as usize].fit
    }

    /// The note on the value of the last row, where it has one.
    pub(super) fn note(&mut self) -> Option<&mut Note> {
        let id = *self.rows.last()?;
        (id != ABSENT).then(|| &mut self.known[id as usize].note)
    }

    fn learn(&mut self, text: &[u8], hash: u64, tree: Tree<'_>) -> u32 {
        let first = (self.entries.len() / self.leaves.len()) as u32;
        let fit = if self.in_list { self.add_list(tree) } else { self.add_item(Some(tree), 0) };
        let items = (self.entries.len() / self.leaves.len()) as u32 - first;
        let start = self.texts.len();
        let id = self.known.len() as u32;
        if text.len() <= MAX_KNOWN_TEXT {
            self.texts.extend_from_slice(text);
        }
        self.known.push(Known { text: start..self.texts.len(), first, items, fit, note: Note::None });
        if text.len() <= MAX_KNOWN_TEXT {
            let Self { table, known, texts, hasher, .. } = self;
            table.insert_unique(hash, id, |&id| hasher.hash_one(&texts[known[id as usize].text.clone()]));
        }
        id
    }

    /// Levels of a list: 0 no list, 1 an empty one, 2 an item that is no object, 3 an item.
    fn add_list(&mut self, tree: Tree<'_>) -> Fit {
        let Some(items) = tree.elements() else { return self.add_item(None, 0) };
        let mut fit = Fit::Exact;
        let mut empty = true;
        for item in items {
            empty = false;
            fit = fit.and(self.add_item(Some(item), 2));
        }
        if empty {
            self.add_item(None, 1);
        }
        fit
    }

    /// Adds an item whose absence is an absence at `level`.
    fn add_item(&mut self, tree: Option<Tree<'_>>, level: u32) -> Fit {
        let start = self.entries.len();
        self.entries.resize(start + self.leaves.len(), null_at(level));
        let Some(tree) = tree else { return Fit::Loose };
        fill(&mut self.shape, &mut self.leaves, &mut self.entries[start..], tree, level)
    }

    pub(super) fn memory(&self) -> usize {
        let leaves: usize = self.leaves.iter().map(Dictionary::memory).sum();
        let known = self.known.len() * (size_of::<Known>() + 8);
        leaves + known + self.texts.len() + (self.entries.len() + self.rows.len()) * 4
    }

    /// Makes the order in which rows with the same value stand together, values in the order in which they came.
    pub(super) fn sort(&self, order: &mut Order) {
        order.sort(&self.rows, self.known.len());
    }

    pub(super) fn arrange(&mut self, order: &mut Order) {
        order.apply(&mut self.rows);
    }

    pub(super) fn clear(&mut self) {
        self.leaves.iter_mut().for_each(Dictionary::clear);
        self.entries.clear();
        self.known.clear();
        self.texts.clear();
        self.table.clear();
        self.rows.clear();
        self.know_absence();
    }

    pub(super) fn visit<E>(&self, visit: &mut dyn FnMut(Leaf<'_>) -> Result<(), E>) -> Result<(), E> {
        let row_ends = self.in_list.then(|| self.row_ends());
        // the absent value is always known, but need not be in any row
        let unused = if self.rows.contains(&ABSENT) { 0 } else { 1 };
        let mut scratch = Vec::new();
        for (index, dictionary) in self.leaves.iter().enumerate() {
            let entries = self.entries_of(index, unused, &mut scratch);
            visit(Leaf { entries, values: Values::Dictionary(dictionary), row_ends: row_ends.as_deref() })?;
        }
        Ok(())
    }

    fn row_ends(&self) -> Vec<u32> {
        let mut end = 0;
        let counts = self.rows.iter().map(|&id| self.known[id as usize].items);
        counts
            .map(|count| {
                end += count;
                end
            })
            .collect()
    }

    /// The entries of a leaf, row by row. Where all values lack it in the same way, nothing needs to be spread out.
    fn entries_of<'s>(&self, leaf: usize, unused: usize, scratch: &'s mut Vec<u32>) -> Entries<'s> {
        let width = self.leaves.len();
        let of_leaf = self.entries.iter().skip(leaf).step_by(width).copied();
        let mut used = of_leaf.clone().skip(unused);
        let first = used.next().unwrap_or(NULL);
        if !self.in_list && first >= FIRST_NULL && used.all(|entry| entry == first) {
            return Entries::Same(first, self.rows.len());
        }
        scratch.clear();
        if self.in_list {
            for &id in &self.rows {
                let Known { first, items, .. } = self.known[id as usize];
                scratch.extend((first..first + items).map(|item| self.entries[item as usize * width + leaf]));
            }
        } else {
            // a struct has one item, so that its items are numbered as its values are
            let by_id: Vec<u32> = of_leaf.collect();
            scratch.extend(self.rows.iter().map(|&id| by_id[id as usize]));
        }
        Entries::Each(scratch)
    }
}

/// Where the members of an object are among the leaves.
struct Shape {
    members: &'static [Member],
    /// The leaves of all members together.
    leaves: Range<usize>,
    children: Vec<Child>,
    /// Which member stood at which place of the last object: the guess is nearly always right.
    order: Vec<u8>,
}

enum Child {
    Leaf(usize),
    Struct(Shape),
}

impl Shape {
    /// # Panics
    /// Where a struct holds what the schema has no nested column for.
    fn of(members: &'static [Member], first: usize) -> Self {
        let mut next = first;
        let child = |member: &'static Member| match member.kind {
            Kind::Text | Kind::Json => {
                next += 1;
                Child::Leaf(next - 1)
            }
            Kind::Struct(members) => {
                let shape = Self::of(members, next);
                next = shape.leaves.end;
                Child::Struct(shape)
            }
            Kind::Boolean | Kind::Time | Kind::List(_) => panic!("{} cannot be nested", member.json),
        };
        let children = members.iter().map(child).collect();
        Self { members, leaves: first..next, children, order: (0..members.len() as u8).collect() }
    }

    fn member(&mut self, place: usize, name: &str) -> Option<usize> {
        if let Some(&guess) = self.order.get(place)
            && self.members[usize::from(guess)].json == name
        {
            return Some(usize::from(guess));
        }
        let index = self.members.iter().position(|member| member.json == name)?;
        if let Some(guess) = self.order.get_mut(place) {
            *guess = index as u8;
        }
        Some(index)
    }
}

/// Writes an object's entries; `level` is that of its absence.
fn fill(shape: &mut Shape, leaves: &mut [Dictionary], entries: &mut [u32], tree: Tree<'_>, level: u32) -> Fit {
    let Some(given) = tree.members() else { return Fit::Loose };
    entries[shape.leaves.clone()].fill(null_at(level + 1));
    let mut filled = 0u32;
    let mut fit = Fit::Exact;
    for (place, (name, value)) in given.enumerate() {
        let fresh = shape.member(place, name).filter(|index| filled & (1 << index) == 0);
        let Some(index) = fresh else {
            fit = Fit::Loose;
            continue;
        };
        filled |= 1 << index;
        let kind = &shape.members[index].kind;
        fit = fit.and(match &mut shape.children[index] {
            Child::Struct(child) => fill(child, leaves, entries, value, level + 1),
            Child::Leaf(leaf) => {
                let (code, fit) = leaf_value(&mut leaves[*leaf], kind, value);
                entries[*leaf] = code.unwrap_or(null_at(level + 1));
                fit
            }
        });
    }
    fit
}

fn leaf_value(dictionary: &mut Dictionary, kind: &Kind, value: Tree<'_>) -> (Option<u32>, Fit) {
    match kind {
        Kind::Json => {
            text_map(value).map_or((None, Fit::Loose), |(text, fit)| (Some(dictionary.intern(text.as_bytes())), fit))
        }
        _ => (value.as_str().map(|text| dictionary.intern(text.as_bytes())), Fit::of(value.as_str().is_some())),
    }
}

/// A nested object of strings as JSON text. The tape knows where a record's own members stand in the text, but not
/// those deeper down, so this one is written anew; anything but strings does not fit.
fn text_map(value: Tree<'_>) -> Option<(String, Fit)> {
    let mut map = serde_json::Map::new();
    let mut exact = true;
    for (name, value) in value.members()? {
        match value.as_str() {
            Some(text) => exact &= map.insert(name.to_owned(), text.into()).is_none(),
            None => exact = false,
        }
    }
    Some((serde_json::Value::Object(map).to_string(), Fit::of(exact)))
}
