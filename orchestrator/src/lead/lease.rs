//! The lease as this process knows it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// The right to speak for the cluster, for now. Cheap to clone; all clones end together.
///
/// It is judged by the monotonic clock, counted from before the database was asked, so that it ends here no
/// later than there. That clock goes on while a process is frozen.
#[derive(Debug, Clone)]
pub struct Lease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    leader: u64,
    /// `None` when it does not end by time.
    until: Mutex<Option<Instant>>,
    over: CancellationToken,
}

impl Lease {
    /// A lease that was asked for at `asked` and lasts for `ttl`.
    pub fn new(leader: u64, asked: Instant, ttl: Duration) -> Self {
        Self::until(leader, Some(asked + ttl))
    }

    /// A lead that nobody else can take: this process alone has the database.
    pub fn unending(leader: u64) -> Self {
        Self::until(leader, None)
    }

    fn until(leader: u64, until: Option<Instant>) -> Self {
        let over = CancellationToken::new();
        Self(Arc::new(Inner { leader, until: Mutex::new(until), over }))
    }

    /// The leader's epoch.
    pub fn leader(&self) -> u64 {
        self.0.leader
    }

    /// True while this process may speak for the cluster.
    pub fn holds(&self) -> bool {
        !self.0.over.is_cancelled() && self.ends_at().is_none_or(|until| Instant::now() < until)
    }

    /// When it ends unless it is renewed; `None` when it does not end by time.
    pub fn ends_at(&self) -> Option<Instant> {
        *self.0.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was renewed by a request made at `asked`.
    pub(super) fn extend(&self, asked: Instant, ttl: Duration) {
        let mut until = self.0.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = until.map(|until| until.max(asked + ttl));
    }

    /// Ends it for good.
    pub fn end(&self) {
        self.0.over.cancel();
    }

    /// Returns once it was ended by [`Self::end`].
    pub async fn ended(&self) {
        self.0.over.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_its_time_or_its_end() {
        let now = Instant::now();
        let over =
            Lease::new(1, now.checked_sub(Duration::from_secs(9)).unwrap(), Duration::from_secs(9));
        assert!(!over.holds());
        let lease = Lease::new(2, now, Duration::from_secs(9));
        assert!(lease.holds());
        lease.clone().end();
        assert!(!lease.holds());
        lease.extend(now, Duration::from_secs(60));
        assert!(!lease.holds(), "what was ended stays so");
        assert!(Lease::unending(3).holds());
    }

    #[test]
    fn a_late_answer_to_an_early_renewal_shortens_nothing() {
        let now = Instant::now();
        let lease = Lease::new(1, now, Duration::from_secs(9));
        lease.extend(now.checked_sub(Duration::from_secs(5)).unwrap(), Duration::from_secs(9));
        assert_eq!(lease.ends_at(), Some(now + Duration::from_secs(9)));
        lease.extend(now + Duration::from_secs(1), Duration::from_secs(9));
        assert_eq!(lease.ends_at(), Some(now + Duration::from_secs(10)));
    }
}
