//! Tests that drive the whole: the library on emulators of AWS, and the binary.

mod sink;
mod support;
