//! The nats-server configuration that belongs to the keys.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf};

use super::ClusterKeys;

/// What the server is told; everything else is fixed.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where clients connect; port -1 is written for 0: the system chooses (see `ports_file_dir`).
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
    /// The text of `nats.conf`. It preloads the accounts' first JWTs, the same at each call, so that
    /// newer ones in `resolver_dir` win.
    pub fn server_config(&self, config: &ServerConfig) -> String {
        let mut text = String::from("# Written by Deskmesh; the keys beside it belong to it.\n");
        let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all writes");
        line(format!("server_name: {}", quoted(&config.server_name)));
        line(format!("listen: {}", quoted(&listen(config.listen))));
        // A submission to the ledger is the longest: a body of 1 MiB, escaped.
        line("max_payload: 4194304".to_owned());
        line("ping_interval: \"20s\"".to_owned());
        if let Some(port) = config.monitor_port {
            line(format!("http: \"127.0.0.1:{port}\""));
        }
        if let Some(dir) = &config.ports_file_dir {
            line(format!("ports_file_dir: {}", path(dir)));
        }
        if let Some(tls) = &config.tls {
            let (cert, key) = (path(&tls.cert_file), path(&tls.key_file));
            line(format!("tls {{ cert_file: {cert}, key_file: {key}, min_version: \"1.2\" }}"));
        }
        // Unquoted, NATS reads `2m` as a number.
        let (store, sync) = (path(&config.store_dir), quoted(&config.sync_interval));
        line(format!("jetstream {{ store_dir: {store}, sync_interval: {sync} }}"));
        line(format!("operator: {}", quoted(&self.operator_jwt())));
        line(format!("system_account: {}", self.system_account_id()));
        line(format!(
            "resolver {{ type: full, dir: {}, allow_delete: false, interval: \"2m\" }}",
            path(&config.resolver_dir)
        ));
        line(format!(
            "resolver_preload {{\n  {}: {}\n  {}: {}\n}}",
            self.system_account_id(),
            quoted(&self.system_account_jwt()),
            self.account_id(),
            quoted(&self.first_account_jwt()),
        ));
        text
    }
}

fn listen(address: SocketAddr) -> String {
    match address.port() {
        0 if address.is_ipv6() => format!("[{}]:-1", address.ip()),
        0 => format!("{}:-1", address.ip()),
        _ => address.to_string(),
    }
}

fn path(path: &std::path::Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A string in double quotes, in which NATS knows `\"` and `\\` as JSON does and expands no variables.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ServerConfig {
        ServerConfig::new("127.0.0.1:0".parse().unwrap(), "/data/a \"b", "/data/jwt")
    }

    #[test]
    fn strings_are_quoted_and_the_port_may_be_the_systems_choice() {
        let text = ClusterKeys::generate().server_config(&config());
        assert!(text.contains(r#"listen: "127.0.0.1:-1""#), "{text}");
        assert!(text.contains(r#"store_dir: "/data/a \"b""#), "{text}");
        assert!(text.contains(r#"sync_interval: "2m""#), "{text}");
    }

    #[test]
    fn the_same_keys_give_the_same_text_and_no_seed_is_in_it() {
        let keys = ClusterKeys::generate();
        let text = keys.server_config(&config());
        assert_eq!(text, keys.server_config(&config()));
        assert!(!text.contains("\"SO") && !text.contains("\"SA"), "{text}");
    }

    #[test]
    fn nobody_is_anonymous_and_monitoring_is_off_or_local() {
        let keys = ClusterKeys::generate();
        let text = keys.server_config(&config());
        assert!(!text.contains("no_auth_user") && !text.contains("http"), "{text}");
        let text = keys.server_config(&ServerConfig { monitor_port: Some(8222), ..config() });
        assert!(text.contains(r#"http: "127.0.0.1:8222""#), "{text}");
    }
}
