//! Records that are not calls -> rows of a flat table: CloudTrail Insights and aggregated events.
//!
//! Owns: telling what a record is by its content, wherever it was found, and the columns of the flat tables.
//! Invariant: as for `events`, a row holds all of its record: what has no column, or does not fit it, is in `extra`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use chrono::NaiveDateTime;
use serde_json::Value;

use super::{INDEX, Identified, note, time};
use crate::event::{EventKey, Reject, RejectReason};
use crate::parse::Record;
use crate::schema::{AGGREGATE, AGGREGATED, EVENTS, Flat, FlatKind, INSIGHT, INSIGHTS, RECORD, Table};

/// What a record is, and so which table it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// A call, or what a service or a person did: management, data and network activity.
    Event,
    /// The start or end of unusual activity, told by CloudTrail Insights.
    Insight,
    /// The sum of five minutes of data events.
    Aggregated,
}

impl Shape {
    /// Every shape, in order.
    pub const ALL: [Self; 3] = [Self::Event, Self::Insight, Self::Aggregated];

    /// What a record is: by its category, its type, or the member that only such a record has.
    pub fn of(record: &Record<'_>) -> Self {
        let text = |index: usize| record.member(index).and_then(|value| value.tree().as_str());
        match (text(INDEX.event_category), text(INDEX.event_type)) {
            (Some("Insight"), _) | (_, Some("AwsCloudTrailInsight")) => Self::Insight,
            (Some("Aggregated"), _) | (_, Some("AwsAggregatedEvent")) => Self::Aggregated,
            (None, None) if record.member(INDEX.insight_details).is_some() => Self::Insight,
            _ => Self::Event,
        }
    }

    /// The table of such records.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Event => &EVENTS,
            Self::Insight => &INSIGHTS,
            Self::Aggregated => &AGGREGATED,
        }
    }

    /// How the columns are read; none for events, which `BatchBuilder` makes.
    fn columns(self) -> &'static [Flat] {
        match self {
            Self::Event => &[],
            Self::Insight => INSIGHT,
            Self::Aggregated => AGGREGATE,
        }
    }
}

/// A record of a flat table, read.
pub struct FlatRecord<'c> {
    shape: Shape,
    /// Name and text of every member, and its value.
    members: Vec<(&'c str, &'c str, Value)>,
    /// Identity and time.
    pub identified: Identified,
    bytes: usize,
}

impl<'c> FlatRecord<'c> {
    /// Reads a record.
    ///
    /// # Errors
    /// The reject, where the record cannot become a row.
    pub fn read(shape: Shape, record: &Record<'c>) -> Result<Self, Reject> {
        let reject = |reason, detail: String| Reject::new(Some(record.position()), reason, detail, record.raw());
        if let Some(name) = record.duplicate_member() {
            return Err(reject(RejectReason::DuplicateMember, format!("{name} stands in the record twice")));
        }
        let known = (0..RECORD.len()).filter_map(|index| Some((RECORD[index].json, record.member(index)?.raw())));
        let members = known
            .chain(record.unknown())
            .map(|(name, raw)| serde_json::from_str(raw).map(|value| (name, raw, value)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| reject(RejectReason::BrokenJson, error.to_string()))?;
        let find = |column: &str| {
            let flat = shape.columns().iter().find(|flat| flat.column == column)?;
            value(&members, flat.path)
        };
        let Some((time, _)) = find("eventtime").and_then(Value::as_str).and_then(instant) else {
            return Err(reject(RejectReason::NoEventTime, "the record has no readable time".to_owned()));
        };
        let key = match find("eventid").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            Some(id) => EventKey::of_event_id(id),
            None => EventKey::of_record(record.raw()),
        };
        Ok(Self { shape, identified: Identified { key, time }, bytes: record.raw().len(), members })
    }

    /// The event id, where the record has one.
    pub fn event_id(&self) -> Option<&str> {
        let flat = self.shape.columns().iter().find(|flat| flat.column == "eventid")?;
        value(&self.members, flat.path)?.as_str().filter(|id| !id.is_empty())
    }

    fn raw(&self, name: &str) -> Option<&'c str> {
        self.members.iter().find(|(other, ..)| *other == name).map(|&(_, raw, _)| raw)
    }
}

fn value<'v>(members: &'v [(&str, &str, Value)], path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let (_, _, value) = members.iter().find(|(name, ..)| name == first)?;
    rest.iter().try_fold(value, |value, name| value.get(name))
}

/// An instant, and whether its column says all of its text. Aggregated events write some without zone; they are UTC.
fn instant(text: &str) -> Option<(i64, bool)> {
    let spaced = || {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
        Some((time.and_utc().timestamp_micros(), false))
    };
    time::parse(text).map(|(micros, form)| (micros, form == time::Form::Canonical)).or_else(spaced)
}

enum Column {
    Text(StringBuilder),
    Number(Float64Builder),
    Time(TimestampMicrosecondBuilder),
}

impl Column {
    fn new(kind: FlatKind) -> Self {
        match kind {
            FlatKind::Text | FlatKind::Json => Self::Text(StringBuilder::new()),
            FlatKind::Number => Self::Number(Float64Builder::new()),
            FlatKind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    /// Appends a value; false where it is there and the column does not say all of it.
    fn append(&mut self, kind: FlatKind, value: Option<&Value>, raw: Option<&str>) -> bool {
        match self {
            Self::Text(builder) if kind == FlatKind::Json => {
                builder.append_option(raw.map(str::to_owned).or_else(|| value.map(Value::to_string)));
                true
            }
            Self::Text(builder) => {
                builder.append_option(value.and_then(Value::as_str));
                value.is_none_or(Value::is_string)
            }
            Self::Number(builder) => {
                builder.append_option(value.and_then(Value::as_f64));
                value.is_none_or(Value::is_number)
            }
            Self::Time(builder) => {
                let time = value.and_then(Value::as_str).and_then(instant);
                builder.append_option(time.map(|(micros, _)| micros));
                value.is_none() || time.is_some_and(|(_, exact)| exact)
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Rows of a flat table under construction, all of one day (without the partition column).
pub struct FlatBuilder {
    shape: Shape,
    columns: Vec<Column>,
    /// In the order of `schema::FLAT_OWN_COLUMNS`.
    own: [StringBuilder; 3],
    bytes: usize,
}

impl FlatBuilder {
    /// Starts without rows.
    pub fn new(shape: Shape) -> Self {
        let columns = shape.columns().iter().map(|flat| Column::new(flat.kind)).collect();
        Self { shape, columns, own: std::array::from_fn(|_| StringBuilder::new()), bytes: 0 }
    }

    /// Bytes of JSON text behind the rows so far: a measure of the memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a record as a row.
    pub fn append(&mut self, record: &FlatRecord<'_>, source_object: &str) {
        let mut extra = String::new();
        let flats = self.shape.columns();
        for (flat, column) in flats.iter().zip(&mut self.columns) {
            let value = value(&record.members, flat.path);
            let raw = match flat.path {
                [name] => record.raw(name),
                _ => None,
            };
            let whole = column.append(flat.kind, value, raw);
            // deeper values stand in the column of the object around them as well
            if let (false, Some(raw)) = (whole, raw) {
                note(&mut extra, flat.path[0], raw);
            }
        }
        let has_column = |name: &str| flats.iter().any(|flat| flat.path == [name]);
        for (name, raw, _) in record.members.iter().filter(|(name, ..)| !has_column(name)) {
            note(&mut extra, name, raw);
        }
        if !extra.is_empty() {
            extra.push('}');
        }
        let hash = record.event_id().is_none().then(|| record.identified.key.to_event_hash());
        let [sources, hashes, extras] = &mut self.own;
        sources.append_value(source_object);
        hashes.append_option(hash);
        extras.append_option((!extra.is_empty()).then_some(extra));
        self.bytes += record.bytes;
    }

    /// Ends the batch and starts an empty one.
    pub fn finish(&mut self) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        columns.extend(self.own.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        self.bytes = 0;
        RecordBatch::try_new(self.shape.table().file_schema(), columns)
            .expect("the columns are built from the table's own")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
    use serde_json::json;

    use super::*;
    use crate::parse::{Chunk, Parser, Visitor};

    #[derive(Default)]
    struct Take {
        shapes: Vec<Shape>,
        rejects: Vec<Reject>,
        rows: Vec<RecordBatch>,
    }

    impl Visitor for Take {
        fn chunk(&mut self, chunk: &Chunk<'_>) {
            for record in chunk.records() {
                let shape = Shape::of(&record);
                self.shapes.push(shape);
                if shape == Shape::Event {
                    continue;
                }
                match FlatRecord::read(shape, &record) {
                    Ok(flat) => {
                        let mut builder = FlatBuilder::new(shape);
                        builder.append(&flat, "o");
                        self.rows.push(builder.finish());
                    }
                    Err(reject) => self.rejects.push(reject),
                }
            }
        }

        fn reject(&mut self, reject: Reject) {
            self.rejects.push(reject);
        }
    }

    fn take(text: &str) -> Take {
        let mut take = Take::default();
        Parser::default().parse(text.as_bytes(), &mut take);
        take
    }

    fn text<'b>(batch: &'b RecordBatch, name: &str) -> Option<&'b str> {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(0).then(|| column.value(0))
    }

    fn insight() -> Value {
        json!({
            "eventVersion": "1.09", "eventTime": "2026-01-01T10:00:00Z", "awsRegion": "eu-west-1",
            "eventID": "00000000-0000-4000-8000-000000000001", "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": "111122223333", "sharedEventID": "s",
            "insightDetails": {
                "state": "End", "eventSource": "s3.amazonaws.com", "eventName": "DeleteBucket",
                "insightType": "ApiErrorRateInsight", "errorCode": "AccessDenied",
                "insightContext": {
                    "statistics": {"baseline": {"average": 0.5}, "insight": {"average": 30}, "insightDuration": 5,
                                   "baselineDuration": 10080},
                    "attributions": [{"attribute": "userAgent", "insight": [], "baseline": []}]
                }
            },
            "eventCategory": "Insight", "novel": {"n": 1}
        })
    }

    #[test]
    fn an_insight_is_flattened_and_whole() {
        let taken = take(&insight().to_string());
        assert_eq!(taken.shapes, [Shape::Insight]);
        let row = &taken.rows[0];
        assert_eq!(text(row, "eventname"), Some("DeleteBucket"));
        assert_eq!(text(row, "state"), Some("End"));
        assert_eq!(text(row, "errorcode"), Some("AccessDenied"));
        let number = |name: &str| row.column_by_name(name).unwrap().as_primitive::<Float64Type>().value(0);
        assert_eq!(
            (number("baseline_average"), number("insight_average"), number("insight_minutes")),
            (0.5, 30.0, 5.0)
        );
        assert_eq!(text(row, "extra"), Some("{\"novel\":{\"n\":1}}"));
        let details: Value = serde_json::from_str(text(row, "insightdetails").unwrap()).unwrap();
        assert_eq!(details, insight()["insightDetails"]);
    }

    #[test]
    fn aggregated_events_are_told_by_their_category_and_dated_by_their_window() {
        let record = json!({
            "eventVersion": "1.0", "accountId": "1", "eventId": "x", "eventCategory": "Aggregated",
            "eventType": "AwsAggregatedEvent", "awsRegion": "eu-west-1", "eventSource": "s3.amazonaws.com",
            "timeWindow": {"windowStart": "2026-01-01 10:00:00", "windowEnd": "2026-01-01T10:05:00Z", "windowSize": "PT5M"},
            "summary": {"primaryDimension": {"dimension": "eventName", "aggregationType": "Count",
                "statistics": [{"name": "GetObject", "value": 7}]}, "details": []}
        });
        let taken = take(&json!({ "Records": [record] }).to_string());
        assert_eq!(taken.rejects, []);
        let row = &taken.rows[0];
        let time = row.column_by_name("eventtime").unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!(time, 1_767_261_600_000_000);
        assert_eq!(text(row, "dimension"), Some("eventName"));
        assert_eq!(text(row, "statistics"), Some("[{\"name\":\"GetObject\",\"value\":7}]"));
        assert_eq!(text(row, "extra"), None);
    }

    #[test]
    fn what_cannot_be_a_row_is_a_reject() {
        let mut record = insight();
        record["eventTime"] = json!("soon");
        let taken = take(&record.to_string());
        assert_eq!(taken.rejects[0].reason, RejectReason::NoEventTime);
    }

    #[test]
    fn a_value_of_another_type_is_kept_in_extra() {
        let mut record = insight();
        record["awsRegion"] = json!(7);
        let taken = take(&record.to_string());
        assert_eq!(text(&taken.rows[0], "awsregion"), None);
        assert_eq!(text(&taken.rows[0], "extra"), Some("{\"awsRegion\":7,\"novel\":{\"n\":1}}"));
    }

    #[test]
    fn both_spellings_of_network_activity_are_events() {
        for event_type in ["AwsVpceEvent", "AwsVpceEvents"] {
            let record = json!({"eventTime": "2026-01-01T10:00:00Z", "eventID": "x", "eventType": event_type,
                "eventCategory": "NetworkActivity"});
            assert_eq!(take(&record.to_string()).shapes, [Shape::Event]);
        }
    }
}
