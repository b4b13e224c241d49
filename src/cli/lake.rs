//! `trailhound lake status|optimize|vacuum|retain|repair`

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{NaiveDate, Utc};
use trailhound::error::{Error, ErrorKind};
use trailhound::lake::{Depth, Lake};
use trailhound::maintain::{
    LakeStatus, Mode, OptimizeReport, RepairReport, RetainReport, Scope, TableStatus, VacuumReport, optimize, repair,
    retain, status, vacuum,
};
use trailhound::query::output::{Format, visible};

use super::args::{FindingFormat, LakeCommand};
use super::exit::ExitStatus;
use super::settings::Settings;

/// Runs the command. What changes the lake holds its lock, so that it and a scheduled run do not overlap.
pub async fn run(settings: &Settings, command: LakeCommand) -> anyhow::Result<ExitStatus> {
    let now = Utc::now();
    match command {
        LakeCommand::Status { lake, optimize, vacuum, output } => {
            let lake = Lake::open(&settings.lake(lake)?).await?;
            let (optimize, vacuum) = (settings.optimize(&optimize), settings.vacuum(&vacuum));
            let found = status(&lake, &optimize, &vacuum, now).await?;
            super::report::write(settings, &found)?;
            print_status(&found, output, &mut std::io::stdout()).await?;
            Ok(ExitStatus::Fine)
        }
        LakeCommand::Optimize { lake, optimize: args, full } => {
            let lake = Lake::open(&settings.lake(lake)?).await?;
            let mut options = settings.optimize(&args);
            options.scope = if full { Scope::Full } else { Scope::Due };
            let stop = super::signal::stop_on_signal();
            let report = locked(&lake, optimize(&lake, &options, now, &stop)).await?;
            super::report::write(settings, &report)?;
            print_optimized(&report, &mut std::io::stdout().lock())?;
            let whole = report.left == 0 && report.conflicts.is_empty();
            Ok(if whole { ExitStatus::Fine } else { ExitStatus::Failed })
        }
        LakeCommand::Vacuum { lake, vacuum: args, dry_run } => {
            let lake = Lake::open(&settings.lake(lake)?).await?;
            let options = settings.vacuum(&args);
            let report = match mode(dry_run) {
                Mode::Act => locked(&lake, vacuum(&lake, &options, Mode::Act, now)).await?,
                Mode::Tell => vacuum(&lake, &options, Mode::Tell, now).await?,
            };
            super::report::write(settings, &report)?;
            print_vacuumed(&report, &mut std::io::stdout().lock())?;
            Ok(ExitStatus::Fine)
        }
        LakeCommand::Retain { lake, days, dry_run } => {
            let days = settings.retain_days(days).ok_or_else(|| {
                Error::new(ErrorKind::Usage, "no number of days is given").hint("add --days N; --dry-run tells first")
            })?;
            let lake = Lake::open(&settings.lake(lake)?).await?;
            let report = match mode(dry_run) {
                Mode::Act => locked(&lake, retain(&lake, days, Mode::Act, now)).await?,
                Mode::Tell => retain(&lake, days, Mode::Tell, now).await?,
            };
            super::report::write(settings, &report)?;
            print_retained(&report, &mut std::io::stdout().lock())?;
            Ok(ExitStatus::Fine)
        }
        LakeCommand::Repair { lake, deep, dry_run } => {
            let lake = Lake::open(&settings.lake(lake)?).await?;
            let depth = if deep { Depth::Whole } else { Depth::Footer };
            let report = match mode(dry_run) {
                Mode::Act => locked(&lake, repair(&lake, depth, Mode::Act)).await?,
                Mode::Tell => repair(&lake, depth, Mode::Tell).await?,
            };
            super::report::write(settings, &report)?;
            print_repaired(&report, depth, &mut std::io::stdout().lock())?;
            Ok(if dry_run && !report.damaged.is_empty() { ExitStatus::Failed } else { ExitStatus::Fine })
        }
    }
}

fn mode(dry_run: bool) -> Mode {
    if dry_run { Mode::Tell } else { Mode::Act }
}

async fn locked<T>(
    lake: &Lake,
    work: impl Future<Output = trailhound::error::Result<T>>,
) -> trailhound::error::Result<T> {
    let lock = lake.lock(Utc::now()).await?;
    let result = work.await;
    lock.release().await;
    result
}

async fn print_status(status: &LakeStatus, format: FindingFormat, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    match format {
        FindingFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(status)?)?,
        FindingFormat::Ndjson => {
            for table in &status.tables {
                writeln!(out, "{}", serde_json::to_string(table)?)?;
            }
        }
        FindingFormat::Table => super::findings::rows(&columns(&status.tables)?, Format::Table, out).await?,
        FindingFormat::Csv => super::findings::rows(&columns(&status.tables)?, Format::Csv, out).await?,
    }
    Ok(out.flush()?)
}

fn columns(tables: &[TableStatus]) -> anyhow::Result<RecordBatch> {
    let number = |get: fn(&TableStatus) -> u64| -> ArrayRef {
        Arc::new(tables.iter().map(|table| i64::try_from(get(table)).ok()).collect::<Int64Array>())
    };
    let day = |get: fn(&TableStatus) -> Option<NaiveDate>| -> ArrayRef {
        let days = |date: NaiveDate| (date - NaiveDate::default()).num_days() as i32;
        Arc::new(tables.iter().map(|table| get(table).map(days)).collect::<Date32Array>())
    };
    let text = |get: &dyn Fn(&TableStatus) -> String| -> ArrayRef {
        Arc::new(tables.iter().map(|table| Some(get(table))).collect::<StringArray>())
    };
    let checkpoints = tables.iter().map(|table| table.log.checkpoint_at.map(|at| at.timestamp_micros()));
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table", text(&|table| table.table.clone()), false),
        ("version", Arc::new(tables.iter().map(|table| Some(table.version)).collect::<Int64Array>()), false),
        ("rows", number(|table| table.rows), false),
        ("files", number(|table| table.files), false),
        ("small", number(|table| table.small_files), false),
        ("bytes", number(|table| table.bytes), false),
        ("oldest", day(|table| table.oldest), true),
        ("newest", day(|table| table.newest), true),
        ("history_bytes", number(|table| table.history_bytes), false),
        ("staged_bytes", number(|table| table.staged_bytes), false),
        ("garbage_bytes", number(|table| table.garbage_bytes), false),
        ("log_bytes", number(|table| table.log.bytes), false),
        ("checkpoint_at", Arc::new(checkpoints.collect::<TimestampMicrosecondArray>().with_timezone("UTC")), true),
        ("since_checkpoint", number(|table| table.commits_since_checkpoint), false),
        ("due", text(&|table| table.due.join(", ")), false),
    ])?)
}

/// A summary for people.
pub fn print_optimized(report: &OptimizeReport, out: &mut dyn Write) -> std::io::Result<()> {
    for table in &report.tables {
        writeln!(
            out,
            "optimized  {}: {} files of {} bytes -> {} of {} bytes, {} rows in {} commits",
            table.table,
            table.files_before,
            table.bytes_before,
            table.files_after,
            table.bytes_after,
            table.rows,
            table.commits
        )?;
    }
    if report.tables.is_empty() {
        writeln!(out, "optimized  nothing: no closed day has files worth a rewrite")?;
    }
    for conflict in &report.conflicts {
        tracing::warn!("{conflict}");
    }
    if report.left > 0 {
        writeln!(out, "left       {} rewrites; run again for them", report.left)?;
    }
    Ok(())
}

/// A summary for people.
pub fn print_vacuumed(report: &VacuumReport, out: &mut dyn Write) -> std::io::Result<()> {
    let verb = if report.dry_run { "would vacuum" } else { "vacuumed " };
    for table in &report.tables {
        for file in &table.files {
            writeln!(out, "{}", file.path)?;
        }
        writeln!(
            out,
            "{verb}  {}: {} old files, {} of dead writers, {} cut-off writes, {} bytes; {} log entries{}",
            table.table,
            table.expired_files,
            table.orphan_files,
            table.debris_files,
            table.bytes,
            table.log.entries_deleted,
            if table.log.checkpoint { ", a new checkpoint" } else { "" }
        )?;
    }
    Ok(())
}

/// A summary for people.
pub fn print_retained(report: &RetainReport, out: &mut dyn Write) -> std::io::Result<()> {
    let verb = if report.dry_run { "would drop" } else { "dropped " };
    writeln!(out, "kept      {} and later", report.first_day)?;
    for table in &report.tables {
        let dropped = &table.dropped;
        writeln!(out, "{verb}  {}: {} rows in {} files", table.table, dropped.rows, dropped.files)?;
    }
    Ok(())
}

/// A summary for people.
pub fn print_repaired(report: &RepairReport, depth: Depth, out: &mut dyn Write) -> std::io::Result<()> {
    let looked = match depth {
        Depth::Footer => "footers looked at; --deep reads whole files",
        Depth::Whole => "read to their ends",
    };
    writeln!(out, "looked at  {} files ({looked}), {} damaged", report.files, report.damaged.len())?;
    let verb = if report.dry_run { "would drop" } else { "dropped   " };
    for file in &report.damaged {
        writeln!(out, "{verb} {}: {} rows of {}: {}", file.table, file.rows, file.path, visible(&file.reason))?;
    }
    if let Some(first) = report.read_again_from {
        let (verb, objects) = (if report.dry_run { "would forget" } else { "forgot    " }, report.objects);
        writeln!(
            out,
            "{verb} {objects} objects from {first} on: `trailhound ingest` reads them again, and adds what is missing"
        )?;
    }
    Ok(())
}
