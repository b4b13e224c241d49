//! What trailhound makes of a text: each record's fate, and the rows.

use std::cell::RefCell;
use std::fmt;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::row::cell;
use crate::batch::{RowGroup, identify};
use crate::encode::EventEncoder;
use crate::event::{EventKey, Reject, RejectReason};
use crate::parse::{Chunk, Parser, Visitor};

/// What `source_object` says of a record's row: which record it was, as a file has its rows in an order of its own.
pub fn object(row: usize) -> String {
    format!("object/{row}.json.gz")
}

/// What became of a record.
#[derive(Clone, PartialEq)]
pub enum Fate {
    /// It is the next row.
    Row { raw: Vec<u8>, key: EventKey },
    /// It was read but cannot become a row.
    Refused { raw: Vec<u8>, reason: RejectReason },
    /// It was not read.
    Rejected { raw: String, reason: RejectReason },
}

impl Fate {
    /// The record's text, as far as it is kept.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Row { raw, .. } | Self::Refused { raw, .. } => raw,
            Self::Rejected { raw, .. } => raw.as_bytes(),
        }
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = String::from_utf8_lossy(self.raw());
        match self {
            Self::Row { .. } => write!(f, "row {raw}"),
            Self::Refused { reason, .. } => write!(f, "refused ({reason}) {raw}"),
            Self::Rejected { reason, .. } => write!(f, "rejected ({reason}) {raw}"),
        }
    }
}

/// What became of an object.
pub struct Reading {
    /// Each record's fate, in order.
    pub fates: Vec<Fate>,
    /// Why the object as a whole is rejected.
    pub whole: Vec<Reject>,
    group: RowGroup,
}

impl Reading {
    /// Reads a text.
    pub fn of(text: &[u8], parser: &mut Parser) -> Self {
        let mut told = Told::default();
        parser.parse(text, &mut told);
        Self { fates: told.fates, whole: told.whole, group: told.rows }
    }

    /// The rows as a reader of the file finds them, put into the order of their records.
    pub fn rows(&mut self) -> RecordBatch {
        let rows = ENCODER.with_borrow_mut(|encoder| encoded(encoder, &mut self.group));
        let objects: Vec<String> = (0..rows.num_rows()).filter_map(|row| cell(&rows, "source_object", row)).collect();
        let place = |row: usize| objects.iter().position(|other| *other == object(row)).expect("no row is lost");
        let places: UInt64Array = (0..rows.num_rows()).map(|row| place(row) as u64).collect();
        take_record_batch(&rows, &places).expect("every place is a row's")
    }

    /// True where anything was rejected.
    pub fn is_partial(&self) -> bool {
        !self.whole.is_empty() || self.fates.iter().any(|fate| matches!(fate, Fate::Rejected { .. }))
    }
}

#[derive(Default)]
struct Told {
    fates: Vec<Fate>,
    whole: Vec<Reject>,
    rows: RowGroup,
}

impl Visitor for Told {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        assert!(chunk.records().len() > 0, "a chunk without records");
        for record in chunk.records() {
            assert_eq!(record.position(), self.fates.len() as u64, "positions are counted from 0");
            let raw = record.raw().to_vec();
            match identify(&record) {
                Ok(known) => {
                    self.rows.append(&record, &known, &object(self.rows.rows()));
                    self.fates.push(Fate::Row { raw, key: known.key });
                }
                Err(reject) => {
                    assert_eq!(reject.position, Some(record.position()));
                    self.fates.push(Fate::Refused { raw, reason: reject.reason });
                }
            }
        }
    }

    fn reject(&mut self, reject: Reject) {
        let Some(position) = reject.position else { return self.whole.push(reject) };
        assert_eq!(position, self.fates.len() as u64, "positions are counted from 0");
        self.fates.push(Fate::Rejected { raw: reject.raw, reason: reject.reason });
    }
}

thread_local! {
    // a worker uses one for all of its files
    static ENCODER: RefCell<EventEncoder> = RefCell::new(EventEncoder::new().expect("zstd has memory"));
}

/// The rows of a file as the `parquet` crate reads them.
fn encoded(encoder: &mut EventEncoder, rows: &mut RowGroup) -> RecordBatch {
    let mut file = encoder.start(0).expect("memory takes it");
    encoder.write(&mut file, rows).expect("rows can be written");
    let (bytes, _) = file.finish().expect("a file ends");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a footer");
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().expect("a reader").map(|batch| batch.expect("a batch")).collect();
    concat_batches(&schema, &batches).expect("one schema")
}
