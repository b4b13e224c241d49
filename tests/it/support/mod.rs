//! What the integration tests share: emulators of AWS, and short words for what is done to them.

pub mod aws;
pub mod canned;
pub mod emulator;
pub mod findings;
