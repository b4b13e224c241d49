//! `trailhound policy`

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Int64Array, RecordBatch, StringArray};
use trailhound::lake::Lake;
use trailhound::policy::document::Grants;
use trailhound::policy::{ActionUse, PolicyOptions, permissions};
use trailhound::query::output::Format;

use super::args::{PolicyArgs, PolicyFormat};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, args: PolicyArgs) -> anyhow::Result<ExitStatus> {
    let granted = match &args.granted {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(Grants::read(&text)?)
        }
        None => None,
    };
    let default = if granted.is_some() { PolicyFormat::Table } else { PolicyFormat::Policy };
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let options = PolicyOptions { actor: args.actor, from: args.from, to: args.to, granted, query: settings.query() };
    let found = permissions(&lake, &options).await?;
    for note in &found.notes {
        tracing::info!("{note}");
    }
    let out = &mut std::io::stdout();
    match args.output.unwrap_or(default) {
        PolicyFormat::Policy => writeln!(out, "{:#}", found.policy)?,
        PolicyFormat::Table => super::findings::rows(&rows(&found.actions)?, Format::Table, out).await?,
        PolicyFormat::Json => super::findings::rows(&rows(&found.actions)?, Format::Json, out).await?,
        PolicyFormat::Ndjson => super::findings::rows(&rows(&found.actions)?, Format::Ndjson, out).await?,
        PolicyFormat::Csv => super::findings::rows(&rows(&found.actions)?, Format::Csv, out).await?,
    }
    out.flush()?;
    Ok(ExitStatus::Fine)
}

fn rows(actions: &[ActionUse]) -> anyhow::Result<RecordBatch> {
    let text = |get: fn(&ActionUse) -> Option<&str>| Arc::new(actions.iter().map(get).collect::<StringArray>());
    let events = Arc::new(actions.iter().map(|used| Some(used.events)).collect::<Int64Array>());
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("action", text(|used| Some(&used.action)) as _, true),
        ("events", events as _, true),
        ("first", text(|used| used.first.as_deref()) as _, true),
        ("last", text(|used| used.last.as_deref()) as _, true),
        ("granted_by", text(|used| used.granted_by.as_deref()) as _, true),
        ("verdict", text(|used| Some(used.verdict)) as _, true),
    ])?)
}
