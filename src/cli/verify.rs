//! `trailhound verify`

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use chrono::Utc;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use trailhound::cloudtrail::CloudTrail;
use trailhound::digest::signature::{KeyRing, parse_keys};
use trailhound::error::{Error, ErrorKind};
use trailhound::lake::Lake;
use trailhound::query::output::{self, Format};
use trailhound::source::Source;
use trailhound::verify::{Check, KeySource, Problem, VerifyReport, verify};

use super::args::{FindingFormat, IngestArgs, VerifyArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, source: Option<String>, args: VerifyArgs) -> anyhow::Result<ExitStatus> {
    let options = settings.verify(&args)?;
    let keys = keys(settings, &args.read.public_keys).await?;
    let lake = match settings.optional_lake(args.lake.clone()) {
        Some(lake) => Some(Lake::open(&lake).await?),
        None => None,
    };
    let source = Source::open(&settings.source(source)?).await?;
    let stop = super::signal::stop_on_signal();
    let report = verify(&source, &keys, lake.as_ref(), &options, Utc::now(), &stop).await?;
    super::report::write(settings, &report)?;
    print(&report, args.output, &mut std::io::stdout()).await?;
    if report.digests.found == 0 {
        tracing::error!(
            "no digests were found: is log file validation on, and does the source hold CloudTrail-Digest folders?"
        );
    }
    Ok(status(&report))
}

/// All valid, or not; where there was nothing to verify, nothing is.
pub fn status(report: &VerifyReport) -> ExitStatus {
    if report.is_valid() && report.digests.found > 0 { ExitStatus::Fine } else { ExitStatus::Failed }
}

/// Keys of the files that were named, or CloudTrail's API.
async fn keys(settings: &Settings, files: &[PathBuf]) -> anyhow::Result<KeySource> {
    if files.is_empty() {
        return Ok(KeySource::Api(Box::new(CloudTrail::open(&settings.aws).await)));
    }
    let mut ring = KeyRing::default();
    for path in files {
        let text = std::fs::read(path).with_context(|| format!("cannot read the public keys {}", path.display()))?;
        let keys = parse_keys(&text).map_err(|what| {
            Error::new(ErrorKind::Usage, format!("cannot take public keys from {}: {what}", path.display()))
                .hint("write it with `aws cloudtrail list-public-keys --start-time … --end-time …`")
        })?;
        ring.extend(&keys);
    }
    Ok(KeySource::Given(ring))
}

/// What is verified after an ingest, where it was asked for.
pub async fn check(settings: &Settings, args: &IngestArgs) -> anyhow::Result<Option<Check>> {
    if !settings.verifies(args) {
        return Ok(None);
    }
    let keys = keys(settings, &args.read.public_keys).await?;
    Ok(Some(Check { keys, options: settings.verify_after(args)? }))
}

/// The summary and the problems, for people.
pub async fn tell(report: &VerifyReport, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    print(report, FindingFormat::Table, out).await
}

/// The summary and the problems.
async fn print(report: &VerifyReport, format: FindingFormat, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    match format {
        FindingFormat::Table => {
            summary(report, out)?;
            if !report.problems.is_empty() {
                rows(&batch(&report.problems.iter().collect::<Vec<_>>())?, Format::Table, out).await?;
            }
        }
        FindingFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(report)?)?,
        FindingFormat::Ndjson => {
            for problem in &report.problems {
                writeln!(out, "{}", serde_json::to_string(problem)?)?;
            }
        }
        FindingFormat::Csv => rows(&batch(&report.problems.iter().collect::<Vec<_>>())?, Format::Csv, out).await?,
    }
    if report.digests.found == 0 {
        tracing::error!(
            "no digests were found: is log file validation on, and does the source hold CloudTrail-Digest folders?"
        );
    }
    let left_out = report.problem_count() - report.problems.len() as u64;
    if left_out > 0 {
        tracing::warn!("{left_out} more problems are only counted; narrow the time, the account or the region");
    }
    Ok(out.flush()?)
}

/// A summary for people.
fn summary(report: &VerifyReport, out: &mut dyn Write) -> std::io::Result<()> {
    let (digests, logs) = (&report.digests, &report.logs);
    writeln!(out, "chains   {} of {} trails in accounts and regions", report.chains, report.trails)?;
    writeln!(
        out,
        "digests  {} found: {} valid, {} valid before, {} modified, {} unverified; {} missing",
        digests.found, digests.valid, digests.known, digests.invalid, digests.unverified, digests.missing
    )?;
    writeln!(
        out,
        "logs     {} expected: {} valid, {} modified, {} missing, {} unverified; {} late",
        logs.expected, logs.verified, logs.modified, logs.missing, logs.unreadable, logs.late
    )?;
    if !report.hours.is_empty() {
        let hours: Vec<String> = report.hours.iter().map(|(status, count)| format!("{count} {status}")).collect();
        writeln!(out, "lake     {} log files ingested; hours: {}", logs.ingested, hours.join(", "))?;
    }
    for location in &report.elsewhere {
        writeln!(out, "goes on  in another bucket, not followed: {location}")?;
    }
    if report.interrupted {
        writeln!(out, "stopped  on request; run again for the rest")?;
    }
    let kinds: Vec<String> =
        report.problems_by_kind.iter().map(|(kind, count)| format!("{count} {}", kind.as_str())).collect();
    match kinds.is_empty() {
        true => writeln!(out, "problems none"),
        false => writeln!(out, "problems {}", kinds.join(", ")),
    }
}

fn batch(problems: &[&Problem]) -> anyhow::Result<RecordBatch> {
    let text = |get: &dyn Fn(&Problem) -> Option<String>| -> ArrayRef {
        Arc::new(problems.iter().map(|problem| get(problem)).collect::<StringArray>())
    };
    let time = |time: Option<chrono::DateTime<Utc>>| time.map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    Ok(RecordBatch::try_from_iter([
        ("problem", text(&|problem| Some(problem.kind.as_str().to_owned()))),
        ("account", text(&|problem| Some(problem.account.clone()))),
        ("region", text(&|problem| Some(problem.region.clone()))),
        ("trail", text(&|problem| Some(problem.trail.clone()))),
        ("from", text(&|problem| time(problem.from))),
        ("to", text(&|problem| time(problem.to))),
        ("object", text(&|problem| problem.object.clone())),
        ("detail", text(&|problem| Some(problem.detail.clone()))),
    ])?)
}

/// Through the query engine's writers, which make hostile text inert.
async fn rows(batch: &RecordBatch, format: Format, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let stream = futures::stream::iter([Ok(batch.clone())]);
    output::write(Box::pin(RecordBatchStreamAdapter::new(batch.schema(), stream)), format, out).await?;
    Ok(())
}
