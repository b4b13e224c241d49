//! Any bytes as a digest, as public keys, and as a digest's name.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trailhound_fuzz::oracle::digest::check(bytes));
