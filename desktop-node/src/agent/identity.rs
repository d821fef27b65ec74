//! Who this node is: its key, its credential, and where the mesh is. `identity.json`, mode 0600.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use mesh_schemas::{ErrorCode, NodeId, Problem};
use serde::{Deserialize, Serialize};

/// The file's name below the data directory.
pub const IDENTITY_FILE: &str = "identity.json";

/// What joining made.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The node's id.
    pub node: NodeId,
    /// Its own NATS user seed; it never leaves the machine.
    pub seed: String,
    /// The newest JWT for the seed's key.
    pub jwt: String,
    /// Where NATS listens.
    pub nats_urls: Vec<String>,
    /// The cluster's own certificate authority, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads it.
    ///
    /// # Errors
    /// `E_CONFIG` when the node has not joined or the file is damaged.
    pub fn load(data_dir: &Path) -> Result<Self, Problem> {
        let path = data_dir.join(IDENTITY_FILE);
        let unusable = |why: String| {
            let detail = format!("the identity {} cannot be used: {why}", path.display());
            Problem::new(ErrorCode::Config, detail).hint("join the mesh with mesh-node join")
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
        // The parser's own text may quote what it could not read, which may be the seed.
        serde_json::from_str(&text).map_err(|error| {
            unusable(format!("line {} column {} is no identity", error.line(), error.column()))
        })
    }

    /// Writes it, readable by its owner alone.
    ///
    /// # Errors
    /// `E_IO`.
    pub fn save(&self, data_dir: &Path) -> Result<(), Problem> {
        let path = data_dir.join(IDENTITY_FILE);
        let written = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::other)
            .and_then(|text| mesh_fabric::files::write_private(&path, &text));
        written.map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot write {}: {error}", path.display()))
        })
    }
}

/// The identity whose JWT is renewed while the agent runs.
#[derive(Debug, Clone)]
pub(super) struct LiveIdentity {
    pub(super) first: Identity,
    pub(super) jwt: Arc<RwLock<String>>,
    data_dir: PathBuf,
}

impl LiveIdentity {
    pub(super) fn load(data_dir: &Path) -> Result<Self, Problem> {
        let first = Identity::load(data_dir)?;
        let jwt = Arc::new(RwLock::new(first.jwt.clone()));
        Ok(Self { first, jwt, data_dir: data_dir.to_owned() })
    }

    pub(super) fn jwt(&self) -> String {
        self.jwt.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a renewed JWT: used from the next reconnect on, and by the next life.
    pub(super) fn renew(&self, jwt: String) -> Result<(), Problem> {
        Identity { jwt: jwt.clone(), ..self.first.clone() }.save(&self.data_dir)?;
        *self.jwt.write().unwrap_or_else(PoisonError::into_inner) = jwt;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_identity_is_refused_without_showing_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Identity::load(dir.path()).unwrap_err().code, ErrorCode::Config);
        std::fs::write(dir.path().join(IDENTITY_FILE), "{\"seed\": \"SUSECRET\" \"x").unwrap();
        let problem = Identity::load(dir.path()).unwrap_err();
        assert_eq!(problem.code, ErrorCode::Config);
        assert!(!problem.detail.contains("SUSECRET"));
    }
}
