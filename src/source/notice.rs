//! Messages that tell of new objects.
//!
//! Owns: their shapes: S3's own event, EventBridge's, and CloudTrail's, each as it is or in an envelope of SNS.
//! Refuses: to decide what becomes of a message.
//! Invariant: a message that is not understood as a whole names no object at all: it must not be taken for done.

use serde::Deserialize;
use serde_json::Value;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// That messages arrive: S3 and CloudTrail send one when they are set up.
    Test,
    /// That these objects were made; none where it tells of something else that happened to objects.
    Objects(Vec<Named>),
}

/// An object that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Bucket.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
    /// Bytes, where the message says.
    pub bytes: Option<u64>,
    /// ETag without quotation marks, where the message says.
    pub etag: Option<String>,
}

impl Named {
    /// The object's full name.
    pub fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Envelopes of SNS around each other that are opened; more than one is rare already.
const MAX_ENVELOPES: usize = 4;

/// Reads the body of a message.
///
/// # Errors
/// Why it is none of the shapes that are known.
pub fn read(body: &str) -> Result<Notice, String> {
    let mut text = body.to_owned();
    for _ in 0..MAX_ENVELOPES {
        // set up with a topic, CloudTrail says this in plain text
        if text.trim_start().starts_with("CloudTrail validation message") {
            return Ok(Notice::Test);
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))?;
        match envelope(&value) {
            Some(inner) => text = inner.to_owned(),
            None => return shape(value),
        }
    }
    Err("it has too many envelopes".to_owned())
}

/// The message in an envelope of SNS.
fn envelope(value: &Value) -> Option<&str> {
    (value["Type"] == "Notification").then(|| value["Message"].as_str()).flatten()
}

fn shape(value: Value) -> Result<Notice, String> {
    if value["Event"] == "s3:TestEvent" {
        return Ok(Notice::Test);
    }
    if value.get("Records").is_some() {
        return parse::<S3Event>(value).and_then(S3Event::notice);
    }
    if value["source"] == "aws.s3" && value.get("detail-type").is_some() {
        return parse::<BridgeEvent>(value).map(BridgeEvent::notice);
    }
    if value.get("s3ObjectKey").is_some() {
        return parse::<Delivery>(value).map(Delivery::notice);
    }
    Err("it is no notice of S3, EventBridge or CloudTrail".to_owned())
}

fn parse<T: for<'t> Deserialize<'t>>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// S3's own event.
#[derive(Deserialize)]
struct S3Event {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record {
    event_source: String,
    event_name: String,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    size: Option<u64>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
}

impl S3Event {
    fn notice(self) -> Result<Notice, String> {
        if let Some(other) = self.records.iter().find(|record| record.event_source != "aws:s3") {
            return Err(format!("it is an event of {}, not of S3", other.event_source));
        }
        let made = self.records.into_iter().filter(|record| {
            record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name).starts_with("ObjectCreated:")
        });
        Ok(Notice::Objects(made.map(|record| named(record.s3.bucket, record.s3.object, form_decoded)).collect()))
    }
}

/// EventBridge's event; its keys are not encoded.
#[derive(Deserialize)]
struct BridgeEvent {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: S3Entity,
}

impl BridgeEvent {
    fn notice(self) -> Notice {
        let made = (self.detail_type == "Object Created").then_some(self.detail);
        Notice::Objects(made.map(|detail| named(detail.bucket, detail.object, |key| key)).into_iter().collect())
    }
}

/// CloudTrail's own notification of a topic; its keys are not encoded.
#[derive(Deserialize)]
struct Delivery {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3ObjectKey")]
    keys: Vec<String>,
}

impl Delivery {
    fn notice(self) -> Notice {
        let named = |key| Named { bucket: self.bucket.clone(), key, bytes: None, etag: None };
        Notice::Objects(self.keys.into_iter().map(named).collect())
    }
}

fn named(bucket: Bucket, object: Object, key: fn(String) -> String) -> Named {
    let etag = object.etag.map(|etag| etag.trim_matches('"').to_owned()).filter(|etag| !etag.is_empty());
    Named { bucket: bucket.name, key: key(object.key), bytes: object.size, etag }
}

/// A key as S3 encodes it: as in a form, with or without its slashes.
#[expect(clippy::needless_pass_by_value, reason = "one of two ways to take a key")]
fn form_decoded(key: String) -> String {
    // a form is made of pairs; this one has a single value, whatever is in it
    let pair = format!("={}", key.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn s3_event(name: &str, key: &str) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": name,
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 7, "eTag": "abc", "sequencer": "00"}},
        }]})
    }

    fn named(key: &str, bytes: Option<u64>, etag: Option<&str>) -> Notice {
        let etag = etag.map(str::to_owned);
        Notice::Objects(vec![Named { bucket: "b".to_owned(), key: key.to_owned(), bytes, etag }])
    }

    fn in_envelope(message: &str) -> String {
        json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": message}).to_string()
    }

    #[test]
    fn every_shape_names_its_objects() {
        let event = s3_event("ObjectCreated:Put", "a+b%2Fc%3D%C3%BC&d=e").to_string();
        let bridge = json!({
            "version": "0", "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b%2F", "size": 7, "etag": "abc"}},
        });
        let delivery = json!({"s3Bucket": "b", "s3ObjectKey": ["a+b%2F"]});
        assert_eq!(read(&event), Ok(named("a b/c=\u{fc}&d=e", Some(7), Some("abc"))));
        assert_eq!(read(&bridge.to_string()), Ok(named("a+b%2F", Some(7), Some("abc"))));
        assert_eq!(read(&delivery.to_string()), Ok(named("a+b%2F", None, None)));
        for body in [event, bridge.to_string(), delivery.to_string()] {
            assert_eq!(read(&in_envelope(&body)), read(&body));
            assert_eq!(read(&in_envelope(&in_envelope(&body))), read(&body));
        }
    }

    #[test]
    fn tests_and_other_events_name_none() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}).to_string();
        assert_eq!(read(&test), Ok(Notice::Test));
        assert_eq!(read(&in_envelope(&test)), Ok(Notice::Test));
        assert_eq!(read(&in_envelope("CloudTrail validation message.")), Ok(Notice::Test));
        assert_eq!(read(&s3_event("ObjectRemoved:Delete", "k").to_string()), Ok(Notice::Objects(Vec::new())));
        let deleted = json!({
            "source": "aws.s3", "detail-type": "Object Deleted",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}},
        });
        assert_eq!(read(&deleted.to_string()), Ok(Notice::Objects(Vec::new())));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let half = json!({"Records": [s3_event("ObjectCreated:Put", "k")["Records"][0], {"eventSource": "aws:s3"}]});
        let foreign = json!({"Records": [{
            "eventSource": "aws:sqs", "eventName": "x", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}},
        }]});
        let mut nested = s3_event("ObjectCreated:Put", "k").to_string();
        for _ in 0..=MAX_ENVELOPES {
            nested = in_envelope(&nested);
        }
        let bodies = ["", "{", "null", "7", "\"x\"", "[]", "{}", "{\"Records\":null}", "{\"s3ObjectKey\":\"k\"}"];
        let others = [half.to_string(), foreign.to_string(), nested, in_envelope("hello")];
        for body in bodies.map(str::to_owned).into_iter().chain(others) {
            assert!(read(&body).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn keys_come_back_as_they_were(key in "\\PC{0,40}") {
            let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            let slashes = encoded.replace("%2F", "/");
            for encoded in [encoded, slashes] {
                let read = read(&s3_event("ObjectCreated:CompleteMultipartUpload", &encoded).to_string());
                prop_assert_eq!(read, Ok(named(&key, Some(7), Some("abc"))));
            }
            let delivery = json!({"s3Bucket": "b", "s3ObjectKey": [key]}).to_string();
            prop_assert_eq!(read(&delivery), Ok(named(&key, None, None)));
        }

        #[test]
        fn no_body_makes_it_panic(body in "\\PC{0,80}", tail in "[\\[\\]{}\":,a-zA-Z0-9 .\\-]{0,80}") {
            let _ = (read(&body), read(&in_envelope(&body)), read(&format!("{{\"Records\":{tail}}}")));
        }
    }
}
