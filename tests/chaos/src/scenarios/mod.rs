//! What is done to the mesh: one file for each scenario of the list, C1 to C15 and T27. A scenario strikes
//! once and says what it did and what undoes it, when.

mod c01_orchestrator;
mod c02_node;
mod c03_broker;
mod c04_database;
mod c05_frozen_node;
mod c06_frozen_orchestrator;
mod c07_partitions;
mod c08_full_disk;
mod c09_clocks;
mod c10_replay;
mod c11_lying_store;
mod c12_bit_flips;
mod c12_pages;
mod c13_nasty_jobs;
mod c14_rolling;
mod c15_registry;
mod fail_points;
mod t27_revoked;

use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use mesh_tests::proxy::Link;

use crate::{client::Client, cluster::Cluster, rng::Rng};

/// What a scenario works with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The mesh.
    pub cluster: &'a mut Cluster,
    /// Chance.
    pub rng: &'a mut Rng,
    /// For requests that belong to the scenario; they are in the clients' history like all others.
    pub client: &'a Client,
    /// How often something was struck: good for keys.
    pub number: u32,
}

/// What was done.
#[derive(Debug)]
pub struct Strike {
    /// In a few words.
    pub what: String,
    /// What is to be done later, and when.
    pub later: Vec<(Duration, Later)>,
    /// A promise that is broken already.
    pub broken: Option<String>,
    /// The node that died with all of its work.
    pub died: Option<String>,
}

/// Something that is to be done later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// Start a part that was killed.
    Start(String),
    /// Start PostgreSQL.
    StartDatabase,
    /// Let a frozen part go on.
    Thaw(String),
    /// Make a wire good.
    Heal(&'static str),
    /// Take the filler off a small disk.
    Unfill(String),
    /// Take the filler off PostgreSQL's disk, and start it where it gave up.
    UnfillDatabase,
    /// Put a part's clock right.
    RightClock(String),
    /// Stop a part gently; it is started again.
    Roll(String),
}

impl Strike {
    /// Something that needs no undoing.
    pub fn once(what: impl Into<String>) -> Self {
        Self { what: what.into(), later: Vec::new(), broken: None, died: None }
    }

    /// Something that is undone after a while.
    pub fn until(what: impl Into<String>, after: Duration, later: Later) -> Self {
        let what = format!("{}, {:.1} s", what.into(), after.as_secs_f32());
        Self { what, later: vec![(after, later)], broken: None, died: None }
    }

    /// The same, and a node died by it with all of its work.
    pub fn died(self, node: impl Into<String>) -> Self {
        Self { died: Some(node.into()), ..self }
    }
}

impl Later {
    /// Does it.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub fn carry_out(&self, cluster: &mut Cluster) -> anyhow::Result<()> {
        match self {
            Self::Start(part) => cluster.part(part)?.start(),
            Self::StartDatabase => {
                cluster.database.as_mut().context("there is no PostgreSQL")?.start()
            }
            Self::Thaw(part) => {
                cluster.part(part)?.thaw();
                Ok(())
            }
            Self::Heal(wire) => {
                if let Some(link) = cluster.links.get(wire) {
                    link.set(Link::GOOD);
                }
                Ok(())
            }
            Self::Unfill(part) => {
                cluster.tmpfs.get(part).map_or(Ok(()), |tmpfs| Ok(tmpfs.empty_filler()?))
            }
            Self::UnfillDatabase => {
                cluster.database.as_mut().context("there is no PostgreSQL")?.unfill()
            }
            Self::RightClock(part) => match cluster.clocks.get(part) {
                Some(file) => std::fs::write(file, "+0").context("the clock"),
                None => Ok(()),
            },
            Self::Roll(part) => {
                cluster.part(part)?.ask_to_stop();
                Ok(())
            }
        }
    }
}

/// How a scenario strikes.
pub type StrikeFn = for<'a> fn(Stage<'a>) -> BoxFuture<'a, anyhow::Result<Strike>>;

/// One way in which things go wrong.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its number in the list, with a letter for each of its ways.
    pub id: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Does it.
    pub strike: StrikeFn,
    /// Why it cannot be done with this mesh; none when it can.
    pub unfit: fn(&Cluster) -> Option<&'static str>,
}

/// Fits every mesh.
const fn always(_: &Cluster) -> Option<&'static str> {
    None
}

macro_rules! scenarios {
    ($($id:literal, $title:literal, $strike:path, $unfit:expr;)*) => {
        /// All of them.
        pub const ALL: &[Scenario] = &[$(Scenario {
            id: $id,
            title: $title,
            strike: |stage| Box::pin($strike(stage)),
            unfit: $unfit,
        },)*];
    };
}

scenarios! {
    "C1a", "kill -9 of an orchestrator", c01_orchestrator::kill, always;
    "C1b", "an orchestrator dies at each of its fail points", fail_points::orchestrator, always;
    "C2a", "kill -9 of a node's agent", c02_node::kill_agent, always;
    "C2b", "kill -9 of a node's supervisor", c02_node::kill_supervisor, always;
    "C2c", "a node's plug is pulled: all of it dies", c02_node::pull_plug, always;
    "C2d", "kill -9 of a job's process", c02_node::kill_job, always;
    "C2e", "an agent dies at each of its fail points", fail_points::agent, always;
    "C3a", "kill -9 of the broker", c03_broker::kill, always;
    "C3b", "kill -9 of the broker, its store deleted", c03_broker::wipe, always;
    "C4", "kill -9 of PostgreSQL and its children", c04_database::kill, c04_database::unfit;
    "C5", "a node is frozen", c05_frozen_node::freeze, always;
    "C6", "an orchestrator is frozen", c06_frozen_orchestrator::freeze, always;
    "C7a", "a wire stops in both directions", c07_partitions::both_ways, always;
    "C7b", "a wire stops in one direction", c07_partitions::one_way, always;
    "C7c", "all connections of a wire are reset", c07_partitions::reset, always;
    "C7d", "connections are cut at byte N", c07_partitions::cut, always;
    "C7e", "a wire is slow or far", c07_partitions::slow, always;
    "C7f", "a wire refuses new connections", c07_partitions::refuse, always;
    "C8a", "a node's disk is full", c08_full_disk::node, c08_full_disk::node_unfit;
    "C8b", "the object store's disk is full", c08_full_disk::store, c08_full_disk::store_unfit;
    "C8c", "SQLite's disk is full", c08_full_disk::database, c08_full_disk::database_unfit;
    "C8d", "PostgreSQL's disk is full", c08_full_disk::postgres, c08_full_disk::postgres_unfit;
    "C9a", "a node's clock is off", c09_clocks::node, c09_clocks::unfit;
    "C9b", "an orchestrator's clock steps", c09_clocks::orchestrator, c09_clocks::unfit;
    "C10", "the broker's last ten minutes again, in another order", c10_replay::replay, always;
    "C11a", "the object store answers 500 or 503", c11_lying_store::errors, always;
    "C11b", "the object store says yes and keeps nothing", c11_lying_store::lies, always;
    "C11c", "the object store is slow", c11_lying_store::crawls, always;
    "C12a", "a bit of a stored object flips", c12_bit_flips::object, always;
    "C12b", "a bit of a node's journal flips", c12_bit_flips::journal, always;
    "C12c", "a bit of a page of the orchestrator's SQLite flips", c12_pages::orchestrator,
    c12_pages::orchestrator_unfit;
    "C12d", "a bit of a page of the registry's SQLite flips", c12_pages::registry, always;
    "C13", "a job behaves badly", c13_nasty_jobs::submit, always;
    "C14", "every part is restarted, one after the other", c14_rolling::roll, always;
    "C15a", "kill -9 of the registry of ideas", c15_registry::kill, always;
    "C15b", "the registry of ideas is frozen", c15_registry::freeze, always;
    "C15c", "the registry dies at each of its fail points", fail_points::registry, always;
    "T27", "a node is revoked at work", t27_revoked::revoke, t27_revoked::unfit;
}

/// The orchestrator, or one of the two.
fn some_orchestrator(stage: &mut Stage<'_>) -> anyhow::Result<String> {
    let names = stage.cluster.orchestrators();
    stage.rng.pick(&names).cloned().context("there is no orchestrator")
}

/// A node that is still in the mesh.
fn some_node(stage: &mut Stage<'_>) -> anyhow::Result<String> {
    let names = stage.cluster.node_names();
    stage.rng.pick(&names).cloned().context("there is no node")
}
