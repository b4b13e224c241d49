//! Which events are in the lake or in this run already.
//!
//! Owns: the sets of event identities, by minute of event time, and how much of the lake's files is known.
//! Invariant: an event is admitted only when every part of a file that may hold a copy of it has been asked.
//!
//! A copy of an event carries the same event time, so it can only stand in a row group of the event's own day whose
//! event times span the event's. Of such a group either all identities are read, or, while few events ask, its bloom
//! filter is: what that says "no" to is new, and at the first "perhaps" the identities are read. Minutes whose groups are
//! all known are noted, so that most events cost one look into a set. Objects come in the order of their time, so that only
//! a few hours are in use at any moment, whatever a day has; the others are given up when room is needed.

use std::cmp::Reverse;
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
const READS: usize = 3;

/// Bytes that an identity takes on average: between 17 and 34, as a hash table doubles.
const KEY_BYTES: u64 = 26;

const HOURS: usize = 24;
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

/// First and last minute of a day between two instants, cut off at the day's ends.
fn minutes(day: i32, (low, high): (i64, i64)) -> (u16, u16) {
    let start = i64::from(day) * DAY_MICROS;
    let minute = |time: i64| time.saturating_sub(start).div_euclid(MINUTE_MICROS).clamp(0, i64::from(MINUTES) - 1);
    (minute(low) as u16, minute(high) as u16)
}

fn minute_of(time: i64) -> u16 {
    (time.rem_euclid(DAY_MICROS) / MINUTE_MICROS) as u16
}

fn hour_of(minute: u16) -> usize {
    usize::from(minute / 60)
}

fn spans((first, last): (u16, u16), minute: u16) -> bool {
    first <= minute && minute <= last
}

/// Hours of a day, a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hours(u32);

impl Hours {
    const ALL: Self = Self((1 << HOURS) - 1);

    /// Those that a span of minutes touches.
    fn of((first, last): (u16, u16)) -> Self {
        (hour_of(first)..=hour_of(last)).fold(Self::default(), Self::with)
    }

    fn with(self, hour: usize) -> Self {
        Self(self.0 | 1 << hour)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, hour: usize) -> Self {
        Self(self.0 & !(1 << hour))
    }

    fn has(self, hour: usize) -> bool {
        self.0 >> hour & 1 == 1
    }

    fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What is known of a row group.
#[derive(Default)]
struct GroupState {
    /// Hours whose identities are held.
    held: Hours,
    asked: usize,
    filter: Option<Arc<IdFilter>>,
}

/// A file whose footer has been read.
struct Open {
    keys: Arc<KeyFile>,
    groups: Vec<GroupState>,
}

impl Open {
    fn bytes(&self) -> u64 {
        let filters = self.groups.iter().filter_map(|group| group.filter.as_ref());
        self.keys.memory() + filters.map(|filter| filter.memory()).sum::<u64>()
    }

    fn spans(&self, day: i32) -> impl Iterator<Item = ((u16, u16), &GroupState)> {
        self.keys.groups().iter().map(move |group| minutes(day, group.times)).zip(&self.groups)
    }
}

/// What is known of a file.
struct LakeFile {
    file: DataFile,
    /// First and last minute of the day that it may hold events of.
    minutes: (u16, u16),
    /// Hours of which all of its identities are held.
    held: Hours,
    open: Option<Open>,
}

impl LakeFile {
    fn of(file: &DataFile, day: i32) -> Self {
        let bound = |values: &serde_json::Value| {
            let text = values["eventtime"].as_str()?;
            chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
        };
        let low = bound(&file.min_values).unwrap_or(i64::MIN);
        let high = bound(&file.max_values).unwrap_or(i64::MAX);
        Self { file: file.clone(), minutes: minutes(day, (low, high)), held: Hours::default(), open: None }
    }

    /// Whether it may hold events of a minute whose identities are not held.
    fn is_unknown(&self, day: i32, minute: u16) -> bool {
        let hour = hour_of(minute);
        let unknown = |open: &Open| open.spans(day).any(|(span, group)| spans(span, minute) && !group.held.has(hour));
        spans(self.minutes, minute) && !self.held.has(hour) && self.open.as_ref().is_none_or(unknown)
    }

    /// Notes that some hours of a group were read. A file that is held as a whole needs its footer no longer.
    fn learned(&mut self, day: i32, group: usize, hours: Hours) {
        let Some(open) = &mut self.open else { return };
        open.groups[group].held = open.groups[group].held.and(hours);
        open.groups[group].filter = None;
        if open.spans(day).all(|(span, group)| group.held.has_all(Hours::of(span))) {
            (self.held, self.open) = (Hours::ALL, None);
        }
    }

    fn forget(&mut self, hour: usize) {
        self.held = self.held.without(hour);
        let groups = self.open.iter_mut().flat_map(|open| &mut open.groups);
        groups.for_each(|group| group.held = group.held.without(hour));
    }
}

/// Identities of a minute of event time: few enough to stay in the processor's cache while they are in use.
#[derive(Default)]
struct Minute {
    /// Of the lake: can be read again.
    lake: KeySet,
    /// Admitted by this run.
    own: KeySet,
}

impl Minute {
    fn has(&self, key: EventKey) -> bool {
        self.own.contains(&key.0) || self.lake.contains(&key.0)
    }

    /// What was admitted is in the lake now.
    fn commit(&mut self) {
        let mut own = std::mem::take(&mut self.own);
        if own.len() > self.lake.len() {
            std::mem::swap(&mut own, &mut self.lake);
        }
        self.lake.extend(own);
    }
}

/// What is known of a day.
struct Day {
    minutes: Box<[Minute]>,
    /// When an hour was last used.
    used: [u64; HOURS],
    files: Vec<LakeFile>,
    /// Minutes of which every identity is held.
    settled: Box<[bool; MINUTES as usize]>,
}

impl Day {
    fn of(day: i32, files: &[DataFile]) -> Self {
        let files = files.iter().map(|file| LakeFile::of(file, day)).collect();
        let minutes = (0..MINUTES).map(|_| Minute::default()).collect();
        Self { minutes, used: [0; HOURS], files, settled: Box::new([false; MINUTES as usize]) }
    }

    fn bytes(&self) -> u64 {
        let open: u64 = self.files.iter().filter_map(|file| file.open.as_ref()).map(Open::bytes).sum();
        let sets = self.minutes.iter().flat_map(|minute| [&minute.lake, &minute.own]);
        sets.map(bytes).sum::<u64>() + open
    }

    fn minute(&mut self, time: i64) -> &mut Minute {
        &mut self.minutes[usize::from(minute_of(time))]
    }

    /// Notes identities of the lake. They are counted first, so that a minute's set grows once and not by doubling.
    fn learn<'e>(&mut self, events: impl Iterator<Item = &'e Identified> + Clone) {
        let mut counts = [0; MINUTES as usize];
        events.clone().for_each(|event| counts[usize::from(minute_of(event.time))] += 1);
        self.minutes.iter_mut().zip(counts).for_each(|(minute, count)| minute.lake.reserve(count));
        events.for_each(|event| _ = self.minute(event.time).lake.insert(event.key.0));
    }

    /// Notes that an hour was used.
    fn touch(&mut self, time: i64, turn: u64) {
        let used = &mut self.used[hour_of(minute_of(time))];
        *used = turn.max(*used);
    }

    fn questions<'i>(
        &self,
        events: &[(usize, Identified)],
        id_of: &impl Fn(usize) -> Option<&'i str>,
    ) -> Vec<Question> {
        let open = |event: &Identified| {
            let minute = usize::from(minute_of(event.time));
            !self.settled[minute] && !self.minutes[minute].has(event.key)
        };
        let question = |&(index, event): &(usize, Identified)| {
            let id = id_of(index).filter(|id| EventKey::of_event_id(id) == event.key).map(str::to_owned);
            Question { minute: minute_of(event.time), id }
        };
        let mut questions: Vec<Question> = events.iter().filter(|(_, event)| open(event)).map(question).collect();
        questions.sort_unstable_by_key(|question| question.minute);
        questions
    }

    /// Gives up what can be read again of an hour, and the footers once nothing else is held.
    fn forget(&mut self, hour: usize) {
        let minutes = hour * 60..(hour + 1) * 60;
        self.minutes[minutes.clone()].iter_mut().for_each(|minute| minute.lake = KeySet::default());
        self.settled[minutes].fill(false);
        self.files.iter_mut().for_each(|file| file.forget(hour));
        if self.minutes.iter().all(|minute| minute.lake.is_empty()) {
            self.files.iter_mut().for_each(|file| file.open = None);
        }
    }

    fn is_empty(&self) -> bool {
        self.minutes.iter().all(|minute| minute.lake.is_empty() && minute.own.is_empty())
    }

    fn settle(&mut self, day: i32, wanted: &BTreeSet<u16>) {
        for &minute in wanted {
            self.settled[usize::from(minute)] = !self.files.iter().any(|file| file.is_unknown(day, minute));
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
    /// Counts the batches of events by twos; hours age by it. An hour of the present turn's events is never given up:
    /// what was known of it when the questions were put is needed when they are admitted.
    turn: u64,
    /// The turns at which the batch before and the present one began.
    batches: (u64, u64),
    /// Bytes that all of it may take; beyond it, hours that are not in use are given up.
    budget: u64,
}

impl Seen {
    /// Knows nothing but which files there are.
    pub(super) fn new(snapshot: TableSnapshot, budget: u64) -> Self {
        let by_day = by_day(&snapshot);
        Self { snapshot, by_day, days: BTreeMap::new(), turn: 0, batches: (0, 0), budget }
    }

    /// The table's files, as far as they are asked.
    pub(super) fn snapshot(&self) -> &TableSnapshot {
        &self.snapshot
    }

    fn day(&mut self, day: i32) -> &mut Day {
        let files = || self.by_day.get(&day).map_or(&[][..], Vec::as_slice);
        self.days.entry(day).or_insert_with(|| Day::of(day, files()))
    }

    /// What has to be asked before a day's events can be admitted; mostly nothing.
    pub(super) fn questions<'i>(
        &mut self,
        day: i32,
        events: &[(usize, Identified)],
        id_of: impl Fn(usize) -> Option<&'i str>,
    ) -> Vec<Question> {
        self.turn += 2;
        let turn = self.turn;
        let known = self.day(day);
        events.iter().for_each(|(_, event)| known.touch(event.time, turn));
        known.questions(events, &id_of)
    }

    /// Asks the lake's files.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) async fn ask(&mut self, day: i32, questions: &[Question]) -> Result<()> {
        let wanted: BTreeSet<u16> = questions.iter().map(|question| question.minute).collect();
        let Some(known) = self.days.get_mut(&day) else { return Ok(()) };
        open(&self.snapshot, known, &wanted).await?;
        fetch_filters(day, known, questions).await?;
        let groups = undecided(day, known, questions);
        self.read(day, &groups).await?;
        self.day(day).settle(day, &wanted);
        Ok(())
    }

    /// Reads the identities of groups, and makes room for each.
    async fn read(&mut self, day: i32, groups: &[(usize, usize)]) -> Result<()> {
        let hours = self.window(day);
        let files = &self.day(day).files;
        let keys = |at: usize| files[at].open.as_ref().map(|open| Arc::clone(&open.keys));
        let open: Vec<_> = groups.iter().filter_map(|&(at, group)| Some((at, group, keys(at)?))).collect();
        let reads = open.into_iter().map(|(at, group, keys)| async move {
            let keys = keys.keys(group).await?;
            Ok::<_, crate::error::Error>((at, group, keys))
        });
        let mut reads = futures::stream::iter(reads).buffered(READS);
        while let Some((at, group, keys)) = reads.try_next().await? {
            // read now, but in nobody's use yet
            let turn = self.turn - 1;
            let known = self.day(day);
            let kept = keys.iter().filter(|event| hours.has(hour_of(minute_of(event.time))));
            known.learn(kept.clone());
            kept.for_each(|event| known.touch(event.time, turn));
            known.files[at].learned(day, group, hours);
            self.make_room(self.budget, self.turn);
        }
        Ok(())
    }

    /// The hours whose identities are kept when groups are read: those in use and, as events come in the order of their
    /// time, as many of the following as there is room for. A group may span the whole day, and would else push out
    /// again what the one before brought.
    fn window(&mut self, day: i32) -> Hours {
        let (turn, budget) = (self.turn, self.budget);
        let known = self.day(day);
        let rows: u64 = known.files.iter().map(|file| file.file.rows.unwrap_or(0)).sum();
        let room = budget.saturating_mul(HOURS as u64) / (rows * KEY_BYTES).max(1);
        let in_use: Vec<usize> = (0..HOURS).filter(|&hour| known.used[hour] == turn).collect();
        let last = in_use.last().copied().unwrap_or(0);
        let ahead = (last + 1..HOURS).chain(0..last).take(usize::try_from(room).unwrap_or(HOURS));
        in_use.iter().copied().chain(ahead).fold(Hours::default(), Hours::with)
    }

    /// Keeps those of a day's events that are new; they are known from then on. What had to be asked has been.
    pub(super) fn admit(&mut self, day: i32, events: &mut Vec<(usize, Identified)>) {
        let known = self.day(day);
        events.retain(|(_, event)| {
            let minute = known.minute(event.time);
            !minute.lake.contains(&event.key.0) && minute.own.insert(event.key.0)
        });
    }

    /// Goes on to a later snapshot, in which `learned` are files whose identities are known: those that this run has
    /// committed itself.
    pub(super) fn advance(&mut self, snapshot: TableSnapshot, learned: impl Fn(&Path) -> bool) {
        self.by_day = by_day(&snapshot);
        self.snapshot = snapshot;
        for (&day, known) in &mut self.days {
            let files = self.by_day.get(&day).map_or(&[][..], Vec::as_slice);
            let mut old: HashMap<Path, LakeFile> =
                known.files.drain(..).map(|file| (file.file.path.clone(), file)).collect();
            for file in files {
                let mut new = LakeFile::of(file, day);
                match old.remove(&file.path) {
                    Some(old) => (new.held, new.open) = (old.held, old.open),
                    None if learned(&file.path) => new.held = Hours::ALL,
                    None => (new.minutes.0..=new.minutes.1).for_each(|at| known.settled[usize::from(at)] = false),
                }
                known.files.push(new);
            }
        }
    }

    /// Notes identities that are in the lake, read elsewhere.
    pub(super) fn learn(&mut self, day: i32, events: &[Identified]) {
        if let Some(known) = self.days.get_mut(&day) {
            known.learn(events.iter());
        }
    }

    /// Starts the next batch: all that was admitted is in the lake now, and can be read from there again. Hours that
    /// neither this batch nor the one before used are given up, so that memory does not grow with what was ingested;
    /// half of the room is left to what comes.
    pub(super) fn next_batch(&mut self) {
        self.days.values_mut().flat_map(|day| &mut day.minutes).for_each(Minute::commit);
        let (before, present) = self.batches;
        for (day, hour) in self.by_age(before + 1) {
            self.days.entry(day).and_modify(|known| known.forget(hour));
        }
        self.batches = (present, self.turn);
        self.make_room(self.budget / 2, u64::MAX);
        self.days.retain(|_, day| !day.is_empty());
    }

    /// Gives up what can be read again of hours that were not used since a turn, those that were not used for longest
    /// first, and of those read at once the last: events come in the order of their time.
    fn make_room(&mut self, room: u64, since: u64) {
        let mut total: u64 = self.days.values().map(Day::bytes).sum();
        if total <= room {
            return;
        }
        for (day, hour) in self.by_age(since) {
            let Some(known) = self.days.get_mut(&day) else { continue };
            total -= known.bytes();
            known.forget(hour);
            total += known.bytes();
            if total <= room {
                break;
            }
        }
    }

    fn by_age(&self, since: u64) -> Vec<(i32, usize)> {
        let hours =
            self.days.iter().flat_map(|(&day, known)| (0..HOURS).map(move |hour| (known.used[hour], day, hour)));
        let unused = hours.filter(|&(used, ..)| used < since);
        let mut ages: Vec<_> = unused.map(|(used, day, hour)| (used, Reverse((day, hour)))).collect();
        ages.sort_unstable();
        ages.into_iter().map(|(_, Reverse(at))| at).collect()
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
        file.open.is_none()
            && wanted.iter().any(|&minute| spans(file.minutes, minute) && !file.held.has(hour_of(minute)))
    };
    let closed: Vec<usize> = (0..known.files.len()).filter(|&at| asked(&known.files[at])).collect();
    let reads = closed.into_iter().map(|at| {
        let file = known.files[at].file.clone();
        async move { KeyFile::open(snapshot, &file).await.map(|file| (at, file)) }
    });
    let opened: Vec<(usize, KeyFile)> = futures::stream::iter(reads).buffered(READS).try_collect().await?;
    for (at, file) in opened {
        let held = known.files[at].held;
        let groups = file.groups().iter().map(|_| GroupState { held, ..GroupState::default() }).collect();
        known.files[at].open = Some(Open { keys: Arc::new(file), groups });
    }
    Ok(())
}

/// Groups of open files that may hold one of the questions' events unknown to us: file, group, and who asks.
fn asked<'q>(day: i32, known: &Day, questions: &'q [Question]) -> Vec<(usize, usize, &'q [Question])> {
    let mut asked = Vec::new();
    for (at, file) in known.files.iter().enumerate() {
        for (index, (span, group)) in file.open.iter().flat_map(|open| open.spans(day)).enumerate() {
            let who = within(questions, span);
            if let (Some(first), Some(last)) = (who.first(), who.last())
                && !group.held.has_all(Hours::of((first.minute, last.minute)))
            {
                asked.push((at, index, who));
            }
        }
    }
    asked
}

/// The questions, which are in the order of their minutes, that a span holds.
fn within(questions: &[Question], (first, last): (u16, u16)) -> &[Question] {
    let start = questions.partition_point(|question| question.minute < first);
    let end = questions.partition_point(|question| question.minute <= last);
    &questions[start..end.max(start)]
}

/// Whether a group's filter is worth asking.
fn is_filtered(group: &KeyGroup, state: &GroupState, who: &[Question]) -> bool {
    group.has_filter()
        && group.rows > SMALL_GROUP
        && state.asked + who.len() <= MAX_ASKED
        && who.iter().all(|question| question.id.is_some())
}

async fn fetch_filters(day: i32, known: &mut Day, questions: &[Question]) -> Result<()> {
    let mut missing = Vec::new();
    for (at, index, who) in asked(day, known, questions) {
        let Some(Open { keys, groups }) = &known.files[at].open else { continue };
        if groups[index].filter.is_none() && is_filtered(&keys.groups()[index], &groups[index], who) {
            missing.push((at, index, Arc::clone(keys)));
        }
    }
    let reads = missing
        .into_iter()
        .map(|(at, index, keys)| async move { keys.filter(index).await.map(|filter| (at, index, filter)) });
    let read: Vec<_> = futures::stream::iter(reads).buffered(READS).try_collect().await?;
    for (at, index, filter) in read {
        if let Some(open) = &mut known.files[at].open {
            open.groups[index].filter = filter.map(Arc::new);
        }
    }
    Ok(())
}

/// Groups whose identities have to be read: those whose filter does not say "no" to all who ask.
fn undecided(day: i32, known: &mut Day, questions: &[Question]) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    for (at, index, who) in asked(day, known, questions) {
        let Some(Open { keys, groups: states }) = &mut known.files[at].open else { continue };
        let state = &mut states[index];
        let filter = state.filter.clone().filter(|_| is_filtered(&keys.groups()[index], state, who));
        let may_hold =
            |filter: &IdFilter| who.iter().any(|question| question.id.as_deref().is_none_or(|id| filter.may_hold(id)));
        match filter {
            Some(filter) if !may_hold(&filter) => state.asked += who.len(),
            _ => groups.push((at, index)),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
