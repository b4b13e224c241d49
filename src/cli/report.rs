//! `--report FILE`: the run's report as JSON.

use anyhow::Context;
use serde::Serialize;

use super::settings::Settings;

/// Writes the report where one is asked for.
pub fn write(settings: &Settings, report: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = &settings.report else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write the report {}", path.display()))
}
