//! Chunks, packs and manifests: how output, checkpoints, logs and shipped directories reach the
//! object store while they are being written, and how they come back.
//!
//! Promises: what is stored agrees with its own hash; nothing is written outside the directory
//! asked for, whatever a manifest says; a process killed at any time goes on from its state file;
//! memory is bounded by a few packs. Holds no keys of the store: every request goes through a
//! presigned URL that an [`port::ObjectPort`] obtains. Does not decide *when* to upload.

mod beneath;
pub mod download;
pub mod port;
pub mod ship;
mod transfer;
pub mod upload;

pub use mesh_artifacts_core as core;
