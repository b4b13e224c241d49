//! Temporary keys and the calls that made them.
//!
//! Owns: which call tells who made a key, where several do. Refuses: to read them from anywhere.
//! Invariant: what is told does not depend on the order in which calls come. A key that is used takes more memory as a cell.

use chrono::{DateTime, Utc};

use super::names::Map;
use crate::batch::dictionary::Dictionary;
use crate::finding::ChainStep;

/// The keys made on a day.
#[derive(Default)]
pub struct Issued {
    calls: Map<Box<str>, Call>,
    texts: Dictionary,
}

/// The call that made a key.
struct Call {
    /// Of the two copies of a call between accounts only the caller's has it.
    made_with: Option<Box<str>>,
    time: DateTime<Utc>,
    actor: u32,
    api: u32,
}

impl Issued {
    /// Adds a call that made a key.
    pub fn add(&mut self, step: &ChainStep) {
        if self.step(&step.access_key_id).is_some_and(|known| rank(&known) <= rank(step)) {
            return;
        }
        let mut code = |text: &str| self.texts.intern(text.as_bytes());
        let (actor, api) = (code(&step.made_by), code(&step.call));
        let call = Call { made_with: step.made_with.as_deref().map(Box::from), time: step.time, actor, api };
        self.calls.insert(step.access_key_id.as_str().into(), call);
    }

    /// How a key was made.
    pub fn step(&self, key: &str) -> Option<ChainStep> {
        let text = |code: u32| String::from_utf8_lossy(self.texts.get(code)).into_owned();
        let call = self.calls.get(key)?;
        Some(ChainStep {
            access_key_id: key.to_owned(),
            call: text(call.api),
            made_by: text(call.actor),
            made_with: call.made_with.as_deref().map(str::to_owned),
            time: call.time,
        })
    }
}

/// What tells more of two calls that made a key comes first: the caller's copy, then the earlier one.
pub fn rank(step: &ChainStep) -> (bool, DateTime<Utc>, &str, &str) {
    (step.made_with.is_none(), step.time, &step.made_by, &step.call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_s_copy_of_a_call_tells_who_made_a_key() {
        let copy = |made_by: &str, made_with: Option<&str>, time: i64| ChainStep {
            access_key_id: "ASIA1".to_owned(),
            call: "sts:AssumeRole".to_owned(),
            made_by: made_by.to_owned(),
            made_with: made_with.map(str::to_owned),
            time: DateTime::from_timestamp(time, 0).unwrap(),
        };
        let ana = "arn:aws:iam::111111111111:user/ana";
        // `account/…` stands before `arn:…` in the order of texts, and its record may be the earlier one
        let (other, caller) = (copy("account/111111111111", None, 1), copy(ana, Some("AKIA1"), 2));
        for copies in [[&other, &caller], [&caller, &other]] {
            let mut issued = Issued::default();
            copies.into_iter().for_each(|copy| issued.add(copy));
            assert_eq!(issued.step("ASIA1").unwrap().made_by, ana);
        }
        let mut alone = Issued::default();
        alone.add(&other);
        assert_eq!(alone.step("ASIA1").unwrap().made_by, "account/111111111111");
        assert!(alone.step("ASIA2").is_none());
    }
}
