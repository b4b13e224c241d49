//! One chain: read its digests ahead, look at each in turn, check its log files, note what is wrong.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use futures::StreamExt;

use super::chains::{ChainId, Digests, Entry, TrailId};
use super::keys::KeySource;
use super::place::Place;
use super::report::{Problem, ProblemKind};
use super::{Run, nobody};
use crate::decode;
use crate::digest::chain::{Content, Fault, Found, Hole, Read, Signature, State, Walk};
use crate::digest::hours::{Counts, DigestStatus, HOUR, floor};
use crate::digest::key::Chain;
use crate::digest::signature::KeyRing;
use crate::digest::{self, Location};
use crate::error::{ErrorKind, Result};
use crate::source::Described;

/// Uncompressed bytes of a digest that are accepted.
const MAX_DIGEST: u64 = 64 << 20;

/// Digests of a chain that are read ahead of the one that is looked at.
const AHEAD: usize = 4;

/// A chain that is being walked.
pub(super) struct ChainWalk {
    pub id: ChainId,
    /// Number of its trail.
    pub trail: u32,
    pub digests: Digests,
    /// Which of the digests are read; the others were found valid before.
    pub fresh: Vec<bool>,
    /// How many are still to come, the oldest ones.
    pub left: usize,
    pub walk: Option<Walk>,
    pub ring: Option<Arc<KeyRing>>,
    /// Where the chain's objects are, from the last digest that told.
    pub place: Option<Place>,
    pub bucket: String,
}

/// A digest as it was read.
struct Fetched {
    name: String,
    content: Content,
    location: Option<(Location, Place)>,
    /// When a backfill digest was made.
    made: Option<DateTime<Utc>>,
}

impl Run<'_> {
    /// Walks a chain through a day and to the first digest before it: what is missing in between belongs to the day.
    pub(super) async fn slice(&self, walk: &mut ChainWalk, day: NaiveDate) {
        if let Err(error) = self.try_slice(walk, day).await
            && let Ok(mut shared) = self.shared()
        {
            shared.failed.get_or_insert(error);
        }
    }

    async fn try_slice(&self, walk: &mut ChainWalk, day: NaiveDate) -> Result<()> {
        if walk.ring.is_none() {
            walk.ring = Some(self.ring(&walk.id).await?);
        }
        let of_day = walk.digests.entries[..walk.left].partition_point(|entry| entry.day() < day);
        let todo = of_day.saturating_sub(1)..walk.left;
        let digests: Vec<(Entry, String, bool)> = todo
            .clone()
            .rev()
            .map(|at| {
                let entry = walk.digests.entries[at];
                (entry, walk.digests.name(&walk.id, &entry), walk.fresh[at])
            })
            .collect();
        walk.left = todo.start;
        let fetches =
            digests.into_iter().map(|(entry, name, fresh)| async move { (entry, self.fetch(name, fresh).await) });
        let mut fetched = std::pin::pin!(futures::stream::iter(fetches).buffered(AHEAD));
        while let Some((entry, fetched)) = fetched.next().await {
            self.step(walk, entry, fetched).await?;
        }
        if walk.left == 0
            && let Some(done) = walk.walk.take()
        {
            self.holes(walk, &done.finish(self.options.from))?;
        }
        Ok(())
    }

    /// The keys of a chain's region. Where they cannot be had, that is told once, and no digest of it can be checked.
    async fn ring(&self, (trail, chain): &ChainId) -> Result<Arc<KeyRing>> {
        if *chain == Chain::Backfill && matches!(self.keys_from(), KeySource::Api(_)) {
            return Ok(Arc::default());
        }
        match self.keys.of_region(&trail.region).await {
            Ok(ring) => Ok(ring),
            Err(why) => {
                let region = TrailId { region: trail.region.clone(), ..nobody() };
                let problem = Problem::of(&region, ProblemKind::Unavailable, why);
                let mut shared = self.shared()?;
                if !shared.report.problems.contains(&problem) {
                    shared.report.problem(problem);
                }
                Ok(Arc::default())
            }
        }
    }

    fn keys_from(&self) -> &KeySource {
        self.keys.source()
    }

    async fn fetch(&self, name: String, fresh: bool) -> Fetched {
        if !fresh {
            return Fetched { name, content: Content::Known, location: None, made: None };
        }
        let (content, made) = match self.reader.read(name.clone(), read).await {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NotFound => (Content::Gone, None),
            Err(error) => (Content::Unreadable(error.to_string()), None),
        };
        let location = match &content {
            Content::Read(read) => Some(Place::of(&self.root, &name, &read.digest.location)),
            _ => None,
        };
        Fetched { name, content, location, made }
    }

    /// Looks at one digest.
    async fn step(&self, walk: &mut ChainWalk, entry: Entry, fetched: Fetched) -> Result<()> {
        let Fetched { name, content, location, made } = fetched;
        if let (Content::Read(read), Chain::Backfill, Some(made)) = (&content, walk.id.1, made) {
            self.add_backfill_keys(walk, &read.digest.fingerprint, made).await?;
        }
        let location = match location {
            Some((location, place)) => {
                if !location.bucket.is_empty() {
                    walk.bucket.clone_from(&location.bucket);
                    walk.place = Some(place);
                }
                location
            }
            None => self.location_of(walk, &name),
        };
        let found = Found { location, ends: entry.ends, content };
        let ring = walk.ring.clone().unwrap_or_default();
        let Some(steps) = &mut walk.walk else { return Ok(()) };
        let step = steps.step(&found, &ring);
        self.holes(walk, &step.holes)?;
        self.digest(walk, entry, &name, &found.content, &step.state).await
    }

    /// Where an object that does not tell is in the terms of digests.
    fn location_of(&self, walk: &ChainWalk, name: &str) -> Location {
        match &walk.place {
            Some(place) => place.location(name, &walk.bucket),
            None => Place::of(&self.root, name, &Location::new("", "")).0,
        }
    }

    async fn add_backfill_keys(&self, walk: &mut ChainWalk, fingerprint: &str, made: DateTime<Utc>) -> Result<()> {
        let ring = walk.ring.get_or_insert_default();
        if ring.contains(fingerprint) {
            return Ok(());
        }
        match self.keys.of_backfill(&walk.id.0.region, made).await {
            Ok(more) => Arc::make_mut(ring).extend(&more),
            Err(error) => {
                let problem = Problem::of(&walk.id.0, ProblemKind::Unavailable, error.to_string());
                self.shared()?.report.problem(problem);
            }
        }
        Ok(())
    }

    async fn digest(&self, walk: &ChainWalk, entry: Entry, name: &str, content: &Content, state: &State) -> Result<()> {
        let usual = (entry.ends - HOUR, entry.ends);
        let place = walk.place.clone().unwrap_or(Place::Bucket);
        let (status, span) = match (state, content) {
            (State::Known, _) => {
                let mut shared = self.shared()?;
                shared.report.digests.known += 1;
                shared.hours.known(walk.trail, entry.ends);
                return Ok(());
            }
            (State::Faulty(Fault::Gone), _) => {
                let location = Some(place.location(name, &walk.bucket));
                return self.holes(walk, &[Hole::Missing { location, from: usual.0, to: usual.1 }]);
            }
            (State::Valid, Content::Read(read)) => {
                self.starting(walk, &read.digest)?;
                (DigestStatus::Valid, (read.digest.starts, read.digest.ends))
            }
            (State::Faulty(fault), _) if fault.is_proof() => (DigestStatus::Invalid, usual),
            _ => (DigestStatus::Unverified, usual),
        };
        let (counts, mut problems) = match content {
            Content::Read(read) if status != DigestStatus::Invalid => {
                self.logs(&walk.id.0, &read.digest, &place).await?
            }
            _ => (Counts::default(), Vec::new()),
        };
        let mut shared = self.shared()?;
        let kind = match status {
            DigestStatus::Valid => {
                shared.report.digests.valid += 1;
                None
            }
            DigestStatus::Invalid => {
                shared.report.digests.invalid += 1;
                Some(ProblemKind::DigestModified)
            }
            _ => {
                shared.report.digests.unverified += 1;
                Some(ProblemKind::DigestUnverified)
            }
        };
        if let (Some(kind), State::Faulty(fault)) = (kind, state) {
            let problem = Problem::of(&walk.id.0, kind, fault.to_string()).during(usual.0, usual.1).object(name);
            shared.report.problem(problem.clone());
            problems.push(problem);
        }
        if self.ledger.is_some() {
            shared.hours.digest(walk.trail, entry.ends, span, status, &counts);
            for problem in &problems {
                shared.hours.problem(walk.trail, entry.hour(), in_words(problem));
            }
        }
        Ok(())
    }

    /// A trail's first digest tells when its hours begin.
    fn starting(&self, walk: &ChainWalk, digest: &digest::Digest) -> Result<()> {
        if walk.left == 0 && digest.previous.is_none() {
            let span = &mut self.shared()?.spans[walk.trail as usize];
            span.first = span.first.min(floor(digest.starts));
        }
        Ok(())
    }

    /// Notes what is not there.
    fn holes(&self, walk: &ChainWalk, holes: &[Hole]) -> Result<()> {
        let mut shared = self.shared()?;
        let trail = &walk.id.0;
        for hole in holes {
            let (problem, hour) = match hole {
                Hole::Missing { location, from, to } => {
                    shared.report.digests.missing += 1;
                    if self.ledger.is_some() {
                        shared.hours.missing(walk.trail, *from, *to);
                    }
                    let name = location.as_ref().map(|location| {
                        let place = walk.place.as_ref().and_then(|place| place.name(location));
                        place.unwrap_or_else(|| location.to_string())
                    });
                    let detail = match name {
                        Some(_) => "a later digest links to it: deleted",
                        None => "between two digests that do not link to each other: deleted, or never written",
                    };
                    let problem = Problem::of(trail, ProblemKind::DigestMissing, detail).during(*from, *to);
                    (Problem { object: name, ..problem }, digest::hours::hour_of(*to))
                }
                Hole::Gap { from, to } => {
                    let detail = "no digests were written: logging or validation was off";
                    (Problem::of(trail, ProblemKind::Gap, detail).during(*from, *to), floor(*from))
                }
                Hole::Elsewhere(location) => {
                    shared.report.elsewhere.insert(location.to_string());
                    continue;
                }
            };
            if self.ledger.is_some() {
                shared.hours.problem(walk.trail, hour, in_words(&problem));
            }
            shared.report.problem(problem);
        }
        Ok(())
    }
}

fn in_words(problem: &Problem) -> String {
    let object = problem.object.as_deref().unwrap_or_default();
    format!("{} {object}: {}", problem.kind.as_str(), problem.detail)
}

/// Reads a digest's object; of a backfill digest also when it was made.
fn read(object: &Described, text: &mut Vec<u8>) -> (Content, Option<DateTime<Utc>>) {
    let made = object.metadata.get("backfill-generation-timestamp").and_then(|text| text.parse().ok());
    if let Err(reject) = decode::decode(&object.bytes, MAX_DIGEST, text) {
        return (Content::Malformed(format!("{}: {}", reject.reason, reject.detail)), made);
    }
    let signature = match (object.metadata.get("signature"), object.metadata.get("signature-algorithm")) {
        (Some(value), Some(algorithm)) => Some(Signature { value: value.clone(), algorithm: algorithm.clone() }),
        _ => None,
    };
    let content = match digest::parse(text) {
        Ok(digest) => Content::Read(Read { digest: Box::new(digest), hash: digest::hash(text), signature }),
        Err(why) => Content::Malformed(why),
    };
    (content, made)
}
