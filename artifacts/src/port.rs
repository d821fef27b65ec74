//! What the shell needs of whoever may presign: the agent asks over NATS, the CLI over HTTP.

use std::error::Error;

use async_trait::async_trait;
use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::PackRef,
    message::{ObjectPut, ObjectUrl},
};

/// Obtains presigned URLs for one owner's objects.
#[async_trait]
pub trait ObjectPort: Send + Sync {
    /// One URL to upload each object, in the order asked; names are below the owner's prefix.
    async fn put_urls(&self, objects: Vec<ObjectPut>) -> Result<Vec<ObjectUrl>, PortError>;

    /// One URL to download each object, in the order asked, by full key.
    async fn get_urls(&self, keys: Vec<String>) -> Result<Vec<ObjectUrl>, PortError>;

    /// Succeeds when every object is in the store with the length given.
    async fn check(&self, objects: Vec<PackRef>) -> Result<(), PortError>;
}

/// Why there are no URLs.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Whoever presigns is out of reach; worth another try.
    #[error("whoever presigns object URLs is out of reach")]
    Unavailable {
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer was no; asking again will not help.
    #[error("object URLs were refused")]
    Refused(#[source] Problem),
}

impl PortError {
    /// Out of reach, because of this.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into() }
    }

    /// The answer does not fit the question.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::Refused(Problem::new(ErrorCode::Internal, detail))
    }

    /// For people.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Unavailable { source } => {
                Problem::new(ErrorCode::Unreachable, format!("{self}: {source}"))
            }
            Self::Refused(problem) => problem.clone(),
        }
    }
}
