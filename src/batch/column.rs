//! One Arrow column under construction, for any kind of member.
//!
//! Owns: JSON value -> column value, by `schema::Kind`.
//! Invariant: a value is stored so that it can be given back exactly, or `Fit::Loose` is answered and the caller keeps
//! its text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, ListArray, NullBufferBuilder, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};

use super::time;
use crate::parse::Tree;
use crate::schema::{Kind, Member, fields};

/// Whether a column holds all of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The value can be given back exactly from its column.
    Exact,
    /// Something does not fit the column.
    Loose,
}

impl Fit {
    fn of(exact: bool) -> Self {
        if exact { Self::Exact } else { Self::Loose }
    }

    fn and(self, other: Self) -> Self {
        Self::of(self == Self::Exact && other == Self::Exact)
    }
}

/// A column under construction.
pub(super) enum Column {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Struct(Struct),
    List(List),
}

impl Column {
    pub(super) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Struct(members) => Self::Struct(Struct::new(members)),
            Kind::List(members) => Self::List(List::new(members)),
        }
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Text(builder) => builder.append_nulls(count),
            Self::Boolean(builder) => builder.append_nulls(count),
            Self::Time(builder) => builder.append_nulls(count),
            Self::Struct(column) => column.append_nulls(count),
            Self::List(column) => column.append_nulls(count),
        }
    }

    /// Appends a value, or null where it is of another type.
    pub(super) fn append(&mut self, kind: &Kind, value: Tree<'_>) -> Fit {
        match (self, kind) {
            (Self::Text(builder), Kind::Json) => append_text_map(builder, value),
            (Self::Text(builder), _) => {
                builder.append_option(value.as_str());
                Fit::of(value.as_str().is_some())
            }
            (Self::Boolean(builder), _) => append_boolean(builder, value),
            (Self::Time(builder), _) => append_time(builder, value),
            (Self::Struct(column), _) => column.append(value),
            (Self::List(column), _) => column.append(value),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Struct(column) => Arc::new(column.finish()),
            Self::List(column) => Arc::new(column.finish()),
        }
    }
}

/// Some services write booleans as strings; they are understood, and their text is kept.
fn append_boolean(builder: &mut BooleanBuilder, value: Tree<'_>) -> Fit {
    let spelled = match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    builder.append_option(value.as_bool().or(spelled));
    Fit::of(value.as_bool().is_some())
}

fn append_time(builder: &mut TimestampMicrosecondBuilder, value: Tree<'_>) -> Fit {
    let parsed = value.as_str().and_then(time::parse);
    builder.append_option(parsed.map(|(micros, _)| micros));
    Fit::of(matches!(parsed, Some((_, time::Form::Canonical))))
}

/// A nested object of strings as JSON text. The tape knows where a record's own members stand in the text, but not
/// those deeper down, so this one is written anew; anything but strings does not fit.
fn append_text_map(builder: &mut StringBuilder, value: Tree<'_>) -> Fit {
    let Some(members) = value.members() else {
        builder.append_null();
        return Fit::Loose;
    };
    let mut map = serde_json::Map::new();
    let mut exact = true;
    for (name, value) in members {
        match value.as_str() {
            Some(text) => exact &= map.insert(name.to_owned(), text.into()).is_none(),
            None => exact = false,
        }
    }
    builder.append_value(serde_json::Value::Object(map).to_string());
    Fit::of(exact)
}

/// A struct column: one column per member, and which rows have an object at all (`{}` is not null).
pub(super) struct Struct {
    members: &'static [Member],
    columns: Vec<Column>,
    valid: NullBufferBuilder,
    /// Rows without an object that the columns of the members do not have yet. Most structs are absent from most
    /// records: their many columns take the nulls in one go.
    owed: usize,
    /// Which member stood at which place of the last object: the guess is nearly always right.
    order: Vec<u8>,
}

impl Struct {
    fn new(members: &'static [Member]) -> Self {
        let columns = members.iter().map(|member| Column::new(&member.kind)).collect();
        let order = (0..members.len() as u8).collect();
        Self { members, columns, valid: NullBufferBuilder::new(1024), owed: 0, order }
    }

    fn append_nulls(&mut self, count: usize) {
        self.owed += count;
        self.valid.append_n_nulls(count);
    }

    fn settle(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        if owed > 0 {
            self.columns.iter_mut().for_each(|column| column.append_nulls(owed));
        }
    }

    fn append(&mut self, value: Tree<'_>) -> Fit {
        let Some(given) = value.members() else {
            self.append_nulls(1);
            return Fit::Loose;
        };
        self.settle();
        let mut filled = 0u32;
        let mut fit = Fit::Exact;
        for (place, (name, value)) in given.enumerate() {
            match self.member(place, name) {
                Some(index) if filled & (1 << index) == 0 => {
                    filled |= 1 << index;
                    fit = fit.and(self.columns[index].append(&self.members[index].kind, value));
                }
                _ => fit = Fit::Loose,
            }
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            if filled & (1 << index) == 0 {
                column.append_nulls(1);
            }
        }
        self.valid.append_non_null();
        fit
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

    fn finish(&mut self) -> StructArray {
        self.settle();
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        StructArray::new(fields(self.members), columns, self.valid.finish())
    }
}

/// A list column of structs.
pub(super) struct List {
    items: Struct,
    lengths: Vec<usize>,
    valid: NullBufferBuilder,
}

impl List {
    fn new(members: &'static [Member]) -> Self {
        Self { items: Struct::new(members), lengths: Vec::new(), valid: NullBufferBuilder::new(1024) }
    }

    fn append_nulls(&mut self, count: usize) {
        self.lengths.extend(std::iter::repeat_n(0, count));
        self.valid.append_n_nulls(count);
    }

    fn append(&mut self, value: Tree<'_>) -> Fit {
        let Some(elements) = value.elements() else {
            self.append_nulls(1);
            return Fit::Loose;
        };
        let mut length = 0;
        let mut fit = Fit::Exact;
        for element in elements {
            fit = fit.and(self.items.append(element));
            length += 1;
        }
        self.lengths.push(length);
        self.valid.append_non_null();
        fit
    }

    fn finish(&mut self) -> ListArray {
        let items = self.items.finish();
        let offsets = OffsetBuffer::from_lengths(self.lengths.drain(..));
        let item = Field::new("item", DataType::Struct(fields(self.items.members)), true);
        ListArray::new(Arc::new(item), offsets, Arc::new(items), self.valid.finish())
    }
}
