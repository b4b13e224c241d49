//! The progress bar, on a terminal only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use trailhound::ingest::Progress;

/// A bar of objects read.
pub struct Bar(ProgressBar);

impl Bar {
    /// Shows nothing where stderr is not a terminal.
    pub fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {pos}/{len} objects  {bar:30}  {elapsed} (eta {eta})");
        Self(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// What the pipeline tells its progress to.
    pub fn observer(&self) -> impl Fn(Progress) + Sync + '_ {
        |progress| {
            self.0.set_length(progress.objects);
            self.0.set_position(progress.done);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
