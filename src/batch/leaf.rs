//! What the encoder is handed: one leaf column of a row group.
//!
//! Owns: the message between the columns under construction and the file format, which never see each other.

use super::dictionary::Dictionary;

/// One leaf column: an entry for each row, or for each item of a row's list.
#[derive(Clone, Copy)]
pub struct Leaf<'c> {
    /// For each entry what `values` says, or the mark of an absence (`dictionary::null_at`).
    pub entries: Entries<'c>,
    /// What the entries mean.
    pub values: Values<'c>,
    /// For a leaf in a list, where each row's entries end.
    pub row_ends: Option<&'c [u32]>,
}

/// The entries of a leaf.
#[derive(Clone, Copy)]
pub enum Entries<'c> {
    /// One by one.
    Each(&'c [u32]),
    /// As many of the same.
    Same(u32, usize),
}

/// What a leaf's entries mean.
#[derive(Clone, Copy)]
pub enum Values<'c> {
    /// Codes of texts.
    Dictionary(&'c Dictionary),
    /// Codes of instants: microseconds since 1970, eight bytes, little endian.
    Instants(&'c Dictionary),
    /// Lengths of texts that stand one after another.
    Texts(&'c [u8]),
    /// 0 or 1.
    Bits,
}

impl<'c> Leaf<'c> {
    /// A leaf with an entry for each row.
    pub(super) fn flat(entries: &'c [u32], values: Values<'c>) -> Self {
        Self { entries: Entries::Each(entries), values, row_ends: None }
    }
}
