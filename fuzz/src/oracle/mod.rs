//! What must hold for any input, whoever made it up: the fuzzer, or a test that plays back what the fuzzer found.
//!
//! Owns: the second opinions (serde_json on texts, flate2 on gzip) and the checks against them. A check panics where
//! something does not hold.
//! Refuses: to call what it checks: an opinion that reuses the code under test agrees with its mistakes.
//!
//! The crate itself includes this module in its unit tests (`src/lib.rs`), so that every input under `fuzz/seeds` and
//! `fuzz/regressions` is checked by `cargo test`, without a fuzzer.

pub mod digest;
pub mod envelope;
mod generate;
pub mod key;
pub mod notice;
pub mod object;
mod reading;
mod reference;
#[cfg(test)]
mod replay;
mod row;
