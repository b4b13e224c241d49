//! `trailhound ingest`

use std::io::Write;

use chrono::Utc;
use serde::Serialize;
use trailhound::ingest::{IngestReport, Stop, ingest, replay};
use trailhound::lake::Lake;
use trailhound::source::Source;
use trailhound::verify::{VerifyReport, after_ingest};

use super::args::{IngestArgs, LakeArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(
    settings: &Settings,
    source: Option<String>,
    lake: LakeArgs,
    args: IngestArgs,
) -> anyhow::Result<ExitStatus> {
    let (source, lake) = (settings.source(source)?, settings.lake(lake)?);
    let source = Source::open(&source).await?;
    let lake = Lake::open_or_create(&lake).await?;
    let check = super::verify::check(settings, &args).await?;
    let report = with_progress(settings, &args, &source, &lake).await?;
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
pub async fn replay_rejects(
    settings: &Settings,
    source: Option<String>,
    lake: LakeArgs,
    args: IngestArgs,
) -> anyhow::Result<ExitStatus> {
    let (source, lake) = (settings.source(source)?, settings.lake(lake)?);
    let source = Source::open(&source).await?;
    let lake = Lake::open(&lake).await?;
    let stop = super::signal::stop_on_signal();
    let report = replay(&source, &lake, &settings.ingest(&args), Utc::now(), &stop).await?;
    super::report::write(settings, &report)?;
    print(&report, &mut std::io::stdout().lock())?;
    Ok(if report.is_partial() { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// Ingests with a progress bar on a terminal, and ends after the current commit when asked to.
pub async fn with_progress(
    settings: &Settings,
    args: &IngestArgs,
    source: &Source,
    lake: &Lake,
) -> anyhow::Result<IngestReport> {
    let progress = super::progress::Bar::new();
    let stop = super::signal::stop_on_signal();
    let report = ingest(source, lake, &settings.ingest(args), Utc::now(), &stop, &progress.observer()).await;
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
