//! What the allocator does with memory that is free.

/// Has freed memory given back to the system after 10 ms, not after a second. A compaction hands its buffers from thread to thread,
/// and what was freed meanwhile grew by some 80 MB with each day of a million events that it rewrote; an ingest, which fills
/// the same buffers again and again, would take 4 % more CPU for it. `MIMALLOC_PURGE_DELAY` has the last word.
#[expect(unsafe_code, reason = "a call into C that sets a number")]
pub fn give_back_soon() {
    /// `mi_option_purge_delay` of `mimalloc.h`, which the binding does not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: not safe beside another thread that sets an option, and nothing else sets one
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 10) };
}
