//! The binary: parse, resolve, run a command, answer with an exit code.

mod cli;

use std::process::ExitCode;

/// Builds Arrow columns from millions of small strings; the system's allocator gives a tenth of the time away.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
    cli::main().into()
}

/// Has the allocator give memory back to the system a second after it was freed, in place of its 10 ms: an ingest frees and
/// asks for the same buffers again and again, and getting them anew was 6 % of it. `MIMALLOC_PURGE_DELAY` has the last word.
#[expect(unsafe_code, reason = "a call into C that sets a number")]
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of `mimalloc.h`, which the binding does not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: not safe beside another thread that sets an option, and there is none yet
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 1000) };
}
