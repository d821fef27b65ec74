//! Chance, from a seed: splitmix64. One seed gives one schedule and one series of requests; what the
//! processes make of it is theirs.

use std::time::Duration;

/// A stream of numbers that one seed gives.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of this seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// True so many times in a hundred.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    /// A wait between the two, in milliseconds.
    pub const fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of them; none when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let len = u64::try_from(items.len()).ok().filter(|len| *len > 0)?;
        items.get(usize::try_from(self.draw() % len).unwrap_or(0))
    }

    /// A wait whose mean is this, as between events that know nothing of each other.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        let uniform = (self.between(1, 1 << 32) as f64) / (1_u64 << 32) as f64;
        mean.mul_f64(-uniform.ln())
    }

    /// Puts them into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.between(0, last as u64);
            items.swap(last, usize::try_from(other).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_within_its_bounds() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        let waits: Vec<Duration> =
            (0..1_000).map(|_| a.exponential(Duration::from_secs(5))).collect();
        assert_eq!(waits[0], b.exponential(Duration::from_secs(5)));
        let mean = waits.iter().sum::<Duration>() / 1_000;
        assert!((4..6).contains(&mean.as_secs()), "{mean:?}");
        assert!((0..1_000).all(|_| (3..=5).contains(&a.between(3, 5))));
        let mut items = [1, 2, 3, 4];
        a.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!((items, a.pick::<u8>(&[])), ([1, 2, 3, 4], None));
    }
}
