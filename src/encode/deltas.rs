//! Numbers as Parquet's DELTA_BINARY_PACKED: instants, and lengths of texts.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Delta Encoding" and "Delta-length byte
//! array". The texts follow one after another, which compresses better than lengths and texts in turn: the UUIDs of a
//! page are nothing but hexadecimal digits then.

use super::hybrid::{pack, varint};

/// Deltas of a block.
const BLOCK: usize = 128;

/// Deltas of a miniblock, which have one width.
const MINIBLOCK: usize = 32;

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Appends numbers.
pub fn encode(mut numbers: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    for number in [BLOCK, BLOCK / MINIBLOCK, numbers.len()] {
        varint(number as u64, out);
    }
    let mut before = numbers.next().unwrap_or(0);
    varint(zigzag(before), out);
    let mut deltas = [0i64; BLOCK];
    while numbers.len() > 0 {
        let mut count = 0;
        // the block first: a zip that began with the numbers would take one too many
        for (delta, number) in deltas.iter_mut().zip(numbers.by_ref()) {
            *delta = number.wrapping_sub(before);
            before = number;
            count += 1;
        }
        block(&deltas[..count], out);
    }
}

fn block(deltas: &[i64], out: &mut Vec<u8>) {
    let smallest = deltas.iter().copied().min().unwrap_or(0);
    varint(zigzag(smallest), out);
    let mut above = [0u64; BLOCK];
    for (above, delta) in above.iter_mut().zip(deltas) {
        *above = delta.wrapping_sub(smallest) as u64;
    }
    let widths: [u8; BLOCK / MINIBLOCK] =
        std::array::from_fn(|index| width(miniblock(&above, index).iter().copied().max().unwrap_or(0)));
    out.extend_from_slice(&widths);
    // a miniblock is written whole; those behind the last value are not written at all
    for (index, &width) in widths.iter().enumerate().take(deltas.len().div_ceil(MINIBLOCK)) {
        pack(miniblock(&above, index), width, out);
    }
}

fn width(largest: u64) -> u8 {
    (u64::BITS - largest.leading_zeros()) as u8
}

fn miniblock(above: &[u64; BLOCK], index: usize) -> &[u64] {
    &above[index * MINIBLOCK..(index + 1) * MINIBLOCK]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take_varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn take_signed(bytes: &mut &[u8]) -> i64 {
        let value = take_varint(bytes);
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// Reads the encoding as its specification has it, bit by bit.
    fn decode(mut bytes: &[u8]) -> Vec<i64> {
        let block = take_varint(&mut bytes) as usize;
        let miniblocks = take_varint(&mut bytes) as usize;
        let count = take_varint(&mut bytes) as usize;
        let mut values = vec![take_signed(&mut bytes)];
        while values.len() < count {
            let smallest = take_signed(&mut bytes);
            let (widths, rest) = bytes.split_at(miniblocks);
            bytes = rest;
            for &width in widths {
                if values.len() >= count {
                    break;
                }
                let (packed, rest) = bytes.split_at(block / miniblocks * usize::from(width) / 8);
                let bit = |at: usize| u64::from(packed[at / 8] >> (at % 8) & 1);
                for index in 0..block / miniblocks {
                    let start = index * usize::from(width);
                    let above: u64 = (0..usize::from(width)).map(|at| bit(start + at) << at).sum();
                    let before = *values.last().unwrap();
                    values.push(before.wrapping_add(smallest).wrapping_add(above as i64));
                }
                bytes = rest;
            }
        }
        assert!(bytes.is_empty());
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            wide in prop::collection::vec(any::<i64>(), 1..300),
            narrow in prop::collection::vec(0..100_i64, 1..300),
        ) {
            for numbers in [wide, narrow] {
                let mut bytes = Vec::new();
                encode(numbers.iter().copied(), &mut bytes);
                prop_assert_eq!(decode(&bytes), numbers);
            }
        }
    }
}
