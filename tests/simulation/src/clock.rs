//! A machine's clocks: one on the wall that is wrong and may be set, and one that only runs on, a little
//! fast or slow.

use mesh_schemas::Timestamp;

use crate::env::Env;

/// What a wall clock shows at the world's beginning when it is right.
const BEGIN: i64 = 1_700_000_000_000;

/// One machine's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// How far the wall clock is off, in milliseconds.
    skew: i64,
    drift_ppm: i64,
}

impl Clock {
    /// A clock that is off by up to so many milliseconds either way, and drifts.
    pub(crate) fn new(env: &mut Env, skew_max: u64) -> Self {
        let drift = env.options.drift_ppm;
        let either_way = |value: u64, max: u64| signed(value) - signed(max);
        let skew = either_way(env.rng.between(0, 2 * skew_max), skew_max);
        let drift_ppm = either_way(env.rng.between(0, 2 * drift), drift);
        Self { skew, drift_ppm }
    }

    /// What the wall clock shows.
    pub(crate) fn wall(&self, now: u64) -> Timestamp {
        let now = signed(now);
        Timestamp::from_millis(BEGIN + self.skew + now + now * self.drift_ppm / 1_000_000)
    }

    /// Somebody sets the wall clock; what was started before runs on from what it had read.
    pub(crate) const fn set_forward(&mut self, millis: i64) {
        self.skew += millis;
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
