//! SHA-256 tree hashing as RFC 6962 has it, and the text form of a hash.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::text::{self, Base64Error};

/// How long a hash is, in bytes.
pub const HASH_BYTES: usize = 32;

/// A leaf's, a node's or a root's SHA-256. Its text form is standard base64 with padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The hash of a leaf. Its prefix keeps a leaf from passing for a node.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of the node above these two.
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The size of a log and the root of its tree then: all that a checkpoint says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves there are, at most [`SIZE_MAX`](crate::SIZE_MAX).
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
}

impl TreeHead {
    /// The head of a log in which nothing is yet.
    pub const EMPTY: TreeHead = TreeHead { size: 0, root: EMPTY_ROOT };
}

/// Why a text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It is not base64 in its one canonical form.
    #[error(transparent)]
    Base64(#[from] Base64Error),
    /// It is base64 of another number of bytes.
    #[error("a hash has 32 bytes, this one has {bytes}")]
    Length {
        /// How many bytes there were.
        bytes: usize,
    },
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let bytes = text::base64(text)?;
        let length = HashError::Length { bytes: bytes.len() };
        bytes.try_into().map(Hash).map_err(|_| length)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
