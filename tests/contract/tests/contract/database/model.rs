//! The simulation's database.

use mesh_contract::round;
use mesh_core::{Change, Existing, Snapshot};
use mesh_sim::models::{self, Faults, Told};

use super::{Database, Lead};

/// Rounds before it is killed in the middle of one, at most.
const ROUNDS_MAX: u64 = 5;
/// How often a new leader tries to begin its load.
const TRIES: u32 = 20;

pub(super) struct Model {
    database: models::Database,
    seed: u64,
    faults: Faults,
}

impl Model {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self { database: models::Database::new(seed, faults), seed, faults }
    }
}

impl Database for Model {
    async fn claim(&mut self) -> Option<Lead> {
        let transaction = self.database.take_lead();
        let Told::Done(leader) = self.database.answer(transaction) else { return None };
        for _ in 0..TRIES {
            if let Told::Done(load) = self.settle(leader).await {
                return Some(Lead { leader, load });
            }
        }
        None
    }

    async fn let_lease_end(&mut self, _: u64) {
        self.database.let_lease_end();
    }

    async fn renew(&mut self, leader: u64) -> bool {
        self.database.renew(leader)
    }

    async fn settle(&mut self, leader: u64) -> Told {
        let transaction = self.database.settle(leader);
        self.database.answer(transaction)
    }

    async fn commit(&mut self, lead: Lead, changes: Vec<Change>) -> Told {
        let transaction = self.database.round(lead.leader, lead.load, changes);
        self.database.answer(transaction)
    }

    async fn load_amid(&mut self, lead: Lead, changes: Vec<Change>) -> (Snapshot, Told) {
        let transaction = self.database.round(lead.leader, lead.load, changes);
        let seen = self.database.load();
        (seen, self.database.answer(transaction))
    }

    async fn give_up(&mut self, lead: Lead, changes: Vec<Change>) -> Told {
        self.database.round(lead.leader, lead.load, changes);
        self.settle(lead.leader).await
    }

    async fn run_out(&mut self) {
        self.database.run();
    }

    async fn kill_amid_rounds(&mut self) -> u32 {
        // A lead that is not had is asked for again once whoever may have it is silent.
        let lead = loop {
            if let Some(lead) = self.claim().await {
                break lead;
            }
            self.database.let_lease_end();
        };
        let mut answered = 0;
        for number in 1.. {
            let transaction = self.database.round(lead.leader, lead.load, round(number));
            let killed = u64::from(number) > self.seed % ROUNDS_MAX;
            if killed {
                for _ in 0..self.seed % 3 {
                    self.database.pass();
                }
                self.database.restart();
            }
            // Whoever is not answered, or has been killed, writes no more under this lead.
            match self.database.answer(transaction) {
                Told::Done(_) => answered = number,
                Told::NotLeader | Told::Unavailable => break,
            }
            if killed {
                break;
            }
        }
        self.database.run();
        answered
    }

    async fn load(&mut self) -> Snapshot {
        self.database.load()
    }

    async fn by_key(&mut self, key: &str) -> Option<Existing> {
        self.database.by_key(key)
    }

    async fn fresh(&self) -> Self {
        Self::new(self.seed, self.faults)
    }
}
