//! The figures that the core decides by.

use std::time::Duration;

/// Time spans and bounds of leases and placement. The defaults are those of RELIABILITY §1.3: a dead
/// node's work is queued again within 35 s.
#[derive(Debug, Clone)]
pub struct Config {
    /// How often nodes beat.
    pub beat_every: Duration,
    /// Silence after which a node is suspect and gets nothing new.
    pub suspect_after: Duration,
    /// How long a lease lasts without a beat that names its attempt.
    pub lease_ttl: Duration,
    /// How long loaded leases last after a start, so that the orchestrator's own outage ends no work.
    pub startup_grace: Duration,
    /// How long a granted attempt may stay unmentioned in beats before its command is sent again.
    pub resend_after: Duration,
    /// How much work, in time, a node may hold beyond what runs there, once the mean duration of the
    /// same work is known. Zero turns prefetching off.
    pub prefetch_time: Duration,
    /// Most attempts that a node may hold beyond what its resources run at once.
    pub prefetch_max: u32,
    /// How long what was granted ahead may wait on its node before it is taken back.
    pub recall_after: Duration,
    /// First wait before a task that failed is tried again; doubles with each try.
    pub retry_wait_min: Duration,
    /// Longest such wait.
    pub retry_wait_max: Duration,
    /// A node whose last so many attempts, of different tasks, were all lost by its own fault is
    /// quarantined.
    pub node_losses_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            beat_every: Duration::from_secs(5),
            suspect_after: Duration::from_secs(12),
            lease_ttl: Duration::from_secs(30),
            startup_grace: Duration::from_secs(60),
            resend_after: Duration::from_secs(4),
            prefetch_time: Duration::from_millis(250),
            prefetch_max: 512,
            recall_after: Duration::from_secs(2),
            retry_wait_min: Duration::from_secs(1),
            retry_wait_max: Duration::from_secs(60),
            node_losses_max: 5,
        }
    }
}
