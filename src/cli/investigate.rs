//! `trailhound investigate`

use std::io::Write;

use chrono::Utc;
use trailhound::error::{Error, ErrorKind};
use trailhound::investigate::{InvestigateOptions, Investigation, Section, Subject, html, investigate, json, ndjson};
use trailhound::lake::Lake;
use trailhound::query::output::Format;

use super::args::{InvestigateArgs, StoryFormat, SubjectArgs};
use super::exit::ExitStatus;
use super::settings::Settings;

/// The section that a format with one table has.
const DEFAULT_SECTION: &str = "timeline";

/// Runs the command.
pub async fn run(settings: &Settings, args: InvestigateArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let options =
        InvestigateOptions { subject: subject(args.subject)?, from: args.from, to: args.to, query: settings.query() };
    let mut found = investigate(&lake, &options).await?;
    if let Some(name) = &args.section {
        found.sections.retain(|section| section.name == name);
        if args.output == StoryFormat::Ndjson {
            // nothing but the section's rows, so that a reader need not tell them apart
            found.facts.clear();
            warn(&mut found);
        }
    }
    let mut out = super::query::open(args.file.as_deref())?;
    match args.output {
        StoryFormat::Json => out.write_all(json(&found).as_bytes())?,
        StoryFormat::Ndjson => out.write_all(ndjson(&found).as_bytes())?,
        StoryFormat::Html => out.write_all(html(&found, Utc::now()).as_bytes())?,
        StoryFormat::Table => tables(&found, &mut *out).await?,
        StoryFormat::Csv => csv(&mut found, &mut *out).await?,
    }
    out.flush()?;
    Ok(ExitStatus::Fine)
}

fn subject(args: SubjectArgs) -> anyhow::Result<Subject> {
    let SubjectArgs { key, ip, actor, role, resource, event, finding } = args;
    let given = [
        key.map(Subject::Key),
        ip.map(Subject::Address),
        actor.map(Subject::Actor),
        role.map(Subject::Role),
        resource.map(Subject::Resource),
        event.map(Subject::Event),
        finding.map(Subject::Finding),
    ];
    let subject = given.into_iter().flatten().next().filter(|subject| !subject.name().trim().is_empty());
    Ok(subject
        .ok_or_else(|| Error::new(ErrorKind::Usage, "the subject is empty").hint("name what is to be investigated"))?)
}

async fn tables(found: &Investigation, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    out.write_all(found.head().as_bytes())?;
    for section in &found.sections {
        writeln!(out, "\n{}: {}", section.title, if section.is_empty() { "nothing" } else { section.lead })?;
        if !section.is_empty() {
            super::findings::rows(&section.batch()?, Format::Table, out).await?;
        }
    }
    Ok(())
}

/// Notes for which a format has no place.
fn warn(found: &mut Investigation) {
    found.notes.drain(..).for_each(|note| tracing::warn!("{note}"));
}

async fn csv(found: &mut Investigation, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    warn(found);
    let is_default = |section: &&Section| found.sections.len() == 1 || section.name == DEFAULT_SECTION;
    match found.sections.iter().find(is_default) {
        Some(section) => super::findings::rows(&section.batch()?, Format::Csv, out).await,
        None => Ok(()),
    }
}
