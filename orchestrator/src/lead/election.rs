//! Standing by until there is a lead to be had.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::info;

use super::Lease;
use crate::store::{Claim, Lead, Store, StoreError};

/// How often whoever stands by looks, unless the lease ends earlier.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One orchestrator's candidacy.
#[derive(Debug)]
pub struct Election {
    /// Where the lead is kept.
    pub store: Arc<dyn Store>,
    /// How this orchestrator calls itself, the same over restarts.
    pub holder: String,
    /// Where others find its API.
    pub url: String,
    /// How long the lead lasts without a renewal.
    pub ttl: Duration,
    /// No other process can have the database: there is nobody to wait for.
    pub alone: bool,
    /// No look has been taken yet. A lease in our own name is then one of a process that is gone: we listen
    /// where it listened.
    fresh: bool,
}

/// What a look at the database led to.
#[derive(Debug)]
pub enum Seen {
    /// This orchestrator leads.
    Elected(Lease),
    /// Another one does; look again after the wait.
    Another(Lead, Duration),
}

impl Election {
    /// A candidacy that begins.
    pub const fn new(
        store: Arc<dyn Store>,
        holder: String,
        url: String,
        ttl: Duration,
        alone: bool,
    ) -> Self {
        Self { store, holder, url, ttl, alone, fresh: true }
    }

    /// How long to wait after a look that failed.
    pub const fn pause(&self) -> Duration {
        LOOK_EVERY
    }

    /// Looks who leads, and takes the lead when it is free.
    ///
    /// # Errors
    /// When the database does not answer or cannot be understood.
    pub async fn look(&mut self) -> Result<Seen, StoreError> {
        if self.alone {
            return Ok(Seen::Elected(Lease::unending(self.store.take_lead().await?)));
        }
        let lead = self.store.lead().await?;
        let follows_itself = self.fresh && lead.holder == self.holder;
        self.fresh = false;
        if (follows_itself || lead.left.is_zero())
            && let Some(lease) = self.claim(follows_itself).await?
        {
            return Ok(Seen::Elected(lease));
        }
        let wait = if lead.left.is_zero() { LOOK_EVERY } else { lead.left.min(LOOK_EVERY) };
        Ok(Seen::Another(lead, wait))
    }

    async fn claim(&self, follows_itself: bool) -> Result<Option<Lease>, StoreError> {
        let Self { holder, url, ttl, .. } = self;
        let asked = Instant::now();
        let claim = Claim { holder, url, ttl: *ttl, follows_itself };
        let leader = self.store.claim_lead(&claim).await?;
        Ok(leader.map(|leader| Lease::new(leader, asked, *ttl)))
    }

    /// Lets the next one lead at once, when the database hears it.
    ///
    /// # Errors
    /// When the database does not answer; the lease then ends by itself.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        lease.end();
        if lease.ends_at().is_some() {
            self.store.release_lead(lease.leader()).await?;
            info!(leader = lease.leader(), "Gave up the lead");
        }
        Ok(())
    }
}
