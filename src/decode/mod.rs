//! Bytes of an object -> JSON text.
//!
//! Owns: the only decoder of the crate (`clippy.toml` bans the others), and the bound on what it puts out.
//! Refuses: to pass on text whose checksum, length or end is wrong.
//! Invariant: never more than `limit` bytes come out, whatever went in.
//!
//! Objects that are as they should be go through libdeflate, which takes whole buffers and about half the time; what it
//! does not take (broken, longer than it says, of several members) goes through flate2, which judges it.

#![allow(clippy::disallowed_types, reason = "the one module that may decode; its output is bounded")]

mod inflate;

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::event::{Reject, RejectReason};
use inflate::Inflater;

/// Uncompressed bytes of an object that are accepted unless configured otherwise: 1 GiB. CloudTrail's own files
/// have at most 50 MB.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot do better than 1:1032, so a length field that claims more is a lie.
const MAX_RATIO: usize = 1032;

/// Smallest step by which the output grows, in bytes.
const MIN_STEP: usize = 64 * 1024;

/// Puts the text of an object into `text` (what it held is replaced, its memory reused): all members of a gzip file, or the
/// bytes as they are where they do not start as gzip does.
///
/// # Errors
/// A reject of the whole object where the gzip is broken or cut, or the text has more than `limit` bytes.
pub fn decode(object: &[u8], limit: u64, text: &mut Vec<u8>) -> Result<(), Reject> {
    let result = if object.starts_with(&GZIP_MAGIC) { gunzip(object, limit, text) } else { copy(object, limit, text) };
    if result.is_err() {
        text.clear();
    }
    result
}

fn copy(object: &[u8], limit: u64, text: &mut Vec<u8>) -> Result<(), Reject> {
    if object.len() as u64 > limit {
        return Err(too_large(object, limit));
    }
    text.clear();
    text.extend_from_slice(object);
    Ok(())
}

fn gunzip(object: &[u8], limit: u64, text: &mut Vec<u8>) -> Result<(), Reject> {
    let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    // what the buffer held from the object before is overwritten, not cleared: zeroing it would cost a tenth of the work
    text.resize(claimed_length(object).min(limit_bytes).saturating_add(1), 0);
    if let Some(filled) = whole(object, text)
        && filled <= limit_bytes
    {
        text.truncate(filled);
        return Ok(());
    }
    stream(object, limit_bytes, text)
}

/// The quick way: the bytes that all members have together, if they are whole and have room in `text`.
fn whole(object: &[u8], text: &mut [u8]) -> Option<usize> {
    let mut inflater = Inflater::new()?;
    let (mut read, mut filled) = (0, 0);
    while read < object.len() {
        let member = inflater.member(&object[read..], &mut text[filled..])?;
        read += member.read;
        filled += member.written;
    }
    Some(filled)
}

/// The patient way: piece by piece, up to the limit.
fn stream(object: &[u8], limit_bytes: usize, text: &mut Vec<u8>) -> Result<(), Reject> {
    let mut decoder = MultiGzDecoder::new(object);
    let mut filled = 0;
    loop {
        if filled == text.len() {
            let step = filled.max(MIN_STEP).min(limit_bytes.saturating_add(1) - filled);
            text.resize(filled + step, 0);
        }
        match decoder.read(&mut text[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(Reject::new(None, RejectReason::BrokenGzip, error.to_string(), object)),
        }
        if filled > limit_bytes {
            return Err(too_large(object, limit_bytes as u64));
        }
    }
    text.truncate(filled);
    Ok(())
}

/// What the last member's trailer says of its length: right for the usual file of one member, and bounded by what
/// deflate can do, as anybody can write anything there.
fn claimed_length(object: &[u8]) -> usize {
    let Some(trailer) = object.last_chunk::<4>() else { return 0 };
    (u32::from_le_bytes(*trailer) as usize).min(object.len().saturating_mul(MAX_RATIO))
}

fn too_large(object: &[u8], limit: u64) -> Reject {
    let detail = format!("more than {limit} bytes of text; raise --max-object-size to read it");
    Reject::new(None, RejectReason::TooLarge, detail, object)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(object: &[u8], limit: u64) -> Result<Vec<u8>, RejectReason> {
        let mut text = b"left over".to_vec();
        decode(object, limit, &mut text).map_err(|reject| reject.reason)?;
        Ok(text)
    }

    #[test]
    fn reads_every_member() {
        let object = [gzip(b"{\"a\":1}\n"), gzip(b""), gzip(b"{\"b\":2}")].concat();
        assert_eq!(decoded(&object, 100), Ok(b"{\"a\":1}\n{\"b\":2}".to_vec()));
    }

    #[test]
    fn plain_json_passes_as_it_is() {
        assert_eq!(decoded(b"{}", 2), Ok(b"{}".to_vec()));
        assert_eq!(decoded(b"", 2), Ok(Vec::new()));
        assert_eq!(decoded(b"{ }", 2), Err(RejectReason::TooLarge));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_of_the_body_is_noticed() {
        let text = b"{\"Records\":[]}".repeat(20);
        let object = gzip(&text);
        for end in 2..object.len() {
            assert_eq!(decoded(&object[..end], 1 << 20), Err(RejectReason::BrokenGzip), "cut at {end}");
        }
        // bytes 4..10 of the header (time, flags, system) carry no text
        for at in 10..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 0x10;
            assert_eq!(decoded(&flipped, 1 << 20), Err(RejectReason::BrokenGzip), "flipped at {at}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let object = gzip(&vec![b' '; 4 << 20]);
        let mut text = Vec::new();
        let reject = decode(&object, 1 << 20, &mut text).unwrap_err();
        assert_eq!(reject.reason, RejectReason::TooLarge);
        assert!(text.capacity() <= (1 << 20) + 1 + MIN_STEP);
        assert_eq!(decoded(&object, 4 << 20).map(|text| text.len()), Ok(4 << 20));
    }

    #[test]
    fn a_lying_length_field_costs_no_memory() {
        let mut object = gzip(b"{}");
        let at = object.len() - 4;
        object[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut text = Vec::new();
        assert_eq!(decode(&object, DEFAULT_LIMIT, &mut text).unwrap_err().reason, RejectReason::BrokenGzip);
        assert!(text.capacity() < 64 << 10);
    }
}
