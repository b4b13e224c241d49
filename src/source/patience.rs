//! How a service that is in trouble is spared, and when asking on is of no use.
//!
//! Owns: the pause before each request, which all requests share; the judgement that a service as a whole does not
//! answer, or that the credentials are no good any more. What is not asked for after that is left to the next run: it is
//! neither read nor failed.
//! Invariant: a run against a service that says no to everything asks for a bounded number of objects, however many there
//! are to read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// Objects in a row that could not be had although each was asked for several times.
const IN_A_ROW: usize = 16;

/// First pause after an answer that says "slow down".
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before a request.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Clones share what they have seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    in_a_row: AtomicUsize,
    end: Mutex<Option<(ErrorKind, String)>>,
    pause: Mutex<Pause>,
}

/// What a request was answered, as far as it says how many the service can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has time for us.
    Given,
    /// It asks for fewer requests.
    SlowDown,
}

impl Patience {
    /// Waits for one's turn to ask.
    pub async fn turn(&self) {
        let length = self.inner.pause.lock().map_or(Duration::ZERO, |pause| pause.length);
        if !length.is_zero() {
            // apart from each other, or all would ask at once after the same pause
            tokio::time::sleep(length.mul_f64(rand::random_range(0.5..1.0))).await;
        }
    }

    /// Takes notice of an answer: the pause doubles at each "slow down", and shrinks while all is well.
    pub fn answered(&self, answer: Answer) {
        if let Ok(mut pause) = self.inner.pause.lock() {
            pause.answered(answer, Instant::now());
        }
    }

    /// Takes notice of what became of an object. Only what may pass by itself counts: an object that is forbidden or gone
    /// says nothing of the next.
    pub fn note<T>(&self, result: &Result<T>) {
        match result {
            Ok(_) => self.inner.in_a_row.store(0, Ordering::Relaxed),
            Err(error) if error.is_transient() => {
                if self.inner.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= IN_A_ROW {
                    let why = format!("{IN_A_ROW} objects in a row could not be had, at last because: {error}");
                    self.end(ErrorKind::Unavailable, why);
                }
            }
            Err(_) => {}
        }
    }

    /// Gives up at once, whatever was seen.
    pub fn end(&self, kind: ErrorKind, why: String) {
        if let Ok(mut end) = self.inner.end.lock() {
            // the first reason is the one to tell
            end.get_or_insert((kind, why));
        }
    }

    /// Why nothing more should be asked for.
    pub fn ended(&self) -> Option<Error> {
        let end = self.inner.end.lock().ok()?;
        end.as_ref().map(|(kind, why)| Error::new(*kind, why.clone()))
    }

    /// Begins anew.
    pub fn renew(&self) {
        self.inner.in_a_row.store(0, Ordering::Relaxed);
        if let Ok(mut end) = self.inner.end.lock() {
            *end = None;
        }
    }
}

#[derive(Debug, Default)]
struct Pause {
    length: Duration,
    changed: Option<Instant>,
}

impl Pause {
    /// Changes once within its own length at most: the answers that come together were asked for under the same pause.
    fn answered(&mut self, answer: Answer, now: Instant) {
        if (answer == Answer::Given && self.length.is_zero())
            || self.changed.is_some_and(|changed| now.duration_since(changed) < self.length)
        {
            return;
        }
        self.length = match answer {
            Answer::SlowDown => (self.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            Answer::Given if self.length > FIRST_PAUSE => self.length / 2,
            Answer::Given => Duration::ZERO,
        };
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind) -> Result<()> {
        Err(Error::new(kind, "cannot get it"))
    }

    #[test]
    fn ends_after_many_in_a_row_only() {
        let patience = Patience::default();
        for _ in 0..3 {
            (1..IN_A_ROW).for_each(|_| patience.note(&failed(ErrorKind::Unavailable)));
            assert!(patience.ended().is_none());
            patience.note(&Ok(()));
        }
        (0..100).for_each(|_| patience.note(&failed(ErrorKind::Denied)));
        assert!(patience.ended().is_none());
        (0..IN_A_ROW).for_each(|_| patience.clone().note(&failed(ErrorKind::Unavailable)));
        assert!(patience.ended().unwrap().to_string().contains("cannot get it"));
        patience.renew();
        assert!(patience.ended().is_none());
    }

    #[test]
    fn the_first_reason_is_told() {
        let patience = Patience::default();
        patience.end(ErrorKind::Denied, "one".to_owned());
        patience.end(ErrorKind::Unavailable, "two".to_owned());
        let told = patience.ended().unwrap();
        assert_eq!((told.kind(), told.to_string().as_str()), (ErrorKind::Denied, "one"));
    }

    #[test]
    fn the_pause_grows_with_trouble_and_shrinks_without() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        pause.answered(Answer::Given, now);
        assert_eq!(pause.length, Duration::ZERO);
        let mut lengths = Vec::new();
        for answer in [Answer::SlowDown; 10].into_iter().chain([Answer::Given; 10]) {
            // ten answers to requests that went out together count once
            (0..10).for_each(|_| pause.answered(answer, now));
            lengths.push(pause.length.as_millis());
            now += pause.length;
        }
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000];
        assert_eq!(lengths[..10], expected);
        assert_eq!(lengths[10..], [5000, 2500, 1250, 625, 312, 156, 78, 0, 0, 0]);
    }
}
