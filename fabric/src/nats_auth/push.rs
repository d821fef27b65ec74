//! Giving a running server a new account JWT.

use mesh_schemas::{ErrorCode, Problem};

/// Why the server does not have the new account JWT.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The server did not answer.
    #[error("the NATS server did not answer the new account JWT")]
    Request(#[from] async_nats::RequestError),
    /// It answered no.
    #[error("the NATS server refused the new account JWT: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        Self::new(ErrorCode::BusDown, crate::error::chain(&error))
    }
}

/// Replaces the account's JWT; revoked nodes are cut off before this returns or right after.
/// `system` is a connection with [`super::ClusterKeys::system_creds`].
///
/// # Errors
/// [`PushError`]; the server then still has the old one, or has the new one and lost the answer: push again.
pub async fn push_account(system: &async_nats::Client, account_jwt: &str) -> Result<(), PushError> {
    let _ = (system, account_jwt);
    Err(PushError::Refused { reason: "not written yet".into() })
}
