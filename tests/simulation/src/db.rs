//! The database as a model: rows, the row that fences, and transactions that fail, hang, come to pass
//! unheard, or are undone by a restart.
//!
//! A transaction is carried out as a whole when it lands. As the first statement of each takes the lock
//! on the one row that fences, transactions land in the order they were begun in, but for rounds that
//! were given up in the network, which come whenever they come; reading waits for nobody, so it may see
//! the state before a transaction that its writer has given up.

mod rows;

use std::collections::BTreeMap;

use mesh_core::{Change, JobRecord, NodeRecord, TaskRecord};
use mesh_schemas::{AttemptKey, EndClass, JobId, JournalId, NodeId, manifest::ManifestSummary};

use crate::{
    env::{Env, Event, Link},
    orchestrator::OnOrchestrator,
    planted::Bug,
    stats::Kind,
};

/// How long a writer waits for the answer before it counts as lost, in milliseconds.
const COMMIT_WAIT_MAX: u64 = 30_000;
/// A leader that was not heard for so long may be replaced, in milliseconds.
pub(crate) const LEAD_MS: u64 = 5_000;

/// An attempt's row.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) node: NodeId,
    pub(crate) ended: Option<EndClass>,
    pub(crate) manifest: Option<ManifestSummary>,
}

/// What a transaction does.
#[derive(Debug)]
pub(crate) enum Write {
    /// Writes a round, if its leader still leads and has not begun another load since.
    Round { leader: u64, load: u64, changes: Vec<Change> },
    /// Begins a load, if the leader still leads.
    Settle { leader: u64 },
    /// Takes the lead, from nobody or from a leader that is silent.
    TakeLead,
}

/// What its writer hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It came to pass; the leader's epoch, or the number of the load.
    Done(u64),
    /// Another one leads.
    NotLeader,
    /// Nobody knows.
    Unavailable,
}

/// Whose transaction it is: which orchestrator, in which of its lives.
pub(crate) type Writer = (usize, u32);

#[derive(Debug)]
struct Flight {
    by: Writer,
    write: Write,
    /// The writer stops waiting then, whatever comes.
    gives_up_at: Option<u64>,
}

/// All rows, and what is under way to them.
#[derive(Debug, Default)]
pub(crate) struct Db {
    pub(crate) jobs: BTreeMap<JobId, JobRecord>,
    pub(crate) tasks: BTreeMap<(JobId, u32), TaskRecord>,
    pub(crate) attempts: BTreeMap<AttemptKey, AttemptRow>,
    pub(crate) nodes: BTreeMap<NodeId, NodeRecord>,
    pub(crate) journals: BTreeMap<(NodeId, JournalId), u64>,
    leader: u64,
    loads: u64,
    renewed_at: u64,
    down_until: u64,
    /// When the last transaction under way lands.
    locked_until: u64,
    flights: BTreeMap<u64, Flight>,
    count: u64,
}

impl Db {
    // ---- who may, and when ----

    pub(crate) fn is_reachable(&self, env: &mut Env, orchestrator: usize) -> bool {
        env.now >= self.down_until && !env.is_cut(Link::Database(orchestrator))
    }

    /// No transaction is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty()
    }

    /// Nobody leads, or whoever does is silent.
    pub(crate) const fn wants_leader(&self, now: u64) -> bool {
        self.leader == 0 || now >= self.renewed_at + LEAD_MS
    }

    /// The leader's epoch, and the number of its load.
    pub(crate) const fn lead(&self) -> (u64, u64) {
        (self.leader, self.loads)
    }

    /// The leader says that it is there; false when it leads no more.
    pub(crate) const fn renew(&mut self, now: u64, leader: u64) -> bool {
        if self.leader != leader {
            return false;
        }
        self.renewed_at = now;
        true
    }

    /// It stops for a while; what is under way is undone.
    pub(crate) fn restart(&mut self, env: &mut Env) {
        env.stats.count(Kind::DatabaseRestart);
        self.down_until = env.now + env.rng.between(500, 10_000);
        self.locked_until = env.now;
        for (transaction, flight) in std::mem::take(&mut self.flights) {
            env.stats.count(Kind::CommitUndone);
            if flight.gives_up_at.is_none() {
                tell(env, 1, flight.by, transaction, Outcome::Unavailable);
            }
        }
    }

    pub(crate) const fn calm_down(&mut self) {
        self.down_until = 0;
    }

    // ---- transactions ----

    /// Begins a transaction; its writer hears of it by its number, or never.
    pub(crate) fn begin(&mut self, env: &mut Env, by: Writer, write: Write) -> u64 {
        self.count += 1;
        let transaction = self.count;
        if !self.is_reachable(env, by.0) {
            tell(env, 5, by, transaction, Outcome::Unavailable);
            return transaction;
        }
        if env.strikes(env.options.commit_crash) {
            env.stats.count(Kind::CrashAtCommit);
            let what = OnOrchestrator::Crash { life: by.1 };
            let wait = env.rng.between(0, 25);
            env.after(wait, Event::Orchestrator { index: by.0, what });
        }
        if env.strikes(env.options.commit_fails) {
            env.stats.count(Kind::CommitFailed);
            tell(env, 2, by, transaction, Outcome::Unavailable);
            return transaction;
        }
        let unknown = env.strikes(env.options.commit_unknown);
        let is_round = matches!(write, Write::Round { .. });
        if unknown && is_round && env.rng.chance(200) {
            // It is still in the network when its writer gives it up.
            env.stats.count(Kind::CommitUnknown);
            let wait = env.rng.between(1, 5_000);
            let lands_in = wait + env.rng.between(1, COMMIT_WAIT_MAX);
            env.after(lands_in, Event::Land { transaction });
            tell(env, wait, by, transaction, Outcome::Unavailable);
            let gives_up_at = Some(env.now + wait);
            self.flights.insert(transaction, Flight { by, write, gives_up_at });
            return transaction;
        }
        let slow = env.strikes(if unknown { 300 } else { 5 });
        let wait = env.rng.between(1, if slow { 20_000 } else { 10 });
        self.locked_until = self.locked_until.max(env.now) + wait;
        let lands_in = self.locked_until - env.now;
        env.after(lands_in, Event::Land { transaction });
        let mut gives_up_at = None;
        if unknown || lands_in >= COMMIT_WAIT_MAX {
            env.stats.count(Kind::CommitUnknown);
            let wait = env.rng.between(1, lands_in.min(COMMIT_WAIT_MAX) + 10);
            gives_up_at = Some(env.now + wait);
            tell(env, wait, by, transaction, Outcome::Unavailable);
        }
        self.flights.insert(transaction, Flight { by, write, gives_up_at });
        transaction
    }

    /// Carries a transaction out; what was written.
    pub(crate) fn land(&mut self, env: &mut Env, transaction: u64) -> Option<Vec<Change>> {
        let flight = self.flights.remove(&transaction)?;
        let (outcome, changes) = self.carry_out(env, flight.write);
        match flight.gives_up_at {
            Some(time) if time < env.now => env.stats.count(Kind::CommitLate),
            Some(_) => {}
            None if env.is_cut(Link::Database(flight.by.0)) => {
                env.stats.count(Kind::CommitUnknown);
                tell(env, 2_000, flight.by, transaction, Outcome::Unavailable);
            }
            None => tell(env, 1, flight.by, transaction, outcome),
        }
        changes
    }

    fn carry_out(&mut self, env: &mut Env, write: Write) -> (Outcome, Option<Vec<Change>>) {
        match write {
            Write::Round { leader, load, changes } => {
                let fenced = env.options.bug != Some(Bug::OldLeaderNotFenced);
                if leader != self.leader && fenced {
                    return (Outcome::NotLeader, None);
                }
                if load != self.loads && env.options.bug != Some(Bug::OldLoadNotFenced) && fenced {
                    env.stats.count(Kind::OldLoadRefused);
                    return (Outcome::NotLeader, None);
                }
                if !self.admits(&changes) {
                    env.stats.count(Kind::CommitFailed);
                    return (Outcome::Unavailable, None);
                }
                self.commit(env, &changes);
                (Outcome::Done(leader), Some(changes))
            }
            Write::Settle { leader } => {
                if leader != self.leader {
                    return (Outcome::NotLeader, None);
                }
                self.loads += 1;
                (Outcome::Done(self.loads), None)
            }
            Write::TakeLead => {
                if !self.wants_leader(env.now) {
                    return (Outcome::NotLeader, None);
                }
                self.leader += 1;
                self.renewed_at = env.now;
                (Outcome::Done(self.leader), None)
            }
        }
    }

    /// Writes changes at once.
    pub(crate) fn commit(&mut self, env: &mut Env, changes: &[Change]) {
        env.stats.count(Kind::Committed);
        env.mix(u64::try_from(changes.len()).unwrap_or(0));
        changes.iter().for_each(|change| self.apply(change));
        env.observer.committed(changes, &mut env.stats);
    }
}

fn tell(env: &mut Env, wait: u64, by: Writer, transaction: u64, outcome: Outcome) {
    let what = OnOrchestrator::Told { life: by.1, transaction, outcome };
    env.after(wait, Event::Orchestrator { index: by.0, what });
}
