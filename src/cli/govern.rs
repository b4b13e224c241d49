//! `trailhound feedback`, `suppress` and `tune`.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use chrono::Utc;
use trailhound::detect;
use trailhound::error::{Error, ErrorKind};
use trailhound::finding::Finding;
use trailhound::govern::{Feedback, Governance, Judgement, Proposal, Scope, Suppression};
use trailhound::lake::Lake;
use trailhound::query::output::Format;

use super::args::{FeedbackArgs, JudgementArg, LakeArgs, SuppressArgs, SuppressCommand};
use super::exit::ExitStatus;
use super::settings::Settings;

/// The one finding whose id begins so.
///
/// # Errors
/// `Usage` where there is none, or more than one.
pub async fn find(settings: &Settings, lake: &Lake, id: &str) -> anyhow::Result<Finding> {
    let all = detect::findings(lake, &settings.query()).await?;
    let mut found = all.into_iter().filter(|finding| finding.id.as_str().starts_with(id));
    match (found.next(), found.next()) {
        (Some(finding), None) => Ok(finding),
        (None, _) => Err(Error::new(ErrorKind::Usage, format!("no finding has the id {id}"))
            .hint("the ids are in `trailhound query latest-findings`")
            .into()),
        _ => Err(Error::new(ErrorKind::Usage, format!("several findings have an id that begins with {id}"))
            .hint("give more of it")
            .into()),
    }
}

/// Stores what somebody says of a finding.
pub async fn feedback(settings: &Settings, args: FeedbackArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let finding = find(settings, &lake, &args.finding).await?;
    let judgement = match args.judgement {
        JudgementArg::TruePositive => Judgement::TruePositive,
        JudgementArg::Benign => Judgement::Benign,
        JudgementArg::Expected => Judgement::Expected,
    };
    let now = Utc::now();
    let said = Feedback { finding: finding.id, judgement, by: args.by, at: now, note: args.note };
    change(&lake, |governance| {
        governance.feedback.push(said);
        Ok(())
    })
    .await?;
    Ok(ExitStatus::Fine)
}

/// Changes what is kept, under the lake's lock: two changes at once would lose one.
async fn change(lake: &Lake, change: impl FnOnce(&mut Governance) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let lock = lake.lock(Utc::now()).await?;
    let done = async {
        let mut governance = Governance::load(lake).await?;
        change(&mut governance)?;
        Ok(governance.save(lake).await?)
    };
    let done = done.await;
    lock.release().await;
    done
}

/// Lists, adds or removes suppressions.
pub async fn suppress(settings: &Settings, command: SuppressCommand) -> anyhow::Result<ExitStatus> {
    match command {
        SuppressCommand::List { lake } => list(settings, lake).await?,
        SuppressCommand::Add(args) => add(settings, args).await?,
        SuppressCommand::Remove { id, lake } => remove(settings, &id, lake).await?,
    }
    Ok(ExitStatus::Fine)
}

async fn list(settings: &Settings, lake: LakeArgs) -> anyhow::Result<()> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    let all = Governance::load(&lake).await?.suppressions;
    let now = Utc::now();
    let text = |of: &dyn Fn(&Suppression) -> String| column(&all, of);
    let batch = RecordBatch::try_from_iter([
        ("id", text(&|one| one.id.clone())),
        ("scope", text(&|one| scope(&one.scope))),
        ("owner", text(&|one| one.owner.clone())),
        ("reason", text(&|one| one.reason.clone())),
        ("expires", text(&|one| one.expires.to_rfc3339())),
        ("state", text(&|one| if one.expires > now { "holds" } else { "over" }.to_owned())),
    ])?;
    super::findings::rows(&batch, Format::Table, &mut std::io::stdout()).await
}

async fn add(settings: &Settings, args: SuppressArgs) -> anyhow::Result<()> {
    let lake = Lake::open(&settings.lake(args.lake)?).await?;
    let scope = Scope { actor: args.actor, finding_type: args.finding_type, account: args.account };
    let made = Suppression::new(scope, &args.owner, &args.reason, Utc::now(), args.expires)?;
    let findings = detect::findings(&lake, &settings.query()).await?;
    let id = made.id.clone();
    change(&lake, |governance| {
        let confirmed = governance.confirmed(&made.scope, &findings);
        if let Some(finding) = confirmed.first() {
            let what =
                format!("the suppression would hide {} confirmed findings, {} first", confirmed.len(), finding.id);
            return Err(Error::new(ErrorKind::Usage, what).hint("give a narrower scope").into());
        }
        governance.suppressions.push(made);
        Ok(())
    })
    .await?;
    writeln!(std::io::stdout(), "{id}")?;
    Ok(())
}

async fn remove(settings: &Settings, id: &str, lake: LakeArgs) -> anyhow::Result<()> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    change(&lake, |governance| {
        let before = governance.suppressions.len();
        governance.suppressions.retain(|one| one.id != id);
        if governance.suppressions.len() == before {
            let what = format!("no suppression has the id {id}");
            return Err(Error::new(ErrorKind::Usage, what).hint("see `trailhound suppress list`").into());
        }
        Ok(())
    })
    .await
}

/// Shows what could be suppressed.
pub async fn tune(settings: &Settings, lake: LakeArgs) -> anyhow::Result<ExitStatus> {
    let lake = Lake::open(&settings.lake(lake)?).await?;
    let findings = detect::findings(&lake, &settings.query()).await?;
    let proposals = Governance::load(&lake).await?.proposals(&findings, Utc::now());
    if proposals.is_empty() {
        tracing::info!("nothing to propose: no actor has two findings of a type that were judged benign or expected");
    }
    let text = |of: &dyn Fn(&Proposal) -> String| column(&proposals, of);
    let batch = RecordBatch::try_from_iter([
        ("scope", text(&|one| scope(&one.scope))),
        ("judged", text(&|one| one.judged.to_string())),
        ("hidden in 90 days", text(&|one| one.would_hide.to_string())),
        ("confirmed", text(&|one| one.confirmed.to_string())),
        ("verdict", text(&|one| if one.is_safe() { "may be added" } else { "refused" }.to_owned())),
    ])?;
    super::findings::rows(&batch, Format::Table, &mut std::io::stdout()).await?;
    Ok(ExitStatus::Fine)
}

fn column<T>(all: &[T], of: &dyn Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(all.iter().map(of)))
}

fn scope(scope: &Scope) -> String {
    let part = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let parts = [part("actor", &scope.actor), part("type", &scope.finding_type), part("account", &scope.account)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
