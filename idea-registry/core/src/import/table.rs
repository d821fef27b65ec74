//! CSV with a header of `title`, `body`, `tags` and `source`, in any order.

use csv::{ReaderBuilder, StringRecord};
use mesh_schemas::{ErrorCode, Problem};

use super::{Draft, Imported, joined, once};

const COLUMNS: [&str; 4] = ["title", "body", "tags", "source"];

/// Reads rows. Title and body become one text; tags are divided by commas, semicolons or spaces.
///
/// # Errors
/// The first row that breaks a rule, naming its line; or the header, when a column is not known or
/// there is neither title nor body.
pub fn from_csv(text: &str) -> Result<Imported, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| wrong("line 1", &error))?.clone();
    let places = places(&header)?;
    let mut imported = Imported::default();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(&format!("line {line}"), &error)
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        imported.push(&format!("line {line}"), draft(&record, &places))?;
    }
    Ok(imported)
}

/// Where each of [`COLUMNS`] is.
fn places(header: &StringRecord) -> Result<[Option<usize>; 4], Problem> {
    let mut places = [None; 4];
    for (place, name) in header.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| name.trim().eq_ignore_ascii_case(column));
        match known {
            Some(column) if places[column].is_none() => places[column] = Some(place),
            Some(_) => return Err(header_problem(&format!("the column {name:?} is there twice"))),
            None => return Err(header_problem(&format!("the column {name:?} is not known"))),
        }
    }
    match places {
        [None, None, _, _] => Err(header_problem("there is neither a title nor a body")),
        _ => Ok(places),
    }
}

fn draft(record: &StringRecord, places: &[Option<usize>; 4]) -> Draft {
    let [title, body, tags, source] =
        places.map(|place| place.and_then(|place| record.get(place)).unwrap_or_default());
    let tags = tags.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).map(Into::into);
    let source = Some(source.trim().to_owned()).filter(|source| !source.is_empty());
    Draft { text: joined(title, body), tags: once(tags), source, parent: None }
}

fn header_problem(what: &str) -> Problem {
    let detail = format!("line 1: {what}; the columns are {}", COLUMNS.join(", "));
    Problem::invalid("line 1", detail)
}

fn wrong(place: &str, error: &csv::Error) -> Problem {
    Problem::new(ErrorCode::Syntax, format!("{place}: {error}")).at(place)
}
