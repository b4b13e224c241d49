//! A day's calls -> cells.
//!
//! Owns: which calls are alike. Refuses: reading them from anywhere; they come as batches of `sql/calls.sql`.
//! Invariant: the cells and their order depend on the set of calls only, not on how batches arrive. What is held is bounded by
//! the cells and by the distinct texts of the day.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::DataType;
use chrono::{DateTime, Timelike, Utc};

use super::cell::Cell;
use super::effect::{self, SEPARATOR};
use super::feature::{self, ActorKind, NONE, view};
use super::names::{Map, Names};
use super::place::Places;
use super::rows::{Numbers, column};
use crate::agent;
use crate::batch::dictionary::Dictionary;
use crate::error::Result;

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
}

/// A batch's columns.
struct Columns {
    actor: StringViewArray,
    key: StringViewArray,
    account: StringViewArray,
    source: StringViewArray,
    operation: StringViewArray,
    region: StringViewArray,
    address: StringViewArray,
    agent: StringViewArray,
    outcome: StringViewArray,
    parameters: StringViewArray,
    additional: StringViewArray,
    readonly: Numbers,
    time: Numbers,
}

/// What was read from the parameters of a batch's calls, by API, caller, whether they write, and the places of the texts: cells
/// of one entry of a file's dictionary are one place.
type Reading = Map<(u32, [u32; 2], bool, u128, u128), (u32, u32)>;

impl Fold {
    /// Adds a batch of calls.
    ///
    /// # Errors
    /// `Internal` where the query gave other columns.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::of(batch)?;
        let mut reading = Reading::default();
        for row in 0..batch.num_rows() {
            self.call(&columns, row, &mut reading);
        }
        Ok(())
    }

    fn call(&mut self, columns: &Columns, row: usize, reading: &mut Reading) {
        let Some(actor) = self.actor(text(&columns.actor, row).unwrap_or_default()) else { return };
        let mut parts = [0; PARTS];
        parts[ACTOR] = actor;
        for (part, column, absent) in [
            (KEY, &columns.key, ""),
            (ACCOUNT, &columns.account, NONE),
            (REGION, &columns.region, NONE),
            (ADDRESS, &columns.address, NONE),
            (OUTCOME, &columns.outcome, "success"),
        ] {
            parts[part] = self.parts[part].intern(text(column, row).unwrap_or(absent).as_bytes());
        }
        parts[API] = self.api(filled(&columns.source, row), filled(&columns.operation, row));
        parts[AGENT] = self.agent(filled(&columns.agent, row));
        let writes = columns.readonly.at(row) == 0;
        (parts[RESOURCE], parts[EFFECTS]) = self.read(columns, row, &parts, writes, reading);
        let time = columns.time.at(row);
        let hour = columns.time.instant(row).hour() as u8;
        let new = || Calls { first: time, last: time, calls: 0 };
        let cell = self.cells.entry(Alike { parts, hour, writes }).or_insert_with(new);
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

    fn api(&mut self, source: &str, operation: &str) -> u32 {
        let pair = (self.sources.intern(source.as_bytes()), self.operations.intern(operation.as_bytes()));
        let apis = &mut self.parts[API];
        *self.apis.entry(pair).or_insert_with(|| apis.intern(feature::api(source, operation).as_bytes()))
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
    fn read(
        &mut self,
        columns: &Columns,
        row: usize,
        parts: &[u32; PARTS],
        writes: bool,
        reading: &mut Reading,
    ) -> (u32, u32) {
        let (parameters, additional) = (view(&columns.parameters, row), view(&columns.additional, row));
        // who calls where is a part of what a call would do, and only what writes or signs in would do something
        let caller = if writes || additional != 0 { [parts[ACTOR], parts[ACCOUNT]] } else { [0; 2] };
        let key = (parts[API], caller, writes, parameters, additional);
        if let Some(known) = reading.get(&key) {
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
        reading.insert(key, read);
        read
    }

    /// The cells in the order of their first call, then of all their members.
    pub fn cells(self, names: &mut Names, places: &mut Places) -> Vec<Cell> {
        let Self { parts, cells, .. } = self;
        let mut sorted: Vec<(Alike, Calls)> = cells.into_iter().collect();
        let texts = |a: &Alike, b: &Alike| {
            let one = |part: usize| parts[part].get(a.parts[part]).cmp(parts[part].get(b.parts[part]));
            (0..PARTS).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        sorted.sort_unstable_by(|(a, one), (b, other)| {
            let order = one.first.cmp(&other.first).then_with(|| texts(a, b));
            order.then_with(|| a.writes.cmp(&b.writes)).then_with(|| one.last.cmp(&other.last))
        });
        let of =
            |alike: &Alike, part: usize| std::str::from_utf8(parts[part].get(alike.parts[part])).unwrap_or_default();
        sorted.iter().map(|(alike, calls)| cell(alike, calls, &|part| of(alike, part), names, places)).collect()
    }
}

fn cell<'t>(
    alike: &Alike,
    calls: &Calls,
    text: &dyn Fn(usize) -> &'t str,
    names: &mut Names,
    places: &mut Places,
) -> Cell {
    let prefix = names.of(&feature::network(text(ADDRESS)));
    let some = |text: &str, names: &mut Names| (!text.is_empty() && text != NONE).then(|| names.of(text));
    let instant = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    Cell {
        actor: names.of(text(ACTOR)),
        profile: names.of(&feature::profile(text(ACTOR))),
        peer: names.of(&feature::peer(text(ACTOR))),
        key: names.of(text(KEY)),
        account: names.of(text(ACCOUNT)),
        api: names.of(text(API)),
        region: names.of(text(REGION)),
        address: names.of(text(ADDRESS)),
        prefix,
        place: places.of(prefix, names),
        agent: names.of(text(AGENT)),
        outcome: names.of(text(OUTCOME)),
        resource: some(text(RESOURCE), names),
        effects: text(EFFECTS).split(SEPARATOR).filter_map(|effect| some(effect, names)).collect(),
        writes: alike.writes,
        first: instant(calls.first),
        last: instant(calls.last),
        calls: calls.calls,
    }
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let view = |name| views(batch, name);
        Ok(Self {
            actor: view("actor")?,
            key: view("access_key")?,
            account: view("account")?,
            source: view("source")?,
            operation: view("operation")?,
            region: view("region")?,
            address: view("address")?,
            agent: view("agent")?,
            outcome: view("outcome")?,
            parameters: view("parameters")?,
            additional: view("additional")?,
            readonly: Numbers::of(batch, "readonly")?,
            time: Numbers::of_instants(batch, "eventtime")?,
        })
    }
}

/// A column of text as views, which costs nothing where it is one already.
fn views(batch: &RecordBatch, name: &str) -> Result<StringViewArray> {
    Ok(column(batch, name, &DataType::Utf8View)?.as_string_view().clone())
}

fn text(column: &StringViewArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// A text that there is none of where it is empty.
fn filled(column: &StringViewArray, row: usize) -> &str {
    text(column, row).filter(|text| !text.is_empty()).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray};

    use super::*;

    /// Calls of a user: (operation, parameters, second of the day).
    fn batch(calls: &[(&str, Option<&str>, i64)]) -> RecordBatch {
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; calls.len()])) };
        let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; calls.len()]));
        let operations: ArrayRef = Arc::new(calls.iter().map(|call| Some(call.0)).collect::<StringArray>());
        let parameters: ArrayRef = Arc::new(calls.iter().map(|call| call.1).collect::<StringArray>());
        let times = TimestampMicrosecondArray::from_iter_values(calls.iter().map(|call| call.2 * 1_000_000));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("actor", same("arn:aws:iam::111111111111:user/ana")),
            ("access_key", Arc::clone(&none)),
            ("account", same("111111111111")),
            ("source", same("s3.amazonaws.com")),
            ("operation", operations),
            ("region", Arc::clone(&none)),
            ("address", same("198.51.100.7")),
            ("agent", same("aws-cli/2.15")),
            ("outcome", Arc::clone(&none)),
            ("parameters", parameters),
            ("additional", none),
            ("readonly", Arc::new(BooleanArray::from(vec![true; calls.len()]))),
            ("eventtime", Arc::new(times.with_timezone("UTC"))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn cells(batches: &[RecordBatch]) -> Vec<(String, String, i64, i64, i64)> {
        let (mut names, mut fold) = (Names::default(), Fold::default());
        batches.iter().for_each(|batch| fold.add(batch).unwrap());
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
        assert_eq!(cells(&[batch(&all)]), expected);
        let (early, late) = all.split_at(2);
        assert_eq!(cells(&[batch(late), batch(early)]), expected);
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
