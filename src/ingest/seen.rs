//! Which events are in the lake or in this run already.
//!
//! Owns: the sets of event identities, by day of event time, and how much of the lake's files is known.
//! Invariant: an event is admitted only when every part of a file that may hold a copy of it has been asked.
//!
//! A copy of an event carries the same event time, so it can only stand in a row group of the event's own day whose
//! event times span the event's. Of such a group either all identities are read, or, while few events ask, its bloom
//! filter is: what that says "no" to is new, and at the first "perhaps" the identities are read. Minutes whose groups are
//! all known are noted, so that most events cost one look into a set.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::batch::Identified;
use crate::batch::time::{DAY_MICROS, days};
use crate::error::Result;
use crate::event::EventKey;
use crate::lake::{IdFilter, KeyFile, KeyGroup};
use crate::table::{DataFile, TableSnapshot};

/// Events that a group's filter is asked about before its identities are read: as many as make a wrong "perhaps" likely.
const MAX_ASKED: usize = 100;

/// Rows of a group that is read at once: its filter would cost a request as well.
const SMALL_GROUP: u64 = 4096;

/// Files or groups read at the same time.
const READS: usize = 8;

const MINUTES: u16 = 1440;
const MINUTE_MICROS: i64 = 60_000_000;

/// Event identities are random bits already (or the head of a SHA-256): folding them is hash enough.
#[derive(Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = ((value >> 64) ^ value) as u64;
    }
}

/// A set of identities.
pub(super) type KeySet = HashSet<u128, BuildHasherDefault<Fold>>;

/// A hash table of 16-byte keys holds a key and a control byte per slot.
fn bytes(set: &KeySet) -> u64 {
    set.capacity() as u64 * 17
}

/// What is known of a row group.
#[derive(Default)]
struct GroupState {
    learned: bool,
    asked: usize,
    filter: Option<Arc<IdFilter>>,
}

/// What is known of a file.
enum FileState {
    /// Its name and bounds.
    Closed,
    /// Its footer, and some of its groups.
    Open(Arc<KeyFile>, Vec<GroupState>),
    /// All of its identities.
    Learned,
}

struct LakeFile {
    file: DataFile,
    /// First and last minute of the day that it may hold events of.
    minutes: (u16, u16),
    state: FileState,
}

impl LakeFile {
    fn of(file: &DataFile, day: i32) -> Self {
        let bound = |values: &serde_json::Value| {
            let text = values["eventtime"].as_str()?;
            chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
        };
        let low = bound(&file.min_values).unwrap_or(i64::MIN);
        let high = bound(&file.max_values).unwrap_or(i64::MAX);
        Self { file: file.clone(), minutes: minutes(day, (low, high)), state: FileState::Closed }
    }
}

/// First and last minute of a day between two instants, cut off at the day's ends.
fn minutes(day: i32, (low, high): (i64, i64)) -> (u16, u16) {
    let start = i64::from(day) * DAY_MICROS;
    let minute = |time: i64| time.saturating_sub(start).div_euclid(MINUTE_MICROS).clamp(0, i64::from(MINUTES) - 1);
    (minute(low) as u16, minute(high) as u16)
}

fn minute_of(time: i64) -> u16 {
    (time.rem_euclid(DAY_MICROS) / MINUTE_MICROS) as u16
}

fn spans((first, last): (u16, u16), minute: u16) -> bool {
    first <= minute && minute <= last
}

/// What is known of a day.
struct Day {
    /// Of the lake: can be read again.
    lake: KeySet,
    /// Admitted by this run.
    own: KeySet,
    files: Vec<LakeFile>,
    /// Minutes of which every group is learned.
    settled: Box<[bool; MINUTES as usize]>,
    used: u64,
}

impl Day {
    fn of(day: i32, files: &[DataFile], used: u64) -> Self {
        let files = files.iter().map(|file| LakeFile::of(file, day)).collect();
        let settled = Box::new([false; MINUTES as usize]);
        Self { lake: KeySet::default(), own: KeySet::default(), files, settled, used }
    }

    fn bytes(&self) -> u64 {
        let files: u64 = self.files.iter().map(|file| file.state.bytes()).sum();
        bytes(&self.lake) + bytes(&self.own) + files
    }

    fn has(&self, key: EventKey) -> bool {
        self.own.contains(&key.0) || self.lake.contains(&key.0)
    }

    fn questions<'i>(
        &self,
        events: &[(usize, Identified)],
        id_of: &impl Fn(usize) -> Option<&'i str>,
    ) -> Vec<Question> {
        let open = |event: &Identified| !self.settled[usize::from(minute_of(event.time))] && !self.has(event.key);
        let question = |&(index, event): &(usize, Identified)| {
            let id = id_of(index).filter(|id| EventKey::of_event_id(id) == event.key).map(str::to_owned);
            Question { minute: minute_of(event.time), id }
        };
        events.iter().filter(|(_, event)| open(event)).map(question).collect()
    }

    /// What was admitted is in the lake now.
    fn commit(&mut self) {
        let mut own = std::mem::take(&mut self.own);
        if own.len() > self.lake.len() {
            std::mem::swap(&mut own, &mut self.lake);
        }
        self.lake.extend(own);
    }

    /// Gives up what can be read again.
    fn forget(&mut self) {
        self.lake = KeySet::default();
        self.settled.fill(false);
        self.files.iter_mut().for_each(|file| file.state = FileState::Closed);
    }

    fn settle(&mut self, day: i32, wanted: &BTreeSet<u16>) {
        for &minute in wanted {
            let unknown = |file: &LakeFile| spans(file.minutes, minute) && file.state.is_unknown(day, minute);
            self.settled[usize::from(minute)] = !self.files.iter().any(unknown);
        }
    }
}

impl FileState {
    fn bytes(&self) -> u64 {
        match self {
            Self::Open(file, groups) => {
                let filters = groups.iter().filter_map(|group| group.filter.as_ref());
                file.memory() + filters.map(|filter| filter.memory()).sum::<u64>()
            }
            _ => 0,
        }
    }

    /// Whether it may hold events of a minute that are not learned.
    fn is_unknown(&self, day: i32, minute: u16) -> bool {
        match self {
            Self::Closed => true,
            Self::Learned => false,
            Self::Open(file, groups) => {
                let unknown = |(group, state): (&KeyGroup, &GroupState)| {
                    !state.learned && spans(minutes(day, group.times), minute)
                };
                file.groups().iter().zip(groups).any(unknown)
            }
        }
    }
}

/// An event that the lake's files have to be asked about.
pub(super) struct Question {
    minute: u16,
    /// Its event id; none where it is known by the hash of its text, which no filter has.
    id: Option<String>,
}

/// What is known of one table.
pub(super) struct Seen {
    snapshot: TableSnapshot,
    by_day: HashMap<i32, Vec<DataFile>>,
    days: BTreeMap<i32, Day>,
    /// Number of the current batch, by which days age.
    batch: u64,
    /// Bytes that all of it may take; beyond it, days that are not in use are given up.
    budget: u64,
}

impl Seen {
    /// Knows nothing but which files there are.
    pub(super) fn new(snapshot: TableSnapshot, budget: u64) -> Self {
        let by_day = by_day(&snapshot);
        Self { snapshot, by_day, days: BTreeMap::new(), batch: 0, budget }
    }

    /// The table's files, as far as they are asked.
    pub(super) fn snapshot(&self) -> &TableSnapshot {
        &self.snapshot
    }

    fn day(&mut self, day: i32) -> &mut Day {
        let (by_day, batch) = (&self.by_day, self.batch);
        let files = || by_day.get(&day).map_or(&[][..], Vec::as_slice);
        let known = self.days.entry(day).or_insert_with(|| Day::of(day, files(), batch));
        known.used = batch;
        known
    }

    /// What has to be asked before a day's events can be admitted; mostly nothing.
    pub(super) fn questions<'i>(
        &mut self,
        day: i32,
        events: &[(usize, Identified)],
        id_of: impl Fn(usize) -> Option<&'i str>,
    ) -> Vec<Question> {
        let questions = self.day(day).questions(events, &id_of);
        if !questions.is_empty() {
            self.make_room(day);
        }
        questions
    }

    /// Asks the lake's files.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) async fn ask(&mut self, day: i32, questions: &[Question]) -> Result<()> {
        let Some(known) = self.days.get_mut(&day) else { return Ok(()) };
        let wanted: BTreeSet<u16> = questions.iter().map(|question| question.minute).collect();
        open(&self.snapshot, known, &wanted).await?;
        fetch_filters(day, known, questions).await?;
        let groups = undecided(day, known, questions);
        learn(known, &groups).await?;
        known.settle(day, &wanted);
        Ok(())
    }

    /// Keeps those of a day's events that are new; they are known from then on. What had to be asked has been.
    pub(super) fn admit(&mut self, day: i32, events: &mut Vec<(usize, Identified)>) {
        let known = self.day(day);
        events.retain(|(_, event)| !known.lake.contains(&event.key.0) && known.own.insert(event.key.0));
    }

    /// Goes on to a later snapshot, in which `learned` are files whose identities are known: those that this run has
    /// committed itself.
    pub(super) fn advance(&mut self, snapshot: TableSnapshot, learned: impl Fn(&Path) -> bool) {
        self.by_day = by_day(&snapshot);
        self.snapshot = snapshot;
        for (&day, known) in &mut self.days {
            let files = self.by_day.get(&day).map_or(&[][..], Vec::as_slice);
            let mut old: HashMap<Path, FileState> =
                known.files.drain(..).map(|file| (file.file.path, file.state)).collect();
            for file in files {
                let mut new = LakeFile::of(file, day);
                match old.remove(&file.path) {
                    Some(state) => new.state = state,
                    None if learned(&file.path) => new.state = FileState::Learned,
                    None => (new.minutes.0..=new.minutes.1).for_each(|at| known.settled[usize::from(at)] = false),
                }
                known.files.push(new);
            }
        }
    }

    /// Notes identities that are in the lake, read elsewhere.
    pub(super) fn learn(&mut self, day: i32, keys: impl IntoIterator<Item = EventKey>) {
        if let Some(known) = self.days.get_mut(&day) {
            known.lake.extend(keys.into_iter().map(|key| key.0));
        }
    }

    /// Starts the next batch: all that was admitted is in the lake now, and can be read from there again. Days that
    /// have not been used for longest are given up until the rest leaves half of the room to what comes.
    pub(super) fn next_batch(&mut self) {
        self.batch += 1;
        self.days.values_mut().for_each(Day::commit);
        let mut total: u64 = self.days.values().map(Day::bytes).sum();
        for day in self.by_age() {
            if total <= self.budget / 2 {
                break;
            }
            total -= self.days.remove(&day).map_or(0, |known| known.bytes());
        }
    }

    fn by_age(&self) -> Vec<i32> {
        let mut ages: Vec<(u64, i32)> = self.days.iter().map(|(&day, known)| (known.used, day)).collect();
        ages.sort_unstable();
        ages.into_iter().map(|(_, day)| day).collect()
    }

    /// Makes room in the middle of a batch: gives up what can be read again, but for the day that is asked about: that
    /// would be read again at once.
    fn make_room(&mut self, day: i32) {
        let mut total: u64 = self.days.values().map(Day::bytes).sum();
        for old in self.by_age().into_iter().filter(|&other| other != day) {
            if total <= self.budget {
                break;
            }
            if let Some(known) = self.days.get_mut(&old) {
                total -= known.bytes();
                known.forget();
                total += known.bytes();
            }
        }
    }
}

fn by_day(snapshot: &TableSnapshot) -> HashMap<i32, Vec<DataFile>> {
    let mut by_day: HashMap<i32, Vec<DataFile>> = HashMap::new();
    for file in &snapshot.files {
        if let Some(day) = file.partition.as_deref().and_then(|date| date.parse().ok()).map(days) {
            by_day.entry(day).or_default().push(file.clone());
        }
    }
    by_day
}

/// Reads the footers of the files that may hold events of some minutes.
async fn open(snapshot: &TableSnapshot, known: &mut Day, wanted: &BTreeSet<u16>) -> Result<()> {
    let asked = |file: &LakeFile| {
        matches!(file.state, FileState::Closed) && wanted.iter().any(|&minute| spans(file.minutes, minute))
    };
    let closed: Vec<usize> = (0..known.files.len()).filter(|&at| asked(&known.files[at])).collect();
    let reads = closed.into_iter().map(|at| {
        let file = known.files[at].file.clone();
        async move { KeyFile::open(snapshot, &file).await.map(|file| (at, file)) }
    });
    let opened: Vec<(usize, KeyFile)> = futures::stream::iter(reads).buffered(READS).try_collect().await?;
    for (at, file) in opened {
        let groups = file.groups().iter().map(|_| GroupState::default()).collect();
        known.files[at].state = FileState::Open(Arc::new(file), groups);
    }
    Ok(())
}

/// Groups of open files that are not learned and may hold one of the questions' events: file, group, and who asks.
fn asked<'q>(day: i32, known: &Day, questions: &'q [Question]) -> Vec<(usize, usize, Vec<&'q Question>)> {
    let mut asked = Vec::new();
    for (at, file) in known.files.iter().enumerate() {
        let FileState::Open(keys, states) = &file.state else { continue };
        for (index, (group, state)) in keys.groups().iter().zip(states).enumerate() {
            let span = minutes(day, group.times);
            let who: Vec<&Question> = questions.iter().filter(|question| spans(span, question.minute)).collect();
            if !state.learned && !who.is_empty() {
                asked.push((at, index, who));
            }
        }
    }
    asked
}

/// Whether a group's filter is worth asking.
fn is_filtered(group: &KeyGroup, state: &GroupState, who: &[&Question]) -> bool {
    group.has_filter()
        && group.rows > SMALL_GROUP
        && state.asked + who.len() <= MAX_ASKED
        && who.iter().all(|question| question.id.is_some())
}

async fn fetch_filters(day: i32, known: &mut Day, questions: &[Question]) -> Result<()> {
    let mut missing = Vec::new();
    for (at, index, who) in asked(day, known, questions) {
        let FileState::Open(keys, states) = &known.files[at].state else { continue };
        if states[index].filter.is_none() && is_filtered(&keys.groups()[index], &states[index], &who) {
            missing.push((at, index, Arc::clone(keys)));
        }
    }
    let reads = missing
        .into_iter()
        .map(|(at, index, keys)| async move { keys.filter(index).await.map(|filter| (at, index, filter)) });
    let read: Vec<_> = futures::stream::iter(reads).buffered(READS).try_collect().await?;
    for (at, index, filter) in read {
        if let FileState::Open(_, states) = &mut known.files[at].state {
            states[index].filter = filter.map(Arc::new);
        }
    }
    Ok(())
}

/// Groups whose identities have to be read: those whose filter does not say "no" to all who ask.
fn undecided(day: i32, known: &mut Day, questions: &[Question]) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    for (at, index, who) in asked(day, known, questions) {
        let FileState::Open(keys, states) = &mut known.files[at].state else { continue };
        let state = &mut states[index];
        let filter = state.filter.clone().filter(|_| is_filtered(&keys.groups()[index], state, &who));
        let may_hold =
            |filter: &IdFilter| who.iter().any(|question| question.id.as_deref().is_none_or(|id| filter.may_hold(id)));
        match filter {
            Some(filter) if !may_hold(&filter) => state.asked += who.len(),
            _ => groups.push((at, index)),
        }
    }
    groups
}

/// Reads the identities of groups.
async fn learn(known: &mut Day, groups: &[(usize, usize)]) -> Result<()> {
    let files: Vec<(usize, usize, Arc<KeyFile>)> = groups
        .iter()
        .filter_map(|&(at, index)| match &known.files[at].state {
            FileState::Open(keys, _) => Some((at, index, Arc::clone(keys))),
            _ => None,
        })
        .collect();
    let reads =
        files.into_iter().map(|(at, index, keys)| async move { keys.keys(index).await.map(|keys| (at, index, keys)) });
    let mut reads = futures::stream::iter(reads).buffered(READS);
    while let Some((at, index, keys)) = reads.try_next().await? {
        known.lake.extend(keys.into_iter().map(|key| key.0));
        if let FileState::Open(_, states) = &mut known.files[at].state {
            (states[index].learned, states[index].filter) = (true, None);
            if states.iter().all(|state| state.learned) {
                known.files[at].state = FileState::Learned;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
