//! Issues as `gh issue list --json title,body,labels,url,number` writes them.

use mesh_schemas::{ErrorCode, Problem};
use serde::Deserialize;

use super::{Draft, Imported, joined, once};

#[derive(Deserialize)]
struct Issue {
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    number: Option<u64>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

/// Reads an array of issues. Labels become tags, with `-` for spaces; the URL or number is the source.
///
/// # Errors
/// The first issue that breaks a rule, naming it as `[3].title`.
pub fn from_github(text: &str) -> Result<Imported, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let items: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}", error.line());
        Problem::new(ErrorCode::Syntax, format!("not an array of issues: {error}")).at(place)
    })?;
    let mut imported = Imported::default();
    for (place, item) in items.into_iter().enumerate() {
        let place = format!("[{place}]");
        let issue: Issue = serde_json::from_value(item).map_err(|error| {
            Problem::new(ErrorCode::Syntax, format!("{place}: {error}")).at(&place)
        })?;
        if issue.title.trim().is_empty() {
            let field = format!("{place}.title");
            return Err(Problem::invalid(&field, format!("{field} is empty")));
        }
        imported.push(&place, draft(issue))?;
    }
    Ok(imported)
}

fn draft(issue: Issue) -> Draft {
    let Issue { title, body, labels, url, number } = issue;
    let tags = labels.into_iter().map(|label| tag(&label.name));
    let source = url.or_else(|| number.map(|number| format!("issue {number}")));
    let text = joined(&title, &body.unwrap_or_default());
    Draft { text, tags: once(tags), source, parent: None }
}

fn tag(label: &str) -> String {
    let words: Vec<&str> = label
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    words.join("-")
}
