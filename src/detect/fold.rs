//! A day's calls -> cells.
//!
//! Owns: which calls are alike. Refuses: reading them from anywhere; they come as columns.
//! Invariant: the cells and their order depend on the set of calls only, not on how batches arrive. What is held is bounded:
//! where cells and their distinct texts would take more, calls lose what tells them apart (`level`).

use std::hash::{Hash, Hasher};

use chrono::{DateTime, Utc};

use super::cell::{Cell, SLOTS, slot_of};
use super::coded::codes;
use super::columns::{Columns, SUCCESS, or_none, text};
use super::effect::{self, SEPARATOR};
use super::feature::{self, ActorKind, NONE, view};
use super::level::{Level, Part};
use super::names::{Map, Name, Names};
use super::place::{Place, Places};
use super::reads;
use crate::agent;
use crate::batch::dictionary::{Dictionary, NULL};

/// What calls of one cell have in common, as codes: actor, key, account, API, region, address, agent, outcome, resource,
/// consequences, bucket read from.
const PARTS: usize = 11;
const ACTOR: usize = 0;
const KEY: usize = 1;
const ACCOUNT: usize = 2;
const API: usize = 3;
const REGION: usize = 4;
const ADDRESS: usize = 5;
const AGENT: usize = 6;
const OUTCOME: usize = 7;
const RESOURCE: usize = 8;
const EFFECTS: usize = 9;
const READS: usize = 10;

/// Bytes of user agents whose families are remembered: whoever calls writes them as it likes.
const KNOWN_AGENTS: usize = 16 << 20;

#[derive(PartialEq, Eq, Clone, Copy)]
struct Alike {
    parts: [u32; PARTS],
    hour: u8,
    writes: bool,
}

impl Hash for Alike {
    /// Two codes at a time: as bytes they took three times as long.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.as_chunks::<2>().0.iter().for_each(|pair| state.write_u64(both(*pair)));
        let hour = u32::from(self.hour) << 1 | u32::from(self.writes);
        state.write_u64(both([self.parts[READS], hour]));
    }
}

fn both([high, low]: [u32; 2]) -> u64 {
    u64::from(high) << u32::BITS | u64::from(low)
}

/// First and last call in microseconds, how many, bytes read, and how many in each part of the hour.
#[derive(Clone, Copy)]
struct Calls {
    first: i64,
    last: i64,
    calls: i64,
    bytes: i64,
    slots: [u32; SLOTS],
}

impl Calls {
    /// None yet, around an instant.
    fn none(time: i64) -> Self {
        Self { first: time, last: time, calls: 0, bytes: 0, slots: [0; SLOTS] }
    }

    /// Adds a call.
    fn add(&mut self, time: i64, bytes: i64) {
        (self.first, self.last) = (self.first.min(time), self.last.max(time));
        self.calls += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let slot = &mut self.slots[slot_of(time)];
        *slot = slot.saturating_add(1);
    }

    /// Adds others.
    fn join(&mut self, other: &Self) {
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        self.calls += other.calls;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.slots.iter_mut().zip(other.slots).for_each(|(slot, more)| *slot = slot.saturating_add(more));
    }
}

/// What stands for a text that was forgotten: no text has such a byte.
const FORGOTTEN: &[u8] = b"\xff";

/// Bytes that a cell takes until its day is scored, and a text beside its own bytes, which are held twice at most.
const CELL_BYTES: usize = 520;
const TEXT_BYTES: usize = 200;

/// Share of what may be held by which texts of no cell may exceed it, before they are looked for.
const SLACK: usize = 4;

/// Cells under construction.
pub struct Fold {
    /// Bytes that cells and texts may take.
    limit: usize,
    level: Level,
    /// Calls that were forgotten as a whole.
    lost: i64,
    parts: [Dictionary; PARTS],
    cells: Map<Alike, Calls>,
    /// Whether an actor, by its code, is AWS itself.
    services: Vec<bool>,
    /// Code of the API of a source and a name.
    apis: Map<(u32, u32), u32>,
    sources: Dictionary,
    operations: Dictionary,
    /// Code of the family of a user agent.
    families: Vec<u32>,
    agents: Dictionary,
    /// Of the batch that is read.
    reading: Reading,
}

/// What was read from the parameters of a batch's calls, by caller, API, whether they write or read, and the places of the texts:
/// cells of one entry of a file's dictionary are one place.
type Reading = Map<(u64, u64, u128, u128), [u32; 3]>;

impl Fold {
    /// Holds so many bytes of cells and texts.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            level: Level::default(),
            lost: 0,
            parts: Default::default(),
            cells: Map::default(),
            services: Vec::new(),
            apis: Map::default(),
            sources: Dictionary::default(),
            operations: Dictionary::default(),
            families: Vec::new(),
            agents: Dictionary::default(),
            reading: Reading::default(),
        }
    }

    /// Adds a batch's events, those that are calls of an actor.
    pub fn add(&mut self, columns: &Columns) {
        let actors = codes(&columns.actor, |_| true, |actor| actor.and_then(|actor| self.actor(actor)).unwrap_or(NULL));
        let is_call = |row: usize| actors[row] != NULL;
        let mut of = |part: usize, column, absent| {
            codes(column, is_call, |text| self.parts[part].intern(text.unwrap_or(absent).as_bytes()))
        };
        let accounts = of(ACCOUNT, &columns.account, NONE);
        let regions = of(REGION, &columns.region, NONE);
        let addresses = of(ADDRESS, &columns.address, NONE);
        let outcomes = of(OUTCOME, &columns.outcome, SUCCESS);
        let sources = codes(&columns.source, is_call, |text| self.sources.intern(or_none(text).as_bytes()));
        let operations = codes(&columns.operation, is_call, |text| self.operations.intern(or_none(text).as_bytes()));
        let agents = codes(&columns.agent, is_call, |text| self.agent(or_none(text)));
        self.reading.clear();
        for row in columns.rows().filter(|row| is_call(*row)) {
            let mut parts = [0; PARTS];
            parts[ACTOR] = actors[row];
            parts[KEY] = self.key(columns.key(row));
            parts[ACCOUNT] = accounts[row];
            parts[API] = self.api(sources[row], operations[row]);
            parts[REGION] = regions[row];
            parts[ADDRESS] = addresses[row];
            parts[AGENT] = agents[row];
            parts[OUTCOME] = outcomes[row];
            self.call(columns, row, parts);
        }
        if self.size() > self.limit + self.limit / SLACK {
            self.ease();
        }
    }

    /// Adds a call, of which all is known that does not stand in its parameters.
    fn call(&mut self, columns: &Columns, row: usize, mut parts: [u32; PARTS]) {
        let writes = columns.readonly.at(row) == 0;
        let hour = columns.time.hour(row);
        if !is_looked_at(self.level, writes, hour, |part| self.bytes(&parts, part)) {
            self.lost += 1;
            return;
        }
        [parts[RESOURCE], parts[EFFECTS], parts[READS]] = self.read(columns, row, &parts, writes);
        let time = columns.time.at(row);
        let bytes = match self.bytes(&parts, READS) {
            [] => 0,
            _ => text(&columns.transferred, row).map_or(0, reads::bytes),
        };
        let cell = self.cells.entry(Alike { parts, hour, writes });
        cell.or_insert_with(|| Calls::none(time)).add(time, bytes);
    }

    /// The code of an actor; `None` for AWS itself.
    fn actor(&mut self, actor: &str) -> Option<u32> {
        let code = self.parts[ACTOR].intern(actor.as_bytes());
        if code as usize == self.services.len() {
            self.services.push(ActorKind::of(&feature::profile(actor)) == ActorKind::Service);
        }
        (!self.services[code as usize]).then_some(code)
    }

    fn bytes(&self, parts: &[u32; PARTS], part: usize) -> &[u8] {
        self.parts[part].get(parts[part])
    }

    fn key(&mut self, key: &str) -> u32 {
        let kept = key.is_empty() || self.level.keeps(Part::Key, &[key.as_bytes()]);
        self.parts[KEY].intern(if kept { key.as_bytes() } else { FORGOTTEN })
    }

    fn api(&mut self, source: u32, operation: u32) -> u32 {
        let Self { parts, apis, sources, operations, .. } = self;
        let name = |texts: &Dictionary, code| std::str::from_utf8(texts.get(code)).unwrap_or_default().to_owned();
        let api = || feature::api(&name(sources, source), &name(operations, operation));
        *apis.entry((source, operation)).or_insert_with(|| parts[API].intern(api().as_bytes()))
    }

    fn agent(&mut self, agent: &str) -> u32 {
        if self.agents.value_bytes() > KNOWN_AGENTS {
            self.agents.clear();
            self.families.clear();
        }
        let code = self.agents.intern(agent.as_bytes());
        if code as usize == self.families.len() {
            let family = agent::habit(agent).filter(|_| agent != NONE);
            self.families.push(self.parts[AGENT].intern(family.as_deref().unwrap_or(NONE).as_bytes()));
        }
        self.families[code as usize]
    }

    /// Codes of what a call is about, of what it would do, and of the bucket that it reads from.
    fn read(&mut self, columns: &Columns, row: usize, parts: &[u32; PARTS], writes: bool) -> [u32; 3] {
        let (parameters, additional) = (view(&columns.parameters, row), view(&columns.additional, row));
        // who calls where is a part of what a call would do, and only what writes or signs in would do something
        let caller = if writes || additional != 0 { [parts[ACTOR], parts[ACCOUNT]] } else { [0; 2] };
        let reads = is_read(writes, self.bytes(parts, OUTCOME));
        let kind = both([parts[API], u32::from(writes) << 1 | u32::from(reads)]);
        let key = (both(caller), kind, parameters, additional);
        if let Some(known) = self.reading.get(&key) {
            return *known;
        }
        let of = |part: usize| std::str::from_utf8(self.parts[part].get(parts[part])).unwrap_or_default();
        let call = effect::Call {
            api: of(API),
            parameters: text(&columns.parameters, row),
            additional: text(&columns.additional, row),
            actor: of(ACTOR),
            account: of(ACCOUNT),
        };
        let resource = call.parameters.and_then(|parameters| effect::resource(call.api, parameters));
        let acts = call.api == "signin:ConsoleLogin" || writes && call.parameters.is_some();
        let effects = if acts { effect::effects(&call) } else { String::new() };
        let bucket = call.parameters.and_then(|parameters| reads::bucket(call.api, parameters));
        let (resource, bucket) = (resource.unwrap_or_default(), bucket.unwrap_or_default());
        let [resource, effects, bucket] =
            eased(self.level, reads, [resource.as_bytes(), effects.as_bytes(), bucket.as_bytes()]);
        let read = [
            self.parts[RESOURCE].intern(resource),
            self.parts[EFFECTS].intern(effects),
            self.parts[READS].intern(bucket),
        ];
        self.reading.insert(key, read);
        read
    }

    /// Bytes that cells and texts take, texts of no cell among them.
    fn size(&self) -> usize {
        let texts = |texts: &Dictionary| 2 * texts.value_bytes() + TEXT_BYTES * texts.len();
        CELL_BYTES * self.cells.len() + self.parts.iter().map(texts).sum::<usize>()
    }

    /// Forgets as little as suffices.
    fn ease(&mut self) {
        self.rebuild();
        while self.size() > self.limit
            && let Some(level) = self.level.next()
        {
            self.level = level;
            self.rebuild();
        }
    }

    /// Makes the cells anew as they are at the level, with their texts and no others.
    fn rebuild(&mut self) {
        let old = std::mem::take(&mut self.parts);
        let mut codes: [Vec<u32>; PARTS] = std::array::from_fn(|part| vec![NULL; old[part].len()]);
        for (mut alike, calls) in std::mem::take(&mut self.cells) {
            let text = |part: usize| old[part].get(alike.parts[part]);
            if !is_looked_at(self.level, alike.writes, alike.hour, text) {
                self.lost += calls.calls;
                continue;
            }
            let mut texts: [&[u8]; PARTS] = std::array::from_fn(text);
            let reads = is_read(alike.writes, texts[OUTCOME]);
            [texts[RESOURCE], texts[EFFECTS], texts[READS]] =
                eased(self.level, reads, [texts[RESOURCE], texts[EFFECTS], texts[READS]]);
            if !texts[KEY].is_empty() && !self.level.keeps(Part::Key, &[texts[KEY]]) {
                texts[KEY] = FORGOTTEN;
            }
            for (part, text) in texts.into_iter().enumerate() {
                let known = &mut codes[part][alike.parts[part] as usize];
                // a text may be kept for one call and forgotten for another
                let is_own = matches!(part, RESOURCE | EFFECTS | KEY | READS);
                if *known == NULL || is_own {
                    *known = self.parts[part].intern(text);
                }
                alike.parts[part] = *known;
            }
            self.cells.entry(alike).or_insert_with(|| Calls::none(calls.first)).join(&calls);
        }
        self.services = vec![false; self.parts[ACTOR].len()];
        self.apis.clear();
        self.families.clear();
        [&mut self.sources, &mut self.operations, &mut self.agents].into_iter().for_each(Dictionary::clear);
        self.reading.clear();
    }

    /// Forgets what is too much of a day that is whole, and tells what was forgotten.
    pub fn finish(&mut self) -> Forgotten {
        if self.size() > self.limit {
            self.ease();
        }
        let calls = |part: usize| {
            let is_forgotten = |(alike, _): &(&Alike, &Calls)| self.bytes(&alike.parts, part) == FORGOTTEN;
            self.cells.iter().filter(is_forgotten).map(|(_, calls)| calls.calls).sum::<i64>()
        };
        let all = self.lost + self.cells.values().map(|calls| calls.calls).sum::<i64>();
        match self.level.is_whole() {
            true => Forgotten { all, ..Forgotten::default() },
            false => Forgotten {
                all,
                resources: calls(RESOURCE),
                keys: calls(KEY),
                effects: calls(EFFECTS),
                calls: self.lost,
            },
        }
    }

    /// The cells in the order of their first call, then of all their members.
    pub fn cells(self, names: &mut Names, places: &mut Places) -> Vec<Cell> {
        let Self { parts, cells, .. } = self;
        let ranks = parts.each_ref().map(ranks);
        let mut sorted: Vec<(Alike, Calls)> = cells.into_iter().collect();
        let texts = |(alike, _): &(Alike, Calls)| -> [u32; PARTS] {
            std::array::from_fn(|part| ranks[part][alike.parts[part] as usize])
        };
        // no two are equal in all of this: of like calls of different hours the first ones differ
        sorted.sort_unstable_by(|a, b| {
            let first = a.1.first.cmp(&b.1.first);
            first.then_with(|| (texts(a), a.0.writes, a.1.last).cmp(&(texts(b), b.0.writes, b.1.last)))
        });
        let named = Named::of(&parts, names, places);
        sorted.iter().map(|(alike, calls)| named.cell(alike, calls)).collect()
    }
}

/// What was forgotten of a day, in calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// All calls of the day.
    pub all: i64,
    /// Calls of which it is not known what they are about.
    pub resources: i64,
    /// Calls of which the access key is not known.
    pub keys: i64,
    /// Calls of which it is not known what they would do.
    pub effects: i64,
    /// Calls that were not looked at.
    pub calls: i64,
}

impl Forgotten {
    /// In words; `None` where nothing was.
    pub fn told(&self) -> Option<String> {
        let Self { all, resources, keys, effects, calls } = *self;
        let parts = [
            (resources, "without what they are about"),
            (keys, "without their access key"),
            (effects, "without what they would do"),
            (calls, "not at all"),
        ];
        let parts = parts.into_iter().filter(|(calls, _)| *calls > 0).map(|(calls, how)| format!("{calls} {how}"));
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| {
            let parts = parts.join(", ");
            format!("more different calls than --memory-limit allows to hold; of {all}, there were looked at {parts}")
        })
    }
}

/// Whether a call reads, and succeeded.
fn is_read(writes: bool, outcome: &[u8]) -> bool {
    !writes && outcome == SUCCESS.as_bytes()
}

/// Whether a level leaves a call in. What it may have forgotten of it is not asked.
fn is_looked_at<'t>(level: Level, writes: bool, hour: u8, text: impl Fn(usize) -> &'t [u8]) -> bool {
    if level.is_whole() {
        return true;
    }
    let (hour, parts) = ([hour], [ACTOR, ADDRESS, ACCOUNT, API, REGION, AGENT]);
    let [actor, address, others @ ..] = parts.map(&text);
    let [account, api, region, agent] = others;
    let reading = [actor, address, account, api, region, agent, &hour];
    let is_kept = !is_read(writes, text(OUTCOME)) || level.keeps(Part::Reading, &reading);
    is_kept && level.keeps(Part::Caller, &[actor, address])
}

/// What a call is about, what it would do and the bucket that it reads from, as far as a level keeps it; what there is none of, or
/// was forgotten, stays so. A bucket is forgotten with what a call is about, as if it read none.
fn eased(level: Level, reads: bool, [resource, effects, bucket]: [&[u8]; 3]) -> [&[u8]; 3] {
    let part = if reads { Part::ReadResource } else { Part::Resource };
    let kept = |part, text: &[u8]| text.is_empty() || text == NONE.as_bytes() || level.keeps(part, &[text]);
    [
        if kept(part, resource) { resource } else { FORGOTTEN },
        if kept(Part::Effects, effects) { effects } else { FORGOTTEN },
        if kept(part, resource) && resource != FORGOTTEN && kept(part, bucket) { bucket } else { b"" },
    ]
}

/// The place of each value in the order of the values.
fn ranks(values: &Dictionary) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|a, b| values.get(*a).cmp(values.get(*b)));
    let mut ranks = vec![0; order.len()];
    order.iter().enumerate().for_each(|(rank, code)| ranks[*code as usize] = rank as u32);
    ranks
}

/// What each value of a day means, by its code: looked up once, not once a cell.
struct Named {
    names: [Vec<Name>; PARTS],
    profiles: Vec<Name>,
    peers: Vec<Name>,
    prefixes: Vec<Name>,
    places: Vec<Place>,
    effects: Vec<Vec<Name>>,
    /// The name of a resource that there is none of, and of the empty text.
    absent: [Name; 2],
    /// Codes of a key and a resource that were forgotten.
    forgotten: [Option<usize>; 2],
    /// The name of the outcome of what succeeded.
    success: Name,
}

impl Named {
    fn of(parts: &[Dictionary; PARTS], names: &mut Names, places: &mut Places) -> Self {
        let texts = |part: usize| {
            (0..parts[part].len() as u32)
                .map(move |code| std::str::from_utf8(parts[part].get(code)).unwrap_or_default())
        };
        let mut named =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| names.of(&text)).collect::<Vec<Name>>();
        let profiles = named(&mut texts(ACTOR).map(feature::profile));
        let peers = named(&mut texts(ACTOR).map(feature::peer));
        let prefixes = named(&mut texts(ADDRESS).map(feature::network));
        let of_effects =
            |text: &str| text.split(SEPARATOR).filter(|one| !is_absent(one)).map(str::to_owned).collect::<Vec<_>>();
        let effects = texts(EFFECTS).map(|text| named(&mut of_effects(text).into_iter())).collect();
        let (absent, success) = ([NONE, ""].map(|text| names.of(text)), names.of(SUCCESS));
        let code = |part: usize| (0..parts[part].len()).find(|code| parts[part].get(*code as u32) == FORGOTTEN);
        let forgotten = [KEY, RESOURCE].map(code);
        let parts = std::array::from_fn(|part| texts(part).map(|text| names.of(text)).collect());
        let places = prefixes.iter().map(|prefix| places.of(*prefix, names)).collect();
        Self { names: parts, profiles, peers, prefixes, places, effects, absent, forgotten, success }
    }

    fn cell(&self, alike: &Alike, calls: &Calls) -> Cell {
        let code = |part: usize| alike.parts[part] as usize;
        let name = |part: usize| self.names[part][code(part)];
        let instant = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
        let succeeded = name(OUTCOME) == self.success;
        Cell {
            actor: name(ACTOR),
            profile: self.profiles[code(ACTOR)],
            peer: self.peers[code(ACTOR)],
            key: name(KEY),
            account: name(ACCOUNT),
            api: name(API),
            region: name(REGION),
            address: name(ADDRESS),
            prefix: self.prefixes[code(ADDRESS)],
            place: self.places[code(ADDRESS)],
            agent: name(AGENT),
            outcome: name(OUTCOME),
            resource: Some(name(RESOURCE)).filter(|name| !self.absent.contains(name)),
            effects: self.effects[code(EFFECTS)].clone(),
            any_key: Some(code(KEY)) == self.forgotten[0],
            any_resource: Some(code(RESOURCE)) == self.forgotten[1],
            // what was denied read nothing
            reads: Some(name(READS)).filter(|name| succeeded && !self.absent.contains(name)),
            bytes: calls.bytes,
            writes: alike.writes,
            first: instant(calls.first),
            last: instant(calls.last),
            calls: calls.calls,
            slots: calls.slots,
        }
    }
}

fn is_absent(text: &str) -> bool {
    text.is_empty() || text == NONE
}

#[cfg(test)]
mod tests {
    use super::super::columns::batch;
    use super::*;

    type Call<'a> = (&'a str, Option<&'a str>, i64);

    fn cells(batches: &[&[Call<'_>]]) -> Vec<(String, String, i64, i64, i64)> {
        let (mut names, mut fold) = (Names::default(), Fold::new(usize::MAX / 2));
        for calls in batches {
            fold.add(&Columns::of(&batch(calls, &[])).unwrap());
        }
        let cells = fold.cells(&mut names, &mut Places::default());
        let text = |cell: &Cell| {
            let resource = cell.resource.map(|name| names.text(name).to_owned()).unwrap_or_default();
            (names.text(cell.api).to_owned(), resource, cell.first.timestamp(), cell.last.timestamp(), cell.calls)
        };
        cells.iter().map(text).collect()
    }

    #[test]
    fn like_calls_of_an_hour_are_one_cell_however_they_arrive() {
        let bucket = Some(r#"{"bucketName":"logs"}"#);
        let all = [
            ("GetObject", bucket, 7100),
            ("ListBuckets", None, 30),
            ("GetObject", bucket, 90),
            ("GetObject", bucket, 60),
        ];
        let expected = [
            ("s3:ListBuckets".to_owned(), String::new(), 30, 30, 1),
            ("s3:GetObject".to_owned(), "s3/logs".to_owned(), 60, 90, 2),
            ("s3:GetObject".to_owned(), "s3/logs".to_owned(), 7100, 7100, 1),
        ];
        assert_eq!(cells(&[&all]), expected);
        let (early, late) = all.split_at(2);
        assert_eq!(cells(&[late, early]), expected);
    }

    #[test]
    fn calls_of_aws_itself_are_no_cells() {
        let mut fold = Fold::new(usize::MAX / 2);
        assert_eq!(fold.actor("ec2.amazonaws.com"), None);
        assert_eq!(fold.actor("arn:aws:iam::111111111111:user/ana"), fold.actor("arn:aws:iam::111111111111:user/ana"));
        assert_eq!(fold.actor("ec2.amazonaws.com"), None);
    }

    #[test]
    fn agents_beyond_what_is_remembered_are_read_again() {
        let mut fold = Fold::new(usize::MAX / 2);
        let family = fold.agent("aws-cli/2.15");
        let long = "x".repeat(KNOWN_AGENTS);
        fold.agent(&long);
        assert_eq!(fold.agent("aws-cli/2.15"), family);
        assert!(fold.agents.value_bytes() < KNOWN_AGENTS);
    }

    /// What is left of calls within a limit, by API and resource with the number of calls, and what was forgotten.
    fn left(limit: usize, batches: &[&[Call<'_>]]) -> (Vec<(String, Option<String>, i64)>, Forgotten) {
        let (mut names, mut fold) = (Names::default(), Fold::new(limit));
        batches.iter().for_each(|calls| fold.add(&Columns::of(&batch(calls, &[])).unwrap()));
        let forgotten = fold.finish();
        assert!(fold.size() <= limit, "{} of {limit}", fold.size());
        let cells = fold.cells(&mut names, &mut Places::default());
        let text = |cell: &Cell| {
            let resource = cell.resource.map(|name| names.text(name).to_owned());
            assert!(!(cell.any_resource && resource.is_some()));
            (names.text(cell.api).to_owned(), resource, cell.calls)
        };
        (cells.iter().map(text).collect(), forgotten)
    }

    #[test]
    fn beyond_the_limit_resources_that_are_read_are_forgotten_first_and_no_call_is_lost() {
        let parameters: Vec<String> = (0..4000).map(|number| format!(r#"{{"bucketName":"b{number}"}}"#)).collect();
        let read = parameters.iter().enumerate().map(|(at, text)| ("GetObject", Some(text.as_str()), at as i64 / 2));
        let mut calls: Vec<Call<'_>> = read.collect();
        let list = Some(r#"{"bucketName":"secret"}"#);
        calls.extend([("GetObject", list, 5), ("ListBuckets", None, 9)]);
        let (whole, nothing) = left(usize::MAX / 2, &[&calls]);
        assert_eq!((whole.len(), nothing.told()), (4002, None));
        let (cells, forgotten) = left(500_000, &[&calls]);
        let known = cells.iter().filter(|(_, resource, _)| resource.is_some()).count();
        assert!((200..1000).contains(&known), "{known}");
        assert_eq!(cells.iter().map(|(.., calls)| *calls).sum::<i64>(), 4002);
        assert_eq!((forgotten.all, forgotten.resources + known as i64 + 1), (4002, 4002));
        assert_eq!((forgotten.keys, forgotten.effects, forgotten.calls), (0, 0, 0));
        assert!(forgotten.told().unwrap().contains("--memory-limit"));
        // the order of calls, and how they come, mean nothing
        let (early, late) = calls.split_at(1700);
        let mut reversed: Vec<Call<'_>> = late.to_vec();
        reversed.reverse();
        let (second, third) = reversed.split_at(900);
        assert_eq!(left(500_000, &[third, early, second]), (cells, forgotten));
    }

    #[test]
    fn like_calls_that_read_and_succeeded_are_forgotten_before_any_that_write_or_fail() {
        let mut fold = Fold::new(150_000);
        let all = [("success", 40), ("denied", 4)];
        for (outcome, hours) in all {
            for number in 0..30 {
                let address = format!("198.51.100.{number}");
                let calls: Vec<Call<'_>> =
                    (0..hours).map(|step| ("ListBuckets", None, step % 24 * 3600 + step)).collect();
                let others = [("sourceipaddress", address.as_str()), ("outcome", outcome)];
                fold.add(&Columns::of(&batch(&calls, &others)).unwrap());
            }
        }
        let forgotten = fold.finish();
        assert!(fold.level.keeps(Part::Caller, &[b"a"]), "{:?}", fold.level);
        let mut names = Names::default();
        let cells = fold.cells(&mut names, &mut Places::default());
        let left = |outcome: &str| {
            let of = |cell: &&Cell| names.text(cell.outcome) == outcome;
            cells.iter().filter(of).map(|cell| cell.calls).sum::<i64>()
        };
        assert_eq!(left("denied"), 120);
        assert_eq!((left("success") + forgotten.calls, forgotten.calls > 0, left("success") > 0), (1200, true, true));
    }

    #[test]
    fn a_limit_that_nothing_fits_in_loses_calls_and_tells_how_many() {
        let calls: Vec<Call<'_>> = (0..50).map(|second| ("ListBuckets", None, second)).collect();
        let mut fold = Fold::new(1000);
        for number in 0..200 {
            let address = format!("198.51.100.{number}");
            fold.add(&Columns::of(&batch(&calls, &[("sourceipaddress", &address)])).unwrap());
        }
        let forgotten = fold.finish();
        assert_eq!(forgotten.all, 10_000);
        let cells = fold.cells(&mut Names::default(), &mut Places::default());
        assert_eq!(cells.iter().map(|cell| cell.calls).sum::<i64>(), 10_000 - forgotten.calls);
        assert!(forgotten.calls >= 9_900 && forgotten.told().unwrap().contains("not at all"), "{forgotten:?}");
    }
}
