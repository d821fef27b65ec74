//! Making a connection.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_nats::{Auth, AuthError, ConnectOptions, Event, ServerAddr};
use mesh_schemas::{ErrorCode, Problem};
use nkeys::KeyPair;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// How often both sides make sure of each other; a dead peer is noticed within three of them.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Longest wait for one server to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds of the wait before coming back.
const RECONNECT_WAIT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(4);

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
    /// An address cannot be read; trying again is no use.
    #[error("the NATS address {urls} cannot be used: {reason}")]
    Url {
        /// The addresses given, passwords removed.
        urls: String,
        /// What is wrong.
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
            NatsError::Credential { .. } | NatsError::Ca { .. } | NatsError::Url { .. } => {
                ErrorCode::Config
            }
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
    crate::tls::install_provider();
    let urls = shown_urls(&options.urls);
    let mut connecting = credential(options.credential)?
        .name(&options.name)
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_TIMEOUT)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(watch(options.name));
    if let Some(prefix) = options.inbox_prefix {
        connecting = connecting.custom_inbox_prefix(prefix);
    }
    if let Some(pem) = &options.ca_pem {
        connecting = connecting.require_tls(true).tls_client_config(tls_config(pem)?);
    }
    if options.wait_for_server {
        connecting = connecting.retry_on_initial_connect();
    }
    let addresses = addresses(&options.urls, &urls)?;
    connecting.connect(addresses).await.map_err(|source| NatsError::Connect { urls, source })
}

fn credential(credential: Credential) -> Result<ConnectOptions, NatsError> {
    // The library's error text may quote what it could not read, which may be the secret.
    let unreadable = |reason: &str| NatsError::Credential { reason: reason.to_owned() };
    match credential {
        Credential::Creds(text) => ConnectOptions::with_credentials(&text)
            .map_err(|_| unreadable("it is not the text of a .creds file")),
        Credential::NodeKey { seed, jwt } => {
            let key = KeyPair::from_seed(&seed).map_err(|_| unreadable("it is not a user seed"))?;
            let key = Arc::new(key);
            Ok(ConnectOptions::with_auth_callback(move |nonce| {
                std::future::ready(authenticate(&key, &jwt, &nonce))
            }))
        }
    }
}

fn authenticate(key: &KeyPair, jwt: &RwLock<String>, nonce: &[u8]) -> Result<Auth, AuthError> {
    let mut auth = Auth::new();
    auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
    // A writer that panicked left a whole string behind: assignments are not interrupted.
    auth.jwt = Some(jwt.read().unwrap_or_else(PoisonError::into_inner).clone());
    Ok(auth)
}

fn tls_config(ca_pem: &str) -> Result<rustls::ClientConfig, NatsError> {
    let unusable = |reason: String| NatsError::Ca { reason };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn addresses(urls: &[String], shown: &str) -> Result<Vec<ServerAddr>, NatsError> {
    let parsed: Result<Vec<ServerAddr>, _> = urls.iter().map(|url| url.parse()).collect();
    let unusable = |reason: String| NatsError::Url { urls: shown.to_owned(), reason };
    match parsed {
        Ok(addresses) if addresses.is_empty() => Err(unusable("there is none".to_owned())),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// The servers as they may be logged: what stands before an `@` may be a password.
fn shown_urls(urls: &[String]) -> String {
    let shown = urls.iter().map(|url| match url.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => url.clone(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Doubles from 100 ms to 4 s, then a random part of that again: a crowd must not return in step.
fn reconnect_delay(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.min(6)).unwrap_or(6);
    let wait = RECONNECT_WAIT_MIN.saturating_mul(1 << doublings).min(RECONNECT_WAIT_MAX);
    let share = u32::from(u8::from_le_bytes(crate::ids::random()));
    wait / 2 + (wait / 2).saturating_mul(share) / u32::from(u8::MAX)
}

fn watch(name: String) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
    move |event| {
        report(&name, &event);
        std::future::ready(())
    }
}

fn report(name: &str, event: &Event) {
    match event {
        Event::Connected => tracing::info!(nats.name = name, "Connected to NATS"),
        Event::Disconnected => {
            metrics::counter!("mesh_nats_disconnects_total").increment(1);
            tracing::warn!(nats.name = name, "Disconnected from NATS; coming back");
        }
        Event::ServerError(error) => {
            metrics::counter!("mesh_nats_errors_total").increment(1);
            tracing::error!(nats.name = name, %error, "NATS refused something");
        }
        Event::ClientError(error) => {
            tracing::warn!(nats.name = name, %error, "The NATS client met an error");
        }
        Event::SlowConsumer(subscription) => {
            metrics::counter!("mesh_nats_slow_consumers_total").increment(1);
            tracing::warn!(
                nats.name = name,
                subscription,
                "Messages were dropped: read too slowly"
            );
        }
        Event::LameDuckMode | Event::Draining | Event::Closed => {
            tracing::info!(nats.name = name, "NATS connection: {event}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_nowhere(credential: Credential) -> Connect {
        Connect::new(vec!["nats://127.0.0.1:1".into()], credential, "test")
    }

    #[tokio::test]
    async fn bad_options_are_refused_before_any_connection_and_not_repeated_in_the_error() {
        let secret = "SUAMSECRET";
        let jwt = Arc::new(RwLock::new(String::new()));
        let node_key = Credential::NodeKey { seed: secret.into(), jwt };
        for credential in [Credential::Creds(secret.into()), node_key] {
            let error = connect(to_nowhere(credential.clone())).await.unwrap_err();
            assert!(matches!(error, NatsError::Credential { .. }), "{error:?}");
            assert!(!format!("{error:?} {error} {credential:?}").contains(secret));
            assert_eq!(Problem::from(error).code, ErrorCode::Config);
        }
    }

    #[tokio::test]
    async fn a_ca_or_address_that_cannot_be_read_is_refused() {
        let creds = crate::nats_auth::ClusterKeys::generate().service_creds("test");
        let good = to_nowhere(Credential::Creds(creds));
        let bad_ca = Connect { ca_pem: Some("no".into()), ..good.clone() };
        assert!(matches!(connect(bad_ca).await, Err(NatsError::Ca { .. })));
        for urls in [vec![], vec!["nats://u:hidden@[".to_owned()]] {
            let error = connect(Connect { urls, ..good.clone() }).await.unwrap_err();
            assert!(matches!(error, NatsError::Url { .. }), "{error:?}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
        let error = connect(good).await.unwrap_err();
        assert_eq!(Problem::from(error).code, ErrorCode::BusDown);
    }

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let waits: Vec<Duration> = (0..1_000).map(reconnect_delay).collect();
        assert!(waits.iter().all(|wait| *wait <= RECONNECT_WAIT_MAX && !wait.is_zero()));
        assert!(waits[0] <= RECONNECT_WAIT_MIN);
        assert!(waits[500..].iter().any(|wait| *wait != waits[999]));
    }
}
