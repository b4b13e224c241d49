//! Keeping the lake healthy: compaction, vacuum, retention, what is due of them, and repair.
//!
//! Owns: which files are rewritten, in which order their rows are, and what `run` does after its work.
//! Refuses: to change a row. Invariant: whatever is interrupted, the tables hold the same rows as before it; only retention
//! and repair let rows go, and say which.

mod due;
mod optimize;
mod plan;
mod repair;
mod retain;
mod status;
mod vacuum;

pub use due::{MaintainOptions, MaintainReport, maintain};
pub use optimize::{OptimizeReport, TableOptimized, optimize};
pub use plan::{OptimizeOptions, Scope};
pub use repair::{DamagedFile, RepairReport, repair};
pub use retain::{RetainReport, TableRetained, retain};
pub use status::{LakeStatus, TableStatus, status};
pub use vacuum::{TableVacuumed, VacuumOptions, VacuumReport, vacuum};

/// Whether a command does what it says, or only tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does it.
    Act,
    /// It tells what it would do.
    Tell,
}
