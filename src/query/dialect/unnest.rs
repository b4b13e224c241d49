//! `FROM a CROSS JOIN UNNEST(a.list) AS t(x)`: a join with each row's own list, which DataFusion cannot plan.
//!
//! Owns: writing it as a table that holds the rows already taken apart: `FROM (SELECT a.*, unnest(a.list) AS x FROM a)
//! AS a`. That is the same for every join of Trino's: each row of `a` is repeated before anything is joined to it.
//! Refuses: a list whose table cannot be told; the error says how to tell it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, Ident, Join, JoinOperator, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::DIALECT;
use super::calls::ident;
use crate::error::{Error, ErrorKind, Result};

pub(super) fn rewrite<T: VisitMut>(tree: &mut T) -> Result<()> {
    match VisitMut::visit(tree, &mut Lists) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Lists;

impl VisitorMut for Lists {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let mut aliases = Vec::new();
        if let Err(error) = body(&mut query.body, &mut aliases) {
            return ControlFlow::Break(error);
        }
        if aliases.is_empty() {
            return ControlFlow::Continue(());
        }
        let _ = VisitMut::visit(query, &mut Unqualified { aliases: &aliases });
        ControlFlow::Continue(())
    }
}

fn body(set: &mut SetExpr, aliases: &mut Vec<Unnested>) -> Result<()> {
    match set {
        SetExpr::Select(select) => from(select, aliases),
        SetExpr::SetOperation { left, right, .. } => body(left, aliases).and_then(|()| body(right, aliases)),
        // a query in brackets was visited by itself
        _ => Ok(()),
    }
}

/// A list in FROM: its name, the columns it makes, and the table that it became part of.
struct Unnested {
    alias: String,
    columns: Vec<Ident>,
    host: String,
}

fn from(select: &mut Select, aliases: &mut Vec<Unnested>) -> Result<()> {
    let has_list =
        |table: &TableWithJoins| is_list(&table.relation) || table.joins.iter().any(|join| is_list(&join.relation));
    if !select.from.iter().any(has_list) {
        return Ok(());
    }
    let mut tables: Vec<TableWithJoins> = Vec::new();
    for table in std::mem::take(&mut select.from) {
        match is_list(&table.relation) && !tables.is_empty() {
            true => absorb(&mut tables, table.relation, Keep::Matches, aliases)?,
            false if has_more(&table.relation) => {
                tables.push(TableWithJoins { relation: alone(table.relation)?, joins: Vec::new() });
            }
            false => tables.push(TableWithJoins { relation: table.relation, joins: Vec::new() }),
        }
        for join in table.joins {
            match is_list(&join.relation) {
                true => absorb(&mut tables, join.relation, keep(&join.join_operator)?, aliases)?,
                false => tables.last_mut().into_iter().for_each(|table| table.joins.push(join.clone())),
            }
        }
    }
    select.from = tables;
    Ok(())
}

fn is_list(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::UNNEST { .. })
}

/// Which rows stay whose list is empty.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Matches,
    All,
}

fn keep(operator: &JoinOperator) -> Result<Keep> {
    match operator {
        JoinOperator::CrossJoin(_) | JoinOperator::Join(_) | JoinOperator::Inner(_) => Ok(Keep::Matches),
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => Ok(Keep::All),
        _ => Err(Error::new(ErrorKind::Usage, "UNNEST can be joined by CROSS JOIN or LEFT JOIN … ON true only")
            .hint("a right or full join with a row's own list has no meaning")),
    }
}

/// Makes a list part of the table that it is taken from.
fn absorb(tables: &mut [TableWithJoins], list: TableFactor, keep: Keep, aliases: &mut Vec<Unnested>) -> Result<()> {
    let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = list else { return Ok(()) };
    let factors: Vec<&mut TableFactor> = tables
        .iter_mut()
        .flat_map(|table| {
            std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|Join { relation, .. }| relation))
        })
        .collect();
    let host = host(factors, &array_exprs, aliases)?;
    let name = alias_of(host).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "the table in front of UNNEST has no name")
            .hint("give it one: FROM (…) AS t CROSS JOIN UNNEST(t.list) …")
    })?;
    let made = Made::of(alias, array_exprs.len(), with_ordinality);
    let query = taken_apart(host, Some(&name), &name, &array_exprs, &made, keep)?;
    *host = derived(query, &name);
    if made.named {
        let columns = made.columns.into_iter().chain(made.ordinal).collect();
        aliases.push(Unnested { alias: made.list.value.to_lowercase(), columns, host: name.value.to_lowercase() });
    }
    Ok(())
}

/// What a list in FROM is called, and the columns that it makes.
struct Made {
    list: Ident,
    columns: Vec<Ident>,
    ordinal: Option<Ident>,
    /// The columns are named by the user.
    named: bool,
}

impl Made {
    fn of(alias: Option<TableAlias>, lists: usize, with_ordinality: bool) -> Self {
        let (list, mut columns) = match alias {
            Some(alias) => {
                let columns: Vec<Ident> = alias.columns.into_iter().map(|column| column.name).collect();
                (alias.name, columns)
            }
            None => (ident("unnest"), Vec::new()),
        };
        let named = !columns.is_empty();
        let ordinal = if with_ordinality { columns.pop() } else { None };
        if columns.is_empty() {
            columns = match lists {
                1 => vec![list.clone()],
                many => (1..=many).map(|n| ident(&format!("{}_{n}", list.value))).collect(),
            };
        }
        Self { list, columns, ordinal, named }
    }
}

/// Whether a list has an ordinal, or more names than lists, so that its elements are rows: more than DataFusion's own UNNEST
/// can name.
fn has_more(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
            *with_ordinality || alias.as_ref().is_some_and(|alias| alias.columns.len() > array_exprs.len())
        }
        _ => false,
    }
}

/// A list that no table stands in front of.
fn alone(list: TableFactor) -> Result<TableFactor> {
    let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = list else { return Ok(list) };
    let made = Made::of(alias, array_exprs.len(), with_ordinality);
    let one_row = derived(parsed("SELECT 1 AS one")?, &ident("__one"));
    Ok(derived(taken_apart(&one_row, None, &made.list, &array_exprs, &made, Keep::Matches)?, &made.list))
}

fn derived(query: Box<Query>, name: &Ident) -> TableFactor {
    let alias = TableAlias { explicit: true, name: name.clone(), columns: Vec::new(), at: None };
    TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None }
}

fn parsed(sql: &str) -> Result<Box<Query>> {
    let parser = Parser::new(&DIALECT).with_recursion_limit(super::DEPTH).try_with_sql(sql);
    let broken = |error| Error::new(ErrorKind::Internal, "UNNEST cannot be rewritten").source(error);
    parser.and_then(|mut parser| parser.parse_query()).map_err(broken)
}

/// The table that the lists' expressions name, or the only one there is.
fn host<'a>(
    mut factors: Vec<&'a mut TableFactor>,
    lists: &[Expr],
    aliases: &[Unnested],
) -> Result<&'a mut TableFactor> {
    if factors.len() == 1 {
        return Ok(factors.remove(0));
    }
    let mut qualifiers = Qualifiers(Vec::new());
    for mut list in lists.iter().cloned() {
        let _ = VisitMut::visit(&mut list, &mut qualifiers);
    }
    let wanted: Vec<String> = qualifiers
        .0
        .into_iter()
        .flat_map(|name| match aliases.iter().find(|list| list.alias == name) {
            Some(list) => vec![list.host.clone()],
            None => vec![name],
        })
        .collect();
    let found = factors
        .into_iter()
        .find(|factor| alias_of(factor).is_some_and(|name| wanted.contains(&name.value.to_lowercase())));
    found.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "it cannot be told which table the list in UNNEST is from")
            .hint("put the table's name in front of the column: UNNEST(e.resources)")
    })
}

struct Qualifiers(Vec<String>);

impl VisitorMut for Qualifiers {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr {
            self.0.push(parts[0].value.to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

fn alias_of(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// A table with its lists taken apart; `own` is its name where its own columns stay.
fn taken_apart(
    table: &TableFactor,
    own: Option<&Ident>,
    name: &Ident,
    lists: &[Expr],
    made: &Made,
    keep: Keep,
) -> Result<Box<Query>> {
    let Made { columns, ordinal, .. } = made;
    let function = if keep == Keep::All { "unnest_or_null" } else { "unnest_rows" };
    // more names than lists: the list's rows have several fields
    let rows_of_fields = columns.len() > lists.len();
    if rows_of_fields && lists.len() > 1 {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("UNNEST of {} lists has {} names", lists.len(), columns.len()),
        )
        .hint("give one name for each list"));
    }
    let mut items: Vec<String> = own.iter().map(|name| format!("{name}.*")).collect();
    match rows_of_fields {
        true => items.push(format!("unnest({function}(__list0)) AS __row")),
        false => items
            .extend(columns.iter().enumerate().map(|(n, column)| format!("unnest({function}(__list{n})) AS {column}"))),
    }
    if let Some(ordinal) = ordinal {
        items.push(format!("unnest(generate_series(1, cardinality({function}(__list0)))) AS {ordinal}"));
    }
    let mut sql = format!("SELECT {} FROM __table", items.join(", "));
    if rows_of_fields {
        let fields = columns
            .iter()
            .enumerate()
            .map(|(place, column)| format!("row_field({name}.__row, {}) AS {column}", place + 1));
        let fields: Vec<String> = fields.collect();
        sql = format!("SELECT *, {} FROM ({sql}) AS {name}", fields.join(", "));
    }
    let mut query = parsed(&sql)?;
    if rows_of_fields {
        without_row(&mut query);
    }
    let _ = VisitMut::visit(&mut query, &mut Filled { table, lists });
    Ok(query)
}

/// Leaves the row itself out of `*`, for which the parser's dialect has no words.
fn without_row(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if let Some(SelectItem::Wildcard(options)) = select.projection.first_mut() {
        let first_element = ident("__row");
        options.opt_except = Some(ExceptSelectItem { first_element, additional_elements: Vec::new() });
    }
}

/// Puts the table and its lists into the places that the text above left for them.
struct Filled<'a> {
    table: &'a TableFactor,
    lists: &'a [Expr],
}

impl VisitorMut for Filled<'_> {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if matches!(factor, TableFactor::Table { name, .. } if name.to_string() == "__table") {
            *factor = self.table.clone();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let place = match expr {
            Expr::Identifier(name) => name.value.strip_prefix("__list").and_then(|place| place.parse::<usize>().ok()),
            _ => None,
        };
        if let Some(list) = place.and_then(|place| self.lists.get(place)) {
            *expr = list.clone();
        }
        ControlFlow::Continue(())
    }
}

/// `t.x` is `x` now, as the list's columns are the table's.
struct Unqualified<'a> {
    aliases: &'a [Unnested],
}

impl VisitorMut for Unqualified<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr {
            let of_list = self.aliases.iter().any(|list| {
                list.alias == parts[0].value.to_lowercase()
                    && list.columns.iter().any(|column| column.value.eq_ignore_ascii_case(&parts[1].value))
            });
            if of_list {
                parts.remove(0);
                if parts.len() == 1 {
                    *expr = Expr::Identifier(parts.remove(0));
                }
            }
        }
        ControlFlow::Continue(())
    }
}
