//! The cluster's NATS keys and what they sign.

use std::{collections::BTreeMap, path::Path, time::Duration};

use mesh_schemas::{ErrorCode, NodeId, Problem};

/// Nodes that were thrown out: public user key to the time (Unix seconds) up to which its JWTs are void.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(pub BTreeMap<String, i64>);

/// The seeds of the operator, the accounts and the nodes' signing key. Whoever has them owns the cluster.
pub struct ClusterKeys {}

impl std::fmt::Debug for ClusterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterKeys").finish_non_exhaustive()
    }
}

impl ClusterKeys {
    /// New keys for a new cluster.
    pub fn generate() -> Self {
        Self {}
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// `E_IO` when it cannot be read, `E_CONFIG` when it is not one of ours.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let _ = path;
        Err(Problem::new(ErrorCode::Internal, "not written yet"))
    }

    /// Writes the seeds, readable by this user alone.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let _ = path;
        Err(std::io::Error::other("not written yet"))
    }

    /// The operator's JWT; the server's root of trust.
    pub fn operator_jwt(&self) -> String {
        String::new()
    }

    /// The system account's JWT.
    pub fn system_account_jwt(&self) -> String {
        String::new()
    }

    /// The mesh account's JWT as of now: the nodes' template, and who was thrown out.
    pub fn account_jwt(&self, revocations: &Revocations) -> String {
        let _ = revocations;
        String::new()
    }

    /// A node's JWT for the public key (`U…`) it made, valid for `ttl` from now.
    ///
    /// # Errors
    /// `E_INVALID` when the key is not a public user key.
    pub fn node_jwt(
        &self,
        node: NodeId,
        node_public_key: &str,
        ttl: Duration,
    ) -> Result<String, Problem> {
        let _ = (node, node_public_key, ttl);
        Err(Problem::new(ErrorCode::Internal, "not written yet"))
    }

    /// Contents of a `.creds` file for a service with every right inside the mesh's account.
    pub fn service_creds(&self, name: &str) -> String {
        let _ = name;
        String::new()
    }

    /// Contents of a `.creds` file for the system account, which may replace account JWTs.
    pub fn system_creds(&self) -> String {
        String::new()
    }
}
