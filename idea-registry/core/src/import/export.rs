//! Ideas on their way out: Markdown to read, CSV that can be imported again, JSON lines for programs.

use std::fmt::Write as _;

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{IdeaId, IdeaStatus},
};
use serde::Serialize;

use super::escape::escaped_lines;

/// An idea as it is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Which.
    pub id: IdeaId,
    /// Its title.
    pub title: String,
    /// Its text; empty when erased or hidden.
    pub text: String,
    /// Where it stands.
    pub status: IdeaStatus,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is known of a sealed text's subject; absent when the text is not sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// That a text is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Sealed {
    /// For this subject.
    Subject(String),
    /// `true`: for a subject that is not known.
    Is(bool),
}

/// One list item for each idea, its text indented below. [`super::from_markdown`] reads the same texts from it, but for
/// white space at the ends of lines: what it would take for a mark has a backslash before it.
pub fn to_markdown(ideas: &[Exported]) -> String {
    let mut out = String::new();
    for idea in ideas.iter().filter(|idea| !idea.text.trim().is_empty()) {
        for (place, line) in escaped_lines(&idea.text).iter().enumerate() {
            let mark = if place == 0 { "- " } else { "  " };
            let _ = writeln!(out, "{}", format!("{mark}{line}").trim_end());
        }
    }
    out
}

/// A table with the columns that [`super::from_csv`] reads; the text is in `body`.
///
/// # Errors
/// `E_INTERNAL` when the writer fails, which memory does not.
pub fn to_csv(ideas: &[Exported]) -> Result<String, Problem> {
    let wrong = |what: String| Problem::new(ErrorCode::Internal, what);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["body", "tags", "source"]).map_err(|error| wrong(error.to_string()))?;
    for idea in ideas.iter().filter(|idea| !idea.text.trim().is_empty()) {
        let source = idea.source.as_deref().unwrap_or_default();
        let row = [idea.text.as_str(), &idea.tags.join(" "), source];
        writer.write_record(row).map_err(|error| wrong(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}

/// One idea a line.
///
/// # Panics
/// Never: the type is plain JSON.
pub fn to_json_lines(ideas: &[Exported]) -> String {
    let line = |idea| serde_json::to_string(idea).expect("an idea is plain JSON") + "\n";
    ideas.iter().map(line).collect()
}
