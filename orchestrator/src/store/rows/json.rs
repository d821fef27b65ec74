//! Rows on their way into a statement: JSON arrays of bounded length.

use std::borrow::Cow;

use serde::Serialize;

use crate::store::StoreError;

/// A statement takes rows until they are this long, in bytes.
const STATEMENT_BYTES: usize = 1 << 20;

/// The rows as JSON arrays, in order.
pub(in crate::store) fn chunks<R: Serialize>(
    rows: impl Iterator<Item = R>,
) -> Result<Vec<String>, StoreError> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for row in rows {
        chunk.push(if chunk.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut chunk, &row).map_err(|_| unwritable())?;
        if chunk.len() >= STATEMENT_BYTES {
            chunks.push(closed(std::mem::take(&mut chunk))?);
        }
    }
    if !chunk.is_empty() {
        chunks.push(closed(chunk)?);
    }
    Ok(chunks)
}

fn closed(mut chunk: Vec<u8>) -> Result<String, StoreError> {
    chunk.push(b']');
    String::from_utf8(chunk).map_err(|_| unwritable())
}

/// The JSON text of a value that is kept as it is. Inside a row it is a text, not an object: PostgreSQL
/// would sort its keys, and refuse a NUL that a peer has escaped in it.
pub(super) fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| unwritable())
}

/// A text that people or nodes chose. PostgreSQL has no NUL in texts, so it becomes U+FFFD in both.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A number that SQL can hold; larger ones become the largest.
pub(in crate::store) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unwritable() -> StoreError {
    StoreError::Unreadable { what: "a value without a JSON form".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_arrays_of_bounded_length_and_none_is_lost() {
        let row = "x".repeat(STATEMENT_BYTES / 2);
        let cut = chunks(std::iter::repeat_n(&row, 5)).unwrap();
        let lengths: Vec<usize> = cut
            .iter()
            .map(|chunk| serde_json::from_str::<Vec<String>>(chunk).unwrap().len())
            .collect();
        assert_eq!(lengths, [2, 2, 1]);
        assert_eq!(chunks(std::iter::empty::<u8>()).unwrap(), Vec::<String>::new());
    }
}
