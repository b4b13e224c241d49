//! `trailhound query`

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use datafusion::prelude::SessionContext;
use trailhound::error::{Error, ErrorKind};
use trailhound::lake::Lake;
use trailhound::query::named::{self, Fallback, NamedQuery};
use trailhound::query::output::{self, Format};
use trailhound::query::{self, Access, dialect};

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
    let Some(asked) = asked(&args)? else {
        return super::shell::run(shell(settings, &args).await?).await;
    };
    if let Asked::Sql(text) = &asked
        && super::shell::is_script(text)
        && args.to.is_none()
        && args.param.is_empty()
        && !args.explain
    {
        return super::shell::script(shell(settings, &args).await?, text).await;
    }
    let format: Format = args.output.format();
    if format.is_binary() && args.to.is_none() && std::io::stdout().is_terminal() {
        return Err(Error::new(ErrorKind::Usage, "parquet is not for a terminal")
            .hint("add --to FILE or send it to a file")
            .into());
    }
    let session = session(settings, &args).await?;
    let mut out = open(args.to.as_deref())?;
    let work = async {
        match asked {
            Asked::Named(query) => named(&session, query, &args, &mut *out).await,
            Asked::Sql(sql) => statements(&session, &sql, &args, &mut *out).await,
        }
    };
    let report = limited(settings.timeout(args.timeout), work).await?;
    super::report::write(settings, &report)?;
    if report.left_out > 0 {
        tracing::warn!("{} more rows are not shown; use -o ndjson, csv or parquet for all", report.left_out);
    }
    Ok(ExitStatus::Fine)
}

async fn session(settings: &Settings, args: &QueryArgs) -> anyhow::Result<SessionContext> {
    let lake = Lake::open(&settings.lake(args.lake.clone())?).await?;
    let access = if args.allow_write { Access::Write } else { Access::Read };
    Ok(query::session_for(&lake.snapshots().await?, &settings.query(), access)?)
}

async fn shell(settings: &Settings, args: &QueryArgs) -> anyhow::Result<super::shell::Shell> {
    Ok(super::shell::Shell {
        ctx: session(settings, args).await?,
        lake: settings.lake(args.lake.clone())?.location,
        format: args.output.format(),
        timeout: settings.timeout(args.timeout),
        history: super::shell::history_file(),
    })
}

/// Waits for a query no longer than it may take.
pub async fn limited<T>(limit: Option<Duration>, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let what = format!("the query ran longer than its limit of {} s", limit.as_secs());
        Err(Error::new(ErrorKind::Limit, what).hint("raise --timeout, or ask for fewer days").into())
    })
}

async fn named(
    ctx: &SessionContext,
    query: &NamedQuery,
    args: &QueryArgs,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<QueryReport> {
    if args.explain {
        return told(&named::explain(ctx, query, &args.param).await?, out);
    }
    Ok(output::write(named::execute(ctx, query, &args.param).await?, args.output.format(), out).await?.into())
}

/// All statements of a text, one after the other.
async fn statements(
    ctx: &SessionContext,
    text: &str,
    args: &QueryArgs,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<QueryReport> {
    let mut all = dialect::statements(text);
    if all.is_empty() {
        // says that it is empty
        all.push(text);
    }
    let mut report = QueryReport { rows: 0, left_out: 0 };
    for sql in all {
        let one = statement(ctx, sql, args, out).await?;
        report = QueryReport { rows: report.rows + one.rows, left_out: report.left_out + one.left_out };
    }
    Ok(report)
}

async fn statement(
    ctx: &SessionContext,
    sql: &str,
    args: &QueryArgs,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<QueryReport> {
    if args.explain {
        let sentences = match args.param.is_empty() {
            true => query::explain(ctx, sql).await?,
            false => query::explain_with(ctx, sql, text_values(&args.param)).await?,
        };
        return told(&sentences, out);
    }
    let stream = match args.param.is_empty() {
        true => query::execute(ctx, sql).await?,
        false => query::execute_with(ctx, sql, text_values(&args.param)).await?,
    };
    Ok(output::write(stream, args.output.format(), out).await?.into())
}

fn told(sentences: &[String], out: &mut (dyn Write + Send)) -> anyhow::Result<QueryReport> {
    for sentence in sentences {
        writeln!(out, "{sentence}")?;
    }
    out.flush()?;
    Ok(QueryReport { rows: 0, left_out: 0 })
}

impl From<output::Summary> for QueryReport {
    fn from(summary: output::Summary) -> Self {
        Self { rows: summary.rows, left_out: summary.left_out }
    }
}

/// Where an answer goes: a file, or standard output.
pub fn open(to: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match to {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    })
}

/// The SQL of the argument, a file or standard input, or the named query; `None` where nobody has said anything yet.
fn asked(args: &QueryArgs) -> anyhow::Result<Option<Asked>> {
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
        (None, None) => return Ok(None),
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.file.is_none() && !text.is_empty() && text.chars().all(is_name) {
        return Ok(Some(Asked::Named(named::find(&text)?)));
    }
    Ok(Some(Asked::Sql(text)))
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
        if !parameter.values.is_empty() {
            writeln!(out, "      one of {}", parameter.values.join(", ").replace('*', "…"))?;
        }
    }
    writeln!(out, "\n{}", query.sql.trim_end())
}
