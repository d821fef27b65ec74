//! Columns on their way out. What cannot be understood is named, never guessed.

use std::str::FromStr;

use mesh_schemas::{Timestamp, text::shown};
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// An id or a word.
pub(super) fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unreadable(column, text))
}

/// An id or a word, when there is one.
pub(super) fn parse_option<T: FromStr>(
    column: &str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(column, text)).transpose()
}

/// A value kept as JSON; its text is not repeated in the error, it may be long or secret.
pub(super) fn json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Unreadable { what: format!("a {column} of another form") })
}

/// A value kept as JSON, when there is one.
pub(super) fn json_option<T: DeserializeOwned>(
    column: &str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| json(column, text)).transpose()
}

/// A number of the wanted size.
pub(in crate::store) fn number<T: TryFrom<i64>>(
    column: &str,
    number: i64,
) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
}

/// A number of the wanted size, when there is one.
pub(super) fn number_option<T: TryFrom<i64>>(
    column: &str,
    value: Option<i64>,
) -> Result<Option<T>, StoreError> {
    value.map(|value| number(column, value)).transpose()
}

/// A time, when there is one.
pub(super) fn time_option(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// A hash, kept as 64 hexadecimal digits.
pub(super) fn hash(column: &str, text: &str) -> Result<[u8; 32], StoreError> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| unreadable(column, text))
}

/// A hash as 64 hexadecimal digits.
pub(super) fn hash_text(hash: [u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&hash)
}

/// The error for a value that means nothing here.
pub(super) fn unreadable(column: &str, text: &str) -> StoreError {
    StoreError::Unreadable { what: format!("a {column} {}", shown(text)) }
}
