//! The stages that meet foreign bytes, compiled without the rest of trailhound, so that the fuzzer's instrumentation is
//! on them alone and a build takes a minute.
//!
//! The modules are those of the crate itself, under the same names. Layers make this possible: what is pure imports
//! only what is pure (`tests/layering.rs`).

#![allow(dead_code, reason = "the crate uses what is not used here")]

#[path = "../../src/batch/mod.rs"]
pub mod batch;
#[path = "../../src/decode/mod.rs"]
pub mod decode;
#[path = "../../src/digest/mod.rs"]
pub mod digest;
#[path = "../../src/encode/mod.rs"]
pub mod encode;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/event.rs"]
pub mod event;
#[path = "../../src/identity.rs"]
pub mod identity;
#[path = "../../src/outcome.rs"]
pub mod outcome;
#[path = "../../src/parse/mod.rs"]
pub mod parse;
#[path = "../../src/schema.rs"]
pub mod schema;

/// The pure part of the adapter.
#[path = "../../src/source"]
pub mod source {
    pub mod key;
    mod layout;
    pub mod notice;
}

pub mod oracle;
