//! Smallest and largest values, by page and by column chunk.
//!
//! Owns: what lets a reader skip. A dictionary is put in order once; after that a value's place in the order stands for
//! the value.

use std::cmp::Ordering;

use parquet::data_type::ByteArray;
use parquet::file::statistics::Statistics;

use crate::batch::dictionary::Dictionary;

/// Longest text that is kept as a bound, in bytes; a page with a longer one has no bounds.
const MAX_BOUND: usize = 512;

/// The order of a column's values.
pub(super) enum Order<'c> {
    Texts(&'c Dictionary, Ranks),
    Instants(&'c Dictionary, Ranks),
    Bits,
}

/// A dictionary's codes in order, and each code's place in it.
pub(super) struct Ranks {
    sorted: Vec<u32>,
    places: Vec<u32>,
}

impl Ranks {
    fn new(dictionary: &Dictionary, compare: impl Fn(&u32, &u32) -> Ordering) -> Self {
        let mut sorted: Vec<u32> = (0..dictionary.len() as u32).collect();
        sorted.sort_unstable_by(compare);
        let mut places = vec![0; sorted.len()];
        for (place, &code) in (0..).zip(&sorted) {
            places[code as usize] = place;
        }
        Self { sorted, places }
    }
}

/// Smallest and largest value, as places in the order.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    low: u32,
    high: u32,
}

impl Bounds {
    pub(super) fn join(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

fn instant(dictionary: &Dictionary, code: u32) -> i64 {
    i64::from_le_bytes(dictionary.get(code).try_into().expect("an instant has eight bytes"))
}

impl<'c> Order<'c> {
    pub(super) fn of_texts(dictionary: &'c Dictionary) -> Self {
        Self::Texts(dictionary, Ranks::new(dictionary, |&a, &b| dictionary.get(a).cmp(dictionary.get(b))))
    }

    pub(super) fn of_instants(dictionary: &'c Dictionary) -> Self {
        let key = |code| instant(dictionary, code);
        Self::Instants(dictionary, Ranks::new(dictionary, |&a, &b| key(a).cmp(&key(b))))
    }

    /// Bounds of some codes; `None` where there are none.
    pub(super) fn bounds(&self, codes: &[u32]) -> Option<Bounds> {
        let place = |code: &u32| match self {
            Self::Texts(_, ranks) | Self::Instants(_, ranks) => ranks.places[*code as usize],
            Self::Bits => *code,
        };
        let first = place(codes.first()?);
        let widen = |bounds: Bounds, code| {
            let place = place(code);
            Bounds { low: bounds.low.min(place), high: bounds.high.max(place) }
        };
        Some(codes.iter().fold(Bounds { low: first, high: first }, widen))
    }

    /// The bounds as the bytes of their values; `None` where one is too long to keep.
    pub(super) fn bytes(&self, bounds: Bounds) -> Option<(Vec<u8>, Vec<u8>)> {
        let get = |place: u32| match self {
            Self::Texts(dictionary, ranks) | Self::Instants(dictionary, ranks) => {
                dictionary.get(ranks.sorted[place as usize]).to_vec()
            }
            Self::Bits => vec![place as u8],
        };
        let (low, high) = (get(bounds.low), get(bounds.high));
        (low.len().max(high.len()) <= MAX_BOUND).then_some((low, high))
    }

    /// Statistics of a column chunk.
    pub(super) fn statistics(&self, bounds: Option<Bounds>, nulls: u64) -> Statistics {
        let (low, high) = bounds.and_then(|bounds| self.bytes(bounds)).unzip();
        match self {
            Self::Texts(..) => {
                Statistics::byte_array(low.map(ByteArray::from), high.map(ByteArray::from), None, Some(nulls), false)
            }
            Self::Instants(..) => {
                let number = |bytes: Option<Vec<u8>>| bytes.and_then(|b| b.try_into().ok()).map(i64::from_le_bytes);
                Statistics::int64(number(low), number(high), None, Some(nulls), false)
            }
            Self::Bits => {
                let bit = |bytes: Option<Vec<u8>>| bytes.map(|bytes| bytes != [0]);
                Statistics::boolean(bit(low), bit(high), None, Some(nulls), false)
            }
        }
    }
}
