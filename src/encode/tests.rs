use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::batch::{ABSENT, identify, rebuild};
use crate::event::{EventKey, Reject, RejectReason};
use crate::parse::{Chunk, Parser, Visitor};
use crate::schema::RECORD;

/// Every record of a text as a row, and the rejects.
#[derive(Default)]
struct Rows {
    group: RowGroup,
    rejects: Vec<Reject>,
}

impl Visitor for Rows {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        for record in chunk.records() {
            match identify(&record) {
                Ok(identified) => self.group.append(&record, &identified, "an/object"),
                Err(reject) => self.rejects.push(reject),
            }
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }
}

fn rows(text: &str) -> (RecordBatch, Vec<Reject>) {
    let mut rows = Rows::default();
    Parser::default().parse(text.as_bytes(), &mut rows);
    (encoded(&mut rows.group), rows.rejects)
}

/// The rows as a reader of the file finds them.
fn encoded(group: &mut RowGroup) -> RecordBatch {
    let mut encoder = EventEncoder::new().unwrap();
    let mut file = encoder.start(0).unwrap();
    encoder.write(&mut file, group).unwrap();
    let (bytes, _) = file.finish().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(*reader.schema().fields(), *EVENTS.file_schema().fields());
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn row(record: &Value) -> RecordBatch {
    let (batch, rejects) = rows(&record.to_string());
    assert_eq!(rejects, []);
    assert_eq!(batch.num_rows(), 1);
    batch
}

fn text(batch: &RecordBatch, column: &str) -> Option<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(0).then(|| column.value(0).to_owned())
}

fn whole() -> Value {
    json!({
        "eventVersion": "1.09", "eventTime": "2026-01-31T23:59:59Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.1", "userAgent": "a\"b\\c\u{1f}é",
        "eventID": "3f2b8c1e-0000-4000-8000-000000000001", "eventType": "AwsApiCall", "readOnly": true,
        "requestParameters": {"bucketName": "b", "n": 1.50, "deep": [[{"x": null}]]}, "responseElements": null,
        "resources": [{"ARN": "arn:aws:s3:::b", "accountId": "1", "type": "AWS::S3::Bucket"}, {"ARNPrefix": "p"}, {}],
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROA:s", "accessKeyId": "",
            "sessionContext": {
                "attributes": {"mfaAuthenticated": "false"}, "webIdFederationData": {}, "sessionIssuer":
                {"type": "Role", "arn": "arn:aws:iam::111122223333:role/web"}
            }
        },
        "tlsDetails": {"tlsVersion": "TLSv1.3", "keyExchange": "x25519"}, "recipientAccountId": "111122223333"
    })
}

#[test]
fn a_row_has_typed_columns_and_ours() {
    let batch = row(&whole());
    let time = batch.column_by_name("eventtime").unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(time, 1_769_903_999_000_000);
    assert!(batch.column_by_name("readonly").unwrap().as_boolean().value(0));
    assert_eq!(text(&batch, "outcome").as_deref(), Some("success"));
    assert_eq!(text(&batch, "actor").as_deref(), Some("arn:aws:iam::111122223333:role/web"));
    assert_eq!(text(&batch, "source_object").as_deref(), Some("an/object"));
    assert_eq!(text(&batch, "eventhash"), None);
    assert_eq!(text(&batch, "extra"), None);
    assert_eq!(text(&batch, "responseelements"), None);
    assert!(matches!(batch.column_by_name("resources").unwrap().data_type(), DataType::List(_)));
}

#[test]
fn json_columns_hold_the_text_byte_for_byte() {
    let (batch, _) = rows(
        r#"{"eventTime":"2026-01-31T23:59:59Z","requestParameters": { "n" : 1.50, "big":123456789012345678901234567890 } ,"a":1}"#,
    );
    let expected = r#"{ "n" : 1.50, "big":123456789012345678901234567890 }"#;
    assert_eq!(text(&batch, "requestparameters").as_deref(), Some(expected));
    assert_eq!(text(&batch, "extra").as_deref(), Some(r#"{"a":1,"$absent":["responseElements"]}"#));
}

#[test]
fn what_does_not_fit_its_column_is_kept_beside_it() {
    for (name, value) in [
        ("sourceIPAddress", json!(7)),
        ("readOnly", json!("true")),
        ("resources", json!({"ARN": "a"})),
        ("resources", json!([{"ARN": "a", "new": 1}])),
        ("eventTime", json!("2026-01-31T23:59:59.250Z")),
        ("userIdentity", json!("nobody")),
        ("userIdentity", json!({"type": "IAMUser", "new": {"a": 1}})),
        ("userIdentity", json!({"sessionContext": {"webIdFederationData": {"attributes": {"n": 1}}}})),
        ("errorCode", json!(null)),
        ("additionalEventData", json!(null)),
        ("madeUpYesterday", json!([1, {"a": "b"}])),
    ] {
        let mut record = whole();
        record[name] = value;
        let batch = row(&record);
        assert!(text(&batch, "extra").unwrap().contains(name), "{name}");
        assert_eq!(rebuild::rebuild(&batch, 0).unwrap(), record);
    }
}

#[test]
fn a_string_that_says_true_is_true() {
    let mut record = whole();
    record["readOnly"] = json!("true");
    assert!(row(&record).column_by_name("readonly").unwrap().as_boolean().value(0));
}

#[test]
fn records_without_an_event_id_are_known_by_their_text() {
    let mut record = whole();
    record.as_object_mut().unwrap().remove("eventID");
    let batch = row(&record);
    assert_eq!(text(&batch, "eventid"), None);
    let key = EventKey::of_record(record.to_string().as_bytes());
    assert_eq!(text(&batch, "eventhash"), Some(key.to_event_hash()));
}

#[test]
fn records_that_cannot_be_placed_in_time_are_rejects() {
    let (batch, rejects) = rows(
        r#"[{"eventID":"a"},{"eventTime":7},{"eventTime":"yesterday"},{"eventTime":"2026-01-01T00:00:00Z","eventTime":"2026-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(batch.num_rows(), 0);
    let told: Vec<_> = rejects.iter().map(|reject| (reject.position.unwrap(), reject.reason)).collect();
    let none = RejectReason::NoEventTime;
    assert_eq!(told, [(0, none), (1, none), (2, none), (3, RejectReason::DuplicateMember)]);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2026-01-31T23:59:59Z")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Names that have columns at some level, and any other.
fn name() -> impl Strategy<Value = String> {
    let known: Vec<&str> = RECORD.iter().map(|member| member.json).collect();
    let nested = ["type", "arn", "ARN", "accountId", "sessionContext", "attributes", "webIdFederationData", "userName"];
    prop_oneof![
        4 => prop::sample::select(known).prop_map(str::to_owned),
        2 => prop::sample::select(nested.to_vec()).prop_map(str::to_owned),
        1 => ".{0,6}",
        1 => Just(ABSENT.to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_record_can_be_rebuilt_from_its_row(
        members in prop::collection::vec((name(), json_value()), 0..12),
        pretty in any::<bool>(),
    ) {
        let mut record: serde_json::Map<String, Value> = members.into_iter().collect();
        record.insert("eventTime".into(), "2026-01-31T23:59:59Z".into());
        let record = Value::Object(record);
        let text = if pretty { format!("{record:#}") } else { record.to_string() };
        let (batch, rejects) = rows(&format!("[{text}]"));
        prop_assert_eq!(rejects, vec![]);
        prop_assert_eq!(rebuild::rebuild(&batch, 0).unwrap(), record);
    }
}
