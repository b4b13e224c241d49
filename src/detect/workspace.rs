//! The detector's queries over the lake: SQL in, cells, past days and evidence out.
//!
//! Owns: the session of a training or scoring run, and the texts in `sql/`. Refuses: scores; it reads.
//! Invariant: what it gives is in one total order, whatever the number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, Utc};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::prelude::SessionContext;

use super::cell::Cell;
use super::columns::Columns;
use super::completeness::{self, Hours};
use super::counts::{Count, DayCounts};
use super::day::Conditions;
use super::effect;
use super::evidence::{Evidence, Gathering};
use super::feature::{self, Feature};
use super::issued::Issued;
use super::memory::{ActorDay, DayRecord, FactRow};
use super::names::{Name, Names};
use super::rows::{Numbers, Texts};
use super::rule;
use super::sieve;
use super::sign_in::SignIn;
use super::signal::Signal;
use super::silence::TrafficRow;
use super::verdict::quote;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{ChainStep, CompletenessStatus};
use crate::query::{collect, each};
use crate::schema;
use crate::source::delivered;

/// Names of the rows of `baselines` that are no values: the events behind a date, an actor's counts, its signals, the
/// scores of a date's stories.
const ROWS: &str = "_rows";
const COUNTS: &str = "_counts";
const SIGNALS: &str = "_signals";
const STORY: &str = "_story";
/// Events by account, region and service, whoever called: what `silence` compares with.
const TRAFFIC: &str = "_traffic";

/// The session of a training or scoring run.
pub struct Workspace {
    pub(super) ctx: SessionContext,
    /// Planned at the first batch.
    pub(super) conditions: OnceLock<Conditions>,
}

/// One day's part of the lake: a date, the instant up to which it is scored, and when that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// UTC date.
    pub date: NaiveDate,
    /// First instant that is not read.
    pub before: DateTime<Utc>,
    /// Only what had been delivered by then, as the names of the objects tell; all where there is none.
    pub as_of: Option<DateTime<Utc>>,
}

impl Workspace {
    /// Takes a session that has `events` and `baselines`.
    pub fn new(ctx: SessionContext) -> Self {
        feature::functions().into_iter().for_each(|function| ctx.register_udf(function));
        ctx.register_udf(feature::unary("delivered_of", |object| delivered(object).to_owned()));
        ctx.register_udf(feature::unary("distribution_of", |agent| rule::distribution(agent).to_owned()));
        ctx.register_udf(feature::unary("public_grant_of", |parameters| effect::public_grant(parameters).to_owned()));
        Self { ctx, conditions: OnceLock::new() }
    }

    /// People's sign-ins in a window.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn sign_ins(&self, window: Window) -> Result<Vec<SignIn>> {
        let day = in_window(include_str!("sql/day.sql"), window);
        let mut sign_ins = Vec::new();
        let visit = |batch: &RecordBatch| {
            let columns = Columns::of(batch)?;
            sign_ins.extend(columns.rows().filter_map(|row| SignIn::of(&columns, row)));
            Ok(())
        };
        each(&self.ctx, &format!("{day} AND actor IS NOT NULL AND eventname = 'ConsoleLogin'"), visit).await?;
        Ok(sign_ins)
    }

    /// Number of events of a date, also those without an actor.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn count(&self, date: NaiveDate) -> Result<i64> {
        let sql = format!("SELECT count(*) AS events FROM events WHERE event_date = DATE '{date}'");
        let batches = collect(&self.ctx, &sql).await?;
        batches
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .try_fold(0, |sum, batch| Ok(sum + Numbers::of(batch, "events")?.at(0)))
    }

    /// Rows of `events` that each date's baselines were made from, where they are of this version of the features.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn trained_rows(&self) -> Result<BTreeMap<NaiveDate, i64>> {
        let sql = format!(
            "SELECT event_date, max(events) AS events FROM baselines WHERE feature = '{ROWS}' AND value = '{}' \
             GROUP BY event_date ORDER BY event_date",
            feature::VERSION
        );
        let mut out = BTreeMap::new();
        for batch in collect(&self.ctx, &sql).await? {
            let (date, events) = (Numbers::of_dates(&batch, "event_date")?, Numbers::of(&batch, "events")?);
            out.extend((0..batch.num_rows()).map(|row| (date.date(row), events.at(row))));
        }
        Ok(out)
    }

    /// What was kept of the dates from one to another.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn past(&self, first: NaiveDate, last: NaiveDate) -> Result<BTreeMap<NaiveDate, Past>> {
        let mut dates: BTreeMap<NaiveDate, Past> = BTreeMap::new();
        let sql = include_str!("sql/past.sql").replace("{first}", &first.to_string()).replace("{last}", &last.to_string());
        each(&self.ctx, &sql, |batch| {
            let days = Numbers::of_dates(batch, "event_date")?;
            let all: Vec<usize> = days.rows().collect();
            for rows in all.chunk_by(|a, b| days.at(*a) == days.at(*b)) {
                let part = PastRows::of(&batch.slice(rows[0], rows.len()))?;
                dates.entry(days.date(rows[0])).or_default().0.push(part);
            }
            Ok(())
        })
        .await?;
        Ok(dates)
    }

    /// What the digests say of the hours around a window, for some accounts; what had been verified by its `as_of`.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn hours(&self, window: Window, accounts: &BTreeSet<&str>) -> Result<Hours> {
        let mut hours = Hours::new();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(accounts));
        self.table("asked", &[("account", column)])?;
        let verified = match window.as_of {
            Some(time) => format!("verified_at <= TIMESTAMP '{}'", time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => "true".to_owned(),
        };
        let sql = include_str!("sql/hours.sql").replace("{verified}", &verified);
        for batch in collect(&self.ctx, &in_window(&sql, window)).await? {
            let text = |name| Texts::of(&batch, name);
            let (account, region, status) = (text("account")?, text("region")?, text("status")?);
            let hour = Numbers::of_instants(&batch, "hour")?;
            for row in 0..batch.num_rows() {
                let key = (account.at(row).to_owned(), region.at(row).to_owned(), hour.instant(row));
                let said = CompletenessStatus::of(status.at(row));
                hours.entry(key).and_modify(|known| *known = completeness::either(*known, said)).or_insert(said);
            }
        }
        Ok(hours)
    }

    /// The temporary keys made in a window.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn issued(&self, window: Window) -> Result<Issued> {
        let mut issued = Issued::default();
        let visit = |batch: &RecordBatch| read_issued(batch, &mut issued);
        each(&self.ctx, &in_window(include_str!("sql/issued.sql"), window), visit).await?;
        Ok(issued)
    }

    /// The events of flagged cells (story, cell, thousandths of a bit), by story.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub(super) async fn evidence(
        &self,
        window: Window,
        flagged: &[(i64, &Cell, i64)],
        names: &Names,
    ) -> Result<BTreeMap<i64, Vec<Evidence>>> {
        let sieve = |(_, cell, _): &(i64, &Cell, i64)| {
            [cell.actor, cell.account, cell.api, cell.region, cell.address, cell.outcome].map(|name| names.text(name))
        };
        self.ctx.register_udf(sieve::function(flagged.iter().map(sieve)));
        let text = |of: &dyn Fn(&Cell) -> Name| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(flagged.iter().map(|(_, cell, _)| names.text(of(cell)))))
        };
        let resource = |cell: &Cell| cell.resource.map_or("", |name| names.text(name));
        let resources: ArrayRef =
            Arc::new(StringArray::from_iter_values(flagged.iter().map(|(_, cell, _)| resource(cell))));
        let number = |of: &dyn Fn(usize) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values((0..flagged.len()).map(of)))
        };
        let instant = |of: &dyn Fn(&Cell) -> DateTime<Utc>| -> ArrayRef {
            let micros = flagged.iter().map(|(_, cell, _)| of(cell).timestamp_micros());
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
        };
        self.table(
            "flagged",
            &[
                ("story", number(&|at| flagged[at].0)),
                ("cell", number(&|at| at as i64)),
                ("millibits", number(&|at| flagged[at].2)),
                ("actor", text(&|cell| cell.actor)),
                ("access_key", text(&|cell| cell.key)),
                ("account", text(&|cell| cell.account)),
                ("api", text(&|cell| cell.api)),
                ("region", text(&|cell| cell.region)),
                ("address", text(&|cell| cell.address)),
                ("agent", text(&|cell| cell.agent)),
                ("outcome", text(&|cell| cell.outcome)),
                ("resource", resources),
                ("first_time", instant(&|cell| cell.first)),
                ("last_time", instant(&|cell| cell.last)),
            ],
        )?;
        // last, as whoever names an actor must not name a placeholder
        let sql = in_window(include_str!("sql/evidence.sql"), window).replace("{actors}", &actors(flagged, names));
        let mut gathering = Gathering::default();
        each(&self.ctx, &sql, |batch| gathering.add(batch)).await?;
        Ok(gathering.stories())
    }

    /// Puts rows beside the lake's tables.
    pub(super) fn table(&self, name: &str, columns: &[(&str, ArrayRef)]) -> Result<()> {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).map_err(|error| broken(name, error.into()))?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| broken(name, error))?;
        self.register(name, Arc::new(table))
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        let replaced = self.ctx.deregister_table(name).and_then(|_| self.ctx.register_table(name, table));
        replaced.map(drop).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot put the detector's table {name} in place")).source(error)
        })
    }
}

/// Actors of flagged cells up to which they are told to the engine one by one, so that only their rows are read.
const FEW_ACTORS: usize = 1000;

/// The actors of flagged cells, as what stands in `IN (…)`.
fn actors(flagged: &[(i64, &Cell, i64)], names: &Names) -> String {
    let actors: BTreeSet<&str> = flagged.iter().map(|(_, cell, _)| names.text(cell.actor)).collect();
    match actors.len() <= FEW_ACTORS {
        true => actors.into_iter().map(quote).collect::<Vec<_>>().join(", "),
        false => "SELECT actor FROM flagged".to_owned(),
    }
}

fn broken(name: &str, error: datafusion::error::DataFusionError) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot prepare the detector's table {name}")).source(error)
}

fn read_issued(batch: &RecordBatch, issued: &mut Issued) -> Result<()> {
    let text = |name| Texts::of(batch, name);
    let (answer, actor, call, made_with) =
        (text("responseelements")?, text("actor")?, text("call")?, text("made_with")?);
    let time = Numbers::of_instants(batch, "eventtime")?;
    for row in time.rows() {
        let Some(key) = effect::issued_key(answer.at(row)) else { continue };
        issued.add(&ChainStep {
            access_key_id: key.to_owned(),
            call: call.at(row).to_owned(),
            made_by: actor.at(row).to_owned(),
            made_with: made_with.owned(row),
            time: time.instant(row),
        });
    }
    Ok(())
}

/// What was kept of a date, as it was read.
#[derive(Default)]
pub struct Past(Vec<PastRows>);

impl Past {
    /// The record that it is of, and the traffic.
    pub fn read(&self, date: NaiveDate, names: &mut Names) -> (DayRecord, Vec<TrafficRow>) {
        let mut traffic = Vec::new();
        let mut record = DayRecord { date, facts: Vec::new(), actors: Vec::new(), stories: Vec::new() };
        // they are summed in this order; it is nearly the one in which they are written, which a merge sort makes use of
        let mut rows: Vec<PastRow<'_>> = Vec::with_capacity(self.0.iter().map(|part| part.events.rows().len()).sum());
        self.0.iter().for_each(|part| rows.extend(part.rows()));
        rows.sort();
        rows.into_iter().for_each(|row| read_past(row, names, &mut record, &mut traffic));
        record.stories.sort_unstable_by(|a, b| b.cmp(a));
        (record, traffic)
    }
}

/// Rows of `baselines`.
struct PastRows {
    texts: [Texts; 4],
    events: Numbers,
}

/// Actor, account, feature, value and events.
type PastRow<'p> = ([&'p str; 4], i64);

impl PastRows {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |name| Texts::of(batch, name);
        let texts = [text("actor")?, text("account")?, text("feature")?, text("value")?];
        Ok(Self { texts, events: Numbers::of(batch, "events")? })
    }

    fn rows(&self) -> impl Iterator<Item = PastRow<'_>> {
        self.events.rows().map(|row| (self.texts.each_ref().map(|texts| texts.at(row)), self.events.at(row)))
    }
}

fn read_past(
    ([actor, account, feature, value], events): PastRow<'_>,
    names: &mut Names,
    record: &mut DayRecord,
    traffic: &mut Vec<TrafficRow>,
) {
    match feature {
        COUNTS => {
            let Some(counts) = DayCounts::from_text(record.date, value) else { return };
            let (profile, peer) = (names.of(actor), names.of(account));
            record.actors.push(ActorDay { profile, peer, counts, values: BTreeMap::new() });
        }
        // of the actor whose counts came before: the rows are sorted, and both names sort before all features
        SIGNALS => {
            if let Some(day) = record.actors.last_mut() {
                day.values = signals_of(value);
            }
        }
        STORY => record.stories.push(events),
        TRAFFIC => traffic.extend(TrafficRow::from_text(account, actor, value)),
        other => {
            let Some(feature) = Feature::of(other) else { return };
            let (profile, account) = (names.of(actor), names.of(account));
            record.facts.push(FactRow { profile, account, feature, value: names.of(value), calls: events });
        }
    }
}

fn signals_text(values: &BTreeMap<Signal, i64>) -> String {
    let one = |(signal, millibits): (&Signal, &i64)| format!("{}={millibits}", signal.as_str());
    values.iter().map(one).collect::<Vec<_>>().join(";")
}

fn signals_of(text: &str) -> BTreeMap<Signal, i64> {
    let one = |part: &str| {
        let (name, millibits) = part.split_once('=')?;
        Some((Signal::of(name)?, millibits.parse().ok()?))
    };
    text.split(';').filter_map(one).collect()
}

/// The rows of `baselines` that keep a date, and the number of events they come from.
pub struct Kept<'a> {
    /// The date.
    pub record: &'a DayRecord,
    /// Its texts.
    pub names: &'a Names,
    /// Rows of `events` of the date.
    pub events: i64,
    /// The same by account, region and service.
    pub traffic: &'a [TrafficRow],
}

impl Kept<'_> {
    /// As a batch of `baselines`.
    ///
    /// # Errors
    /// `Internal` where the batch cannot be built.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let mut rows = Rows::default();
        rows.add("", "", ROWS, feature::VERSION, self.events);
        for day in &self.record.actors {
            let (profile, peer) = (self.names.text(day.profile), self.names.text(day.peer));
            rows.add(profile, peer, COUNTS, &day.counts.to_text(), day.counts.get(Count::Calls));
            if !day.values.is_empty() {
                rows.add(profile, peer, SIGNALS, &signals_text(&day.values), 0);
            }
        }
        for fact in &self.record.facts {
            let text = |name| self.names.text(name);
            rows.add(text(fact.profile), text(fact.account), fact.feature.as_str(), text(fact.value), fact.calls);
        }
        for (rank, score) in self.record.stories.iter().enumerate() {
            rows.add("", "", STORY, &rank.to_string(), *score);
        }
        for row in self.traffic {
            rows.add(&row.source, &row.account, TRAFFIC, &row.to_text(), row.quarters.iter().sum());
        }
        rows.build(self.record.date)
    }
}

#[derive(Default)]
struct Rows {
    texts: [Vec<String>; 4],
    events: Vec<i64>,
}

impl Rows {
    fn add(&mut self, actor: &str, account: &str, feature: &str, value: &str, events: i64) {
        let row = [actor, account, feature, value];
        self.texts.iter_mut().zip(row).for_each(|(column, text)| column.push(text.to_owned()));
        self.events.push(events);
    }

    fn build(self, date: NaiveDate) -> Result<RecordBatch> {
        let dates = vec![(date - NaiveDate::default()).num_days() as i32; self.events.len()];
        let mut columns: Vec<ArrayRef> =
            self.texts.into_iter().map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef).collect();
        columns.push(Arc::new(Int64Array::from(self.events)));
        columns.push(Arc::new(Date32Array::from(dates)));
        RecordBatch::try_new(schema::BASELINES.schema(), columns).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot build the baselines of {date}")).source(error)
        })
    }
}

/// Fills a query's placeholders. Dates are counted here, and a whole day has no condition on the time: the engine's instants
/// begin in 1677, and the time of an event may be anything.
pub(super) fn in_window(sql: &str, window: Window) -> String {
    let Window { date, before, as_of } = window;
    let in_time = match before < midnight_after(date) {
        true => format!("eventtime < TIMESTAMP '{}'", before.to_rfc3339_opts(SecondsFormat::Micros, true)),
        false => "true".to_owned(),
    };
    let delivered = match as_of {
        Some(time) => format!("delivered_of(source_object) <= '{}'", time.format("%Y%m%dT%H%MZ")),
        None => "true".to_owned(),
    };
    let day_before = date.checked_sub_days(Days::new(1)).unwrap_or(date).to_string();
    let after = date.checked_add_days(Days::new(1)).unwrap_or(date).to_string();
    sql.replace("{date}", &date.to_string())
        .replace("{day_before}", &day_before)
        .replace("{day_after}", &after)
        .replace("{in_time}", &in_time)
        .replace("{delivered}", &delivered)
}

/// The first instant after a date.
pub fn midnight_after(date: NaiveDate) -> DateTime<Utc> {
    date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN).and_utc()
}
