//! An investigation as rows, as JSON and as a page.
//!
//! Invariant: all three have the same sections with the same rows.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Investigation, SECTIONS, Section};
use crate::error::{Error, ErrorKind, Result};
use crate::inert::{Breaks, escape_json, push_visible};
use crate::page::{self, Block, Page, Shown, Table};

/// Names of the sections, in order.
pub fn section_names() -> [&'static str; SECTIONS.len()] {
    SECTIONS.map(|(name, ..)| name)
}

impl Section {
    /// Its rows.
    ///
    /// # Errors
    /// None in practice: columns are text and numbers.
    pub fn batch(&self) -> Result<RecordBatch> {
        let column = |index: usize, numeric: bool| -> ArrayRef {
            let cells = self.rows.rows.iter().map(|row| row.get(index).and_then(|cell| cell.as_deref()));
            match numeric {
                true => Arc::new(cells.map(|cell| cell?.parse().ok()).collect::<Int64Array>()),
                false => Arc::new(cells.collect::<StringArray>()),
            }
        };
        let fields = self
            .rows
            .columns
            .iter()
            .map(|(name, numeric)| Field::new(name, if *numeric { DataType::Int64 } else { DataType::Utf8 }, true));
        let columns =
            self.rows.columns.iter().enumerate().map(|(index, (_, numeric))| column(index, *numeric)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot make the rows of a section").source(error))
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.rows.rows.is_empty()
    }

    fn json(&self) -> Value {
        Value::Array(self.objects().map(Value::Object).collect())
    }

    /// An object for each row.
    fn objects(&self) -> impl Iterator<Item = Map<String, Value>> {
        let member =
            |((name, numeric), cell): (&(String, bool), &Option<String>)| (name.clone(), value(name, *numeric, cell));
        self.rows.rows.iter().map(move |cells| self.rows.columns.iter().zip(cells).map(member).collect())
    }

    fn table(&self) -> Table {
        Table { columns: self.rows.columns.clone(), rows: self.rows.rows.clone() }
    }
}

fn value(name: &str, numeric: bool, cell: &Option<String>) -> Value {
    match cell {
        None => Value::Null,
        Some(text) if name == "reasons" => json!(text.split("; ").collect::<Vec<_>>()),
        Some(text) if numeric => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some(text) => json!(text),
    }
}

/// An investigation as one JSON object, on several lines.
pub fn json(found: &Investigation) -> String {
    let sections: Map<_, _> = found.sections.iter().map(|section| (section.name.to_owned(), section.json())).collect();
    let facts: Map<_, _> = found.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let whole = json!({
        "subject": {"kind": found.subject.kind(), "name": found.subject.name()},
        "from": found.from.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        "to": found.to.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        "facts": facts,
        "notes": found.notes,
        "sections": sections,
    });
    let mut text = escape_json(&format!("{whole:#}")).into_owned();
    text.push('\n');
    text
}

/// An investigation as one JSON object a line: facts, notes, and the rows of the sections, each with the `section` that it is of.
pub fn ndjson(found: &Investigation) -> String {
    let facts = found.facts.iter().map(|(name, value)| json!({"section": "facts", "name": name, "value": value}));
    let notes = found.notes.iter().map(|note| json!({"section": "notes", "note": note}));
    let rows = found.sections.iter().flat_map(|section| {
        section.objects().map(|mut object| {
            object.insert("section".to_owned(), json!(section.name));
            Value::Object(object)
        })
    });
    let mut text = String::new();
    for line in facts.chain(notes).chain(rows) {
        text.push_str(&escape_json(&line.to_string()));
        text.push('\n');
    }
    text
}

/// An investigation as a page that stands alone.
pub fn html(found: &Investigation, now: DateTime<Utc>) -> String {
    let mut lead = Vec::new();
    if let (Some(from), Some(to)) = (found.from, found.to) {
        lead.push(format!("From {} to {}.", from.format("%F %T UTC"), to.format("%F %T UTC")));
    }
    lead.extend(found.notes.iter().cloned());
    Page {
        title: format!("Investigation of the {} {}", found.subject.kind(), found.subject.name()),
        lead,
        facts: found.facts.clone(),
        blocks: found.sections.iter().map(|section| block(found, section)).collect(),
        foot: format!("Made by trailhound {} at {}.", env!("CARGO_PKG_VERSION"), now.format("%F %T UTC")),
    }
    .html()
}

fn block(found: &Investigation, section: &Section) -> Block {
    let (figure, shown) = match section.name {
        "sessions" => (Some(page::tree("sessions-figure", &found.leaves)), Shown::Folded),
        "timeline" => (Some(page::bars("timeline-figure", &found.buckets)), Shown::Open),
        "activity" => (Some(heat(found, section)), Shown::Folded),
        _ => (None, Shown::Open),
    };
    let (title, lead) = (section.title.to_owned(), section.lead.to_owned());
    Block { id: section.name.to_owned(), title, lead, figure, shown, table: section.table() }
}

/// The calls by time, a row a call.
fn heat(found: &Investigation, section: &Section) -> page::Markup {
    let rows = &section.rows;
    let columns: Vec<String> = found.buckets.iter().map(|bucket| bucket.label.clone()).collect();
    let mut names: Vec<String> = Vec::new();
    let mut counts: Vec<Vec<u64>> = Vec::new();
    for row in 0..rows.rows.len() {
        let (Some(api), Some(time)) = (rows.text(row, 0), rows.text(row, 1)) else { continue };
        if names.last().is_none_or(|last| last != api) {
            names.push(api.to_owned());
            counts.push(vec![0; columns.len()]);
        }
        let count = u64::try_from(rows.number(row, 2)).unwrap_or_default();
        if let (Some(at), Some(last)) = (columns.iter().position(|column| column == time), counts.last_mut()) {
            last[at] += count;
        }
    }
    page::heat("activity-figure", &names, &columns, &counts)
}

impl Investigation {
    /// What stands above the tables on a terminal; inert.
    pub fn head(&self) -> String {
        let mut text = format!("Investigation of the {} {}\n", self.subject.kind(), self.subject.name());
        // Writing to a String cannot fail.
        if let (Some(from), Some(to)) = (self.from, self.to) {
            _ = writeln!(text, "from {} to {}", from.format("%FT%TZ"), to.format("%FT%TZ"));
        }
        for note in &self.notes {
            _ = writeln!(text, "{note}");
        }
        let width = self.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in &self.facts {
            _ = writeln!(text, "{name:width$}  {value}");
        }
        let mut visible = String::with_capacity(text.len());
        push_visible(&text, Breaks::Kept, &mut visible);
        visible
    }
}
