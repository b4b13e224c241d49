//! Where one JSON value ends and the next begins, without parsing either.
//!
//! Owns: the slow, tolerant way through text that does not parse as a whole: NDJSON, concatenated documents, arrays
//! with a broken record in them.
//! Refuses: to judge a value; the parser does.

/// JSON's white space, which is less than ASCII's.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Index of the first byte at or after `at` that is not JSON white space.
pub fn skip_space(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|byte| !is_space(*byte)).map_or(text.len(), |skipped| at + skipped)
}

/// Index of the first byte at or after `at` that is neither white space nor a comma, and how many commas stand before it.
pub fn skip_commas(text: &[u8], at: usize) -> (usize, usize) {
    let between = text[at..].iter().take_while(|byte| is_space(**byte) || **byte == b',');
    let (length, commas) =
        between.fold((0, 0), |(length, commas), byte| (length + 1, commas + usize::from(*byte == b',')));
    (at + length, commas)
}

/// End (exclusive) of the text before `at` once white space is taken off.
pub fn trim_end(text: &[u8], at: usize) -> usize {
    text[..at].iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1)
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
        b'{' | b'[' => bracket_end(text, at, 0),
        _ => Some(scalar_end(text, at)),
    }
}

/// Whether an object, array or string begins here, or the text ends.
pub fn is_document(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b'{' | b'[' | b'"'))
}

/// Where the document behind the one at `at` seems to begin: an object whose opening brace follows another's closing one,
/// or begins a line. The first is never so within a document, the second in one that is written in an odd way.
pub fn next_document(text: &[u8], at: usize) -> Option<usize> {
    memchr::memchr_iter(b'{', &text[at..]).map(|found| at + found).find(|&brace| {
        let before = trim_end(text, brace);
        let apart = text[before..brace].contains(&b'\n') || text[..before].last() == Some(&b'}');
        before > at && apart && text.get(skip_space(text, brace + 1)) == Some(&b'"')
    })
}

/// End (exclusive) of the object that `at` stands in.
pub fn object_end(text: &[u8], at: usize) -> Option<usize> {
    bracket_end(text, at, 1)
}

/// End (exclusive) of the bracket that closes the last of those open, of which there are `depth` before `at`.
fn bracket_end(text: &[u8], at: usize, mut depth: usize) -> Option<usize> {
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
    let delimiter = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"');
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
