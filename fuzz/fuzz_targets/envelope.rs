//! Records like CloudTrail's in its envelopes, whole and damaged in places: what is not damaged is not lost.

#![no_main]

use trailhound_fuzz::oracle::envelope::{Envelope, check};

libfuzzer_sys::fuzz_target!(|envelope: Envelope| check(&envelope));
