//! CSV after RFC 4180, with a header line and LF line ends.
//!
//! Owns: quoting, and that no cell is a formula: a text cell that begins with `=`, `+`, `-`, `@`, a tab or a line
//! end gets a leading apostrophe, as spreadsheets expect it. Columns of numbers are left alone.
//! Control characters are written visibly (`\u{1b}`); NULL is an empty cell, an empty text is `""`.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::EncoderOptions;

use super::Failure;
use super::cell::{self, Class};
use crate::inert::{Breaks, is_formula, push_visible};

/// Writes CSV.
pub(super) struct CsvWriter<'a> {
    out: &'a mut (dyn Write + Send),
    classes: Vec<Class>,
    options: EncoderOptions,
}

impl<'a> CsvWriter<'a> {
    /// Writes the header.
    pub(super) fn new(schema: &Schema, out: &'a mut (dyn Write + Send)) -> io::Result<Self> {
        let mut line = String::new();
        for (index, field) in schema.fields().iter().enumerate() {
            separate(index, &mut line);
            push_cell(Some(field.name()), Class::Text, &mut line);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        let classes = schema.fields().iter().map(|field| cell::class(field.data_type())).collect();
        Ok(Self { out, classes, options: cell::json_options() })
    }

    /// Writes the rows of a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let mut columns = cell::columns(batch, &self.options)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter_mut().enumerate() {
                separate(index, &mut text);
                push_cell(column.text(row)?.as_deref(), self.classes[index], &mut text);
            }
            text.push('\n');
        }
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Ends the file.
    pub(super) fn finish(self) -> io::Result<()> {
        self.out.flush()
    }
}

fn separate(index: usize, line: &mut String) {
    if index > 0 {
        line.push(',');
    }
}

fn push_cell(text: Option<&str>, class: Class, line: &mut String) {
    let Some(text) = text else { return };
    if class == Class::Number {
        return line.push_str(text);
    }
    let mut visible = String::with_capacity(text.len());
    if is_formula(text) {
        visible.push('\'');
    }
    push_visible(text, Breaks::Kept, &mut visible);
    let quote = visible.is_empty() || visible.contains([',', ';', '"', '\n', '\r', '\t']) || visible.trim() != visible;
    match quote {
        true => line.extend(["\"", &visible.replace('"', "\"\""), "\""]),
        false => line.push_str(&visible),
    }
}
