//! Whole worlds of the simulation, round by round, on every database: each reads as the model does.

use std::collections::BTreeSet;

use mesh_core::Change;
use mesh_orchestrator::store::{Round, Store};
use mesh_schemas::{AttemptKey, JobId};
use mesh_sim::models::{Database as Model, Faults, Told, rounds_of};

use super::{laws::assert_same, sql::Sql};

/// Worlds.
const SEEDS: u64 = 3;
/// After so many rounds both are loaded and compared.
const COMPARE_EVERY: usize = 10;

/// What may be asked for by its name.
#[derive(Default)]
struct Named {
    jobs: BTreeSet<JobId>,
    keys: BTreeSet<String>,
    attempts: BTreeSet<AttemptKey>,
}

impl Named {
    fn note(&mut self, change: &Change) {
        match change {
            Change::JobAccepted(job) => {
                self.jobs.insert(job.id);
                self.keys.extend(job.spec.idempotency_key.clone());
            }
            Change::AttemptLeased { attempt, .. } => {
                self.attempts.insert(*attempt);
            }
            Change::JobProgress { .. }
            | Change::Task(_)
            | Change::AttemptStarted { .. }
            | Change::AttemptManifest { .. }
            | Change::AttemptEnded(_)
            | Change::AttemptReopened { .. }
            | Change::Node(_)
            | Change::NodeJournal { .. }
            | Change::Event(_) => {}
        }
    }
}

async fn both_read_the_same(model: &Model, store: &dyn Store, named: &Named, when: &str) {
    assert_same(&model.load(), &store.load().await.unwrap().0, when);
    for key in &named.keys {
        let found = store.by_idempotency_keys(std::slice::from_ref(key)).await.unwrap().remove(0);
        let (one, other) = (format!("{:?}", model.by_key(key)), format!("{found:?}"));
        assert_eq!(one, other, "{when}: {key}");
    }
    for job in &named.jobs {
        assert_eq!(model.retryable(*job), store.retryable(*job).await.unwrap(), "{when}: {job}");
    }
    for attempt in &named.attempts {
        let node = store.attempt_node(*attempt).await.unwrap();
        assert_eq!(model.attempt(*attempt).map(|(node, _)| node), node, "{when}: {attempt}");
    }
}

async fn world(seed: u64, store: &dyn Store) {
    let mut model = Model::new(seed, Faults::None);
    let (mut leader, mut load, mut named) = (0, 0, Named::default());
    let rounds = rounds_of(seed);
    assert!(rounds.len() > COMPARE_EVERY, "seed {seed} has {} rounds", rounds.len());
    for (number, landed) in rounds.iter().enumerate() {
        while leader < landed.leader {
            model.let_lease_end();
            let taken = model.take_lead();
            leader = store.take_lead().await.unwrap();
            assert_eq!(model.answer(taken), Told::Done(leader));
        }
        while load < landed.load {
            let settled = model.settle(leader);
            load = store.settle(leader).await.unwrap();
            assert_eq!(model.answer(settled), Told::Done(load));
        }
        landed.changes.iter().for_each(|change| named.note(change));
        let transaction = model.round(leader, load, landed.changes.clone());
        assert_eq!(model.answer(transaction), Told::Done(leader), "seed {seed}, round {number}");
        let round = Round { leader, load, changes: &landed.changes, position: None };
        store.commit(round).await.unwrap();
        if number % COMPARE_EVERY == 0 || number + 1 == rounds.len() {
            let when = format!("seed {seed} after round {number}");
            both_read_the_same(&model, store, &named, &when).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_reads_what_the_model_reads_in_whole_worlds() {
    for seed in 0..SEEDS {
        world(seed, &*Sql::sqlite().await.store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_reads_what_the_model_reads_in_whole_worlds() {
    for seed in 0..SEEDS {
        world(seed, &*Sql::postgres().await.store).await;
    }
}
