//! Drives the real binary and real servers: what a user sees, and what is left in the lake.

mod deployment;
mod ingest;
mod publish;
mod queries;
mod sink;
mod support;
