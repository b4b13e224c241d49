//! Lengths of texts, as Parquet's DELTA_BINARY_PACKED.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Delta Encoding" and "Delta-length byte
//! array". The texts follow one after another, which compresses better than lengths and texts in turn: the UUIDs of a
//! page are nothing but hexadecimal digits then.

use super::hybrid::{pack, varint, width};

/// Deltas of a block.
const BLOCK: usize = 128;

/// Deltas of a miniblock, which have one width.
const MINIBLOCK: usize = 32;

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Appends lengths.
pub fn encode(lengths: &[u32], out: &mut Vec<u8>) {
    for number in [BLOCK, BLOCK / MINIBLOCK, lengths.len()] {
        varint(number as u64, out);
    }
    varint(zigzag(i64::from(lengths.first().copied().unwrap_or(0))), out);
    let mut deltas = [0i64; BLOCK];
    let mut before = lengths.first().copied().unwrap_or(0);
    for chunk in lengths.get(1..).unwrap_or_default().chunks(BLOCK) {
        for (delta, &length) in deltas.iter_mut().zip(chunk) {
            *delta = i64::from(length) - i64::from(before);
            before = length;
        }
        block(&deltas[..chunk.len()], out);
    }
}

fn block(deltas: &[i64], out: &mut Vec<u8>) {
    let smallest = deltas.iter().copied().min().unwrap_or(0);
    varint(zigzag(smallest), out);
    let mut above = [0u32; BLOCK];
    for (above, delta) in above.iter_mut().zip(deltas) {
        *above = (delta - smallest) as u32;
    }
    let widths: [u8; BLOCK / MINIBLOCK] =
        std::array::from_fn(|index| width(miniblock(&above, index).iter().copied().max().unwrap_or(0)));
    out.extend_from_slice(&widths);
    // a miniblock is written whole; those behind the last value are not written at all
    for (index, &width) in widths.iter().enumerate().take(deltas.len().div_ceil(MINIBLOCK)) {
        pack(miniblock(&above, index), width, out);
    }
}

fn miniblock(above: &[u32; BLOCK], index: usize) -> &[u32] {
    &above[index * MINIBLOCK..(index + 1) * MINIBLOCK]
}
