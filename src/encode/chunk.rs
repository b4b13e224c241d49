//! One column chunk: a leaf's dictionary page and data pages, with what the footer says of them.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::bounds::{Bounds, Order};
use super::hybrid::width;
use super::page::{Form, Levels, PageBuilder};
use super::{PAGE_ROWS, TEXT_PAGE_ROWS, ZSTD_LEVEL};
use crate::batch::dictionary::{Dictionary, FIRST_NULL};
use crate::batch::leaf::{Entries, Leaf, Values};

/// What a column is written with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// Bounds for readers to skip by.
    pub(super) bounds: bool,
    /// A bloom filter of so many bytes.
    pub(super) bloom_bytes: Option<usize>,
}

/// Memory and compressor that column after column uses. A column's buffers grow to megabytes: to give them back and
/// ask for them again, column by column, would cost a tenth of the time in fresh pages from the system.
pub(super) struct ChunkEncoder {
    page: PageBuilder,
    zstd: Compressor<'static>,
    compressed: Bytes,
    chunk: Bytes,
}

/// How a leaf is written.
struct Plan<'c> {
    form: Form<'c>,
    levels: Levels,
    /// Of its values, where their bounds are kept.
    order: Option<Order<'c>>,
}

/// A column chunk under construction.
struct Chunk<'e> {
    encoder: &'e mut ChunkEncoder,
    plan: Plan<'e>,
    sink: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    index: Option<ColumnIndexBuilder>,
    bounds: Option<Bounds>,
    nulls: u64,
    entries: u64,
    uncompressed: u64,
    first_data_page: Option<u64>,
}

/// A finished column chunk: its bytes and what the footer says of them.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

impl ChunkEncoder {
    pub(super) fn new() -> Result<Self> {
        let zstd = Compressor::new(ZSTD_LEVEL).map_err(failed)?;
        Ok(Self { page: PageBuilder::default(), zstd, compressed: Bytes::new(), chunk: Bytes::new() })
    }

    /// Encodes a leaf of `rows` rows.
    pub(super) fn encode(
        &mut self,
        column: &ColumnDescPtr,
        leaf: &Leaf<'_>,
        rows: usize,
        traits: Traits,
    ) -> Result<Encoded> {
        let levels = Levels { definition: column.max_def_level() as u32, repetition: column.max_rep_level() as u32 };
        let order = traits.bounds.then(|| order(leaf)).flatten();
        let plan = Plan { form: form(leaf), levels, order };
        let mut chunk = Chunk::new(self, column, plan);
        let dictionary_page = match (chunk.plan.form, leaf.values) {
            (Form::Codes(_), Values::Dictionary(dictionary)) => Some(chunk.dictionary(dictionary)?),
            _ => None,
        };
        let mut text = 0;
        for page in pages(leaf, rows) {
            chunk.page(page, &mut text)?;
        }
        let bloom = traits.bloom_bytes.map(|bytes| bloom(leaf, bytes));
        chunk.finish(column, dictionary_page, bloom, rows)
    }

    fn compress(&mut self) -> Result<Bytes> {
        let mut buffer = reclaim(&mut self.compressed);
        buffer.reserve(zstd::zstd_safe::compress_bound(self.page.bytes.len()));
        self.zstd.compress_to_buffer(&self.page.bytes, &mut buffer).map_err(failed)?;
        self.compressed = buffer.into();
        Ok(self.compressed.clone())
    }
}

/// The memory of bytes that nobody else holds any more, empty.
fn reclaim(bytes: &mut Bytes) -> Vec<u8> {
    let mut buffer = std::mem::take(bytes).try_into_mut().map(Vec::from).unwrap_or_default();
    buffer.clear();
    buffer
}

fn failed(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// One page's share of a leaf.
enum Share<'c> {
    Each { entries: &'c [u32], row_ends: Option<&'c [u32]>, rows: usize },
    Same { mark: u32, rows: usize },
}

/// Cuts a leaf into pages at the same rows as every other leaf (or more often), so that a reader that skips by one column skips in all.
fn pages<'c>(leaf: &Leaf<'c>, rows: usize) -> Vec<Share<'c>> {
    let page = if matches!(leaf.values, Values::Texts(_)) { TEXT_PAGE_ROWS } else { PAGE_ROWS };
    let starts = (0..rows).step_by(page);
    let share = |start: usize| {
        let end = (start + page).min(rows);
        match (leaf.entries, leaf.row_ends) {
            (Entries::Same(mark, _), _) => Share::Same { mark, rows: end - start },
            (Entries::Each(entries), None) => {
                Share::Each { entries: &entries[start..end], row_ends: None, rows: end - start }
            }
            (Entries::Each(entries), Some(ends)) => {
                let first = if start == 0 { 0 } else { ends[start - 1] as usize };
                let last = ends[end - 1] as usize;
                Share::Each { entries: &entries[first..last], row_ends: Some(&ends[start..end]), rows: end - start }
            }
        }
    };
    starts.map(share).collect()
}

/// A dictionary pays where its values repeat.
fn form<'c>(leaf: &Leaf<'c>) -> Form<'c> {
    match leaf.values {
        Values::Bits => Form::Bits,
        Values::Texts(texts) => Form::Texts(texts),
        Values::Instants(dictionary) => Form::Instants(dictionary),
        Values::Dictionary(dictionary) => {
            let Entries::Each(entries) = leaf.entries else { return Form::Codes(code_width(dictionary)) };
            let codes = entries.iter().filter(|&&entry| entry < FIRST_NULL);
            let count = codes.clone().count();
            let spelled: usize = match dictionary.len() * 2 < count {
                true => return Form::Codes(code_width(dictionary)),
                false => codes.map(|&code| dictionary.get(code).len()).sum(),
            };
            let coded = dictionary.value_bytes() + count * usize::from(code_width(dictionary)) / 8;
            if coded <= spelled { Form::Codes(code_width(dictionary)) } else { Form::Spelled(dictionary) }
        }
    }
}

/// Bits of a code; one at least, as some readers take none for a mistake.
fn code_width(dictionary: &Dictionary) -> u8 {
    width(dictionary.len().saturating_sub(1) as u32).max(1)
}

fn order<'c>(leaf: &Leaf<'c>) -> Option<Order<'c>> {
    match leaf.values {
        Values::Dictionary(dictionary) => Some(Order::of_texts(dictionary)),
        Values::Instants(dictionary) => Some(Order::of_instants(dictionary)),
        Values::Bits => Some(Order::Bits),
        Values::Texts(_) => None,
    }
}

fn bloom(leaf: &Leaf<'_>, bytes: usize) -> Sbbf {
    let mut filter = Sbbf::new_with_num_of_bytes(bytes);
    match (leaf.values, leaf.entries) {
        (Values::Texts(texts), Entries::Each(lengths)) => {
            let mut start = 0;
            for &length in lengths.iter().filter(|&&length| length < FIRST_NULL) {
                let end = start + length as usize;
                filter.insert(&texts[start..end]);
                start = end;
            }
        }
        (Values::Dictionary(dictionary), _) => {
            (0..dictionary.len() as u32).for_each(|code| filter.insert(dictionary.get(code)));
        }
        _ => {}
    }
    filter
}

impl<'e> Chunk<'e> {
    fn new(encoder: &'e mut ChunkEncoder, column: &ColumnDescPtr, plan: Plan<'e>) -> Self {
        let sink = TrackedWrite::new(reclaim(&mut encoder.chunk));
        let index = plan.order.is_some().then(|| ColumnIndexBuilder::new(column.physical_type()));
        Self {
            encoder,
            plan,
            sink,
            offsets: OffsetIndexBuilder::new(),
            index,
            bounds: None,
            nulls: 0,
            entries: 0,
            uncompressed: 0,
            first_data_page: None,
        }
    }

    /// Writes the dictionary page and answers where it is.
    fn dictionary(&mut self, dictionary: &Dictionary) -> Result<u64> {
        let bytes = &mut self.encoder.page.bytes;
        bytes.clear();
        for code in 0..dictionary.len() as u32 {
            let value = dictionary.get(code);
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        let num_values = dictionary.len() as u32;
        self.write(|buf| Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false })
    }

    /// Compresses and writes the page that was built, and answers where it is.
    fn write(&mut self, page: impl FnOnce(Bytes) -> Page) -> Result<u64> {
        let size = self.encoder.page.bytes.len();
        let page = CompressedPage::new(page(self.encoder.compress()?), size);
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.uncompressed += written.uncompressed_size as u64;
        Ok(written.offset)
    }

    /// Writes a data page; `text` is where the texts of the leaf's next page start.
    fn page(&mut self, share: Share<'_>, text: &mut usize) -> Result<()> {
        let Plan { form, levels, .. } = self.plan;
        let page = &mut self.encoder.page;
        let (count, values, rows) = match share {
            Share::Each { entries, row_ends, rows } => (entries.len(), page.levels(entries, row_ends, levels), rows),
            Share::Same { mark, rows } => {
                page.absence(mark, rows, levels);
                (rows, 0, rows)
            }
        };
        let bounds = self.plan.order.as_ref().and_then(|order| order.bounds(page.codes()));
        page.values(form, text);
        let encoding = form.encoding();
        let start = self.sink.bytes_written();
        let offset = self.write(|buf| Page::DataPage {
            buf,
            num_values: count as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.first_data_page.get_or_insert(offset);
        self.offsets.append_offset_and_size(offset as i64, (self.sink.bytes_written() - start) as i32);
        self.offsets.append_row_count(rows as i64);
        self.entries += count as u64;
        self.nulls += (count - values) as u64;
        self.note_bounds(bounds, (count - values) as i64);
        Ok(())
    }

    fn note_bounds(&mut self, bounds: Option<Bounds>, nulls: i64) {
        let (Some(index), Some(order)) = (&mut self.index, &self.plan.order) else { return };
        match bounds.map(|bounds| order.bytes(bounds)) {
            None => index.append(true, Vec::new(), Vec::new(), nulls),
            Some(Some((low, high))) => index.append(false, low, high, nulls),
            Some(None) => index.to_invalid(),
        }
        if let Some(bounds) = bounds {
            self.bounds = Some(self.bounds.map_or(bounds, |all| all.join(bounds)));
        }
    }

    fn finish(
        self,
        column: &ColumnDescPtr,
        dictionary_page: Option<u64>,
        bloom_filter: Option<Sbbf>,
        rows: usize,
    ) -> Result<Encoded> {
        let bytes_written = self.sink.bytes_written() as u64;
        let mut encodings = vec![Encoding::RLE, self.plan.form.encoding()];
        encodings.extend(dictionary_page.map(|_| Encoding::PLAIN));
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings(encodings)
            .set_num_values(self.entries as i64)
            .set_total_compressed_size(bytes_written as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_data_page_offset(self.first_data_page.unwrap_or_default() as i64)
            .set_dictionary_page_offset(dictionary_page.map(|offset| offset as i64));
        if let Some(order) = &self.plan.order {
            metadata = metadata.set_statistics(order.statistics(self.bounds, self.nulls));
        }
        let column_index = self.index.filter(ColumnIndexBuilder::valid).map(ColumnIndexBuilder::build).transpose()?;
        let close = ColumnCloseResult {
            bytes_written,
            rows_written: rows as u64,
            metadata: metadata.build()?,
            bloom_filter,
            column_index,
            offset_index: Some(self.offsets.build()),
        };
        self.encoder.chunk = self.sink.into_inner()?.into();
        Ok(Encoded { bytes: self.encoder.chunk.clone(), close })
    }
}
