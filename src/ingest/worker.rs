//! One worker: objects in, Parquet files out.
//!
//! Owns: the buffers that are reused from object to object, and the files under construction, one per day of events.
//! Invariant: memory does not grow with the number of objects: rows are encoded when they fill a row group or their
//! share of memory, and only a few days are open at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::gate::{Files, Gate};
use super::side::Side;
use crate::batch::flat::{FlatRecord, Shape};
use crate::batch::{Identified, RowGroup, event_id, identify, time};
use crate::decode;
use crate::encode::{EventEncoder, EventFile, ROW_GROUP_ROWS};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Reject, RejectReason, Tally};
use crate::lake::EncodedFile;
use crate::parse::{Chunk, Parser, Record, Visitor};
use crate::source::{Kind, ObjectInfo, Payload, folder};

/// Bytes of memory of the rows that are not encoded yet, over all open days; a full row group of CloudTrail takes about
/// 25 MB.
const MAX_OPEN_BYTES: usize = 48 << 20;

/// Bytes that the first file is expected to have; the others are expected to be as large as the one before.
const FILE_BYTES: usize = 1 << 20;

/// Days of events with a file open. Objects are read in order of their day, so more are rarely needed.
const MAX_OPEN_DAYS: usize = 8;

/// Raw text of rejects held until the next commit; what comes later is kept without its text.
const MAX_RAW_BYTES: usize = 16 << 20;

/// Seconds of work by stage, summed over the workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StageSeconds {
    /// Listing the source and reading the ledger (elapsed).
    pub list: f64,
    /// Waiting for objects, summed over concurrent requests.
    pub fetch: f64,
    /// Bytes to JSON text.
    pub decode: f64,
    /// JSON text to its SHA-256, where it is kept.
    pub hash: f64,
    /// JSON text to records.
    pub parse: f64,
    /// Telling new events from known ones.
    pub dedupe: f64,
    /// Records to Arrow columns.
    pub batch: f64,
    /// Arrow columns to Parquet.
    pub write: f64,
    /// Putting and committing files (elapsed).
    pub commit: f64,
    /// The whole run (elapsed).
    pub total: f64,
}

impl StageSeconds {
    pub(super) fn add(&mut self, other: &Self) {
        self.list += other.list;
        self.fetch += other.fetch;
        self.decode += other.decode;
        self.hash += other.hash;
        self.parse += other.parse;
        self.dedupe += other.dedupe;
        self.batch += other.batch;
        self.write += other.write;
        self.commit += other.commit;
    }
}

/// Whether the SHA-256 of every object's text is kept, for verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hashing {
    /// Not.
    #[default]
    Off,
    /// In the ledger.
    On,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ObjectDone {
    pub object: ObjectInfo,
    pub tally: Tally,
    pub status: Status,
    /// SHA-256 of its text, in hexadecimal, where it was asked for.
    pub sha256: Option<String>,
}

/// Whether an object need not be read again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// Every record is accounted for.
    Done,
    /// It is no log, whatever its name says.
    Other(Kind),
    /// The object as a whole is broken, as far as can be told now.
    Rejected(String),
    /// It could not be fetched.
    Failed {
        /// What happened.
        why: String,
        /// Whether it happened to this object alone, and not to the service or the credentials.
        is_own: bool,
    },
}

/// What a worker made of a batch of objects.
#[derive(Default)]
pub(super) struct BatchResult {
    pub files: Files,
    pub done: Vec<ObjectDone>,
    pub rejects: Vec<(ObjectInfo, Reject)>,
    pub json_bytes: u64,
    pub seconds: StageSeconds,
}

struct DayFile {
    rows: RowGroup,
    file: EventFile,
    used: u64,
}

/// A worker and its memory.
pub(super) struct Worker {
    parser: Parser,
    file: Vec<u8>,
    text: Vec<u8>,
    max_object_size: u64,
    encoder: Option<EventEncoder>,
    hashing: Hashing,
    /// Of the object in hand.
    sha256: Option<String>,
    days: BTreeMap<i32, DayFile>,
    spare: Option<RowGroup>,
    file_bytes: usize,
    clock: u64,
    raw_bytes: usize,
    side: Side,
    result: BatchResult,
}

impl Worker {
    pub(super) fn new(max_object_size: u64, hashing: Hashing) -> Self {
        Self {
            parser: Parser::default(),
            file: Vec::new(),
            text: Vec::new(),
            max_object_size,
            encoder: None,
            hashing,
            sha256: None,
            days: BTreeMap::new(),
            spare: None,
            file_bytes: FILE_BYTES,
            clock: 0,
            raw_bytes: 0,
            side: Side::default(),
            result: BatchResult::default(),
        }
    }

    /// Notes an object that could not be fetched.
    pub(super) fn failed(&mut self, object: ObjectInfo, error: &Error) {
        let is_own = matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::BadInput);
        let status = Status::Failed { why: error.to_string(), is_own };
        self.result.done.push(ObjectDone { object, tally: Tally::default(), status, sha256: None });
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Where the lake cannot be read or a file not be encoded: the batch cannot be committed then.
    pub(super) fn object(&mut self, object: ObjectInfo, payload: Payload, gate: &Gate) -> Result<()> {
        if let Payload::File(path) = &payload
            && let Err(error) = timed(&mut self.result.seconds.fetch, || folder::read_into(path, &mut self.file))
        {
            self.failed(object, &error);
            return Ok(());
        }
        if let Err(reject) = self.decode(&payload) {
            self.reject_object(object, reject);
            return Ok(());
        }
        if self.hashing == Hashing::On {
            let hash = timed(&mut self.result.seconds.hash, || crate::digest::hash(&self.text));
            self.sha256 = Some(hash);
        }
        self.records(object, gate)
    }

    /// Decodes an object. One that came over a network and is broken is fetched once more, as it may have broken there:
    /// HTTP has no checksum, and not every object has one of S3's.
    fn decode(&mut self, payload: &Payload) -> std::result::Result<(), Reject> {
        let (limit, text, seconds) = (self.max_object_size, &mut self.text, &mut self.result.seconds);
        let bytes = match payload {
            Payload::Bytes(bytes) | Payload::Remote(bytes, _) => bytes,
            Payload::File(_) => self.file.as_slice(),
        };
        let Err(reject) = timed(&mut seconds.decode, || decode::decode(bytes, limit, text)) else { return Ok(()) };
        let (RejectReason::BrokenGzip, Payload::Remote(_, again)) = (reject.reason, payload) else {
            return Err(reject);
        };
        match timed(&mut seconds.fetch, || again.fetch_blocking()) {
            Ok(second) if second != bytes => timed(&mut seconds.decode, || decode::decode(&second, limit, text)),
            _ => Err(reject),
        }
    }

    fn reject_object(&mut self, object: ObjectInfo, reject: Reject) {
        let status = Status::Rejected(format!("{}: {}", reject.reason, reject.detail));
        self.keep(&object, reject);
        self.result.done.push(ObjectDone { object, tally: Tally::default(), status, sha256: None });
    }

    fn keep(&mut self, object: &ObjectInfo, mut reject: Reject) {
        self.raw_bytes += reject.raw.len();
        if self.raw_bytes > MAX_RAW_BYTES {
            reject.raw.clear();
        }
        self.result.rejects.push((object.clone(), reject));
    }

    fn records(&mut self, object: ObjectInfo, gate: &Gate) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        let mut parser = std::mem::take(&mut self.parser);
        let started = Instant::now();
        let mut rows = Rows::new(self, &object, gate);
        parser.parse(&text, &mut rows);
        let Rows { tally, rejects, whole, error, elsewhere, .. } = rows;
        self.result.seconds.parse += started.elapsed().saturating_sub(elsewhere).as_secs_f64();
        self.result.json_bytes += text.len() as u64;
        (self.text, self.parser) = (text, parser);
        if let Some(error) = error {
            return Err(error);
        }
        if let Some(kind) = neighbour(&rejects) {
            let status = Status::Other(kind);
            self.result.done.push(ObjectDone { object, tally: Tally::default(), status, sha256: None });
            return Ok(());
        }
        for reject in rejects {
            self.keep(&object, reject);
        }
        let status = whole.map_or(Status::Done, Status::Rejected);
        let sha256 = self.sha256.take();
        self.result.done.push(ObjectDone { object, tally, status, sha256 });
        Ok(())
    }

    fn append(&mut self, chunk: &Chunk<'_>, admitted: &[(usize, Identified)], object: &ObjectInfo) -> Result<()> {
        for (index, identified) in admitted {
            let day = identified.day();
            self.open(day)?;
            let Some(open) = self.days.get_mut(&day) else { continue };
            open.rows.append(&chunk.record(*index), identified, &object.name);
            if open.rows.rows() >= ROW_GROUP_ROWS {
                self.encode(day)?;
            }
        }
        self.make_room()
    }

    /// Encodes the largest of the open days' rows until the rest has room.
    fn make_room(&mut self) -> Result<()> {
        loop {
            let sizes = || self.days.iter().map(|(&day, open)| (open.rows.memory(), day));
            let total: usize = sizes().map(|(bytes, _)| bytes).sum();
            match sizes().max() {
                Some((_, largest)) if total > MAX_OPEN_BYTES => self.encode(largest)?,
                _ => return Ok(()),
            }
        }
    }

    fn encode(&mut self, day: i32) -> Result<()> {
        let (Some(open), Some(encoder)) = (self.days.get_mut(&day), &mut self.encoder) else { return Ok(()) };
        timed(&mut self.result.seconds.write, || encoder.write(&mut open.file, &mut open.rows)).map_err(not_encoded)
    }

    /// Makes sure that a day has a file, closing the one used longest ago where too many are open.
    fn open(&mut self, day: i32) -> Result<()> {
        self.clock += 1;
        if let Some(open) = self.days.get_mut(&day) {
            open.used = self.clock;
            return Ok(());
        }
        if self.days.len() >= MAX_OPEN_DAYS
            && let Some(oldest) = self.days.iter().min_by_key(|(_, open)| open.used).map(|(&day, _)| day)
        {
            self.close(oldest)?;
        }
        let encoder = match &self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(EventEncoder::new().map_err(not_encoded)?),
        };
        let file = encoder.start(self.file_bytes).map_err(not_encoded)?;
        let rows = self.spare.take().unwrap_or_default();
        self.days.insert(day, DayFile { rows, file, used: self.clock });
        Ok(())
    }

    fn close(&mut self, day: i32) -> Result<()> {
        self.encode(day)?;
        let Some(DayFile { rows, file, .. }) = self.days.remove(&day) else { return Ok(()) };
        self.spare = Some(rows);
        let date = time::date_of(day);
        let encoded = timed(&mut self.result.seconds.write, || EncodedFile::of_events(file, date))?;
        self.file_bytes = encoded.bytes.len() + encoded.bytes.len() / 4;
        self.result.files.entry(Shape::Event).or_default().push(encoded);
        Ok(())
    }

    /// Ends the batch and hands over what became of it.
    ///
    /// # Errors
    /// Where a file cannot be encoded.
    pub(super) fn finish(&mut self) -> Result<BatchResult> {
        while let Some(&day) = self.days.keys().next() {
            self.close(day)?;
        }
        self.raw_bytes = 0;
        self.result.files.append(&mut self.side.finish()?);
        Ok(std::mem::take(&mut self.result))
    }
}

fn not_encoded(error: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorKind::Internal, "cannot encode a file of events").source(error)
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *seconds += started.elapsed().as_secs_f64();
    result
}

/// The records of one object on their way to rows.
struct Rows<'w> {
    worker: &'w mut Worker,
    object: &'w ObjectInfo,
    gate: &'w Gate,
    tally: Tally,
    rejects: Vec<Reject>,
    /// Why the object as a whole is rejected.
    whole: Option<String>,
    error: Option<Error>,
    /// Time spent in here, which is not the parser's.
    elsewhere: Duration,
}

impl<'w> Rows<'w> {
    fn new(worker: &'w mut Worker, object: &'w ObjectInfo, gate: &'w Gate) -> Self {
        let (tally, rejects) = (Tally::default(), Vec::new());
        Self { worker, object, gate, tally, rejects, whole: None, error: None, elsewhere: Duration::ZERO }
    }

    fn take(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        let started = Instant::now();
        let mut identified = Vec::with_capacity(chunk.records().len());
        for (index, record) in chunk.records().enumerate() {
            self.tally.seen += 1;
            match Shape::of(&record) {
                Shape::Event => {}
                shape => {
                    self.flat(shape, &record)?;
                    continue;
                }
            }
            match identify(&record) {
                Ok(known) => identified.push((index, known)),
                Err(reject) => {
                    self.tally.rejects += 1;
                    self.rejects.push(reject);
                }
            }
        }
        let total = identified.len();
        let mut dedupe = 0.0;
        timed(&mut dedupe, || self.gate.admit(Shape::Event, &mut identified, |index| event_id(&chunk.record(index))))?;
        self.tally.rows += identified.len() as u64;
        self.tally.duplicates += (total - identified.len()) as u64;
        let write = self.worker.result.seconds.write;
        self.worker.append(chunk, &identified, self.object)?;
        let write = self.worker.result.seconds.write - write;
        self.worker.result.seconds.dedupe += dedupe;
        self.worker.result.seconds.batch += started.elapsed().as_secs_f64() - dedupe - write;
        Ok(())
    }

    /// Takes a record that is no event.
    fn flat(&mut self, shape: Shape, record: &Record<'_>) -> Result<()> {
        let flat = match FlatRecord::read(shape, record) {
            Ok(flat) => flat,
            Err(reject) => {
                self.tally.rejects += 1;
                self.rejects.push(reject);
                return Ok(());
            }
        };
        let mut new = vec![(0, flat.identified)];
        self.gate.admit(shape, &mut new, |_| flat.event_id())?;
        if new.is_empty() {
            self.tally.duplicates += 1;
            return Ok(());
        }
        self.tally.rows += 1;
        self.worker.side.append(shape, &flat, &self.object.name)
    }
}

impl Visitor for Rows<'_> {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        let started = Instant::now();
        if self.error.is_none()
            && let Err(error) = self.take(chunk)
        {
            self.error = Some(error);
        }
        self.elsewhere += started.elapsed();
    }

    fn reject(&mut self, reject: Reject) {
        match reject.position {
            Some(_) => {
                self.tally.seen += 1;
                self.tally.rejects += 1;
            }
            None => self.whole = Some(whole(&reject)),
        }
        self.rejects.push(reject);
    }
}

fn whole(reject: &Reject) -> String {
    let hint = match reject.reason {
        RejectReason::NoRecords => " (is it a CloudTrail log?)",
        _ => "",
    };
    format!("{}: {}{hint}", reject.reason, reject.detail)
}

/// What an object without records is, where it is one of CloudTrail's other files under a name that does not say so.
fn neighbour(rejects: &[Reject]) -> Option<Kind> {
    let [Reject { position: None, reason: RejectReason::NoRecords, raw, .. }] = rejects else { return None };
    let is_digest = ["\"digestS3Object\"", "\"digestStartTime\"", "\"logFiles\""].iter().all(|name| raw.contains(name));
    is_digest.then_some(Kind::Digest)
}
