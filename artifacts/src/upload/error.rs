//! Why something could not be stored.

use std::{io, path::PathBuf};

use mesh_schemas::{
    artifact_path::ArtifactPath,
    error::{ErrorCode, Problem},
};

use crate::{port::PortError, transfer::TransferError};

/// Why nothing could be stored. Nothing is lost: the next call goes on from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A pattern that cannot be used.
    #[error("the job's outputs cannot be selected")]
    Pattern(#[source] Problem),
    /// The directory cannot be read.
    #[error("cannot read the directory {path}", path = path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state file cannot be read or written.
    #[error("cannot use the state file {path}", path = path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("cannot read the log {path}", path = path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read the file {path}")]
    File {
        /// Which.
        path: ArtifactPath,
        /// Why.
        source: io::Error,
    },
    /// More files than a manifest may name.
    #[error("there are {count} files, a manifest names at most {max}")]
    TooManyFiles {
        /// How many there are.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// An object cannot be uploaded.
    #[error("cannot upload an object")]
    Transfer(#[from] TransferError),
    /// Objects that were uploaded are not in the store.
    #[error("the uploaded objects could not be confirmed")]
    Check(#[source] PortError),
    /// The other half of the upload ended first.
    #[error("the upload was stopped")]
    Stopped,
}

/// An object that was uploaded is missing, or is not what was uploaded.
fn is_of_the_store(code: ErrorCode) -> bool {
    [ErrorCode::NotFound, ErrorCode::Integrity].contains(&code)
}

impl UploadError {
    /// For people.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Pattern(problem) => return problem.clone(),
            Self::Transfer(source) => return source.problem(),
            // The store took them and does not have them: it is the store that is ill, and the next try
            // uploads them anew, under other names.
            Self::Check(PortError::Refused(problem)) if is_of_the_store(problem.code) => {
                ErrorCode::ObjectsDown
            }
            Self::Check(source) => return source.problem(),
            Self::TooManyFiles { .. } => ErrorCode::TooLarge,
            Self::Root { .. } | Self::State { .. } | Self::Log { .. } | Self::File { .. } => {
                ErrorCode::Io
            }
            Self::Stopped => ErrorCode::Internal,
        };
        Problem::new(code, mesh_fabric::error::chain(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_took_and_does_not_have_is_the_stores_fault_and_may_heal() {
        let refused = |code| UploadError::Check(PortError::Refused(Problem::new(code, "why")));
        for code in [ErrorCode::NotFound, ErrorCode::Integrity] {
            assert_eq!(refused(code).problem().code, ErrorCode::ObjectsDown, "{code}");
        }
        assert_eq!(refused(ErrorCode::Fenced).problem().code, ErrorCode::Fenced);
    }
}
