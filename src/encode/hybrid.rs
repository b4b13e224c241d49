//! Parquet's hybrid of run lengths and bit packing, for levels and for codes.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Run Length Encoding / Bit-Packing Hybrid".

/// Values of a bit-packed group.
const GROUP: usize = 8;

/// Bits that a value up to `largest` needs.
pub fn width(largest: u32) -> u8 {
    (u32::BITS - largest.leading_zeros()) as u8
}

/// Appends an unsigned LEB128 number.
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends as many values of `width` bits each, the first in the lowest bits.
pub fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0u64, 0);
    for &value in values {
        bits |= u64::from(value) << filled;
        filled += u32::from(width);
        if filled >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Appends `count` times the same value.
pub fn run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Appends values of `width` bits: runs of eight and more as runs, what lies between them packed.
pub fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut packed_from, mut at) = (0, 0);
    while at < values.len() {
        let length = run_length(&values[at..]);
        // what is packed before a run is filled up to a whole group from the run itself
        let filling = (GROUP - (at - packed_from) % GROUP) % GROUP;
        if length >= GROUP + filling {
            packed(&values[packed_from..at + filling], width, out);
            run(values[at], length - filling, width, out);
            packed_from = at + length;
        }
        at += length;
    }
    packed(&values[packed_from..], width, out);
}

fn run_length(values: &[u32]) -> usize {
    values.iter().position(|&value| value != values[0]).unwrap_or(values.len())
}

fn packed(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * usize::from(width);
    pack(values, width, out);
    out.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the encoding as its specification has it.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < count {
            let header = take_varint(&mut bytes);
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(usize::from(width.div_ceil(8)));
                let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
                values.extend(std::iter::repeat_n(value, (header >> 1) as usize));
                bytes = rest;
            } else {
                let (group, rest) = bytes.split_at((header >> 1) as usize * usize::from(width));
                let bit = |at: usize| u32::from(group[at / 8] >> (at % 8) & 1);
                let value = |index: usize| {
                    (0..usize::from(width))
                        .map(|bit_index| bit(index * usize::from(width) + bit_index) << bit_index)
                        .sum()
                };
                values.extend((0..(header >> 1) as usize * 8).map(value).collect::<Vec<u32>>());
                bytes = rest;
            }
        }
        values.truncate(count);
        assert!(bytes.is_empty());
        values
    }

    fn take_varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = bytes.split_first().expect("a number");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            runs in prop::collection::vec((any::<u32>(), 1usize..40), 0..30), width in 1u8..=32,
        ) {
            let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
            let values: Vec<u32> =
                runs.iter().flat_map(|&(value, count)| std::iter::repeat_n(value & mask, count)).collect();
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len()), values);
        }
    }

    #[test]
    fn a_width_holds_its_largest_value() {
        assert_eq!([0, 1, 2, 3, 4, u32::MAX].map(width), [0, 1, 2, 2, 3, 32]);
    }
}
