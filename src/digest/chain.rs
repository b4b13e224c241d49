//! Walking a chain of digests from its newest to its oldest.
//!
//! Owns: what each digest of a chain is worth, and what is not there: deleted digests, one by one, and gaps.
//! A digest is signed by itself, and what it says of the one before is signed with it. So a digest that is gone is known
//! by name from its successor; of those behind it only the time is known in which they must have been.
//! Invariant: only what a valid digest says is believed; what an invalid one says can at most be tried out.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::hours::{HOUR, TOLERANCE};
use super::signature::{ALGORITHM, KeyRing, string_to_sign};
use super::{Digest, Location, key};

/// Holes are told hour by hour up to this many hours, then in one piece.
const MAX_SLOTS: usize = 24 * 31;

/// A digest that a listing shows.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it was found, in the terms in which digests speak of each other.
    pub location: Location,
    /// End of its time, from its key.
    pub ends: DateTime<Utc>,
    /// What was found there.
    pub content: Content,
}

/// What is known of a digest that a listing shows.
#[derive(Debug, Clone)]
pub enum Content {
    /// It was read.
    Read(Read),
    /// It was checked at an earlier time and is as it was.
    Known,
    /// It is no digest, says why.
    Malformed(String),
    /// It could not be read this time, says why.
    Unreadable(String),
    /// It was gone when it was to be read.
    Gone,
}

/// A digest that was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// What it says.
    pub digest: Box<Digest>,
    /// SHA-256 of its uncompressed text, in hexadecimal.
    pub hash: String,
    /// Its signature from the object's metadata; a copy in a folder has lost it.
    pub signature: Option<Signature>,
}

/// What the metadata of a digest's object says.
#[derive(Debug, Clone)]
pub struct Signature {
    /// In hexadecimal.
    pub value: String,
    /// The algorithm's name.
    pub algorithm: String,
}

/// What a digest is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// CloudTrail signed it, and it is where and what CloudTrail delivered.
    Valid,
    /// It was valid when it was checked before.
    Known,
    /// Not so, or not known.
    Faulty(Fault),
}

/// Why a digest is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is no digest.
    Malformed(String),
    /// It was delivered elsewhere.
    Moved(Location),
    /// Its signature is wrong.
    BadSignature,
    /// It is signed, but it is not the one that its successor links to.
    HashMismatch,
    /// Neither its metadata nor its successor has its signature.
    NoSignature,
    /// Its signature is of an unknown kind.
    UnknownAlgorithm(String),
    /// There is no public key of that fingerprint.
    NoKey(String),
    /// It could not be read.
    Unreadable(String),
    /// It was listed, and then it was gone.
    Gone,
}

impl Fault {
    /// Whether it is proof of a change, or only the lack of a proof that there was none.
    pub fn is_proof(&self) -> bool {
        use Fault::{BadSignature, Gone, HashMismatch, Malformed, Moved};
        matches!(self, Malformed(_) | Moved(_) | BadSignature | HashMismatch | Gone)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not a digest: {why}"),
            Self::Moved(from) => write!(f, "moved from its original location {from}"),
            Self::BadSignature => f.write_str("signature verification failed"),
            Self::HashMismatch => f.write_str("not the digest that its successor links to"),
            Self::NoSignature => f.write_str("no signature: neither metadata nor a later digest has it"),
            Self::UnknownAlgorithm(name) => write!(f, "unknown signature algorithm {name}"),
            Self::NoKey(fingerprint) => write!(f, "no public key of fingerprint {fingerprint}"),
            Self::Unreadable(why) => f.write_str(why),
            Self::Gone => f.write_str("deleted between listing and reading"),
        }
    }
}

/// What is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Hole {
    /// A digest that must have been there, by name where its successor links to it.
    Missing {
        /// Its name, where known.
        location: Option<Location>,
        /// Beginning of its time.
        from: DateTime<Utc>,
        /// End of its time.
        to: DateTime<Utc>,
    },
    /// No digests were written: the trail or its validation was off.
    Gap {
        /// End of the last digest before.
        from: DateTime<Utc>,
        /// Beginning of the first one after.
        to: DateTime<Utc>,
    },
    /// The chain goes on in another bucket.
    Elsewhere(Location),
}

/// What a step of the walk has shown: first what is not there between the digest before (the later one) and this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// From the later to the earlier.
    pub holes: Vec<Hole>,
    /// What the digest is worth.
    pub state: State,
}

/// What a digest says of the one before it.
#[derive(Debug, Clone)]
struct Expected {
    location: Location,
    ends: DateTime<Utc>,
    hash: Option<String>,
    signature: Option<String>,
    /// Said by a valid digest.
    trusted: bool,
    /// Bucket of the digest that says it.
    said_in: String,
}

/// The digest that was looked at last.
#[derive(Debug, Clone)]
struct Last {
    /// Beginning of its time; the usual hour before its end where it cannot be believed.
    starts: DateTime<Utc>,
    nature: Nature,
}

/// What kind of hole may follow on a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The first of a chain: before it, nothing was written for some time.
    Starting,
    /// Valid, with a link.
    Linked,
    /// Checked in an earlier run, as what is before it was.
    Known,
    /// Missing or not valid: nothing is known of what is before it.
    Doubtful,
}

/// A walk along a chain; digests are given from the newest to the oldest.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Digests that later ones link to and that were not met yet: one, as long as all is well.
    expected: Vec<Expected>,
    last: Option<Last>,
}

impl Walk {
    /// Looks at the next digest.
    pub fn step(&mut self, found: &Found, keys: &KeyRing) -> Step {
        let mut holes = self.passed(found.ends);
        holes.extend(self.hole_before(found.ends));
        let expected = self.take_expected(&found.location);
        let state = match &found.content {
            Content::Read(read) => check(found, read, expected.as_ref(), keys),
            Content::Known => State::Known,
            Content::Malformed(why) => State::Faulty(Fault::Malformed(why.clone())),
            Content::Unreadable(why) => State::Faulty(Fault::Unreadable(why.clone())),
            Content::Gone => State::Faulty(Fault::Gone),
        };
        self.follow(found, &state);
        Step { holes, state }
    }

    /// Ends the walk: what is linked to and was not met is missing, unless its time is before `from`. Whether there was
    /// anything before that is not known.
    pub fn finish(mut self, from: Option<DateTime<Utc>>) -> Vec<Hole> {
        let outside = |ends: DateTime<Utc>| from.is_some_and(|from| ends <= from);
        self.expected.retain(|expected| !outside(expected.ends));
        self.passed(DateTime::<Utc>::MIN_UTC)
    }

    /// What was linked to and should have come before a digest that ends then.
    fn passed(&mut self, ends: DateTime<Utc>) -> Vec<Hole> {
        let (mut passed, rest): (Vec<_>, Vec<_>) = self.expected.drain(..).partition(|expected| expected.ends > ends);
        self.expected = rest;
        passed.retain(|expected| expected.trusted);
        passed.sort_by(|a, b| (b.ends, &b.location).cmp(&(a.ends, &a.location)));
        passed.into_iter().map(|expected| self.miss(expected)).collect()
    }

    fn miss(&mut self, expected: Expected) -> Hole {
        let Expected { location, ends, said_in, .. } = expected;
        if said_in != location.bucket {
            // what is older here is from before the trail moved on, and has a chain of its own
            self.last = None;
            return Hole::Elsewhere(location);
        }
        self.last = Some(Last { starts: ends - HOUR, nature: Nature::Doubtful });
        Hole::Missing { location: Some(location), from: ends - HOUR, to: ends }
    }

    /// Time between the last digest and the next one that no digest is of.
    fn hole_before(&self, ends: DateTime<Utc>) -> Vec<Hole> {
        let Some(last) = &self.last else { return Vec::new() };
        let hole = last.starts - ends;
        match last.nature {
            Nature::Starting => vec![Hole::Gap { from: ends.min(last.starts), to: last.starts }],
            Nature::Linked if hole > TOLERANCE => vec![Hole::Gap { from: ends, to: last.starts }],
            Nature::Doubtful => slots(ends, last.starts),
            _ => Vec::new(),
        }
    }

    fn take_expected(&mut self, location: &Location) -> Option<Expected> {
        let (mut met, rest): (Vec<_>, Vec<_>) =
            self.expected.drain(..).partition(|expected| expected.location == *location);
        self.expected = rest;
        met.sort_by_key(|expected| expected.trusted);
        met.pop()
    }

    /// Notes what is to come, from what this digest says.
    fn follow(&mut self, found: &Found, state: &State) {
        let trusted = *state == State::Valid;
        let starts = found.ends - HOUR;
        let Content::Read(Read { digest, .. }) = &found.content else {
            let nature = if *state == State::Known { Nature::Known } else { Nature::Doubtful };
            self.last = Some(Last { starts, nature });
            return;
        };
        self.last = Some(match (trusted, &digest.previous) {
            (false, _) => Last { starts, nature: Nature::Doubtful },
            (true, None) => Last { starts: digest.starts, nature: Nature::Starting },
            (true, Some(_)) => Last { starts: digest.starts, nature: Nature::Linked },
        });
        if let Some(previous) = &digest.previous {
            let ends = key::parse(&previous.location.key).map_or(digest.starts, |key| key.ends);
            self.expected.push(Expected {
                location: previous.location.clone(),
                ends,
                hash: previous.hash.clone(),
                signature: digest.previous_signature.clone(),
                trusted,
                said_in: digest.location.bucket.clone(),
            });
        }
    }
}

/// Walks a whole chain that is in memory, from the newest digest to the oldest.
pub fn walk(chain: &[Found], keys: &KeyRing, from: Option<DateTime<Utc>>) -> (Vec<Step>, Vec<Hole>) {
    let mut walk = Walk::default();
    let steps = chain.iter().map(|found| walk.step(found, keys)).collect();
    (steps, walk.finish(from))
}

fn check(found: &Found, read: &Read, expected: Option<&Expected>, keys: &KeyRing) -> State {
    match fault(found, read, expected, keys) {
        Some(fault) => State::Faulty(fault),
        None => State::Valid,
    }
}

fn fault(found: &Found, read: &Read, expected: Option<&Expected>, keys: &KeyRing) -> Option<Fault> {
    let Read { digest, hash, signature } = read;
    if digest.location != found.location {
        return Some(Fault::Moved(digest.location.clone()));
    }
    let value = match signature {
        Some(signature) if signature.algorithm != ALGORITHM => {
            return Some(Fault::UnknownAlgorithm(signature.algorithm.clone()));
        }
        Some(signature) => Some(signature.value.as_str()),
        // a signature proves itself: it may come from anywhere
        None => expected.and_then(|expected| expected.signature.as_deref()),
    };
    let Some(value) = value else { return Some(Fault::NoSignature) };
    let linked = expected.filter(|expected| expected.trusted).and_then(|expected| expected.hash.as_deref());
    match keys.verify(&digest.fingerprint, &string_to_sign(digest, hash), value) {
        None => Some(Fault::NoKey(digest.fingerprint.clone())),
        Some(false) => Some(Fault::BadSignature),
        Some(true) if linked.is_some_and(|linked| !linked.eq_ignore_ascii_case(hash)) => Some(Fault::HashMismatch),
        Some(true) => None,
    }
}

/// The hours of a time in which there must have been digests, from the later to the earlier.
fn slots(from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Hole> {
    let mut holes = Vec::new();
    let mut to = to;
    while to - from > TOLERANCE {
        let length = if holes.len() == MAX_SLOTS { TimeDelta::MAX } else { HOUR };
        let start = to.checked_sub_signed(length).map_or(from, |start| start.max(from));
        holes.push(Hole::Missing { location: None, from: start, to });
        to = start;
    }
    holes
}
