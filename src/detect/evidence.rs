//! The events behind a day's stories, gathered while they are read.
//!
//! Owns: which events of a flagged cell are kept, and which of those a story tells. Refuses: to read them; they come as batches
//! of `sql/evidence.sql`. Invariant: what is told depends on the set of events only, and what is held is bounded by the flagged
//! cells, however many events one has.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use super::rows::{Numbers, Texts};
use crate::error::Result;

/// Events listed in a finding at most: those that carry the most surprise.
pub const EVENT_LIMIT: usize = 200;

/// Events listed of one cell at most: like calls of one hour say the same.
const CELL_LIMIT: usize = 20;

/// One event that carries surprise.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    pub(super) actor: String,
    pub(super) account: String,
    pub(super) api: String,
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) region: String,
    pub(super) outcome: String,
    pub(super) time: DateTime<Utc>,
    pub(super) event_id: Option<String>,
    pub(super) event_hash: String,
    pub(super) address: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) millibits: i64,
    pub(super) identity_type: Option<String>,
    pub(super) principal_id: Option<String>,
    pub(super) access_key_id: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) country: Option<String>,
    pub(super) asn: Option<i64>,
    pub(super) org: Option<String>,
    pub(super) list: Option<String>,
}

/// Time, id, and hash, those without an id behind the others of their time: the order in which events are told.
type Place<'e> = (DateTime<Utc>, bool, Option<&'e str>, &'e str);

impl Evidence {
    fn place(&self) -> Place<'_> {
        (self.time, self.event_id.is_none(), self.event_id.as_deref(), &self.event_hash)
    }

    /// What tells an event from others.
    fn identity(&self) -> &str {
        self.event_id.as_deref().unwrap_or(&self.event_hash)
    }
}

/// Events by story and cell, the first of each cell.
#[derive(Default)]
pub(super) struct Gathering(BTreeMap<(i64, i64), Vec<Evidence>>);

impl Gathering {
    /// Adds a batch of `evidence.sql`.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::of(batch)?;
        for row in columns.story.rows() {
            let kept = self.0.entry((columns.story.at(row), columns.cell.at(row))).or_default();
            let place = columns.place(row);
            let at = kept.partition_point(|event| event.place() <= place);
            if at < CELL_LIMIT {
                kept.insert(at, columns.event(row));
                kept.truncate(CELL_LIMIT);
            }
        }
        Ok(())
    }

    /// The events of each story that carry the most, in the order of their time. One that several cells have is told once, as
    /// of the cell that carries the most.
    pub(super) fn stories(self) -> BTreeMap<i64, Vec<Evidence>> {
        let mut stories: BTreeMap<i64, BTreeMap<String, Evidence>> = BTreeMap::new();
        for ((story, _), events) in self.0 {
            let told = stories.entry(story).or_default();
            events.into_iter().for_each(|event| tell(event, told));
        }
        stories.into_iter().map(|(story, told)| (story, foremost(told.into_values().collect()))).collect()
    }
}

fn tell(event: Evidence, told: &mut BTreeMap<String, Evidence>) {
    match told.entry(event.identity().to_owned()) {
        Entry::Vacant(new) => _ = new.insert(event),
        Entry::Occupied(mut known) if event.millibits > known.get().millibits => _ = known.insert(event),
        Entry::Occupied(_) => {}
    }
}

fn foremost(mut events: Vec<Evidence>) -> Vec<Evidence> {
    events.sort_by(|a, b| b.millibits.cmp(&a.millibits).then_with(|| a.place().cmp(&b.place())));
    events.truncate(EVENT_LIMIT);
    events.sort_by(|a, b| a.place().cmp(&b.place()));
    events
}

/// The columns of `evidence.sql`.
struct Columns {
    story: Numbers,
    cell: Numbers,
    millibits: Numbers,
    time: Numbers,
    asn: Numbers,
    actor: Texts,
    account: Texts,
    api: Texts,
    source: Texts,
    operation: Texts,
    region: Texts,
    outcome: Texts,
    event_id: Texts,
    event_hash: Texts,
    address: Texts,
    agent: Texts,
    identity_type: Texts,
    principal_id: Texts,
    access_key_id: Texts,
    user_name: Texts,
    kind: Texts,
    country: Texts,
    org: Texts,
    list: Texts,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |name| Texts::of(batch, name);
        let number = |name| Numbers::of(batch, name);
        Ok(Self {
            story: number("story")?,
            cell: number("cell")?,
            millibits: number("millibits")?,
            time: Numbers::of_instants(batch, "eventtime")?,
            asn: number("asn")?,
            actor: text("actor")?,
            account: text("account")?,
            api: text("api")?,
            source: text("eventsource")?,
            operation: text("eventname")?,
            region: text("region")?,
            outcome: text("outcome")?,
            event_id: text("eventid")?,
            event_hash: text("eventhash")?,
            address: text("sourceipaddress")?,
            agent: text("useragent")?,
            identity_type: text("identity_type")?,
            principal_id: text("principal_id")?,
            access_key_id: text("access_key_id")?,
            user_name: text("user_name")?,
            kind: text("kind")?,
            country: text("country")?,
            org: text("org")?,
            list: text("list")?,
        })
    }

    fn place(&self, row: usize) -> Place<'_> {
        let id = self.event_id.maybe(row);
        (self.time.instant(row), id.is_none(), id, self.event_hash.at(row))
    }

    fn event(&self, row: usize) -> Evidence {
        let text = |texts: &Texts| texts.at(row).to_owned();
        Evidence {
            actor: text(&self.actor),
            account: text(&self.account),
            api: text(&self.api),
            service: text(&self.source),
            operation: text(&self.operation),
            region: text(&self.region),
            outcome: text(&self.outcome),
            time: self.time.instant(row),
            event_id: self.event_id.owned(row),
            event_hash: text(&self.event_hash),
            address: self.address.owned(row),
            agent: self.agent.owned(row),
            millibits: self.millibits.at(row),
            identity_type: self.identity_type.owned(row),
            principal_id: self.principal_id.owned(row),
            access_key_id: self.access_key_id.owned(row),
            user_name: self.user_name.owned(row),
            kind: self.kind.owned(row),
            country: self.country.owned(row),
            asn: Some(self.asn.at(row)).filter(|asn| *asn > 0),
            org: self.org.owned(row),
            list: self.list.owned(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    /// Story, cell, thousandths of a bit, second, id.
    type Row = (i64, i64, i64, i64, Option<&'static str>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let number = |of: fn(&Row) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.3 * 1_000_000));
        let numbered = |row: &Row| format!("hash of {} {}", row.3, row.4.unwrap_or_default());
        let none = || -> ArrayRef { Arc::new(StringArray::new_null(rows.len())) };
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("story", number(|row| row.0)),
            ("cell", number(|row| row.1)),
            ("millibits", number(|row| row.2)),
            ("asn", number(|_| 0)),
            ("eventtime", Arc::new(times.with_timezone("UTC"))),
            ("eventid", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.4)))),
            ("eventhash", Arc::new(StringArray::from_iter_values(rows.iter().map(numbered)))),
        ];
        let texts = [
            "actor",
            "account",
            "api",
            "eventsource",
            "eventname",
            "region",
            "outcome",
            "sourceipaddress",
            "useragent",
            "identity_type",
            "principal_id",
            "access_key_id",
            "user_name",
            "kind",
            "country",
            "org",
            "list",
        ];
        columns.extend(texts.map(|name| (name, none())));
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    /// Second, thousandths of a bit, id.
    type Told = (i64, i64, Option<String>);

    fn told(batches: &[&[Row]]) -> Vec<(i64, Vec<Told>)> {
        let mut gathering = Gathering::default();
        batches.iter().for_each(|rows| gathering.add(&batch(rows)).unwrap());
        let one = |event: &Evidence| (event.time.timestamp(), event.millibits, event.event_id.clone());
        gathering.stories().iter().map(|(story, events)| (*story, events.iter().map(one).collect())).collect()
    }

    #[test]
    fn an_event_of_two_cells_is_told_once_and_the_order_of_batches_means_nothing() {
        let rows: [Row; 5] = [
            (0, 1, 500, 9, Some("b")),
            (0, 2, 900, 9, Some("b")),
            (0, 1, 500, 9, None),
            (0, 1, 500, 4, Some("z")),
            (3, 7, 100, 1, Some("b")),
        ];
        let id = |text: &str| Some(text.to_owned());
        let expected = [(0, vec![(4, 500, id("z")), (9, 900, id("b")), (9, 500, None)]), (3, vec![(1, 100, id("b"))])];
        assert_eq!(told(&[&rows]), expected);
        let (early, late) = rows.split_at(2);
        assert_eq!(told(&[late, early]), expected);
    }

    #[test]
    fn of_a_cell_the_first_events_are_kept_and_of_a_story_the_heaviest() {
        let many: Vec<Row> = (0..50).rev().map(|second| (0, 0, 10, second, None)).collect();
        let times: Vec<i64> = told(&[&many])[0].1.iter().map(|event| event.0).collect();
        assert_eq!(times, (0..CELL_LIMIT as i64).collect::<Vec<_>>());
        let cells: Vec<Row> = (0..300).map(|cell| (0, cell, cell, 300 - cell, None)).collect();
        let told = told(&[&cells]);
        assert_eq!(told[0].1.len(), EVENT_LIMIT);
        assert_eq!((told[0].1[0].1, told[0].1[EVENT_LIMIT - 1].1), (299, 100));
    }
}
