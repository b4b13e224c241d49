//! Ways into JSON: `$.a.b[0]`, `$["a b"]`, `$.a[*]`.
//!
//! Owns: the part of JSONPath that Trino's and Athena's `json_extract` take. Filters (`?()`) and `..` are told as what
//! cannot be read here.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::query) enum Step {
    /// The member of that name.
    Key(String),
    /// The element, from 0; negative from the end.
    Index(i64),
    /// Every member or element.
    All,
}

/// Reads a path; the error says what about it cannot be read.
pub(in crate::query) fn parse(path: &str) -> Result<Vec<Step>, String> {
    let wrong = |what: &str| format!("the JSON path {path:?} {what}; write one such as $.bucketName or $.items[0].arn");
    let trimmed = path.trim();
    let modeless = trimmed.strip_prefix("lax ").or_else(|| trimmed.strip_prefix("strict ")).unwrap_or(trimmed).trim();
    let mut rest = modeless.strip_prefix('$').ok_or_else(|| wrong("does not begin with $"))?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, behind) = if let Some(dotted) = rest.strip_prefix('.') {
            key(dotted).ok_or_else(|| wrong("has a dot without a name behind it (.. cannot be used)"))?
        } else if let Some(inner) = rest.strip_prefix('[') {
            bracket(inner)
                .ok_or_else(|| wrong("has brackets around something else than a number, a name in quotes or *"))?
        } else {
            return Err(wrong("has something else than . or [ behind a step"));
        };
        steps.push(step);
        rest = behind;
    }
    Ok(steps)
}

/// A path of these steps, as [`parse`] reads it; `None` where a name cannot be written in one.
pub(in crate::query) fn write(steps: &[Step]) -> Option<String> {
    let mut path = String::from("$");
    for step in steps {
        match step {
            Step::Key(key) if !key.contains('"') => path.push_str(&format!("[\"{key}\"]")),
            Step::Key(key) if !key.contains('\'') => path.push_str(&format!("['{key}']")),
            Step::Key(_) => return None,
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::All => path.push_str("[*]"),
        }
    }
    Some(path)
}

fn key(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((Step::All, rest));
    }
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    (end > 0).then(|| (Step::Key(text[..end].to_owned()), &text[end..]))
}

fn bracket(text: &str) -> Option<(Step, &str)> {
    if text.starts_with(['"', '\'']) {
        let (step, rest) = quoted(text)?;
        return Some((step, rest.strip_prefix(']')?));
    }
    let (inner, rest) = text.split_once(']')?;
    let step = match inner.trim() {
        "*" => Step::All,
        number => Step::Index(number.parse().ok()?),
    };
    Some((step, rest))
}

fn quoted(text: &str) -> Option<(Step, &str)> {
    let quote = text.chars().next()?;
    let (name, rest) = text[1..].split_once(quote)?;
    Some((Step::Key(name.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn paths_are_read() {
        assert_eq!(parse("$").unwrap(), []);
        assert_eq!(parse("$.a[0].b-c").unwrap(), [named("a"), Step::Index(0), named("b-c")]);
        assert_eq!(parse("$['a.b'][\"c\"].*[*]").unwrap(), [named("a.b"), named("c"), Step::All, Step::All]);
        assert_eq!(parse("lax $.\"x y\"[-1]").unwrap(), [named("x y"), Step::Index(-1)]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let steps = [named("a"), named("b.c]"), named("it's"), named("\"q\""), named(""), Step::Index(-1), Step::All];
        assert_eq!(parse(&write(&steps).unwrap()).unwrap(), steps);
        assert_eq!(write(&[named("both ' and \"")]), None);
    }

    #[test]
    fn others_say_what_is_wrong() {
        for (path, what) in [
            ("a.b", "does not begin with $"),
            ("$..a", "dot without a name"),
            ("$[?(@.a)]", "brackets around"),
            ("$[0]a", "something else than . or ["),
            ("$['a", "brackets around"),
        ] {
            let error = parse(path).unwrap_err();
            assert!(error.contains(what), "{path}: {error}");
        }
    }
}
