//! Where one JSON value ends and the next begins, without parsing either.
//!
//! Owns: the slow, tolerant way through text that does not parse as a whole: NDJSON, concatenated documents, arrays
//! with a broken record in them.
//! Refuses: to judge a value; the parser does.

/// Index of the first byte at or after `at` that is not JSON white space.
pub fn skip_space(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|byte| !byte.is_ascii_whitespace()).map_or(text.len(), |skipped| at + skipped)
}

/// End (exclusive) of the text before `at` once white space is taken off.
pub fn trim_end(text: &[u8], at: usize) -> usize {
    text[..at].iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1)
}

/// End (exclusive) of the string whose opening quote is at `at`; `None` where it does not end.
pub fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut next = at + 1;
    loop {
        next += memchr::memchr2(b'"', b'\\', text.get(next..)?)?;
        if text[next] == b'"' {
            return Some(next + 1);
        }
        next += 2;
    }
}

/// End (exclusive) of the value that starts at `at`; `None` where the text ends before the value does.
///
/// Brackets are only counted, not matched: `{]` is one value here, and an error to the parser.
pub fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => container_end(text, at),
        _ => Some(scalar_end(text, at)),
    }
}

fn container_end(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut next = at;
    loop {
        match text.get(next)? {
            b'"' => {
                next = string_end(text, next)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        next += 1;
        if depth == 0 {
            return Some(next);
        }
    }
}

/// A scalar ends before the next delimiter; at least one byte long, so that a caller always gets further.
fn scalar_end(text: &[u8], at: usize) -> usize {
    let delimiter = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"');
    text[at + 1..].iter().position(delimiter).map_or(text.len(), |length| at + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<&str> {
        value_end(text.as_bytes(), 0).map(|end| &text[..end])
    }

    #[test]
    fn finds_the_end_of_each_kind_of_value() {
        assert_eq!(value(r#"{"a":"}","b":[1,{}]},{"c""#), Some(r#"{"a":"}","b":[1,{}]}"#));
        assert_eq!(value(r#"["\"]"] x"#), Some(r#"["\"]"]"#));
        assert_eq!(value(r#""a\\" "b""#), Some(r#""a\\""#));
        assert_eq!(value("-1.5e3,2"), Some("-1.5e3"));
        assert_eq!(value("true"), Some("true"));
    }

    #[test]
    fn a_value_that_does_not_end_has_no_end() {
        assert_eq!(value(r#"{"a":1"#), None);
        assert_eq!(value(r#""a\""#), None);
        assert_eq!(value(""), None);
    }
}
