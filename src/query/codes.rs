//! Texts that repeat as they stand in a file.
//!
//! Owns: a column chunk's dictionary and, page by page, the codes of rows: no text of a row is made.
//! Refuses: columns of lists, and chunks of texts of which not every page is codes: the general reader reads those.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Encoding, LogicalType, TimeUnit, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::pages::Pages;

/// The code of a row that has no value.
pub(super) const NULL: u32 = u32::MAX;

/// The column (or the member of a struct) of that path in a row group, where it may be all codes.
pub(super) fn column<'g>(group: &'g RowGroupMetaData, path: &[String]) -> Option<&'g ColumnChunkMetaData> {
    let is_coded = |column: &&ColumnChunkMetaData| {
        column.column_type() == Type::BYTE_ARRAY && column.dictionary_page_offset().is_some()
    };
    find(group, path).filter(is_coded)
}

/// The column of that path in a row group, where it has microseconds since 1970, UTC.
pub(super) fn column_of_instants<'g>(group: &'g RowGroupMetaData, path: &[String]) -> Option<&'g ColumnChunkMetaData> {
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    find(group, path).filter(|column| column.column_descr().logical_type_ref() == Some(&micros))
}

fn find<'g>(group: &'g RowGroupMetaData, path: &[String]) -> Option<&'g ColumnChunkMetaData> {
    let found = group.columns().iter().find(|column| column.column_path().parts() == path)?;
    (found.column_descr().max_rep_level() == 0).then_some(found)
}

/// A column chunk under way.
pub(super) struct Codes {
    pages: Pages,
    dictionary: Bytes,
    entries: usize,
    deepest: u32,
    rows: usize,
    levels: Vec<u32>,
    codes: Vec<u32>,
}

impl Codes {
    /// Opens a chunk of so many rows; `None` where it does not begin with a dictionary.
    pub(super) fn open(mut pages: Pages, column: &ColumnChunkMetaData, rows: usize) -> Result<Option<Self>> {
        let Some(Page::DictionaryPage { buf, num_values, .. }) = pages.get_next_page()? else { return Ok(None) };
        let deepest = u32::try_from(column.column_descr().max_def_level()).unwrap_or_default();
        let (levels, codes) = (Vec::new(), Vec::new());
        Ok(Some(Self { pages, dictionary: buf, entries: num_values as usize, deepest, rows, levels, codes }))
    }

    /// The bytes of the dictionary, and where in them each entry's text stands; `None` where it is damaged.
    pub(super) fn dictionary(&self) -> Option<(&Bytes, Vec<Range<usize>>)> {
        let mut next = 0;
        let entry = |_| {
            let entry = entry(&self.dictionary, next)?;
            next = entry.end;
            Some(entry)
        };
        // a damaged page may claim any number of entries
        let entries = (0..self.entries.min(self.dictionary.len() / 4)).map(entry).collect::<Option<Vec<_>>>()?;
        (entries.len() == self.entries).then_some((&self.dictionary, entries))
    }

    /// Where the texts of some codes stand in the bytes of the dictionary, `None` for NULL; `None` where it is damaged.
    pub(super) fn find(&self, codes: &[u32]) -> Option<(&Bytes, Vec<Option<Range<usize>>>)> {
        let mut order: Vec<usize> = (0..codes.len()).filter(|place| codes[*place] != NULL).collect();
        order.sort_unstable_by_key(|place| codes[*place]);
        let mut found = vec![None; codes.len()];
        let (mut code, mut entry) = (0, entry(&self.dictionary, 0));
        for place in order {
            while code < codes[place] {
                entry = self::entry(&self.dictionary, entry?.end);
                code += 1;
            }
            found[place] = Some(entry.clone()?);
        }
        Some((&self.dictionary, found))
    }

    /// The codes of some rows, ranges of which are in order; `None` where a page has none, or all pages together not as many as
    /// there are rows. Pages without any of the rows are passed over.
    pub(super) fn read(&mut self, rows: &[Range<usize>]) -> Result<Option<Vec<u32>>> {
        let mut all = Vec::with_capacity(rows.iter().map(Range::len).sum());
        let mut start = 0;
        while let Some(page) = self.pages.peek_next_page()? {
            let end = start + page.num_rows.or(page.num_levels).unwrap_or_default();
            let of_page: Vec<_> = within(rows, start..end).map(|rows| rows.start - start..rows.end - start).collect();
            if of_page.is_empty() {
                self.pages.skip_next_page()?;
            } else if self.pages.get_next_page()?.and_then(|page| self.page(&page, &of_page, &mut all)).is_none() {
                return Ok(None);
            }
            start = end;
        }
        Ok((start == self.rows).then_some(all))
    }

    /// Appends the codes of some rows of a page.
    fn page(&mut self, page: &Page, rows: &[Range<usize>], all: &mut Vec<u32>) -> Option<()> {
        if !matches!(page.encoding(), Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) {
            return None;
        }
        let Parts { values, levels, codes } = parts(page, self.deepest)?;
        let last = rows.last().map_or(0, |rows| rows.end);
        (last <= values).then_some(())?;
        match only_run(levels, width(self.deepest), values) {
            _ if self.deepest == 0 => self.numbers(codes, rows, all),
            Some(level) if level == self.deepest => self.numbers(codes, rows, all),
            Some(_) => {
                all.extend(std::iter::repeat_n(NULL, rows.iter().map(Range::len).sum()));
                Some(())
            }
            None => self.sparse(levels, codes, rows, last, all),
        }
    }

    /// Appends the codes of rows of which some have none.
    fn sparse(
        &mut self,
        levels: &[u8],
        codes: &[u8],
        rows: &[Range<usize>],
        last: usize,
        all: &mut Vec<u32>,
    ) -> Option<()> {
        let mut all_levels = std::mem::take(&mut self.levels);
        all_levels.clear();
        hybrid(levels, width(self.deepest), std::slice::from_ref(&(0..last)), &mut all_levels)?;
        let is_there = |level: &&u32| **level == self.deepest;
        let (mut read, mut before) = (0, 0);
        let there: Vec<_> = rows
            .iter()
            .map(|rows| {
                let start = before + all_levels[read..rows.start].iter().filter(is_there).count();
                (read, before) = (rows.end, start + all_levels[rows.clone()].iter().filter(is_there).count());
                start..before
            })
            .collect();
        let mut numbers = std::mem::take(&mut self.codes);
        numbers.clear();
        self.numbers(codes, &there, &mut numbers)?;
        let mut codes = numbers.iter();
        let mut code = |level| if is_there(&level) { codes.next().copied() } else { None }.unwrap_or(NULL);
        rows.iter().for_each(|rows| all.extend(all_levels[rows.clone()].iter().map(&mut code)));
        (self.levels, self.codes) = (all_levels, numbers);
        Some(())
    }

    /// Appends some of the codes of a page.
    fn numbers(&self, codes: &[u8], wanted: &[Range<usize>], all: &mut Vec<u32>) -> Option<()> {
        let before = all.len();
        match codes.split_first() {
            Some((bits, packed)) => hybrid(packed, *bits, wanted, all)?,
            None => wanted.iter().all(Range::is_empty).then_some(())?,
        }
        // a code of no entry would be told as NULL otherwise
        all[before..].iter().all(|code| (*code as usize) < self.entries).then_some(())
    }
}

/// Where the text of an entry of a dictionary stands that begins at a place.
fn entry(dictionary: &[u8], at: usize) -> Option<Range<usize>> {
    let length = dictionary.get(at..)?.first_chunk::<4>()?;
    let start = at + 4;
    let end = start.checked_add(u32::from_le_bytes(*length) as usize)?;
    (end <= dictionary.len()).then_some(start..end)
}

/// What ranges, which are in order, have of another one.
pub(super) fn within(rows: &[Range<usize>], page: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = rows.partition_point(|rows| rows.end <= page.start);
    let of_page = rows[first..].iter().take_while(move |rows| rows.start < page.end);
    of_page.map(move |rows| rows.start.max(page.start)..rows.end.min(page.end))
}

/// A data page's definition levels and what follows them.
struct Parts<'a> {
    values: usize,
    levels: &'a [u8],
    codes: &'a [u8],
}

/// Takes a data page apart; `None` for any other page.
fn parts(page: &Page, deepest: u32) -> Option<Parts<'_>> {
    match page {
        Page::DataPage { buf, num_values, .. } => {
            let values = *num_values as usize;
            if deepest == 0 {
                return Some(Parts { values, levels: &[], codes: buf });
            }
            let (length, rest) = buf.split_first_chunk::<4>()?;
            let (levels, codes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some(Parts { values, levels, codes })
        }
        Page::DataPageV2 { buf, num_values, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let levels = buf.get(*rep_levels_byte_len as usize..)?;
            let (levels, codes) = levels.split_at_checked(*def_levels_byte_len as usize)?;
            Some(Parts { values: *num_values as usize, levels, codes })
        }
        Page::DictionaryPage { .. } => None,
    }
}

/// Bits that a value up to `largest` needs.
fn width(largest: u32) -> u8 {
    u8::try_from(u32::BITS - largest.leading_zeros()).unwrap_or(32)
}

/// The number that the first `count` of a hybrid are, where one run has them all.
fn only_run(mut bytes: &[u8], width: u8, count: usize) -> Option<u32> {
    let header = varint(&mut bytes)?;
    let is_all = header & 1 == 0 && usize::try_from(header >> 1).ok()? >= count;
    is_all.then(|| repeated(bytes, width)).flatten().map(|(value, _)| value)
}

/// The number of a run, and what follows it.
fn repeated(bytes: &[u8], width: u8) -> Option<(u32, &[u8])> {
    let (value, rest) = bytes.split_at_checked(usize::from(width.div_ceil(8)))?;
    let mut padded = [0; 4];
    padded.get_mut(..value.len())?.copy_from_slice(value);
    Some((u32::from_le_bytes(padded), rest))
}

/// Reads some numbers, ranges of which are in order, of Parquet's hybrid of run lengths and bit packing; `None` where it has not
/// as many.
fn hybrid(mut bytes: &[u8], width: u8, wanted: &[Range<usize>], out: &mut Vec<u32>) -> Option<()> {
    if width > 32 {
        return None;
    }
    let (end, mut start) = (wanted.last().map_or(0, |range| range.end), 0);
    while start < end {
        let header = varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        (length > 0).then_some(())?;
        if header & 1 == 0 {
            let (value, rest) = repeated(bytes, width)?;
            let of_run = within(wanted, start..start.saturating_add(length));
            of_run.for_each(|range| out.extend(std::iter::repeat_n(value, range.len())));
            (start, bytes) = (start.saturating_add(length), rest);
        } else {
            let size = length.checked_mul(usize::from(width))?.min(bytes.len());
            let (packed, rest) = bytes.split_at(size);
            let next = start.checked_add(length.checked_mul(8)?)?;
            for range in within(wanted, start..next) {
                (packed.len() * 8 >= (range.end - start) * usize::from(width)).then_some(())?;
                unpack(packed, width, range.start - start..range.end - start, out);
            }
            (start, bytes) = (next, rest);
        }
    }
    Some(())
}

/// Appends some of the numbers of `width` bits, the first in the lowest bits.
fn unpack(packed: &[u8], width: u8, wanted: Range<usize>, out: &mut Vec<u32>) {
    let (width, mask) = (usize::from(width), (1_u64 << width) - 1);
    let word = |from: usize| match packed.get(from..from + 8) {
        Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
        None => {
            let mut padded = [0; 8];
            let rest = packed.get(from..).unwrap_or_default();
            padded[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(padded)
        }
    };
    // at most 32 bits behind at most 7 others: never more than a word
    out.extend(wanted.map(|index| ((word(index * width / 8) >> (index * width % 8)) & mask) as u32));
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_any_width_are_unpacked() {
        for width in 1..=32_u8 {
            let mask = (1_u64 << width) - 1;
            let numbers: Vec<u32> = (0..19_u64).map(|n| ((n * 0x9E37_79B9) & mask) as u32).collect();
            let mut packed = vec![0_u8; (numbers.len() * usize::from(width)).div_ceil(8)];
            for (index, number) in numbers.iter().enumerate() {
                for bit in 0..usize::from(width) {
                    let place = index * usize::from(width) + bit;
                    packed[place / 8] |= (((number >> bit) & 1) as u8) << (place % 8);
                }
            }
            let mut out = Vec::new();
            unpack(&packed, width, 0..numbers.len(), &mut out);
            unpack(&packed, width, 5..7, &mut out);
            assert_eq!(out, [&numbers[..], &numbers[5..7]].concat(), "{width}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), width in any::<u8>(), count in 0_usize..200) {
            let mut out = Vec::new();
            let all = hybrid(&bytes, width, std::slice::from_ref(&(0..count)), &mut out);
            prop_assert!(all.is_none() || out.len() == count);
            let mut some = Vec::new();
            let ranges = [0..count / 4, count / 3..count / 2, count / 2..count / 2];
            let read = hybrid(&bytes, width, &ranges, &mut some);
            if all.is_some() {
                prop_assert!(read.is_some());
                prop_assert_eq!(&some, &[&out[ranges[0].clone()], &out[ranges[1].clone()]].concat());
            }
        }
    }
}
