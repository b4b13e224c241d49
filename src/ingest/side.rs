//! Rows of the flat tables on their way into files.
//!
//! Owns: the files under construction, one per table and day of events.
//! Invariant: memory is bounded: rows are encoded every megabyte, and only a few files are open.

use std::collections::BTreeMap;

use super::gate::Files;
use crate::batch::flat::{FlatBuilder, FlatRecord, Shape};
use crate::batch::time::date_of;
use crate::error::Result;
use crate::lake::FileWriter;

/// Bytes of JSON whose rows are held before they are encoded.
const FLUSH_BYTES: usize = 1 << 20;

/// Files that are open at the same time.
const MAX_OPEN: usize = 8;

/// The open files, and those that are finished.
#[derive(Default)]
pub(super) struct Side {
    open: BTreeMap<(Shape, i32), (FlatBuilder, FileWriter)>,
    finished: Files,
}

impl Side {
    /// Appends a record that is new.
    ///
    /// # Errors
    /// Where a file cannot be encoded.
    pub(super) fn append(&mut self, shape: Shape, record: &FlatRecord<'_>, source_object: &str) -> Result<()> {
        let place = (shape, record.identified.day());
        if !self.open.contains_key(&place) {
            if self.open.len() >= MAX_OPEN {
                self.close_first()?;
            }
            self.open.insert(place, (FlatBuilder::new(shape), FileWriter::new(shape.table())?));
        }
        let Some((builder, writer)) = self.open.get_mut(&place) else { return Ok(()) };
        builder.append(record, source_object);
        match builder.bytes() >= FLUSH_BYTES {
            true => writer.write(&builder.finish()),
            false => Ok(()),
        }
    }

    fn close_first(&mut self) -> Result<()> {
        let Some(((shape, day), (mut builder, mut writer))) = self.open.pop_first() else { return Ok(()) };
        writer.write(&builder.finish())?;
        self.finished.entry(shape).or_default().push(writer.finish(Some(date_of(day)))?);
        Ok(())
    }

    /// Ends all files and hands them over.
    ///
    /// # Errors
    /// Where a file cannot be encoded.
    pub(super) fn finish(&mut self) -> Result<Files> {
        while !self.open.is_empty() {
            self.close_first()?;
        }
        Ok(std::mem::take(&mut self.finished))
    }
}
