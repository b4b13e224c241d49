//! Instants as Trino and Athena handle them: ISO 8601, MySQL's and Joda's formats, differences in whole units.
//!
//! Owns: these functions. Every instant is UTC with microseconds; text and dates are taken where Trino takes instants,
//! so that a query written for Athena, where `eventtime` is text, runs as it is.
//! Invariant: text that is no instant is NULL; a constant that is none is an error, as it is a typing mistake.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewBuilder, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike, Utc};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ExprSchemable, ReturnFieldArgs};

use super::format::{self, Style};
use super::udf::{Call, Function, Returns, trino};

const INSTANT: Returns = Returns::Always(crate::schema::timestamp);

pub(super) fn functions() -> Vec<Function> {
    [standard(), formats(), arithmetic(), parts_of_instants()].concat()
}

/// A function that gives an instant back as it is.
fn as_is(function: Function) -> Function {
    Function { simplify: Some(keep_instant), ..function }
}

/// ISO 8601 and seconds.
fn standard() -> Vec<Function> {
    vec![
        as_is(trino(
            "from_iso8601_timestamp",
            "from_iso8601_timestamp(text)",
            (1, 1),
            INSTANT,
            from_iso,
            "An ISO 8601 text as an instant; an instant stays",
        )),
        trino(
            "from_iso8601_date",
            "from_iso8601_date(text)",
            (1, 1),
            Returns::Always(|| DataType::Date32),
            iso_date,
            "An ISO 8601 date",
        ),
        trino(
            "to_iso8601",
            "to_iso8601(instant)",
            (1, 1),
            Returns::TEXT,
            to_iso,
            "The text that CloudTrail writes: 2026-01-31T12:00:00Z (Trino adds .000)",
        ),
        trino(
            "to_unixtime",
            "to_unixtime(instant)",
            (1, 1),
            Returns::Always(|| DataType::Float64),
            to_unixtime,
            "Seconds since 1970 (with fractions, as in Trino)",
        ),
        trino(
            "from_unixtime",
            "from_unixtime(seconds)",
            (1, 1),
            INSTANT,
            from_unixtime,
            "The instant so many seconds after 1970",
        ),
    ]
}

/// Text by a format of MySQL's or Joda's.
fn formats() -> Vec<Function> {
    vec![
        trino(
            "date_format",
            "date_format(instant, format)",
            (2, 2),
            Returns::TEXT,
            |call| formatted(call, Style::MySql),
            "Text by MySQL's format: %Y-%m-%d %H:%i:%s",
        ),
        trino(
            "format_datetime",
            "format_datetime(instant, format)",
            (2, 2),
            Returns::TEXT,
            |call| formatted(call, Style::Joda),
            "Text by Joda's format: yyyy-MM-dd HH:mm:ss",
        ),
        as_is(trino(
            "date_parse",
            "date_parse(text, format)",
            (2, 2),
            INSTANT,
            |call| parsed(call, Style::MySql),
            "An instant from text by MySQL's format; an instant stays",
        )),
        as_is(trino(
            "parse_datetime",
            "parse_datetime(text, format)",
            (2, 2),
            INSTANT,
            |call| parsed(call, Style::Joda),
            "An instant from text by Joda's format; an instant stays",
        )),
    ]
}

fn arithmetic() -> Vec<Function> {
    vec![
        trino(
            "date_diff",
            "date_diff('unit', from, to)",
            (3, 3),
            Returns::INT,
            date_diff,
            "Whole units from one instant to another: millisecond, second, minute, hour, day, week, month, quarter, year",
        ),
        trino(
            "date_add",
            "date_add('unit', n, instant)",
            (3, 3),
            Returns::By(added),
            date_add,
            "An instant or date, n units later",
        ),
        trino(
            "at_timezone",
            "at_timezone(instant, zone)",
            (2, 2),
            Returns::By(zoned),
            at_timezone,
            "The instant in a time zone such as Europe/Berlin",
        ),
    ]
}

fn parts_of_instants() -> Vec<Function> {
    let part = |name, syntax, run: fn(&Call) -> _, about| trino(name, syntax, (1, 1), Returns::INT, run, about);
    vec![
        part("year", "year(instant)", |call| parts(call, |t| t.year().into()), "The year"),
        part("quarter", "quarter(instant)", |call| parts(call, |t| (t.month0() / 3 + 1).into()), "The quarter, from 1"),
        part("month", "month(instant)", |call| parts(call, |t| t.month().into()), "The month, from 1"),
        part("week", "week(instant)", |call| parts(call, |t| t.iso_week().week().into()), "The ISO week"),
        part("day", "day(instant)", |call| parts(call, |t| t.day().into()), "The day of the month"),
        part(
            "day_of_week",
            "day_of_week(instant)",
            |call| parts(call, |t| t.weekday().number_from_monday().into()),
            "The day of the ISO week: Monday is 1, Sunday 7",
        ),
        part(
            "day_of_year",
            "day_of_year(instant)",
            |call| parts(call, |t| t.ordinal().into()),
            "The day of the year, from 1",
        ),
        part(
            "year_of_week",
            "year_of_week(instant)",
            |call| parts(call, |t| t.iso_week().year().into()),
            "The year of the ISO week",
        ),
        part("hour", "hour(instant)", |call| parts(call, |t| t.hour().into()), "The hour, from 0"),
        part("minute", "minute(instant)", |call| parts(call, |t| t.minute().into()), "The minute of the hour"),
        part("second", "second(instant)", |call| parts(call, |t| t.second().into()), "The second of the minute"),
        part(
            "millisecond",
            "millisecond(instant)",
            |call| parts(call, |t| t.timestamp_subsec_millis().into()),
            "The millisecond of the second",
        ),
    ]
}

/// A call on an instant is that instant: the filter then prunes files as if the call were not there.
fn keep_instant(mut arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
    match arguments[0].get_type(context.schema().as_ref()) {
        Ok(data_type) if data_type == crate::schema::timestamp() => {
            Ok(ExprSimplifyResult::Simplified(arguments.swap_remove(0)))
        }
        _ => Ok(ExprSimplifyResult::Original(arguments)),
    }
}

fn time(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// The instants of an argument; a constant text that is none is an error.
fn checked(call: &Call, index: usize, values: Vec<Option<i64>>, what: &str) -> Result<ArrayRef> {
    if call.constant(index).is_some()
        && values.first() == Some(&None)
        && let Some(text) = call.text(index)?.constant()
    {
        return exec_err!("{text:?} is not {what}");
    }
    Ok(instants(values.into_iter()))
}

fn from_iso(call: &Call) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    let values = (0..call.rows).map(|row| times.get(row)).collect();
    checked(call, 0, values, "an ISO 8601 time such as 2026-01-31T12:00:00Z")
}

fn iso_date(call: &Call) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    let values = (0..call.rows).map(|row| times.get(row)).collect();
    Ok(cast(&checked(call, 0, values, "an ISO 8601 date such as 2026-01-31")?, &DataType::Date32)?)
}

fn to_iso(call: &Call) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let text = times.get(row).and_then(time).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string());
        out.append_option(text);
    }
    Ok(Arc::new(out.finish()))
}

/// A unit of `date_diff` and `date_add`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    /// A fixed length in microseconds.
    Micros(i64),
    /// A number of months.
    Months(i32),
}

fn unit(text: &str) -> Result<Unit> {
    Ok(match text.to_ascii_lowercase().trim_end_matches('s') {
        "microsecond" => Unit::Micros(1),
        "millisecond" => Unit::Micros(1_000),
        "second" => Unit::Micros(1_000_000),
        "minute" => Unit::Micros(60_000_000),
        "hour" => Unit::Micros(3_600_000_000),
        "day" => Unit::Micros(86_400_000_000),
        "week" => Unit::Micros(7 * 86_400_000_000),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            return exec_err!(
                "{text:?} is no unit of time; use 'millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter' or 'year'"
            );
        }
    })
}

fn difference(unit: Unit, from: i64, to: i64) -> Option<i64> {
    match unit {
        Unit::Micros(length) => to.checked_sub(from).map(|micros| micros / length),
        Unit::Months(length) => Some(i64::from(months(time(from)?, time(to)?) / length)),
    }
}

/// Whole months between two instants.
fn months(from: DateTime<Utc>, to: DateTime<Utc>) -> i32 {
    let months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
    let place = |time: DateTime<Utc>| (time.day(), time.time());
    match months {
        0 => 0,
        1.. if place(to) < place(from) => months - 1,
        ..0 if place(to) > place(from) => months + 1,
        _ => months,
    }
}

fn date_diff(call: &Call) -> Result<ArrayRef> {
    let (units, from, to) = (call.text(0)?, call.instant(1)?, call.instant(2)?);
    let values = (0..call.rows).map(|row| {
        let Some(name) = units.get(row) else { return Ok(None) };
        let unit = unit(name)?;
        Ok(from.get(row).zip(to.get(row)).and_then(|(from, to)| difference(unit, from, to)))
    });
    Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
}

fn added(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    let data_type = match arguments.arg_fields[2].data_type() {
        DataType::Date32 => DataType::Date32,
        _ => crate::schema::timestamp(),
    };
    Ok(Arc::new(Field::new("", data_type, true)))
}

fn later(unit: Unit, count: i64, micros: i64) -> Option<i64> {
    match unit {
        Unit::Micros(length) => micros.checked_add(count.checked_mul(length)?),
        Unit::Months(length) => {
            let months =
                Months::new(u32::try_from(count.unsigned_abs().checked_mul(u64::from(length.unsigned_abs()))?).ok()?);
            let time = time(micros)?;
            let moved = if count < 0 { time.checked_sub_months(months) } else { time.checked_add_months(months) };
            moved.map(|time| time.timestamp_micros())
        }
    }
}

fn date_add(call: &Call) -> Result<ArrayRef> {
    let (units, counts, times) = (call.text(0)?, call.integer(1)?, call.instant(2)?);
    let values = (0..call.rows).map(|row| {
        let Some(name) = units.get(row) else { return Ok(None) };
        let unit = unit(name)?;
        Ok(counts.get(row).zip(times.get(row)).and_then(|(count, micros)| later(unit, count, micros)))
    });
    let times = instants(values.collect::<Result<Vec<_>>>()?.into_iter());
    Ok(cast(&times, call.return_type())?)
}

fn formatted(call: &Call, style: Style) -> Result<ArrayRef> {
    let (times, formats) = (call.instant(0)?, call.text(1)?);
    let constant = formats.constant().map(|text| format::compile(text, style, format::Use::Write)).transpose()?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let Some((time, text)) = times.get(row).and_then(time).zip(formats.get(row)) else {
            out.append_null();
            continue;
        };
        match &constant {
            Some(format) => out.append_value(time.format(format).to_string()),
            None => out.append_value(time.format(&format::compile(text, style, format::Use::Write)?).to_string()),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn parsed(call: &Call, style: Style) -> Result<ArrayRef> {
    if let DataType::Timestamp(..) | DataType::Date32 = call.data_type(0) {
        return from_iso(call);
    }
    let (texts, formats) = (call.text(0)?, call.text(1)?);
    let constant = formats.constant().map(|text| format::compile(text, style, format::Use::Read)).transpose()?;
    let values = (0..call.rows).map(|row| {
        let Some((text, format)) = texts.get(row).zip(formats.get(row)) else { return Ok(None) };
        match &constant {
            Some(format) => Ok(read(text, format)),
            None => Ok(read(text, &format::compile(format, style, format::Use::Read)?)),
        }
    });
    let values = values.collect::<Result<_>>()?;
    checked(call, 0, values, "a time of that format")
}

/// An instant from text; what the format does not name is the beginning of 1970 and midnight.
fn read(text: &str, format: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_str(text, format) {
        return Some(time.timestamp_micros());
    }
    let naive = NaiveDateTime::parse_from_str(text, format)
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0))
        .or_else(|| {
            let full = format!("{text} 01");
            NaiveDate::parse_from_str(&full, &format!("{format} %d")).ok()?.and_hms_opt(0, 0, 0)
        });
    naive.map(|time| time.and_utc().timestamp_micros())
}

fn to_unixtime(call: &Call) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    let seconds = |micros: i64| micros as f64 / 1e6;
    Ok(Arc::new((0..call.rows).map(|row| times.get(row).map(seconds)).collect::<Float64Array>()))
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let seconds = cast(&call.array(0)?, &DataType::Float64)?;
    let seconds = datafusion::common::cast::as_float64_array(&seconds)?;
    let micros = |seconds: f64| (seconds.abs() < 9e12).then_some((seconds * 1e6).round() as i64);
    Ok(instants(seconds.iter().map(|value| value.and_then(micros))))
}

fn zoned(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    let zone = arguments.scalar_arguments[1].and_then(|value| value.try_as_str().flatten());
    let Some(zone) = zone else {
        return plan_err!("the time zone of at_timezone must be a constant such as 'Europe/Berlin'");
    };
    if zone.parse::<arrow::array::timezone::Tz>().is_err() {
        return plan_err!("{zone:?} is no time zone; write one such as 'Europe/Berlin' or '+02:00'");
    }
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    Ok(Arc::new(Field::new("", data_type, true)))
}

fn at_timezone(call: &Call) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    let times = instants((0..call.rows).map(|row| times.get(row)));
    Ok(cast(&times, call.return_type())?)
}

fn parts(call: &Call, part: fn(DateTime<Utc>) -> i64) -> Result<ArrayRef> {
    let times = call.instant(0)?;
    Ok(Arc::new((0..call.rows).map(|row| times.get(row).and_then(time).map(part)).collect::<Int64Array>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
    }

    #[test]
    fn differences_count_whole_units() {
        let cases = [
            ("day", "2024-01-01T12:00:00Z", "2024-01-03T11:59:59Z", 1),
            ("day", "2024-01-03T11:59:59Z", "2024-01-01T12:00:00Z", -1),
            ("month", "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", 0),
            ("month", "2024-03-15T00:00:00Z", "2024-01-16T00:00:00Z", -1),
            ("year", "2020-02-29T00:00:00Z", "2024-02-28T23:59:59Z", 3),
            ("quarter", "2024-01-01T00:00:00Z", "2024-12-31T00:00:00Z", 3),
            ("hour", "2024-01-01T00:00:00Z", "2024-01-02T01:00:00Z", 25),
        ];
        for (name, from, to, expected) in cases {
            assert_eq!(difference(unit(name).unwrap(), at(from), at(to)), Some(expected), "{name} {from} {to}");
        }
        assert!(unit("fortnight").unwrap_err().to_string().contains("'quarter'"));
    }

    #[test]
    fn months_keep_within_the_month() {
        let add = |count| later(Unit::Months(1), count, at("2024-01-31T10:00:00Z")).unwrap();
        assert_eq!(add(1), at("2024-02-29T10:00:00Z"));
        assert_eq!(add(-2), at("2023-11-30T10:00:00Z"));
        assert_eq!(later(Unit::Micros(86_400_000_000), i64::MAX, 0), None);
    }

    #[test]
    fn what_a_format_does_not_name_is_the_beginning() {
        assert_eq!(read("2024-03-05", "%Y-%m-%d"), Some(at("2024-03-05T00:00:00Z")));
        assert_eq!(read("2024/03", "%Y/%m"), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(read("x", "%Y"), None);
    }
}
