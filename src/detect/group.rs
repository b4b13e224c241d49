//! Rows that are alike in some texts, as one group.
//!
//! Owns: telling them apart by codes. Refuses: what is kept of a group.
//! Invariant: what is held is bounded by the groups and their distinct texts, not by the rows.

use super::names::Map;
use crate::batch::dictionary::Dictionary;

/// Groups of rows by `N` texts.
pub struct Groups<const N: usize, V> {
    texts: [Dictionary; N],
    groups: Map<[u32; N], V>,
}

impl<const N: usize, V> Default for Groups<N, V> {
    fn default() -> Self {
        Self { texts: std::array::from_fn(|_| Dictionary::default()), groups: Map::default() }
    }
}

impl<const N: usize, V> Groups<N, V> {
    /// What is kept of the group of a row; `new` where it is the first one.
    pub fn of(&mut self, row: [&str; N], new: impl FnOnce() -> V) -> &mut V {
        let codes = std::array::from_fn(|at| self.code(at, row[at]));
        self.of_codes(codes, new)
    }

    /// The code of a text among those of its place.
    pub fn code(&mut self, at: usize, text: &str) -> u32 {
        self.texts[at].intern(text.as_bytes())
    }

    /// As [`Groups::of`], by the codes of the texts.
    pub fn of_codes(&mut self, codes: [u32; N], new: impl FnOnce() -> V) -> &mut V {
        self.groups.entry(codes).or_insert_with(new)
    }

    /// The groups with their texts, in the texts' order.
    pub fn sorted(&self) -> Vec<([&str; N], &V)> {
        let text = |at: usize, code: u32| std::str::from_utf8(self.texts[at].get(code)).unwrap_or_default();
        let named = |(codes, value)| {
            let codes: &[u32; N] = codes;
            (std::array::from_fn(|at| text(at, codes[at])), value)
        };
        let mut all: Vec<([&str; N], &V)> = self.groups.iter().map(named).collect();
        all.sort_unstable_by_key(|(texts, _)| *texts);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_rows_are_one_group() {
        let mut groups: Groups<2, i64> = Groups::default();
        for row in [["b", "x"], ["a", "y"], ["b", "x"]] {
            *groups.of(row, || 0) += 1;
        }
        assert_eq!(groups.sorted(), [(["a", "y"], &1), (["b", "x"], &2)]);
    }
}
