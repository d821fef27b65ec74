//! Rules for the characters of texts, names, tags and reasons.
//!
//! A text is stored as it is: HTML and Markdown are text and nothing here gives them a meaning. Only
//! control characters and those that turn the writing direction are refused.

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{NOTE_BYTES_MAX, PARENTS_MAX, WORD_BYTES_MAX},
    text::{is_unsafe_char, shown},
};

use super::body::check_length;

/// A body: 1 byte to 1 MiB, not white space alone.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    check_length(field, text.len())?;
    check_chars(field, text, is_unsafe_char)?;
    check_not_blank(field, text)
}

/// The name of an author: one line of at most 63 bytes.
pub(crate) fn check_word(field: &str, text: &str) -> Result<(), Problem> {
    check_one_line(field, text, WORD_BYTES_MAX)
}

/// A source, an origin or a job's name: one line of at most 1,024 bytes.
pub(crate) fn check_line(field: &str, text: &str) -> Result<(), Problem> {
    check_one_line(field, text, NOTE_BYTES_MAX)
}

/// A reason: at most 1,024 bytes.
pub(crate) fn check_note(field: &str, text: &str) -> Result<(), Problem> {
    check_bytes(field, text, NOTE_BYTES_MAX)?;
    check_chars(field, text, is_unsafe_char)?;
    check_not_blank(field, text)
}

/// At most 32 different tags.
pub(crate) fn check_tags(field: &str, tags: &[String]) -> Result<(), Problem> {
    check_count(field, tags.len())?;
    for (place, tag) in tags.iter().enumerate() {
        let field = format!("{field}[{place}]");
        check_tag(&field, tag)?;
        if tags[..place].contains(tag) {
            return Err(Problem::invalid(&field, format!("{field} is named twice: {tag:?}")));
        }
    }
    Ok(())
}

/// A list in an entry: at most 32 items.
pub(crate) fn check_count(field: &str, count: usize) -> Result<(), Problem> {
    if count <= PARENTS_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("{field} has {count} items; allowed are {PARENTS_MAX}"),
    )
    .at(field))
}

/// A tag: at most 63 bytes in any script, without white space and commas.
///
/// # Errors
/// `E_INVALID` or `E_TOO_LARGE`, naming `field`.
pub fn check_tag(field: &str, text: &str) -> Result<(), Problem> {
    check_bytes(field, text, WORD_BYTES_MAX)?;
    check_chars(field, text, |c| is_unsafe_char(c) || c.is_whitespace() || c == ',')
}

fn check_one_line(field: &str, text: &str, bytes_max: usize) -> Result<(), Problem> {
    check_bytes(field, text, bytes_max)?;
    check_chars(field, text, |c| is_unsafe_char(c) || c == '\n' || c == '\t')?;
    check_not_blank(field, text)
}

fn check_bytes(field: &str, text: &str, bytes_max: usize) -> Result<(), Problem> {
    if (1..=bytes_max).contains(&text.len()) {
        return Ok(());
    }
    let given = format!("{field} has {} bytes; allowed are 1 to {bytes_max}", text.len());
    Err(Problem::invalid(field, given))
}

fn check_chars(field: &str, text: &str, refused: impl Fn(char) -> bool) -> Result<(), Problem> {
    let Some((place, c)) = text.char_indices().find(|(_, c)| refused(*c)) else {
        return Ok(());
    };
    let detail = format!(
        "{field} has the character U+{:04X} at byte {place}, which is not allowed",
        u32::from(c)
    );
    Err(Problem::invalid(field, detail))
}

fn check_not_blank(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().any(|c| !c.is_whitespace() && !is_unseen(c)) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{field} is {}, which is white space alone", shown(text))))
}

/// Characters without ink that Unicode does not count as white space.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}
