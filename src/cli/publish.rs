//! `trailhound publish`

use std::io::Write;

use chrono::Utc;
use trailhound::error::{Error, ErrorKind};
use trailhound::lake::Lake;
use trailhound::publish::{PublishReport, publish};
use trailhound::sink::{FileMode, FileOptions, FileSink, Shape, Sink, SnsOptions, SnsSink};

use super::args::{LakeArgs, PublishArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, lake: LakeArgs, args: PublishArgs) -> anyhow::Result<ExitStatus> {
    let lake = settings.lake(lake)?;
    let sinks = sinks(settings, &args).await?;
    if sinks.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "nowhere to publish to")
            .hint("add --sns-topic-arn ARN or --findings-file FILE")
            .into());
    }
    let lake = Lake::open(&lake).await?;
    let mut reports = Vec::new();
    for sink in &sinks {
        reports.push(publish(&lake, sink, &settings.publish(&args), Utc::now()).await?);
    }
    super::report::write(settings, &reports)?;
    print(&reports, &mut std::io::stdout())?;
    let failed = reports.iter().any(|report| !report.failed.is_empty());
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// The sinks that are asked for.
pub async fn sinks(settings: &Settings, args: &PublishArgs) -> anyhow::Result<Vec<Sink>> {
    let mut sinks = Vec::new();
    if let Some(arn) = settings.sns_topic_arn(args) {
        let (topic, aws) = (arn.parse()?, settings.aws.clone());
        let shape = args.shape.unwrap_or(Shape::Event);
        sinks.push(Sink::Sns(SnsSink::connect(SnsOptions { topic, aws, shape }).await?));
    }
    if let Some(path) = args.findings_file.clone() {
        let shape = args.shape.unwrap_or(Shape::Native);
        sinks.push(Sink::File(FileSink::open(FileOptions { path, mode: FileMode::Append, shape })?));
    }
    Ok(sinks)
}

/// A summary for people.
pub fn print(reports: &[PublishReport], out: &mut dyn Write) -> std::io::Result<()> {
    for report in reports {
        writeln!(
            out,
            "published  {} new or changed, {} unchanged, {} shortened, {} failed -> {}",
            report.sent,
            report.unchanged,
            report.shortened,
            report.failed.len(),
            report.destination
        )?;
        for failed in &report.failed {
            tracing::warn!("finding {} was not sent: {}; the next run sends it", failed.id, failed.reason);
        }
    }
    Ok(())
}
