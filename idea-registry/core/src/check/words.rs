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
    let problem = Problem::invalid(field, detail);
    Err(if is_unsafe_char(c) { problem.hint(hint(c)) } else { problem })
}

/// What an unsafe character is and what to do: nobody sees it in an editor.
fn hint(c: char) -> String {
    match direction_mark(c) {
        Some(name) => format!("it is an invisible direction mark ({name}): remove it"),
        None => "it is a control character: remove it".to_owned(),
    }
}

/// Unicode's name of a character that turns the writing direction.
const fn direction_mark(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{61c}' => "ARABIC LETTER MARK",
        '\u{200e}' => "LEFT-TO-RIGHT MARK",
        '\u{200f}' => "RIGHT-TO-LEFT MARK",
        '\u{202a}' => "LEFT-TO-RIGHT EMBEDDING",
        '\u{202b}' => "RIGHT-TO-LEFT EMBEDDING",
        '\u{202c}' => "POP DIRECTIONAL FORMATTING",
        '\u{202d}' => "LEFT-TO-RIGHT OVERRIDE",
        '\u{202e}' => "RIGHT-TO-LEFT OVERRIDE",
        '\u{2066}' => "LEFT-TO-RIGHT ISOLATE",
        '\u{2067}' => "RIGHT-TO-LEFT ISOLATE",
        '\u{2068}' => "FIRST STRONG ISOLATE",
        '\u{2069}' => "POP DIRECTIONAL ISOLATE",
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_nobody_sees_is_named() {
        let hint = |text: &str| check_text("body", text).unwrap_err().hint.unwrap();
        assert!(hint("a\u{200f}b").contains("RIGHT-TO-LEFT MARK"));
        assert!(hint("a\u{7}b").contains("control character"));
        let marks = ('\u{80}'..='\u{ffff}').filter(|c| is_unsafe_char(*c) && !c.is_control());
        for mark in marks {
            assert!(direction_mark(mark).is_some(), "U+{:04X}", u32::from(mark));
        }
        assert_eq!(check_tag("tag", "a b").unwrap_err().hint, None);
    }
}
