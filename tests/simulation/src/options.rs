//! What one seed's world is like, and which bug is planted in it.

use std::time::Duration;

use mesh_core::Config;

use crate::rng::Rng;

/// How long a node must be silent for the planted rescue to take its work away.
pub(crate) const RESCUE_AFTER: Duration = Duration::from_secs(30);

/// A bug put in on purpose, to see that the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The end of any attempt is recorded, whoever holds the task by then.
    NoFence,
    /// Clients and nodes are answered before the commit.
    AckBeforeCommit,
    /// Leases of silent nodes are ended by a loop that reads, waits, and writes without looking again.
    RescueWithoutCas,
    /// No bug but a control: the same loop, which does look again. Nothing may find fault with it.
    RescueWithCas,
}

impl Bug {
    /// Each that is one.
    pub const ALL: [Self; 3] = [Self::NoFence, Self::AckBeforeCommit, Self::RescueWithoutCas];
}

/// One seed's world. Chances are per mille.
#[derive(Debug, Clone)]
pub struct Options {
    /// What all chance comes from.
    pub seed: u64,
    /// A bug to plant.
    pub bug: Option<Bug>,
    /// Machines.
    pub nodes: usize,
    /// Users, each with requests of their own.
    pub clients: usize,
    /// Jobs that each of them submits.
    pub jobs: u64,
    /// How long faults go on, in milliseconds.
    pub faults_ms: u64,
    /// Time from one fault to the next, on average, in milliseconds.
    pub fault_every_ms: u64,
    /// Messages that vanish.
    pub drop: u64,
    /// Messages that come twice.
    pub double: u64,
    /// Messages that take seconds.
    pub slow: u64,
    /// Rounds whose commit does not come to pass.
    pub commit_fails: u64,
    /// Rounds whose commit comes to pass and whose answer is lost.
    pub commit_unknown: u64,
    /// Rounds in which the orchestrator dies.
    pub round_crash: u64,
}

impl Options {
    /// The world of this seed.
    pub fn of(seed: u64, bug: Option<Bug>) -> Self {
        let mut rng = Rng::new(seed ^ 0x006d_6573_685f_7369);
        Self {
            seed,
            bug,
            nodes: usize::try_from(rng.between(1, 4)).unwrap_or(1),
            clients: usize::try_from(rng.between(1, 3)).unwrap_or(1),
            jobs: rng.between(1, 5),
            faults_ms: rng.between(20_000, 90_000),
            fault_every_ms: rng.between(1_500, 8_000),
            drop: rng.between(0, 120),
            double: rng.between(0, 100),
            slow: rng.between(0, 60),
            commit_fails: rng.between(0, 25),
            commit_unknown: rng.between(0, 25),
            round_crash: rng.between(0, 15),
        }
    }

    /// The planted rescue loop runs.
    pub(crate) const fn rescues(&self) -> bool {
        matches!(self.bug, Some(Bug::RescueWithoutCas | Bug::RescueWithCas))
    }

    /// The core's figures: the product's, with a shorter grace so that more happens in a seed.
    pub fn config(&self) -> Config {
        let mut config = Config { startup_grace: Duration::from_secs(35), ..Config::default() };
        if self.rescues() {
            // The core is to come too late, so that the planted loop does the rescuing.
            config.lease_ttl = RESCUE_AFTER * 4;
        }
        config
    }
}
