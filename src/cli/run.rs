//! `trailhound run`

use std::io::Write;

use chrono::Utc;
use trailhound::lake::Lake;
use trailhound::maintain::MaintainReport;
use trailhound::run::{RunOptions, RunReport, run as run_once};
use trailhound::sink::Sink;
use trailhound::source::Source;

use super::args::{DetectArgs, FindingFormat, IngestArgs, LakeArgs, MaintenanceArgs, PublishArgs};
use super::exit::ExitStatus;
use super::publish::Destination;
use super::settings::Settings;

/// What the command was given.
pub struct RunArgs {
    pub source: Option<String>,
    pub lake: LakeArgs,
    pub ingest: IngestArgs,
    pub detect: DetectArgs,
    pub publish: PublishArgs,
    pub maintenance: MaintenanceArgs,
}

/// Runs the command.
pub async fn run(settings: &Settings, args: RunArgs) -> anyhow::Result<ExitStatus> {
    let (source, lake) = (settings.source(args.source)?, settings.lake(args.lake)?);
    let destinations = super::publish::destinations(settings, &args.publish)?;
    let source = Source::open(&source).await?;
    let lake = Lake::open_or_create(&lake).await?;
    let options = RunOptions {
        ingest: settings.ingest(&args.ingest)?,
        verify: super::verify::check(settings, &args.ingest).await?,
        detect: settings.detect(&args.detect),
        publish: settings.publish(&args.publish),
        maintain: settings.maintain(&args.maintenance),
    };
    let (sinks, unreachable) = connect(destinations).await;
    let stop = super::signal::stop_on_signal();
    let progress = super::progress::Bar::new();
    let report = run_once(&source, &lake, &sinks, &options, Utc::now(), &stop, &progress.observer()).await;
    progress.finish();
    let mut report = report?;
    report.failures.extend(unreachable);
    super::report::write(settings, &report)?;
    print(&report).await?;
    if report.is_partial() {
        return Ok(ExitStatus::Failed);
    }
    let findings = report.detect.iter().flat_map(|detected| &detected.findings);
    Ok(super::detect::status(findings, args.detect.fail_on))
}

/// A destination that is out of reach must not keep the lake from being brought up to date: it is told of at the end,
/// and the next run sends what this one could not.
async fn connect(destinations: Vec<Destination>) -> (Vec<Sink>, Vec<String>) {
    let (mut sinks, mut failures) = (Vec::new(), Vec::new());
    for destination in destinations {
        match destination.connect().await {
            Ok(sink) => sinks.push(sink),
            Err(error) => failures.push(format!("publish: {error}")),
        }
    }
    (sinks, failures)
}

async fn print(report: &RunReport) -> anyhow::Result<()> {
    for failure in &report.failures {
        tracing::error!("{failure}");
    }
    let mut out = std::io::stdout();
    if let Some(ingested) = &report.ingest {
        super::ingest::print(ingested, &mut out)?;
    }
    if let Some(verified) = &report.verify {
        super::verify::tell(verified, &mut out).await?;
    }
    if let Some(detected) = &report.detect {
        super::detect::tell(detected);
        super::findings::print(&detected.findings, FindingFormat::Table, &mut out).await?;
    }
    super::publish::print(&report.publish, &mut out)?;
    if let Some(maintained) = &report.maintain {
        print_maintained(maintained, &mut out)?;
    }
    Ok(())
}

/// Only what there was to do.
fn print_maintained(report: &MaintainReport, out: &mut dyn Write) -> std::io::Result<()> {
    if let Some(retained) = &report.retain {
        super::lake::print_retained(retained, out)?;
    }
    if let Some(optimized) = &report.optimize {
        super::lake::print_optimized(optimized, out)?;
    }
    if let Some(vacuumed) = report.vacuum.as_ref().filter(|report| report.tables.iter().any(|table| table.bytes > 0)) {
        super::lake::print_vacuumed(vacuumed, out)?;
    }
    Ok(())
}
