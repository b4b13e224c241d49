//! A page of HTML that stands alone: no script, no network, nothing from elsewhere.
//!
//! Owns: the document, its style, and that no text of a log is markup in it.
//! Invariants: every text goes through [`Markup::text`], which escapes it and makes what acts on a reader (controls,
//! direction overrides) visible; a policy in the head forbids scripts and any request should that ever fail; every
//! figure has a title, a description and the same numbers as a table.

mod figure;

use std::fmt::Write;

use crate::inert::{Breaks, push_visible};

pub use figure::{Bucket, Leaf, bars, heat, tree};

/// Markup that is safe to put into a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// A text that is no markup, whatever is in it.
    pub fn text(text: &str) -> Self {
        let mut markup = Self::default();
        markup.push_text(text);
        markup
    }

    /// The HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn push_text(&mut self, text: &str) {
        let mut visible = String::with_capacity(text.len());
        push_visible(text, Breaks::Shown, &mut visible);
        for c in visible.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    /// Markup of our own, from the source.
    fn push_raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Markup of our own with numbers in it.
    fn push_fmt(&mut self, html: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        _ = self.0.write_fmt(html);
    }

    fn push(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// `<tag>text</tag>`
    fn push_element(&mut self, tag: &str, text: &str) {
        self.push_fmt(format_args!("<{tag}>"));
        self.push_text(text);
        self.push_fmt(format_args!("</{tag}>"));
    }
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, and whether they hold numbers.
    pub columns: Vec<(String, bool)>,
    /// Cells, row by row; `None` stands for nothing.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Anchor; letters, digits and `-`.
    pub id: String,
    /// Heading.
    pub title: String,
    /// A sentence below it.
    pub lead: String,
    /// Drawn above the table.
    pub figure: Option<Markup>,
    /// Whether the table is seen at once, or opened by the reader.
    pub shown: Shown,
    /// The rows.
    pub table: Table,
}

/// How a table is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// At once.
    Open,
    /// Where the reader opens it: the figure above says the same. On paper always.
    Folded,
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Heading and title.
    pub title: String,
    /// Sentences below it.
    pub lead: Vec<String>,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// Parts, in order.
    pub blocks: Vec<Block>,
    /// The last line.
    pub foot: String,
}

/// Nothing may be loaded or run; the style is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("style.css");

impl Page {
    /// The whole document.
    pub fn html(&self) -> String {
        let mut page = Markup::default();
        page.push_raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.push_fmt(format_args!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n"));
        page.push_raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.push_raw(
            "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n",
        );
        page.push_element("title", &self.title);
        page.push_fmt(format_args!("\n<style>\n{STYLE}</style>\n</head>\n<body>\n"));
        page.push_raw("<a class=\"skip\" href=\"#main\">To the content</a>\n<header>\n");
        page.push_element("h1", &self.title);
        self.lead.iter().for_each(|line| page.push_element("p", line));
        page.push_raw("</header>\n");
        self.contents(&mut page);
        page.push_raw("<main id=\"main\">\n");
        self.push_facts(&mut page);
        self.blocks.iter().for_each(|block| block.push_to(&mut page));
        page.push_raw("</main>\n<footer>");
        page.push_element("p", &self.foot);
        page.push_raw("</footer>\n</body>\n</html>\n");
        page.0
    }

    fn contents(&self, page: &mut Markup) {
        page.push_raw("<nav aria-label=\"Contents\"><ul>\n");
        for block in &self.blocks {
            page.push_fmt(format_args!("<li><a href=\"#{}\">", anchor(&block.id)));
            page.push_text(&block.title);
            page.push_fmt(format_args!("</a> <span>{}</span></li>\n", block.table.rows.len()));
        }
        page.push_raw("</ul></nav>\n");
    }

    fn push_facts(&self, page: &mut Markup) {
        page.push_raw("<dl>\n");
        for (name, value) in &self.facts {
            page.push_raw("<div>");
            page.push_element("dt", name);
            page.push_element("dd", value);
            page.push_raw("</div>\n");
        }
        page.push_raw("</dl>\n");
    }
}

/// An anchor with nothing in it but what an anchor may have.
fn anchor(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

impl Block {
    fn push_to(&self, page: &mut Markup) {
        let id = anchor(&self.id);
        page.push_fmt(format_args!("<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">"));
        page.push_text(&self.title);
        page.push_raw("</h2>\n");
        page.push_element("p", &self.lead);
        page.push_raw("\n");
        if self.table.rows.is_empty() {
            page.push_raw("<p class=\"none\">Nothing.</p>\n</section>\n");
            return;
        }
        if let Some(figure) = &self.figure {
            page.push_raw("<figure>\n");
            page.push(figure);
            page.push_raw("\n</figure>\n");
        }
        if self.shown == Shown::Folded {
            page.push_raw("<details><summary>As a table</summary>\n");
        }
        self.table.push_to(&self.title, page);
        if self.shown == Shown::Folded {
            page.push_raw("</details>\n");
        }
        page.push_raw("</section>\n");
    }
}

impl Table {
    fn push_to(&self, caption: &str, page: &mut Markup) {
        page.push_raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
        page.push_text(caption);
        page.push_raw("\"><table>\n");
        page.push_element("caption", caption);
        page.push_raw("\n<thead><tr>");
        for (name, numeric) in &self.columns {
            page.push_raw(if *numeric { "<th scope=\"col\" class=\"n\">" } else { "<th scope=\"col\">" });
            page.push_text(name);
            page.push_raw("</th>");
        }
        page.push_raw("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            page.push_raw("<tr>");
            for (cell, (_, numeric)) in row.iter().zip(&self.columns) {
                page.push_raw(if *numeric { "<td class=\"n\">" } else { "<td>" });
                page.push_text(cell.as_deref().unwrap_or_default());
                page.push_raw("</td>");
            }
            page.push_raw("</tr>\n");
        }
        page.push_raw("</tbody></table></div>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let hostile = "<script>alert(1)</script>\"'&\u{1b}[31m\u{202e}</title><img src=x onerror=alert(1)>";
        let cell = Some(hostile.to_owned());
        let table = Table { columns: vec![(hostile.to_owned(), false)], rows: vec![vec![cell]] };
        let leaf = Leaf { depth: 1, title: hostile.to_owned(), detail: hostile.to_owned(), marked: true };
        let bucket = Bucket { label: hostile.to_owned(), counts: [1, 2, 3], mark: Some(hostile.to_owned()) };
        let block = |figure| Block {
            id: hostile.to_owned(),
            title: hostile.to_owned(),
            lead: hostile.to_owned(),
            figure: Some(figure),
            shown: Shown::Folded,
            table: table.clone(),
        };
        let names = [hostile.to_owned()];
        let page = Page {
            title: hostile.to_owned(),
            lead: vec![hostile.to_owned()],
            facts: vec![(hostile.to_owned(), hostile.to_owned())],
            blocks: vec![
                block(tree("a", &[leaf])),
                block(bars("b", &[bucket])),
                block(heat("c", &names, &names, &[vec![1]])),
            ],
            foot: hostile.to_owned(),
        };
        let html = page.html();
        for inert in ["<script", "<img", "onerror=alert(1)>", "\u{1b}", "\u{202e}", "\"'&"] {
            assert!(!html.contains(inert), "{inert:?}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert_eq!(html.matches("</title>").count(), html.matches("<title").count());
    }

    #[test]
    fn every_column_and_figure_is_labelled() {
        let table = Table { columns: vec![("events".to_owned(), true)], rows: vec![vec![Some("1".to_owned())]] };
        let bucket = Bucket { label: "day".to_owned(), counts: [1, 0, 0], mark: None };
        let block = Block {
            id: "a b".to_owned(),
            title: "A".to_owned(),
            lead: String::new(),
            figure: Some(bars("a", &[bucket])),
            shown: Shown::Open,
            table,
        };
        let html = Page { title: "T".to_owned(), blocks: vec![block], ..Page::default() }.html();
        for part in [
            "<html lang=",
            "<caption>",
            "scope=\"col\"",
            "role=\"img\"",
            "aria-labelledby=",
            "<section id=\"a-b\"",
            "default-src 'none'",
        ] {
            assert!(html.contains(part), "{part}");
        }
        for part in ["http://", "https://", "<script", "src="] {
            assert!(
                !html
                    .replace("http://www.w3.org/2000/svg", "")
                    .replace("default-src 'none'; style-src", "")
                    .contains(part),
                "{part}"
            );
        }
    }
}
