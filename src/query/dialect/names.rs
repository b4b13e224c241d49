//! Names: of the table, of Athena's partition columns, and in quotes.
//!
//! Owns: which names mean `events`: `cloudtrail_logs…`, an event data store's id, `$EDS_ID`, whatever catalog and
//! database stands in front.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::calls::{expression, ident};
use crate::schema::{EVENTS, TABLES};

/// Puts `events` where an event data store's id stands in FROM, with blanks so that everything keeps its place.
pub(super) fn without_store_ids(sql: &str) -> Cow<'_, str> {
    let bytes = sql.as_bytes();
    let (mut at, mut out, mut word): (usize, Option<String>, &str) = (0, None, "");
    while at < bytes.len() {
        let rest = &sql[at..];
        let step = match bytes[at] {
            b'\'' => quoted(rest, '\''),
            b'"' => quoted(rest, '"'),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b',' => {
                word = ",";
                1
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let id = store_id(rest).filter(|_| introduces(word));
                if id.is_some() {
                    out.get_or_insert_with(|| sql.to_owned())
                        .replace_range(at..at + STORE_ID, &format!("{:STORE_ID$}", EVENTS.name));
                    word = "";
                    STORE_ID
                } else {
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                    word = &rest[..end];
                    end
                }
            }
            byte if byte.is_ascii_whitespace() => 1,
            _ => {
                word = "";
                rest.chars().next().map_or(1, char::len_utf8)
            }
        };
        at += step;
    }
    out.map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// Length of `01234567-89ab-cdef-0123-456789abcdef`.
const STORE_ID: usize = 36;

fn introduces(word: &str) -> bool {
    word == "," || word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("join")
}

fn quoted(rest: &str, quote: char) -> usize {
    rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
}

/// The event data store's id that a text begins with.
fn store_id(text: &str) -> Option<&str> {
    let id = text.get(..STORE_ID)?;
    let ends = text[STORE_ID..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_');
    (ends && is_store_id(id)).then_some(id)
}

fn is_store_id(text: &str) -> bool {
    let part = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(text, length)| part(text, length))
}

/// True for a table's name that means `events`.
fn means_events(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("cloudtrail_logs") || name == "$eds_id" || is_store_id(&name)
}

/// Rewrites the names of a tree.
pub(super) fn rewrite<T: VisitMut>(tree: &mut T) {
    let mut known = Known::default();
    let _ = VisitMut::visit(tree, &mut known);
    let mut renamed = Tables { known: &known, athena: false };
    let _ = VisitMut::visit(tree, &mut renamed);
    let athena = renamed.athena;
    let _ = VisitMut::visit(tree, &mut Columns { known: &known, athena, names: columns() });
}

/// Names that the statement itself makes.
#[derive(Default)]
struct Known {
    tables: HashSet<String>,
    columns: HashSet<String>,
}

impl VisitorMut for Known {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.tables.insert(table.alias.name.value.to_lowercase());
            self.columns.extend(table.alias.columns.iter().map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.columns.insert(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { alias: Some(alias), .. } | TableFactor::UNNEST { alias: Some(alias), .. } = factor
        {
            self.columns.extend(alias.columns.iter().map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }
}

impl Known {
    fn makes(&self, column: &str) -> bool {
        self.columns.iter().any(|other| other.eq_ignore_ascii_case(column))
    }
}

/// Renames the table, and keeps its old name as an alias, so that `cloudtrail_logs.eventname` is still right.
struct Tables<'a> {
    known: &'a Known,
    athena: bool,
}

impl VisitorMut for Tables<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(last) = name.0.last().and_then(ObjectNamePart::as_ident).cloned() else {
            return ControlFlow::Continue(());
        };
        let shadowed = name.0.len() == 1 && self.known.tables.contains(&last.value.to_lowercase());
        if shadowed || !means_events(&last.value) {
            return ControlFlow::Continue(());
        }
        self.athena |= last.value.to_ascii_lowercase().starts_with("cloudtrail_logs");
        let mut table = ident(EVENTS.name);
        table.span = last.span;
        *name = ObjectName(vec![ObjectNamePart::Identifier(table)]);
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: last, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}

/// Every column of the lake, and every member of its structs.
pub(in crate::query) fn columns() -> HashSet<String> {
    fn add(field: &arrow::datatypes::Field, names: &mut HashSet<String>) {
        names.insert(field.name().clone());
        match field.data_type() {
            arrow::datatypes::DataType::Struct(fields) => fields.iter().for_each(|field| add(field, names)),
            arrow::datatypes::DataType::List(item) => add(item, names),
            _ => {}
        }
    }
    let mut names = HashSet::new();
    TABLES.iter().flat_map(|table| table.schema().fields().to_vec()).for_each(|field| add(&field, &mut names));
    names
}

/// Columns: quotes keep the case in DataFusion and not in Trino; Athena's partition columns are in the folders' names.
struct Columns<'a> {
    known: &'a Known,
    athena: bool,
    names: HashSet<String>,
}

impl Columns<'_> {
    fn fold(&self, ident: &mut Ident) {
        let lower = ident.value.to_lowercase();
        if ident.quote_style.is_some()
            && lower != ident.value
            && self.names.contains(&lower)
            && !self.known.columns.contains(&ident.value)
        {
            ident.value = lower;
        }
    }

    /// What a column of Athena's tables is here.
    fn partition(&self, name: &str) -> Option<&'static str> {
        let lower = name.to_lowercase();
        if lower == "$path" {
            return Some("source_object");
        }
        if !self.athena || self.known.makes(&lower) {
            return None;
        }
        Some(match lower.as_str() {
            "region" => "awsregion",
            "account" | "account_id" => "recipientaccountid",
            "year" => "to_char(event_date, '%Y')",
            "month" => "to_char(event_date, '%m')",
            "day" => "to_char(event_date, '%d')",
            "timestamp" | "date" => "to_char(event_date, '%Y/%m/%d')",
            _ => return None,
        })
    }
}

impl VisitorMut for Columns<'_> {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let names: Vec<Option<String>> = select.projection.iter().map(name_of).collect();
        for (place, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item else { continue };
            let alone = names.iter().filter(|name| **name == names[place]).count() == 1;
            if alone && (parts.len() > 2 || STRUCTS.contains(&parts[0].value.to_lowercase().as_str())) {
                let alias = parts.last().cloned().unwrap_or_else(|| ident("column"));
                *item = SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(std::mem::take(parts)), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => match self.partition(&ident.value) {
                Some(sql) => *expr = expression(sql),
                None => self.fold(ident),
            },
            Expr::CompoundIdentifier(parts) => parts.iter_mut().for_each(|part| self.fold(part)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Columns of structs. Trino names a column after its last part, DataFusion after the whole way to it.
const STRUCTS: [&str; 3] = ["useridentity", "tlsdetails", "addendum"];

/// The name under which an item would come out in Trino.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.to_lowercase()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(|part| part.value.to_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_id_becomes_the_table_and_nothing_moves() {
        let id = "0a1b2c3d-4e5f-6789-abcd-ef0123456789";
        let sql = format!("SELECT '{id}' -- FROM {id}\nFROM {id} WHERE a = '{id}'");
        let out = without_store_ids(&sql);
        assert_eq!(out.len(), sql.len());
        assert_eq!(out.matches(id).count(), 3);
        assert!(out.contains("\nFROM events "), "{out}");
        for other in ["SELECT 1", "SELECT a-b FROM c", &format!("SELECT {id}"), &format!("FROM {id}9")] {
            assert_eq!(without_store_ids(other), other);
        }
    }
}
