//! A day's calls -> cells.
//!
//! Owns: which calls are alike. Refuses: reading them from anywhere; they come as columns.
//! Invariant: the cells and their order depend on the set of calls only, not on how batches arrive. What is held is bounded by
//! the cells and by the distinct texts of the day.

use chrono::{DateTime, Utc};

use super::cell::Cell;
use super::coded::codes;
use super::columns::{Columns, SUCCESS, or_none, text};
use super::effect::{self, SEPARATOR};
use super::feature::{self, ActorKind, NONE, view};
use super::names::{Map, Name, Names};
use super::place::{Place, Places};
use crate::agent;
use crate::batch::dictionary::{Dictionary, NULL};

/// What calls of one cell have in common, as codes: actor, key, account, API, region, address, agent, outcome, resource,
/// consequences.
const PARTS: usize = 10;
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

/// Bytes of user agents whose families are remembered: whoever calls writes them as it likes.
const KNOWN_AGENTS: usize = 16 << 20;

#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Alike {
    parts: [u32; PARTS],
    hour: u8,
    writes: bool,
}

/// First and last call in microseconds, and how many.
struct Calls {
    first: i64,
    last: i64,
    calls: i64,
}

/// Cells under construction.
#[derive(Default)]
pub struct Fold {
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

/// What was read from the parameters of a batch's calls, by API, caller, whether they write, and the places of the texts: cells
/// of one entry of a file's dictionary are one place.
type Reading = Map<(u32, [u32; 2], bool, u128, u128), (u32, u32)>;

impl Fold {
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
            parts[KEY] = self.parts[KEY].intern(columns.key(row).as_bytes());
            parts[ACCOUNT] = accounts[row];
            parts[API] = self.api(sources[row], operations[row]);
            parts[REGION] = regions[row];
            parts[ADDRESS] = addresses[row];
            parts[AGENT] = agents[row];
            parts[OUTCOME] = outcomes[row];
            self.call(columns, row, parts);
        }
    }

    /// Adds a call, of which all is known that does not stand in its parameters.
    fn call(&mut self, columns: &Columns, row: usize, mut parts: [u32; PARTS]) {
        let writes = columns.readonly.at(row) == 0;
        (parts[RESOURCE], parts[EFFECTS]) = self.read(columns, row, &parts, writes);
        let time = columns.time.at(row);
        let new = || Calls { first: time, last: time, calls: 0 };
        let cell = self.cells.entry(Alike { parts, hour: columns.time.hour(row), writes }).or_insert_with(new);
        (cell.first, cell.last) = (cell.first.min(time), cell.last.max(time));
        cell.calls += 1;
    }

    /// The code of an actor; `None` for AWS itself.
    fn actor(&mut self, actor: &str) -> Option<u32> {
        let code = self.parts[ACTOR].intern(actor.as_bytes());
        if code as usize == self.services.len() {
            self.services.push(ActorKind::of(&feature::profile(actor)) == ActorKind::Service);
        }
        (!self.services[code as usize]).then_some(code)
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

    /// Codes of what a call is about and of what it would do.
    fn read(&mut self, columns: &Columns, row: usize, parts: &[u32; PARTS], writes: bool) -> (u32, u32) {
        let (parameters, additional) = (view(&columns.parameters, row), view(&columns.additional, row));
        // who calls where is a part of what a call would do, and only what writes or signs in would do something
        let caller = if writes || additional != 0 { [parts[ACTOR], parts[ACCOUNT]] } else { [0; 2] };
        let key = (parts[API], caller, writes, parameters, additional);
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
        let read = (
            self.parts[RESOURCE].intern(resource.unwrap_or_default().as_bytes()),
            self.parts[EFFECTS].intern(effects.as_bytes()),
        );
        self.reading.insert(key, read);
        read
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
        let absent = [NONE, ""].map(|text| names.of(text));
        let parts = std::array::from_fn(|part| texts(part).map(|text| names.of(text)).collect());
        let places = prefixes.iter().map(|prefix| places.of(*prefix, names)).collect();
        Self { names: parts, profiles, peers, prefixes, places, effects, absent }
    }

    fn cell(&self, alike: &Alike, calls: &Calls) -> Cell {
        let code = |part: usize| alike.parts[part] as usize;
        let name = |part: usize| self.names[part][code(part)];
        let instant = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
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
            writes: alike.writes,
            first: instant(calls.first),
            last: instant(calls.last),
            calls: calls.calls,
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
        let (mut names, mut fold) = (Names::default(), Fold::default());
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
        let mut fold = Fold::default();
        assert_eq!(fold.actor("ec2.amazonaws.com"), None);
        assert_eq!(fold.actor("arn:aws:iam::111111111111:user/ana"), fold.actor("arn:aws:iam::111111111111:user/ana"));
        assert_eq!(fold.actor("ec2.amazonaws.com"), None);
    }

    #[test]
    fn agents_beyond_what_is_remembered_are_read_again() {
        let mut fold = Fold::default();
        let family = fold.agent("aws-cli/2.15");
        let long = "x".repeat(KNOWN_AGENTS);
        fold.agent(&long);
        assert_eq!(fold.agent("aws-cli/2.15"), family);
        assert!(fold.agents.value_bytes() < KNOWN_AGENTS);
    }
}
