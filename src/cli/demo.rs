//! `trailhound demo`: the whole pipeline on an organization that does not exist.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use trailhound::demo::{self, DemoOptions, DemoSummary};
use trailhound::detect::{DetectOptions, detect};
use trailhound::error::{Error, ErrorKind};
use trailhound::finding::Finding;
use trailhound::ingest::{IngestOptions, Stop, ingest};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::source::{Selection, Source, SourceOptions};

use super::args::{DemoArgs, FindingFormat, IngestArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// The logs end here unless another end is asked for, so that the demo is the same today and tomorrow.
fn default_end() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2026, 1, 16).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

/// Runs the command.
pub async fn run(settings: &Settings, args: DemoArgs) -> anyhow::Result<ExitStatus> {
    let end = args.end.unwrap_or_else(default_end);
    let options = DemoOptions { seed: args.seed, days: args.days, end };
    let dir = args.dir.as_path();
    check_empty(dir)?;
    let mut out = std::io::stdout();
    let summary = make(&options, dir).await?;
    introduce(&summary, dir, &mut out)?;
    let (source, lake) = (dir.join("AWSLogs"), dir.join("lake"));
    let lake = take_in(settings, &source, &lake).await?;
    let options =
        DetectOptions { from: Some(end - Duration::days(1)), to: Some(end), ..DetectOptions::new(settings.query()) };
    let report = detect(&lake, &options, end).await?;
    super::report::write(settings, &report)?;
    writeln!(out, "\nfindings of the last day, of {} identities:", report.actor_days)?;
    super::findings::print(&report.findings, FindingFormat::Table, &mut out).await?;
    let file = dir.join("findings.ndjson");
    let mut ndjson = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    super::findings::print(&report.findings, FindingFormat::Ndjson, &mut ndjson).await?;
    compare(&summary, &report.findings, &mut out)?;
    next(dir, &report.findings, &mut out)?;
    Ok(ExitStatus::Fine)
}

fn check_empty(dir: &Path) -> anyhow::Result<()> {
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::new(ErrorKind::Usage, format!("{} is not empty", dir.display()))
            .hint("remove it, or name another folder with --dir")
            .into());
    }
    Ok(())
}

async fn make(options: &DemoOptions, dir: &Path) -> anyhow::Result<DemoSummary> {
    let (options, dir) = (*options, dir.to_owned());
    Ok(tokio::task::spawn_blocking(move || demo::write(&options, &dir)).await??)
}

fn introduce(summary: &DemoSummary, dir: &Path, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "made     organization {} with {} accounts, {} to {}, in {}",
        summary.organization,
        summary.accounts.len(),
        summary.from.format("%F"),
        summary.to.format("%F"),
        dir.display()
    )?;
    writeln!(
        out,
        "         {} records in {} objects; {} attacks, told in {}",
        summary.records,
        summary.objects,
        summary.attacks.len(),
        dir.join(demo::TRUTH_FILE).display()
    )
}

async fn take_in(settings: &Settings, source: &Path, lake: &Path) -> anyhow::Result<Lake> {
    let location = |path: &Path| path.to_string_lossy().into_owned();
    let source = Source::open(&SourceOptions { location: location(source), ..SourceOptions::default() }).await?;
    let lake = Lake::open_or_create(&LakeOptions { location: location(lake), ..LakeOptions::default() }).await?;
    // all of the synthetic logs, whatever the configuration file selects of the real ones
    let selection = Selection::default();
    let options = IngestOptions { selection, ..settings.ingest(&IngestArgs::default())? };
    let progress = super::progress::Bar::new();
    let report = ingest(&source, &lake, &options, Utc::now(), &Stop::default(), &progress.observer()).await;
    progress.finish();
    super::ingest::print(&report?, &mut std::io::stdout())?;
    Ok(lake)
}

/// Holds the findings against the truth, which only a synthetic organization has.
fn compare(summary: &DemoSummary, findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "\nattacks and the finding that tells of them:")?;
    for attack in &summary.attacks {
        let found =
            findings.iter().position(|finding| finding.event_ids.iter().any(|id| attack.event_ids.contains(id)));
        let told = found.map_or_else(|| "missed".to_owned(), |place| format!("found, finding {}", place + 1));
        writeln!(out, "  {:34} {:>4} events  {told}", attack.name, attack.event_ids.len())?;
    }
    Ok(())
}

fn next(dir: &Path, findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    let lake = dir.join("lake");
    let lake = lake.display();
    let actor = findings.first().map_or("%", |finding| finding.actor.as_str());
    writeln!(out, "\nTry next:")?;
    writeln!(out, "  trailhound query --lake {lake} actor-timeline --param actor='{actor}'")?;
    writeln!(
        out,
        "  trailhound query --lake {lake} \"SELECT eventName, outcome, count(*) FROM events GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10\""
    )?;
    writeln!(out, "  trailhound query --lake {lake} latest-findings -o ndjson")
}
