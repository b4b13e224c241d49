//! Any bytes as an object: decoded, parsed, made rows of, and held against serde_json.

#![no_main]

libfuzzer_sys::fuzz_target!(|object: &[u8]| trailhound_fuzz::oracle::object::check(object));
