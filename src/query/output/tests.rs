use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::*;

fn hostile() -> RecordBatch {
    let time = TimestampMicrosecondArray::from(vec![Some(1_767_225_600_000_000), Some(1_767_225_600_000_001), None]);
    let text =
        StringArray::from(vec![Some("=cmd|' /C calc'!A0"), Some("say \"hi\",\nb"), Some("\u{1b}]0;x\u{7}\u{202e}")]);
    let number = Int64Array::from(vec![Some(-1), None, Some(9_007_199_254_740_993)]);
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("arn", DataType::Utf8, true)),
        Arc::new(StringArray::from(vec![Some("a\"b"), None, Some("c")])) as ArrayRef,
    )]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("t", Arc::new(time.with_timezone("UTC"))),
        ("s", Arc::new(text)),
        ("n", Arc::new(number)),
        ("u", Arc::new(nested)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn written(batches: Vec<RecordBatch>, format: Format) -> (Summary, Vec<u8>) {
    let schema = batches[0].schema();
    let stream = stream::iter(batches.into_iter().map(Ok));
    let mut out = Vec::new();
    let summary = write(Box::pin(RecordBatchStreamAdapter::new(schema, stream)), format, &mut out).await.unwrap();
    (summary, out)
}

async fn text(batches: Vec<RecordBatch>, format: Format) -> String {
    String::from_utf8(written(batches, format).await.1).unwrap()
}

#[tokio::test]
async fn csv_quotes_and_disarms() {
    let expected = "t,s,n,u\n\
        2026-01-01T00:00:00Z,'=cmd|' /C calc'!A0,-1,\"{\"\"arn\"\":\"\"a\\\"\"b\"\"}\"\n\
        2026-01-01T00:00:00.000001Z,\"say \"\"hi\"\",\nb\",,\"{\"\"arn\"\":null}\"\n\
        ,\"\\u{1b}]0;x\\u{7}\\u{202e}\",9007199254740993,\"{\"\"arn\"\":\"\"c\"\"}\"\n";
    assert_eq!(text(vec![hostile()], Format::Csv).await, expected);
}

#[tokio::test]
async fn json_holds_the_exact_text_and_no_acting_character() {
    let json = text(vec![hostile(), hostile()], Format::Json).await;
    assert!(!json.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{json}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[2]["s"], "\u{1b}]0;x\u{7}\u{202e}");
    assert_eq!(rows[0]["t"], "2026-01-01T00:00:00Z");
    assert_eq!(rows[1]["n"], serde_json::Value::Null);
    assert_eq!(rows[2]["n"], 9_007_199_254_740_993_i64);
    let lines = text(vec![hostile()], Format::Ndjson).await;
    assert_eq!(
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>(),
        rows[..3]
    );
}

#[tokio::test]
async fn table_shows_what_would_act() {
    let table = text(vec![hostile()], Format::Table).await;
    assert!(table.contains("\\u{1b}]0;x\\u{7}\\u{202e}"), "{table}");
    assert!(table.contains("say \"hi\",\\nb"), "{table}");
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table}");
}

#[tokio::test]
async fn vertical_has_a_line_for_each_value() {
    let vertical = text(vec![hostile()], Format::Vertical).await;
    let lines: Vec<&str> = vertical.lines().collect();
    assert_eq!(lines.len(), 3 * 5, "{vertical}");
    assert!(lines[0].starts_with("-[ 1 ]---") && lines[5].starts_with("-[ 2 ]---"), "{vertical}");
    assert_eq!(lines[7], "s | say \"hi\",\\nb");
    assert_eq!(lines[8], "n |");
    assert_eq!(lines[12], "s | \\u{1b}]0;x\\u{7}\\u{202e}");
    assert_eq!(text(vec![hostile().slice(0, 0)], Format::Vertical).await, "no rows\n");
}

#[tokio::test]
async fn table_counts_what_it_leaves_out() {
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6_000));
    let batch = RecordBatch::try_from_iter([("n", number)]).unwrap();
    let (summary, out) = written(vec![batch.clone(), batch], Format::Table).await;
    assert_eq!(summary, Summary { rows: 10_000, left_out: 2_000, end: End::Complete });
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 10_000 + 4);
}

#[tokio::test]
async fn table_cuts_a_long_cell_visibly() {
    let cell: ArrayRef = Arc::new(StringArray::from(vec!["é".repeat(TABLE_CELL + 1)]));
    let table = text(vec![RecordBatch::try_from_iter([("s", cell)]).unwrap()], Format::Table).await;
    assert!(table.contains(&format!("{}…", "é".repeat(TABLE_CELL))));
}

#[tokio::test]
async fn an_empty_result_has_its_header() {
    let empty = hostile().slice(0, 0);
    assert_eq!(text(vec![empty.clone()], Format::Csv).await, "t,s,n,u\n");
    assert_eq!(text(vec![empty.clone()], Format::Json).await, "[]\n");
    assert_eq!(text(vec![empty.clone()], Format::Ndjson).await, "");
    assert!(text(vec![empty], Format::Table).await.contains("n"));
}

#[tokio::test]
async fn parquet_reads_back() {
    let (summary, out) = written(vec![hostile()], Format::Parquet).await;
    assert_eq!(summary.rows, 3);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes::Bytes::from(out), 100).unwrap();
    let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(batches, [hostile()]);
}

#[tokio::test]
async fn keys_that_repeat_are_told_apart() {
    let fields = vec![Field::new("a", DataType::Float64, true), Field::new("a", DataType::Float64, true)];
    let column: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::clone(&column), column]).unwrap();
    assert_eq!(text(vec![batch.clone()], Format::Ndjson).await, "{\"a\":1.5,\"a_2\":1.5}\n");
    assert_eq!(text(vec![batch], Format::Csv).await, "a,a\n1.5,1.5\n");
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_failure() {
    for format in Format::ALL {
        let stream = stream::iter([Ok(hostile())]);
        let stream = Box::pin(RecordBatchStreamAdapter::new(hostile().schema(), stream));
        assert_eq!(write(stream, format, &mut Closed).await.unwrap().end, End::ReaderGone, "{format}");
    }
}

#[test]
fn an_unknown_format_lists_the_known() {
    let error = "yaml".parse::<Format>().unwrap_err();
    assert_eq!(error.to_string(), "unknown output format \"yaml\" (use table, vertical, json, ndjson, csv, parquet)");
}
