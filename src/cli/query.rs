//! `trailhound query`

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use anyhow::Context;
use trailhound::error::{Error, ErrorKind};
use trailhound::lake::Lake;
use trailhound::query::named::{self, Fallback, NamedQuery};
use trailhound::query::output::{self, Format};
use trailhound::query::{self, Access};

use super::args::QueryArgs;
use super::exit::ExitStatus;
use super::settings::Settings;

/// What is to be run.
enum Asked {
    Sql(String),
    Named(&'static NamedQuery),
}

/// The accounts of a query.
#[derive(serde::Serialize)]
struct QueryReport {
    /// Rows written.
    rows: u64,
    /// Rows of the answer that a table did not show.
    left_out: u64,
}

/// Runs the command.
pub async fn run(settings: &Settings, args: QueryArgs) -> anyhow::Result<ExitStatus> {
    if args.list {
        list(&mut std::io::stdout().lock())?;
        return Ok(ExitStatus::Fine);
    }
    if let Some(name) = &args.describe {
        describe(named::find(name)?, &mut std::io::stdout().lock())?;
        return Ok(ExitStatus::Fine);
    }
    let asked = asked(&args)?;
    let format: Format = args.output.format();
    if format.is_binary() && args.to.is_none() && std::io::stdout().is_terminal() {
        return Err(Error::new(ErrorKind::Usage, "parquet is not for a terminal")
            .hint("add --to FILE or send it to a file")
            .into());
    }
    let lake = Lake::open(&settings.lake(args.lake.clone())?).await?;
    let access = if args.allow_write { Access::Write } else { Access::Read };
    let session = query::session_for(&lake.snapshots().await?, &settings.query(), access)?;
    let stream = match asked {
        Asked::Named(query) => named::execute(&session, query, &args.param).await?,
        Asked::Sql(sql) if args.param.is_empty() => query::execute(&session, &sql).await?,
        Asked::Sql(sql) => query::execute_with(&session, &sql, text_values(&args.param)).await?,
    };
    let summary = output::write(stream, format, &mut *open(args.to.as_deref())?).await?;
    super::report::write(settings, &QueryReport { rows: summary.rows, left_out: summary.left_out })?;
    if summary.left_out > 0 {
        tracing::warn!("{} more rows are not shown; use -o ndjson, csv or parquet for all", summary.left_out);
    }
    Ok(ExitStatus::Fine)
}

/// Where an answer goes: a file, or standard output.
pub fn open(to: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match to {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    })
}

/// The SQL of the argument, a file or standard input, or the named query.
fn asked(args: &QueryArgs) -> anyhow::Result<Asked> {
    let text = match (&args.query, &args.file) {
        (Some(_), Some(_)) => {
            return Err(Error::new(ErrorKind::Usage, "a query and --file are given; give one of them").into());
        }
        (None, Some(path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read the query {}", path.display()))?
        }
        (Some(text), None) if text != "-" => text.clone(),
        (Some(_), None) => stdin()?,
        (None, None) if !std::io::stdin().is_terminal() => stdin()?,
        (None, None) => {
            return Err(Error::new(ErrorKind::Usage, "no query is given")
                .hint("give SQL, a name of `trailhound query --list`, or -f FILE")
                .into());
        }
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.file.is_none() && !text.is_empty() && text.chars().all(is_name) {
        return Ok(Asked::Named(named::find(&text)?));
    }
    Ok(Asked::Sql(text))
}

fn stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read the query from standard input")?;
    Ok(text)
}

/// Placeholders of free SQL take their values as text; SQL casts them where another type is wanted.
fn text_values(given: &[(String, String)]) -> Vec<(String, datafusion::scalar::ScalarValue)> {
    given.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn list(out: &mut dyn Write) -> std::io::Result<()> {
    let width = named::all().iter().map(|query| query.name.len()).max().unwrap_or_default();
    for query in named::all() {
        writeln!(out, "{:width$}  {}", query.name, query.title)?;
    }
    Ok(())
}

fn describe(query: &NamedQuery, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}: {}\n{}", query.name, query.title, query.question)?;
    if let Some(technique) = &query.technique {
        writeln!(out, "ATT&CK technique {technique}")?;
    }
    for parameter in &query.parameters {
        let default = match &parameter.default {
            Fallback::Required => "required".to_owned(),
            Fallback::Newest => "default: time of the newest event".to_owned(),
            Fallback::DaysBefore => "default: so many days before until".to_owned(),
            Fallback::Value(value) => format!("default: {value}"),
        };
        writeln!(out, "  --param {}={}  {} ({default})", parameter.name, parameter.kind.as_str(), parameter.help)?;
    }
    writeln!(out, "\n{}", query.sql.trim_end())
}
