//! The modelled database, and two writers that take turns at it.

use mesh_core::{Change, Existing, Snapshot, TaskRecord};
use mesh_schemas::{AttemptKey, EndClass, JobId, NodeId};

use super::{Faults, surroundings};
use crate::{
    db::{Db, LEAD_MS, Outcome, Write},
    env::{Env, Event},
    orchestrator::OnOrchestrator,
};

/// What a writer hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// It came to pass; the leader's epoch, or the number of the load.
    Done(u64),
    /// Another one leads, or the state was loaded again since, or somebody else's lease still runs.
    NotLeader,
    /// Nobody knows.
    Unavailable,
}

/// One database.
#[derive(Debug)]
pub struct Database {
    env: Env,
    db: Db,
}

impl Database {
    /// The database of this seed.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { env: surroundings(seed, faults), db: Db::default() }
    }

    /// Begins to take the lead; the transaction's number.
    pub fn take_lead(&mut self) -> u64 {
        self.db.begin(&mut self.env, (0, 0), Write::TakeLead)
    }

    /// Begins to begin a load; the transaction's number.
    pub fn settle(&mut self, leader: u64) -> u64 {
        self.db.begin(&mut self.env, (0, 0), Write::Settle { leader })
    }

    /// Begins a round that was decided on this load; the transaction's number.
    pub fn round(&mut self, leader: u64, load: u64, changes: Vec<Change>) -> u64 {
        self.db.begin(&mut self.env, (0, 0), Write::Round { leader, load, changes })
    }

    /// The leader says that it is there; false when it leads no more.
    pub const fn renew(&mut self, leader: u64) -> bool {
        self.db.renew(self.env.now, leader)
    }

    /// So long passes that a silent leader may be replaced.
    pub fn let_lease_end(&mut self) {
        self.run();
        self.env.now += LEAD_MS;
    }

    /// It stops, which undoes what is under way, and comes back.
    pub fn restart(&mut self) {
        self.db.restart(&mut self.env);
        self.db.calm_down();
    }

    /// Lets things happen until the writer of this transaction hears of it.
    pub fn answer(&mut self, transaction: u64) -> Told {
        while let Some(told) = self.step() {
            match told {
                Some((number, outcome)) if number == transaction => return outcome,
                Some(_) | None => {}
            }
        }
        // It fell to a restart after its writer had given it up.
        Told::Unavailable
    }

    /// Lets the next thing happen; false when there is none.
    pub fn pass(&mut self) -> bool {
        self.step().is_some()
    }

    /// Lets everything happen that is under way.
    pub fn run(&mut self) {
        while self.pass() {}
    }

    fn step(&mut self) -> Option<Option<(u64, Told)>> {
        match self.env.next()? {
            Event::Land { transaction } => {
                self.db.land(&mut self.env, transaction);
            }
            Event::Orchestrator {
                what: OnOrchestrator::Told { transaction, outcome, .. }, ..
            } => {
                let told = match outcome {
                    Outcome::Done(leader) => Told::Done(leader),
                    Outcome::NotLeader => Told::NotLeader,
                    Outcome::Unavailable => Told::Unavailable,
                };
                return Some(Some((transaction, told)));
            }
            // A writer that died is not looked after here.
            Event::Orchestrator { .. }
            | Event::Arrive { .. }
            | Event::Node { .. }
            | Event::Heal(_)
            | Event::Uploaded { .. }
            | Event::Client { .. }
            | Event::Fault
            | Event::Calm
            | Event::Check => {}
        }
        Some(None)
    }

    // ---- reading ----

    /// All that is live.
    pub fn load(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// The job under an idempotency key.
    pub fn by_key(&self, key: &str) -> Option<Existing> {
        self.db.by_key(key)
    }

    /// Ended tasks of a job that may be tried again.
    pub fn retryable(&self, job: JobId) -> Vec<TaskRecord> {
        self.db.retryable(job)
    }

    /// The node of an attempt, and how it ended.
    pub fn attempt(&self, attempt: AttemptKey) -> Option<(NodeId, Option<EndClass>)> {
        self.db.attempts.get(&attempt).map(|row| (row.node, row.ended))
    }
}
