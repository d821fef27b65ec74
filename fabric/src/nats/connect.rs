//! Making a connection.

use std::sync::{Arc, RwLock};

use mesh_schemas::{ErrorCode, Problem};

/// What is needed to connect.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Servers, `nats://host:port` or `tls://host:port`; one that answers is enough.
    pub urls: Vec<String>,
    /// Who connects.
    pub credential: Credential,
    /// The only CA to trust; set, the connection must be TLS. `None`: the system's roots.
    pub ca_pem: Option<String>,
    /// Shown in the server's logs.
    pub name: String,
    /// Where answers arrive; nodes may only use `subject::node_inbox`. `None`: `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// Returns at once and goes on trying in the background while no server answers.
    pub wait_for_server: bool,
}

impl Connect {
    /// A connection that must come to pass now, with the system's roots and the usual inbox.
    pub fn new(urls: Vec<String>, credential: Credential, name: impl Into<String>) -> Self {
        let (ca_pem, inbox_prefix) = (None, None);
        Self { urls, credential, ca_pem, name: name.into(), inbox_prefix, wait_for_server: false }
    }
}

/// Who connects.
#[derive(Clone)]
pub enum Credential {
    /// The contents of a `.creds` file: a JWT and its seed.
    Creds(String),
    /// A node's own key; the JWT is read again at each reconnect, so a renewed one needs no new client.
    NodeKey {
        /// The user seed, `SU…`.
        seed: String,
        /// The newest JWT for it.
        jwt: Arc<RwLock<String>>,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Creds(_) => "Creds(***)",
            Self::NodeKey { .. } => "NodeKey(***)",
        })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The credential cannot be read; trying again is no use.
    #[error("the NATS credential cannot be used: {reason}")]
    Credential {
        /// What is wrong with it; never the secret itself.
        reason: String,
    },
    /// The CA cannot be read; trying again is no use.
    #[error("the CA for NATS cannot be used: {reason}")]
    Ca {
        /// What is wrong with it.
        reason: String,
    },
    /// No server, or it refused.
    #[error("cannot connect to NATS at {urls}")]
    Connect {
        /// The servers tried, passwords removed.
        urls: String,
        /// What the client says.
        source: async_nats::ConnectError,
    },
    /// A stream could not be made or brought up to date.
    #[error("cannot set up the stream {stream}")]
    Stream {
        /// Its name.
        stream: &'static str,
        /// What JetStream says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<NatsError> for Problem {
    fn from(error: NatsError) -> Self {
        let code = match &error {
            NatsError::Credential { .. } | NatsError::Ca { .. } => ErrorCode::Config,
            NatsError::Connect { .. } | NatsError::Stream { .. } => ErrorCode::BusDown,
        };
        Self::new(code, crate::error::chain(&error))
    }
}

/// Connects, and from then on reconnects for ever.
///
/// # Errors
/// [`NatsError`]; with `wait_for_server` only those that no waiting heals.
pub async fn connect(options: Connect) -> Result<async_nats::Client, NatsError> {
    let _ = options;
    Err(NatsError::Credential { reason: "not written yet".into() })
}
