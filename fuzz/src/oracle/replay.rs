//! Plays back every kept input, and some made up anew, as ordinary tests.

use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::{Arbitrary, Unstructured};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::{digest, envelope, key, notice, object};

fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Checks what was kept for a target, and names the file that fails.
fn play(target: &str, check: fn(&[u8])) {
    let paths = [inputs("seeds", target), inputs("regressions", target)].concat();
    assert!(!paths.is_empty(), "nothing is kept for {target}");
    for path in paths {
        let bytes = fs::read(&path).expect("reads");
        if std::panic::catch_unwind(|| check(&bytes)).is_err() {
            panic!("{} fails; what does not hold stands above", path.display());
        }
    }
}

#[test]
fn kept_objects() {
    play("object", object::check);
}

#[test]
fn fixtures_of_the_other_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for entry in fs::read_dir(folder).expect("fixtures") {
        object::check(&fs::read(entry.expect("an entry").path()).expect("reads"));
    }
}

#[test]
fn kept_keys() {
    play("key", |bytes| key::check(&String::from_utf8_lossy(bytes)));
}

#[test]
fn kept_envelopes() {
    play("envelope", |bytes| {
        envelope::check(&Arbitrary::arbitrary(&mut Unstructured::new(bytes)).expect("any bytes do"))
    });
}

#[test]
fn envelopes_made_up() {
    let mut random = StdRng::seed_from_u64(7);
    for number in 0..3_000 {
        let mut bytes = vec![0; 64 + number % 1_024];
        random.fill_bytes(&mut bytes);
        let made = envelope::Envelope::arbitrary(&mut Unstructured::new(&bytes)).expect("any bytes do");
        envelope::check(&made);
    }
}

#[test]
fn kept_digests() {
    play("digest", digest::check);
}

#[test]
fn messages_made_up() {
    let mut random = StdRng::seed_from_u64(8);
    for number in 0..2_000 {
        let mut bytes = vec![0; 32 + number % 256];
        random.fill_bytes(&mut bytes);
        notice::check(&notice::Message::arbitrary(&mut Unstructured::new(&bytes)).expect("any bytes do"));
    }
}
