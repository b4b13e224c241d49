//! Pages of a column chunk, from the bytes of some of them, decompressed with memory that a thread keeps.
//!
//! Owns: which bytes there are ([`Window`]), and decompression: Parquet's own reader makes a context of the compression for every
//! chunk, which takes longer than to decompress a small one.
//! Refuses: what is in a page.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

thread_local! {
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Where a column chunk stands in its file.
pub(super) fn place(column: &ColumnChunkMetaData) -> Range<u64> {
    let (start, length) = column.byte_range();
    start..start + length
}

/// Stretches of a column chunk as if they were the file.
pub(super) struct Window(Vec<(u64, Bytes)>);

impl Window {
    /// The whole chunk, which stands at [`place`].
    pub(super) fn whole(column: &ColumnChunkMetaData, bytes: Bytes) -> Self {
        Self(vec![(place(column).start, bytes)])
    }

    /// Stretches of it, each with where it starts in the file.
    pub(super) fn of(stretches: Vec<(u64, Bytes)>) -> Self {
        Self(stretches)
    }

    /// What there is from a place on.
    fn from(&self, start: u64) -> Result<Bytes> {
        let rest = |(at, bytes): &(u64, Bytes)| {
            let skipped = usize::try_from(start.checked_sub(*at)?).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        };
        self.0.iter().find_map(rest).ok_or_else(outside)
    }
}

fn outside() -> ParquetError {
    ParquetError::General("a page lies outside of its column".to_owned())
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.0.iter().map(|(at, bytes)| at + bytes.len() as u64).max().unwrap_or_default()
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() { Err(outside()) } else { Ok(bytes.slice(..length)) }
    }
}

/// The pages of a column chunk, one after another.
pub(super) struct Pages {
    inner: SerializedPageReader<Window>,
    /// The most bytes that a page can have where it is still compressed, with zstd; `None` where `inner` has decompressed it.
    limit: Option<usize>,
}

impl Pages {
    /// Pages of a chunk of so many rows. Where they are located, those in between are passed over without a look.
    pub(super) fn new(
        window: Window,
        column: &ColumnChunkMetaData,
        rows: usize,
        locations: Option<Vec<PageLocation>>,
    ) -> Result<Self> {
        let window = Arc::new(window);
        if !matches!(column.compression(), Compression::ZSTD(_)) {
            return Ok(Self { inner: SerializedPageReader::new(window, column, rows, locations)?, limit: None });
        }
        let as_it_stands = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        let inner = SerializedPageReader::new(window, &as_it_stands, rows, locations)?;
        Ok(Self { inner, limit: Some(usize::try_from(column.uncompressed_size()).unwrap_or_default()) })
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        match (page, self.limit) {
            (Some(page), Some(limit)) => decompressed(page, limit).map(Some),
            (page, _) => Ok(page),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn decompressed(mut page: Page, limit: usize) -> Result<Page> {
    match &mut page {
        Page::DictionaryPage { buf, .. } | Page::DataPage { buf, .. } => *buf = inflate(buf, 0, limit)?,
        Page::DataPageV2 { buf, is_compressed, rep_levels_byte_len, def_levels_byte_len, .. } if *is_compressed => {
            // levels stand in front, as they are
            *buf = inflate(buf, *rep_levels_byte_len as usize + *def_levels_byte_len as usize, limit)?;
        }
        Page::DataPageV2 { .. } => {}
    }
    Ok(page)
}

/// Bytes of which all behind the first few are compressed.
fn inflate(bytes: &Bytes, plain: usize, limit: usize) -> Result<Bytes> {
    let (plain, packed) = bytes.split_at_checked(plain).ok_or_else(outside)?;
    if packed.is_empty() {
        return Ok(bytes.clone());
    }
    let told = get_frame_content_size(packed).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = told.unwrap_or(limit);
    if size > limit {
        return Err(ParquetError::General("a page is larger than its column".to_owned()));
    }
    let mut all = Vec::with_capacity(plain.len() + size);
    all.extend_from_slice(plain);
    let mut rest = std::io::Cursor::new(all);
    rest.set_position(plain.len() as u64);
    ZSTD.with_borrow_mut(|zstd| {
        let zstd = match zstd {
            Some(zstd) => zstd,
            none => none.insert(Decompressor::new()?),
        };
        zstd.decompress_to_buffer(packed, &mut rest)
    })?;
    Ok(rest.into_inner().into())
}
