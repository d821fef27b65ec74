//! What a model may do, and whether something is within that.

use std::{collections::BTreeMap, fmt::Debug};

/// Seeds that a model goes through a law with.
const SEEDS: u64 = 2_000;

/// Everything that the model did, and the first seed that did it.
#[derive(Debug)]
pub(crate) struct May<T>(BTreeMap<T, u64>);

impl<T: Ord + Debug> May<T> {
    /// Goes through the scenario with each seed; the law in it must hold each time.
    pub(crate) async fn of(scenario: impl AsyncFn(u64) -> T) -> Self {
        let mut all = BTreeMap::new();
        for seed in 0..SEEDS {
            all.entry(scenario(seed).await).or_insert(seed);
        }
        Self(all)
    }

    /// What the real thing did the model may do as well.
    ///
    /// # Panics
    /// When it may not: the model has drifted.
    pub(crate) fn admits(&self, did: &T) {
        assert!(
            self.0.contains_key(did),
            "drift: the real one did {did:?}, and the model never does; it does {:?}",
            self.0.keys()
        );
    }
}
