//! A day's events, read once.
//!
//! Owns: the one pass over them, and what is taken on the way: cells, traffic, what rules over single events name, sign-ins,
//! uses of instances' credentials. Refuses: what any of it is worth.
//! Invariant: what is taken depends on the set of events only, and is bounded by what differs in it.

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;

use super::cell::Cell;
use super::columns::{Columns, filled};
use super::feature::{self, ActorKind};
use super::fold::{Fold, Forgotten};
use super::group::Groups;
use super::instance::Uses;
use super::names::Names;
use super::place::Places;
use super::rule;
use super::sign_in::SignIn;
use super::silence::TrafficRow;
use super::traffic::TrafficFold;
use super::workspace::{Window, Workspace, in_window};
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Expression, each};

/// Like calls that rules name, and how many: profile, rules separated by blanks, API, access key, account, address, outcome.
pub type Named = Groups<7, i64>;

/// What is taken from a day's events.
pub struct DayEvents {
    /// Like calls.
    pub cells: Vec<Cell>,
    /// Events by account, region, service and quarter of the day.
    pub traffic: Vec<TrafficRow>,
    /// Time of the newest event.
    pub newest: Option<DateTime<Utc>>,
    /// What rules over single events name.
    pub named: Named,
    /// People's sign-ins at the console.
    pub sign_ins: Vec<SignIn>,
    /// Uses of instances' credentials.
    pub uses: Uses,
    /// What was forgotten of the calls, as there were too many different ones.
    pub forgotten: Forgotten,
}

impl DayEvents {
    /// How many events were read, whoever called.
    pub fn number(&self) -> i64 {
        self.traffic.iter().flat_map(|row| row.quarters).sum()
    }
}

impl Workspace {
    /// Reads a window's events, and holds no more of calls than the workspace may.
    ///
    /// # Errors
    /// Whatever reading the lake gives.
    pub async fn read(&self, window: Window, names: &mut Names, places: &mut Places) -> Result<DayEvents> {
        let mut pass = Pass::new(self.memory_limit);
        let sql = in_window(include_str!("sql/day.sql"), window);
        each(&self.ctx, &sql, |batch| pass.add(batch, self.conditions(batch)?)).await?;
        let (traffic, newest) = pass.traffic.finish();
        let Pass { mut fold, named, mut sign_ins, uses, .. } = pass;
        sign_ins.sort_unstable();
        let forgotten = fold.finish();
        Ok(DayEvents { cells: fold.cells(names, places), traffic, newest, named, sign_ins, uses, forgotten })
    }

    /// The rules' conditions, planned for a day's batches, which all have the same columns.
    fn conditions(&self, batch: &RecordBatch) -> Result<&Conditions> {
        match self.conditions.get() {
            Some(conditions) => Ok(conditions),
            None => Conditions::new(&self.ctx, batch).map(|conditions| self.conditions.get_or_init(|| conditions)),
        }
    }
}

/// A pass under way.
struct Pass {
    fold: Fold,
    traffic: TrafficFold,
    named: Named,
    sign_ins: Vec<SignIn>,
    uses: Uses,
}

impl Pass {
    fn new(limit: usize) -> Self {
        let (traffic, named, sign_ins) = (TrafficFold::default(), Named::default(), Vec::new());
        Self { fold: Fold::new(limit), traffic, named, sign_ins, uses: Uses::default() }
    }

    fn add(&mut self, batch: &RecordBatch, conditions: &Conditions) -> Result<()> {
        let columns = Columns::of(batch)?;
        self.traffic.add(&columns);
        self.fold.add(&columns);
        self.uses.add(&columns);
        self.sign_ins.extend(columns.rows().filter_map(|row| SignIn::of(&columns, row)));
        conditions.name(batch, &mut self.named)
    }
}

/// The conditions of the rules over single events.
pub struct Conditions {
    /// Which events are looked at.
    which: Expression,
    /// The rules that name one.
    rules: Expression,
}

impl Conditions {
    fn new(ctx: &SessionContext, batch: &RecordBatch) -> Result<Self> {
        let (which, rules) = rule::conditions();
        let schema = batch.schema();
        Ok(Self { which: Expression::new(ctx, &which, &schema)?, rules: Expression::new(ctx, &rules, &schema)? })
    }

    /// Adds what rules name in a batch.
    fn name(&self, batch: &RecordBatch, named: &mut Named) -> Result<()> {
        let which = self.which.of(batch)?;
        let which = which.as_boolean_opt().ok_or_else(|| Error::new(ErrorKind::Internal, "a rule has no condition"))?;
        if which.true_count() == 0 {
            return Ok(());
        }
        let batch = filter_record_batch(batch, which).map_err(broken)?;
        let rules = cast(&self.rules.of(&batch)?, &DataType::Utf8).map_err(broken)?;
        add(&Columns::of(&batch)?, rules.as_string(), named);
        Ok(())
    }
}

fn add(columns: &Columns, rules: &StringArray, named: &mut Named) {
    for row in columns.rows().filter(|row| !rules.value(*row).is_empty()) {
        let profile = feature::profile(columns.actor(row).unwrap_or_default());
        if ActorKind::of(&profile) == ActorKind::Service {
            continue;
        }
        let api = feature::api(filled(&columns.source, row), filled(&columns.operation, row));
        let (key, account) = (columns.key(row), columns.account(row));
        let texts = [&profile, rules.value(row), &api, key, account, columns.address(row), columns.outcome(row)];
        *named.of(texts, || 0) += 1;
    }
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "cannot ask a rule's condition of an event").source(error)
}
