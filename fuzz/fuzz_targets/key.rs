//! Any text as an object's key.

#![no_main]

libfuzzer_sys::fuzz_target!(|key: &str| trailhound_fuzz::oracle::key::check(key));
