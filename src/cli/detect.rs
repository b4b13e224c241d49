//! `trailhound detect`

use chrono::Utc;
use trailhound::detect::{DetectReport, detect};
use trailhound::finding::{Finding, SeverityBand};
use trailhound::lake::Lake;
use trailhound::train;

use super::args::{DetectArgs, FindingFormat, LakeArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(
    settings: &Settings,
    lake: LakeArgs,
    args: DetectArgs,
    format: FindingFormat,
) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    let report = detect(&lake, &settings.detect(&args), Utc::now()).await?;
    super::report::write(settings, &report)?;
    tell(&report);
    super::findings::print(&report.findings, format, &mut std::io::stdout()).await?;
    match report.failures.is_empty() {
        true => Ok(status(&report.findings, args.fail_on)),
        false => Ok(ExitStatus::Failed),
    }
}

/// Brings the baselines up to date.
pub async fn train(settings: &Settings, lake: LakeArgs, anew: bool) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    let (query, now) = (settings.query(), Utc::now());
    let report = match anew {
        true => train::train_anew(&lake, &query, now).await?,
        false => train::train(&lake, &query, now).await?,
    };
    super::report::write(settings, &report)?;
    tracing::info!(
        "{} of {} dates counted anew, from {} events",
        report.dates_updated,
        report.dates,
        report.events_read
    );
    Ok(ExitStatus::Fine)
}

/// Says what was looked at: no findings means little where there were no events, or no past to compare with.
pub fn tell(report: &DetectReport) {
    match (report.from, report.to) {
        (Some(from), Some(to)) => tracing::info!(
            "scored {} actor-days from {} to {} against {} days of past: {} findings from {:.1} bits on, {} suppressed",
            report.actor_days,
            from.format("%FT%TZ"),
            to.format("%FT%TZ"),
            report.baseline_days,
            report.findings.len(),
            report.threshold,
            report.suppressed
        ),
        _ => tracing::warn!("the lake has no events in that time; nothing was scored"),
    }
}

/// The exit status that findings lead to.
pub fn status<'f>(findings: impl IntoIterator<Item = &'f Finding>, fail_on: Option<SeverityBand>) -> ExitStatus {
    let Some(band) = fail_on else { return ExitStatus::Fine };
    let mut findings = findings.into_iter();
    if findings.any(|finding| finding.severity_label >= band) { ExitStatus::Findings } else { ExitStatus::Fine }
}
