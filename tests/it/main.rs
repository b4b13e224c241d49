//! Drives the real binary and real servers: what a user sees, and what is left in the lake.

mod ingest;
mod queries;
mod support;
