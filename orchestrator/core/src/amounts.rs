//! Amounts of what nodes have and tasks need, as numbers that can be added and compared.

use std::collections::BTreeMap;

use mesh_schemas::{message::Capacity, spec::Resources};

/// One number for each kind of resource. Kinds that are not named are zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Amounts {
    /// Thousandths of a processor.
    cpu: u64,
    /// Bytes.
    memory: u64,
    /// Bytes.
    disk: u64,
    /// Whole processors.
    gpu: u64,
    /// Units, by pool; never zero.
    pools: BTreeMap<String, u64>,
}

/// A kind of resource of which there is too little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    /// As in `resources.<name>` of a spec.
    pub(crate) name: String,
    /// What was wanted of it.
    pub(crate) wanted: u64,
    /// What there is.
    pub(crate) there: u64,
}

impl Amounts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.memory = self.memory.saturating_add(other.memory);
        self.disk = self.disk.saturating_add(other.disk);
        self.gpu += other.gpu;
        for (name, amount) in &other.pools {
            *self.pools.entry(name.clone()).or_default() += amount;
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.cpu = self.cpu.saturating_sub(other.cpu);
        self.memory = self.memory.saturating_sub(other.memory);
        self.disk = self.disk.saturating_sub(other.disk);
        self.gpu = self.gpu.saturating_sub(other.gpu);
        for (name, amount) in &other.pools {
            if let Some(mine) = self.pools.get_mut(name) {
                *mine = mine.saturating_sub(*amount);
            }
        }
        self.pools.retain(|_, amount| *amount > 0);
    }

    /// True when `capacity` holds this and `wanted`.
    pub(crate) fn fits(&self, wanted: &Self, capacity: &Self) -> bool {
        self.fits_with_excess(wanted, 0, capacity)
    }

    /// True when this and `wanted` are within `capacity` and `excess` times `wanted`.
    pub(crate) fn fits_with_excess(&self, wanted: &Self, excess: u64, capacity: &Self) -> bool {
        let fits = |used: u64, wanted: u64, capacity: u64| {
            let most = capacity.saturating_add(wanted.saturating_mul(excess));
            wanted == 0 || used.saturating_add(wanted) <= most
        };
        fits(self.cpu, wanted.cpu, capacity.cpu)
            && fits(self.memory, wanted.memory, capacity.memory)
            && fits(self.disk, wanted.disk, capacity.disk)
            && fits(self.gpu, wanted.gpu, capacity.gpu)
            && wanted
                .pools
                .iter()
                .all(|(name, amount)| fits(self.pool(name), *amount, capacity.pool(name)))
    }

    /// How many of `wanted` go into what `capacity` leaves beside this.
    pub(crate) fn room_for(&self, wanted: &Self, capacity: &Self) -> u64 {
        let room = |used: u64, wanted: u64, capacity: u64| {
            capacity.saturating_sub(used).checked_div(wanted).unwrap_or(u64::MAX)
        };
        let pools = wanted
            .pools
            .iter()
            .map(|(name, amount)| room(self.pool(name), *amount, capacity.pool(name)));
        [
            room(self.cpu, wanted.cpu, capacity.cpu),
            room(self.memory, wanted.memory, capacity.memory),
            room(self.disk, wanted.disk, capacity.disk),
            room(self.gpu, wanted.gpu, capacity.gpu),
        ]
        .into_iter()
        .chain(pools)
        .min()
        .unwrap_or(0)
    }

    /// The fullest kind, in thousandths of the capacity; above 1,000 when work waits on the node.
    pub(crate) fn load(&self, capacity: &Self) -> u64 {
        let share = |used: u64, capacity: u64| {
            let thousandths = u128::from(used) * 1_000 / u128::from(capacity.max(1));
            u64::try_from(thousandths).unwrap_or(u64::MAX)
        };
        share(self.cpu, capacity.cpu)
            .max(share(self.memory, capacity.memory))
            .max(share(self.disk, capacity.disk))
            .max(share(self.gpu, capacity.gpu))
    }

    /// Kinds of which `capacity` has less than this.
    pub(crate) fn lacks(&self, capacity: &Self) -> Vec<Lack> {
        let kinds = [
            ("cpu", self.cpu, capacity.cpu),
            ("memory", self.memory, capacity.memory),
            ("disk", self.disk, capacity.disk),
            ("gpu", self.gpu, capacity.gpu),
        ];
        let plain = kinds.into_iter().map(|(name, wanted, there)| (name.to_owned(), wanted, there));
        let pools = self
            .pools
            .iter()
            .map(|(name, wanted)| (format!("pools.{name}"), *wanted, capacity.pool(name)));
        plain
            .chain(pools)
            .filter(|(_, wanted, there)| wanted > there)
            .map(|(name, wanted, there)| Lack { name, wanted, there })
            .collect()
    }

    fn pool(&self, name: &str) -> u64 {
        self.pools.get(name).copied().unwrap_or(0)
    }
}

fn pools(named: &BTreeMap<String, u32>) -> BTreeMap<String, u64> {
    let some = named.iter().filter(|(_, amount)| **amount > 0);
    some.map(|(name, amount)| (name.clone(), u64::from(*amount))).collect()
}

impl From<&Resources> for Amounts {
    fn from(wanted: &Resources) -> Self {
        Self {
            cpu: u64::from(wanted.cpu.0),
            memory: wanted.memory.0,
            disk: wanted.disk.0,
            gpu: u64::from(wanted.gpu),
            pools: pools(&wanted.pools),
        }
    }
}

impl From<&Capacity> for Amounts {
    fn from(capacity: &Capacity) -> Self {
        Self {
            cpu: u64::from(capacity.cpu.0),
            memory: capacity.memory.0,
            disk: capacity.disk.0,
            gpu: u64::from(capacity.gpu),
            pools: pools(&capacity.pools),
        }
    }
}
