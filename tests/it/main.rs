//! Tests that drive the whole: the library on emulators of AWS, and the binary.

mod deployment;
mod sink;
mod support;
