//! The modelled disk, under a journal.

use mesh_node_core::{Record, journal::Recovered};

use super::{Faults, surroundings};
use crate::{
    env::Env,
    machine::disk::{self, Append},
};

/// How an append ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// It is written.
    Done,
    /// There was no room.
    Refused,
    /// Whoever wrote died in the middle of it or after it.
    Died,
}

/// One disk.
#[derive(Debug)]
pub struct Disk {
    env: Env,
    disk: disk::Disk,
}

impl Disk {
    /// The disk of this seed; of a thousand appends so many are the writer's last.
    pub fn new(seed: u64, deaths: u64) -> Self {
        let mut env = surroundings(seed, Faults::Any);
        env.options.append_crash = deaths;
        Self { env, disk: disk::Disk::default() }
    }

    /// Appends records in one write.
    pub fn append(&mut self, records: Vec<Record>) -> Written {
        match self.disk.append(&mut self.env, records) {
            Append::Done => Written::Done,
            Append::Full => Written::Refused,
            Append::Torn | Append::Died => Written::Died,
        }
    }

    /// Replaces the journal.
    pub fn compact(&mut self, records: Vec<Record>) {
        self.disk.compact(records);
    }

    /// There is no room, or room again.
    pub fn fill(&mut self, full: bool) {
        match full {
            true => self.disk.fill(&mut self.env),
            false => self.disk.make_room(),
        }
    }

    /// The next life of whoever writes reads what is there.
    pub fn read(&mut self) -> Recovered {
        self.disk.read(&mut self.env, 0)
    }
}
