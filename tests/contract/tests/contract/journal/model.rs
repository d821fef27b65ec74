//! The simulation's disk.

use mesh_contract::{batch, kept, record};
use mesh_node_core::journal::Recovered;
use mesh_sim::models::{self, Written};

use super::Disk;

/// Of a thousand writes so many are the writer's last, so that most live to compact the journal.
const DEATHS: u64 = 30;

pub(super) struct Model {
    disk: models::Disk,
    seed: u64,
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        Self { disk: models::Disk::new(seed, DEATHS), seed }
    }
}

impl Disk for Model {
    async fn kill_amid_writes(&mut self) -> u64 {
        for write in 0.. {
            if self.disk.append(batch(write)) != Written::Done {
                return write;
            }
            if let Some(records) = kept(write) {
                self.disk.compact(records);
            }
        }
        unreachable!("it writes until it dies")
    }

    async fn write_until_full(&mut self) -> u64 {
        self.disk = models::Disk::new(self.seed, 0);
        let writes = self.seed % 50;
        for write in 0..writes {
            assert_eq!(self.disk.append(batch(write)), Written::Done);
            if let Some(records) = kept(write) {
                self.disk.compact(records);
            }
        }
        self.disk.fill(true);
        assert_eq!(self.disk.append(batch(writes)), Written::Refused);
        self.disk.fill(false);
        writes
    }

    async fn read(&mut self) -> Recovered {
        self.disk.read()
    }

    async fn append_after(&mut self, number: u64) -> bool {
        // Once more it may die; the next life tries again.
        while self.disk.append(vec![record(number + 1)]) != Written::Done {
            if self.disk.read().records.last() == Some(&record(number + 1)) {
                break;
            }
        }
        true
    }
}
