//! The files that the parts are started with: as `mesh up` writes them, but each wire leads to a proxy.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::Context as _;
use mesh_fabric::{
    files::write_private,
    ids,
    nats_auth::{ClusterKeys, ServerConfig},
};
use serde_json::json;
use toml::{Table, Value};

use super::start::Options;

/// Directories that must be there.
pub(super) const DIRS: [&str; 6] =
    ["cluster", "ideas", "nats/jetstream", "nats/accounts", "orchestrator", "store"];

/// Where each part finds the others.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) nats: SocketAddr,
    pub(super) api: SocketAddr,
    /// Proxies.
    pub(super) orchestrator_nats: SocketAddr,
    pub(super) orchestrator_store: SocketAddr,
    pub(super) nodes_store: SocketAddr,
    pub(super) ideas_nats: SocketAddr,
    pub(super) ideas_store: SocketAddr,
    /// The database's URL and its password.
    pub(super) database: Option<(String, String)>,
}

/// Keys, tokens and the broker's configuration.
pub(super) fn secrets(data: &Path, addresses: &Addresses) -> anyhow::Result<(ClusterKeys, String)> {
    let keys = ClusterKeys::generate();
    keys.save(&data.join("cluster/keys.json"))?;
    let write = |name: &str, text: &str| {
        write_private(&data.join(name), text.as_bytes()).with_context(|| name.to_owned())
    };
    write("cluster/orchestrator.creds", &keys.service_creds("orchestrator"))?;
    write("cluster/system.creds", &keys.system_creds())?;
    write("cluster/ideas.creds", &keys.ledger_creds())?;
    let pair = json!({ "access_key": ids::secret(""), "secret_key": ids::secret("") });
    write("cluster/store.json", &pair.to_string())?;
    let token = ids::secret("dmk_");
    write("admin.token", &format!("{token}\n"))?;
    let (jetstream, accounts) = (data.join("nats/jetstream"), data.join("nats/accounts"));
    let config = ServerConfig::new(addresses.nats, jetstream, accounts);
    write("cluster/nats.conf", &keys.server_config(&config))?;
    if let Some((_, password)) = &addresses.database {
        write("cluster/password", password)?;
    }
    Ok((keys, token))
}

/// `orchestrator.toml`.
pub(super) fn orchestrator(
    data: &Path,
    addresses: &Addresses,
    options: &Options,
) -> anyhow::Result<()> {
    let path = |name: &str| data.join(name).to_string_lossy().into_owned();
    let sqlite = || format!("sqlite://{}", path("orchestrator/mesh.db"));
    let mut config = Table::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("listen", addresses.api.to_string().into());
    let url = addresses.database.as_ref().map_or_else(sqlite, |(url, _)| url.clone());
    set("database", url.into());
    if addresses.database.is_some() {
        set("database_password_file", path("cluster/password").into());
    }
    set(
        "nats",
        table([
            ("urls", vec![format!("nats://{}", addresses.orchestrator_nats)].into()),
            ("creds_file", path("cluster/orchestrator.creds").into()),
            ("system_creds_file", path("cluster/system.creds").into()),
            ("keys_file", path("cluster/keys.json").into()),
        ]),
    );
    set(
        "objects",
        table([
            ("endpoint", format!("http://{}", addresses.orchestrator_store).into()),
            ("public_endpoint", format!("http://{}", addresses.nodes_store).into()),
            ("bucket", "deskmesh".into()),
            ("credentials_file", path("cluster/store.json").into()),
        ]),
    );
    set("admin", table([("token_file", path("admin.token").into())]));
    set("timing", timing(options));
    let text = toml::to_string_pretty(&config)?;
    fs::write(data.join("orchestrator.toml"), text).context("orchestrator.toml")
}

/// `ideas.toml`: on SQLite whatever the jobs are in, so that its own disk is under it alone.
pub(super) fn ideas(data: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let path = |name: &str| data.join(name).to_string_lossy().into_owned();
    let config = table([
        ("data", path("ideas").into()),
        (
            "nats",
            table([
                ("urls", vec![format!("nats://{}", addresses.ideas_nats)].into()),
                ("creds_file", path("cluster/ideas.creds").into()),
            ]),
        ),
        (
            "objects",
            table([
                ("endpoint", format!("http://{}", addresses.ideas_store).into()),
                ("bucket", "ideas".into()),
                ("credentials_file", path("cluster/store.json").into()),
            ]),
        ),
    ]);
    fs::write(data.join("ideas.toml"), toml::to_string_pretty(&config)?).context("ideas.toml")
}

/// Beats and suspicion in the proportions of the defaults.
fn timing(options: &Options) -> Value {
    let lease_ms = u64::try_from(options.lease_ttl.as_millis()).unwrap_or(u64::MAX);
    let part = |of: u64| Value::from(format!("{}ms", lease_ms / 30 * of));
    table([
        ("lease_ttl", part(30)),
        ("beat_every", part(5)),
        ("suspect_after", part(12)),
        ("startup_grace", part(60)),
    ])
}

/// A node's file.
pub(super) fn node(dir: &Path, name: &str) -> anyhow::Result<()> {
    let search = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    let config = table([
        ("data_dir", dir.to_string_lossy().into_owned().into()),
        ("name", name.into()),
        ("cpu", 2.into()),
        ("path", search.into()),
        ("drain_timeout", "1s".into()),
    ]);
    fs::write(dir.join("node.toml"), toml::to_string_pretty(&config)?).context("node.toml")
}

/// Leads a node that has joined through its own proxy to the broker.
pub(super) fn lead_through(dir: &Path, nats: SocketAddr) -> anyhow::Result<()> {
    let file = dir.join("identity.json");
    let mut identity: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    identity["nats_urls"] = json!([format!("nats://{nats}")]);
    write_private(&file, &serde_json::to_vec_pretty(&identity)?).context("identity.json")
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
