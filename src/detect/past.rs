//! What is kept of a day in `baselines`, and how it is read again.
//!
//! Owns: the meaning of the rows, and the digest that tells whether they are those that were kept. Refuses: to read or write
//! them; they come and go as batches.
//! Invariant: what is read is what was kept, or an error; in what order rows come, and in how many files, means nothing. Whoever
//! can write the lake can write a digest, too: it finds damage, and whoever does not know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::counts::{Count, DayCounts};
use super::feature::{self, Feature};
use super::hours::DayHours;
use super::memory::{ActorDay, DayRecord, FactRow};
use super::names::Names;
use super::reads::{Amount, ReadRow};
use super::rows::{Numbers, Texts};
use super::signal::Signal;
use super::silence::TrafficRow;
use crate::error::{Error, ErrorKind, Result};
use crate::schema;

/// Names of the rows of `baselines` that are no values: the events behind a date (with the digest of its other rows as their
/// account), an actor's counts, its signals, the scores of a date's stories.
pub(super) const ROWS: &str = "_rows";
const COUNTS: &str = "_counts";
const SIGNALS: &str = "_signals";
/// An actor's calls by hour.
const HOURS: &str = "_hours";
const STORY: &str = "_story";
/// What an actor read from a bucket, which stands in the place of the account.
const READS: &str = "_reads";
/// Events by account, region and service, whoever called: what `silence` compares with.
const TRAFFIC: &str = "_traffic";

/// What was kept of a date, as it was read.
#[derive(Default)]
pub struct Past(Vec<PastRows>);

impl Past {
    /// Adds rows of the date.
    ///
    /// # Errors
    /// `Internal` where they are no rows of `baselines`.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.push(PastRows::of(batch)?);
        Ok(())
    }

    /// The record that it is of, and the traffic.
    ///
    /// # Errors
    /// `BadInput` where the rows are not those that were kept, as their digest tells.
    pub fn read(&self, date: NaiveDate, names: &mut Names) -> Result<(DayRecord, Vec<TrafficRow>)> {
        let mut traffic = Vec::new();
        let mut record = DayRecord::empty(date);
        // they are summed in this order; it is nearly the one in which they are written, which a merge sort makes use of
        let mut rows: Vec<PastRow<'_>> = Vec::with_capacity(self.0.iter().map(|part| part.events.rows().len()).sum());
        self.0.iter().for_each(|part| rows.extend(part.rows()));
        rows.sort();
        check(date, &rows)?;
        rows.into_iter().for_each(|row| read_past(row, names, &mut record, &mut traffic));
        record.stories.sort_unstable_by(|a, b| b.cmp(a));
        Ok((record, traffic))
    }
}

/// Compares sorted rows with the digest among them. Those of a release that kept none are taken as they are.
fn check(date: NaiveDate, rows: &[PastRow<'_>]) -> Result<()> {
    let told = rows.iter().find(|([_, _, feature, _], _)| *feature == ROWS).map_or("", |([_, told, ..], _)| told);
    if told.is_empty() || told == digest(date, rows) {
        return Ok(());
    }
    let what = format!("the baselines of {date} are not what was kept: rows of them were changed, added or lost");
    Err(Error::new(ErrorKind::BadInput, what).hint("count them anew from the events: trailhound train --anew"))
}

/// SHA-256 (hex) of a date and its sorted rows, each text with its length before it; the row that it stands in comes last, and
/// without it.
fn digest(date: NaiveDate, rows: &[PastRow<'_>]) -> String {
    let mut bytes = date.to_string().into_bytes();
    let mut add = |texts: [&str; 4], events: i64| {
        for text in texts {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&events.to_le_bytes());
    };
    let (origin, others): (Vec<&PastRow<'_>>, Vec<_>) = rows.iter().partition(|(texts, _)| texts[2] == ROWS);
    others.into_iter().for_each(|(texts, events)| add(*texts, *events));
    origin.into_iter().for_each(|([actor, _, feature, value], events)| add([actor, "", feature, value], *events));
    hex::encode(Sha256::digest(&bytes))
}

/// Rows of `baselines`.
struct PastRows {
    texts: [Texts; 4],
    events: Numbers,
}

/// Actor, account, feature, value and events.
type PastRow<'p> = ([&'p str; 4], i64);

impl PastRows {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |name| Texts::of(batch, name);
        let texts = [text("actor")?, text("account")?, text("feature")?, text("value")?];
        Ok(Self { texts, events: Numbers::of(batch, "events")? })
    }

    fn rows(&self) -> impl Iterator<Item = PastRow<'_>> {
        self.events.rows().map(|row| (self.texts.each_ref().map(|texts| texts.at(row)), self.events.at(row)))
    }
}

fn read_past(
    ([actor, account, feature, value], events): PastRow<'_>,
    names: &mut Names,
    record: &mut DayRecord,
    traffic: &mut Vec<TrafficRow>,
) {
    match feature {
        COUNTS => {
            let Some(counts) = DayCounts::from_text(record.date, value) else { return };
            let (profile, peer) = (names.of(actor), names.of(account));
            record.actors.push(ActorDay { profile, peer, counts, hours: DayHours::default(), values: BTreeMap::new() });
        }
        // of the actor whose counts came before: the rows are sorted, and these names sort before all features
        HOURS => {
            if let (Some(day), Some(hours)) = (record.actors.last_mut(), DayHours::from_text(value)) {
                day.hours = hours;
            }
        }
        SIGNALS => {
            if let Some(day) = record.actors.last_mut() {
                day.values = signals_of(value);
            }
        }
        STORY => record.stories.push(events),
        READS => {
            let Some(amount) = Amount::from_text(value) else { return };
            record.reads.push(ReadRow { profile: names.of(actor), bucket: names.of(account), amount });
        }
        TRAFFIC => traffic.extend(TrafficRow::from_text(account, actor, value)),
        other => {
            let Some(feature) = Feature::of(other) else { return };
            let (profile, account) = (names.of(actor), names.of(account));
            record.facts.push(FactRow { profile, account, feature, value: names.of(value), calls: events });
        }
    }
}

fn signals_text(values: &BTreeMap<Signal, i64>) -> String {
    let one = |(signal, millibits): (&Signal, &i64)| format!("{}={millibits}", signal.as_str());
    values.iter().map(one).collect::<Vec<_>>().join(";")
}

fn signals_of(text: &str) -> BTreeMap<Signal, i64> {
    let one = |part: &str| {
        let (name, millibits) = part.split_once('=')?;
        Some((Signal::of(name)?, millibits.parse().ok()?))
    };
    text.split(';').filter_map(one).collect()
}

/// The rows of `baselines` that keep a date, and the number of events they come from.
pub struct Kept<'a> {
    /// The date.
    pub record: &'a DayRecord,
    /// Its texts.
    pub names: &'a Names,
    /// Rows of `events` of the date.
    pub events: i64,
    /// The same by account, region and service.
    pub traffic: &'a [TrafficRow],
}

impl Kept<'_> {
    /// As a batch of `baselines`.
    ///
    /// # Errors
    /// `Internal` where the batch cannot be built.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let mut rows = Rows::default();
        for day in &self.record.actors {
            let (profile, peer) = (self.names.text(day.profile), self.names.text(day.peer));
            rows.add(profile, peer, COUNTS, &day.counts.to_text(), day.counts.get(Count::Calls));
            if !day.hours.is_empty() {
                rows.add(profile, peer, HOURS, &day.hours.to_text(), 0);
            }
            if !day.values.is_empty() {
                rows.add(profile, peer, SIGNALS, &signals_text(&day.values), 0);
            }
        }
        for fact in &self.record.facts {
            let text = |name| self.names.text(name);
            rows.add(text(fact.profile), text(fact.account), fact.feature.as_str(), text(fact.value), fact.calls);
        }
        for read in &self.record.reads {
            let (profile, bucket) = (self.names.text(read.profile), self.names.text(read.bucket));
            rows.add(profile, bucket, READS, &read.amount.to_text(), read.amount.objects);
        }
        for (rank, score) in self.record.stories.iter().enumerate() {
            rows.add("", "", STORY, &rank.to_string(), *score);
        }
        for row in self.traffic {
            rows.add(&row.source, &row.account, TRAFFIC, &row.to_text(), row.quarters.iter().sum());
        }
        let origin = ["", "", ROWS, feature::VERSION];
        let digest = rows.digest(self.record.date, (origin, self.events));
        rows.add("", &digest, ROWS, feature::VERSION, self.events);
        rows.build(self.record.date)
    }
}

#[derive(Default)]
struct Rows {
    texts: [Vec<String>; 4],
    events: Vec<i64>,
}

impl Rows {
    fn add(&mut self, actor: &str, account: &str, feature: &str, value: &str, events: i64) {
        let row = [actor, account, feature, value];
        self.texts.iter_mut().zip(row).for_each(|(column, text)| column.push(text.to_owned()));
        self.events.push(events);
    }

    /// The digest of the rows and of the one that it will stand in.
    fn digest(&self, date: NaiveDate, origin: PastRow<'_>) -> String {
        let row = |at: usize| (self.texts.each_ref().map(|texts| texts[at].as_str()), self.events[at]);
        let mut rows: Vec<PastRow<'_>> = (0..self.events.len()).map(row).chain([origin]).collect();
        rows.sort();
        digest(date, &rows)
    }

    fn build(self, date: NaiveDate) -> Result<RecordBatch> {
        let dates = vec![(date - NaiveDate::default()).num_days() as i32; self.events.len()];
        let mut columns: Vec<ArrayRef> =
            self.texts.into_iter().map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef).collect();
        columns.push(Arc::new(Int64Array::from(self.events)));
        columns.push(Arc::new(Date32Array::from(dates)));
        RecordBatch::try_new(schema::BASELINES.schema(), columns).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot build the baselines of {date}")).source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> NaiveDate {
        "2026-03-02".parse().unwrap()
    }

    /// A day of one actor with two values.
    fn kept(names: &mut Names) -> RecordBatch {
        let [profile, peer, account] = ["ana", "people", "111111111111"].map(|text| names.of(text));
        let mut counts = DayCounts::empty(date());
        counts.set(Count::Calls, 9);
        let values = BTreeMap::from([(Signal::Network, 2500)]);
        let hours = DayHours::from_text("9=7;23=2").unwrap();
        let fact = |value, calls| FactRow { profile, account, feature: Feature::Api, value, calls };
        let facts = vec![fact(names.of("s3:GetObject"), 7), fact(names.of("s3:PutObject"), 2)];
        let record = DayRecord {
            date: date(),
            facts,
            actors: vec![ActorDay { profile, peer, counts, hours, values }],
            reads: vec![ReadRow { profile, bucket: account, amount: Amount { objects: 3, bytes: 4096 } }],
            stories: vec![8000, 5000],
        };
        let text = str::to_owned;
        let traffic =
            [TrafficRow { account: text("1"), region: text("eu-west-1"), source: text("s3"), quarters: [1, 2, 3, 4] }];
        Kept { record: &record, names, events: 10, traffic: &traffic }.to_batch().unwrap()
    }

    fn read(batches: &[RecordBatch]) -> Result<(DayRecord, Vec<TrafficRow>)> {
        let mut past = Past::default();
        batches.iter().for_each(|batch| past.add(batch).unwrap());
        past.read(date(), &mut Names::default())
    }

    /// The rows with one column's value of one row changed.
    fn changed(batch: &RecordBatch, column: usize, row: usize, to: &str) -> RecordBatch {
        let mut columns = batch.columns().to_vec();
        let texts = Texts::of(batch, batch.schema().field(column).name()).unwrap();
        let texts = (0..batch.num_rows()).map(|at| if at == row { to.to_owned() } else { texts.at(at).to_owned() });
        columns[column] = Arc::new(StringArray::from_iter_values(texts));
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    }

    #[test]
    fn what_was_kept_is_read_in_any_order() {
        let batch = kept(&mut Names::default());
        let rows = batch.num_rows();
        let (record, traffic) = read(&[batch.slice(3, rows - 3), batch.slice(0, 3)]).unwrap();
        assert_eq!((record.facts.len(), record.actors.len(), record.stories.as_slice()), (2, 1, &[8000, 5000][..]));
        assert_eq!(traffic[0].quarters, [1, 2, 3, 4]);
    }

    #[test]
    fn rows_that_were_changed_added_or_lost_are_refused_by_their_day() {
        let batch = kept(&mut Names::default());
        let rows = batch.num_rows();
        let refused = |batches: &[RecordBatch]| {
            let refusal =
                |error: Error| error.kind() == ErrorKind::BadInput && error.to_string().contains("2026-03-02");
            read(batches).err().is_some_and(refusal)
        };
        for row in 0..rows {
            let lost = [batch.slice(0, row), batch.slice(row + 1, rows - row - 1)];
            // without the last one, which has the digest, nothing is known of the date, and it is counted anew
            assert_eq!(refused(&lost), row + 1 < rows, "{row}");
            assert!(refused(&[changed(&batch, 0, row, "ben")]), "{row}");
        }
        assert!(refused(&[batch.clone(), batch.slice(0, 1)]));
    }

    #[test]
    fn rows_of_a_release_without_digests_are_read() {
        let batch = kept(&mut Names::default());
        let old = changed(&batch, 1, batch.num_rows() - 1, "");
        assert_eq!(read(&[old.slice(1, old.num_rows() - 1)]).unwrap().0.stories.len(), 2);
    }
}
