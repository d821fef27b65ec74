//! The endpoint's configuration.

use std::{path::PathBuf, time::Duration};

use mesh_schemas::Problem;
use serde::Deserialize;

use super::vectors::DIMENSIONS_MAX;
use crate::config::{check_url, first_line, text, wrong};

/// An endpoint that speaks `POST /v1/embeddings` as OpenAI describes it. Texts of ideas that are not sealed are sent
/// there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsConfig {
    /// The whole address, such as `https://embed.example.org/v1/embeddings`.
    pub url: String,
    /// Which model is to be used.
    pub model: String,
    /// A file whose first line is the key; it is sent as a bearer token.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The variable of the environment that holds the key, instead of a file.
    #[serde(default)]
    pub key_env: Option<String>,
    /// PEM of the authority that signed the endpoint's certificate, when it has one of its own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Longest wait for one answer, its body included. Between 100 ms and 60 s; default 10 s.
    #[serde(default = "default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
    /// Numbers of each vector; of others nothing is made. At most 4,096; as many as the first answer has when absent.
    #[serde(default)]
    pub dimensions: Option<usize>,
    /// From which cosine on two ideas are proposed as duplicates, in thousandths. Between 500 and 1,000; default 900.
    #[serde(default = "default_likeness")]
    pub likeness: u16,
    /// How many of the newest ideas a new text is compared with. Between 1 and 16,384, and no more than 64 MiB of
    /// vectors; default 1,024.
    #[serde(default = "default_recent")]
    pub recent: usize,
}

const fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

const fn default_likeness() -> u16 {
    900
}

const fn default_recent() -> usize {
    1_024
}

impl EmbeddingsConfig {
    /// Proves each rule.
    ///
    /// # Errors
    /// `E_CONFIG` naming the key.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        check_url("embeddings.url", &self.url, &["http", "https"])?;
        let has_key = self.key_file.is_some() || self.key_env.is_some();
        if self.key_file.is_some() && self.key_env.is_some() {
            return Err(wrong("embeddings.key_env", "embeddings has both key_file and key_env"));
        }
        if has_key && !self.url.starts_with("https:") && !is_loopback(&self.url) {
            let detail = "embeddings.url is not https:, and a key would be sent there in the clear";
            return Err(wrong("embeddings.url", detail));
        }
        let range = |name: &str, good: bool, allowed: &str| {
            let key = format!("embeddings.{name}");
            if good { Ok(()) } else { Err(wrong(&key, &format!("{key}: allowed are {allowed}"))) }
        };
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(60));
        range("model", !self.model.is_empty(), "names that are not empty")?;
        range("timeout", (shortest..=longest).contains(&self.timeout), "100ms to 60s")?;
        let dimensions = self.dimensions.is_none_or(|count| (1..=DIMENSIONS_MAX).contains(&count));
        range("dimensions", dimensions, "1 to 4096")?;
        range("likeness", (500..=1_000).contains(&self.likeness), "500 to 1000")?;
        range("recent", (1..=16_384).contains(&self.recent), "1 to 16384")
    }

    /// The key, from the file or from the environment. It is shown nowhere.
    pub(super) fn key(&self) -> Result<Option<String>, Problem> {
        let given = match (&self.key_file, &self.key_env) {
            (Some(file), _) => Some(first_line("embeddings.key_file", file)?),
            (None, Some(name)) => Some(std::env::var(name).map_err(|_| {
                let detail = format!("the environment has no variable {name} that is text");
                wrong("embeddings.key_env", &detail)
            })?),
            (None, None) => None,
        };
        match given {
            Some(key) if key.is_empty() => Err(wrong("embeddings", "the key is empty")),
            given => Ok(given),
        }
    }

    /// The authority to trust.
    pub(super) fn ca(&self) -> Result<Option<String>, Problem> {
        self.ca_file.as_ref().map(|file| text("embeddings.ca_file", file)).transpose()
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or("");
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(more: &str) -> Result<(), Problem> {
        let url = if more.contains("url") { "" } else { "url = \"https://h/v1/embeddings\"\n" };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("embeddings.toml");
        std::fs::write(&file, format!("{url}model = \"m\"\n{more}")).unwrap();
        mesh_fabric::config::load::<EmbeddingsConfig>(Some(&file), "MESH_NONE")?.check()
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        assert!(of("").is_ok());
        assert!(of("url = \"http://127.0.0.1:9/v1/embeddings\"\nkey_env = \"K\"").is_ok());
        for (key, text) in [
            ("embeddings.url", "url = \"ftp://h/\""),
            ("embeddings.url", "url = \"http://h/\"\nkey_env = \"K\""),
            ("embeddings.key_env", "key_env = \"K\"\nkey_file = \"f\""),
            ("embeddings.timeout", "timeout = \"61s\""),
            ("embeddings.dimensions", "dimensions = 4097"),
            ("embeddings.likeness", "likeness = 1001"),
            ("embeddings.recent", "recent = 0"),
        ] {
            assert_eq!(of(text).unwrap_err().field.as_deref(), Some(key), "{text}");
        }
    }
}
