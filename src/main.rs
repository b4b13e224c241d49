//! The binary: parse, resolve, run a command, answer with an exit code.

mod cli;

use std::process::ExitCode;

/// Builds Arrow columns from millions of small strings; the system's allocator gives a tenth of the time away.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    give_memory_back();
    cli::main().into()
}

/// Has the allocator give freed memory back to the system after 10 ms, not after a second: an ingest needs a fifth less memory then,
/// and a compaction, whose buffers go from thread to thread, does not grow with the days that it rewrites. `MIMALLOC_PURGE_DELAY`
/// has the last word.
#[expect(unsafe_code, reason = "a call into C that sets a number")]
fn give_memory_back() {
    /// `mi_option_purge_delay` of `mimalloc.h`, which the binding does not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: not safe beside another thread that sets an option, and there is none yet
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 10) };
}
