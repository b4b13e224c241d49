//! Text out of a log, made harmless for who looks at it.
//!
//! Owns: which characters act on a terminal or reorder what is read, and which cells a spreadsheet would run.
//! Invariant: what comes out has no control character, no direction override and nothing invisible.

use std::borrow::Cow;
use std::fmt::Write;

/// True for a character that acts instead of showing: C0, DEL, C1, direction marks and overrides, zero-width and
/// tag characters, line separators.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Line ends and tabs are data inside a quoted CSV cell; in a table they would break its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// Kept as they are.
    Kept,
    /// Written as `\n`, `\r`, `\t`.
    Shown,
}

/// Appends text with every acting character written as `\u{1b}`.
pub fn push_visible(text: &str, breaks: Breaks, out: &mut String) {
    for c in text.chars() {
        match (c, breaks) {
            ('\n' | '\r' | '\t', Breaks::Kept) => out.push(c),
            ('\n', Breaks::Shown) => out.push_str("\\n"),
            ('\r', Breaks::Shown) => out.push_str("\\r"),
            ('\t', Breaks::Shown) => out.push_str("\\t"),
            // Writing to a String cannot fail.
            (c, _) if acts(c) => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
            (c, _) => out.push(c),
        }
    }
}

/// True where a spreadsheet may take a text cell as a formula (CWE-1236).
pub fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// Rewrites JSON text so that acting characters, which JSON allows raw in strings, are escapes. C0 is escaped already:
/// JSON demands it; the line end between two rows stays.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Nearly all logs are plain ASCII; DEL is the only character of it that acts and that JSON leaves alone.
    if json.bytes().all(|byte| byte < 0x7f) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !acts(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        let mut out = String::new();
        push_visible(text, Breaks::Shown, &mut out);
        out
    }

    #[test]
    fn terminal_sequences_and_overrides_become_visible() {
        assert_eq!(visible("\u{1b}[31mred\u{9b}0m"), "\\u{1b}[31mred\\u{9b}0m");
        assert_eq!(visible("a\u{202e}txt.exe\u{200b}"), "a\\u{202e}txt.exe\\u{200b}");
        assert_eq!(visible("a\tb\r\nc"), "a\\tb\\r\\nc");
        assert_eq!(visible("Müller 東京 😀"), "Müller 東京 😀");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "{\"a\":\"\u{7f}\u{9b}\u{202e}\u{e0041}\"}\n";
        let escaped = escape_json(text);
        assert!(escaped.is_ascii());
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&escaped).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn formulas_are_told_from_text() {
        for text in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1"] {
            assert!(is_formula(text), "{text:?}");
        }
        assert!(!is_formula("a=1") && !is_formula("") && !is_formula("{\"a\":\"=1\"}"));
    }
}
