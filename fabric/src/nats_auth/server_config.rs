//! The nats-server configuration that belongs to the keys.

use std::{net::SocketAddr, path::PathBuf};

use super::ClusterKeys;

/// What the server is told; everything else is fixed.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where clients connect; port 0 lets the system choose (see `ports_file_dir`).
    pub listen: SocketAddr,
    /// Shown in logs and monitoring; one word.
    pub server_name: String,
    /// JetStream's files.
    pub store_dir: PathBuf,
    /// Account JWTs, as pushed by [`super::push_account`].
    pub resolver_dir: PathBuf,
    /// How often JetStream syncs its files, as NATS writes durations (`2m`) or `always`.
    pub sync_interval: String,
    /// TLS for clients.
    pub tls: Option<ServerTls>,
    /// Where the server writes `nats-server_<pid>.ports`.
    pub ports_file_dir: Option<PathBuf>,
    /// HTTP monitoring on 127.0.0.1 at this port; it has no authentication of its own.
    pub monitor_port: Option<u16>,
}

/// PEM files of the server.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

impl ServerConfig {
    /// No TLS, no monitoring, syncing every two minutes: the journals outlive what JetStream loses.
    pub fn new(
        listen: SocketAddr,
        store_dir: impl Into<PathBuf>,
        resolver_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            listen,
            server_name: "deskmesh".to_owned(),
            store_dir: store_dir.into(),
            resolver_dir: resolver_dir.into(),
            sync_interval: "2m".to_owned(),
            tls: None,
            ports_file_dir: None,
            monitor_port: None,
        }
    }
}

impl ClusterKeys {
    /// The text of `nats.conf`.
    pub fn server_config(&self, config: &ServerConfig) -> String {
        let _ = config;
        String::new()
    }
}
