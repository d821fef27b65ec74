//! Opening what the configuration names.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use mesh_fabric::{
    backoff::{self, Policy},
    error::chain,
    files::{DirLock, lock_dir},
    nats::{self, Connect, Credential},
    nats_auth::ClusterKeys,
};
use mesh_schemas::{ErrorCode, Problem};

use crate::{
    config::Config,
    engine,
    lead::{Election, Lease},
    nodes::{self, Nodes},
    store::{self, Store, StoreError},
};

/// An SQLite database belongs to one process; PostgreSQL has the leader's epoch for that.
pub(super) fn lock(config: &Config) -> Result<Option<DirLock>, Problem> {
    config.sqlite_dir().map(|dir| lock_dir(&dir)).transpose()
}

/// Takes the port before anything else is touched.
pub(super) fn listener(listen: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(listen).map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot listen on {listen}: {error}"))
            .at("listen")
            .hint("choose another port, or stop what uses it")
    })
}

/// Certificates of the API.
pub(super) async fn tls(config: &Config) -> Result<Option<RustlsConfig>, Problem> {
    let Some(tls) = &config.tls else { return Ok(None) };
    match RustlsConfig::from_pem_file(&tls.cert_file, &tls.key_file).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) => Err(unusable("tls", &tls.cert_file, &error)),
    }
}

/// The database, waited for a few seconds: it may be starting together with this process.
pub(super) async fn store(config: &Config) -> Result<Arc<dyn Store>, Problem> {
    let password = match &config.database_password_file {
        Some(file) => Some(secret("database_password_file", file)?),
        None => None,
    };
    let open = || store::open(&config.database, password.clone());
    let retryable = |error: &StoreError| matches!(error, StoreError::Unavailable { .. });
    let notify = |error: &StoreError, _: Duration| {
        tracing::warn!("Cannot open the database: {}", chain(error));
    };
    let opened = backoff::retry(Policy::network(), open, retryable, notify).await;
    opened.map_err(|error| store_problem(&error))
}

/// Whether there is anybody to compete with for the lead, and under which name.
pub(super) async fn election(
    config: &Config,
    address: SocketAddr,
    opened: &Arc<dyn Store>,
) -> Result<Election, Problem> {
    let host = sysinfo::System::host_name().unwrap_or_default();
    let url = config.public_url.clone().unwrap_or_else(|| url(config, address, &host));
    let holder = format!("{host} {address} {url}");
    // The lock on an SQLite file's directory is held by this process.
    let alone = config.sqlite_dir().is_some();
    // Otherwise the lease has a connection of its own: it must not wait behind what the API reads.
    let store = if alone { Arc::clone(opened) } else { store(config).await? };
    Ok(Election::new(store, holder, url, config.timing.lead_ttl(), alone))
}

fn url(config: &Config, address: SocketAddr, host: &str) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    if address.ip().is_unspecified() && !host.is_empty() {
        return format!("{scheme}://{host}:{}", address.port());
    }
    format!("{scheme}://{address}")
}

/// As told to an operator.
pub(super) fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => Problem::new(ErrorCode::StoreDown, chain(error)),
        StoreError::NotLeader { .. } => Problem::new(ErrorCode::NotLeader, error.to_string()),
        StoreError::Unreadable { .. } => Problem::new(ErrorCode::Config, error.to_string())
            .hint("a newer orchestrator has used this database; run that version or a newer one"),
        StoreError::Damaged { .. } => error.damaged(),
    }
}

/// What lets machines in, with a connection of its own to the system account.
pub(super) async fn nodes(
    config: &Config,
    engine: engine::Handle,
    lease: Lease,
) -> Result<Nodes, Problem> {
    let keys = ClusterKeys::load(&config.nats.keys_file)?;
    let ca_file = config.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
    let ca_file = ca_file.or(config.nats.ca_file.as_ref());
    let ca_pem = ca_file.map(|file| text("ca_file", file)).transpose()?;
    let creds = text("nats.system_creds_file", &config.nats.system_creds_file)?;
    let connect = Connect { wait_for_server: true, ..connect(config, creds, "system")? };
    let system = nats::connect(connect).await.map_err(Problem::from)?;
    let nats_urls = config.nats_public_urls().to_vec();
    Ok(Nodes::new(nodes::Options { engine, lease, keys, system, nats_urls, ca_pem }))
}

/// How the bus connects.
pub(super) fn bus(config: &Config) -> Result<Connect, Problem> {
    let creds = text("nats.creds_file", &config.nats.creds_file)?;
    connect(config, creds, "orchestrator")
}

fn connect(config: &Config, creds: String, name: &str) -> Result<Connect, Problem> {
    let ca_pem = config.nats.ca_file.as_ref();
    let ca_pem = ca_pem.map(|file| text("nats.ca_file", file)).transpose()?;
    let urls = config.nats.urls.clone();
    Ok(Connect { ca_pem, ..Connect::new(urls, Credential::Creds(creds), name) })
}

/// The first line of a file.
pub(super) fn secret(key: &str, file: &Path) -> Result<String, Problem> {
    Ok(text(key, file)?.lines().next().unwrap_or_default().trim().to_owned())
}

fn text(key: &str, file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|error| unusable(key, file, &error))
}

/// A listener that could not be had.
pub(super) fn io(key: &str, error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Io, format!("cannot listen: {error}")).at(key)
}

fn unusable(key: &str, file: &Path, error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Config, format!("cannot use {}: {error}", file.display())).at(key)
}
