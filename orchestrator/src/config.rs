//! The configuration: one TOML file, overridden by `MESH_ORCHESTRATOR__SECTION__KEY`.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use mesh_fabric::config::load;
use mesh_schemas::{ErrorCode, Problem};
use serde::Deserialize;

/// What the environment's variables begin with.
pub const ENV_PREFIX: &str = "MESH_ORCHESTRATOR";

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the HTTP API listens. Beyond loopback it needs `tls`.
    pub listen: SocketAddr,
    /// Where others find the API, as an orchestrator that stands by tells them; made from `listen` when
    /// absent.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Where `/metrics` and `/healthz` listen without a token; off when absent. Only loopback.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// `sqlite:///…/mesh.db` or `postgres://user@host/database`; never with a password in it.
    pub database: String,
    /// A file whose first line is the database's password.
    #[serde(default)]
    pub database_password_file: Option<PathBuf>,
    /// The broker.
    pub nats: NatsConfig,
    /// The object store.
    pub objects: ObjectsConfig,
    /// Certificates of the HTTP API.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// The first administrator.
    #[serde(default)]
    pub admin: Option<AdminConfig>,
    /// Time spans.
    #[serde(default)]
    pub timing: TimingConfig,
}

/// The broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Where this process finds it.
    pub urls: Vec<String>,
    /// Where nodes find it; `urls` when absent.
    #[serde(default)]
    pub public_urls: Vec<String>,
    /// The orchestrator's own credentials.
    pub creds_file: PathBuf,
    /// Credentials of the system account, to push revocations.
    pub system_creds_file: PathBuf,
    /// The cluster's signing keys, to make nodes' credentials.
    pub keys_file: PathBuf,
    /// PEM of the authority that signed the broker's certificate, when it has one of its own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The object store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// Where this process finds it.
    pub endpoint: String,
    /// The bucket; made when it is missing.
    pub bucket: String,
    /// The region that requests are signed for.
    #[serde(default = "default_region")]
    pub region: String,
    /// JSON with `access_key` and `secret_key`.
    pub credentials_file: PathBuf,
    /// Where nodes and users find it, in presigned URLs; `endpoint` when absent.
    #[serde(default)]
    pub public_endpoint: Option<String>,
    /// PEM of the authority that signed the store's certificate, when it has one of its own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Certificates of the HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM of the certificate chain.
    pub cert_file: PathBuf,
    /// PEM of its key.
    pub key_file: PathBuf,
    /// PEM of the authority, handed to nodes that join; absent when every machine trusts it already.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The first administrator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// A file with the secret of an administrator's token; its hash is kept at the start.
    pub token_file: PathBuf,
}

/// Time spans of leases; the defaults are those of [`mesh_core::Config`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingConfig {
    /// How long a lease lasts without a beat; from 1 s to 10 min.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Option<Duration>,
    /// How often nodes beat; from 100 ms to half of `lease_ttl`.
    #[serde(with = "humantime_serde")]
    pub beat_every: Option<Duration>,
    /// Silence after which a node is suspect; from `beat_every` to `lease_ttl`.
    #[serde(with = "humantime_serde")]
    pub suspect_after: Option<Duration>,
    /// How long leases last after a start of the orchestrator; at most 1 h.
    #[serde(with = "humantime_serde")]
    pub startup_grace: Option<Duration>,
    /// How much work known to be short a node may hold ahead, in time; zero turns that off; at most 1 s.
    #[serde(with = "humantime_serde")]
    pub prefetch_time: Option<Duration>,
    /// How long the lead lasts without a renewal, when several orchestrators share a PostgreSQL database; from
    /// 2 s to 60 s, 6 s when absent. One that died is replaced after so long.
    #[serde(with = "humantime_serde")]
    pub lead_ttl: Option<Duration>,
}

/// A third of it passes between renewals, and the standby must serve 10 s after the leader's death.
const LEAD_TTL: Duration = Duration::from_secs(6);

fn default_region() -> String {
    "us-east-1".into()
}

impl Config {
    /// Reads the file and the environment and proves each rule.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_INSECURE_BIND`.
    pub fn load(file: Option<&Path>) -> Result<Self, Problem> {
        let config: Self = load(file, ENV_PREFIX)?;
        config.check()?;
        Ok(config)
    }

    /// Proves each rule.
    ///
    /// # Errors
    /// `E_CONFIG` naming the key, `E_INSECURE_BIND`.
    pub fn check(&self) -> Result<(), Problem> {
        self.check_listeners()?;
        self.check_database()?;
        if self.nats.urls.is_empty() {
            return Err(wrong("nats.urls", "nats.urls is empty; it needs at least one address"));
        }
        for url in self.nats.urls.iter().chain(&self.nats.public_urls) {
            check_url("nats.urls", url, &["nats", "tls", "ws", "wss"])?;
        }
        check_url("objects.endpoint", &self.objects.endpoint, &["http", "https"])?;
        if let Some(url) = &self.public_url {
            check_url("public_url", url, &["http", "https"])?;
        }
        if let Some(url) = &self.objects.public_endpoint {
            check_url("objects.public_endpoint", url, &["http", "https"])?;
        }
        if self.objects.bucket.is_empty() {
            return Err(wrong("objects.bucket", "objects.bucket is empty"));
        }
        self.timing.check()
    }

    /// What the core decides by.
    pub fn core(&self) -> mesh_core::Config {
        let mut core = mesh_core::Config::default();
        let timing = &self.timing;
        for (set, slot) in [
            (timing.lease_ttl, &mut core.lease_ttl),
            (timing.beat_every, &mut core.beat_every),
            (timing.suspect_after, &mut core.suspect_after),
            (timing.startup_grace, &mut core.startup_grace),
            (timing.prefetch_time, &mut core.prefetch_time),
        ] {
            *slot = set.unwrap_or(*slot);
        }
        core
    }

    /// Where nodes find the broker.
    pub fn nats_public_urls(&self) -> &[String] {
        if self.nats.public_urls.is_empty() { &self.nats.urls } else { &self.nats.public_urls }
    }

    /// The directory of an SQLite database, which one process alone may use.
    pub fn sqlite_dir(&self) -> Option<PathBuf> {
        let path = self.database.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = Path::new(path.split('?').next().unwrap_or(path));
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_path_buf)
    }

    fn check_listeners(&self) -> Result<(), Problem> {
        if !is_loopback(self.listen.ip()) && self.tls.is_none() {
            return Err(Problem::new(
                ErrorCode::InsecureBind,
                format!("listen is {}, which others can reach, and tls is not set", self.listen),
            )
            .at("listen")
            .hint("set tls.cert_file and tls.key_file, or listen on 127.0.0.1"));
        }
        match self.metrics_listen {
            Some(listen) if !is_loopback(listen.ip()) => Err(Problem::new(
                ErrorCode::InsecureBind,
                format!("metrics_listen is {listen}, which others can reach without a token"),
            )
            .at("metrics_listen")
            .hint("scrape /metrics of the API with a token instead")),
            _ => Ok(()),
        }
    }

    fn check_database(&self) -> Result<(), Problem> {
        check_url("database", &self.database, &["sqlite", "postgres", "postgresql"])?;
        if self.database.starts_with("sqlite:") && self.sqlite_dir().is_none() {
            return Err(wrong("database", "database names no file in a directory")
                .hint("write sqlite:///var/lib/deskmesh/mesh.db"));
        }
        Ok(())
    }
}

impl TimingConfig {
    fn check(&self) -> Result<(), Problem> {
        let core = mesh_core::Config::default();
        let lease_ttl = self.lease_ttl.unwrap_or(core.lease_ttl);
        let beat_every = self.beat_every.unwrap_or(core.beat_every);
        let suspect_after = self.suspect_after.unwrap_or(core.suspect_after);
        let startup_grace = self.startup_grace.unwrap_or(core.startup_grace);
        let (second, millis) = (Duration::from_secs(1), Duration::from_millis);
        between("timing.lease_ttl", lease_ttl, second, 600 * second)?;
        between("timing.beat_every", beat_every, millis(100), lease_ttl / 2)?;
        between("timing.suspect_after", suspect_after, beat_every, lease_ttl)?;
        between("timing.startup_grace", startup_grace, Duration::ZERO, 3_600 * second)?;
        let prefetch_time = self.prefetch_time.unwrap_or(core.prefetch_time);
        between("timing.prefetch_time", prefetch_time, Duration::ZERO, second)?;
        between("timing.lead_ttl", self.lead_ttl(), 2 * second, 60 * second)
    }

    /// How long the lead lasts without a renewal.
    pub fn lead_ttl(&self) -> Duration {
        self.lead_ttl.unwrap_or(LEAD_TTL)
    }
}

/// Only this machine can reach it.
pub const fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}

fn between(key: &str, got: Duration, least: Duration, most: Duration) -> Result<(), Problem> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(wrong(key, &format!("{key} is {got:?}; allowed is {least:?} to {most:?}")))
}

/// A URL of one of these schemes without a password, whose text is never shown: it may hold one.
fn check_url(key: &str, url: &str, schemes: &[&str]) -> Result<(), Problem> {
    let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| schemes.contains(scheme))
    else {
        return Err(wrong(
            key,
            &format!("{key} must be a URL that begins with {}:", schemes.join(": or ")),
        ));
    };
    let authority = rest.trim_start_matches('/').split('/').next().unwrap_or("");
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') {
        return Err(wrong(key, &format!("{key} holds a password"))
            .hint("put the secret into a file and name that file"));
    }
    if scheme != "sqlite" && authority.is_empty() {
        return Err(wrong(key, &format!("{key} names no host")));
    }
    Ok(())
}

fn wrong(key: &str, detail: &str) -> Problem {
    Problem::new(ErrorCode::Config, detail).at(key)
}

#[cfg(test)]
mod tests;
