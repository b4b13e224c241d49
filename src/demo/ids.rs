//! Spelling of the ids, times and numbers that stand in a CloudTrail record.
//!
//! Owns: UUIDs, AWS unique ids, hexadecimal text and the two time formats of CloudTrail.
//! Refuses: randomness of its own; every function spells the number it is given.
//! Invariant: equal input gives equal text, on every machine and in every release.

use chrono::{DateTime, Datelike, Timelike, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

const HEX: &[u8; 16] = b"0123456789abcdef";
// AWS unique ids are base 32: capital letters and the digits 2 to 7.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Alphabet of a generated text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Letters and digits of AWS unique ids.
    Base32,
    /// Letters of both cases and digits.
    Alphanumeric,
}

/// A stream of random numbers of its own for each label, so that a change to one actor leaves the others as they were.
pub fn stream(seed: u64, label: &str) -> StdRng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(label.as_bytes());
    StdRng::from_seed(hash.finalize().into())
}

/// First 64 bits of the SHA-256 of a label.
pub fn hash64(label: &str) -> u64 {
    let digest = Sha256::digest(label.as_bytes());
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

/// Scrambles 64 bits (the finalizer of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Appends `length` letters of the alphabet, chosen by the number.
pub fn push_spelled(out: &mut String, alphabet: Alphabet, length: usize, mut number: u64) {
    for index in 0..length {
        if index % 8 == 0 && index > 0 {
            number = mix(number);
        }
        let bits = (number >> (8 * (index % 8))) as usize & 0xff;
        out.push(char::from(match alphabet {
            Alphabet::Hex => HEX[bits % 16],
            Alphabet::Base32 => BASE32[bits % 32],
            Alphabet::Alphanumeric => ALPHANUMERIC[bits % 62],
        }));
    }
}

/// `length` letters of the alphabet, chosen by the number.
pub fn spelled(alphabet: Alphabet, length: usize, number: u64) -> String {
    let mut out = String::with_capacity(length);
    push_spelled(&mut out, alphabet, length, number);
    out
}

/// An AWS unique id (20 letters and digits after and with the prefix of 4), always the same one for a label.
pub fn unique_id(prefix: &str, label: &str) -> String {
    format!("{prefix}{}", spelled(Alphabet::Base32, 16, hash64(label)))
}

/// 128 random bits in the form of a version 4 UUID (RFC 9562).
pub fn random_uuid(rng: &mut StdRng) -> u128 {
    let bits: u128 = rng.random();
    bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62
}

/// Appends a UUID in its canonical form.
pub fn push_uuid(out: &mut String, uuid: u128) {
    for (index, byte) in uuid.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// A UUID in its canonical form.
pub fn uuid_text(uuid: u128) -> String {
    let mut out = String::with_capacity(36);
    push_uuid(&mut out, uuid);
    out
}

/// The instant of a Unix time in seconds; times outside of chrono's range become the epoch.
pub fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// Appends a decimal number with leading zeros.
pub fn push_padded(out: &mut String, number: u32, width: u32) {
    for place in (0..width).rev() {
        out.push(char::from(b'0' + (number / 10u32.pow(place) % 10) as u8));
    }
}

/// Appends a Unix time in seconds as `2026-01-31T09:05:00Z`.
pub fn push_iso(out: &mut String, seconds: i64) {
    let time = instant(seconds);
    let parts =
        [(time.month(), '-'), (time.day(), '-'), (time.hour(), 'T'), (time.minute(), ':'), (time.second(), ':')];
    push_padded(out, time.year().unsigned_abs(), 4);
    for (number, separator) in parts {
        out.push(separator);
        push_padded(out, number, 2);
    }
    out.push('Z');
}

/// A Unix time in seconds as `2026-01-31T09:05:00Z`.
pub fn iso(seconds: i64) -> String {
    let mut out = String::with_capacity(20);
    push_iso(&mut out, seconds);
    out
}

/// Appends a Unix time in seconds as `Jan 31, 2026, 9:05:00 AM`, as IAM and STS spell it in their answers.
pub fn push_human(out: &mut String, seconds: i64) {
    let time = instant(seconds);
    let (afternoon, hour) = time.hour12();
    let month = MONTHS[time.month0() as usize];
    let half = if afternoon { "PM" } else { "AM" };
    out.push_str(&format!(
        "{month} {}, {}, {hour}:{:02}:{:02} {half}",
        time.day(),
        time.year(),
        time.minute(),
        time.second()
    ));
}

/// A random element of a list; the list must not be empty.
pub fn choose<'a, T>(rng: &mut StdRng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}

/// A random element of a list of values with weights; the sum of the weights must not be zero.
pub fn choose_weighted<'a, T>(rng: &mut StdRng, list: &'a [(T, u32)]) -> &'a T {
    let total = list.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.random_range(0..total);
    let chosen = list.iter().find(|(_, weight)| {
        let here = left < *weight;
        left = left.saturating_sub(*weight);
        here
    });
    &chosen.expect("the number drawn is below the sum of the weights").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_cloudtrail_spells_them() {
        assert_eq!(iso(1_688_991_785), "2023-07-10T12:23:05Z");
        let mut human = String::new();
        push_human(&mut human, 1_688_991_785);
        assert_eq!(human, "Jul 10, 2023, 12:23:05 PM");
    }

    #[test]
    fn uuids_are_version_4() {
        let text = uuid_text(random_uuid(&mut stream(1, "a")));
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert!("89ab".contains(&text[19..20]), "{text}");
    }

    #[test]
    fn streams_differ_by_seed_and_label() {
        let draw = |seed, label| stream(seed, label).random::<u64>();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn weights_of_zero_are_never_chosen() {
        let mut rng = stream(1, "w");
        assert!((0..100).all(|_| *choose_weighted(&mut rng, &[('a', 0), ('b', 3), ('c', 0)]) == 'b'));
    }
}
