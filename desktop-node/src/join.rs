//! `mesh-node join`: lets this machine into a mesh with a one-time code.
//!
//! The node makes its own key; the seed never leaves the machine. A code may carry the fingerprint of
//! the cluster's certificate authority, `dmj_<secret>.<sha256>`: then the authority's certificate is
//! fetched first, unverified, and believed only when its fingerprint is that one. The secret is sent
//! only after that, over a connection that this authority vouches for.

use std::{collections::BTreeMap, path::Path, path::PathBuf};

use clap::Args;
use mesh_schemas::{
    Cpu, ErrorCode, NodeId, Problem,
    api::{JoinRequest, Joined},
    text::{check_label, check_name, shown},
};
use nkeys::KeyPair;

use crate::{
    agent::{IDENTITY_FILE, Identity},
    config::host_name,
    files::make_private_dir_all,
};

/// What a join code begins with.
const CODE_PREFIX: &str = "dmj_";
/// Longest certificate that is read, in bytes.
const CA_BYTES_MAX: usize = 64 << 10;
/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_DIGITS: usize = 64;

/// How to join.
#[derive(Clone, Args)]
pub struct JoinOptions {
    /// The orchestrator's address, such as `https://mesh.example:7700`
    #[arg(long)]
    pub url: String,
    /// The one-time code that an administrator made with `mesh node code`. Taken from the environment
    /// alone: arguments can be read by everybody on the machine.
    #[arg(skip = join_code())]
    pub code: String,
    /// Where the node is to keep its data
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// A name for people; the host's name when not said
    #[arg(long)]
    pub name: Option<String>,
    /// A label for jobs to ask for; may be given again
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Processors to offer; all when not said
    #[arg(long)]
    pub cpu: Option<Cpu>,
    /// SHA-256 of the cluster's CA certificate, when the code does not carry it
    #[arg(long, value_name = "HEX")]
    pub ca_fingerprint: Option<String>,
}

/// The variable that hands over the join code.
pub const CODE_VARIABLE: &str = "MESH_JOIN_CODE";

fn join_code() -> String {
    std::env::var(CODE_VARIABLE).unwrap_or_default().trim().to_owned()
}

impl std::fmt::Debug for JoinOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinOptions").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What joining made.
#[derive(Debug, Clone)]
pub struct JoinedNode {
    /// The node's id.
    pub node: NodeId,
    /// The configuration to run it with.
    pub config: PathBuf,
}

/// Joins: `identity.json` (0600) and, when there is none, `node.toml` are in the data directory then.
///
/// # Errors
/// `E_INVALID` for what was given, `E_WRONG_STATE` when the directory has an identity already,
/// `E_JOIN_TOKEN` when the code is not good, `E_UNREACHABLE`, `E_INTEGRITY` when the CA is another.
pub fn join(options: &JoinOptions) -> Result<JoinedNode, Problem> {
    let labels = check(options)?;
    let (code, fingerprint) = split_code(options)?;
    let key = KeyPair::new_user();
    let seed = key.seed().map_err(|_| internal("a fresh key has no seed"))?;
    let name = options.name.clone().unwrap_or_else(host_name);
    let request = JoinRequest { code, public_key: key.public_key(), name: name.clone() };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(&format!("no runtime: {error}")))?;
    let joined = runtime.block_on(ask(&options.url, fingerprint.as_deref(), &request))?;

    let Joined { node, jwt, nats_urls, ca_pem } = joined;
    make_private_dir_all(&options.data).map_err(|error| {
        let detail = format!("cannot make the directory {}: {error}", options.data.display());
        Problem::new(ErrorCode::Io, detail)
    })?;
    Identity { node, seed, jwt, nats_urls, ca_pem }.save(&options.data)?;
    let config = write_config(options, &name, &labels)?;
    Ok(JoinedNode { node, config })
}

fn internal(detail: &str) -> Problem {
    Problem::new(ErrorCode::Internal, detail)
}

fn check(options: &JoinOptions) -> Result<BTreeMap<String, String>, Problem> {
    if options.data.join(IDENTITY_FILE).exists() {
        let detail = format!("{} holds a node that has joined already", options.data.display());
        return Err(Problem::new(ErrorCode::WrongState, detail)
            .hint("choose another --data, or remove the directory to join anew"));
    }
    if let Some(name) = &options.name {
        check_name("name", name)?;
    }
    if options.cpu == Some(Cpu(0)) {
        return Err(Problem::invalid("cpu", "cpu is 0; allowed is more than 0"));
    }
    let secure = options.url.starts_with("https://");
    if !secure && !options.url.starts_with("http://") {
        let detail =
            format!("the address is {}; expected http:// or https://", shown(&options.url));
        return Err(Problem::invalid("url", detail));
    }
    options.labels.iter().map(|label| label_of(label)).collect()
}

fn label_of(text: &str) -> Result<(String, String), Problem> {
    let Some((key, value)) = text.split_once('=') else {
        let detail = format!("the label is {}; expected KEY=VALUE", shown(text));
        return Err(Problem::invalid("label", detail));
    };
    check_label("label", key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The code as the orchestrator knows it, and the fingerprint that it or the flag names.
fn split_code(options: &JoinOptions) -> Result<(String, Option<String>), Problem> {
    let (code, in_code) = match options.code.split_once('.') {
        Some((code, fingerprint)) => (code, Some(fingerprint)),
        None => (options.code.as_str(), None),
    };
    let well_formed = code.strip_prefix(CODE_PREFIX).is_some_and(|secret| {
        !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if !well_formed {
        return Err(Problem::new(ErrorCode::JoinToken, "the code does not look like dmj_…")
            .hint(format!("set {CODE_VARIABLE}; an administrator makes one: mesh node code")));
    }
    let given = options.ca_fingerprint.as_deref().or(in_code);
    let fingerprint = given.map(|text| text.replace(':', "").to_ascii_lowercase());
    match fingerprint {
        Some(hex)
            if hex.len() != FINGERPRINT_DIGITS || !hex.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            let detail = "the CA's fingerprint is not 64 hexadecimal digits";
            Err(Problem::invalid("ca_fingerprint", detail))
        }
        fingerprint => Ok((code.to_owned(), fingerprint)),
    }
}

async fn ask(
    url: &str,
    fingerprint: Option<&str>,
    request: &JoinRequest,
) -> Result<Joined, Problem> {
    let base = url.trim_end_matches('/');
    let ca = match fingerprint {
        Some(fingerprint) => Some(fetch_ca(base, fingerprint).await?),
        None => None,
    };
    let client = mesh_fabric::http::client(ca.as_deref())?;
    let answer = client.post(format!("{base}/api/v1/nodes/join")).json(request).send().await;
    let answer = answer.map_err(|error| unreachable(&error))?;
    if !answer.status().is_success() {
        let status = answer.status();
        let problem = answer.json::<Problem>().await;
        return Err(problem.unwrap_or_else(|_| {
            Problem::new(ErrorCode::Unreachable, format!("the orchestrator answered {status}"))
        }));
    }
    answer.json().await.map_err(|error| unreachable(&error))
}

/// The cluster's CA, if it is the one that the administrator's fingerprint names.
async fn fetch_ca(base: &str, fingerprint: &str) -> Result<String, Problem> {
    mesh_fabric::tls::install_provider();
    // Nothing secret is sent over this connection, and what comes back is compared.
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(15))
        .build()
        .map_err(|error| unreachable(&error))?;
    let answer = client.get(format!("{base}/api/v1/ca.pem")).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(|error| unreachable(&error))?;
    let mut pem = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        pem.extend_from_slice(&piece);
        if pem.len() > CA_BYTES_MAX {
            return Err(Problem::new(ErrorCode::TooLarge, "the CA's certificate is too long"));
        }
    }
    let pem = String::from_utf8(pem).unwrap_or_default();
    let found = mesh_fabric::tls::fingerprint(&pem).map(|hex| hex.replace(':', ""));
    if found.is_some_and(|found| found.eq_ignore_ascii_case(fingerprint)) {
        return Ok(pem);
    }
    Err(Problem::new(ErrorCode::Integrity, "the orchestrator's CA is not the one the code names")
        .hint("do not go on: something between this machine and the orchestrator may be listening"))
}

fn unreachable(error: &reqwest::Error) -> Problem {
    let text = mesh_fabric::error::chain(error);
    Problem::new(ErrorCode::Unreachable, format!("the orchestrator cannot be asked: {text}"))
        .hint("check --url; a cluster with a CA of its own needs a code with a fingerprint")
}

/// Writes the node's configuration, unless its owner has written one already.
fn write_config(
    options: &JoinOptions,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<PathBuf, Problem> {
    let path = options.data.join("node.toml");
    if path.exists() {
        return Ok(path);
    }
    let io = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot write {}: {error}", path.display()))
    };
    let data = std::path::absolute(&options.data).map_err(io)?;
    let text = config_text(&data, name, labels, options.cpu);
    mesh_fabric::files::write_durable(&path, text.as_bytes()).map_err(io)?;
    Ok(path)
}

fn config_text(
    data: &Path,
    name: &str,
    labels: &BTreeMap<String, String>,
    cpu: Option<Cpu>,
) -> String {
    // JSON's strings are TOML's: the same quotes and escapes.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text =
        format!("data_dir = {}\nname = {}\n", quoted(&data.to_string_lossy()), quoted(name));
    text.extend(cpu.map(|cpu| format!("cpu = {cpu}\n")));
    if !labels.is_empty() {
        text.push_str("\n[labels]\n");
        text.extend(
            labels.iter().map(|(key, value)| format!("{} = {}\n", quoted(key), quoted(value))),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(code: &str, dir: &Path) -> JoinOptions {
        JoinOptions {
            url: "http://127.0.0.1:1".into(),
            code: code.into(),
            data: dir.to_owned(),
            name: Some("a".into()),
            labels: vec!["zone=x".into()],
            cpu: Some(Cpu(1_500)),
            ca_fingerprint: None,
        }
    }

    #[test]
    fn a_code_may_carry_the_fingerprint_of_the_ca() {
        let dir = tempfile::tempdir().unwrap();
        let print = "AB".repeat(32);
        let split = split_code(&options(&format!("dmj_x.{print}"), dir.path())).unwrap();
        assert_eq!(split, ("dmj_x".into(), Some("ab".repeat(32))));
        assert_eq!(split_code(&options("dmj_x", dir.path())).unwrap(), ("dmj_x".into(), None));
        for (bad, code) in [
            ("", ErrorCode::JoinToken),
            ("dmj_", ErrorCode::JoinToken),
            ("dmk_x", ErrorCode::JoinToken),
            ("dmj_x.12", ErrorCode::Invalid),
        ] {
            assert_eq!(split_code(&options(bad, dir.path())).unwrap_err().code, code, "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_sent_or_written() {
        let dir = tempfile::tempdir().unwrap();
        let good = options("dmj_x", dir.path());
        for bad in [
            JoinOptions { url: "ftp://x".into(), ..good.clone() },
            JoinOptions { labels: vec!["x".into()], ..good.clone() },
            JoinOptions { name: Some("-".into()), ..good.clone() },
            JoinOptions { cpu: Some(Cpu(0)), ..good.clone() },
        ] {
            assert_eq!(join(&bad).unwrap_err().code, ErrorCode::Invalid, "{bad:?}");
        }
        assert_eq!(join(&good).unwrap_err().code, ErrorCode::Unreachable);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_written_configuration_can_be_read_and_an_owners_own_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let options = options("dmj_x", dir.path());
        let labels = BTreeMap::from([("zone".to_owned(), "x".to_owned())]);
        let path = write_config(&options, "a", &labels).unwrap();
        let config = crate::config::NodeConfig::load(&path).unwrap();
        assert_eq!((config.cpu, &config.labels), (Some(Cpu(1_500)), &labels));
        let before = std::fs::read(&path).unwrap();
        write_config(&options, "b", &BTreeMap::new()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
