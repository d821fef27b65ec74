//! Renewing the lease.

use std::{
    fmt,
    time::{Duration, Instant},
};

use mesh_fabric::error::chain;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::warn;

use super::Lease;
use crate::store::{Store, StoreError};

/// A lease is renewed so many times before it would end.
const RENEWALS: u32 = 3;

/// Why a lead ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The database did not answer in time, or this process did not ask in time.
    Expired,
    /// Another orchestrator has it.
    Taken,
}

impl Lost {
    /// As a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Taken => "taken",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its lease ended before it was renewed",
            Self::Taken => "another orchestrator has taken it",
        })
    }
}

/// Renews the lease until it is lost. A lease that does not end by time is never lost.
pub async fn keep(store: &dyn Store, lease: &Lease, ttl: Duration) -> Lost {
    let mut ticks = interval(ttl / RENEWALS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(until) = lease.ends_at() else { return std::future::pending().await };
        let renewed = async {
            ticks.tick().await;
            let asked = Instant::now();
            (asked, store.renew_lead(lease.leader(), ttl).await)
        };
        tokio::select! {
            // First: who was frozen must not extend what somebody else may hold by now.
            biased;
            () = sleep_until(until.into()) => return Lost::Expired,
            (asked, renewed) = renewed => match renewed {
                Ok(()) => lease.extend(asked, ttl),
                Err(StoreError::NotLeader { .. }) => return Lost::Taken,
                Err(error) => warn!("Cannot renew the lead: {}", chain(&error)),
            },
        }
    }
}
