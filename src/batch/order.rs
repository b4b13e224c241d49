//! Another order of a row group's rows.
//!
//! Owns: which row comes at which place. Invariant: every row comes once, and rows with the same key keep their order.

use super::dictionary::FIRST_NULL;

/// For each place the row that comes there, and memory that is used from column to column.
#[derive(Default)]
pub(super) struct Order {
    rows: Vec<u32>,
    spare: Vec<u32>,
    starts: Vec<u32>,
}

impl Order {
    /// Sorts rows by their keys, by counting; what is not below `keys` (the marks of NULL) comes last.
    pub(super) fn sort(&mut self, rows: &[u32], keys: usize) {
        let place_of = |key: u32| (key as usize).min(keys);
        let places = &mut self.starts;
        places.clear();
        places.resize(keys + 2, 0);
        rows.iter().for_each(|&key| places[place_of(key) + 1] += 1);
        (1..places.len()).for_each(|key| places[key] += places[key - 1]);
        self.rows.clear();
        self.rows.resize(rows.len(), 0);
        for (row, &key) in (0..).zip(rows) {
            let place = &mut places[place_of(key)];
            self.rows[*place as usize] = row;
            *place += 1;
        }
    }

    /// The rows, one place after the other.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().map(|&row| row as usize)
    }

    /// Puts a column with one value for each row into this order.
    pub(super) fn apply(&mut self, column: &mut Vec<u32>) {
        self.spare.clear();
        self.spare.extend(self.rows.iter().map(|&row| column[row as usize]));
        std::mem::swap(column, &mut self.spare);
    }

    /// Puts texts that stand one after another into this order, with their lengths; `spare` is where they are written.
    pub(super) fn apply_to_texts(&mut self, bytes: &mut Vec<u8>, lengths: &mut Vec<u32>, spare: &mut Vec<u8>) {
        let size = |length: u32| if length >= FIRST_NULL { 0 } else { length };
        let mut end = 0;
        self.starts.clear();
        self.starts.extend(lengths.iter().map(|&length| {
            end += size(length);
            end - size(length)
        }));
        spare.clear();
        for &row in &self.rows {
            let start = self.starts[row as usize] as usize;
            spare.extend_from_slice(&bytes[start..start + size(lengths[row as usize]) as usize]);
        }
        std::mem::swap(bytes, spare);
        self.apply(lengths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_key_stand_together_and_keep_their_order() {
        let mut order = Order::default();
        order.sort(&[2, 0, FIRST_NULL, 1, 0], 3);
        let mut column = vec![10, 11, 12, 13, 14];
        order.apply(&mut column);
        assert_eq!(column, [11, 14, 13, 10, 12]);
    }

    #[test]
    fn texts_and_absent_ones_move_with_their_rows() {
        let mut order = Order::default();
        order.sort(&[1, 0, 1, 0], 2);
        let (mut bytes, mut lengths, mut spare) = (b"abbccc".to_vec(), vec![1, 2, FIRST_NULL, 3], Vec::new());
        order.apply_to_texts(&mut bytes, &mut lengths, &mut spare);
        assert_eq!((bytes.as_slice(), lengths.as_slice()), (&b"bbccca"[..], &[2, 3, 1, FIRST_NULL][..]));
    }
}
