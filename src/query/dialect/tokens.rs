//! What the parser of DataFusion's dialect cannot read, put into words that it can.
//!
//! Owns: lambdas (`x -> …` is an operator on JSON elsewhere), `CAST(x AS array(varchar))`, `FROM $EDS_ID`.
//! Invariant: a token keeps its place in the text; what is put in stands at the place of what it stands for.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, TokenizerError};

use crate::schema::EVENTS;

/// The call that a lambda is written as until it is part of a tree: `lambda(x, y, body)`.
pub(super) const LAMBDA: &str = "__lambda";

/// The type that a cast to a nested type is written with: `type('array(varchar)')`.
pub(super) const NESTED: &str = "__type";

/// Functions whose further arguments are lambdas.
const TAKE_LAMBDAS: [&str; 18] = [
    "transform",
    "filter",
    "any_match",
    "all_match",
    "none_match",
    "reduce",
    "find_first",
    "map_filter",
    "transform_values",
    "transform_keys",
    "zip_with",
    "array_sort",
    "array_transform",
    "list_transform",
    "array_filter",
    "list_filter",
    "array_any_match",
    "array_first",
];

pub(super) fn read(sql: &str, dialect: &dyn Dialect) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(dialect, sql).tokenize_with_location()?;
    Ok(tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect())
}

/// The statements of a text, without the `;` between them.
pub fn statements(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    for end in ends(text).0 {
        out.push(&text[start..end]);
        start = end + 1;
    }
    out.push(&text[start..]);
    out.retain(|statement| has_words(statement));
    out
}

/// True where the last statement of a text ends in `;`, so that it can be run.
pub fn is_complete(text: &str) -> bool {
    let (ends, open) = ends(text);
    !open && ends.last().is_some_and(|end| !has_words(&text[end + 1..]))
}

/// True where there is more than blanks and comments.
fn has_words(text: &str) -> bool {
    Tokenizer::new(&super::DIALECT, text).tokenize().map_or(true, |tokens| {
        tokens.iter().any(|token| !matches!(token, Token::Whitespace(_) | Token::EOF | Token::SemiColon))
    })
}

/// Where `;` stands outside of quotes and comments, and whether a quote or comment is left open.
fn ends(text: &str) -> (Vec<usize>, bool) {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let closed = match c {
            '\'' | '"' => rest[1..].find(c).map(|end| end + 2),
            '-' if rest.starts_with("--") => Some(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
            _ => {
                if c == ';' {
                    out.push(at);
                }
                Some(c.len_utf8())
            }
        };
        let Some(step) = closed else { return (out, true) };
        at += step;
    }
    (out, false)
}

/// Something in round brackets.
struct Frame {
    /// The function's name, in lower case.
    name: String,
    /// Commas so far.
    commas: usize,
    /// A lambda is being written, whose bracket is still open.
    lambda: bool,
}

pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let span = token.span;
        match &token.token {
            Token::LParen => {
                let name = if at > 0 { name_of(&tokens[at - 1]) } else { String::new() };
                frames.push(Frame { name, commas: 0, lambda: false });
                out.push(token.clone());
            }
            Token::RParen | Token::Comma => {
                if frames.last_mut().is_some_and(|frame| std::mem::take(&mut frame.lambda)) {
                    out.push(with(Token::RParen, span));
                }
                match token.token {
                    Token::Comma => frames.iter_mut().last().into_iter().for_each(|frame| frame.commas += 1),
                    _ => drop(frames.pop()),
                }
                out.push(token.clone());
            }
            Token::Placeholder(_) if introduces_table(out.last()) => out.push(with(word(EVENTS.name), span)),
            _ => out.push(token.clone()),
        }
        at += 1;
        let Some(frame) = frames.last_mut() else { continue };
        if frame.commas > 0
            && token.token == Token::Comma
            && TAKE_LAMBDAS.contains(&frame.name.as_str())
            && let Some((parameters, behind)) = lambda(&tokens, at)
        {
            frame.lambda = true;
            let span = tokens[at].span;
            out.extend([with(word(LAMBDA), span), with(Token::LParen, span)]);
            for parameter in parameters {
                out.extend([parameter, with(Token::Comma, span)]);
            }
            at = behind;
        }
        if matches!(frame.name.as_str(), "cast" | "try_cast")
            && is_word(token, Keyword::AS)
            && let Some((text, behind)) = nested_type(&tokens, at)
        {
            let span = tokens[at].span;
            let put = [word(NESTED), Token::LParen, Token::SingleQuotedString(text), Token::RParen];
            out.extend(put.map(|token| with(token, span)));
            at = behind;
        }
    }
    out
}

fn with(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan { token, span }
}

fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

fn name_of(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) => word.value.to_lowercase(),
        _ => String::new(),
    }
}

fn is_word(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword)
}

fn introduces_table(token: Option<&TokenWithSpan>) -> bool {
    token.is_some_and(|token| is_word(token, Keyword::FROM) || is_word(token, Keyword::JOIN))
}

/// The parameters of a lambda that begins here, and the place behind its arrow.
fn lambda(tokens: &[TokenWithSpan], at: usize) -> Option<(Vec<TokenWithSpan>, usize)> {
    let is_name = |at: usize| matches!(tokens.get(at)?.token, Token::Word(_)).then_some(());
    let is = |at: usize, token: Token| (tokens.get(at)?.token == token).then_some(());
    if is_name(at).is_some() {
        is(at + 1, Token::Arrow)?;
        return Some((vec![tokens[at].clone()], at + 2));
    }
    is(at, Token::LParen)?;
    let (mut parameters, mut next) = (Vec::new(), at + 1);
    loop {
        is_name(next)?;
        parameters.push(tokens[next].clone());
        next += 2;
        match tokens.get(next - 1)?.token {
            Token::Comma => {}
            Token::RParen => break,
            _ => return None,
        }
    }
    is(next, Token::Arrow)?;
    Some((parameters, next + 1))
}

/// The text of a nested type (or of one that only Trino has) that begins here, and the place behind it.
fn nested_type(tokens: &[TokenWithSpan], at: usize) -> Option<(String, usize)> {
    let name = name_of(tokens.get(at)?);
    if !matches!(name.as_str(), "array" | "map" | "row" | "json" | "ipaddress" | "ipprefix") {
        return None;
    }
    let (mut depth, mut text, mut at) = (0_usize, String::new(), at);
    loop {
        let token = &tokens.get(at)?.token;
        match token {
            Token::RParen if depth == 0 => return Some((text, at)),
            Token::RParen => depth -= 1,
            Token::LParen => depth += 1,
            Token::EOF => return None,
            _ => {}
        }
        if text.ends_with(|c: char| c.is_alphanumeric() || c == '"') && matches!(token, Token::Word(_)) {
            text.push(' ');
        }
        text.push_str(&token.to_string());
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_text() {
        let text = "SELECT ';' -- a;b\n; SELECT \"x;\" /* ; */;\n;\n-- the end;\n";
        assert_eq!(statements(text), ["SELECT ';' -- a;b\n", " SELECT \"x;\" /* ; */"]);
        assert!(is_complete(text) && is_complete("SELECT 1; -- done"));
        for open in ["SELECT 1", "SELECT ';", "SELECT 1 /* ;", "SELECT 1; SELECT", ""] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
