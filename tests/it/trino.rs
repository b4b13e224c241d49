//! Queries written for CloudTrail Lake and Athena, as data: only the table's name is theirs.
//!
//! `tests/trino/NAME.sql` runs over the fixture of the named queries and gives `tests/trino/NAME.csv`.
//! `TRAILHOUND_BLESS=1 cargo test --test it trino` writes the results anew; read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::prelude::SessionContext;
use trailhound::error::ErrorKind;
use trailhound::query::{self, output};

use crate::queries;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trino")
}

async fn csv(ctx: &SessionContext, sql: &str) -> trailhound::error::Result<String> {
    let mut out = Vec::new();
    output::write(query::execute(ctx, sql).await?, output::Format::Csv, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn queries_of_lake_and_athena_run_as_they_are() {
    let lake = tempfile::tempdir().unwrap();
    let ctx = queries::session(lake.path());
    let bless = std::env::var_os("TRAILHOUND_BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    assert!(files.len() >= 30, "{}", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let found = match csv(&ctx, &fs::read_to_string(&path).unwrap()).await {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let expected = path.with_extension("csv");
        if bless {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if expected != found {
            wrong.push(format!("{name}\n-- expected\n{expected}-- found\n{found}"));
        }
        if found.lines().count() < 2 {
            wrong.push(format!("{name}: the fixture has no row for it"));
        }
    }
    assert!(wrong.is_empty(), "{} queries differ\n\n{}", wrong.len(), wrong.join("\n"));
}

/// Expressions and their values, as CSV writes them.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("json_extract('{\"a\":{\"b\":[1,2]}}', '$.a.b')", "\"[1,2]\""),
    ("json_extract('{\"a\":[{\"b\":1},{\"b\":2}]}', '$.a[*].b')", "\"[1,2]\""),
    ("json_extract_scalar('{\"a\":\"x\\ny\"}', '$.a')", "\"x\ny\""),
    ("json_extract_scalar('{\"a\":{}}', '$.a')", ""),
    ("json_extract_scalar('not json', '$.a')", ""),
    ("json_parse('{broken')", ""),
    ("json_array_get('[1,2,3]', -1)", "3"),
    ("json_array_length('{}')", ""),
    ("json_array_contains('[\"a\",1,true]', 'a')", "true"),
    ("json_array_contains('[\"a\",1,true]', 1)", "true"),
    ("json_array_contains('[\"a\",1,true]', '1')", "false"),
    ("json_size('{\"a\":{\"b\":1,\"c\":2}}', '$.a')", "2"),
    ("json_exists('{\"a\":null}', 'lax $.a')", "true"),
    ("is_json_scalar('\"a\"')", "true"),
    ("cast(json_extract('{\"a\":\"7\"}', '$.a') AS bigint)", "7"),
    ("cast(json_extract('{\"a\":\"x\"}', '$.a') AS varchar)", "x"),
    ("cast(json_extract('{\"a\":\"x\"}', '$.a') AS bigint)", ""),
    ("cast('[\"a\",\"b\"]' AS array(varchar))[2]", "b"),
    ("cast('{\"a\":[1,2]}' AS map(varchar, array(integer)))['a'][1]", "1"),
    ("cast('{\"A\":1,\"b\":\"x\"}' AS row(a bigint, b varchar)).b", "x"),
    ("json_format(cast(array[1,2] AS json))", "\"[1,2]\""),
    ("cast('a\"b' AS json)", "\"\"\"a\\\"\"b\"\"\""),
    ("element_at('{\"a\":{\"b\":1}}', 'a')", "\"{\"\"b\"\":1}\""),
    ("element_at('[\"x\",\"y\"]', -1)", "y"),
    ("element_at(array['x','y'], 3)", ""),
    ("element_at(map(array['k'], array[7]), 'k')", "7"),
    ("contains(array[1,2], 2)", "true"),
    ("contains(array[1,null], 2)", ""),
    ("contains('abc', 'b')", "true"),
    ("cardinality(map(array['a','b'], array[1,2]))", "2"),
    ("transform(array[1,2,3], x -> x * 2)", "\"[2,4,6]\""),
    ("filter(array[1,2,3], x -> x > 1 AND x < 3)", "[2]"),
    ("any_match(array['a','b'], x -> x = 'b')", "true"),
    ("all_match(array[1,2], x -> x > 0)", "true"),
    ("none_match(array[1,2], x -> x > 1)", "false"),
    ("map_filter(map(array['a','b'], array[1,2]), (k, v) -> v > 1)", "\"{\"\"b\"\":2}\""),
    ("transform_values(map(array['a','b'], array[1,2]), (k, v) -> v * 10)", "\"{\"\"a\"\":10,\"\"b\"\":20}\""),
    ("transform_keys(map(array['a','b'], array[1,2]), (k, v) -> upper(k))['B']", "2"),
    ("cardinality(transform_keys(map(array['a','b'], array[1,2]), (k, v) -> 'same'))", "1"),
    (
        "map_filter(cast('{\"a\":\"x\",\"b\":null}' AS map(varchar, varchar)), (k, v) -> v IS NOT NULL)",
        "\"{\"\"a\"\":\"\"x\"\"}\"",
    ),
    ("map_filter(cast(NULL AS map(varchar, varchar)), (k, v) -> true)", ""),
    ("zip_with(array[1,2,3], array[10,20], (a, b) -> a + coalesce(b, 0))", "\"[11,22,3]\""),
    ("zip_with(array['a'], array['b'], (a, b) -> concat(a, b, x)) FROM (VALUES ('c')) AS t (x)", "\"[\"\"abc\"\"]\""),
    ("map_from_entries(array[row('a', 1), row('b', 2), row('a', 3)])['a']", "1"),
    ("histogram(x) FROM (VALUES ('b'), ('a'), ('b'), (NULL)) AS t (x)", "\"{\"\"a\"\":1,\"\"b\"\":2}\""),
    (
        "map_agg(k, v) FROM (VALUES ('b', 2), ('a', 7), ('a', 1), (NULL, 3)) AS t (k, v)",
        "\"{\"\"a\"\":1,\"\"b\"\":2}\"",
    ),
    ("multimap_agg(k, v) FROM (VALUES ('a', 2), ('a', 1)) AS t (k, v)", "\"{\"\"a\"\":[1,2]}\""),
    (
        "map_union(m) FROM (VALUES (map(array['a'], array[1])), (map(array['b'], array[2]))) AS t (m)",
        "\"{\"\"a\"\":1,\"\"b\"\":2}\"",
    ),
    ("map_agg(k, v)['a'] FROM (VALUES ('a', 1)) AS t (k, v)", "1"),
    ("histogram(x) FROM (VALUES (1)) AS t (x) WHERE x > 1", ""),
    ("histogram(x) FROM (VALUES (2), (1), (2)) AS t (x)", "\"{\"\"1\"\":1,\"\"2\"\":2}\""),
    ("json_extract(cast(histogram(x) AS json), '$.2') FROM (VALUES (2), (2)) AS t (x)", "2"),
    ("mod(7, 4) + bitwise_and(6, 3) + bitwise_xor(6, 3)", "10"),
    ("truncate(-1.7)", "-1.0"),
    ("is_nan(nan()) AND is_infinite(infinity())", "true"),
    ("from_utf8(from_hex('6162'))", "ab"),
    ("last_day_of_month(timestamp '2028-02-10 12:00:00')", "2028-02-29"),
    ("array_first(array[1,2]) + array_last(array[1,2])", "3"),
    ("trim_array(array[1,2,3], 1)", "\"[1,2]\""),
    ("regexp_position('abc', 'c')", "3"),
    ("regexp_position('abc', 'x')", "-1"),
    ("map_concat(map(array['a','b'], array[1,2]), map(array['b'], array[3]))", "\"{\"\"b\"\":3,\"\"a\"\":1}\""),
    ("is_subnet_of('10.0.0.0/8', '10.1.2.3')", "true"),
    ("try(1 / 0)", ""),
    ("rand(5) < 5", "true"),
    ("variance(x) FROM (VALUES (1.0), (3.0)) AS t (x)", "2.0"),
    ("approx_percentile(x, array[0.0, 1.0]) FROM (VALUES (1.0), (3.0)) AS t (x)", "\"[1.0,3.0]\""),
    ("element_at(cast(row(1, 'x') AS row(a bigint, b varchar)), 'B')", "x"),
    ("json_extract_scalar(x, '$.a') FROM UNNEST(cast(json_parse('[{\"a\":7}]') AS array(json))) AS t (x)", "7"),
    ("k FROM UNNEST(map(array['a','b'], array[1,2])) AS t (k, v) WHERE v = 2", "b"),
    ("x FROM UNNEST(array['a','b']) WITH ORDINALITY AS t (x, i) WHERE i = 2", "b"),
    ("x FROM (VALUES (2), (1)) AS t (x) ORDER BY x FETCH FIRST 1 ROW ONLY", "1"),
    ("localtimestamp > timestamp '2020-01-01 00:00:00'", "true"),
    ("regexp_extract_all('a1b22', '[0-9]+')", "\"[\"\"1\"\",\"\"22\"\"]\""),
    ("regexp_extract_all('a1b22', '([a-z])([0-9]+)', 2)[2]", "22"),
    ("regexp_split('a1b22c', '[0-9]+')", "\"[\"\"a\"\",\"\"b\"\",\"\"c\"\"]\""),
    ("split_to_map('a=1,b=2,c', ',', '=')", "\"{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"2\"\"}\""),
    ("format('%s has %,d (%.1f%%)', 'x', 1234567, 12.34)", "\"x has 1,234,567 (12.3%)\""),
    ("format('%2$s %1$05d', 7, 'a')", "a 00007"),
    ("round(geometric_mean(x), 3) FROM (VALUES (1.0), (4.0)) AS t (x)", "2.0"),
    ("reduce(array[1,2,3], 0, (s, x) -> s + x, s -> s * 10)", "60"),
    ("reduce(cast(array[] AS array(bigint)), 5, (s, x) -> s + x, s -> s)", "5"),
    ("slice(array[1,2,3,4], 2, 2)", "\"[2,3]\""),
    ("split('a,b', ',')[2]", "b"),
    ("array_join(array['a','b'], '-')", "a-b"),
    ("from_iso8601_timestamp('2026-03-10T01:00:00+01:00')", "2026-03-10T00:00:00Z"),
    ("date_trunc('hour', from_iso8601_timestamp('2026-03-10T01:59:59Z'))", "2026-03-10T01:00:00Z"),
    ("date_trunc('month', from_iso8601_timestamp('2026-03-10T01:59:59Z'))", "2026-03-01T00:00:00Z"),
    ("date_trunc('hour', from_iso8601_timestamp('1969-12-31T23:30:00Z'))", "1969-12-31T23:00:00Z"),
    ("from_iso8601_date('2026-03-10')", "2026-03-10"),
    ("date_diff('hour', timestamp '2026-03-10 00:00:00', timestamp '2026-03-11 12:59:00')", "36"),
    ("date_diff('month', date '2026-01-31', date '2026-03-01')", "1"),
    ("date_add('month', 1, date '2026-01-31')", "2026-02-28"),
    ("date_add('day', -1, timestamp '2026-03-01 06:00:00')", "2026-02-28T06:00:00Z"),
    ("day_of_week(date '2026-03-08')", "7"),
    ("extract(dow FROM timestamp '2026-03-09 00:00:00')", "1"),
    ("dow(date '2026-03-09')", "1"),
    ("year(timestamp '2026-03-09 00:00:00') * 100 + month(timestamp '2026-03-09 00:00:00')", "202603"),
    ("date_format(timestamp '2026-03-09 05:06:07', '%Y/%m/%d %H:%i:%s')", "2026/03/09 05:06:07"),
    ("format_datetime(timestamp '2026-03-09 05:06:07', 'yyyy-MM-dd''T''HH:mm')", "2026-03-09T05:06"),
    ("date_parse('09/03/2026', '%d/%m/%Y')", "2026-03-09T00:00:00Z"),
    ("to_unixtime(timestamp '1970-01-01 00:00:01.5')", "1.5"),
    ("from_unixtime(86400)", "1970-01-02T00:00:00Z"),
    ("to_iso8601(timestamp '2026-03-09 05:06:07')", "2026-03-09T05:06:07Z"),
    ("at_timezone(timestamp '2026-03-09 05:06:07', 'Europe/Berlin')", "2026-03-09T06:06:07+01:00"),
    ("date(timestamp '2026-03-09 05:06:07')", "2026-03-09"),
    ("interval '2' day + timestamp '2026-03-09 00:00:00'", "2026-03-11T00:00:00Z"),
    ("if(1 > 2, 'a')", ""),
    ("if(1 < 2, 'a', 'b')", "a"),
    ("try(cast('x' AS bigint))", ""),
    ("try_cast('7' AS integer)", "7"),
    ("regexp_extract('a1b22', '[0-9]+')", "1"),
    ("regexp_extract('a1b22', '([a-z])([0-9]+)', 2)", "1"),
    ("regexp_replace('a1b22', '[0-9]+', '#')", "a#b#"),
    ("regexp_replace('a1b22', '([0-9]+)', '<$1>')", "a<1>b<22>"),
    ("regexp_replace('a1b22', '[0-9]')", "ab"),
    ("replace('abcb', 'b')", "ac"),
    ("strpos('abc', 'c')", "3"),
    ("split_part('a/b/c', '/', 2)", "b"),
    ("url_extract_host('https://x.example:8443/p?q=a%20b#f')", "x.example"),
    ("url_extract_port('https://x.example:8443/p')", "8443"),
    ("url_extract_parameter('https://x/?q=a%20b', 'q')", "a b"),
    ("url_decode('a%2Fb+c')", "a/b c"),
    ("url_encode('a/b c')", "a%2Fb+c"),
    ("ip_in('10.1.2.3', '10.0.0.0/8')", "true"),
    ("get_json_object('{\"a\":\"x\"}', '$.a')", "x"),
    ("json_collect_values('{\"a\":[{\"b\":\"x\"},{\"c\":1},{\"b\":2}]}', '$.a', 'b')", "\"[\"\"x\"\",\"\"2\"\"]\""),
    ("policy_has_public_principal('{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\"}}', 'Allow')", "true"),
    ("version_number('1.10')", "1000010"),
    ("approx_distinct(x, 0.01) FROM (VALUES (1), (2), (2)) AS t (x)", "2"),
    ("set_agg(x) FROM (VALUES (1), (1)) AS t (x)", "[1]"),
    ("listagg(x, ',') WITHIN GROUP (ORDER BY x DESC) FROM (VALUES ('a'), ('b')) AS t (x)", "\"b,a\""),
    ("max_by(x, y) FROM (VALUES ('a', 1), ('b', 2), ('c', NULL)) AS t (x, y)", "b"),
    ("count_if(x > 1) FILTER (WHERE x < 3) FROM (VALUES (1), (2), (3)) AS t (x)", "1"),
    ("approx_percentile(x, 0.5) FROM (VALUES (1.0), (2.0), (3.0)) AS t (x)", "2.0"),
    ("arbitrary(x) FROM (VALUES (1), (1)) AS t (x)", "1"),
    ("every(x > 0) FROM (VALUES (1), (2)) AS t (x)", "true"),
    ("array_join(sequence(1, 3), ' ')", "1 2 3"),
    ("arrays_overlap(array[1,2], array[2,3])", "true"),
    ("levenshtein_distance('kitten', 'sitting')", "3"),
    ("codepoint('a')", "97"),
    ("row(1, 'a') IS NOT NULL", "true"),
    ("day_of_month(date '2026-03-09') + doy(date '2026-01-02') + week_of_year(date '2026-01-05')", "13"),
    ("find_first(array[1,2,3], x -> x > 1)", "2"),
    ("from_utf8(from_base64(to_base64(to_utf8('abc'))))", "abc"),
    ("typeof(1)", "Int64"),
    ("x FROM UNNEST(array[7]) AS t (x)", "7"),
];

#[tokio::test]
async fn functions_mean_what_they_mean_in_trino() {
    let ctx = query::session(&[], &query::QueryOptions::new(1, 64 << 20)).unwrap();
    let mut wrong = Vec::new();
    for (expression, expected) in EXPRESSIONS {
        match csv(&ctx, &format!("SELECT {expression}")).await {
            Ok(found) if found.split_once('\n').map(|(_, value)| value.trim_end_matches('\n')) == Some(*expected) => {}
            Ok(found) => wrong.push(format!("{expression}: {found:?}")),
            Err(error) => wrong.push(format!("{expression}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let ctx = query::session(&[], &query::QueryOptions::new(1, 64 << 20)).unwrap();
    for (sql, why) in [
        ("SELECT array_sort(array[1,2], (a, b) -> a - b)", "array_sort is called array_sort(array) here"),
        (
            "SELECT reduce_agg(1)",
            "reduce_agg cannot run here: an aggregate with lambdas cannot run here; use reduce over",
        ),
        ("SELECT regexp_extract_all('a', '(')", "cannot read the pattern"),
        ("SELECT regexp_extract_all('a', 'a', 1)", "has 0 groups, not 1"),
        ("SELECT format('%t', now())", "has %t in it, which is not known here"),
        ("SELECT format('%s %s', 1)", "the pattern wants 2 values, and 1 are given"),
        ("SELECT cast(1 AS array(hyperloglog))", "nothing can be cast to array(hyperloglog) here"),
        ("SELECT json_extract('{}', '$..a')", "has a dot without a name behind it"),
        ("SELECT date_diff('fortnight', now(), now())", "\"fortnight\" is no unit of time"),
        ("SELECT from_iso8601_timestamp('yesterday')", "\"yesterday\" is not an ISO 8601 time"),
        ("SELECT json_extract('{}')", "it is json_extract(json, path)"),
        ("SELECT 1; SELECT 2", "2 statements are given"),
        ("CREATE EXTERNAL TABLE t (a string) LOCATION 's3://b/'", "the tables are there already"),
        ("MSCK REPAIR TABLE cloudtrail_logs", "partitions are found by themselves"),
    ] {
        let error = csv(&ctx, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
        assert!(error.to_string().contains(why), "{sql}: {error}");
    }
}

/// Rows of the documentation's table.
fn table(ctx: &SessionContext) -> String {
    let mut text = String::from(
        "# Functions\n\nEvery function that SQL has here, and whose it is. Trino's are those of Athena and CloudTrail Lake; where one says what\n\
         it becomes, it is rewritten when the query is read. `tests/it/trino.rs` holds this table equal to what is registered.\n\n\
         | function | origin | what it does |\n|---|---|---|\n",
    );
    for function in query::functions::catalogue(ctx) {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let row =
            format!("| `{}` | {} | {} |\n", cell(&function.syntax), function.origin.as_str(), cell(&function.about));
        text.push_str(&row);
    }
    text.push_str("\nWhat Trino has and nothing here stands for:\n\n| function | why |\n|---|---|\n");
    for (name, why) in query::dialect::refused() {
        text.push_str(&format!("| `{name}` | {why} |\n"));
    }
    text
}

#[test]
fn the_documentation_names_every_function() {
    let ctx = query::session(&[], &query::QueryOptions::new(1, 64 << 20)).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/FUNCTIONS.md");
    let table = table(&ctx);
    if std::env::var_os("TRAILHOUND_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &table).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == table,
        "queries/FUNCTIONS.md differs; bless it and read the difference"
    );
}
