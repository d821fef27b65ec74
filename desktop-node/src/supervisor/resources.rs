//! What the node has, and what of it is free.

use std::collections::BTreeMap;

use mesh_schemas::{message::Capacity, spec::Resources};

/// Amounts of what attempts hold while they run. The disk is not held: attempts share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amounts {
    cpu_millis: u64,
    memory_bytes: u64,
    gpu: u64,
    pools: BTreeMap<String, u64>,
}

impl From<&Capacity> for Amounts {
    fn from(capacity: &Capacity) -> Self {
        Self {
            cpu_millis: capacity.cpu.0.into(),
            memory_bytes: capacity.memory.0,
            gpu: capacity.gpu.into(),
            pools: widen(&capacity.pools),
        }
    }
}

fn widen(pools: &BTreeMap<String, u32>) -> BTreeMap<String, u64> {
    pools.iter().map(|(name, units)| (name.clone(), u64::from(*units))).collect()
}

impl Amounts {
    /// True when all that is asked for is here.
    pub(super) fn holds(&self, asked: &Resources) -> bool {
        u64::from(asked.cpu.0) <= self.cpu_millis
            && asked.memory.0 <= self.memory_bytes
            && u64::from(asked.gpu) <= self.gpu
            && asked.pools.iter().all(|(name, units)| {
                u64::from(*units) <= self.pools.get(name).copied().unwrap_or(0)
            })
    }

    /// Takes what [`Self::holds`] said is here.
    pub(super) fn take(&mut self, asked: &Resources) {
        self.cpu_millis = self.cpu_millis.saturating_sub(asked.cpu.0.into());
        self.memory_bytes = self.memory_bytes.saturating_sub(asked.memory.0);
        self.gpu = self.gpu.saturating_sub(asked.gpu.into());
        for (name, units) in &asked.pools {
            if let Some(free) = self.pools.get_mut(name) {
                *free = free.saturating_sub((*units).into());
            }
        }
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&mut self, held: &Resources) {
        self.cpu_millis += u64::from(held.cpu.0);
        self.memory_bytes = self.memory_bytes.saturating_add(held.memory.0);
        self.gpu += u64::from(held.gpu);
        for (name, units) in &held.pools {
            if let Some(free) = self.pools.get_mut(name) {
                *free += u64::from(*units);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{ByteSize, Cpu};

    use super::*;

    #[test]
    fn what_was_taken_comes_back_whole() {
        let pools = BTreeMap::from([("licence".to_owned(), 1)]);
        let capacity = Capacity {
            cpu: Cpu(2_000),
            memory: ByteSize::mib(64),
            gpu: 1,
            pools: pools.clone(),
            ..Capacity::default()
        };
        let whole = Amounts::from(&capacity);
        let asked = Resources { memory: ByteSize::mib(64), gpu: 1, pools, ..Resources::default() };
        let mut free = whole.clone();
        assert!(free.holds(&asked));
        free.take(&asked);
        assert!(!free.holds(&asked));
        assert!(free.holds(&Resources::default()));
        free.give_back(&asked);
        assert_eq!(free, whole);
    }

    #[test]
    fn a_pool_that_the_node_lacks_never_fits() {
        let pools = BTreeMap::from([("licence".to_owned(), 1)]);
        let asked = Resources { pools, ..Resources::default() };
        let capacity = Capacity { cpu: Cpu(9_000), ..Capacity::default() };
        assert!(!Amounts::from(&capacity).holds(&asked));
    }
}
