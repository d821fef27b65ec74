//! The pure part of artifacts: cutting, packing, planning, checking and bookkeeping. No IO, no clock,
//! no randomness; bytes and times come in as arguments. `mesh-artifacts` is its shell, and the
//! simulation another.

pub mod check;
pub mod chunk;
pub mod codec;
pub mod fetch;
pub mod log;
pub mod pack;
pub mod select;
pub mod state;

/// BLAKE3 of the bytes, 64 hexadecimal digits.
pub fn hash_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
