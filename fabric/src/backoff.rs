//! When to try again: our policies over `backon`, which the advisory on the unmaintained `backoff`
//! crate (RUSTSEC-2025-0012) names as its successor.

use std::{fmt, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder, Retryable as _};

/// How long to wait between attempts, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The first wait.
    pub min: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
    /// What a wait is multiplied by to become the next; at least 1.
    pub factor: f32,
    /// Adds up to one more `min` or wait at random, so that a crowd does not return in step.
    pub jitter: bool,
    /// Attempts in all, the first included; `None` tries for ever.
    pub attempts: Option<usize>,
}

impl Policy {
    /// For requests over a network: 100 ms doubling to 5 s, jittered, six attempts: about 5 s of waiting.
    pub const fn network() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: true,
            attempts: Some(6),
        }
    }

    /// The same, without an end: for connections that must come back whatever happens.
    pub const fn forever() -> Self {
        Self { attempts: None, ..Self::network() }
    }

    /// The waits in order; one fewer than there are attempts.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + Send + 'static {
        self.builder().build()
    }

    fn builder(&self) -> ExponentialBuilder {
        let builder = ExponentialBuilder::new()
            .with_min_delay(self.min)
            .with_max_delay(self.max)
            .with_factor(self.factor.max(1.0));
        let builder = if self.jitter { builder.with_jitter() } else { builder };
        match self.attempts {
            Some(attempts) => builder.with_max_times(attempts.saturating_sub(1)),
            None => builder.without_max_times(),
        }
    }
}

/// Runs `op` until it succeeds, fails with an error that is not `retryable`, or the policy's attempts
/// are used up; the last error is returned. `notify` hears of each failure that will be tried again.
///
/// Dropping the future stops the retries.
pub async fn retry<T, E, Fut, Op, Retryable, Notify>(
    policy: Policy,
    op: Op,
    retryable: Retryable,
    notify: Notify,
) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>>,
    Op: FnMut() -> Fut,
    Retryable: FnMut(&E) -> bool,
    Notify: FnMut(&E, Duration),
{
    op.retry(policy.builder()).when(retryable).notify(notify).await
}

/// A `notify` that logs: what failed, why, and when it is tried again.
pub fn warn<E: fmt::Display>(what: &'static str) -> impl FnMut(&E, Duration) {
    move |error, wait| {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%error, wait_ms, "{what} failed; trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(attempts: Option<usize>) -> Policy {
        Policy {
            min: Duration::ZERO,
            max: Duration::ZERO,
            jitter: false,
            attempts,
            ..Policy::network()
        }
    }

    async fn attempts_until(policy: Policy, fatal: u32, success: u32) -> (Result<u32, u32>, usize) {
        let (mut attempt, mut notified) = (0, 0);
        let op = || {
            attempt += 1;
            std::future::ready(if attempt == success { Ok(attempt) } else { Err(attempt) })
        };
        let result = retry(policy, op, |error| *error != fatal, |_, _| notified += 1).await;
        (result, notified)
    }

    #[tokio::test]
    async fn a_failure_is_tried_again_until_it_succeeds_or_attempts_run_out() {
        assert_eq!(attempts_until(instant(Some(5)), 99, 3).await, (Ok(3), 2));
        assert_eq!(attempts_until(instant(Some(3)), 99, 9).await, (Err(3), 2));
        assert_eq!(attempts_until(instant(None), 99, 50).await, (Ok(50), 49));
    }

    #[tokio::test]
    async fn an_error_that_will_not_heal_ends_at_once() {
        assert_eq!(attempts_until(instant(Some(5)), 1, 3).await, (Err(1), 0));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u128> =
            Policy { jitter: false, ..Policy::network() }.waits().map(|w| w.as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600]);
        let last = Policy { jitter: false, ..Policy::forever() }.waits().nth(100).unwrap();
        assert_eq!(last, Duration::from_secs(5));
    }
}
