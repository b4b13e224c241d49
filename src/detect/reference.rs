//! What is known before anything is known: the reference shape shipped in `models/reference`.
//!
//! Owns: reading them, and writing them anew from a described organization (`models/README.md` tells how).
//! Refuses: learning from a user's lake; that is the baselines' part. Invariant: the file in the repository is what
//! the generator here writes (a test compares).

use super::shape::ShapeModel;
use crate::error::Result;

const SHAPE: &str = include_str!("../../models/reference/shape.json");

/// Version that findings name when the reference shape model scored them.
pub const VERSION: &str = "reference/2";

/// The shipped shape model.
///
/// # Errors
/// `BadInput` where the file that was compiled in is broken.
pub fn shape() -> Result<ShapeModel> {
    ShapeModel::from_json("models/reference/shape.json", SHAPE.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::{Days, NaiveDate};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::detect::counts::{Count, DayCounts};
    use crate::detect::shape::Training;

    /// 40 people and 60 programs over 30 days: volumes are lognormal, everything else follows from the volume.
    fn described_days() -> Vec<DayCounts> {
        let mut rng = StdRng::seed_from_u64(1);
        let start = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let mut days = Vec::new();
        for actor in 0..100 {
            let person = actor < 40;
            let usual: f64 = if person { rng.random_range(20.0..200.0) } else { rng.random_range(5.0..1000.0) };
            for day in 0..30 {
                let calls =
                    usual * (rng.random_range(-1.0f64..1.0) + rng.random_range(-1.0..1.0)).mul_add(0.6, 0.0).exp();
                days.push(described_day(&mut rng, start + Days::new(day), person, calls.max(1.0)));
            }
        }
        days
    }

    fn described_day(rng: &mut StdRng, date: NaiveDate, person: bool, calls: f64) -> DayCounts {
        let mut upto = |most: f64| rng.random_range(0.5f64..1.0).mul_add(most, 0.0).round() as i64;
        let apis = if person { calls.powf(0.7) } else { calls.ln() + 1.0 };
        let failed = upto(calls * 0.05);
        let mut counts = DayCounts::empty(date);
        counts.set(Count::Calls, calls.round() as i64);
        counts.set(Count::Apis, upto(apis).max(1));
        counts.set(Count::Services, upto(apis / 3.0).max(1));
        counts.set(Count::Regions, upto(2.0).max(1));
        counts.set(Count::Networks, upto(if person { 2.0 } else { 4.0 }).max(1));
        counts.set(Count::Agents, upto(2.0).max(1));
        counts.set(Count::Accounts, upto(if person { 3.0 } else { 1.0 }).max(1));
        counts.set(Count::Hours, upto(calls.sqrt().min(if person { 10.0 } else { 24.0 })).max(1));
        counts.set(Count::Denied, failed / 2);
        counts.set(Count::Failed, failed);
        counts.set(Count::Writes, upto(calls * 0.4));
        counts
    }

    /// Writes the files when `TRAILHOUND_WRITE_REFERENCE` is set, and compares them with the repository's in any case.
    #[test]
    fn files_are_what_the_description_gives() {
        let days = described_days();
        let to = days.iter().map(|day| day.date).max().unwrap() + Days::new(1);
        let shape = ShapeModel::fit(&Training::new(days.iter(), to).unwrap()).unwrap().to_json();
        if std::env::var_os("TRAILHOUND_WRITE_REFERENCE").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/reference");
            std::fs::write(folder.join("shape.json"), &shape).unwrap();
            return;
        }
        let (made, kept) = (ShapeModel::from_json("made", shape.as_bytes()).unwrap(), super::shape().unwrap());
        assert_eq!(made.rows, kept.rows);
        let difference = (made.usual_error() - kept.usual_error()).abs();
        assert!(difference < 1e-6, "the reference shape differs by {difference}; see models/README.md");
    }
}
