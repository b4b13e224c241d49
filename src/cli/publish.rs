//! `trailhound publish`

use std::io::Write;

use chrono::Utc;
use trailhound::error::{Error, ErrorKind, Result};
use trailhound::lake::Lake;
use trailhound::publish::{PublishReport, publish};
use trailhound::sink::{FileMode, FileOptions, FileSink, Shape, Sink, SnsOptions, SnsSink};

use super::args::{LakeArgs, PublishArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, lake: LakeArgs, args: PublishArgs) -> anyhow::Result<ExitStatus> {
    let lake = settings.lake(lake)?;
    let destinations = destinations(settings, &args)?;
    if destinations.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "nowhere to publish to")
            .hint("add --sns-topic-arn ARN or --findings-file FILE")
            .into());
    }
    let lake = Lake::open(&lake).await?;
    let mut reports = Vec::new();
    for destination in destinations {
        let sink = destination.connect().await?;
        reports.push(publish(&lake, &sink, &settings.publish(&args), Utc::now()).await?);
    }
    super::report::write(settings, &reports)?;
    print(&reports, &mut std::io::stdout())?;
    let failed = reports.iter().any(|report| !report.failed.is_empty());
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Fine })
}

/// Where findings are to go, before anything is asked there.
pub enum Destination {
    Sns(SnsOptions),
    File(FileOptions),
}

impl Destination {
    /// Makes the sink; a topic is asked how large its messages may be.
    pub async fn connect(self) -> Result<Sink> {
        Ok(match self {
            Self::Sns(options) => Sink::Sns(SnsSink::connect(options).await?),
            Self::File(options) => Sink::File(FileSink::open(options)?),
        })
    }
}

/// The destinations that are asked for.
///
/// # Errors
/// `Usage` where an ARN is malformed.
pub fn destinations(settings: &Settings, args: &PublishArgs) -> Result<Vec<Destination>> {
    let mut destinations = Vec::new();
    if let Some(arn) = settings.sns_topic_arn(args) {
        let (topic, aws) = (arn.parse()?, settings.aws.clone());
        let shape = args.shape.unwrap_or(Shape::Event);
        destinations.push(Destination::Sns(SnsOptions { topic, aws, shape }));
    }
    if let Some(path) = args.findings_file.clone() {
        let shape = args.shape.unwrap_or(Shape::Native);
        destinations.push(Destination::File(FileOptions { path, mode: FileMode::Append, shape }));
    }
    Ok(destinations)
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
