//! What was erased goes from the database's pages, beside the writer: who reads may be in the way for minutes, and nobody
//! waits for that.
//!
//! It promises: after each erasure, and at each start of a log that has one, it tries until it has succeeded. Who erases is
//! answered before, when key and texts are in no row any more.

use std::{sync::Arc, time::Instant};

use mesh_fabric::{backoff::Policy, error::chain};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    health::{Health, Part},
    store::{Store, StoreError},
};

/// The way to say that something was erased. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forgetting(Arc<Notify>);

impl Forgetting {
    /// What was erased must go, soon. It does not wait.
    pub(crate) fn want(&self) {
        // Kept while nobody listens yet.
        self.0.notify_one();
    }
}

/// Runs it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) wanted: Forgetting,
    pub(crate) health: Health,
}

impl Service {
    /// Serves until `shutdown`. What is left to do then is done at the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        self.look_back().await;
        let serve = async {
            loop {
                self.wanted.0.notified().await;
                self.forget().await;
            }
        };
        let _stopped = shutdown.run_until_cancelled(serve).await;
    }

    /// A former process may have ended between an erasure and this.
    async fn look_back(&self) {
        match self.store.has_erased().await {
            Ok(false) => {}
            Ok(true) => self.wanted.want(),
            Err(error) => {
                warn!("Could not look for erasures: {}", chain(&error));
                self.wanted.want();
            }
        }
    }

    async fn forget(&self) {
        let mut waits = Policy::forever().waits();
        while let Err(error) = self.store.db.forget_deleted().await {
            self.tell(&error);
            // They never end.
            tokio::time::sleep(waits.next().unwrap_or_default()).await;
        }
        self.health.well(Part::Forgetting);
        info!("What was erased is out of the database's pages");
    }

    fn tell(&self, error: &StoreError) {
        let why = format!("what was erased may still be in the database's pages: {}", chain(error));
        self.health.behind(Part::Forgetting, why, Instant::now());
    }
}
