//! Why something could not be fetched.

use std::{io, path::PathBuf};

use mesh_schemas::error::{ErrorCode, Problem};

use crate::{core::codec::Damage, transfer::TransferError};

/// Why it could not be fetched. Files that were finished stay; the others are as they were.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// A manifest that breaks its rules.
    #[error("the manifest cannot be used")]
    Manifest(#[source] Problem),
    /// An object cannot be downloaded.
    #[error("cannot download an object")]
    Transfer(#[from] TransferError),
    /// A chunk is not what the manifest says.
    #[error("chunk {chunk} of {of} is damaged")]
    Chunk {
        /// The file or log.
        of: String,
        /// Its hash, as the manifest says.
        chunk: String,
        /// How.
        source: Damage,
    },
    /// A whole is not what the manifest says, though its chunks are.
    #[error("{what} has the BLAKE3 {found} instead of {expected}")]
    Hash {
        /// The file or manifest.
        what: String,
        /// As the manifest says.
        expected: String,
        /// Of the bytes that came.
        found: String,
    },
    /// Something other than a regular file is in the way.
    #[error("{path} is a link, a directory or a device: it is not replaced")]
    InTheWay {
        /// Where.
        path: String,
    },
    /// The files do not fit.
    #[error("the files have {wanted} bytes, {free} are free in {path}", path = path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Their bytes.
        wanted: u64,
        /// Free bytes.
        free: u64,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The process is about to end.
    #[error("the download was stopped")]
    Stopped,
}

impl DownloadError {
    /// For people.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Manifest(problem) => return problem.clone(),
            Self::Transfer(source) => return source.problem(),
            Self::Chunk { .. } | Self::Hash { .. } => ErrorCode::Integrity,
            Self::InTheWay { .. } => ErrorCode::PathEscape,
            Self::NoSpace { .. } => ErrorCode::TooLarge,
            Self::Write { .. } => ErrorCode::Io,
            Self::Stopped => ErrorCode::Internal,
        };
        Problem::new(code, mesh_fabric::error::chain(self))
    }
}
