//! libdeflate, as far as it is needed here.
//!
//! Owns: the library's only unsafe code. The safe binding (`libdeflater`) does not tell how much of its input a member
//! took, and so takes a file of two members for one of the first: the second half of an object would be lost unnoticed.

#![allow(unsafe_code, reason = "four calls into C, each with buffers whose length Rust knows")]

use std::ptr::NonNull;

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_free_decompressor,
    libdeflate_gzip_decompress_ex, libdeflate_result_LIBDEFLATE_SUCCESS,
};

/// A decompressor with its memory.
pub(super) struct Inflater(NonNull<libdeflate_decompressor>);

/// What a member of a gzip file took and gave, in bytes.
pub(super) struct Member {
    pub(super) read: usize,
    pub(super) written: usize,
}

impl Inflater {
    /// `None` where there is no memory for one.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: takes nothing; null is told apart
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Decompresses the first member of `input`, with its checksum and length checked. `None` where it is broken, or
    /// `output` is too small for it.
    pub(super) fn member(&mut self, input: &[u8], output: &mut [u8]) -> Option<Member> {
        let (mut read, mut written) = (0, 0);
        // SAFETY: the pointer is a decompressor that nobody else uses (`&mut self`); both buffers are valid for the
        // lengths given with them, and libdeflate neither reads nor writes beyond those
        let result = unsafe {
            libdeflate_gzip_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut read,
                &raw mut written,
            )
        };
        // a member takes at least its header, so that a caller always gets further
        (result == libdeflate_result_LIBDEFLATE_SUCCESS && read > 0).then_some(Member { read, written })
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` and freed nowhere else
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}
