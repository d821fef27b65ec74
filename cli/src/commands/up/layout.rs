//! Where everything lies below the data directory.

use std::path::{Path, PathBuf};

use mesh_fabric::files::DirLock;
use mesh_schemas::Problem;

use crate::context::{io, own_file};

/// The data directory, held by this process alone.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    _lock: DirLock,
}

impl Layout {
    /// Makes what is missing and takes the lock.
    pub(super) fn open(data: &Path) -> Result<Self, Problem> {
        let root = std::path::absolute(data).map_err(|error| io("find", data, &error))?;
        for dir in ["cluster", "nats/jetstream", "nats/accounts", "orchestrator", "ideas", "store"]
        {
            private_dir(&root.join(dir))?;
        }
        let lock = mesh_fabric::files::lock_dir(&root).map_err(own_file)?;
        never_ship(&root)?;
        Ok(Self { root, _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(super) fn keys_file(&self) -> PathBuf {
        self.root.join("cluster/keys.json")
    }

    pub(super) fn nats_config(&self) -> PathBuf {
        self.root.join("cluster/nats.conf")
    }

    pub(super) fn orchestrator_creds(&self) -> PathBuf {
        self.root.join("cluster/orchestrator.creds")
    }

    pub(super) fn system_creds(&self) -> PathBuf {
        self.root.join("cluster/system.creds")
    }

    pub(super) fn store_credentials(&self) -> PathBuf {
        self.root.join("cluster/store.json")
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.root.join("cluster/ca.pem")
    }

    pub(super) fn cert_file(&self) -> PathBuf {
        self.root.join("cluster/server.pem")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.root.join("cluster/server.key")
    }

    pub(super) fn admin_token_file(&self) -> PathBuf {
        self.root.join("admin.token")
    }

    pub(super) fn ports_file(&self) -> PathBuf {
        self.root.join("ports.json")
    }

    pub(super) fn pids_file(&self) -> PathBuf {
        self.root.join("pids.json")
    }

    pub(super) fn jetstream(&self) -> PathBuf {
        self.root.join("nats/jetstream")
    }

    pub(super) fn accounts(&self) -> PathBuf {
        self.root.join("nats/accounts")
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.root.join("orchestrator/mesh.db")
    }

    pub(super) fn orchestrator_config(&self) -> PathBuf {
        self.root.join("orchestrator.toml")
    }

    pub(super) fn ideas(&self) -> PathBuf {
        self.root.join("ideas")
    }

    pub(super) fn ideas_config(&self) -> PathBuf {
        self.root.join("ideas.toml")
    }

    pub(super) fn ideas_creds(&self) -> PathBuf {
        self.root.join("cluster/ideas.creds")
    }

    pub(super) fn node(&self, number: u16) -> PathBuf {
        self.root.join(format!("node-{number}"))
    }

    pub(super) fn node_config(&self, number: u16) -> PathBuf {
        self.node(number).join("node.toml")
    }

    pub(super) fn log(&self, part: &str) -> PathBuf {
        self.root.join(format!("{part}.log"))
    }
}

/// Keeps `mesh run` and git from taking a directory with keys and tokens along.
pub(crate) fn never_ship(dir: &Path) -> Result<(), Problem> {
    let file = dir.join(".gitignore");
    std::fs::write(&file, "*\n").map_err(|error| io("write", &file, &error))
}

/// A directory that only its owner may enter.
pub(super) fn private_dir(dir: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| io("create", dir, &error))
}
