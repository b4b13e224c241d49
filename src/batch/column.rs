//! Columns of a record's own members.
//!
//! Owns: which JSON value fits which column. A value that does not fit is NULL in its column and stands in `extra`.

use super::dictionary::{Dictionary, FIRST_NULL, NULL};
use super::group::Group;
use super::leaf::{Leaf, Values};
use super::order::Order;
use super::time;
use crate::parse::{Tree, Value};
use crate::schema::{Kind, Member};

/// Whether a column holds all of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The value can be given back exactly from its column.
    Exact,
    /// Something does not fit the column.
    Loose,
}

impl Fit {
    pub(super) fn of(exact: bool) -> Self {
        if exact { Self::Exact } else { Self::Loose }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self::of(self == Self::Exact && other == Self::Exact)
    }
}

/// A column whose values repeat: a code for each row.
#[derive(Default)]
pub(super) struct Codes {
    pub(super) dictionary: Dictionary,
    pub(super) codes: Vec<u32>,
}

impl Codes {
    pub(super) fn push(&mut self, value: Option<&[u8]>) {
        let code = value.map_or(NULL, |value| self.dictionary.intern(value));
        self.codes.push(code);
    }

    pub(super) fn leaf(&self) -> Leaf<'_> {
        Leaf::flat(&self.codes, Values::Dictionary(&self.dictionary))
    }

    pub(super) fn arrange(&mut self, order: &mut Order) {
        order.apply(&mut self.codes);
    }

    /// Numbers the values as the rows of `order` name them; see [`Dictionary::renumber`].
    pub(super) fn renumber(&mut self, order: &Order, spare: &mut Vec<u8>) {
        let numbers = self.dictionary.renumber(order.rows().map(|row| self.codes[row]), spare);
        for code in self.codes.iter_mut().filter(|code| **code < FIRST_NULL) {
            *code = numbers[*code as usize];
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.dictionary.memory() + self.codes.len() * 4
    }

    pub(super) fn clear(&mut self) {
        self.dictionary.clear();
        self.codes.clear();
    }
}

/// A column whose values hardly repeat: the values one after another, and a length for each row.
#[derive(Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

impl Texts {
    pub(super) fn push(&mut self, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.lengths.push(value.map_or(NULL, |value| value.len() as u32));
    }

    pub(super) fn leaf(&self) -> Leaf<'_> {
        Leaf::flat(&self.lengths, Values::Texts(&self.bytes))
    }

    pub(super) fn arrange(&mut self, order: &mut Order, spare: &mut Vec<u8>) {
        order.apply_to_texts(&mut self.bytes, &mut self.lengths, spare);
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.lengths.len() * 4
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }
}

/// A column under construction.
pub(super) enum Column {
    Codes(Codes),
    Texts(Texts),
    /// 0, 1 or NULL.
    Bits(Vec<u32>),
    /// Microseconds since 1970, as eight bytes each.
    Time(Codes),
    Group(Box<Group>),
}

impl Column {
    pub(super) fn new(member: &'static Member, unique: bool) -> Self {
        match member.kind {
            Kind::Text | Kind::Json if unique => Self::Texts(Texts::default()),
            Kind::Text | Kind::Json => Self::Codes(Codes::default()),
            Kind::Boolean => Self::Bits(Vec::new()),
            Kind::Time => Self::Time(Codes::default()),
            Kind::Struct(members) => Self::Group(Box::new(Group::of_struct(members))),
            Kind::List(members) => Self::Group(Box::new(Group::of_list(members))),
        }
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Codes(column) | Self::Time(column) => column.push(None),
            Self::Texts(column) => column.push(None),
            Self::Bits(column) => column.push(NULL),
            Self::Group(group) => group.push_null(),
        }
    }

    fn push_text(&mut self, value: Option<&[u8]>) {
        match self {
            Self::Codes(column) => column.push(value),
            Self::Texts(column) => column.push(value),
            _ => unreachable!("texts have columns of texts"),
        }
    }

    /// Appends a value, or NULL where it is of another type.
    pub(super) fn push(&mut self, kind: &Kind, value: Value<'_>) -> Fit {
        match (self, kind) {
            (Self::Group(group), _) => group.push(value),
            (Self::Bits(column), _) => push_boolean(column, value.tree()),
            (Self::Time(column), _) => push_time(column, value.tree()),
            (column, Kind::Json) if value.tree().is_null() => {
                column.push_null();
                Fit::Loose
            }
            (column, Kind::Json) => {
                column.push_text(Some(value.raw_bytes()));
                Fit::Exact
            }
            (column, _) => {
                let text = value.tree().as_str();
                column.push_text(text.map(str::as_bytes));
                Fit::of(text.is_some())
            }
        }
    }

    /// Bytes of memory that the rows take.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Codes(column) | Self::Time(column) => column.memory(),
            Self::Texts(column) => column.memory(),
            Self::Bits(column) => column.len() * 4,
            Self::Group(group) => group.memory(),
        }
    }

    /// Puts the rows into another order; texts by way of `spare`.
    pub(super) fn arrange(&mut self, order: &mut Order, spare: &mut Vec<u8>) {
        match self {
            Self::Codes(column) | Self::Time(column) => column.arrange(order),
            Self::Texts(column) => column.arrange(order, spare),
            Self::Bits(column) => order.apply(column),
            Self::Group(group) => group.arrange(order),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Codes(column) | Self::Time(column) => column.clear(),
            Self::Texts(column) => column.clear(),
            Self::Bits(column) => column.clear(),
            Self::Group(group) => group.clear(),
        }
    }

    /// Visits the column's leaves in the order of the schema.
    pub(super) fn visit<E>(&self, visit: &mut dyn FnMut(Leaf<'_>) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Codes(column) => visit(column.leaf()),
            Self::Time(column) => visit(Leaf::flat(&column.codes, Values::Instants(&column.dictionary))),
            Self::Texts(column) => visit(column.leaf()),
            Self::Bits(column) => visit(Leaf::flat(column, Values::Bits)),
            Self::Group(group) => group.visit(visit),
        }
    }
}

/// Some services write booleans as strings; they are understood, and their text is kept.
fn push_boolean(column: &mut Vec<u32>, value: Tree<'_>) -> Fit {
    let spelled = match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    column.push(value.as_bool().or(spelled).map_or(NULL, u32::from));
    Fit::of(value.as_bool().is_some())
}

fn push_time(column: &mut Codes, value: Tree<'_>) -> Fit {
    let parsed = value.as_str().and_then(time::parse);
    column.push(parsed.map(|(micros, _)| micros.to_le_bytes()).as_ref().map(<[u8; 8]>::as_slice));
    Fit::of(matches!(parsed, Some((_, time::Form::Canonical))))
}
