//! Ideas from elsewhere, as drafts: Markdown lists, CSV, issues exported from GitHub; and the way out.
//!
//! A file is read whole or not at all: the first thing that is wrong is the answer, with its line or
//! field. Line ends of other systems become `\n`; other control characters are refused as in any text.

use mesh_schemas::Problem;

use crate::check::words::{check_line, check_tags, check_text};

mod escape;
mod export;
mod github;
mod markdown;
mod table;

pub use export::{Exported, Sealed, to_csv, to_json_lines, to_markdown};
pub use github::from_github;
pub use markdown::from_markdown;
pub use table::from_csv;

/// Most drafts of one file.
pub const DRAFTS_MAX: usize = 100_000;

/// An idea that is not filed yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Its text.
    pub text: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The place among the drafts of the one that it derives from; always an earlier one.
    pub parent: Option<usize>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// The drafts, parents first.
    pub drafts: Vec<Draft>,
    /// Lines, from 1, that have text which is in no draft, such as headings; to be shown.
    pub skipped: Vec<usize>,
}

impl Imported {
    /// Takes a draft in whose text and tags keep to the rules.
    fn push(&mut self, place: &str, draft: Draft) -> Result<(), Problem> {
        if self.drafts.len() == DRAFTS_MAX {
            return Err(Problem::new(
                mesh_schemas::ErrorCode::TooLarge,
                format!("{place}: more than {DRAFTS_MAX} ideas in one file"),
            )
            .at(place));
        }
        check_text(place, &draft.text)?;
        if let Some(source) = &draft.source {
            check_line(place, source)?;
        }
        check_tags(place, &draft.tags)?;
        self.drafts.push(draft);
        Ok(())
    }
}

/// `\r\n` and `\r` become `\n`, and a mark of the byte order at the beginning goes.
fn unix_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A title and a body as one text.
fn joined(title: &str, body: &str) -> String {
    let (title, body) = (unix_lines(title), unix_lines(body));
    let parts = [title.trim(), body.trim()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// Tags without doubles.
fn once(tags: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        if !tag.is_empty() && !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}
