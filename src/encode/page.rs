//! One data page of a leaf column.
//!
//! Owns: levels and values in Parquet's form (data page version 1, which every reader knows).

use parquet::basic::Encoding;

use super::hybrid::{self, width};
use super::lengths;
use crate::batch::dictionary::{FIRST_NULL, NULL};

/// How the values of a column chunk are written.
#[derive(Clone, Copy)]
pub(super) enum Form<'c> {
    /// Codes of a dictionary page, of so many bits.
    Codes(u8),
    /// Texts of a dictionary, one after another; the dictionary itself is not written.
    Spelled(&'c crate::batch::dictionary::Dictionary),
    /// Texts that stand one after another already.
    Texts(&'c [u8]),
    /// Instants of a dictionary, eight bytes each: neighbours share most of their bytes, which zstd finds and which codes hide.
    Instants(&'c crate::batch::dictionary::Dictionary),
    /// Booleans.
    Bits,
}

impl Form<'_> {
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Self::Codes(_) => Encoding::RLE_DICTIONARY,
            Self::Spelled(_) | Self::Texts(_) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Self::Instants(_) | Self::Bits => Encoding::PLAIN,
        }
    }
}

/// Levels of a leaf.
#[derive(Clone, Copy)]
pub(super) struct Levels {
    /// Definition level of a value.
    pub(super) definition: u32,
    /// Repetition level of a list's second item; 0 outside lists.
    pub(super) repetition: u32,
}

/// Builds pages, with memory that is reused from page to page.
#[derive(Default)]
pub(super) struct PageBuilder {
    /// The page, not compressed.
    pub(super) bytes: Vec<u8>,
    values: Vec<u32>,
    levels: Vec<u32>,
}

impl PageBuilder {
    /// Starts a page with its levels and answers how many of the entries are values. `row_ends` are the ends of the
    /// page's rows in `entries`, for a leaf in a list.
    pub(super) fn levels(&mut self, entries: &[u32], row_ends: Option<&[u32]>, levels: Levels) -> usize {
        self.bytes.clear();
        if let Some(ends) = row_ends {
            self.repetition(entries.len(), ends, levels.repetition);
        }
        let absent = entries.iter().filter(|&&entry| entry >= FIRST_NULL).count();
        if levels.definition > 0 {
            self.definition(entries, absent, levels.definition);
        }
        self.values.clear();
        if absent == 0 {
            self.values.extend_from_slice(entries);
        } else if absent < entries.len() {
            self.values.extend(entries.iter().copied().filter(|&entry| entry < FIRST_NULL));
        }
        entries.len() - absent
    }

    /// Starts a page of which all entries lack the value in the same way.
    pub(super) fn absence(&mut self, mark: u32, count: usize, levels: Levels) {
        self.bytes.clear();
        self.values.clear();
        self.prefixed(|_, bytes| hybrid::run(NULL - mark, count, width(levels.definition), bytes));
    }

    fn definition(&mut self, entries: &[u32], absent: usize, value: u32) {
        let first = entries.first().copied().unwrap_or(0);
        let same = absent == 0 || absent == entries.len() && entries.iter().all(|&entry| entry == first);
        let level = |entry: u32| if entry >= FIRST_NULL { NULL - entry } else { value };
        self.levels.clear();
        if !same {
            self.levels.extend(entries.iter().map(|&entry| level(entry)));
        }
        self.prefixed(|levels, bytes| match same {
            true => hybrid::run(level(first), entries.len(), width(value), bytes),
            false => hybrid::encode(levels, width(value), bytes),
        });
    }

    fn repetition(&mut self, count: usize, row_ends: &[u32], level: u32) {
        self.levels.clear();
        self.levels.resize(count, level);
        let first = row_ends.first().map_or(0, |&end| end as usize);
        let base = row_ends.last().map_or(0, |&end| end as usize) - count;
        debug_assert!(first >= base);
        self.levels[0] = 0;
        for &end in &row_ends[..row_ends.len() - 1] {
            self.levels[end as usize - base] = 0;
        }
        self.prefixed(|levels, bytes| hybrid::encode(levels, width(level), bytes));
    }

    /// Levels stand behind their length in four bytes.
    fn prefixed(&mut self, write: impl FnOnce(&[u32], &mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&self.levels, &mut self.bytes);
        let length = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Appends the values; `text` is where those of `Form::Texts` start, and moves on.
    pub(super) fn values(&mut self, form: Form<'_>, text: &mut usize) {
        let Self { bytes, values, .. } = self;
        match form {
            Form::Codes(bits) => {
                bytes.push(bits);
                hybrid::encode(values, bits, bytes);
            }
            Form::Bits => hybrid::pack(values, 1, bytes),
            Form::Instants(dictionary) => values.iter().for_each(|&code| bytes.extend_from_slice(dictionary.get(code))),
            Form::Texts(texts) => {
                lengths::encode(values, bytes);
                let length: usize = values.iter().map(|&length| length as usize).sum();
                bytes.extend_from_slice(&texts[*text..*text + length]);
                *text += length;
            }
            Form::Spelled(dictionary) => {
                let codes = std::mem::take(values);
                values.extend(codes.iter().map(|&code| dictionary.get(code).len() as u32));
                lengths::encode(values, bytes);
                codes.iter().for_each(|&code| bytes.extend_from_slice(dictionary.get(code)));
            }
        }
    }

    /// The page's values as codes, for their statistics.
    pub(super) fn codes(&self) -> &[u32] {
        &self.values
    }
}
