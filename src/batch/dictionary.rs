//! The distinct values of a column, numbered in the order in which they came.
//!
//! Owns: the one copy of a repeated text that a row group holds, and the mark that stands for NULL.
//! Invariant: a code below [`Dictionary::len`] is a value; codes from [`FIRST_NULL`] on are no values.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// NULL in a column of codes; see [`null_at`].
pub const NULL: u32 = u32::MAX;

/// Smallest code that is no value. No row group holds as many values as there are codes below it.
pub const FIRST_NULL: u32 = u32::MAX - 15;

/// The mark of a value that is absent because of an absence at a definition level: 0 for the outermost.
pub fn null_at(level: u32) -> u32 {
    NULL - level
}

/// Distinct byte strings and their codes.
#[derive(Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    /// End of each value in `bytes`.
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
    /// Code of the value before: neighbours are often equal.
    last: Option<u32>,
}

impl Dictionary {
    /// Code of a value, which is added where it is new.
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        if let Some(last) = self.last
            && self.get(last) == value
        {
            return last;
        }
        let code = self.look_up(value);
        self.last = Some(code);
        code
    }

    fn look_up(&mut self, value: &[u8]) -> u32 {
        let Self { bytes, ends, table, hasher, .. } = self;
        let get = |code: u32| slice(bytes, ends, code);
        let hash = hasher.hash_one(value);
        if let Some(&code) = table.find(hash, |&code| get(code) == value) {
            return code;
        }
        let code = ends.len() as u32;
        table.insert_unique(hash, code, |&code| hasher.hash_one(get(code)));
        bytes.extend_from_slice(value);
        ends.push(bytes.len() as u32);
        code
    }

    /// The value of a code.
    ///
    /// # Panics
    /// Where the code is no value's.
    pub fn get(&self, code: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, code)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all values together.
    pub fn value_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that the values take: with each go its end, its code and the table's share.
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.ends.len() * 16
    }

    /// Numbers the values in the order in which `codes` names them first, and answers the new number of each; values that it
    /// does not name are forgotten. No value can be looked up after that, until [`Dictionary::clear`]. The texts are written
    /// to `spare`, which gets the memory that they were in.
    pub fn renumber(&mut self, codes: impl Iterator<Item = u32>, spare: &mut Vec<u8>) -> Vec<u32> {
        let mut numbers = vec![NULL; self.len()];
        let mut ends = Vec::with_capacity(self.len());
        spare.clear();
        for code in codes.filter(|&code| code < FIRST_NULL) {
            if numbers[code as usize] == NULL {
                numbers[code as usize] = ends.len() as u32;
                spare.extend_from_slice(self.get(code));
                ends.push(spare.len() as u32);
            }
        }
        std::mem::swap(&mut self.bytes, spare);
        self.ends = ends;
        self.table.clear();
        self.last = None;
        numbers
    }

    /// Forgets the values and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.table.clear();
        self.last = None;
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] as usize };
    &bytes[start..ends[code] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_code() {
        let mut dictionary = Dictionary::default();
        let codes: Vec<u32> = ["b", "a", "a", "", "b", ""].map(|text| dictionary.intern(text.as_bytes())).to_vec();
        assert_eq!(codes, [0, 1, 1, 2, 0, 2]);
        assert_eq!((dictionary.get(0), dictionary.get(1), dictionary.get(2)), (&b"b"[..], &b"a"[..], &b""[..]));
        dictionary.clear();
        assert!(dictionary.is_empty());
        assert_eq!(dictionary.intern(b"c"), 0);
    }

    #[test]
    fn values_are_numbered_in_the_order_asked_for() {
        let mut dictionary = Dictionary::default();
        for text in ["b", "never", "a"] {
            dictionary.intern(text.as_bytes());
        }
        let numbers = dictionary.renumber([NULL, 2, 0, 2].into_iter(), &mut Vec::new());
        assert_eq!(numbers, [1, NULL, 0]);
        assert_eq!((dictionary.len(), dictionary.get(0), dictionary.get(1)), (2, &b"a"[..], &b"b"[..]));
    }
}
