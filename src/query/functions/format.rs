//! Formats of instants: MySQL's (`%Y-%m-%d %H:%i`) and Joda's (`yyyy-MM-dd HH:mm`) as chrono's.
//!
//! Owns: the words of both; one that has no counterpart is an error that names it.

use datafusion::common::{Result, exec_err};

/// Whose words a format is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `date_format`, `date_parse`
    MySql,
    /// `format_datetime`, `parse_datetime`
    Joda,
}

/// What a format is for: a fraction is written with six digits and read with as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Instant to text.
    Write,
    /// Text to instant.
    Read,
}

/// A format in chrono's words.
pub(super) fn compile(format: &str, style: Style, purpose: Use) -> Result<String> {
    match style {
        Style::MySql => mysql(format, purpose),
        Style::Joda => joda(format, purpose),
    }
}

fn mysql(format: &str, purpose: Use) -> Result<String> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let word = match chars.next() {
            Some('Y') => "%Y",
            Some('y') => "%y",
            Some('m') => "%m",
            Some('c') => "%-m",
            Some('d') => "%d",
            Some('e') => "%-d",
            Some('H') => "%H",
            Some('k') => "%-H",
            Some('h' | 'I') => "%I",
            Some('l') => "%-I",
            Some('i') => "%M",
            Some('s' | 'S') => "%S",
            Some('f') => fraction(&mut out, purpose, "%6f"),
            Some('p') => "%p",
            Some('r') => "%I:%M:%S %p",
            Some('T') => "%H:%M:%S",
            Some('M') => "%B",
            Some('b') => "%b",
            Some('W') => "%A",
            Some('a') => "%a",
            Some('j') => "%j",
            Some('v') => "%V",
            Some('x') => "%G",
            Some('%') => "%%",
            other => {
                let word = other.map(String::from).unwrap_or_default();
                return exec_err!(
                    "the format {format:?} has %{word}, which is not known here; use format_datetime, or date_trunc"
                );
            }
        };
        out.push_str(word);
    }
    Ok(out)
}

/// When reading, the dot in front belongs to the fraction.
fn fraction(out: &mut String, purpose: Use, written: &'static str) -> &'static str {
    match purpose {
        Use::Read if out.ends_with('.') => {
            out.pop();
            "%.f"
        }
        _ => written,
    }
}

fn joda(format: &str, purpose: Use) -> Result<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            let inner = &rest[1..];
            let Some(end) = inner.find('\'') else {
                return exec_err!("the format {format:?} has a quote that is not closed");
            };
            out.push_str(if end == 0 { "'" } else { &inner[..end] });
            rest = &inner[end + 1..];
            continue;
        }
        let length = rest.chars().take_while(|other| *other == c).count();
        rest = &rest[length * c.len_utf8()..];
        if !c.is_ascii_alphabetic() {
            let literal = if c == '%' { "%%".to_owned() } else { c.to_string() };
            out.push_str(&literal.repeat(length));
            continue;
        }
        let word = match (c, length) {
            ('y' | 'Y', 2) => "%y",
            ('y' | 'Y', _) => "%Y",
            ('x', _) => "%G",
            ('w', _) => "%V",
            ('D', _) => "%j",
            ('M', 1) => "%-m",
            ('M', 2) => "%m",
            ('M', 3) => "%b",
            ('M', _) => "%B",
            ('d', 1) => "%-d",
            ('d', _) => "%d",
            ('E', 1..=3) => "%a",
            ('E', _) => "%A",
            ('e', _) => "%u",
            ('a', _) => "%p",
            ('H', 1) => "%-H",
            ('H', _) => "%H",
            ('h', 1) => "%-I",
            ('h', _) => "%I",
            ('m', _) => "%M",
            ('s', _) => "%S",
            ('S', 1..=3) => fraction(&mut out, purpose, "%3f"),
            ('S', _) => fraction(&mut out, purpose, "%6f"),
            ('z', _) => "%Z",
            ('Z', 1) => "%z",
            ('Z', _) => "%:z",
            _ => {
                return exec_err!(
                    "the format {format:?} has {c}, which is not known here; text goes into single quotes"
                );
            }
        };
        out.push_str(word);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_translated() {
        assert_eq!(compile("%Y-%m-%d %H:%i:%s", Style::MySql, Use::Write).unwrap(), "%Y-%m-%d %H:%M:%S");
        assert_eq!(compile("%Y-%m-%dT%H:%i:%s.%fZ", Style::MySql, Use::Read).unwrap(), "%Y-%m-%dT%H:%M:%S%.fZ");
        assert_eq!(compile("yyyy-MM-dd'T'HH:mm:ss.SSS", Style::Joda, Use::Write).unwrap(), "%Y-%m-%dT%H:%M:%S.%3f");
        assert_eq!(compile("EEE, d MMM ''yy", Style::Joda, Use::Write).unwrap(), "%a, %-d %b '%y");
    }

    #[test]
    fn an_unknown_word_is_named() {
        assert!(compile("%Q", Style::MySql, Use::Write).unwrap_err().to_string().contains("%Q"));
        assert!(compile("n", Style::Joda, Use::Write).unwrap_err().to_string().contains("has n,"));
    }
}
