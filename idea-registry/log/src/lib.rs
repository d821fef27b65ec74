//! A transparency log's generic, pure part: no IO, no clock, no randomness, no knowledge of what is logged.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bundle;
mod checkpoint;
mod cosignature;
mod edge;
mod hash;
mod key;
mod note;
mod proof;
mod proof_file;
mod prove;
mod read;
mod shape;
mod signed;
mod text;
mod tile;

pub use bundle::{BundleError, ENTRY_BYTES_MAX, decode_bundle};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosignature::{Cosignature, Timestamp};
pub use edge::{Edge, EdgeError, IntegrateError, TileFile};
pub use hash::{EMPTY_ROOT, HASH_BYTES, Hash, HashError, TreeHead, leaf_hash, node_hash};
pub use key::{KeyError, KeyId, KeyKind, SignerKey, VerifierKey};
pub use note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, NoteError, NoteSignature};
pub use proof::{PROOF_HASHES_MAX, ProofError, verify_consistency, verify_inclusion};
pub use proof_file::{CheckError, ProofFile, ProofFileError};
pub use prove::{ProveError, Prover, consistency_tiles, inclusion_tiles};
pub use read::{ReadTiles, TileError};
pub use signed::{
    AnswerError, OpenError, ParseError, SignatureError, SignedCheckpoint, TrustedLog,
    UnverifiedCheckpoint,
};
pub use text::{Base64Error, DecimalError, SIZE_MAX};
pub use tile::{CHECKPOINT_PATH, Level, TILE_WIDTH, Tile, TilePathError};
