//! What the codes of a row group tell: how many rows there are of each combination of texts.
//!
//! Owns: the question ([`Question`]), and its answer from column chunks ([`count`]). A condition on a text is asked once for each
//! entry of a dictionary, not for each row; rows are told apart and counted by their codes.
//! Refuses: conditions that need more than one column, and columns of anything but texts and instants.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource, ParquetSource};
use datafusion::physical_expr::expressions::{Column, DynamicFilterTracking, Literal};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_plan::aggregates::AggregateExec;
use foldhash::fast::RandomState;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::codes::{self, Codes, NULL};
use crate::schema::{is_unique, timestamp};

/// Combinations of codes up to which each has its own place in a table (of a megabyte); beyond it they are hashed.
const MAX_TABLE: usize = 1 << 17;

/// A column of a file, or a member of a struct, by the names on the way to it.
type Path = Vec<String>;

/// What is asked of each row group.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) columns: Vec<Path>,
    /// What rows are grouped by, as places in `columns`.
    by: Vec<usize>,
    /// What must be true of a column, itself the only one (`0`) of the expression's schema.
    conditions: Vec<(usize, Arc<dyn PhysicalExpr>)>,
}

impl Question {
    /// What an aggregation over files asks, where codes can answer it.
    pub(super) fn of(aggregate: &AggregateExec, scan: &FileScanConfig, source: &ParquetSource) -> Option<Self> {
        let mut question = Self { columns: Vec::new(), by: Vec::new(), conditions: Vec::new() };
        let projected = source.projection()?.as_ref();
        for (expr, _) in aggregate.group_expr().expr() {
            let column = expr.downcast_ref::<Column>()?;
            let path = path(&projected.get(column.index())?.expr)?;
            let column = question.column(path)?;
            question.by.push(column);
        }
        for condition in source.filter().as_ref().map(split_conjunction).unwrap_or_default() {
            question.condition(condition, scan)?;
        }
        Some(question)
    }

    fn condition(&mut self, condition: &Arc<dyn PhysicalExpr>, scan: &FileScanConfig) -> Option<()> {
        let columns = collect_columns(condition);
        let [column] = columns.iter().collect::<Vec<_>>()[..] else { return None };
        let field = scan.file_schema().field_with_name(column.name()).ok()?;
        let is_readable = *field.data_type() == DataType::Utf8View || *field.data_type() == timestamp();
        if !is_readable || DynamicFilterTracking::classify(condition).contains_dynamic_filter() {
            return None;
        }
        let alone = reassign_expr_columns(Arc::clone(condition), &Schema::new(vec![field.clone()])).ok()?;
        let column = self.column(vec![column.name().to_owned()])?;
        self.conditions.push((column, alone));
        Some(())
    }

    fn column(&mut self, path: Path) -> Option<usize> {
        if is_unique(path.last()?) {
            return None;
        }
        let known = self.columns.iter().position(|column| *column == path);
        Some(known.unwrap_or_else(|| {
            self.columns.push(path);
            self.columns.len() - 1
        }))
    }
}

/// The path of a column or of a struct's member.
fn path(expr: &Arc<dyn PhysicalExpr>) -> Option<Path> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(vec![column.name().to_owned()]);
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == "get_field")?;
    let (base, members) = call.args().split_first()?;
    let mut path = path(base)?;
    for member in members {
        let ScalarValue::Utf8(Some(name)) = member.downcast_ref::<Literal>()?.value() else { return None };
        path.push(name.clone());
    }
    Some(path)
}

/// Counts the rows of a row group, whose columns are `chunks` in the order of the question's; `None` where not all is codes.
///
/// # Errors
/// Where a page cannot be read; the general reader tells what is wrong with it.
pub(super) fn count(
    question: &Question,
    schema: &SchemaRef,
    group: &RowGroupMetaData,
    chunks: Vec<Bytes>,
) -> Result<Option<(RecordBatch, usize)>> {
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    let mut columns = Vec::with_capacity(chunks.len());
    for (path, bytes) in question.columns.iter().zip(chunks) {
        let Some(column) = Coded::read(group, path, bytes, rows)? else { return Ok(None) };
        columns.push(column);
    }
    // what cannot be evaluated here, the general reader will say why
    let Ok(chosen) = chosen(question, &columns, rows) else { return Ok(None) };
    let by: Vec<&Coded> = question.by.iter().map(|&place| &columns[place]).collect();
    let combinations = Combinations::of(&by, chosen.as_deref(), rows);
    let (mut examples, counts) = combinations.counted();
    if let Some(chosen) = chosen {
        examples.iter_mut().for_each(|row| *row = chosen[*row] as usize);
    }
    Ok(groups(schema, &by, &examples, counts).ok().map(|groups| (groups, combinations.numbers.len())))
}

/// The column of a row group that can be read here.
pub(super) fn column<'g>(group: &'g RowGroupMetaData, path: &[String]) -> Option<&'g ColumnChunkMetaData> {
    codes::column(group, path).or_else(|| codes::column_of_instants(group, path))
}

/// A column of a row group.
struct Coded {
    /// The entries of its dictionary, and NULL as one more behind them; of instants every row's.
    values: ArrayRef,
    /// The place in `values` of each row's.
    codes: Vec<u32>,
}

impl Coded {
    fn read(group: &RowGroupMetaData, path: &[String], bytes: Bytes, rows: usize) -> Result<Option<Self>> {
        if let Some(column) = codes::column_of_instants(group, path) {
            let values = codes::instants(bytes, column, rows)?;
            let values = values.map(|values| TimestampMicrosecondArray::from(values).with_timezone("UTC"));
            return Ok(values.map(|values| Self { values: Arc::new(values), codes: (0..rows as u32).collect() }));
        }
        let Some(column) = codes::column(group, path) else { return Ok(None) };
        let Some(chunk) = Codes::open(bytes, column, rows)? else { return Ok(None) };
        let Some(values) = values(&chunk) else { return Ok(None) };
        let null = values.len() as u32 - 1;
        let codes = chunk.read()?.map(|mut codes| {
            codes.iter_mut().filter(|code| **code == NULL).for_each(|code| *code = null);
            codes
        });
        Ok(codes.map(|codes| Self { values: Arc::new(values), codes }))
    }
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
fn holds(condition: &Arc<dyn PhysicalExpr>, values: &ArrayRef) -> DfResult<Vec<bool>> {
    let batch = RecordBatch::try_from_iter_with_nullable([("", Arc::clone(values), true)])?;
    let holds = condition.evaluate(&batch)?.into_array(values.len())?;
    Ok(holds.as_boolean().iter().map(|holds| holds == Some(true)).collect())
}

/// The combination of codes of each row, as a number.
struct Combinations {
    numbers: Vec<u32>,
    /// All numbers are smaller.
    end: usize,
}

impl Combinations {
    fn of(by: &[&Coded], chosen: Option<&[u32]>, rows: usize) -> Self {
        let mut all = Self { numbers: vec![0; chosen.map_or(rows, <[u32]>::len)], end: 1 };
        for column in by {
            match chosen {
                None => all.append(column.codes.iter().copied(), column.values.len()),
                Some(rows) => all.append(rows.iter().map(|row| column.codes[*row as usize]), column.values.len()),
            }
        }
        all
    }

    /// Combines with the codes of one more column, all smaller than `values`.
    fn append(&mut self, codes: impl Iterator<Item = u32>, values: usize) {
        let both = self.numbers.iter_mut().zip(codes);
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
        for (row, number) in self.numbers.iter().enumerate() {
            let (last, count) = &mut known[*number as usize];
            *last = row as u32;
            *count += 1;
        }
        let there = known.into_iter().filter(|(_, count)| *count > 0);
        there.map(|(last, count)| (last as usize, i64::from(count))).unzip()
    }
}

/// The groups as DataFusion's first step hands them on: their texts, and each count.
fn groups(schema: &SchemaRef, by: &[&Coded], rows: &[usize], counts: Vec<i64>) -> DfResult<RecordBatch> {
    let counts: ArrayRef = Arc::new(Int64Array::from(counts));
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (column, field) in by.iter().zip(schema.fields()) {
        let codes: UInt32Array = rows.iter().map(|&row| column.codes[row]).collect();
        columns.push(cast(&take(&column.values, &codes, None)?, field.data_type())?);
    }
    columns.resize(schema.fields().len(), counts);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
