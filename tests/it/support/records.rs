//! Small CloudTrail records, and the ways to wrap them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A record whose event id and time depend on `number` alone.
pub fn record(number: u32) -> Value {
    json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/ana",
            "accountId": "111122223333", "accessKeyId": "AKIAEXAMPLE", "userName": "ana"
        },
        "eventTime": format!("2026-01-{:02}T{:02}:{:02}:00Z", number / 1440 % 28 + 1, number / 60 % 24, number % 60),
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetBucketAcl",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli/2.15.0",
        "requestParameters": {"bucketName": format!("bucket-{}", number % 7)},
        "responseElements": null,
        "requestID": format!("REQ{number}"),
        "eventID": format!("00000000-0000-4000-8000-{number:012x}"),
        "readOnly": true,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management"
    })
}

/// The records of some numbers.
pub fn records(numbers: std::ops::Range<u32>) -> Vec<Value> {
    numbers.map(record).collect()
}

/// `{"Records":[…]}`
pub fn envelope(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

/// One gzip member.
pub fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A log object of some records.
pub fn object(numbers: std::ops::Range<u32>) -> Vec<u8> {
    gzip(envelope(&records(numbers)))
}
