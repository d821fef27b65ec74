//! The clocks that the cores are kept free of.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_schemas::Timestamp;

/// The wall clock's time; it may jump. For what people read, not for deciding about leases.
pub fn now() -> Timestamp {
    from_system(SystemTime::now())
}

/// The time of a file or another system clock reading; before 1970 is 1970.
pub fn from_system(time: SystemTime) -> Timestamp {
    Timestamp::default() + time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Time that never goes back and never jumps: one reading of the wall clock at the start, and the
/// monotonic clock from there on. Leases are judged by it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_at_start: Timestamp,
    start: Instant,
}

impl Clock {
    /// Reads the wall clock, once.
    pub fn start() -> Self {
        Self { wall_at_start: now(), start: Instant::now() }
    }

    /// Never earlier than an answer before.
    pub fn now(&self) -> Timestamp {
        self.wall_at_start + self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_at_the_wall_time_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(now().since(first) < Duration::from_secs(5));
        assert!((0..1_000).map(|_| clock.now()).is_sorted());
    }

    #[test]
    fn a_time_before_1970_is_1970() {
        assert_eq!(from_system(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::default());
    }
}
