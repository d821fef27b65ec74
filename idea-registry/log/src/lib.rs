//! A transparency log's generic, pure part: an append-only tree of hashes over entries, laid out as C2SP
//! `tlog-tiles`, so that tools of others can audit it too. It does not know what is logged.
//!
//! It promises: what it reads it reads strictly (each text has one spelling, every fault an error of its
//! own, nothing from outside leads to a panic), the same input gives the same bytes, and memory is some
//! tiles, never the log. It deliberately has no IO, no clock and no randomness: files come through
//! [`ReadTiles`] and go as [`TileFile`], times and seeds are arguments.
//!
//! Who does what with it:
//!
//! - **The log** keeps an [`Edge`]. [`Edge::integrate`] gives the files to write for new entries and the
//!   next edge; once they are durable, [`SignedCheckpoint::sign`] signs the edge's head. After a restart
//!   [`Edge::load`] reads the edge back, from the last signed head.
//! - **Who proves** asks a [`Prover`], and writes a [`ProofFile`] (`.tlog-proof`).
//! - **Who checks** opens checkpoints with a [`TrustedLog`], counts
//!   [`SignedCheckpoint::cosignatures`], and uses [`ProofFile::verify`], [`verify_inclusion`] or
//!   [`verify_consistency`].
//! - **A client** has [`Remembered`] the last checkpoint; [`Remembered::judge`] accepts the next one, or
//!   finds a rollback or a fork and says what to keep as [`Evidence`].
//! - **A witness** reads an [`AddCheckpoint`] and lets [`Witness::decide`] cosign or refuse.
//! - **An auditor** goes through an [`Audit`], which names the first file and entry that are wrong.
//!
//! Why not the crates `tlog_tiles` and `signed_note` (0.2): their paths are those of Go's `sumdb`, not of
//! `tlog-tiles`; all faults of a checkpoint are one error, and a second signature by one key is passed
//! over; cosignatures, proof files and the witness's protocol are missing; reading tiles of an empty log
//! panics; and `tlog_tiles` brings `url` and its Unicode tables along. They are ports of Go's own code,
//! though, so the tests hold every byte of this crate against them, and against `ct-merkle`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod audit;
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
mod remember;
mod shape;
mod signed;
mod statement;
mod text;
mod tile;
mod witness;

pub use audit::{Audit, AuditError, AuditedBundle, Fault, Finding};
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
pub use remember::{Evidence, OtherLog, Remembered, Verdict};
pub use signed::{
    AnswerError, OpenError, ParseError, SignatureError, SignedCheckpoint, TrustedLog,
    UnverifiedCheckpoint,
};
pub use statement::{StatementError, sign_statement};
pub use text::{Base64Error, DecimalError, SIZE_MAX};
pub use tile::{CHECKPOINT_PATH, IndexPath, Level, TILE_WIDTH, Tile, TilePathError};
pub use witness::{AddCheckpoint, Cosigned, Refused, RequestError, Witness, origin_hash};
