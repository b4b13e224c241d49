//! Calls of Trino's that DataFusion has under another name, with other arguments, or as syntax; and those that nobody
//! here has, with the reason.
//!
//! Owns: the tables of both. Invariant: a rewritten call means what it means in Trino; where it cannot, it is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, ObjectName, OneOrManyWithParens, OrderByExpr, OrderByOptions, Spanned,
    Subscript, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::DIALECT;
use super::tokens::{LAMBDA, NESTED};
use crate::error::{Error, ErrorKind, Result};
use crate::query::functions::{Described, Origin};

/// Another name for the same function.
const RENAMED: &[(&str, &str, &str)] = &[
    ("transform", "array_transform", "transform(array, x -> …)"),
    ("filter", "array_filter", "filter(array, x -> …)"),
    ("any_match", "array_any_match", "any_match(array, x -> …)"),
    ("find_first", "array_first", "find_first(array, x -> …)"),
    ("arbitrary", "any_value", "arbitrary(x)"),
    ("every", "bool_and", "every(condition)"),
    ("approx_percentile", "approx_percentile_cont", "approx_percentile(x, share)"),
    ("row", "struct", "row(a, b)"),
    ("split", "string_to_array", "split(text, delimiter)"),
    ("sequence", "generate_series", "sequence(from, to, step)"),
    ("typeof", "arrow_typeof", "typeof(x)"),
    ("levenshtein_distance", "levenshtein", "levenshtein_distance(a, b)"),
    ("codepoint", "ascii", "codepoint(text)"),
    ("dow", "day_of_week", "dow(instant)"),
    ("doy", "day_of_year", "doy(instant)"),
    ("day_of_month", "day", "day_of_month(instant)"),
    ("week_of_year", "week", "week_of_year(instant)"),
    ("yow", "year_of_week", "yow(instant)"),
    ("stddev_samp", "stddev", "stddev_samp(x)"),
    ("variance", "var_samp", "variance(x)"),
    ("bitwise_and_agg", "bit_and", "bitwise_and_agg(x)"),
    ("bitwise_or_agg", "bit_or", "bitwise_or_agg(x)"),
    ("array_average", "array_avg", "array_average(array)"),
    ("arrays_overlap", "array_has_any", "arrays_overlap(a, b)"),
    ("map_from_arrays", "map", "map_from_arrays(keys, values)"),
];

/// Calls that become something else: name, how it is called, what it becomes.
const REWRITTEN: &[(&str, &str, &str)] = &[
    ("if", "if(condition, a, b)", "CASE WHEN condition THEN a ELSE b END"),
    (
        "try",
        "try(expression)",
        "The expression with TRY_CAST for every CAST in it, and NULL for a division by zero; functions here give NULL where Trino's fail",
    ),
    (
        "max_by",
        "max_by(x, y)",
        "first_value(x ORDER BY y DESC) over rows whose y is not NULL; with n, an array of the first n",
    ),
    (
        "min_by",
        "min_by(x, y)",
        "first_value(x ORDER BY y) over rows whose y is not NULL; with n, an array of the first n",
    ),
    ("count_if", "count_if(condition)", "count(*) FILTER (WHERE condition)"),
    ("approx_distinct", "approx_distinct(x, e)", "approx_distinct(x); a wanted error is left out"),
    ("all_match", "all_match(array, x -> …)", "NOT any_match(array, x -> NOT …)"),
    (
        "regexp_extract",
        "regexp_extract(text, pattern, group)",
        "An element of regexp_match(text, (pattern)); group 0 is the whole match",
    ),
    (
        "regexp_replace",
        "regexp_replace(text, pattern, with)",
        "Every match is replaced, as in Trino; a fourth argument gives DataFusion's flags",
    ),
    ("listagg", "listagg(x, delimiter) WITHIN GROUP (ORDER BY y)", "string_agg(x, delimiter ORDER BY y)"),
    ("set_agg", "set_agg(x)", "array_agg(DISTINCT x)"),
    ("geometric_mean", "geometric_mean(x)", "exp(avg(ln(x)))"),
    (
        "map_concat",
        "map_concat(a, b, …)",
        "map_from_entries of the entries of all; of equal keys the last one's value stays",
    ),
];

/// Calls that become an expression: how it is called, and what it becomes, in the same words.
const SPELT: &[(&str, &str)] = &[
    ("array_first(array)", "element_at(array, 1)"),
    ("array_last(array)", "element_at(array, -1)"),
    ("bitwise_and(a, b)", "a & b"),
    ("bitwise_left_shift(a, n)", "a << n"),
    ("bitwise_or(a, b)", "a | b"),
    ("bitwise_right_shift(a, n)", "a >> n"),
    ("bitwise_xor(a, b)", "a # b"),
    ("date(x)", "CAST(x AS date)"),
    ("from_base64(text)", "decode(text, 'base64')"),
    ("from_hex(text)", "decode(text, 'hex')"),
    ("from_utf8(bytes)", "arrow_cast(bytes, 'Utf8')"),
    ("infinity()", "CAST('Infinity' AS double)"),
    ("is_infinite(x)", "abs(x) = CAST('Infinity' AS double)"),
    ("is_nan(x)", "isnan(x)"),
    ("is_subnet_of(network, address)", "ip_in(address, network)"),
    (
        "last_day_of_month(x)",
        "CAST(date_add('day', -1, date_add('month', 1, date_trunc('month', CAST(x AS date)))) AS date)",
    ),
    ("mod(a, b)", "a % b"),
    ("nan()", "CAST('NaN' AS double)"),
    ("none_match(array, x -> …)", "NOT array_any_match(array, x -> …)"),
    ("rand(n)", "CAST(floor(random() * n) AS bigint)"),
    ("regexp_position(text, pattern)", "coalesce(nullif(regexp_instr(text, pattern), 0), -1)"),
    ("replace(text, part)", "replace(text, part, '')"),
    ("slice(array, start, length)", "array_slice(array, start, start + length - 1)"),
    ("to_base64(x)", "encode(x, 'base64')"),
    ("to_utf8(text)", "arrow_cast(text, 'Binary')"),
    ("trim_array(array, n)", "array_slice(array, 1, CAST(cardinality(array) AS bigint) - n)"),
    ("truncate(x)", "trunc(x)"),
    ("with_timezone(instant, zone)", "at_timezone(instant, zone)"),
];

/// What runs in Trino and not here: why, and what does instead.
const REFUSED: &[(&str, &str)] = &[
    ("approx_most_frequent", "counts are exact here; use histogram(x), or GROUP BY x ORDER BY count(*) DESC LIMIT n"),
    ("map_zip_with", "two maps are not joined here; use transform_values(a, (k, v) -> … b[k])"),
    ("reduce_agg", "an aggregate with lambdas cannot run here; use reduce over array_agg(x)"),
    ("split_to_multimap", "use split_to_map, or transform over split(text, delimiter)"),
    ("format_number", "use format('%,d', n)"),
    ("parse_duration", "durations are numbers here; use date_diff, or INTERVAL '1' DAY"),
    ("to_geometry", "there are no geometries here"),
    ("approx_set", "sketches are not values here; use approx_distinct"),
    ("merge", "sketches are not values here; use approx_distinct"),
    ("json_object", "SQL/JSON constructors are not known here; use to_json(named_struct('key', value))"),
    ("json_array", "SQL/JSON constructors are not known here; use to_json(make_array(…))"),
    ("json_table", "use UNNEST(CAST(json_extract(…) AS array(json)))"),
    ("word_stem", "there is no language processing here"),
    ("soundex", "there is no language processing here"),
    ("normalize", "text is compared as it is here"),
    ("hamming_distance", "use levenshtein_distance"),
    ("luhn_check", "numbers of cards are not checked here"),
    ("ngrams", "use transform over sequence(1, cardinality(array)) with slice"),
    ("combinations", "use CROSS JOIN UNNEST twice"),
    ("shuffle", "an order by chance is not reproducible; use ORDER BY random()"),
    ("contains_sequence", "use array_join and strpos"),
    ("multimap_from_entries", "use multimap_agg over UNNEST"),
    ("skewness", "use sum(power(x - mean, 3)) with stddev"),
    ("kurtosis", "use sum(power(x - mean, 4)) with stddev"),
    ("entropy", "use sum(-p * log2(p)) over shares from GROUP BY"),
    ("checksum", "use bit_xor over md5, or compare with EXCEPT"),
    ("xxhash64", "use md5 or sha256"),
    ("murmur3", "use md5 or sha256"),
    ("crc32", "use md5 or sha256"),
    ("hmac_sha256", "keys do not belong into a query; use sha256"),
    ("width_bucket", "use floor((x - low) / width) + 1"),
    ("to_milliseconds", "use date_diff('millisecond', a, b)"),
    ("human_readable_seconds", "use format('%d s', n)"),
    ("from_unixtime_nanos", "use from_unixtime(n / 1e9)"),
    ("timezone_hour", "instants are UTC here; use at_timezone"),
    ("timezone_minute", "instants are UTC here; use at_timezone"),
    ("ip_prefix", "use ip_in(address, '10.0.0.0/8')"),
    ("ip_subnet_min", "use ip_in(address, '10.0.0.0/8')"),
    ("ip_subnet_max", "use ip_in(address, '10.0.0.0/8')"),
    ("ip_subnet_range", "use ip_in(address, '10.0.0.0/8')"),
];

/// The catalogue's part: what is rewritten.
pub fn described() -> Vec<Described> {
    let entry = |name: &str, syntax: &str, about: String| Described {
        name: name.to_owned(),
        origin: Origin::Trino,
        syntax: syntax.to_owned(),
        about,
    };
    let renamed = RENAMED.iter().map(|(name, here, syntax)| entry(name, syntax, format!("DataFusion's {here}")));
    let rewritten = REWRITTEN.iter().map(|(name, syntax, about)| entry(name, syntax, (*about).to_owned()));
    let spelt = SPELT.iter().map(|(syntax, becomes)| entry(name_of(syntax), syntax, (*becomes).to_owned()));
    renamed.chain(rewritten).chain(spelt).collect()
}

/// Functions that are refused, with the reason.
pub fn refused() -> &'static [(&'static str, &'static str)] {
    REFUSED
}

pub(super) fn rewrite<T: VisitMut>(tree: &mut T) -> Result<()> {
    if let ControlFlow::Break(error) = VisitMut::visit(tree, &mut Calls) {
        return Err(error);
    }
    let _ = VisitMut::visit(tree, &mut Addresses);
    Ok(())
}

pub(super) fn ident(name: &str) -> Ident {
    Ident::new(name)
}

/// An expression from text that is part of the program.
pub(super) fn expression(sql: &str) -> Expr {
    let parser = Parser::new(&DIALECT).try_with_sql(sql);
    parser.and_then(|mut parser| parser.parse_expr()).expect("a constant expression")
}

fn list(arguments: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect(),
        clauses: Vec::new(),
    })
}

fn function(name: &str, arguments: Vec<Expr>) -> Function {
    Function {
        name: ObjectName::from(vec![ident(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: list(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(function(name, arguments))
}

fn value(value: Value) -> Expr {
    Expr::Value(value.with_empty_span())
}

fn number(number: usize) -> Expr {
    value(Value::Number(number.to_string(), false))
}

fn text(text: &str) -> Expr {
    value(Value::SingleQuotedString(text.to_owned()))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// What a cast to `ipaddress` is until the call around it is seen.
const ADDRESS: &str = "__ipaddress";

struct Calls;

impl VisitorMut for Calls {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match rewritten(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &mut Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::Function(function) => return called(function),
        Expr::Cast { kind, expr, data_type: DataType::Custom(name, words), .. } if name.to_string() == NESTED => {
            let kind = words.first().map(|word| word.trim_matches('\'').to_owned()).unwrap_or_default();
            return nested_cast(expr, &kind).map(Some);
        }
        // Trino's varchar(n) and Athena's string
        Expr::Cast { data_type, .. } if matches!(data_type, DataType::String(_)) => {
            *data_type = DataType::Varchar(None);
            None
        }
        Expr::Extract { field: DateTimeField::Dow | DateTimeField::DayOfWeek, expr, .. } => {
            Some(call("day_of_week", vec![expr.as_ref().clone()]))
        }
        Expr::CompoundFieldAccess { access_chain, .. } => {
            access_chain.iter_mut().for_each(subscripted);
            None
        }
        Expr::Like { expr, .. } | Expr::ILike { expr, .. } => {
            as_written(expr);
            None
        }
        Expr::Substring { expr, .. } | Expr::Position { r#in: expr, .. } => {
            as_written(expr);
            None
        }
        _ => None,
    })
}

/// `(…).member` as `(…)['member']`.
fn subscripted(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(member)) = access {
        let name = if member.quote_style.is_none() { member.value.to_lowercase() } else { member.value.clone() };
        *access = AccessExpr::Subscript(Subscript::Index { index: text(&name) });
    }
}

fn nested_cast(expr: &Expr, kind: &str) -> Result<Expr> {
    Ok(match kind {
        "json" | "JSON" => call("to_json", vec![expr.clone()]),
        other if other.eq_ignore_ascii_case("ipaddress") => call(ADDRESS, vec![expr.clone()]),
        other if crate::query::functions::json::sql_type(other).is_some() => {
            call("json_cast", vec![expr.clone(), text(other)])
        }
        other => {
            return Err(Error::new(ErrorKind::Usage, format!("nothing can be cast to {other} here"))
                .hint("use varchar, bigint, double, boolean, date, timestamp, json, array(T), map(varchar, T) or row(name T, …)"));
        }
    })
}

/// Functions that take text: `eventtime`, which is text in Athena, is given to them as CloudTrail writes it.
const TEXT_FUNCTIONS: [&str; 18] = [
    "substr",
    "substring",
    "split_part",
    "regexp_like",
    "regexp_extract",
    "regexp_extract_all",
    "regexp_replace",
    "regexp_split",
    "regexp_count",
    "replace",
    "concat",
    "strpos",
    "length",
    "starts_with",
    "lower",
    "upper",
    "split",
    "trim",
];

/// The column of instants in text form where it stands alone.
fn as_written(expr: &mut Expr) {
    let name = match expr {
        Expr::Identifier(name) => Some(&*name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    if name.is_some_and(|name| name.value.eq_ignore_ascii_case("eventtime")) {
        *expr = call("to_iso8601", vec![expr.clone()]);
    }
}

/// The arguments that are plain expressions; `None` where one is something else.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn called(function: &mut Function) -> Result<Option<Expr>> {
    let [part] = function.name.0.as_slice() else { return Ok(None) };
    let Some(name) = part.as_ident().map(|ident| ident.value.to_lowercase()) else { return Ok(None) };
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(Error::new(ErrorKind::Usage, format!("{name} cannot run here: {why}")));
    }
    if TEXT_FUNCTIONS.contains(&name.as_str())
        && let FunctionArguments::List(list) = &mut function.args
    {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
                as_written(expr);
            }
        }
    }
    let Some(given) = arguments(function) else { return Ok(None) };
    if name == LAMBDA {
        return Ok(Some(lambda(given)));
    }
    let several = matches!(given.as_slice(), [_, Expr::Array(_)]) && name == "approx_percentile";
    if let Some((_, here, _)) = RENAMED.iter().find(|(trino, ..)| *trino == name && !several) {
        let span = part.span();
        let mut renamed = ident(here);
        renamed.span = span;
        function.name = ObjectName::from(vec![renamed]);
        return Ok(None);
    }
    if let Some(spelt) = spelt(&name, &given) {
        return Ok(Some(spelt));
    }
    rewritten_call(&name, given, function)
}

/// The name in front of a syntax's bracket.
fn name_of(syntax: &str) -> &str {
    syntax.split('(').next().unwrap_or(syntax)
}

/// The names between a syntax's brackets.
fn parameters(syntax: &str) -> Vec<&str> {
    let inner = syntax.split_once('(').map_or("", |(_, inner)| inner.trim_end_matches(')'));
    inner.split(", ").filter(|name| !name.is_empty()).collect()
}

/// What a call becomes by [`SPELT`].
fn spelt(name: &str, given: &[Expr]) -> Option<Expr> {
    let takes = |syntax: &str| name_of(syntax) == name && parameters(syntax).len() == given.len();
    let (syntax, becomes) = SPELT.iter().find(|(syntax, _)| takes(syntax))?;
    let mut becomes = expression(&becomes.replace(LAMBDA_SHOWN, LAMBDA_PLACE));
    let names = parameters(syntax).into_iter().map(|name| if name == LAMBDA_SHOWN { LAMBDA_PLACE } else { name });
    let _ = VisitMut::visit(&mut becomes, &mut Filled { names: names.collect(), given });
    Some(Expr::Nested(Box::new(becomes)))
}

/// A lambda in a syntax, and the name that stands for it while the text is read.
const LAMBDA_SHOWN: &str = "x -> …";
const LAMBDA_PLACE: &str = "__lambda_here";

/// Puts arguments in the places of their names.
struct Filled<'a> {
    names: Vec<&'a str>,
    given: &'a [Expr],
}

impl VisitorMut for Filled<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some(place) = self.names.iter().position(|other| *other == name.value)
        {
            *expr = match &self.given[place] {
                lambda @ Expr::Lambda(_) => lambda.clone(),
                other => Expr::Nested(Box::new(other.clone())),
            };
        }
        ControlFlow::Continue(())
    }
}

fn span(function: &Function) -> Span {
    function.name.0.first().map_or_else(Span::empty, |part| part.span())
}

fn rewritten_call(name: &str, mut given: Vec<Expr>, function: &mut Function) -> Result<Option<Expr>> {
    let wrong = |syntax: &str| {
        let at = span(function).start;
        Err(Error::new(ErrorKind::Usage, format!("line {}, column {}: {name} is called {syntax}", at.line, at.column)))
    };
    Ok(Some(match (name, given.as_mut_slice()) {
        ("if", [condition, yes, rest @ ..]) if rest.len() < 2 => {
            case(condition.clone(), yes.clone(), rest.first().cloned())
        }
        ("if", _) => return wrong("if(condition, a, b)"),
        ("try", [inner]) => {
            let _ = VisitMut::visit(inner, &mut Tries);
            Expr::Nested(Box::new(inner.clone()))
        }
        ("max_by" | "min_by", [x, y, rest @ ..]) if rest.len() < 2 => {
            by(name == "max_by", x, y, rest.first(), function)
        }
        ("max_by" | "min_by", _) => return wrong("max_by(x, y) or max_by(x, y, n)"),
        ("count_if", [condition]) => {
            let filter = both(function.filter.as_deref(), condition.clone());
            let mut count = self::function("count", vec![number(1)]);
            (count.filter, count.over) = (Some(Box::new(filter)), function.over.clone());
            Expr::Function(count)
        }
        ("approx_percentile", [_, Expr::Array(shares)]) => each_share(&shares.elem.clone(), function),
        ("approx_distinct", [x, _]) => {
            function.args = list(vec![x.clone()]);
            return Ok(None);
        }
        ("all_match", [array, Expr::Lambda(lambda)]) => {
            let mut lambda = lambda.clone();
            lambda.body = Box::new(not(*lambda.body));
            not(call("array_any_match", vec![array.clone(), Expr::Lambda(lambda)]))
        }
        ("regexp_extract", [text, pattern, rest @ ..]) if rest.len() < 2 => regexp_extract(text, pattern, rest.first()),
        ("regexp_extract", _) => return wrong("regexp_extract(text, pattern, group)"),
        ("regexp_replace", [x, pattern, rest @ ..]) if rest.len() < 2 => {
            let with = rest.first().cloned().unwrap_or_else(|| text(""));
            function.args = list(vec![x.clone(), pattern.clone(), with, text("g")]);
            return Ok(None);
        }
        ("listagg", _) => return Ok(Some(listagg(given, function))),
        ("set_agg", [x]) => {
            let mut aggregate = self::function("array_agg", vec![x.clone()]);
            if let FunctionArguments::List(list) = &mut aggregate.args {
                list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
            }
            Expr::Function(aggregate)
        }
        ("map_concat", maps) => {
            let entries = maps.iter().rev().map(|map| call("map_entries", vec![map.clone()])).collect();
            call("map_from_entries", vec![call("array_concat", entries)])
        }
        ("array_sort", [_, Expr::Lambda(_)]) => {
            return wrong(
                "array_sort(array) here; the order cannot be a lambda, so put it into the elements with transform",
            );
        }
        ("geometric_mean", [x]) => {
            let mut mean = self::function("avg", vec![call("ln", vec![x.clone()])]);
            (mean.filter, mean.over) = (function.filter.take(), function.over.take());
            call("exp", vec![Expr::Function(mean)])
        }
        ("contains", [network, Expr::Function(address)]) if address.name.to_string() == ADDRESS => {
            let address = arguments(address).unwrap_or_default();
            call("ip_in", [address, vec![network.clone()]].concat())
        }
        _ => return Ok(None),
    }))
}

/// An array of one call for each share.
fn each_share(shares: &[Expr], function: &Function) -> Expr {
    let one = |share: &Expr| {
        let mut one = function.clone();
        one.name = ObjectName::from(vec![ident("approx_percentile_cont")]);
        let x = arguments(&one).unwrap_or_default().swap_remove(0);
        one.args = list(vec![x, share.clone()]);
        Expr::Function(one)
    };
    call("make_array", shares.iter().map(one).collect())
}

fn case(condition: Expr, yes: Expr, no: Option<Expr>) -> Expr {
    let mut case = expression("CASE WHEN true THEN 1 END");
    if let Expr::Case { conditions, else_result, .. } = &mut case {
        (conditions[0].condition, conditions[0].result) = (condition, yes);
        *else_result = no.map(Box::new);
    }
    case
}

fn both(a: Option<&Expr>, b: Expr) -> Expr {
    match a {
        Some(a) => {
            let mut and = expression("(a) AND (b)");
            if let Expr::BinaryOp { left, right, .. } = &mut and {
                (**left, **right) = (Expr::Nested(Box::new(a.clone())), Expr::Nested(Box::new(b)));
            }
            and
        }
        None => b,
    }
}

fn ordered(by: Expr, descending: bool) -> FunctionArgumentClause {
    let options = OrderByOptions { asc: Some(!descending), nulls_first: Some(false) };
    FunctionArgumentClause::OrderBy(vec![OrderByExpr { expr: by, options, with_fill: None }])
}

/// The value of the row with the largest or smallest `y`.
fn by(largest: bool, x: &Expr, y: &Expr, count: Option<&Expr>, original: &Function) -> Expr {
    let mut first = function(if count.is_some() { "array_agg" } else { "first_value" }, vec![x.clone()]);
    if let FunctionArguments::List(list) = &mut first.args {
        list.clauses.push(ordered(y.clone(), largest));
    }
    first.filter = Some(Box::new(both(original.filter.as_deref(), Expr::IsNotNull(Box::new(y.clone())))));
    first.over.clone_from(&original.over);
    match count {
        Some(count) => call("array_slice", vec![Expr::Function(first), number(1), count.clone()]),
        None => Expr::Function(first),
    }
}

fn regexp_extract(x: &Expr, pattern: &Expr, group: Option<&Expr>) -> Expr {
    let whole = call("concat", vec![text("("), pattern.clone(), text(")")]);
    let group = group.cloned().unwrap_or_else(|| number(0));
    let mut place = expression("1 + 0");
    if let Expr::BinaryOp { right, .. } = &mut place {
        **right = group;
    }
    call("array_element", vec![call("regexp_match", vec![x.clone(), whole]), place])
}

fn listagg(mut given: Vec<Expr>, original: &mut Function) -> Expr {
    if given.len() == 1 {
        given.push(text(""));
    }
    let mut aggregate = function("string_agg", given);
    if let FunctionArguments::List(list) = &mut aggregate.args {
        let order = std::mem::take(&mut original.within_group);
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    aggregate.filter.clone_from(&original.filter);
    Expr::Function(aggregate)
}

/// `lambda(x, y, body)` as the syntax tree of `(x, y) -> body`.
fn lambda(mut given: Vec<Expr>) -> Expr {
    let mut body = given.pop().unwrap_or_else(|| number(1));
    let names: Vec<Ident> = given
        .into_iter()
        .filter_map(|parameter| match parameter {
            Expr::Identifier(name) => Some(name),
            _ => None,
        })
        .collect();
    let _ = VisitMut::visit(&mut body, &mut Members(&names));
    let params = names.into_iter().map(|name| LambdaFunctionParameter { name, data_type: None }).collect();
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::Many(params),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

/// `x.arn` of a lambda's parameter would be read as a column of a table `x`.
struct Members<'a>(&'a [Ident]);

impl VisitorMut for Members<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && self.0.iter().any(|name| name.value.eq_ignore_ascii_case(&parts[0].value))
        {
            let member = |part: &Ident| {
                let name = if part.quote_style.is_none() { part.value.to_lowercase() } else { part.value.clone() };
                AccessExpr::Subscript(Subscript::Index { index: text(&name) })
            };
            let access_chain = parts[1..].iter().map(member).collect();
            *expr = Expr::CompoundFieldAccess { root: Box::new(Expr::Identifier(parts[0].clone())), access_chain };
        }
        ControlFlow::Continue(())
    }
}

/// An address that is not looked up in a network is its text.
struct Addresses;

impl VisitorMut for Addresses {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && function.name.to_string() == ADDRESS
            && let Some(inner) = arguments(function).and_then(|mut given| given.pop())
        {
            *expr = inner;
        }
        ControlFlow::Continue(())
    }
}

/// Every cast, and every division by zero, as one that gives NULL.
struct Tries;

impl VisitorMut for Tries {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => {
                **right = call("nullif", vec![right.as_ref().clone(), number(0)]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
