//! Drives the real binary and real servers: what a user sees, and what is left in the lake.

mod bucket;
mod demo;
mod deployment;
mod detect;
mod edge;
mod exactly_once;
mod faults;
mod identity;
mod ingest;
mod interop;
mod investigate;
mod lake;
mod listing;
mod odd_lakes;
mod publish;
mod queries;
mod queue;
mod repair;
mod rules;
mod run;
mod shell;
mod silence;
mod sink;
mod support;
mod trino;
mod verify;
