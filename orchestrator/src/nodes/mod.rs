//! Letting machines in and cutting them off.
//!
//! A node is cut off twice: the core refuses whatever it still says, and the broker gets an account
//! whose revocation list voids its credential. The list is made anew from the stored nodes each time, so
//! a push that failed is made good by the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::Client;
use mesh_core::NodeSetting;
use mesh_fabric::{
    backoff::{self, Policy},
    error::chain,
    ids,
    nats_auth::{ClusterKeys, Revocations, push_account},
    time,
};
use mesh_schemas::{
    ErrorCode, NodeId, Problem,
    api::{Joined, NodeAction},
    text::check_name,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{engine, lead::Lease};

/// How long a node's credential holds; its agent renews it in time.
const CREDENTIAL_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often the list is pushed although nobody was revoked: a broker may have been restored.
const PUSH_EVERY: Duration = Duration::from_secs(600);
/// How long a revocation waits for the broker before it is answered anyway; the push goes on.
const REVOKE_WAIT_MAX: Duration = Duration::from_secs(4);

/// What letting machines in needs.
#[derive(Debug)]
pub struct Options {
    /// Where nodes are kept.
    pub engine: engine::Handle,
    /// The right to push: the broker takes what comes last, be it older.
    pub lease: Lease,
    /// What signs credentials.
    pub keys: ClusterKeys,
    /// A connection to the system account.
    pub system: Client,
    /// Where nodes find the broker.
    pub nats_urls: Vec<String>,
    /// The authority that nodes are to trust.
    pub ca_pem: Option<String>,
}

/// A cheap way to let machines in and cut them off.
#[derive(Debug, Clone)]
pub struct Nodes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    /// Wakes the pusher.
    push: Notify,
    /// Number of pushes that succeeded.
    pushed: tokio::sync::watch::Sender<u64>,
}

impl Nodes {
    /// Call [`Self::run`] as well: it does the pushing.
    pub fn new(options: Options) -> Self {
        let pushed = tokio::sync::watch::Sender::new(0);
        Self(Arc::new(Inner { options, push: Notify::new(), pushed }))
    }

    /// Checks the shape of a request to join, before its code is used up.
    ///
    /// # Errors
    /// `E_INVALID` naming the field.
    pub fn check_join(&self, name: &str, public_key: &str) -> Result<(), Problem> {
        check_name("name", name)?;
        // Only the signer knows what a good key is.
        self.0.options.keys.node_jwt(ids::node_id(), public_key, CREDENTIAL_TTL).map(drop)
    }

    /// Lets a machine in whose join code has been used up: a new id, and a credential for its own key.
    ///
    /// # Errors
    /// `E_INVALID` for a key or name that cannot be; those of [`engine::Handle`].
    pub async fn join(&self, name: String, public_key: String) -> Result<Joined, Problem> {
        self.check_join(&name, &public_key)?;
        let options = &self.0.options;
        let node = ids::node_id();
        let jwt = options.keys.node_jwt(node, &public_key, CREDENTIAL_TTL)?;
        info!(node.id = %node, "Let the machine {name} in");
        options.engine.node_joined(node, name, public_key).await?;
        let (nats_urls, ca_pem) = (options.nats_urls.clone(), options.ca_pem.clone());
        Ok(Joined { node, jwt, nats_urls, ca_pem })
    }

    /// A new credential for a node that has one.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_NODE_REVOKED`; those of [`engine::Handle`].
    pub async fn renew(&self, node: NodeId) -> Result<String, Problem> {
        let options = &self.0.options;
        let entry =
            options.engine.node_status(node).await?.ok_or_else(|| {
                Problem::new(ErrorCode::NotFound, format!("{node} has not joined"))
            })?;
        if entry.record.setting == NodeSetting::Revoked {
            return Err(Problem::new(ErrorCode::NodeRevoked, format!("{node} is revoked")));
        }
        options.keys.node_jwt(node, &entry.record.public_key, CREDENTIAL_TTL)
    }

    /// Does something to a node. A revoked one is refused by the core when this returns, and cut off
    /// from the broker within 5 s when the broker is there, or else as soon as it is.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_NODE_REVOKED`; those of [`engine::Handle`].
    pub async fn act(&self, node: NodeId, action: NodeAction) -> Result<(), Problem> {
        self.0.options.engine.node_action(node, action).await?;
        info!(node.id = %node, "{node}: {action}");
        match action {
            NodeAction::Drain | NodeAction::Pause | NodeAction::Resume => {}
            NodeAction::Revoke => self.push_now().await,
        }
        Ok(())
    }

    async fn push_now(&self) {
        let mut pushed = self.0.pushed.subscribe();
        self.0.push.notify_one();
        if tokio::time::timeout(REVOKE_WAIT_MAX, pushed.changed()).await.is_err() {
            warn!("The broker has not taken the revocation yet; it is told again until it does");
        }
    }

    /// Pushes the list at the start, at each revocation and now and then, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let pushing = async {
            loop {
                self.push().await;
                tokio::select! {
                    () = self.0.push.notified() => {}
                    () = tokio::time::sleep(PUSH_EVERY) => {}
                }
            }
        };
        shutdown.run_until_cancelled(pushing).await;
    }

    async fn push(&self) {
        let notify = |error: &Problem, _| warn!("Pushing revocations failed: {}", chain(error));
        let push = || self.push_once();
        // `forever` has no end but success.
        if backoff::retry(Policy::forever(), push, |_| true, notify).await.is_ok() {
            self.0.pushed.send_modify(|count| *count += 1);
        }
    }

    async fn push_once(&self) -> Result<(), Problem> {
        let options = &self.0.options;
        let revocations = revocations(&options.engine.node_statuses().await?);
        let account = options.keys.account_jwt(&revocations);
        if !options.lease.holds() {
            return Err(Problem::new(ErrorCode::NotLeader, "the lead was lost meanwhile"));
        }
        push_account(&options.system, &account).await.map_err(Problem::from)
    }
}

/// Everything ever signed for a revoked node is void.
fn revocations(nodes: &[engine::NodeEntry]) -> Revocations {
    let now = time::now().as_millis() / 1_000 + 1;
    let revoked = nodes.iter().filter(|node| node.record.setting == NodeSetting::Revoked);
    let by_key: BTreeMap<String, i64> =
        revoked.map(|node| (node.record.public_key.clone(), now)).collect();
    Revocations(by_key)
}
