//! JSON: one object a row, NULL written as `null` so that every row has every column.
//!
//! Owns: the two layouts. Characters that act on a terminal are written as `\u` escapes, so the value is unchanged.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::json::writer::{LineDelimited, WriterBuilder};

use super::Failure;
use super::cell::NAIVE_TIMESTAMP;
use crate::inert::escape_json;

/// What stands around the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing: one object a line.
    Lines,
    /// Brackets and commas: one array, still a row a line.
    Array,
}

/// Writes JSON.
pub(super) struct JsonWriter<'a> {
    out: &'a mut (dyn Write + Send),
    layout: Layout,
    rows: u64,
}

impl<'a> JsonWriter<'a> {
    /// Opens the array, if there is one.
    pub(super) fn new(layout: Layout, out: &'a mut (dyn Write + Send)) -> io::Result<Self> {
        if layout == Layout::Array {
            out.write_all(b"[")?;
        }
        Ok(Self { out, layout, rows: 0 })
    }

    /// Writes the rows of a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_format(NAIVE_TIMESTAMP.to_owned())
            .build::<_, LineDelimited>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        let bytes = writer.into_inner();
        let text = String::from_utf8_lossy(&bytes);
        let lines = escape_json(&text);
        match self.layout {
            Layout::Lines => self.out.write_all(lines.as_bytes())?,
            Layout::Array => lines.lines().try_for_each(|line| self.element(line))?,
        }
        Ok(())
    }

    fn element(&mut self, line: &str) -> io::Result<()> {
        let before: &[u8] = if self.rows == 0 { b"\n" } else { b",\n" };
        self.rows += 1;
        self.out.write_all(before)?;
        self.out.write_all(line.as_bytes())
    }

    /// Closes the array, if there is one.
    pub(super) fn finish(self) -> io::Result<()> {
        match (self.layout, self.rows) {
            (Layout::Lines, _) => {}
            (Layout::Array, 0) => self.out.write_all(b"]\n")?,
            (Layout::Array, _) => self.out.write_all(b"\n]\n")?,
        }
        self.out.flush()
    }
}
