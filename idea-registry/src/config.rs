//! The configuration: one TOML file, overridden by `MESH_IDEAS__SECTION__KEY`.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mesh_fabric::config::load;
use mesh_ideas_core::rank::Weights;
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{KeyKind, VerifierKey};
use serde::Deserialize;

use crate::{embeddings::EmbeddingsConfig, store::Login};

/// What the environment's variables begin with.
pub const ENV_PREFIX: &str = "MESH_IDEAS";

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory of the identity and of the log's files. One process alone uses it.
    pub data: PathBuf,
    /// `sqlite:///…/ideas.db` or `postgres://user@host/database`, never with a password in it;
    /// `ideas.db` in `data` when absent.
    #[serde(default)]
    pub database: Option<String>,
    /// A file whose first line is the database's password.
    #[serde(default)]
    pub database_password_file: Option<PathBuf>,
    /// A PostgreSQL role without the right to change the log, which every session takes on; the user of the
    /// URL, who owns the tables, must be a member of it.
    #[serde(default)]
    pub database_role: Option<String>,
    /// What the log's origin begins with, such as a host's name; random when absent. It counts at the first
    /// start and never again.
    #[serde(default)]
    pub origin: Option<String>,
    /// Where `/metrics` and `/healthz` listen without a token; off when absent. Only loopback.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// The broker.
    pub nats: NatsConfig,
    /// Where the log's files are copied to; nowhere when absent.
    #[serde(default)]
    pub objects: Option<ObjectsConfig>,
    /// Who cosigns checkpoints.
    #[serde(default)]
    pub witnesses: Vec<WitnessConfig>,
    /// By what the terms of a score are multiplied.
    #[serde(default)]
    pub weights: Weights,
    /// Who says what texts mean, to find near duplicates of other words; nobody when absent.
    #[serde(default)]
    pub embeddings: Option<EmbeddingsConfig>,
}

/// The broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Where this process finds it.
    pub urls: Vec<String>,
    /// The registry's own credentials.
    pub creds_file: PathBuf,
    /// PEM of the authority that signed the broker's certificate, when it has one of its own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// An S3-compatible store.
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
    /// PEM of the authority that signed the store's certificate, when it has one of its own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A witness.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it answers; `add-checkpoint` is appended.
    pub url: String,
    /// Its verifier key, `name+id+key`.
    pub key: String,
    /// PEM of the authority that signed its certificate, when it has one of its own; nobody else is trusted then.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

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
        check_url("database", &self.database(), &["sqlite", "postgres", "postgresql"])?;
        if self.nats.urls.is_empty() {
            return Err(wrong("nats.urls", "nats.urls is empty; it needs at least one address"));
        }
        for url in &self.nats.urls {
            check_url("nats.urls", url, &["nats", "tls", "ws", "wss"])?;
        }
        if let Some(objects) = &self.objects {
            check_url("objects.endpoint", &objects.endpoint, &["http", "https"])?;
            if objects.bucket.is_empty() {
                return Err(wrong("objects.bucket", "objects.bucket is empty"));
            }
        }
        self.check_witnesses()?;
        self.weights.validate().map_err(|problem| wrong("weights", &problem.detail))?;
        self.embeddings.as_ref().map_or(Ok(()), EmbeddingsConfig::check)?;
        self.check_names()?;
        loopback("metrics_listen", self.metrics_listen)
    }

    /// The database's URL.
    pub fn database(&self) -> String {
        let own = || format!("sqlite://{}", self.data.join("ideas.db").display());
        self.database.clone().unwrap_or_else(own)
    }

    /// How to log in to PostgreSQL.
    ///
    /// # Errors
    /// `E_CONFIG` when the password's file cannot be read.
    pub fn login(&self) -> Result<Login, Problem> {
        let password = self.database_password_file.as_deref();
        let password =
            password.map(|file| first_line("database_password_file", file)).transpose()?;
        Ok(Login { password, role: self.database_role.clone() })
    }

    /// What a witness has cosigned is kept, and waited for, by the name of its key.
    fn check_witnesses(&self) -> Result<(), Problem> {
        let mut names = BTreeSet::new();
        for witness in &self.witnesses {
            check_url("witnesses.url", &witness.url, &["http", "https"])?;
            let key = witness.verifier()?;
            if !names.insert(key.name().to_owned()) {
                let detail = format!("witnesses.key: two witnesses are named {}", key.name());
                return Err(wrong("witnesses.key", &detail));
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Problem> {
        let is_host = |c: u8| c.is_ascii_alphanumeric() || b".-_:".contains(&c);
        match &self.origin {
            Some(origin) if origin.is_empty() || !origin.bytes().all(is_host) => {
                Err(wrong("origin", "origin has other characters than letters, digits and . - _ :"))
            }
            _ => Ok(()),
        }
    }
}

impl WitnessConfig {
    /// Its key.
    ///
    /// # Errors
    /// `E_CONFIG` when it is not that of a witness.
    pub fn verifier(&self) -> Result<VerifierKey, Problem> {
        let key = VerifierKey::parse(&self.key)
            .map_err(|error| wrong("witnesses.key", &format!("witnesses.key: {error}")))?;
        if key.kind() == KeyKind::Witness {
            return Ok(key);
        }
        Err(wrong("witnesses.key", "witnesses.key is the key of a log, not of a witness"))
    }
}

/// Refuses a listener that others can reach.
pub(crate) fn loopback(key: &str, listen: Option<SocketAddr>) -> Result<(), Problem> {
    match listen {
        Some(listen) if !listen.ip().is_loopback() => {
            let detail = format!("{key} is {listen}, which others can reach without a token");
            Err(Problem::new(ErrorCode::InsecureBind, detail).at(key))
        }
        _ => Ok(()),
    }
}

/// The first line of a file.
pub(crate) fn first_line(key: &str, file: &Path) -> Result<String, Problem> {
    Ok(text(key, file)?.lines().next().unwrap_or_default().trim().to_owned())
}

/// A file that the configuration names.
pub(crate) fn text(key: &str, file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file)
        .map_err(|error| wrong(key, &format!("cannot use {}: {error}", file.display())))
}

/// A URL of one of these schemes without a password, whose text is never shown: it may hold one.
pub(crate) fn check_url(key: &str, url: &str, schemes: &[&str]) -> Result<(), Problem> {
    let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| schemes.contains(scheme))
    else {
        let detail = format!("{key} must be a URL that begins with {}:", schemes.join(": or "));
        return Err(wrong(key, &detail));
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

pub(crate) fn wrong(key: &str, detail: &str) -> Problem {
    Problem::new(ErrorCode::Config, detail).at(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Problem> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ideas.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    const NATS: &str = "[nats]\nurls = [\"nats://127.0.0.1:4222\"]\ncreds_file = \"c\"\n";

    #[test]
    fn a_directory_and_a_broker_are_enough() {
        let config = parse(&format!("data = \"/d\"\n{NATS}")).unwrap();
        assert_eq!(config.database(), "sqlite:///d/ideas.db");
        assert!(config.objects.is_none() && config.witnesses.is_empty());
    }

    #[test]
    fn two_witnesses_of_one_name_are_refused() {
        let key = |seed| {
            let key = mesh_tlog::SignerKey::new("w.example", KeyKind::Witness, &[seed; 32]);
            key.unwrap().verifier().to_string()
        };
        let witness = |key: String| format!("[[witnesses]]\nurl = \"http://h\"\nkey = \"{key}\"\n");
        let of = |witnesses: String| parse(&format!("data = \"d\"\n{NATS}{witnesses}"));
        assert_eq!(of(witness(key(1))).unwrap().witnesses.len(), 1);
        for second in [1, 2] {
            let problem = of(witness(key(1)) + &witness(key(second))).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("witnesses.key"), "{problem}");
            assert!(problem.detail.contains("two witnesses are named w.example"), "{problem}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let witness = "[[witnesses]]\nurl = \"http://h\"\nkey = \"x\"\n";
        for (key, text) in [
            ("database", format!("data = \"d\"\ndatabase = \"postgres://u:hunter2@h/d\"\n{NATS}")),
            ("database", format!("data = \"d\"\ndatabase = \"mysql://h/d\"\n{NATS}")),
            ("origin", format!("data = \"d\"\norigin = \"a b\"\n{NATS}")),
            ("origin", format!("data = \"d\"\norigin = \"\"\n{NATS}")),
            ("metrics_listen", format!("data = \"d\"\nmetrics_listen = \"0.0.0.0:1\"\n{NATS}")),
            ("nats.urls", "data = \"d\"\n[nats]\nurls = []\ncreds_file = \"c\"\n".into()),
            ("witnesses.key", format!("data = \"d\"\n{NATS}{witness}")),
            ("weights", format!("data = \"d\"\n{NATS}[weights]\nimpact = 1000.0\n")),
            ("dada", format!("data = \"d\"\ndada = 1\n{NATS}")),
        ] {
            let problem = parse(&text).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(key), "{problem}");
            assert!(!problem.detail.contains("hunter2"), "{problem}");
        }
    }
}
