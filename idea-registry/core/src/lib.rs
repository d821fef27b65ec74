//! The pure rules of the ledger of ideas: what an entry must be, what may be appended, and what follows
//! from what was. No IO, no clock, no randomness, no SQL; times, keys and facts come in as arguments.
//! `mesh-ideas` is its shell, `mesh ideas` signs with it, and `verify` replays a log through it.

pub mod audit;
pub mod canonical;
pub mod check;
pub mod entry;
pub mod fold;
pub mod graph;
pub mod import;
pub mod ledger;
pub mod near;
pub mod rank;
pub mod text;

pub use check::{Checked, check};
pub use ed25519_dalek::SigningKey;
pub use entry::{Unsigned, author_of, body_hash, entry_id, parse_leaf, sign, verify_signature};
