//! CloudTrail of a whole AWS Organization into a queryable lake, with scored and explained findings.
//!
//! # Layout
//! Data flows one way: `source -> decode -> parse -> batch -> encode -> lake -> query -> detect -> finding -> sink`.
//! - L0 vocabulary: [`error`], [`event`], [`schema`], [`table`], [`finding`]
//! - L1 stages, pure and sync: `decode`, `parse`, `batch`, `encode`, `identity`, `session`, `network`, `agent`, `inert`, `page`, `digest`, `detect::{feature, model, verdict}`
//! - L2 adapters, async, which never see each other: `aws`, `cloudtrail`, `source`, `lake`, `query`, `sink`
//! - L3 pipelines, which join stages and take `now` as an argument: `ingest`, `verify`, `train`, `detect`, `publish`, `maintain`,
//!   `investigate`, `policy`, `run`, `demo`
//! - L4 edge: the binary (`main`, `cli`, `config`)
//!
//! A file imports only from a lower layer; `tests/layering.rs` holds this.

pub mod agent;
pub mod aws;
pub mod batch;
pub mod cloudtrail;
pub mod decode;
pub mod demo;
pub mod detect;
pub mod digest;
pub mod encode;
pub mod error;
pub mod event;
pub mod finding;
pub mod govern;
pub mod identity;
pub mod inert;
pub mod ingest;
pub mod investigate;
pub mod lake;
pub mod maintain;
pub mod network;
pub mod outcome;
pub mod page;
pub mod parse;
pub mod policy;
pub mod publish;
pub mod query;
pub mod run;
pub mod schema;
pub mod session;
pub mod sink;
pub mod source;
pub mod table;
pub mod train;
pub mod verify;

/// What the fuzz targets check, held against what they have found so far.
#[cfg(test)]
#[path = "../fuzz/src/oracle/mod.rs"]
mod oracle;
