//! Completion: tables, columns and members, functions, words of SQL, named queries; event names inside of quotes.
//!
//! Owns: the words, and when a statement is whole.
//! Invariant: completing never waits for the lake: names of events are learned beside, from its newest days, once.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field};
use datafusion::prelude::SessionContext;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use trailhound::query::{self, dialect, functions, named};
use trailhound::schema::TABLES;

/// Names that are learned from the lake at most.
const LEARNED: usize = 5_000;

const SQL: [&str; 46] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "IS NULL",
    "IS NOT NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "COUNT",
    "WITH",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "VALUES",
    "UNNEST",
    "CAST",
    "TRY_CAST",
    "INTERVAL",
    "TIMESTAMP",
    "DATE",
    "FILTER",
    "OVER",
    "PARTITION BY",
    "DESCRIBE",
    "EXPLAIN",
];

const COMMANDS: [&str; 10] = ["\\d", "\\df", "\\dt", "\\explain", "\\n", "\\o", "\\q", "\\timing", "\\x", "\\?"];

/// What can be completed.
pub struct Words {
    names: BTreeSet<String>,
    queries: Vec<&'static str>,
    values: Arc<RwLock<BTreeSet<String>>>,
}

impl Words {
    /// The words of a session.
    pub fn of(ctx: &SessionContext) -> Self {
        let mut names: BTreeSet<String> = SQL.iter().map(|word| (*word).to_owned()).collect();
        names.extend(functions::catalogue(ctx).into_iter().map(|function| format!("{}(", function.name)));
        let schema = ctx.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
        names.extend(schema.iter().flat_map(|schema| schema.table_names()));
        for table in TABLES {
            table.schema().fields().iter().for_each(|field| add(field, "", &mut names));
        }
        let queries = named::all().iter().map(|query| query.name.as_str()).collect();
        Self { names, queries, values: Arc::default() }
    }

    /// Learns the names of events and services that the lake's newest days have.
    pub fn learn_events(&self, ctx: SessionContext) {
        let values = Arc::clone(&self.values);
        tokio::spawn(async move {
            let recent = "event_date >= (SELECT max(event_date) FROM events) - INTERVAL '1' DAY";
            for column in ["eventname", "eventsource"] {
                let sql = format!("SELECT DISTINCT {column} FROM events WHERE {recent} LIMIT {LEARNED}");
                // without them there is less to complete, and nothing else is lost
                let Ok(batches) = query::collect(&ctx, &sql).await else { return };
                let Ok(mut known) = values.write() else { return };
                for batch in batches {
                    known.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
                }
            }
        });
    }

    fn candidates(&self, line: &str, start: usize) -> Vec<String> {
        let (before, word) = (&line[..start], &line[start..]);
        let matching = |name: &str| {
            name.len() >= word.len()
                && name.is_char_boundary(word.len())
                && name[..word.len()].eq_ignore_ascii_case(word)
        };
        if before.trim_start().starts_with("\\n ") && !before.trim_start()[3..].contains(' ') {
            return self.queries.iter().filter(|name| matching(name)).map(|name| (*name).to_owned()).collect();
        }
        if word.starts_with('\\') {
            return COMMANDS.iter().filter(|name| matching(name)).map(|name| (*name).to_owned()).collect();
        }
        if before.matches('\'').count() % 2 == 1 {
            let values = self.values.read().map(|values| values.clone()).unwrap_or_default();
            return values.into_iter().filter(|name| matching(name)).collect();
        }
        self.names.iter().filter(|name| matching(name)).cloned().collect()
    }
}

/// A column, and its members behind dots.
fn add(field: &Field, before: &str, names: &mut BTreeSet<String>) {
    let name = format!("{before}{}", field.name());
    if let DataType::Struct(fields) = field.data_type() {
        fields.iter().for_each(|field| add(field, &format!("{name}."), names));
    }
    names.insert(name);
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let line = &line[..position];
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\\' | '-' | ':' | '/' | '?');
        let start =
            line.rfind(|c| !is_word(c)).map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        Ok((start, self.candidates(line, start)))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole =
            text.is_empty() || text.starts_with('\\') || matches!(text, "exit" | "quit") || dialect::is_complete(text);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let ctx = query::session(&[], &query::QueryOptions::new(1, 1 << 20)).expect("a session");
        let words = Words::of(&ctx);
        words.values.write().expect("no panic").extend(["GetObject".to_owned(), "GetBucketAcl".to_owned()]);
        words
    }

    #[test]
    fn what_is_completed_depends_on_the_place() {
        let words = words();
        let at = |line: &str, word: &str| words.candidates(line, line.len() - word.len());
        assert_eq!(
            at("SELECT useridentity.sessioncontext.sessionissuer.ar", "useridentity.sessioncontext.sessionissuer.ar"),
            ["useridentity.sessioncontext.sessionissuer.arn"]
        );
        assert_eq!(at("SELECT json_extract_", "json_extract_"), ["json_extract_scalar("]);
        assert_eq!(at("WHERE eventname = 'getO", "getO"), ["GetObject"]);
        assert_eq!(at("\\n top-d", "top-d"), ["top-denied"]);
        assert_eq!(at("\\ti", "\\ti"), ["\\timing"]);
        assert!(at("sel", "sel").contains(&"SELECT".to_owned()));
    }
}
