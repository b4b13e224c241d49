//! Where in the SQL a mistake is: its line with a mark below.
//!
//! Owns: finding the place, by what the parser says or by the word that is not known, and showing it.
//! Invariant: what is shown is one line, cut to a screen, and inert whatever the text holds.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::query::output::visible;

/// Characters of a line that are shown.
const WIDTH: usize = 100;

/// A place in a text: line and column from 1, and how many characters it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

/// Takes the place out of the parser's words: "… at Line: 1, Column: 42".
pub(super) fn told(message: &str) -> Option<(String, Place)> {
    let (what, rest) = message.rsplit_once(" at Line: ").or_else(|| message.rsplit_once("Line: "))?;
    let (line, column) = rest.split_once(", Column: ")?;
    let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
    let place = Place { line: line.parse().ok()?, column: digits.parse().ok()?, length: 1 };
    (place.line > 0).then(|| (what.trim().to_owned(), place))
}

/// The first place where a name stands as a word.
pub(super) fn of_name(sql: &str, name: &str) -> Option<Place> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().ok()?;
    tokens.into_iter().find_map(|token| match token.token {
        Token::Word(word) if word.value.eq_ignore_ascii_case(name) => {
            let start = token.span.start;
            let length = usize::try_from(token.span.end.column.saturating_sub(start.column)).ok()?;
            Some(Place { line: usize::try_from(start.line).ok()?, column: usize::try_from(start.column).ok()?, length })
        }
        _ => None,
    })
}

/// "line 1, column 8" with the line and a mark below it.
pub(super) fn shown(sql: &str, place: Place) -> String {
    let line: Vec<char> = sql.lines().nth(place.line - 1).unwrap_or_default().chars().collect();
    let at = (place.column.max(1) - 1).min(line.len());
    let from = if line.len() <= WIDTH { 0 } else { at.saturating_sub(WIDTH / 2).min(line.len() - WIDTH) };
    let upto = (from + WIDTH).min(line.len());
    let part = |from: usize, upto: usize| visible(&line[from..upto].iter().collect::<String>());
    let (before, behind) = (part(from, at), part(at, upto));
    let marks = place.length.clamp(1, upto.saturating_sub(at).max(1));
    format!(
        "line {}, column {}\n  | {before}{behind}\n  | {}{}",
        place.line,
        place.column,
        " ".repeat(before.chars().count()),
        "^".repeat(marks)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_place_is_taken_out_of_its_words() {
        let (what, place) = told("Expected: ), found: x at Line: 1, Column: 42").unwrap();
        assert_eq!((what.as_str(), place.line, place.column), ("Expected: ), found: x", 1, 42));
        assert_eq!(told("no place"), None);
    }

    #[test]
    fn a_word_is_found_and_a_text_is_not() {
        let sql = "SELECT 'nme',\n  Nme FROM t";
        let place = of_name(sql, "nme").unwrap();
        assert_eq!(place, Place { line: 2, column: 3, length: 3 });
        assert_eq!(shown(sql, place), "line 2, column 3\n  |   Nme FROM t\n  |   ^^^");
    }

    #[test]
    fn a_long_line_is_cut_and_a_hostile_one_is_inert() {
        let sql = format!("SELECT {}x\u{1b}[31m, nme", "1,".repeat(300));
        let text = shown(&sql, of_name(&sql, "nme").unwrap());
        assert!(text.lines().all(|line| line.len() < 130) && !text.contains('\u{1b}'), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].find("nme"), lines[2].find("^^^"));
        for place in [Place { line: 9, column: 9, length: 9 }, Place { line: 1, column: 0, length: 0 }] {
            assert!(shown("x", place).contains('^'));
        }
    }
}
