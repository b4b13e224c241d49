//! A column of texts -> codes, a batch at a time.
//!
//! Owns: that a text is read once a batch and not once a row: cells of one entry of a file's dictionary are one place.
//! Refuses: to know what a text means, or what stands for one that is absent. Invariant: equal places have equal codes.

use arrow::array::{Array, StringViewArray};

/// Places that are remembered; a power of two. Few texts are in turn, as rows of one identity stand together.
const PLACES: usize = 128;

/// No text's place: a text of so many bytes cannot be.
const NOWHERE: u128 = u128::MAX;
const ABSENT: u128 = u128::MAX - 1;

/// What `code` gives for each row's text, `None` for NULL; it is asked again where a place was forgotten. Rows that are not
/// wanted have 0.
pub fn codes(
    column: &StringViewArray,
    wanted: impl Fn(usize) -> bool,
    mut code: impl FnMut(Option<&str>) -> u32,
) -> Vec<u32> {
    let mut known = [(NOWHERE, 0); PLACES];
    let of = |row: usize| {
        if !wanted(row) {
            return 0;
        }
        let place = if column.is_null(row) { ABSENT } else { column.views()[row] };
        let slot = &mut known[slot(place)];
        if slot.0 != place {
            let text = (place != ABSENT).then(|| column.value(row));
            *slot = (place, code(text));
        }
        slot.1
    };
    (0..column.len()).map(of).collect()
}

/// Where a place is remembered: the upper bits of a product with an odd number are well mixed.
fn slot(place: u128) -> usize {
    let folded = (place >> 64) as u64 ^ place as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_text_s_code() {
        let texts: Vec<Option<String>> = (0..1000)
            .map(|row| (row % 7 != 0).then(|| format!("a text of more than twelve bytes {}", row % 300)))
            .collect();
        let column = StringViewArray::from_iter(texts.iter().map(Option::as_deref));
        let length =
            |text: Option<&str>| text.map_or(0, |text| text.rsplit(' ').next().unwrap().parse::<u32>().unwrap() + 1);
        let expected: Vec<u32> = texts.iter().map(|text| length(text.as_deref())).collect();
        assert_eq!(codes(&column, |_| true, length), expected);
    }

    #[test]
    fn absent_and_empty_are_two_things_and_each_place_is_asked_once() {
        let column = StringViewArray::from_iter([Some(""), None, Some(""), None, Some("x")]);
        let mut asked = Vec::new();
        let of = |text: Option<&str>| {
            asked.push(text.map(str::to_owned));
            asked.len() as u32
        };
        assert_eq!(codes(&column, |row| row < 4, of), [1, 2, 1, 2, 0]);
        assert_eq!(asked, [Some(String::new()), None]);
    }
}
