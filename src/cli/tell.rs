//! `trailhound explain`, `baseline` and `backtest`: the detector's numbers in words.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use chrono::{Days, NaiveDate, NaiveTime, Utc};
use trailhound::detect::baseline::{self, ValueUse};
use trailhound::detect::signal::Signal;
use trailhound::detect::{Bar, DetectOptions, DetectReport, find, findings};
use trailhound::error::{Error, ErrorKind};
use trailhound::finding::{ChainStep, Completeness, Factor, Finding, Rarity, Scope, SourceNetwork};
use trailhound::inert::{Breaks, push_visible};
use trailhound::lake::Lake;
use trailhound::query::output::Format;

use super::args::{BacktestArgs, ExplainArgs, LakeArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Prints a finding with every number.
pub async fn explain(settings: &Settings, args: ExplainArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let finding = super::govern::find(settings, &lake, &args.finding).await?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&finding)?)?;
    } else {
        head(&finding, &mut out)?;
        super::findings::rows(&factors(&finding.factors)?, Format::Table, &mut out).await?;
        foot(&finding, &mut out)?;
    }
    match args.replay {
        true => replay(settings, &lake, &finding, &mut out).await,
        false => Ok(ExitStatus::Fine),
    }
}

fn visible(text: &str) -> String {
    let mut out = String::new();
    push_visible(text, Breaks::Shown, &mut out);
    out
}

fn head(finding: &Finding, out: &mut dyn Write) -> std::io::Result<()> {
    let Finding { baseline, .. } = finding;
    writeln!(out, "{}", visible(&finding.title))?;
    writeln!(
        out,
        "{}, severity {:.1} ({}), {:.1} bits",
        finding.finding_type, finding.severity, finding.severity_label, finding.score
    )?;
    writeln!(out, "actor     {}", visible(&finding.actor))?;
    writeln!(
        out,
        "account   {}, region {}",
        others(&finding.account, &finding.accounts),
        others(&finding.region, &finding.regions)
    )?;
    writeln!(out, "events    {}, {} to {}", finding.count, finding.first_seen, finding.last_seen)?;
    lines("sources", &sources(finding), out)?;
    lines("agents", &finding.user_agents.iter().map(|agent| visible(agent)).collect::<Vec<_>>(), out)?;
    lines("session", &finding.chain.iter().map(step).collect::<Vec<_>>(), out)?;
    writeln!(
        out,
        "baseline  {} days of the lake, {} days and {} events of the actor, all before {}; model {}",
        baseline.days,
        baseline.actor_days,
        baseline.actor_events,
        baseline.to.format("%F"),
        baseline.model_version
    )?;
    let Completeness { status, hours, complete } = finding.completeness;
    writeln!(out, "complete  {}: {complete} of {hours} hours by CloudTrail's digests", status.as_str())?;
    if baseline.days < 7 {
        writeln!(out, "          less than a week is known: trust the score accordingly")?;
    }
    writeln!(out)
}

/// Lines of one kind that are shown; the JSON has all.
const SHOWN: usize = 8;

/// The first lines under one word.
fn lines(word: &str, all: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    for (number, line) in all.iter().take(SHOWN).enumerate() {
        writeln!(out, "{:9} {line}", if number == 0 { word } else { "" })?;
    }
    match all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => writeln!(out, "          and {more} more (--json)"),
        None => Ok(()),
    }
}

/// The main one, and how many others.
fn others(main: &str, all: &[String]) -> String {
    let main = if main.is_empty() { "(all)".to_owned() } else { visible(main) };
    let rest: Vec<String> = all.iter().map(|other| visible(other)).filter(|other| *other != main).collect();
    if rest.is_empty() { main } else { format!("{main} (and {})", rest.join(", ")) }
}

/// Each address with what is known of it.
fn sources(finding: &Finding) -> Vec<String> {
    let known = |network: &SourceNetwork| {
        let asn = network.asn.map(|asn| format!("AS{asn}"));
        let list = network.list.as_ref().map(|list| format!("on the {list} list"));
        let parts = [network.kind.clone(), network.country.clone(), asn, network.org.clone(), list];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        visible(&format!("{} ({})", network.address, parts.join(", ")))
    };
    finding.networks.iter().map(known).collect()
}

fn step(step: &ChainStep) -> String {
    let with = step.made_with.as_deref().map_or_else(String::new, |key| format!(" with {key}"));
    let time = step.time.format("%FT%TZ");
    visible(&format!("{} by {} of {}{with}, {time}", step.access_key_id, step.call, step.made_by))
}

fn foot(finding: &Finding, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "\nnext      {}", finding.next_steps.advice)?;
    for call in &finding.next_steps.containment {
        writeln!(out, "          contain: {call}")?;
    }
    writeln!(out)?;
    lines("events", &finding.event_ids.iter().map(|id| visible(id)).collect::<Vec<_>>(), out)?;
    writeln!(out, "SQL       {}", visible(&finding.sql))
}

fn factors(factors: &[Factor]) -> anyhow::Result<RecordBatch> {
    let text = |of: &dyn Fn(&Factor) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(factors.iter().map(of)))
    };
    let seen = |factor: &Factor, scope: Scope| {
        let found = factor.rarity.iter().find(|rarity| rarity.scope == scope);
        let words = |Rarity { seen, of, frequency, .. }: &Rarity| format!("{seen:.1} of {of} {}", frequency.as_str());
        found.map_or_else(String::new, words)
    };
    Ok(RecordBatch::try_from_iter([
        ("share", text(&|factor| format!("{:.0} %", factor.contribution * 100.0))),
        ("factor", text(&|factor| factor.feature.clone())),
        ("observed", text(&|factor| factor.observed.clone())),
        ("bits", text(&|factor| format!("{:.1}", factor.bits))),
        ("actor's days", text(&|factor| seen(factor, Scope::Actor))),
        ("peers", text(&|factor| seen(factor, Scope::Peers))),
        ("account", text(&|factor| seen(factor, Scope::Account))),
        ("organization", text(&|factor| seen(factor, Scope::Organization))),
        ("expected", text(&|factor| if factor.rarity.is_empty() { factor.expected.clone() } else { String::new() })),
    ])?)
}

/// Scores the finding's day again.
async fn replay(
    settings: &Settings,
    lake: &Lake,
    finding: &Finding,
    out: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let day = finding.baseline.to.date_naive();
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    let mut options = DetectOptions::new(settings.query());
    options.from = Some(midnight);
    options.to = midnight.checked_add_days(Days::new(1));
    options.bar = Bar::Score(0.0);
    let report = find(lake, &options, Utc::now()).await?;
    let again = report.findings.iter().find(|other| other.id == finding.id);
    match again {
        Some(again) if is_same(again, finding) => {
            writeln!(out, "\nreplayed: the same finding, number by number")?;
            Ok(ExitStatus::Fine)
        }
        Some(again) => {
            writeln!(
                out,
                "\nreplayed: {:.3} bits instead of {:.3}; events came late, or the networks' file changed",
                again.score, finding.score
            )?;
            Ok(ExitStatus::Fine)
        }
        None => {
            writeln!(out, "\nreplayed: no longer a story; events came late, or were retained no longer")?;
            Ok(ExitStatus::Fine)
        }
    }
}

/// Whether a finding is the one that was told. When it is told depends on the budget of that run: without one it is no later.
fn is_same(again: &Finding, told: &Finding) -> bool {
    let at_that_time = Finding { time: told.time, ..again.clone() };
    again.time <= told.time && at_that_time.content_hash() == told.content_hash()
}

/// Values of one feature that are listed.
const LISTED: usize = 12;

/// Widest bar.
const BAR: usize = 40;

/// Prints what is normal for an actor.
pub async fn baseline(settings: &Settings, actor: &str, lake: LakeArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    let known = baseline::of(&lake, &settings.query(), actor).await?;
    let mut out = std::io::stdout();
    if known.days == 0 {
        tracing::warn!("nothing is known of {}: see the column actor of events, and run train", visible(actor));
        return Ok(ExitStatus::Fine);
    }
    writeln!(out, "{}: {} active days, {} to {}", visible(&known.profile), known.days, known.from, known.to)?;
    let counts = RecordBatch::try_from_iter([
        ("count a day", texts(known.counts.iter().map(|count| count.name.to_owned()))),
        ("median", numbers(known.counts.iter().map(|count| count.median))),
        ("90 % below", numbers(known.counts.iter().map(|count| count.high))),
        ("most", numbers(known.counts.iter().map(|count| count.most))),
    ])?;
    super::findings::rows(&counts, Format::Table, &mut out).await?;
    for (feature, values) in &known.values {
        writeln!(out, "\n{}: {} values", feature.replace('_', " "), values.len())?;
        bars(values, known.days, &mut out)?;
    }
    Ok(ExitStatus::Fine)
}

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn numbers(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn bars(values: &[ValueUse], days: u64, out: &mut dyn Write) -> std::io::Result<()> {
    for value in values.iter().take(LISTED) {
        let length = (value.days as usize * BAR).div_ceil(days.max(1) as usize);
        let name: String = visible(&value.value).chars().take(48).collect();
        writeln!(out, "  {name:48} {:>4} days {:>8} calls  {}", value.days, value.calls, "#".repeat(length))?;
    }
    match values.len().checked_sub(LISTED).filter(|more| *more > 0) {
        Some(more) => writeln!(out, "  and {more} more"),
        None => Ok(()),
    }
}

/// Walks over past days and prints what would have been told.
pub async fn backtest(settings: &Settings, args: BacktestArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    let without: BTreeSet<Signal> = args.without.into_iter().collect();
    let options = DetectOptions { without, ..settings.detect(&args.detect) };
    let report = find(&lake, &options, Utc::now()).await?;
    super::report::write(settings, &report)?;
    let recorded = findings(&lake, &options.query).await?;
    let mut out = std::io::stdout();
    let days = RecordBatch::try_from_iter([
        ("day", texts(report.by_day.iter().map(|day| day.date.to_string()))),
        ("actors", texts(report.by_day.iter().map(|day| day.actors.to_string()))),
        ("threshold", numbers(report.by_day.iter().map(|day| (day.threshold * 10.0).round() / 10.0))),
        ("alerts", texts(report.by_day.iter().map(|day| day.findings.to_string()))),
    ])?;
    super::findings::rows(&days, Format::Table, &mut out).await?;
    totals(&report, &mut out)?;
    stability(&report, &recorded, &mut out)?;
    if let Some(labels) = labels {
        against(&report, &labels, &mut out)?;
    }
    Ok(ExitStatus::Fine)
}

fn totals(report: &DetectReport, out: &mut dyn Write) -> std::io::Result<()> {
    let days = report.by_day.len().max(1) as f64;
    let count = |of: &dyn Fn(&Finding) -> String| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        report.findings.iter().for_each(|finding| *counts.entry(of(finding)).or_default() += 1);
        counts
    };
    writeln!(out, "\n{:.2} alerts a day over {} days", report.findings.len() as f64 / days, report.by_day.len())?;
    for (name, number) in count(&|finding| finding.severity_label.to_string()) {
        writeln!(out, "  {name:40} {number}")?;
    }
    for (name, number) in count(&|finding| finding.finding_type.clone()) {
        writeln!(out, "  {name:40} {number}")?;
    }
    Ok(())
}

/// How many of the findings that the lake has of these days would be told again.
fn stability(report: &DetectReport, recorded: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    let days: BTreeSet<NaiveDate> = report.by_day.iter().map(|day| day.date).collect();
    let of_these = recorded.iter().filter(|finding| days.contains(&finding.first_seen.date_naive()));
    let before: BTreeSet<&str> = of_these.map(|finding| finding.id.as_str()).collect();
    let now: BTreeSet<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    if before.is_empty() {
        return writeln!(out, "\nno finding of these days is recorded in the lake to compare with");
    }
    let again = before.intersection(&now).count();
    writeln!(
        out,
        "\nof {} findings recorded in the lake for these days {again} are told again; {} are new",
        before.len(),
        now.len() - again
    )
}

/// Campaign by event id; the empty name where the file has no campaigns.
type Labels = BTreeMap<String, String>;

fn read_labels(path: &Path) -> anyhow::Result<Labels> {
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let header = reader.headers()?.clone();
    let place = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let Some(id) = place("eventID") else {
        return Err(Error::new(ErrorKind::Usage, format!("{} has no column eventID", path.display())).into());
    };
    let campaign = place("campaign");
    let mut labels = Labels::new();
    for record in reader.records() {
        let record = record?;
        let name = campaign.and_then(|at| record.get(at)).unwrap_or_default();
        labels.insert(record.get(id).unwrap_or_default().to_owned(), name.to_owned());
    }
    Ok(labels)
}

/// Share of a finding's events that have to be of a campaign for it to tell of it.
const PURITY: f64 = 0.1;

fn against(report: &DetectReport, labels: &Labels, out: &mut dyn Write) -> std::io::Result<()> {
    let campaigns = |finding: &Finding| {
        let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
        let named = finding.event_ids.iter().filter_map(|id| labels.get(id));
        named.for_each(|name| *hits.entry(name).or_default() += 1);
        let least = finding.event_ids.len() as f64 * PURITY;
        hits.into_iter().filter(|(_, hits)| *hits as f64 >= least).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let told: Vec<Vec<String>> = report.findings.iter().map(campaigns).collect();
    let right = told.iter().filter(|names| !names.is_empty()).count();
    let found: BTreeSet<&String> = told.iter().flatten().collect();
    let all: BTreeSet<&String> = labels.values().collect();
    writeln!(
        out,
        "\nprecision {right} of {} alerts; campaigns told of: {} of {}",
        report.findings.len(),
        found.len(),
        all.len()
    )
}
