//! Aligned columns for people.
//!
//! Owns: the bound on what is held (`TABLE_ROWS` rows, `TABLE_CELL` characters a cell) and on what a cell can do to
//! the terminal: nothing. NULL is an empty cell.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::writer::EncoderOptions;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::cell::{self, Class};
use super::{TABLE_CELL, TABLE_ROWS};
use crate::inert::{Breaks, push_visible};

/// Holds rows until the widths of the columns are known.
pub(super) struct TableWriter<'a> {
    out: &'a mut (dyn Write + Send),
    table: Table,
    alignments: Vec<CellAlignment>,
    options: EncoderOptions,
    rows: usize,
    left_out: u64,
}

impl<'a> TableWriter<'a> {
    /// Starts a table with its header.
    pub(super) fn new(schema: &Schema, out: &'a mut (dyn Write + Send)) -> Self {
        let alignment = |class| match class {
            Class::Number => CellAlignment::Right,
            Class::Text => CellAlignment::Left,
        };
        let alignments: Vec<_> =
            schema.fields().iter().map(|field| alignment(cell::class(field.data_type()))).collect();
        let mut table = Table::new();
        // As wide as the data: cutting to the terminal would depend on where it runs.
        table.force_no_tty().load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Disabled);
        let header = schema.fields().iter().zip(&alignments);
        table.set_header(header.map(|(field, align)| Cell::new(shown(field.name())).set_alignment(*align)));
        Self { out, table, alignments, options: cell::json_options(), rows: 0, left_out: 0 }
    }

    /// Takes as many rows of a batch as still fit.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let take = batch.num_rows().min(TABLE_ROWS - self.rows);
        let mut columns = cell::columns(batch, &self.options)?;
        for row in 0..take {
            let mut cells = Vec::with_capacity(columns.len());
            for (column, align) in columns.iter_mut().zip(&self.alignments) {
                let text = column.text(row)?.unwrap_or_default();
                cells.push(Cell::new(shown(&text)).set_alignment(*align));
            }
            self.table.add_row(cells);
        }
        self.rows += take;
        self.left_out += (batch.num_rows() - take) as u64;
        Ok(())
    }

    /// Writes the table; returns how many rows were left out.
    pub(super) fn finish(self) -> io::Result<u64> {
        for line in self.table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()?;
        Ok(self.left_out)
    }
}

/// A cell's text: inert, and cut where it is too long.
fn shown(text: &str) -> String {
    let mut out = String::new();
    match text.char_indices().nth(TABLE_CELL) {
        None => push_visible(text, Breaks::Shown, &mut out),
        Some((end, _)) => {
            push_visible(&text[..end], Breaks::Shown, &mut out);
            out.push('…');
        }
    }
    out
}
