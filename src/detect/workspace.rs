//! The detector's queries over the lake: SQL in, cells, past days and evidence out.
//!
//! Owns: the session of a training or scoring run, and the texts in `sql/`. Refuses: scores; it reads.
//! Invariant: what it gives is in one total order, whatever the number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, Utc};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::prelude::SessionContext;

use super::cell::Cell;
use super::columns::Columns;
use super::completeness::{self, Hours};
use super::day::Conditions;
use super::effect;
use super::evidence::{Evidence, Gathering};
use super::feature;
use super::issued::Issued;
use super::names::{Name, Names};
use super::past::{Past, ROWS};
use super::rows::{Numbers, Texts};
use super::rule;
use super::sieve;
use super::sign_in::SignIn;
use super::verdict::quote;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{ChainStep, CompletenessStatus};
use crate::query::{collect, each};
use crate::source::delivered;

/// The session of a training or scoring run.
pub struct Workspace {
    pub(super) ctx: SessionContext,
    /// Planned at the first batch.
    pub(super) conditions: OnceLock<Conditions>,
    /// Bytes that a day's cells may take.
    pub(super) memory_limit: usize,
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
    /// Takes a session that has `events` and `baselines`. Of a day's calls it holds what takes so many bytes.
    pub fn new(ctx: SessionContext, memory_limit: u64) -> Self {
        // half of what may be addressed: sums of it do not overflow
        let memory_limit = usize::try_from(memory_limit).unwrap_or(usize::MAX).min(usize::MAX / 2);
        feature::functions().into_iter().for_each(|function| ctx.register_udf(function));
        ctx.register_udf(feature::unary("delivered_of", |object| delivered(object).to_owned()));
        ctx.register_udf(feature::unary("distribution_of", |agent| rule::distribution(agent).to_owned()));
        ctx.register_udf(feature::unary("public_grant_of", |parameters| effect::public_grant(parameters).to_owned()));
        Self { ctx, conditions: OnceLock::new(), memory_limit }
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
             GROUP BY event_date",
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
        let sql =
            include_str!("sql/past.sql").replace("{first}", &first.to_string()).replace("{last}", &last.to_string());
        each(&self.ctx, &sql, |batch| {
            let days = Numbers::of_dates(batch, "event_date")?;
            let all: Vec<usize> = days.rows().collect();
            for rows in all.chunk_by(|a, b| days.at(*a) == days.at(*b)) {
                dates.entry(days.date(rows[0])).or_default().add(&batch.slice(rows[0], rows.len()))?;
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
        let is = |of: &dyn Fn(&Cell) -> bool| -> ArrayRef {
            Arc::new(BooleanArray::from_iter(flagged.iter().map(|(_, cell, _)| Some(of(cell)))))
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
                ("any_key", is(&|cell| cell.any_key)),
                ("any_resource", is(&|cell| cell.any_resource)),
                ("first_time", instant(&|cell| cell.first)),
                ("last_time", instant(&|cell| cell.last)),
            ],
        )?;
        let same = match flagged.iter().any(|(_, cell, _)| cell.any_key || cell.any_resource) {
            true => "(f.any_key OR f.access_key = e.access_key) AND (f.any_resource OR f.resource = e.resource)",
            // what is equal joins faster than what may be
            false => "f.access_key = e.access_key AND f.resource = e.resource",
        };
        let sql = in_window(include_str!("sql/evidence.sql"), window).replace("{same}", same);
        // last, as whoever names an actor must not name a placeholder
        let sql = sql.replace("{actors}", &actors(flagged, names));
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
