//! Records that are findings whatever the past: one by each of three rules.

use serde_json::{Value, json};

use super::records::{envelope, gzip, record};

/// The day that all of it happens on, and the day after.
pub const DAY: [&str; 2] = ["2026-01-01", "2026-01-02"];

/// The root user reads, a trail is stopped, and somebody comes with an attacker's distribution.
pub fn records() -> Vec<Value> {
    let arn = "arn:aws:iam::111122223333:root";
    let root = json!({"type": "Root", "principalId": "111122223333", "arn": arn, "accountId": "111122223333"});
    let mut records: Vec<Value> = (0..5).map(|number| with(record(number), "userIdentity", root.clone())).collect();
    let trail = json!({"name": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/all"});
    let stop = with(with(record(10), "eventSource", "cloudtrail.amazonaws.com"), "eventName", "StopLogging");
    let stop = with(with(stop, "requestParameters", trail), "readOnly", false);
    records.push(stop);
    let bob = json!({
        "type": "IAMUser", "principalId": "AIDABOB", "arn": "arn:aws:iam::111122223333:user/bob",
        "accountId": "111122223333", "accessKeyId": "AKIABOB", "userName": "bob"
    });
    let agent = "aws-cli/2.15.0 Python/3.11.6 Linux/6.5.0-kali3-amd64 exe/x86_64 prompt/off";
    records.push(with(with(record(20), "userIdentity", bob), "userAgent", agent));
    records
}

/// The same as a log object.
pub fn object() -> Vec<u8> {
    gzip(envelope(&records()))
}

fn with(mut record: Value, name: &str, value: impl Into<Value>) -> Value {
    record[name] = value.into();
    record
}
