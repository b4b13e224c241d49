//! Any text as an object's key.

use crate::source::key::{Kind, date, kind};

/// What a key says must not depend on what the bucket's owner put in front of it.
pub fn check(key: &str) {
    let (what, day) = (kind(key), date(key));
    let below = format!("some/prefix/{key}");
    if key.contains('/') && !key.starts_with("CloudTrail") {
        assert_eq!(kind(&below), what);
    }
    if let Some(day) = day {
        assert_eq!(date(&below), Some(day), "a prefix moves no object to another day");
        let name = key.rsplit('/').next().unwrap_or_default();
        let (folders, compact) = (day.format("%Y/%m/%d").to_string(), day.format("%Y%m%d").to_string());
        assert!(key.contains(&folders) || name.contains(&compact), "{day} stands in {key}");
    }
    if what == Kind::Log {
        let name = key.to_ascii_lowercase();
        assert!([".json", ".jsonl", ".ndjson"].iter().any(|end| name.trim_end_matches(".gz").ends_with(end)));
    }
}
