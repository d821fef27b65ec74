//! Who may do what on NATS: decentralised JWTs of an operator, a system account and the mesh's account.
//!
//! Nodes are users under a *scoped* signing key whose template lives in the account: a node may publish
//! below `mesh.v1.up.<node>.` and subscribe below `mesh.v1.cmd.<node>`, nothing else, whatever its JWT
//! says. The orchestrator's user has every right inside the account. Nobody is anonymous.

mod claims;
mod keys;
mod push;
mod server_config;

pub use keys::{ClusterKeys, Revocations};
pub use push::{PushError, push_account};
pub use server_config::{ServerConfig, ServerTls};
