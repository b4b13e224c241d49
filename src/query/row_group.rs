//! What the codes of a row group tell: how many rows there are of each combination of texts.
//!
//! Owns: the question ([`Question`]), and its answer from column chunks. A condition on a text is asked, and a key made
//! of a text, once for each entry of a dictionary, not for each row; rows are told apart and counted by their codes.
//! Refuses: conditions and keys that need more than one column, and columns of anything but texts and instants.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray, StringViewBuilder, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result as DfResult, ScalarValue, internal_err};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource, ParquetSource};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::expressions::{Column, DynamicFilterTracking, Literal};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::projection::ProjectionExec;
use foldhash::fast::RandomState;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};

use super::codes::{self, Codes, NULL};
use super::pages::{self, Pages, Window};
use super::pieces::{Piece, Task};
use super::{cells, instants};
use crate::schema::{is_unique, timestamp};

/// Combinations of codes up to which each has its own place in a table (of a megabyte); beyond it they are hashed.
const MAX_TABLE: usize = 1 << 17;

/// Combinations that are so few that neighbours are alike more often than not: to add to one number again and again waits for it
/// each time.
const FEW: usize = 64;

/// A column of a file, or a member of a struct, by the names on the way to it.
type Path = Vec<String>;

/// What is asked of each row group.
#[derive(Debug)]
pub(super) struct Question {
    columns: Vec<Needed>,
    /// What rows are grouped by.
    by: Vec<Key>,
    /// What must be true of a column.
    conditions: Vec<(usize, Layer)>,
}

/// A column of each row group.
#[derive(Debug)]
struct Needed {
    path: Path,
    /// Of instants: those of so many microseconds, counted from 1970, need not be told apart.
    grain: i64,
}

/// A column (its place among the question's), or what is made of it.
#[derive(Debug)]
struct Key {
    column: usize,
    /// Expressions over those of the layer before; over the column alone first, and one only at last. None: the column itself.
    layers: Vec<Layer>,
}

/// Expressions over the same columns.
type Layer = Vec<Arc<dyn PhysicalExpr>>;

impl Question {
    /// What an aggregation over files asks, where codes can answer it.
    pub(super) fn of(aggregate: &AggregateExec, scan: &FileScanConfig, source: &ParquetSource) -> Option<Self> {
        let mut question = Self { columns: Vec::new(), by: Vec::new(), conditions: Vec::new() };
        let over_files = aggregate.input().downcast_ref::<ProjectionExec>().map(ProjectionExec::expr);
        let projections: Vec<&[ProjectionExpr]> =
            over_files.into_iter().chain([source.projection()?.as_ref()]).collect();
        for (expr, _) in aggregate.group_expr().expr() {
            question.key(expr, &projections, scan)?;
        }
        for condition in source.filter().as_ref().map(split_conjunction).unwrap_or_default() {
            let (column, layer) = question.alone(std::slice::from_ref(condition), scan)?;
            question.conditions.push((column, layer));
        }
        Some(question)
    }

    /// Takes a column of texts, or an expression of one column, to group by. The last of the projections is over files, each of
    /// the others over the next.
    fn key(
        &mut self,
        expr: &Arc<dyn PhysicalExpr>,
        projections: &[&[ProjectionExpr]],
        scan: &FileScanConfig,
    ) -> Option<()> {
        let mut of_file = vec![Arc::clone(expr)];
        let mut layers = Vec::new();
        for projected in projections {
            let (layer, below) = layer(&of_file, projected)?;
            // columns under another number are no layer of their own
            match below.iter().all(|expr| expr.is::<Column>()) {
                true => of_file = layer.iter().map(|expr| with_columns(expr, &below)).collect::<Option<_>>()?,
                false => {
                    layers.push(layer);
                    of_file = below;
                }
            }
        }
        let key = match (&of_file[..], path(expr, projections)) {
            ([of_file], Some(path)) => {
                let is_text = matches!(of_file.data_type(scan.file_schema()), Ok(DataType::Utf8View | DataType::Utf8));
                Key { column: is_text.then(|| self.column(path, 1)).flatten()?, layers: Vec::new() }
            }
            _ => {
                let (column, layer) = self.alone(&of_file, scan)?;
                layers.push(layer);
                layers.reverse();
                Key { column, layers }
            }
        };
        self.by.push(key);
        Some(())
    }

    /// The only column that expressions need, and the expressions over it alone.
    fn alone(&mut self, exprs: &[Arc<dyn PhysicalExpr>], scan: &FileScanConfig) -> Option<(usize, Layer)> {
        let columns: HashSet<Column> = exprs.iter().flat_map(collect_columns).collect();
        let [column] = columns.iter().collect::<Vec<_>>()[..] else { return None };
        let field = scan.file_schema().field_with_name(column.name()).ok()?;
        let is_readable = *field.data_type() == DataType::Utf8View || *field.data_type() == timestamp();
        let schema = Schema::new(vec![field.clone()]);
        // what differs from row to row cannot be asked once for all rows of an entry
        let alone = |expr: &Arc<dyn PhysicalExpr>| {
            let is_fixed = !is_volatile(expr) && !DynamicFilterTracking::classify(expr).contains_dynamic_filter();
            is_fixed.then(|| reassign_expr_columns(Arc::clone(expr), &schema).ok()).flatten()
        };
        let layer = is_readable.then(|| exprs.iter().map(alone).collect::<Option<_>>()).flatten()?;
        let grain = exprs.iter().map(instants::grain).min()?;
        Some((self.column(vec![column.name().to_owned()], grain)?, layer))
    }

    fn column(&mut self, path: Path, grain: i64) -> Option<usize> {
        if is_unique(path.last()?) {
            return None;
        }
        if let Some(known) = self.columns.iter().position(|column| column.path == path) {
            let known_grain = &mut self.columns[known].grain;
            *known_grain = grain.min(*known_grain);
            return Some(known);
        }
        self.columns.push(Needed { path, grain });
        Some(self.columns.len() - 1)
    }
}

/// Expressions over what is projected, as a layer over as much of it as they need, which comes with it.
fn layer(exprs: &[Arc<dyn PhysicalExpr>], projected: &[ProjectionExpr]) -> Option<(Layer, Layer)> {
    let needed: BTreeSet<usize> = exprs.iter().flat_map(collect_columns).map(|column| column.index()).collect();
    let place = |index| Arc::new(Column::new("", needed.range(..index).count())) as Arc<dyn PhysicalExpr>;
    let places: Layer = (0..projected.len()).map(place).collect();
    let over = |expr: &Arc<dyn PhysicalExpr>| (!is_volatile(expr)).then(|| with_columns(expr, &places)).flatten();
    let below = needed.iter().map(|index| Some(Arc::clone(&projected.get(*index)?.expr)));
    Some((exprs.iter().map(over).collect::<Option<_>>()?, below.collect::<Option<_>>()?))
}

/// An expression with others in the place of its columns.
fn with_columns(expr: &Arc<dyn PhysicalExpr>, columns: &Layer) -> Option<Arc<dyn PhysicalExpr>> {
    let replaced = |expr: Arc<dyn PhysicalExpr>| match expr.downcast_ref::<Column>() {
        Some(column) => match columns.get(column.index()) {
            Some(other) => Ok(Transformed::yes(Arc::clone(other))),
            None => internal_err!("{column} is not projected"),
        },
        None => Ok(Transformed::no(expr)),
    };
    Arc::clone(expr).transform_up(replaced).data().ok()
}

/// The path of a column or of a struct's member, through projections.
fn path(expr: &Arc<dyn PhysicalExpr>, projections: &[&[ProjectionExpr]]) -> Option<Path> {
    match projections.split_first() {
        Some((projected, below)) => path(&projected.get(expr.downcast_ref::<Column>()?.index())?.expr, below),
        None => path_in_file(expr),
    }
}

/// The path of a column or of a struct's member.
pub(super) fn path_in_file(expr: &Arc<dyn PhysicalExpr>) -> Option<Path> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(vec![column.name().to_owned()]);
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == "get_field")?;
    let (base, members) = call.args().split_first()?;
    let mut path = path_in_file(base)?;
    for member in members {
        let ScalarValue::Utf8(Some(name)) = member.downcast_ref::<Literal>()?.value() else { return None };
        path.push(name.clone());
    }
    Some(path)
}

impl Task for Question {
    const PAGES: PageIndexPolicy = PageIndexPolicy::Skip;

    fn places(&self, piece: &Piece) -> Option<Vec<Range<u64>>> {
        self.columns.iter().map(|needed| column(piece.group(), &needed.path).map(pages::place)).collect()
    }

    /// Counts the rows of each group, from the chunks of the columns.
    fn answer(&self, piece: &Piece, chunks: Vec<Bytes>, schema: &SchemaRef) -> Result<Option<(RecordBatch, usize)>> {
        let rows = piece.rows();
        let mut columns = Vec::with_capacity(chunks.len());
        for (needed, bytes) in self.columns.iter().zip(chunks) {
            let Some(column) = Coded::read(piece.group(), needed, bytes, rows)? else { return Ok(None) };
            columns.push(column);
        }
        // what cannot be evaluated here, the general reader will say why
        let Ok(chosen) = chosen(self, &columns, rows) else { return Ok(None) };
        let key = |key: &Key| key.of(&columns[key.column], chosen.as_deref());
        let Ok(by) = self.by.iter().map(key).collect::<DfResult<Vec<_>>>() else { return Ok(None) };
        let combinations = Combinations::of(&by, chosen.as_deref());
        let (mut examples, counts) = combinations.counted();
        if let Some(chosen) = chosen {
            examples.iter_mut().for_each(|row| *row = chosen[*row] as usize);
        }
        Ok(groups(schema, &by, &examples, counts).ok().map(|groups| (groups, combinations.numbers.len())))
    }
}

/// The column of a row group that can be read here.
fn column<'g>(group: &'g RowGroupMetaData, path: &[String]) -> Option<&'g ColumnChunkMetaData> {
    codes::column(group, path).or_else(|| codes::column_of_instants(group, path))
}

/// A column of a row group.
#[derive(Clone)]
struct Coded {
    /// The entries of its dictionary, of instants those that are told apart, and NULL as one more behind them.
    values: ArrayRef,
    /// The place in `values` of each row's.
    codes: Vec<u32>,
}

impl Coded {
    fn read(group: &RowGroupMetaData, needed: &Needed, bytes: Bytes, rows: usize) -> Result<Option<Self>> {
        if let Some(column) = codes::column_of_instants(group, &needed.path) {
            let pages = Pages::new(Window::whole(column, bytes), column, rows, None)?;
            let all = cells::instants(pages, column, std::slice::from_ref(&(0..rows)))?;
            return Ok(all.map(|all| {
                let (values, codes) = instants::told_apart(&all, needed.grain);
                Self { values: Arc::new(values), codes }
            }));
        }
        let Some(column) = codes::column(group, &needed.path) else { return Ok(None) };
        let pages = Pages::new(Window::whole(column, bytes), column, rows, None)?;
        let Some(mut chunk) = Codes::open(pages, column, rows)? else { return Ok(None) };
        let Some(values) = values(&chunk) else { return Ok(None) };
        let null = values.len() as u32 - 1;
        let codes = chunk.read(std::slice::from_ref(&(0..rows)))?.map(|mut codes| {
            codes.iter_mut().filter(|code| **code == NULL).for_each(|code| *code = null);
            codes
        });
        Ok(codes.map(|codes| Self { values: Arc::new(values), codes }))
    }

    /// The entries that some rows have; `None` for all rows, which have them all.
    fn used(&self, chosen: Option<&[u32]>) -> Option<UInt32Array> {
        let mut is_used = vec![false; self.values.len()];
        chosen?.iter().for_each(|row| is_used[self.codes[*row as usize] as usize] = true);
        Some((0..).zip(is_used).filter_map(|(entry, is_used)| is_used.then_some(entry)).collect())
    }
}

impl Key {
    /// What the rows (or those that are chosen) are grouped by.
    fn of<'c>(&self, column: &'c Coded, chosen: Option<&[u32]>) -> DfResult<Cow<'c, Coded>> {
        if self.layers.is_empty() {
            return Ok(Cow::Borrowed(column));
        }
        let used = column.used(chosen);
        let values = match &used {
            Some(used) => take(&column.values, used, None)?,
            None => Arc::clone(&column.values),
        };
        let values = self.layers.iter().try_fold(vec![values], |below, layer| evaluated(layer, &below))?;
        let (values, places) = distinct(&values[0])?;
        let place_of = match used {
            None => places,
            Some(used) => {
                let mut place_of = vec![0; column.values.len()];
                used.values().iter().zip(places).for_each(|(entry, place)| place_of[*entry as usize] = place);
                place_of
            }
        };
        let codes = column.codes.iter().map(|code| place_of[*code as usize]).collect();
        Ok(Cow::Owned(Coded { values, codes }))
    }
}

/// The values that there are, each once, and the place among them of every value.
fn distinct(values: &ArrayRef) -> DfResult<(ArrayRef, Vec<u32>)> {
    let schema = Schema::new(vec![Field::new("", values.data_type().clone(), true)]);
    let mut known = new_group_values(Arc::new(schema), &GroupOrdering::None)?;
    let mut places = Vec::with_capacity(values.len());
    known.intern(&[Arc::clone(values)], &mut places)?;
    let distinct = known.emit(EmitTo::All)?.swap_remove(0);
    Ok((distinct, places.into_iter().map(|place| place as u32).collect()))
}

/// The entries of a dictionary, which are not copied, and NULL; `None` where one is no text.
fn values(chunk: &Codes) -> Option<StringViewArray> {
    let (bytes, entries) = chunk.dictionary()?;
    let mut values = StringViewBuilder::with_capacity(entries.len() + 1);
    let block = values.append_block(bytes.clone().into());
    for entry in entries {
        values.try_append_view(block, entry.start as u32, entry.len() as u32).ok()?;
    }
    values.append_null();
    Some(values.finish())
}

/// The rows of which all conditions are true, where there are conditions.
fn chosen(question: &Question, columns: &[Coded], rows: usize) -> DfResult<Option<Vec<u32>>> {
    let mut chosen: Option<Vec<u32>> = None;
    for (place, condition) in &question.conditions {
        let column = &columns[*place];
        let holds = holds(condition, &column.values)?;
        let holds = |row: &u32| holds[column.codes[*row as usize] as usize];
        match &mut chosen {
            Some(chosen) => chosen.retain(holds),
            None => chosen = Some((0..rows as u32).filter(holds).collect()),
        }
    }
    Ok(chosen)
}

/// Of which values a condition is true.
fn holds(condition: &Layer, values: &ArrayRef) -> DfResult<Vec<bool>> {
    let holds = evaluated(condition, std::slice::from_ref(values))?;
    Ok(holds[0].as_boolean().iter().map(|holds| holds == Some(true)).collect())
}

/// What expressions make of their columns.
fn evaluated(layer: &Layer, columns: &[ArrayRef]) -> DfResult<Vec<ArrayRef>> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.iter().map(|column| ("", Arc::clone(column), true)))?;
    layer.iter().map(|expr| expr.evaluate(&batch)?.into_array(batch.num_rows())).collect()
}

/// The combination of codes of each row, as a number.
struct Combinations {
    numbers: Vec<u32>,
    /// All numbers are smaller.
    end: usize,
}

impl Combinations {
    /// Of all rows, or of those that are chosen.
    fn of(by: &[Cow<'_, Coded>], chosen: Option<&[u32]>) -> Self {
        let of_rows = |codes: &[u32]| match chosen {
            None => codes.to_vec(),
            Some(rows) => rows.iter().map(|row| codes[*row as usize]).collect(),
        };
        let Some((first, others)) = by.split_first() else { return Self { numbers: Vec::new(), end: 0 } };
        let mut all = Self { numbers: of_rows(&first.codes), end: first.values.len() };
        others.iter().for_each(|column| all.append(&of_rows(&column.codes), column.values.len()));
        all
    }

    /// Combines with the codes of one more column, all smaller than `values`.
    fn append(&mut self, codes: &[u32], values: usize) {
        let both = self.numbers.iter_mut().zip(codes.iter().copied());
        if self.end * values <= MAX_TABLE {
            both.for_each(|(number, code)| *number = *number * values as u32 + code);
            self.end *= values;
        } else {
            let mut known: HashMap<(u32, u32), u32, RandomState> = HashMap::default();
            for (number, code) in both {
                let next = known.len() as u32;
                *number = *known.entry((*number, code)).or_insert(next);
            }
            self.end = known.len();
        }
    }

    /// A row (counted among the chosen) of each combination that there is, and how many rows have it.
    fn counted(&self) -> (Vec<usize>, Vec<i64>) {
        let mut known = vec![(0_u32, 0_u32); self.end];
        let mut add = |number: u32, last_row: usize, rows: usize| {
            let (last, count) = &mut known[number as usize];
            *last = last_row as u32;
            *count += rows as u32;
        };
        if self.end <= FEW {
            let mut next = 0;
            for run in self.numbers.chunk_by(|one, other| one == other) {
                next += run.len();
                add(run[0], next - 1, run.len());
            }
        } else {
            self.numbers.iter().enumerate().for_each(|(row, number)| add(*number, row, 1));
        }
        let there = known.into_iter().filter(|(_, count)| *count > 0);
        there.map(|(last, count)| (last as usize, i64::from(count))).unzip()
    }
}

/// The groups as DataFusion's first step hands them on: their texts, and each count.
fn groups(schema: &SchemaRef, by: &[Cow<'_, Coded>], rows: &[usize], counts: Vec<i64>) -> DfResult<RecordBatch> {
    let counts: ArrayRef = Arc::new(Int64Array::from(counts));
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (column, field) in by.iter().zip(schema.fields()) {
        let codes: UInt32Array = rows.iter().map(|&row| column.codes[row]).collect();
        columns.push(cast(&take(&column.values, &codes, None)?, field.data_type())?);
    }
    columns.resize(schema.fields().len(), counts);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
