//! The commands that begin with a backslash.

use trailhound::error::{Error, ErrorKind, Result};
use trailhound::query::output::Format;

/// What `\?` prints.
pub const HELP: &str = "\
\\dt                     tables and views
\\d TABLE                columns of a table (\\d alone: tables)
\\df [PART]              functions whose name has a part
\\n                      the named queries
\\n NAME [K=V …]         runs one, with its parameters
\\explain SQL            runs SQL and tells what was read and what was left out
\\o FORMAT               table, vertical, json, ndjson, csv
\\x                      a line for each value, or a table again
\\timing                 tells rows and milliseconds, or no longer
\\q                      leaves (or Ctrl-D)
A statement goes over as many lines as it needs and ends in ;  Ctrl-C stops a query. Tab completes.";

/// What `\dt` asks.
pub const TABLES: &str = "SELECT table_name, CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS kind \
                          FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Quit,
    Help,
    Tables,
    Describe(String),
    Functions(String),
    Timing,
    Format(Format),
    Expanded,
    Explain(String),
    NamedQueries,
    Named(String, Vec<(String, String)>),
}

impl Command {
    /// Reads a line; `None` where it is no command.
    pub fn parse(line: &str) -> Option<Result<Self>> {
        let line = line.trim().trim_end_matches(';').trim_end();
        if matches!(line, "exit" | "quit") {
            return Some(Ok(Self::Quit));
        }
        let text = line.strip_prefix('\\')?;
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        Some(Self::named(word, rest.trim()))
    }

    fn named(word: &str, rest: &str) -> Result<Self> {
        Ok(match (word, rest) {
            ("q" | "quit", _) => Self::Quit,
            ("?" | "h" | "help", _) => Self::Help,
            ("dt", _) | ("d", "") => Self::Tables,
            ("d", table) => Self::Describe(identifier(table)?),
            ("df", part) => Self::Functions(part.to_lowercase()),
            ("timing", _) => Self::Timing,
            ("x", _) => Self::Expanded,
            ("o", format) => Self::Format(format.parse()?),
            ("explain", "") => return Err(Error::new(ErrorKind::Usage, "\\explain needs SQL behind it")),
            ("explain", sql) => Self::Explain(sql.to_owned()),
            ("n", "") => Self::NamedQueries,
            ("n", query) => named_query(query)?,
            _ => {
                return Err(Error::new(ErrorKind::Usage, format!("there is no command \\{word}"))
                    .hint("\\? tells those there are"));
            }
        })
    }
}

/// A table's name, which becomes part of a statement: nothing but a name may.
fn identifier(text: &str) -> Result<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match text.chars().all(is_name) {
        true => Ok(text.to_owned()),
        false => {
            Err(Error::new(ErrorKind::Usage, format!("{text:?} is no table's name")).hint("\\dt tells the tables"))
        }
    }
}

/// `NAME K=V …`; a value with blanks goes into quotes.
fn named_query(text: &str) -> Result<Command> {
    let mut words = words(text).into_iter();
    let name = words.next().unwrap_or_default();
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::new(ErrorKind::Usage, format!("{word:?} is not NAME=VALUE"))),
    };
    Ok(Command::Named(name, words.map(pair).collect::<Result<_>>()?))
}

fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut started) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => (quote, started) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if started {
                    out.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (c, _) => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        Command::parse(line).expect("a command").expect("a good one")
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parsed("\\dt;"), Command::Tables);
        assert_eq!(parsed(" \\d events "), Command::Describe("events".into()));
        assert_eq!(parsed("\\o csv"), Command::Format(Format::Csv));
        assert_eq!(parsed("\\x"), Command::Expanded);
        assert_eq!(parsed("quit"), Command::Quit);
        let given = vec![("actor".into(), "a b".into()), ("days".into(), "7".into()), ("x".into(), String::new())];
        assert_eq!(
            parsed("\\n actor-timeline actor='a b' days=7 x=''"),
            Command::Named("actor-timeline".into(), given)
        );
        assert!(Command::parse("SELECT 1").is_none());
    }

    #[test]
    fn wrong_ones_say_why() {
        for (line, why) in [
            ("\\z", "there is no command \\z"),
            ("\\d a;DROP", "is no table's name"),
            ("\\n a b", "\"b\" is not NAME=VALUE"),
            ("\\o xml", "unknown output format"),
            ("\\explain", "needs SQL"),
        ] {
            let error = Command::parse(line).unwrap().unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
