//! The witness's configuration: one TOML file, overridden by `MESH_WITNESS__KEY`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{TrustedLog, VerifierKey};
use serde::Deserialize;

use crate::config::wrong;

/// What the environment's variables begin with.
const ENV_PREFIX: &str = "MESH_WITNESS";

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// The directory of the key and of what was cosigned. One process alone uses it.
    pub data: PathBuf,
    /// The name in the witness's key, such as `witness.example.org`.
    pub name: String,
    /// Where it listens. Beyond loopback it needs `tls`.
    pub listen: SocketAddr,
    /// Certificates.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Where `/metrics` and `/healthz` listen without a token; off when absent. Only loopback.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// Logs that are watched.
    pub logs: Vec<LogConfig>,
}

/// Certificates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM of the certificate chain.
    pub cert_file: PathBuf,
    /// PEM of its key.
    pub key_file: PathBuf,
}

/// A log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Its verifier key, `origin+id+key`.
    pub key: String,
}

impl WitnessConfig {
    /// Reads the file and the environment and proves each rule.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_INSECURE_BIND`.
    pub fn load(file: Option<&Path>) -> Result<Self, Problem> {
        let config: Self = mesh_fabric::config::load(file, ENV_PREFIX)?;
        config.check()?;
        Ok(config)
    }

    /// Proves each rule.
    ///
    /// # Errors
    /// `E_CONFIG` naming the key, `E_INSECURE_BIND`.
    pub fn check(&self) -> Result<(), Problem> {
        if !self.listen.ip().is_loopback() && self.tls.is_none() {
            let detail =
                format!("listen is {}, which others can reach, and tls is not set", self.listen);
            return Err(Problem::new(ErrorCode::InsecureBind, detail)
                .at("listen")
                .hint("set tls.cert_file and tls.key_file, or listen on 127.0.0.1"));
        }
        self.trusted()?;
        crate::config::loopback("metrics_listen", self.metrics_listen)
    }

    /// The logs.
    ///
    /// # Errors
    /// `E_CONFIG` when a key is not that of a log.
    pub fn trusted(&self) -> Result<Vec<TrustedLog>, Problem> {
        let trusted = |log: &LogConfig| VerifierKey::parse(&log.key).and_then(TrustedLog::from_key);
        let logs = self.logs.iter().map(trusted).collect::<Result<Vec<_>, _>>();
        logs.map_err(|error| wrong("logs.key", &format!("logs.key: {error}")))
    }
}
