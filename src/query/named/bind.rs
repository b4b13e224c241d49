//! Parameters of a named query, from text to typed values.
//!
//! Owns: reading each type, and the errors that name the parameter and what it takes.
//! Invariant: every placeholder of the query gets exactly one value; no text becomes SQL.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use datafusion::common::{ParamValues, ScalarValue};

use super::super::nearest::nearest;
use super::{Fallback, Kind, NamedQuery, Parameter};
use crate::error::{Error, ErrorKind, Result};

/// Binds `(name, text)` pairs to a query's parameters. `newest` is the time of the newest event, for the parameters
/// that default to it: NULL, which no row meets, where there is none.
///
/// # Errors
/// `Usage` where a name is unknown or given twice, a value is not of its type, or one without default is missing.
pub fn bind(query: &NamedQuery, given: &[(String, String)], newest: Option<DateTime<Utc>>) -> Result<ParamValues> {
    for (index, (name, _)) in given.iter().enumerate() {
        if !query.parameters.iter().any(|parameter| parameter.name == *name) {
            return Err(unknown(query, name));
        }
        if given[..index].iter().any(|(other, _)| other == name) {
            return Err(Error::new(ErrorKind::Usage, format!("parameter {name} is given twice")).hint("give it once"));
        }
    }
    let mut values: Vec<(String, ScalarValue)> = Vec::with_capacity(query.parameters.len());
    for parameter in &query.parameters {
        let text = given.iter().find(|(name, _)| *name == parameter.name).map(|(_, text)| text.as_str());
        let value = match (text, &parameter.default) {
            (Some(text), _) if !parameter.takes(text) => return Err(unlisted(parameter, text)),
            (Some(text), _) => value(parameter.kind, text).ok_or_else(|| wrong(parameter, text))?,
            (None, Fallback::Value(value)) => value.clone(),
            (None, Fallback::Newest) => instant(newest),
            (None, Fallback::DaysBefore) => days_before(&values)?,
            (None, Fallback::Required) => return Err(missing(query, parameter)),
        };
        values.push((parameter.name.clone(), value));
    }
    Ok(ParamValues::from(values))
}

/// `until` less `days`; NULL where there is no `until`.
fn days_before(values: &[(String, ScalarValue)]) -> Result<ScalarValue> {
    let get = |name: &str| values.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    let (Some(ScalarValue::TimestampMicrosecond(Some(until), _)), Some(ScalarValue::Int64(Some(days)))) =
        (get("until"), get("days"))
    else {
        return Ok(instant(None));
    };
    let start = TimeDelta::try_days(*days)
        .and_then(|length| DateTime::from_timestamp_micros(*until)?.checked_sub_signed(length));
    match start {
        Some(start) => Ok(instant(Some(start))),
        None => Err(Error::new(ErrorKind::Usage, format!("{days} days are more than a calendar has"))
            .hint("give fewer days, or --param since=…")),
    }
}

fn missing(query: &NamedQuery, parameter: &Parameter) -> Error {
    let values = match parameter.values.as_slice() {
        [] => String::new(),
        values => format!("; it takes {}", listed(values)),
    };
    Error::new(ErrorKind::Usage, format!("query {} needs {}", query.name, parameter.name))
        .hint(format!("give --param {}=…: {}{values}", parameter.name, parameter.help))
}

fn unknown(query: &NamedQuery, name: &str) -> Error {
    let names: Vec<_> = query.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let hint = if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) };
    Error::new(ErrorKind::Usage, format!("query {} has no parameter {name:?}", query.name)).hint(hint)
}

fn wrong(parameter: &Parameter, text: &str) -> Error {
    let wanted = match parameter.kind {
        Kind::Text => "a text",
        Kind::Integer => "a whole number from 0",
        Kind::Timestamp => "a time such as 2026-01-31T12:00:00Z, or a date",
        Kind::Date => "a date such as 2026-01-31",
    };
    Error::new(ErrorKind::Usage, format!("parameter {} cannot be {text:?}", parameter.name))
        .hint(format!("give {wanted}"))
}

fn listed(values: &[String]) -> String {
    values.join(", ").replace('*', "…")
}

fn unlisted(parameter: &Parameter, text: &str) -> Error {
    let guess = nearest(text, parameter.values.iter().map(String::as_str));
    let guess = guess.map(|value| format!("did you mean {value}? ")).unwrap_or_default();
    Error::new(ErrorKind::Usage, format!("parameter {} cannot be {text:?}", parameter.name))
        .hint(format!("{guess}it takes {}", listed(&parameter.values)))
}

/// Reads a value; `None` where the text is not of the kind.
pub(super) fn value(kind: Kind, text: &str) -> Option<ScalarValue> {
    Some(match kind {
        Kind::Text => ScalarValue::Utf8(Some(text.to_owned())),
        Kind::Integer => ScalarValue::Int64(Some(text.parse().ok().filter(|number: &i64| *number >= 0)?)),
        Kind::Timestamp => instant(Some(time(text)?)),
        Kind::Date => {
            let days = day(text)?.signed_duration_since(NaiveDate::default()).num_days();
            ScalarValue::Date32(Some(i32::try_from(days).ok()?))
        }
    })
}

fn instant(time: Option<DateTime<Utc>>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(time.map(|time| time.timestamp_micros()), Some("UTC".into()))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    let naive = || {
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let midnight = || day(text)?.and_hms_opt(0, 0, 0);
    zoned.or_else(|| naive().or_else(midnight).map(|time| time.and_utc()))
}

fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn bound(name: &str, given: &[(&str, &str)]) -> Result<ParamValues> {
        let given: Vec<_> = given.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        bind(find(name).unwrap(), &given, None)
    }

    fn of(values: &ParamValues, name: &str) -> ScalarValue {
        values.get_placeholders_with_values(&format!("${name}")).unwrap().value
    }

    #[test]
    fn given_values_win_over_defaults() {
        let values = bound("top-denied", &[("days", "30"), ("until", "2026-01-31")]).unwrap();
        assert_eq!(of(&values, "days"), ScalarValue::Int64(Some(30)));
        assert_eq!(of(&values, "limit"), ScalarValue::Int64(Some(20)));
        assert_eq!(of(&values, "until"), instant(time("2026-01-31T00:00:00Z")));
        assert_eq!(of(&values, "since"), instant(time("2026-01-01T00:00:00Z")));
        let values = bound("top-denied", &[("since", "2026-01-30T12:00:00Z")]).unwrap();
        assert_eq!(of(&values, "since"), instant(time("2026-01-30T12:00:00Z")));
    }

    #[test]
    fn times_are_read_in_several_ways() {
        let expected = time("2026-01-31T10:00:00Z");
        assert!(expected.is_some());
        for text in ["2026-01-31T12:00:00+02:00", "2026-01-31 10:00:00", "2026-01-31T10:00:00.0", "2026-01-31T10:00"] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("now"), None);
    }

    #[test]
    fn a_value_that_is_not_listed_is_an_error_with_a_suggestion() {
        for good in ["eventName", "EVENTNAME", "requestParameters.bucketName"] {
            assert_eq!(of(&bound("metrics", &[("field", good)]).unwrap(), "field"), good.into());
        }
        for (bad, guess) in [("eventNam", "did you mean eventName?"), ("requestParameters.", "requestParameters.…")] {
            let error = bound("metrics", &[("field", bad)]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("parameter field cannot be {bad:?}")) && error.contains(guess),
                "{error}"
            );
        }
    }

    #[test]
    fn errors_name_the_parameter_and_what_it_takes() {
        for (given, expected) in [
            (vec![("day", "7")], "query top-denied has no parameter \"day\" (it takes days, until, since, limit)"),
            (vec![("days", "-1")], "parameter days cannot be \"-1\" (give a whole number from 0)"),
            (vec![("days", "1; DROP")], "parameter days cannot be \"1; DROP\" (give a whole number from 0)"),
            (
                vec![("until", "soon")],
                "parameter until cannot be \"soon\" (give a time such as 2026-01-31T12:00:00Z, or a date)",
            ),
            (
                vec![("until", "2026-01-31"), ("days", "99999999999")],
                "99999999999 days are more than a calendar has (give fewer days, or --param since=…)",
            ),
            (vec![("days", "1"), ("days", "2")], "parameter days is given twice (give it once)"),
        ] {
            let error = bound("top-denied", &given).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Usage, expected));
        }
        let error = bound("key-activity", &[]).unwrap_err();
        assert!(error.to_string().starts_with("query key-activity needs key (give --param key=…: "), "{error}");
    }
}
