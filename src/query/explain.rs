//! What a query read and what it could leave out, in sentences.
//!
//! Owns: running a query for its numbers alone, and the words for them.
//! Invariant: what is told was counted while the query ran; nothing is estimated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::TryStreamExt;

use super::provider::SnapshotTable;
use super::{fault, plan};
use crate::error::Result;

/// Numbers of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Read {
    tables: Vec<String>,
    files_in_all: usize,
    bytes_in_all: u64,
    files: usize,
    bytes_of_files: u64,
    bytes: usize,
    groups_by_bounds: usize,
    groups_by_bloom: usize,
    groups_at_runtime: usize,
    groups: usize,
    rows_by_pages: usize,
    rows_by_filter: usize,
    rows_scanned: usize,
    spilled: usize,
}

/// Runs a query and tells what it read, one sentence an element.
///
/// # Errors
/// As [`super::execute`].
pub async fn explain(ctx: &SessionContext, sql: &str) -> Result<Vec<String>> {
    explained(ctx, plan(ctx, sql).await?).await
}

/// The same for a planned query.
///
/// # Errors
/// As [`super::execute`].
pub(super) async fn explained(ctx: &SessionContext, frame: DataFrame) -> Result<Vec<String>> {
    let started = Instant::now();
    let mut read = Read::default();
    in_all(frame.logical_plan(), &mut read)?;
    let physical = frame.create_physical_plan().await.map_err(|error| fault::of(&error))?;
    let planned = started.elapsed();
    let stream = execute_stream(Arc::clone(&physical), ctx.task_ctx()).map_err(|error| fault::of(&error))?;
    let count = |rows, batch: arrow::array::RecordBatch| async move { Ok(rows + batch.num_rows()) };
    let rows = stream.try_fold(0, count).await.map_err(|error| fault::of(&error))?;
    scanned(physical.as_ref(), &mut read);
    Ok(sentences(&read, rows, planned, started.elapsed()))
}

/// The tables that a plan reads, and all that they have.
fn in_all(plan: &LogicalPlan, read: &mut Read) -> Result<()> {
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<SnapshotTable>()
        {
            let (files, bytes) = table.size();
            read.files_in_all += files;
            read.bytes_in_all += bytes;
            read.tables.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map(drop).map_err(|error| fault::of(&error))
}

fn scanned(plan: &dyn ExecutionPlan, read: &mut Read) {
    let scan =
        plan.downcast_ref::<DataSourceExec>().and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>());
    if let Some(scan) = scan {
        // a large file may be read in several pieces
        let mut paths: Vec<_> =
            scan.file_groups.iter().flat_map(|group| group.iter()).map(|file| &file.object_meta).collect();
        paths.sort_by(|a, b| a.location.cmp(&b.location));
        paths.dedup_by(|a, b| a.location == b.location);
        read.files += paths.len();
        read.bytes_of_files += paths.iter().map(|meta| meta.size).sum::<u64>();
    }
    for metric in plan.metrics().iter().flat_map(|metrics| metrics.iter()) {
        count(metric.value(), scan.is_some(), read);
    }
    plan.children().into_iter().for_each(|child| scanned(child.as_ref(), read));
}

fn count(value: &MetricValue, is_scan: bool, read: &mut Read) {
    match value {
        MetricValue::PruningMetrics { name, pruning_metrics } => match name.as_ref() {
            "row_groups_pruned_statistics" => read.groups_by_bounds += pruning_metrics.pruned(),
            "row_groups_pruned_bloom_filter" => {
                read.groups_by_bloom += pruning_metrics.pruned();
                read.groups += pruning_metrics.matched();
            }
            "page_index_rows_pruned" => read.rows_by_pages += pruning_metrics.pruned(),
            _ => {}
        },
        MetricValue::Count { name, count } => match name.as_ref() {
            "bytes_scanned" => read.bytes += count.value(),
            "pushdown_rows_pruned" => read.rows_by_filter += count.value(),
            "row_groups_pruned_dynamic_filter" => read.groups_at_runtime += count.value(),
            _ => {}
        },
        MetricValue::OutputRows(rows) if is_scan => read.rows_scanned += rows.value(),
        MetricValue::SpilledBytes(bytes) => read.spilled += bytes.value(),
        _ => {}
    }
}

fn sentences(read: &Read, rows: usize, planned: Duration, whole: Duration) -> Vec<String> {
    let mut out = Vec::new();
    match (read.tables.is_empty(), read.files_in_all) {
        (true, _) => out.push("No table of the lake was read.".to_owned()),
        (false, 0) => out.push(format!("{} has no files yet.", read.tables.join(", "))),
        (false, all) => out.push(format!(
            "{} has {} of {}; {} of {} were opened, {} were ruled out by their day or by the values that the lake's log has of them.",
            read.tables.join(", "),
            many(all, "file"),
            bytes(read.bytes_in_all),
            many(read.files, "file"),
            bytes(read.bytes_of_files),
            all.saturating_sub(read.files),
        )),
    }
    if read.files > 0 {
        let groups = read.groups + read.groups_by_bloom + read.groups_by_bounds;
        out.push(format!(
            "Of {} in them, {} were skipped by their smallest and largest values, {} by bloom filters, {} while the query ran.",
            many(groups, "row group"),
            read.groups_by_bounds,
            read.groups_by_bloom,
            read.groups_at_runtime,
        ));
        let left_out = read.bytes_in_all.saturating_sub(read.bytes as u64);
        out.push(format!("{} were read, {} were not.", bytes(read.bytes as u64), bytes(left_out)));
        out.push(format!(
            "{} came out of the files; {} were passed over by pages, {} by the filter before their other columns were decoded.",
            many(read.rows_scanned, "row"),
            read.rows_by_pages,
            read.rows_by_filter,
        ));
    }
    if read.spilled > 0 {
        out.push(format!(
            "{} did not fit into memory and went through the temporary folder.",
            bytes(read.spilled as u64)
        ));
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    out.push(format!(
        "The answer has {}. It took {:.1} ms, {:.1} of them to plan.",
        many(rows, "row"),
        millis(whole),
        millis(planned)
    ));
    out
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_sentences() {
        let read = Read {
            tables: vec!["events".into()],
            files_in_all: 24,
            bytes_in_all: 81_000_000,
            files: 1,
            bytes_of_files: 4_000_000,
            bytes: 12_345,
            groups: 1,
            groups_by_bloom: 2,
            ..Read::default()
        };
        let text = sentences(&read, 1, Duration::from_millis(1), Duration::from_millis(3)).join("\n");
        assert!(
            text.contains("events has 24 files of 81.0 MB; 1 file of 4000.0 kB were opened, 23 were ruled out"),
            "{text}"
        );
        assert!(
            text.contains("Of 3 row groups in them, 0 were skipped by their smallest and largest values, 2 by bloom"),
            "{text}"
        );
        assert!(text.ends_with("The answer has 1 row. It took 3.0 ms, 1.0 of them to plan."), "{text}");
        assert_eq!(sentences(&Read::default(), 2, Duration::ZERO, Duration::ZERO).len(), 2);
    }
}
