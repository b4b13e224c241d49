//! Columns that a table of an older lake lacks.
//!
//! Owns: the way from one release's columns to the next. Columns (and members of structs) are only ever added: the log
//! gets them by one commit of the first writer that needs them, and in files that are older they are NULL.
//! Refuses: changing or dropping a column, so that an older release still reads what a newer one wrote.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType as Arrow, Fields, SchemaRef};
use arrow::error::ArrowError;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{DataType, StructField, StructType};

use super::Lake;
use super::commit::COMMIT_ATTEMPTS;
use super::fault::delta_error;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;

/// A table's columns in Delta's words.
///
/// # Errors
/// `Internal` where Delta has no such type.
pub(super) fn columns(table: &Table) -> Result<StructType> {
    let schema = table.schema();
    schema
        .as_ref()
        .try_into_kernel()
        .map_err(|error| Error::new(ErrorKind::Internal, format!("schema of {}", table.name)).source(error))
}

impl Lake {
    /// The table with all columns that this release writes; those it lacks are added by a commit.
    ///
    /// # Errors
    /// `BadInput` where a column has another type, otherwise as the store answers.
    pub(super) async fn with_all_columns(&self, table: &'static Table, mut current: DeltaTable) -> Result<DeltaTable> {
        let what = || format!("cannot add columns to {} in {}", table.name, self.location());
        let ours = columns(table)?;
        for _ in 0..COMMIT_ATTEMPTS {
            let state = current.snapshot().map_err(|error| delta_error(what(), error))?;
            let missing = missing(&ours, &state.schema()).map_err(|name| other_type(table, &name))?;
            if missing.is_empty() {
                return Ok(current);
            }
            let names: Vec<&str> = missing.iter().map(|field| field.name().as_str()).collect();
            tracing::info!("adding columns to {}: {}", table.name, names.join(", "));
            match current.clone().add_columns().with_fields(missing).await {
                Ok(wider) => {
                    self.inner.tables.lock().await.insert(table.name, wider.clone());
                    return Ok(wider);
                }
                // another writer of this release was first
                Err(error) => match delta_error(what(), error) {
                    error if error.kind() == ErrorKind::Conflict => {}
                    error => return Err(error),
                },
            }
            current = match self.table(table).await? {
                Some(current) => current,
                None => return Err(Error::new(ErrorKind::NotFound, what())),
            };
        }
        Err(Error::new(ErrorKind::Conflict, what()).hint("run again when the other writers have finished"))
    }
}

fn other_type(table: &Table, name: &str) -> Error {
    Error::new(ErrorKind::BadInput, format!("{}.{name} has another type than this release writes", table.name))
        .hint("use the release that made the lake, or a new lake")
}

/// Fields of ours that theirs lack, whole or in part, as they can be added: nullable. The name of one whose type is
/// another is an error.
fn missing(ours: &StructType, theirs: &StructType) -> std::result::Result<Vec<StructField>, String> {
    let mut missing = Vec::new();
    for field in ours.fields() {
        let lacks = match theirs.field(field.name()) {
            None => true,
            Some(other) => lacks(field.data_type(), other.data_type()).ok_or_else(|| field.name().clone())?,
        };
        if lacks {
            // our nested fields are nullable as well, so that rows without it are fine all the way down
            missing.push(StructField::new(field.name().clone(), field.data_type().clone(), true));
        }
    }
    Ok(missing)
}

/// Whether `theirs` lacks a member that `ours` has; `None` where the two do not go together.
fn lacks(ours: &DataType, theirs: &DataType) -> Option<bool> {
    match (ours, theirs) {
        (DataType::Struct(ours), DataType::Struct(theirs)) => {
            missing(ours, theirs).ok().map(|missing| !missing.is_empty())
        }
        (DataType::Array(ours), DataType::Array(theirs)) => lacks(ours.element_type(), theirs.element_type()),
        (ours, theirs) => (ours == theirs).then_some(false),
    }
}

/// A batch of a file as the table has its columns: in their order, NULL where the file is older than a column.
///
/// # Errors
/// Where a column of the file cannot be read as the table's.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => conformed(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn conformed(column: &ArrayRef, wanted: &Arrow) -> std::result::Result<ArrayRef, ArrowError> {
    match (column.data_type(), wanted) {
        (found, wanted) if found == wanted => Ok(Arc::clone(column)),
        (Arrow::Struct(_), Arrow::Struct(fields)) => Ok(Arc::new(structs(column.as_struct(), fields)?)),
        (Arrow::List(_), Arrow::List(item)) => {
            let list: &ListArray = column.as_list();
            let values = conformed(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
        }
        (_, wanted) => cast(column, wanted),
    }
}

fn structs(found: &StructArray, fields: &Fields) -> std::result::Result<StructArray, ArrowError> {
    let members = fields
        .iter()
        .map(|field| match found.column_by_name(field.name()) {
            Some(member) => conformed(member, field.data_type()),
            None => Ok(new_null_array(field.data_type(), found.len())),
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(fields.clone(), members, found.nulls().cloned(), found.len())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::lake::{LakeOptions, file};
    use crate::schema::{EVENTS, OBJECTS, REJECTS};

    fn without(schema: &StructType, name: &str) -> StructType {
        StructType::try_new(schema.fields().filter(|field| field.name() != name).cloned()).unwrap()
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let ours = columns(&EVENTS).unwrap();
        assert_eq!(missing(&ours, &ours), Ok(Vec::new()));
        let added = missing(&ours, &without(&ours, "tlsdetails")).unwrap();
        assert_eq!(added.iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["tlsdetails"]);
        assert!(added[0].is_nullable());
    }

    #[test]
    fn a_member_of_a_struct_is_added_to_its_struct() {
        let ours = columns(&EVENTS).unwrap();
        let Some(DataType::Struct(tls)) = ours.field("tlsdetails").map(StructField::data_type) else { panic!() };
        let narrow = StructField::new("tlsdetails", without(tls, "keyexchange"), true);
        let others =
            ours.fields().map(|field| if field.name() == "tlsdetails" { narrow.clone() } else { field.clone() });
        let added = missing(&ours, &StructType::try_new(others).unwrap()).unwrap();
        assert_eq!(added.len(), 1);
        assert_eq!(added[0].data_type(), ours.field("tlsdetails").unwrap().data_type());
    }

    #[test]
    fn another_type_is_refused() {
        let ours = columns(&OBJECTS).unwrap();
        let text = StructField::new("bytes", DataType::STRING, true);
        let others = ours.fields().map(|field| if field.name() == "bytes" { text.clone() } else { field.clone() });
        assert_eq!(missing(&ours, &StructType::try_new(others).unwrap()), Err("bytes".to_owned()));
    }

    #[test]
    fn rows_of_an_older_file_get_nulls_down_to_the_members() {
        let inner = Fields::from(vec![Field::new("a", Arrow::Utf8, true)]);
        let members = vec![Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef];
        let old = StructArray::new(inner.clone(), members, None);
        let batch = RecordBatch::try_from_iter([("s", Arc::new(old) as ArrayRef)]).unwrap();
        let wider: Fields = inner.iter().cloned().chain([Arc::new(Field::new("b", Arrow::Int64, true))]).collect();
        let wanted = Arc::new(Schema::new(vec![
            Field::new("n", Arrow::Int64, true),
            Field::new("s", Arrow::Struct(wider), true),
        ]));
        let found = conform(&batch, &wanted).unwrap();
        assert_eq!(found.column(0).null_count(), 2);
        let found = found.column(1).as_struct();
        assert_eq!((found.column(0).null_count(), found.column(1).null_count()), (0, 2));
    }

    /// Makes a table as a release before this one would have: without some columns, with a row.
    async fn older(lake: &Lake, table: &'static Table, lacking: &[&str]) {
        let ours = columns(table).unwrap();
        let kept = ours.fields().filter(|field| !lacking.contains(&field.name().as_str())).cloned();
        std::fs::create_dir_all(std::path::Path::new(lake.location()).join(table.name).join("_delta_log")).unwrap();
        let made = lake.unloaded(table).unwrap().create().with_columns(kept).with_partition_columns(table.partition);
        made.await.unwrap();
    }

    fn reject_row(table: &'static Table) -> RecordBatch {
        let schema = table.schema();
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            Arrow::Utf8 => Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
            Arrow::Int64 => Arc::new(Int64Array::from(vec![1])),
            other => cast(&(Arc::new(Int64Array::from(vec![1])) as ArrayRef), other).unwrap(),
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    }

    #[tokio::test]
    async fn the_first_writer_adds_the_columns_and_old_files_stay_readable() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().join("lake").to_string_lossy().into_owned();
        let lake = Lake::open_or_create(&LakeOptions { location, ..LakeOptions::default() }).await.unwrap();
        older(&lake, &REJECTS, &["resolved_at", "resolution"]).await;
        // a file of that release
        let wide = file::encode(&REJECTS, &[reject_row(&REJECTS)]).unwrap();
        let narrow = narrowed(&wide[0].bytes, &["resolved_at", "resolution"]);
        let old = file::EncodedFile { bytes: narrow.into(), ..wide[0].clone() };
        let staged = lake.stage(&REJECTS, &[old]).await.unwrap();
        let before = lake.snapshot(&REJECTS).await.unwrap().version;
        lake.commit_staged(&REJECTS, &staged, super::super::Base::Any).await.unwrap();
        // one commit for the columns, one for the rows, and none the next time
        let version = lake.append(&REJECTS, &[reject_row(&REJECTS)]).await.unwrap();
        assert_eq!(version, before + 3);
        let mut seen = Vec::new();
        let snapshot = lake.snapshot(&REJECTS).await.unwrap();
        let files: Vec<_> = snapshot.files.iter().collect();
        let visit = |batch: &RecordBatch| {
            seen.push((batch.column(0).null_count(), batch.column(1).null_count(), batch.num_columns()));
        };
        lake.scan(&REJECTS, &snapshot, &files, &["object", "resolved_at"], visit).await.unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0, 2), (0, 1, 2)]);
    }

    fn narrowed(bytes: &bytes::Bytes, lacking: &[&str]) -> Vec<u8> {
        use parquet::arrow::ArrowWriter;
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        let kept: Vec<usize> = (0..batch.num_columns())
            .filter(|&at| !lacking.contains(&batch.schema().field(at).name().as_str()))
            .collect();
        let batch = batch.project(&kept).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }
}
