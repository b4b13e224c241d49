//! The shell: `trailhound query` without SQL.
//!
//! Owns: the loop, its settings (format, timing), its commands that begin with a backslash, and where its history is.
//! Refuses: knowing SQL; what may run is decided by the session that it is given.
//! Invariant: nothing that a query does ends the shell: an error is told, Ctrl-C stops the query and not the shell.

mod command;
mod complete;
mod pager;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use datafusion::prelude::SessionContext;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use trailhound::error::{Error, ErrorKind};
use trailhound::query::output::{self, Format};
use trailhound::query::{self, dialect, functions, named};

use super::exit::ExitStatus;
use command::Command;
use complete::Words;

/// Statements that the history keeps.
const HISTORY: usize = 10_000;

/// What a shell is started with.
pub struct Shell {
    pub ctx: SessionContext,
    pub lake: String,
    pub format: Format,
    pub timeout: Option<Duration>,
    pub history: Option<PathBuf>,
}

/// What the user may change.
struct Look {
    format: Format,
    timing: bool,
}

/// Where the history is: `$XDG_STATE_HOME/trailhound`, or `~/.local/state/trailhound`.
pub fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))?;
    Some(state.join("trailhound/history"))
}

/// Runs the shell until it is left.
pub async fn run(shell: Shell) -> anyhow::Result<ExitStatus> {
    let words = Words::of(&shell.ctx);
    words.learn_events(shell.ctx.clone());
    let mut editor = editor(words)?;
    if let Some(path) = &shell.history {
        // a first start has none
        let _ = editor.load_history(path);
    }
    eprintln!("{}; a statement ends in ;  \\? tells the commands, \\q leaves", output::visible(&shell.lake));
    let mut look = Look { format: shell.format, timing: false };
    loop {
        // a line is waited for in this thread, which serves nothing else
        match tokio::task::block_in_place(|| editor.readline("trailhound> ")) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                let _ = editor.add_history_entry(text.trim());
                if enter(&shell, &mut look, &text).await == Next::Leave {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(path) = &shell.history {
        save(&mut editor, path);
    }
    Ok(ExitStatus::Fine)
}

/// A part of a text that nobody types.
enum Part<'t> {
    Statements(String),
    /// A line that begins with a backslash, where no statement is unfinished.
    Command(&'t str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut sql) = (Vec::new(), String::new());
    for line in text.lines() {
        let may_begin = sql.trim_end().is_empty() || sql.trim_end().ends_with(';');
        if may_begin && line.trim_start().starts_with('\\') {
            parts.extend([Part::Statements(std::mem::take(&mut sql)), Part::Command(line)]);
        } else {
            sql.extend([line, "\n"]);
        }
    }
    parts.push(Part::Statements(sql));
    parts
}

/// Whether a text that nobody types has commands of the shell in it.
pub fn is_script(text: &str) -> bool {
    parts(text).iter().any(|part| matches!(part, Part::Command(_)))
}

/// Runs statements and commands from a file or a pipe; the first that fails ends it.
pub async fn script(shell: Shell, text: &str) -> anyhow::Result<ExitStatus> {
    let mut look = Look { format: shell.format, timing: false };
    for part in parts(text) {
        let command = match part {
            Part::Statements(sql) => {
                statements(&shell, &look, &sql).await?;
                continue;
            }
            Part::Command(line) => Command::parse(line).transpose()?,
        };
        match command {
            Some(Command::Quit) => break,
            Some(command) => obey(&shell, &mut look, command).await?,
            None => {}
        }
    }
    Ok(ExitStatus::Fine)
}

fn editor(words: Words) -> anyhow::Result<Editor<Words, FileHistory>> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(rustyline::CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(words));
    Ok(editor)
}

/// A history that cannot be kept is told and is no failure.
fn save(editor: &mut Editor<Words, FileHistory>, path: &std::path::Path) {
    let saved = path.parent().map_or(Ok(()), private_folder).map_err(ReadlineError::from);
    if let Err(error) = saved.and_then(|()| editor.save_history(path)) {
        tracing::warn!("cannot keep the history in {}: {error}", path.display());
    }
}

/// Queries name accounts and keys: others need not read them.
fn private_folder(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether the shell goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

async fn enter(shell: &Shell, look: &mut Look, text: &str) -> Next {
    let result = match Command::parse(text) {
        Some(Ok(Command::Quit)) => return Next::Leave,
        Some(Ok(command)) => obey(shell, look, command).await,
        Some(Err(error)) => Err(error.into()),
        None => statements(shell, look, text).await,
    };
    if let Err(error) = result {
        eprintln!("{error:#}");
    }
    Next::GoOn
}

async fn statements(shell: &Shell, look: &Look, text: &str) -> anyhow::Result<()> {
    for sql in dialect::statements(text) {
        show(shell, look, Asked::Sql(sql)).await?;
    }
    Ok(())
}

async fn obey(shell: &Shell, look: &mut Look, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Quit => {}
        Command::Help => println!("{}", command::HELP),
        Command::Tables => return show(shell, look, Asked::Sql(command::TABLES)).await,
        Command::Describe(table) => return show(shell, look, Asked::Sql(&format!("DESCRIBE {table}"))).await,
        Command::Functions(part) => list_functions(&shell.ctx, &part, look)?,
        Command::Timing => {
            look.timing = !look.timing;
            eprintln!("timing is {}", if look.timing { "on" } else { "off" });
        }
        Command::Format(format) => look.format = format,
        Command::Expanded => {
            look.format = if look.format == Format::Vertical { Format::Table } else { Format::Vertical };
            eprintln!("the format is {}", look.format);
        }
        Command::Explain(sql) => return show(shell, look, Asked::Explained(&sql)).await,
        Command::NamedQueries => list_queries()?,
        Command::Named(name, given) => return show(shell, look, Asked::Named(named::find(&name)?, &given)).await,
    }
    Ok(())
}

fn list_functions(ctx: &SessionContext, part: &str, look: &Look) -> anyhow::Result<()> {
    let found = functions::catalogue(ctx).into_iter().filter(|function| function.name.contains(part));
    let lines =
        found.map(|function| format!("{}  [{}]  {}", function.syntax, function.origin.as_str(), function.about));
    paged(look, lines.collect::<Vec<_>>())
}

fn list_queries() -> anyhow::Result<()> {
    let width = named::all().iter().map(|query| query.name.len()).max().unwrap_or_default();
    let lines = named::all().iter().map(|query| format!("{:width$}  {}", query.name, query.title));
    paged(&Look { format: Format::Table, timing: false }, lines.collect())
}

fn paged(look: &Look, lines: Vec<String>) -> anyhow::Result<()> {
    let mut out = pager::open(look.format)?;
    for line in lines {
        if let Err(error) = writeln!(out, "{line}") {
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                break;
            }
            return Err(error.into());
        }
    }
    out.close();
    Ok(())
}

/// What is to be shown.
enum Asked<'a> {
    Sql(&'a str),
    Explained(&'a str),
    Named(&'static named::NamedQuery, &'a [(String, String)]),
}

async fn show(shell: &Shell, look: &Look, asked: Asked<'_>) -> anyhow::Result<()> {
    let started = Instant::now();
    let work = super::query::limited(shell.timeout, answer(&shell.ctx, look, asked));
    tokio::select! {
        rows = work => {
            let rows = rows?;
            if look.timing {
                eprintln!("{rows} rows, {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
            }
            Ok(())
        }
        _ = tokio::signal::ctrl_c() => Err(Error::new(ErrorKind::Usage, "the query is stopped").into()),
    }
}

async fn answer(ctx: &SessionContext, look: &Look, asked: Asked<'_>) -> anyhow::Result<u64> {
    let stream = match asked {
        Asked::Sql(sql) => query::execute(ctx, sql).await?,
        Asked::Named(named, given) => named::execute(ctx, named, given).await?,
        Asked::Explained(sql) => {
            query::explain(ctx, sql).await?.iter().for_each(|sentence| println!("{sentence}"));
            return Ok(0);
        }
    };
    if look.format.is_binary() && std::io::stdout().is_terminal() {
        return Err(Error::new(ErrorKind::Usage, "parquet is not for a terminal")
            .hint("\\o table, json, ndjson or csv")
            .into());
    }
    let mut out = pager::open(look.format)?;
    let summary = output::write(stream, look.format, &mut out).await;
    out.close();
    let summary = summary?;
    if summary.left_out > 0 {
        eprintln!("{} more rows are not shown; \\o ndjson or csv shows all", summary.left_out);
    }
    Ok(summary.rows + summary.left_out)
}
