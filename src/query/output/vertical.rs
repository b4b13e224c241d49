//! A line for each value, for rows too wide to stand side by side.
//!
//! Owns: the layout. Values are whole, and inert; NULL is nothing.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::EncoderOptions;

use super::{Failure, cell, visible};

/// The width of the line above a row.
const LINE: usize = 60;

pub(super) struct VerticalWriter<'a> {
    out: &'a mut (dyn Write + Send),
    /// The columns' names, each as wide as the widest.
    names: Vec<String>,
    options: EncoderOptions,
    rows: u64,
}

impl<'a> VerticalWriter<'a> {
    pub(super) fn new(schema: &Schema, out: &'a mut (dyn Write + Send)) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| visible(field.name())).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let names = names.into_iter().map(|name| format!("{name:width$}")).collect();
        Self { out, names, options: cell::json_options(), rows: 0 }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let mut columns = cell::columns(batch, &self.options)?;
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let title = format!("-[ {} ]", self.rows);
            writeln!(self.out, "{title:-<LINE$}")?;
            for (name, column) in self.names.iter().zip(&mut columns) {
                let value = column.text(row)?.unwrap_or_default();
                writeln!(self.out, "{}", format!("{name} | {}", visible(&value)).trim_end())?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> std::io::Result<()> {
        if self.rows == 0 {
            writeln!(self.out, "no rows")?;
        }
        self.out.flush()
    }
}
