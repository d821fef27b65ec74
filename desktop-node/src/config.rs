//! The node's configuration: defaults, then the file, then `MESH_NODE__…`. Unknown keys are refused,
//! and a value out of range stops the start.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, path::PathBuf};

use mesh_schemas::{
    ByteSize, Cpu, ErrorCode, Problem, Span,
    text::{check_label, check_name},
};
use serde::Deserialize;

/// Prefix of the variables that override the file, as in `MESH_NODE__DATA_DIR`.
pub const ENV_PREFIX: &str = "MESH_NODE";

/// `PATH` of jobs when the file does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What the owner of a machine decides about its node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Where identity, journal and attempts live. One node per directory.
    pub data_dir: PathBuf,
    /// A name for people; the host's name when not said.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels beside `os`, `arch` and `hostname`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Processors offered; all when not said.
    #[serde(default)]
    pub cpu: Option<Cpu>,
    /// Memory offered; all when not said.
    #[serde(default)]
    pub memory: Option<ByteSize>,
    /// Disk offered; what is free at the start when not said.
    #[serde(default)]
    pub disk: Option<ByteSize>,
    /// Graphics processors offered; none when not said.
    #[serde(default)]
    pub gpu: u32,
    /// Units of pools offered, by name.
    #[serde(default)]
    pub pools: BTreeMap<String, u32>,
    /// `PATH` of jobs; default `/usr/local/bin:/usr/bin:/bin`.
    #[serde(default = "default_path")]
    pub path: String,
    /// Where Prometheus finds `/metrics`; off when not said. Loopback only.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// How long running work may go on when the node is told to stop; from 0 to 24 h, default 30 s.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: Span,
    /// How long work goes on without a word from the orchestrator; from 10 s to 7 d, default 10 min.
    #[serde(default = "default_disconnect_grace")]
    pub disconnect_grace: Span,
}

fn default_path() -> String {
    DEFAULT_PATH.into()
}

const fn default_drain_timeout() -> Span {
    Span::from_secs(30)
}

const fn default_disconnect_grace() -> Span {
    Span::from_secs(600)
}

impl NodeConfig {
    /// Reads and checks a configuration file; a relative `data_dir` is made absolute.
    ///
    /// # Errors
    /// `E_CONFIG` or `E_INVALID`, naming the field.
    pub fn load(file: &Path) -> Result<Self, Problem> {
        let mut config: Self = mesh_fabric::config::load(Some(file), ENV_PREFIX)?;
        config.check()?;
        config.data_dir = std::path::absolute(&config.data_dir).map_err(|error| {
            Problem::new(ErrorCode::Config, format!("data_dir cannot be made absolute: {error}"))
                .at("data_dir")
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Problem> {
        if let Some(name) = &self.name {
            check_name("name", name)?;
        }
        for (key, value) in &self.labels {
            check_label("labels", key, value)?;
        }
        for name in self.pools.keys() {
            check_name("pools", name)?;
        }
        if self.cpu == Some(Cpu(0)) {
            return Err(Problem::invalid("cpu", "cpu is 0; allowed is more than 0"));
        }
        self.check_spans()?;
        self.check_listen()
    }

    fn check_spans(&self) -> Result<(), Problem> {
        let day = Span::from_secs(24 * 3_600);
        in_range("drain_timeout", self.drain_timeout, Span::default(), day)?;
        let (least, week) = (Span::from_secs(10), Span::from_secs(7 * 24 * 3_600));
        in_range("disconnect_grace", self.disconnect_grace, least, week)
    }

    /// Metrics carry no token, so they do not leave the machine.
    fn check_listen(&self) -> Result<(), Problem> {
        match self.metrics_listen {
            Some(listen) if !listen.ip().is_loopback() => Err(Problem::new(
                ErrorCode::InsecureBind,
                format!("metrics_listen is {listen}; allowed are loopback addresses"),
            )
            .at("metrics_listen")
            .hint("use 127.0.0.1 and let a local collector forward it")),
            _ => Ok(()),
        }
    }

    /// The name for people: the configured one, or what of the host's name the rule of names allows.
    pub fn display_name(&self) -> String {
        self.name.clone().unwrap_or_else(host_name)
    }
}

fn in_range(field: &str, value: Span, least: Span, most: Span) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{field} is {value}; allowed are {least} to {most}")))
}

/// The host's name, cut to what names and label values may hold; `node` when nothing is left.
pub fn host_name() -> String {
    let raw = sysinfo::System::host_name().unwrap_or_default();
    let cut: String =
        raw.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(63).collect();
    let trimmed = cut.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if trimmed.is_empty() { "node".into() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<NodeConfig, Problem> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.toml");
        std::fs::write(&file, text).unwrap();
        NodeConfig::load(&file)
    }

    #[test]
    fn a_data_dir_is_enough() {
        let config = load("data_dir = \"/tmp/x\"").unwrap();
        assert_eq!(config.path, DEFAULT_PATH);
        assert_eq!(config.disconnect_grace, Span::from_secs(600));
    }

    #[test]
    fn values_out_of_range_stop_the_start() {
        for (line, code) in [
            ("name = \"-x\"", ErrorCode::Invalid),
            ("labels = { \"a b\" = \"x\" }", ErrorCode::Invalid),
            ("cpu = 0", ErrorCode::Invalid),
            ("disconnect_grace = \"1s\"", ErrorCode::Invalid),
            ("drain_timeout = \"25h\"", ErrorCode::Invalid),
            ("metrics_listen = \"0.0.0.0:1\"", ErrorCode::InsecureBind),
            ("colour = \"red\"", ErrorCode::Config),
        ] {
            let problem = load(&format!("data_dir = \"/tmp/x\"\n{line}")).unwrap_err();
            assert_eq!(problem.code, code, "{line}: {problem}");
        }
    }
}
