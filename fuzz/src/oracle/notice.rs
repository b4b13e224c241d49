//! Any text as a message, and every shape of message around any bucket and key.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use crate::source::notice::{Named, Notice, read};

/// A text, and an object that messages tell of.
#[derive(Debug, Arbitrary)]
pub struct Message {
    /// Taken as a message as it is.
    pub text: String,
    /// Bucket that is told of.
    pub bucket: String,
    /// Key that is told of.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// How many envelopes of SNS are around it, up to two.
    pub envelopes: u8,
}

/// What is understood is JSON, or the one plain text; and whatever was put into a message comes out of it.
pub fn check(message: &Message) {
    if let Ok(Notice::Objects(_)) = read(&message.text) {
        serde_json::from_str::<Value>(&message.text).expect("what names objects is JSON");
    }
    let bytes = Some(message.size);
    let named = |bytes| Named { bucket: message.bucket.clone(), key: message.key.clone(), bytes, etag: None };
    for slashes in ["/", "%2F"] {
        let key = encoded(&message.key).replace("%2F", slashes);
        let object = json!({ "key": key, "size": message.size });
        let record = json!({ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": message.bucket }, "object": object } });
        expect(message, json!({ "Records": [record] }), named(bytes));
    }
    let detail =
        json!({ "bucket": { "name": message.bucket }, "object": { "key": message.key, "size": message.size } });
    expect(message, json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": detail }), named(bytes));
    expect(message, json!({ "s3Bucket": message.bucket, "s3ObjectKey": [message.key] }), named(None));
}

fn expect(message: &Message, body: Value, named: Named) {
    let wrap = |inner: String| json!({ "Type": "Notification", "Message": inner }).to_string();
    let body = (0..message.envelopes % 3).fold(body.to_string(), |inner, _| wrap(inner));
    assert_eq!(read(&body), Ok(Notice::Objects(vec![named])), "{body}");
}

/// A key as S3 writes it into its events, byte by byte.
fn encoded(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    key.bytes().map(byte).collect()
}
