//! Entry bundles: entries one after the other, each behind its length in two bytes, high byte first.

/// The longest entry: its length must fit two bytes.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Why bytes are not a bundle of the expected width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end within this entry, counted from the bundle's first.
    #[error("the bundle ends within its entry {entry}")]
    Truncated {
        /// The entry's place in the bundle, from 0.
        entry: u16,
    },
    /// There are bytes behind the last entry.
    #[error("the bundle has {bytes} bytes behind its last entry")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// The `width` entries of a bundle, in order.
pub fn decode_bundle(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    for entry in 0..width {
        let (found, rest) = split_entry(bytes).ok_or(BundleError::Truncated { entry })?;
        entries.push(found);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(BundleError::Trailing { bytes: bytes.len() }) }
}

/// The first entry and what is behind it.
pub(crate) fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Appends an entry; false if it is too long.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}
