//! How often strangers may try a join code.

use std::{
    sync::Mutex,
    sync::PoisonError,
    time::{Duration, Instant},
};

/// Tries that may come at once.
const BURST: f64 = 30.0;
/// Tries that are given back each second.
const PER_SECOND: f64 = 2.0;

/// A bucket of tries shared by all strangers. A code has 256 bits, so this does not stop guessing, which
/// is hopeless; it keeps strangers from working the database.
#[derive(Debug)]
pub struct JoinLimit {
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tries: f64,
    filled_at: Instant,
}

impl Default for JoinLimit {
    fn default() -> Self {
        Self { bucket: Mutex::new(Bucket { tries: BURST, filled_at: Instant::now() }) }
    }
}

impl JoinLimit {
    /// Takes one try.
    ///
    /// # Errors
    /// How long to wait when there is none left.
    pub fn take(&self) -> Result<(), Duration> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tries = passed.mul_add(PER_SECOND, bucket.tries).min(BURST);
        bucket.filled_at = now;
        if bucket.tries < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tries) / PER_SECOND));
        }
        bucket.tries -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_run_out_and_come_back() {
        let limit = JoinLimit::default();
        let start = Instant::now();
        let taken = (0..1_000).filter(|_| limit.take_at(start).is_ok()).count();
        assert_eq!(taken, 30);
        assert!(limit.take_at(start).is_err());
        assert!(limit.take_at(start + Duration::from_secs(1)).is_ok());
    }
}
