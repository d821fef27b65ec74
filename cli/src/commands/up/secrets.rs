//! Keys and tokens of the cluster: made once, kept with mode 0600, never on a command line.

use std::path::Path;

use mesh_fabric::{files::write_private, ids, nats_auth::ClusterKeys, tls::CertAuthority};
use mesh_schemas::Problem;
use serde_json::json;

use super::{Args, layout::Layout};
use crate::context::{io, own_file, read_text};

/// What `mesh up` itself needs of them.
pub(super) struct Secrets {
    pub(super) keys: ClusterKeys,
    pub(super) admin_token: String,
    pub(super) admin_token_is_new: bool,
    /// Listeners speak TLS.
    pub(super) tls: bool,
}

impl Secrets {
    pub(super) fn load_or_make(layout: &Layout, args: &Args) -> Result<Self, Problem> {
        let keys = cluster_keys(layout)?;
        write(&layout.orchestrator_creds(), keys.service_creds("orchestrator").as_bytes())?;
        write(&layout.ideas_creds(), keys.ledger_creds().as_bytes())?;
        write(&layout.system_creds(), keys.system_creds().as_bytes())?;
        store_credentials(layout)?;
        let tls = args.is_public();
        if tls {
            certificates(layout, args)?;
        }
        let file = layout.admin_token_file();
        let admin_token_is_new = !file.exists();
        if admin_token_is_new {
            write(&file, format!("{}\n", ids::secret("dmk_")).as_bytes())?;
        }
        Ok(Self { keys, admin_token: read_text(&file)?, admin_token_is_new, tls })
    }
}

fn cluster_keys(layout: &Layout) -> Result<ClusterKeys, Problem> {
    let file = layout.keys_file();
    if file.exists() {
        return ClusterKeys::load(&file).map_err(own_file);
    }
    let keys = ClusterKeys::generate();
    keys.save(&file).map_err(|error| io("write", &file, &error))?;
    Ok(keys)
}

fn store_credentials(layout: &Layout) -> Result<(), Problem> {
    let file = layout.store_credentials();
    if file.exists() {
        return Ok(());
    }
    let pair = json!({ "access_key": ids::secret(""), "secret_key": ids::secret("") });
    write(&file, pair.to_string().as_bytes())
}

/// A certificate for this machine's names, signed by the cluster's own authority.
fn certificates(layout: &Layout, args: &Args) -> Result<(), Problem> {
    let dir = layout.cluster();
    let authority = if layout.ca_file().exists() {
        CertAuthority::load(&dir).map_err(own_file)?
    } else {
        let authority = CertAuthority::generate("Deskmesh cluster")?;
        authority.save(&dir).map_err(|error| io("write", &dir, &error))?;
        authority
    };
    let mut hosts = args.host.clone();
    hosts.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let issued = authority.issue(&hosts)?;
    write(&layout.cert_file(), issued.cert_pem.as_bytes())?;
    write(&layout.key_file(), issued.key_pem.as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_private(path, bytes).map_err(|error| io("write", path, &error))
}
