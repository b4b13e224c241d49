//! SQL as CloudTrail Lake and Athena (Trino) take it, as SQL that DataFusion takes.
//!
//! Owns: every difference that is not a function: names of the table, lambdas, nested types in casts, `UNNEST` in FROM,
//! functions that DataFusion has under another name or as syntax. Text, tokens and syntax tree are each rewritten where
//! it is simplest.
//! Refuses: changing what runs already: DataFusion's own SQL comes out as it went in.
//! Invariant: rewriting keeps lines and columns of what the user wrote, so that an error points at the right place.

mod calls;
mod names;
mod tokens;
mod unnest;

use datafusion::sql::parser::{CopyToSource, DFParserBuilder, Statement};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Fetch, FunctionArguments, LimitClause, Query, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use crate::error::{Error, ErrorKind, Result};

pub use calls::{described, refused};
pub(super) use names::columns;
pub use tokens::{is_complete, statements};

/// In the generic dialect `->>` binds looser than `<>`, so `a ->> 'k' <> 'x'` would fail.
const DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// Nesting of expressions up to which SQL is read.
const DEPTH: usize = 100;

/// Reads the one statement of a text.
///
/// # Errors
/// `Usage` where it cannot be read, is none or several, or uses what cannot run here, with the reason.
pub(super) fn parse(sql: &str) -> Result<Statement> {
    let sql = names::without_store_ids(sql);
    let tokens = tokens::read(&sql, &DIALECT).map_err(|error| super::fault::syntax_error(&sql, &error))?;
    refuse_setup(&tokens)?;
    let tokens = tokens::rewrite(tokens);
    let parsed = DFParserBuilder::new(tokens)
        .with_dialect(&DIALECT)
        .with_recursion_limit(DEPTH)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| super::fault::at(&sql, &error, &super::fault::Names::default()))?;
    match (statements.pop_front(), statements.len()) {
        (Some(mut statement), 0) => rewrite(&mut statement).map(|()| statement),
        (None, _) => Err(Error::new(ErrorKind::Usage, "the query is empty").hint("write one, for example SHOW TABLES")),
        (Some(_), more) => Err(Error::new(ErrorKind::Usage, format!("{} statements are given", more + 1))
            .hint("give one; the shell (`trailhound query` alone) takes many, each with a ; behind it")),
    }
}

fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => tree(statement),
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => tree(query),
            CopyToSource::Relation(_) => Ok(()),
        },
        Statement::CreateExternalTable(_) | Statement::Reset(_) => Ok(()),
    }
}

/// Rewrites a syntax tree: first names, which the rest looks at, then calls, then FROM.
fn tree<T: VisitMut>(tree: &mut T) -> Result<()> {
    let _ = VisitMut::visit(tree, &mut Words);
    names::rewrite(tree);
    calls::rewrite(tree)?;
    unnest::rewrite(tree)
}

/// Words of the SQL standard for which there are others here: `FETCH FIRST 5 ROWS ONLY`, `LOCALTIMESTAMP`.
struct Words;

impl VisitorMut for Words {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(Fetch { with_ties: false, percent: false, quantity }) = &query.fetch {
            let limit = Some(quantity.clone().unwrap_or_else(|| calls::expression("1")));
            match &mut query.limit_clause {
                Some(LimitClause::LimitOffset { limit: free @ None, .. }) => *free = limit,
                Some(_) => return ControlFlow::Continue(()),
                none @ None => *none = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() }),
            }
            query.fetch = None;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => name.value.clone(),
            Expr::Function(function) if function.args == FunctionArguments::None => function.name.to_string(),
            _ => return ControlFlow::Continue(()),
        };
        if name.eq_ignore_ascii_case("localtimestamp") {
            *expr = calls::expression("now()");
        }
        ControlFlow::Continue(())
    }
}

/// What Athena's users set up with, and what stands for it here.
fn refuse_setup(tokens: &[TokenWithSpan]) -> Result<()> {
    let words: Vec<String> = tokens.iter().take(2).map(|token| token.token.to_string().to_uppercase()).collect();
    let why = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["CREATE", "TABLE" | "EXTERNAL"] => "the tables are there already, SHOW TABLES names them",
        ["CREATE", "VIEW" | "OR"] => "a WITH clause in the query serves where a view would",
        ["MSCK", ..] => "partitions are found by themselves",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Usage, format!("cannot run {}: a query may only read", words.join(" "))).hint(why))
}
