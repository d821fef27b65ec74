//! The two forms that all C2SP texts are made of: decimal numbers and base64, each with one spelling.

use data_encoding::{BASE64, DecodeKind};

/// The largest log: as many leaves as a positive signed number can count, as in Go's `tlog`.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Why a text is not base64, or not in its one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// A symbol outside the alphabet, or padding that is missing or misplaced.
    #[error("this is not base64")]
    Malformed,
    /// The bits behind the last byte are not zero: another text says the same bytes.
    #[error("this base64 is not canonical")]
    NotCanonical,
}

/// Why a text is not a size or an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Empty, signed, or with anything but the digits 0 to 9.
    #[error("this is not a decimal number")]
    NotDigits,
    /// A zero in front of other digits.
    #[error("a number has no leading zeros")]
    LeadingZero,
    /// More than [`SIZE_MAX`].
    #[error("this number is larger than any log can be")]
    TooLarge,
}

pub(crate) fn base64(text: &str) -> Result<Vec<u8>, Base64Error> {
    BASE64.decode(text.as_bytes()).map_err(|err| match err.kind {
        DecodeKind::Trailing => Base64Error::NotCanonical,
        DecodeKind::Length | DecodeKind::Symbol | DecodeKind::Padding => Base64Error::Malformed,
    })
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn decimal(text: &str) -> Result<u64, DecimalError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::NotDigits);
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(DecimalError::LeadingZero);
    }
    text.parse().ok().filter(|number| *number <= SIZE_MAX).ok_or(DecimalError::TooLarge)
}
