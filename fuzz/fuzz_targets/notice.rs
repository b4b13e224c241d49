//! Messages of queues: any text, and every shape around any key.

#![no_main]

use trailhound_fuzz::oracle::notice::{Message, check};

libfuzzer_sys::fuzz_target!(|message: Message| check(&message));
