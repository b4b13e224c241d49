//! `trailhound ingest`

use std::io::Write;

use chrono::Utc;
use serde::Serialize;
use trailhound::ingest::{IngestOptions, IngestReport, Stop, Until, ingest, ingest_queue, replay};
use trailhound::lake::Lake;
use trailhound::source::{Queue, Source};
use trailhound::verify::{VerifyReport, after_ingest};

use super::args::{DryArgs, IngestArgs, LakeArgs, PeriodArgs, QueueArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// What the command was given.
pub struct Args {
    pub source: Option<String>,
    pub lake: LakeArgs,
    pub ingest: IngestArgs,
    pub period: PeriodArgs,
    pub queue: QueueArgs,
    pub dry: DryArgs,
}

/// Runs the command.
pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<ExitStatus> {
    let mut options = settings.ingest(&args.ingest)?;
    (options.selection.from, options.selection.to) = (args.period.from, args.period.to);
    if args.dry.dry_run {
        return super::dry::run(settings, args, &options).await;
    }
    let check = super::verify::check(settings, &args.ingest).await?;
    let queue = settings.queue(&args.queue)?;
    let source = match settings.optional_source(args.source) {
        // what is verified is found by listing
        None if queue.is_some() && check.is_none() => Source::anywhere(&settings.aws).await,
        named => Source::open(&settings.source(named.map(|source| source.location))?).await?,
    };
    let lake = settings.lake(args.lake)?;
    let queue = match queue {
        Some((url, until)) => Some((Queue::open(&url, &settings.aws).await?, until)),
        None => None,
    };
    let lake = Lake::open_or_create(&lake).await?;
    let report = match &queue {
        Some((queue, until)) => from_queue(queue, *until, &source, &lake, &options).await?,
        None => with_progress(&options, &source, &lake).await?,
    };
    print(&report, &mut std::io::stdout().lock())?;
    let Some(check) = check else {
        super::report::write(settings, &report)?;
        return Ok(if report.is_partial() { ExitStatus::Failed } else { ExitStatus::Fine });
    };
    let verified = after_ingest(&source, &lake, &check, Utc::now(), &Stop::default()).await;
    super::report::write(settings, &Report { ingest: &report, verify: verified.as_ref().ok() })?;
    let verified = verified?;
    super::verify::tell(&verified, &mut std::io::stdout()).await?;
    let partial = report.is_partial() || super::verify::status(&verified) != ExitStatus::Fine;
    Ok(if partial { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// The accounts of an ingest that was verified.
#[derive(Serialize)]
struct Report<'r> {
    #[serde(flatten)]
    ingest: &'r IngestReport,
    verify: Option<&'r VerifyReport>,
}

/// Runs the command with `--replay-rejects`.
pub async fn replay_rejects(settings: &Settings, args: Args) -> anyhow::Result<ExitStatus> {
    let (source, lake) = (settings.source(args.source)?, settings.lake(args.lake)?);
    let source = Source::open(&source).await?;
    let lake = Lake::open(&lake).await?;
    let stop = super::signal::stop_on_signal();
    let report = replay(&source, &lake, &settings.ingest(&args.ingest)?, Utc::now(), &stop).await?;
    super::report::write(settings, &report)?;
    print(&report, &mut std::io::stdout().lock())?;
    Ok(if report.is_partial() { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// Ingests what a queue tells of, and ends when asked to.
async fn from_queue(
    queue: &Queue,
    until: Until,
    source: &Source,
    lake: &Lake,
    options: &IngestOptions,
) -> anyhow::Result<IngestReport> {
    let stop = super::signal::stop_on_signal();
    let progress = super::progress::Bar::new();
    let observer = progress.observer();
    let report = ingest_queue(queue, until, source, lake, options, Utc::now(), &stop, &observer).await;
    progress.finish();
    Ok(report?)
}

/// Ingests with a progress bar on a terminal, and ends after the current commit when asked to.
pub async fn with_progress(options: &IngestOptions, source: &Source, lake: &Lake) -> anyhow::Result<IngestReport> {
    let progress = super::progress::Bar::new();
    let stop = super::signal::stop_on_signal();
    let report = ingest(source, lake, options, Utc::now(), &stop, &progress.observer()).await;
    progress.finish();
    Ok(report?)
}

/// A summary for people.
pub fn print(report: &IngestReport, out: &mut dyn Write) -> std::io::Result<()> {
    let objects = &report.objects;
    if let Some(replay) = &report.replay {
        writeln!(out, "rejects  {} open, {} resolved, {} left", replay.open, replay.resolved, replay.left)?;
    }
    writeln!(
        out,
        "objects  {} found, {} known, {} read, {} rejected, {} failed",
        objects.listed, objects.known, objects.read, objects.rejected, objects.failed
    )?;
    if objects.quarantined + objects.in_quarantine > 0 {
        writeln!(
            out,
            "given up {} objects now, {} before: in quarantine until --retry-quarantined",
            objects.quarantined, objects.in_quarantine
        )?;
    }
    for (kind, count) in &objects.skipped {
        writeln!(out, "skipped  {count} {kind:?}")?;
    }
    for (folder, count) in &objects.left_out {
        writeln!(out, "skipped  {count} folders {folder}")?;
    }
    if objects.filtered > 0 {
        writeln!(out, "skipped  {} by the filters", objects.filtered)?;
    }
    match &report.queue {
        None => writeln!(out, "listing  {} requests", report.list_requests)?,
        Some(queue) => {
            let left = queue.poison + queue.refused + queue.failed;
            writeln!(out, "messages {} received, {} deleted, {left} left", queue.received, queue.deleted)?;
        }
    }
    writeln!(
        out,
        "records  {} seen -> {} rows, {} duplicates, {} rejects",
        report.records, report.rows, report.duplicates, report.rejects
    )?;
    for (reason, count) in &report.rejects_by_reason {
        writeln!(out, "rejects  {count} {reason}")?;
    }
    writeln!(
        out,
        "bytes    {} stored, {} of JSON, {} of Parquet in {} commits",
        report.bytes.stored, report.bytes.json, report.bytes.written, report.commits
    )?;
    if report.interrupted {
        writeln!(out, "stopped  on request; run again for the rest")?;
    }
    Ok(())
}
