//! What is compared instead of rows.

use mesh_fabric::ids;
use mesh_ideas_core::{body_hash, canonical::canonical};
use serde_json::Value;

/// The beginning of a hash: whole, those of a large log would not fit into memory.
pub(super) type Digest = u128;

/// Makes digests with a key that nobody knows before: whoever writes rows cannot choose them so that they have one digest,
/// or that many of them come to one sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digests {
    key: [u8; 32],
}

impl Digests {
    pub(super) fn new() -> Self {
        Self { key: ids::random() }
    }

    pub(super) fn text(&self, text: &str) -> Digest {
        let hash = body_hash(text, Some(&self.key)).0;
        hash.first_chunk().map_or(0, |beginning| Digest::from_be_bytes(*beginning))
    }

    /// Of a value, whichever database it comes from.
    pub(super) fn value(&self, value: &Value) -> Digest {
        self.text(&String::from_utf8_lossy(&canonical(value)))
    }
}
