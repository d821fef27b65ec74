//! Giving a running server a new account JWT.

use mesh_schemas::{ErrorCode, Problem};
use serde::Deserialize;

/// Where a `full` resolver takes account JWTs from the system account.
const UPDATE_SUBJECT: &str = "$SYS.REQ.CLAIMS.UPDATE";

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

/// What the server answers.
#[derive(Deserialize)]
struct Answer {
    data: Option<Status>,
    error: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    code: i64,
    #[serde(default, alias = "description")]
    message: String,
}

/// Replaces the account's JWT; revoked nodes are cut off before this returns or right after.
/// `system` is a connection with [`super::ClusterKeys::system_creds`].
///
/// Push after every revocation and after every start: a server whose disk was wiped knows only the
/// first JWT. The server takes what comes last, be it older: only the leader pushes, one at a time, and
/// always everything that the database says is revoked.
///
/// # Errors
/// [`PushError`]; the server then still has the old one, or has the new one and lost the answer: push again.
pub async fn push_account(system: &async_nats::Client, account_jwt: &str) -> Result<(), PushError> {
    let answer = system.request(UPDATE_SUBJECT, account_jwt.to_owned().into()).await?;
    judge(&answer.payload)
}

fn judge(answer: &[u8]) -> Result<(), PushError> {
    let refused = |reason| Err(PushError::Refused { reason });
    match serde_json::from_slice(answer) {
        Ok(Answer { data: Some(Status { code: 200, .. }), error: None }) => Ok(()),
        Ok(Answer { error: Some(status), .. } | Answer { data: Some(status), .. }) => {
            refused(format!("{} ({})", status.message, status.code))
        }
        Ok(Answer { data: None, error: None }) => refused("an empty answer".to_owned()),
        Err(error) => refused(format!("an answer that cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        assert!(
            judge(br#"{"server":{},"data":{"account":"A","code":200,"message":"ok"}}"#).is_ok()
        );
        for no in [
            r#"{"error":{"code":500,"description":"jwt validation failed"}}"#,
            r#"{"data":{"code":500,"message":"no"}}"#,
            "{}",
            "",
            "[",
        ] {
            assert!(judge(no.as_bytes()).is_err(), "{no}");
        }
    }
}
