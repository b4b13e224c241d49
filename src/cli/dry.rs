//! `trailhound ingest --dry-run`

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use chrono::Utc;
use trailhound::error::ErrorKind;
use trailhound::ingest::{DryRun, IngestOptions, Share, dry_run};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::query::output::Format;
use trailhound::source::Source;

use super::args::FindingFormat;
use super::exit::ExitStatus;
use super::findings;
use super::ingest::Args;
use super::settings::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, args: Args, options: &IngestOptions) -> anyhow::Result<ExitStatus> {
    let source = Source::open(&settings.source(args.source)?).await?;
    let lake = existing(settings.optional_lake(args.lake)).await?;
    let found = dry_run(&source, lake.as_ref(), options, Utc::now()).await?;
    super::report::write(settings, &found)?;
    print(&found, args.dry.output, &mut std::io::stdout()).await?;
    Ok(if found.is_partial() { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// A lake that is not there yet knows nothing, and is not made.
async fn existing(options: Option<LakeOptions>) -> anyhow::Result<Option<Lake>> {
    let Some(options) = options else { return Ok(None) };
    match Lake::open(&options).await {
        Ok(lake) => Ok(Some(lake)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The table ends with the total; the forms for programs have the rows alone, or (JSON) everything.
async fn print(found: &DryRun, format: FindingFormat, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    match format {
        FindingFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(found)?)?,
        FindingFormat::Ndjson => {
            for share in &found.shares {
                writeln!(out, "{}", serde_json::to_string(share)?)?;
            }
        }
        FindingFormat::Csv => findings::rows(&batch(found.shares.iter())?, Format::Csv, out).await?,
        FindingFormat::Table => {
            let total = Share { account: Some("total".to_owned()), ..found.total.clone() };
            findings::rows(&batch(found.shares.iter().chain([&total]))?, Format::Table, out).await?;
            summary(found, out)?;
        }
    }
    Ok(out.flush()?)
}

fn summary(found: &DryRun, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let objects = &found.objects;
    writeln!(out, "{} objects found, {} known; {} list requests", objects.listed, objects.known, found.list_requests)
}

fn batch<'s>(shares: impl Iterator<Item = &'s Share>) -> anyhow::Result<RecordBatch> {
    let shares: Vec<&Share> = shares.collect();
    let texts = |get: fn(&Share) -> Option<&str>| -> ArrayRef {
        Arc::new(shares.iter().map(|share| get(share)).collect::<StringArray>())
    };
    let numbers = |get: fn(&Share) -> u64| -> ArrayRef {
        Arc::new(shares.iter().map(|share| i64::try_from(get(share)).ok()).collect::<Int64Array>())
    };
    Ok(RecordBatch::try_from_iter([
        ("account", texts(|share| share.account.as_deref())),
        ("region", texts(|share| share.region.as_deref())),
        ("objects", numbers(|share| share.objects)),
        ("bytes", numbers(|share| share.bytes)),
        ("requests", numbers(|share| share.requests)),
    ])?)
}
