//! The detector's queries over the lake: SQL in, plain structures out.
//!
//! Owns: the views `trail_features`, `past`, `today` and `carriers` of a session, and the texts in `sql/`.
//! Refuses: scores; it counts. Invariant: `past` never holds a date at or after the day that is scored.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::feature::{self, Feature};
use super::model::{PULL, UNSEEN, Users};
use super::past::{DayCounts, Past, Priors};
use super::rows::{Numbers, Texts};
use super::score::{Newcomers, Novel, RuleHit, Today};
use super::verdict::{EVENT_LIMIT, Evidence, read_evidence};
use crate::error::{Error, ErrorKind, Result};
use crate::query::collect;

/// Days of the past that count. A value not used for a quarter is new again.
pub const LOOKBACK_DAYS: u64 = 90;

/// The session of a training or scoring run.
pub struct Workspace {
    ctx: SessionContext,
}

/// One day's part of the lake: a date and the instant up to which it is known.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// UTC date.
    pub date: NaiveDate,
    /// First instant that is not read.
    pub before: DateTime<Utc>,
}

impl Workspace {
    /// Takes a session that has `events` and `baselines`.
    ///
    /// # Errors
    /// `Internal` where the views cannot be made.
    pub async fn new(ctx: SessionContext) -> Result<Self> {
        feature::functions().into_iter().for_each(|function| ctx.register_udf(function));
        let workspace = Self { ctx };
        workspace.view("trail_features", include_str!("sql/features.sql")).await?;
        Ok(workspace)
    }

    /// The baseline rows of a day, without the column of the date; sorted.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn aggregate(&self, window: Window) -> Result<Vec<RecordBatch>> {
        collect(&self.ctx, &in_window(include_str!("sql/aggregate.sql"), window)).await
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
            "SELECT event_date, max(events) AS events FROM baselines WHERE feature = '_rows' AND value = '{}' \
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

    /// Everything before a date, at most [`LOOKBACK_DAYS`] of it.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn past(&self, to: NaiveDate, reference: Priors) -> Result<Past> {
        let from = to.checked_sub_days(Days::new(LOOKBACK_DAYS)).unwrap_or(NaiveDate::MIN);
        let text = include_str!("sql/past.sql").replace("{from}", &from.to_string()).replace("{to}", &to.to_string());
        self.view("past", &text).await?;
        let mut past = Past::new(to, reference);
        for batch in collect(&self.ctx, &include_str!("sql/actor_days.sql").replace("{source}", "past")).await? {
            past.add_days(&batch)?;
        }
        let text = include_str!("sql/first_uses.sql").replace("{pull}", &format!("{PULL:?}"));
        for batch in collect(&self.ctx, &text.replace("{unseen}", &format!("{UNSEEN:?}"))).await? {
            past.add_first_uses(&batch)?;
        }
        for batch in collect(&self.ctx, include_str!("sql/population.sql")).await? {
            past.add_population(&batch)?;
        }
        past.learn();
        Ok(past)
    }

    /// What every actor did in the window, against the past that was loaded last.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn today(&self, window: Window, past: &Past) -> Result<(Vec<Today>, Newcomers)> {
        let text = in_window(include_str!("sql/aggregate.sql"), window);
        let text = format!(
            "SELECT *, DATE '{}' AS event_date FROM ({text}) WHERE actor_kind(actor) <> 'service'",
            window.date
        );
        let rows = collect(&self.ctx, &text).await?;
        let Some(schema) = rows.first().map(RecordBatch::schema) else { return Ok(Default::default()) };
        self.table("today", schema, rows)?;
        let mut actors = self.today_counts().await?;
        let mut newcomers = Newcomers::new();
        for (actor, novel) in self.novel(past).await? {
            let key = (novel.feature, novel.value.clone());
            newcomers.entry(key).or_default().push((novel.first_time, actor.clone()));
            if let Some(today) = actors.get_mut(&actor) {
                today.novel.push(novel);
            }
        }
        self.add_busiest(&mut actors).await?;
        self.add_rules(window, &mut actors).await?;
        Ok((actors.into_values().collect(), newcomers))
    }

    async fn today_counts(&self) -> Result<BTreeMap<String, Today>> {
        let mut actors = BTreeMap::new();
        for batch in collect(&self.ctx, &include_str!("sql/actor_days.sql").replace("{source}", "today")).await? {
            for (profile, counts) in DayCounts::read(&batch)? {
                let last_time = DateTime::<Utc>::MIN_UTC;
                let (novel, rules) = (Vec::new(), Vec::new());
                let today = Today { profile: profile.clone(), counts, novel, busiest: None, rules, last_time };
                actors.insert(profile, today);
            }
        }
        let sql = "SELECT actor, max(last_time) AS last_time FROM today GROUP BY actor ORDER BY actor";
        for batch in collect(&self.ctx, sql).await? {
            let (actor, time) = (Texts::of(&batch, "actor")?, Numbers::of_instants(&batch, "last_time")?);
            for row in 0..batch.num_rows() {
                actors.entry(actor.at(row).to_owned()).and_modify(|today| today.last_time = time.instant(row));
            }
        }
        Ok(actors)
    }

    /// New values, one per actor, feature and value, sorted.
    async fn novel(&self, past: &Past) -> Result<Vec<(String, Novel)>> {
        let mut out: Vec<(String, Novel)> = Vec::new();
        for batch in collect(&self.ctx, include_str!("sql/novel.sql")).await? {
            for (actor, novel) in read_novel(&batch, past)? {
                match out.last_mut() {
                    Some((last, same))
                        if *last == actor && same.feature == novel.feature && same.value == novel.value =>
                    {
                        merge(same, novel);
                    }
                    _ => out.push((actor, novel)),
                }
            }
        }
        Ok(out)
    }

    async fn add_busiest(&self, actors: &mut BTreeMap<String, Today>) -> Result<()> {
        for batch in collect(&self.ctx, include_str!("sql/excess.sql")).await? {
            let (actor, api, calls) =
                (Texts::of(&batch, "actor")?, Texts::of(&batch, "value")?, Numbers::of(&batch, "observed")?);
            for row in 0..batch.num_rows() {
                let busiest = Some((api.at(row).to_owned(), calls.at(row)));
                actors.entry(actor.at(row).to_owned()).and_modify(|today| today.busiest = busiest.clone());
            }
        }
        Ok(())
    }

    async fn add_rules(&self, window: Window, actors: &mut BTreeMap<String, Today>) -> Result<()> {
        for batch in collect(&self.ctx, &in_window(include_str!("sql/rules.sql"), window)).await? {
            let (actor, rule) = (Texts::of(&batch, "actor")?, Texts::of(&batch, "rule")?);
            let (api, user_agent) = (Texts::of(&batch, "value")?, Texts::of(&batch, "user_agent")?);
            let (events, time) = (Numbers::of(&batch, "events")?, Numbers::of_instants(&batch, "last_time")?);
            for row in 0..batch.num_rows() {
                let hit = RuleHit {
                    rule: rule.at(row).to_owned(),
                    api: api.at(row).to_owned(),
                    user_agent: user_agent.at(row).to_owned(),
                    events: events.at(row),
                    last_time: time.instant(row),
                };
                actors.entry(actor.at(row).to_owned()).and_modify(|today| today.rules.push(hit.clone()));
            }
        }
        Ok(())
    }

    /// The events that carry the surprise of the actors given, by profile.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn evidence(&self, window: Window, carriers: &Carriers) -> Result<BTreeMap<String, Vec<Evidence>>> {
        let batch = carriers.to_batch()?;
        self.table("carriers", batch.schema(), vec![batch])?;
        let text = include_str!("sql/evidence.sql").replace("{limit}", &EVENT_LIMIT.to_string());
        read_evidence(&collect(&self.ctx, &in_window(&text, window)).await?)
    }

    async fn view(&self, name: &str, sql: &str) -> Result<()> {
        let frame = self.ctx.sql(sql).await.map_err(|error| broken(name, error))?;
        self.ctx.deregister_table(name).map_err(|error| broken(name, error))?;
        self.ctx.register_table(name, frame.into_view()).map_err(|error| broken(name, error))?;
        Ok(())
    }

    fn table(&self, name: &str, schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<()> {
        let table = MemTable::try_new(schema, vec![rows]).map_err(|error| broken(name, error))?;
        self.ctx.deregister_table(name).map_err(|error| broken(name, error))?;
        self.ctx.register_table(name, Arc::new(table)).map_err(|error| broken(name, error))?;
        Ok(())
    }
}

/// Values by which the events of flagged actors are found: actor, feature, value, thousandths of a bit.
#[derive(Debug, Default)]
pub struct Carriers(Vec<(String, Feature, String, i64)>);

impl Carriers {
    /// Adds the carriers of one actor.
    pub fn add(&mut self, actor: &str, carriers: BTreeMap<(Feature, String), i64>) {
        self.0.extend(carriers.into_iter().map(|((feature, value), bits)| (actor.to_owned(), feature, value, bits)));
    }

    /// True where no actor was flagged.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn to_batch(&self) -> Result<RecordBatch> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("actor", DataType::Utf8, false),
            Field::new("feature", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, false),
            Field::new("millibits", DataType::Int64, false),
        ]));
        let text = |f: fn(&(String, Feature, String, i64)) -> &str| {
            Arc::new(StringArray::from_iter_values(self.0.iter().map(f)))
        };
        let millibits = Int64Array::from_iter_values(self.0.iter().map(|row| row.3));
        let columns: Vec<arrow::array::ArrayRef> =
            vec![text(|row| &row.0), text(|row| row.1.as_str()), text(|row| &row.2), Arc::new(millibits)];
        RecordBatch::try_new(schema, columns)
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot build the carriers of evidence").source(error))
    }
}

fn read_novel(batch: &RecordBatch, past: &Past) -> Result<Vec<(String, Novel)>> {
    let text = |name| Texts::of(batch, name);
    let (actor, account, feature, value) = (text("actor")?, text("account")?, text("feature")?, text("value")?);
    let (events, organization) = (Numbers::of(batch, "events")?, Numbers::of(batch, "organization_users")?);
    let (in_account, hours) = (Numbers::of(batch, "account_users")?, Numbers::of(batch, "hours")?);
    let (first, last) = (Numbers::of_instants(batch, "first_time")?, Numbers::of_instants(batch, "last_time")?);
    let novel = |row| {
        let users = Users {
            account: in_account.at(row),
            account_actors: past.actors_of(account.at(row)),
            organization: organization.at(row),
            organization_actors: past.actors_of(""),
        };
        let novel = Novel {
            feature: Feature::of(feature.at(row))?,
            value: value.at(row).to_owned(),
            account: account.at(row).to_owned(),
            events: events.at(row),
            first_time: first.instant(row),
            last_time: last.instant(row),
            hours: hours.at(row) as u32,
            users,
        };
        Some((actor.at(row).to_owned(), novel))
    };
    Ok((0..batch.num_rows()).filter_map(novel).collect())
}

/// The same value in another account: the account where it is most usual tells how surprising it is.
fn merge(same: &mut Novel, other: Novel) {
    same.events += other.events;
    same.first_time = same.first_time.min(other.first_time);
    same.last_time = same.last_time.max(other.last_time);
    same.hours |= other.hours;
    if other.around() > same.around() {
        (same.account, same.users) = (other.account, other.users);
    }
}

fn in_window(sql: &str, window: Window) -> String {
    let before = window.before.to_rfc3339_opts(SecondsFormat::Micros, true);
    sql.replace("{date}", &window.date.to_string()).replace("{before}", &before)
}

fn broken(name: &str, error: datafusion::error::DataFusionError) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot prepare the detector's table {name}")).source(error)
}
