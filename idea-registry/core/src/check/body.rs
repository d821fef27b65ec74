//! What must be true of a text and of the reference that an entry has to it.

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{BODY_BYTES_MAX, BodyRef, Sha256},
};

use super::words::check_text;
use crate::entry::body_hash;

/// The text is there exactly when the entry has one, and is the one that it names.
///
/// # Errors
/// `E_INVALID`, `E_TOO_LARGE` or `E_INTEGRITY` naming `body` or `salt`.
pub fn check_body(
    wanted: Option<&BodyRef>,
    text: Option<&str>,
    salt: Option<&Sha256>,
) -> Result<(), Problem> {
    let Some(wanted) = wanted else {
        return match (text, salt) {
            (None, None) => Ok(()),
            (Some(_), _) => Err(Problem::invalid("body", "an entry of this kind has no text")),
            (None, Some(_)) => Err(Problem::invalid("salt", "an entry of this kind has no text")),
        };
    };
    let text = text.ok_or_else(|| Problem::invalid("body", "the text is missing"))?;
    check_text("body", text)?;
    match (&wanted.sealed, salt) {
        (Some(_), None) => return Err(Problem::invalid("salt", "a sealed text needs its salt")),
        (None, Some(_)) => {
            return Err(Problem::invalid("salt", "only a sealed text has a salt"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let matches = usize::try_from(wanted.bytes) == Ok(text.len())
        && body_hash(text, salt.map(|salt| &salt.0)) == wanted.hash;
    if matches {
        return Ok(());
    }
    Err(Problem::invalid("body", "the text is not the one whose hash and length the entry names"))
}

pub(super) fn check_ref(body: &BodyRef) -> Result<(), Problem> {
    let bytes = usize::try_from(body.bytes).unwrap_or(usize::MAX);
    check_length("say.body.bytes", bytes)?;
    body.sealed
        .as_deref()
        .map_or(Ok(()), |subject| mesh_schemas::text::check_name("say.body.sealed", subject))
}

pub(super) fn check_length(field: &str, bytes: usize) -> Result<(), Problem> {
    match bytes {
        0 => Err(Problem::invalid(field, format!("{field} is empty: no text"))),
        1..=BODY_BYTES_MAX => Ok(()),
        _ => Err(Problem::new(
            ErrorCode::TooLarge,
            format!("{field} is {bytes} bytes; allowed are {BODY_BYTES_MAX}"),
        )
        .at(field)),
    }
}
