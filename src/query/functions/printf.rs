//! `format(pattern, …)`: text by the patterns of Java's formatter, as Trino has it.
//!
//! Owns: reading a pattern and writing values by it: `%s %d %x %X %f %e %b %c %%`, with a place (`%2$s`), the flags
//! `- + 0 ,` and blank, a width and a precision.
//! Refuses: the rest of Java's patterns (instants, hashes …): an error names it.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::udf::{Call, Function, Returns, Texts, trino};

/// So many values can be formatted, and so wide each.
const MOST: usize = 64;
const WIDEST: usize = 1_000;

pub(super) fn functions() -> Vec<Function> {
    vec![trino(
        "format",
        "format(pattern, value, …)",
        (1, 1 + MOST),
        Returns::TEXT,
        format,
        "Text by a pattern such as '%s has %,d rows (%.1f %%)'; NULL is written as null",
    )]
}

fn format(call: &Call) -> Result<ArrayRef> {
    let patterns = call.text(0)?;
    let values = (1..call.given()).map(|index| call.text(index)).collect::<Result<Vec<_>>>()?;
    let constant = patterns.constant().map(parse).transpose()?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        match (&constant, patterns.get(row)) {
            (Some(parts), _) => out.append_value(written(parts, &values, row)?),
            (None, Some(pattern)) => out.append_value(written(&parse(pattern)?, &values, row)?),
            (None, None) => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// A part of a pattern.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value(Spec),
}

/// How a value is written.
#[derive(Debug, PartialEq)]
struct Spec {
    /// Which value, from 0.
    value: usize,
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Spec {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

fn parse(pattern: &str) -> Result<Vec<Part>> {
    let (mut parts, mut rest, mut next) = (Vec::new(), pattern, 0);
    while let Some((text, behind)) = rest.split_once('%') {
        parts.push(Part::Text(text.to_owned()));
        let (part, behind) = part(behind, &mut next).ok_or_else(|| {
            exec_datafusion_err!(
                "the pattern {pattern:?} has %{} in it, which is not known here; use %s, %d, %x, %f, %e, %b, %c or %%",
                start(behind)
            )
        })?;
        parts.push(part);
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

fn start(text: &str) -> String {
    text.chars().take(6).collect()
}

/// What stands behind a percent sign. `next` is the value that a part without a place takes.
fn part<'a>(text: &'a str, next: &mut usize) -> Option<(Part, &'a str)> {
    let (digits, behind) = number(text);
    let (place, text) = match behind.strip_prefix('$') {
        Some(behind) => (Some(digits?.checked_sub(1)?), behind),
        None => (None, text),
    };
    let flags = text.find(|c| !"-+0, ".contains(c))?;
    let (flags, text) = text.split_at(flags);
    let (width, text) = number(text);
    let (precision, text) = match text.strip_prefix('.') {
        Some(behind) => match number(behind) {
            (Some(digits), behind) => (Some(digits), behind),
            (None, _) => return None,
        },
        None => (None, text),
    };
    let conversion = text.chars().next()?;
    let behind = &text[conversion.len_utf8()..];
    let part = match conversion {
        '%' => Part::Text("%".to_owned()),
        'n' => Part::Text("\n".to_owned()),
        's' | 'S' | 'd' | 'x' | 'X' | 'f' | 'e' | 'b' | 'c' => {
            let value = place.unwrap_or_else(|| std::mem::replace(next, *next + 1));
            Part::Value(Spec { value, flags: flags.to_owned(), width: width.unwrap_or(0), precision, conversion })
        }
        _ => return None,
    };
    let small = width.into_iter().chain(precision).all(|size| size <= WIDEST);
    small.then_some((part, behind))
}

/// The number at the beginning of a text, and what is behind it.
fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

fn written(parts: &[Part], values: &[Texts], row: usize) -> Result<String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(spec) => {
                let Some(value) = values.get(spec.value) else {
                    return exec_err!("the pattern wants {} values, and {} are given", spec.value + 1, values.len());
                };
                out.push_str(&padded(spec, value.get(row))?);
            }
        }
    }
    Ok(out)
}

fn padded(spec: &Spec, value: Option<&str>) -> Result<String> {
    let text = match value {
        Some(value) => converted(spec, value)?,
        None if spec.conversion == 'b' => "false".to_owned(),
        None => "null".to_owned(),
    };
    let missing = spec.width.saturating_sub(text.chars().count());
    Ok(match spec.has('-') {
        true => text + &" ".repeat(missing),
        false if spec.has('0') && value.is_some() => {
            let sign = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
            format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
        }
        false => " ".repeat(missing) + &text,
    })
}

fn converted(spec: &Spec, value: &str) -> Result<String> {
    let wrong = |what: &str| exec_datafusion_err!("%{} takes {what}, not {value:?}", spec.conversion);
    let whole = || value.parse::<i128>().map_err(|_| wrong("a whole number"));
    let real = || value.parse::<f64>().map_err(|_| wrong("a number"));
    Ok(match spec.conversion {
        'd' => signed(spec, &whole()?.to_string()),
        'x' => format!("{:x}", hexadecimal(whole()?)),
        'X' => format!("{:X}", hexadecimal(whole()?)),
        'f' => signed(spec, &format!("{:.*}", spec.precision.unwrap_or(6), real()?)),
        'e' => signed(spec, &scientific(real()?, spec.precision.unwrap_or(6))),
        'c' => value.chars().take(1).collect(),
        'S' => cut(spec, &value.to_uppercase()),
        _ => cut(spec, value),
    })
}

/// A negative number as the 64 bits that it is kept in.
fn hexadecimal(number: i128) -> u64 {
    i64::try_from(number).map_or_else(|_| u64::try_from(number).unwrap_or(u64::MAX), i64::cast_unsigned)
}

fn cut(spec: &Spec, text: &str) -> String {
    text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect()
}

/// An exponent has a sign and two digits.
fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let power: i32 = exponent.parse().unwrap_or_default();
            format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
        }
        None => text,
    }
}

/// A number with its sign, and with commas between thousands where they are wanted.
fn signed(spec: &Spec, number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None if spec.has('+') => ("+", number),
        None if spec.has(' ') => (" ", number),
        None => ("", number),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(end);
    let whole = if spec.has(',') { grouped(whole) } else { whole.to_owned() };
    format!("{sign}{whole}{rest}")
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pattern: &str, value: Option<&str>) -> String {
        let parts = parse(pattern).unwrap();
        let written = parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(spec) => padded(spec, value).unwrap(),
        });
        written.collect()
    }

    #[test]
    fn values_are_written_as_java_writes_them() {
        for (pattern, value, expected) in [
            ("<%s>", "a", "<a>"),
            ("%-5s|%5s|%1$.2s", "abc", "abc  |  abc|ab"),
            ("%d%%", "7", "7%"),
            ("%,d", "-1234567", "-1,234,567"),
            ("%,d", "123", "123"),
            ("%05d|%+d", "42", "00042|+42"),
            ("%05d", "-42", "-0042"),
            ("%x|%X", "255", "ff|FF"),
            ("%x", "-1", "ffffffffffffffff"),
            ("%.2f|%f", "2.5", "2.50|2.500000"),
            ("%,.1f", "12345.67", "12,345.7"),
            ("%.3e", "12345.678", "1.235e+04"),
            ("%S%c%n", "ab", "ABa\n"),
        ] {
            assert_eq!(one(pattern, Some(value)), expected, "{pattern}");
        }
        assert_eq!(one("%5s|%05d|%b", None), " null| null|false");
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for pattern in ["%", "%t", "%5", "%0$s", "%.s", "%99999999d", "%-"] {
            assert!(parse(pattern).is_err(), "{pattern}");
        }
        let spec = parse("%d").unwrap().into_iter().find_map(|part| match part {
            Part::Value(spec) => Some(spec),
            Part::Text(_) => None,
        });
        assert!(padded(&spec.unwrap(), Some("x")).is_err());
    }
}
