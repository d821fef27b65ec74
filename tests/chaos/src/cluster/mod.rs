//! A mesh whose every wire runs through a fault proxy: the same programs, files and directories as with
//! `mesh up`, but each part is started, killed, frozen and restarted by hand.

mod configs;
mod database;
mod fail_points;
mod parts;
mod start;
mod tmpfs;
mod tree;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use mesh_fabric::{fail_point::FailPoint, nats_auth::ClusterKeys};
use mesh_schemas::NodeId;
use mesh_tests::{
    http::Http,
    proxy::{Link, Proxy},
};

use serde::de::DeserializeOwned;

pub use database::Database;
pub use fail_points::{Arming, Fired};
pub use parts::Part;
pub use start::{Options, StoreKind};
pub use tmpfs::Tmpfs;

use crate::history::{Sample, When};

/// The API, and what of a cluster scenarios act on.
#[derive(Debug)]
pub struct Cluster {
    /// Its directory, as `mesh up` lays it out.
    pub data: PathBuf,
    /// The programs, in the order of their start.
    pub parts: BTreeMap<String, Part>,
    /// The wires, by `<client>-<server>`.
    pub links: BTreeMap<&'static str, Proxy>,
    /// The API of each orchestrator through the clients' wire to it.
    pub http: Vec<Http>,
    /// The same past all proxies, for the run's own looks.
    pub direct: Vec<Http>,
    /// Where each orchestrator listens, past all proxies.
    pub apis: Vec<SocketAddr>,
    /// The nodes by part.
    pub nodes: BTreeMap<String, NodeId>,
    /// Small file systems, by part.
    pub tmpfs: BTreeMap<String, Tmpfs>,
    /// PostgreSQL, when the jobs are in it.
    pub database: Option<Database>,
    /// Files that say how far a part's clock is off, by part; empty without libfaketime.
    pub clocks: BTreeMap<String, PathBuf>,
    /// The keys of the broker.
    pub keys: ClusterKeys,
    /// Where the broker listens, past its proxies.
    pub nats_url: String,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
    armings: fail_points::Armings,
}

/// Names of the wires.
pub mod wire {
    /// The orchestrator's to the broker.
    pub const ORCHESTRATOR_NATS: &str = "orchestrator-nats";
    /// The orchestrator's to the object store.
    pub const ORCHESTRATOR_STORE: &str = "orchestrator-store";
    /// The orchestrator's to PostgreSQL.
    pub const ORCHESTRATOR_DATABASE: &str = "orchestrator-database";
    /// All nodes' to the object store.
    pub const NODES_STORE: &str = "nodes-store";
    /// The second orchestrator's to PostgreSQL.
    pub const STANDBY_DATABASE: &str = "standby-database";
    /// The clients' to the API.
    pub const CLIENTS_API: &str = "clients-api";
    /// The clients' to the second orchestrator's API.
    pub const CLIENTS_STANDBY: &str = "clients-standby";
    /// The registry's to the broker.
    pub const IDEAS_NATS: &str = "ideas-nats";
    /// The registry's to the object store.
    pub const IDEAS_STORE: &str = "ideas-store";
    /// Each node's to the broker.
    pub const NODE_NATS: [&str; 3] = ["node-1-nats", "node-2-nats", "node-3-nats"];
}

/// The orchestrator's part.
pub const ORCHESTRATOR: &str = "orchestrator";
/// The second orchestrator's part, on PostgreSQL.
pub const STANDBY: &str = "orchestrator-2";
/// The part of the registry of ideas.
pub const IDEAS: &str = "ideas";
/// The broker's part.
pub const NATS: &str = "nats";
/// The object store's part.
pub const STORE: &str = "store";

impl Cluster {
    /// A part.
    ///
    /// # Errors
    /// When there is none of the name.
    pub fn part(&mut self, name: &str) -> anyhow::Result<&mut Part> {
        self.parts.get_mut(name).with_context(|| format!("there is no part {name}"))
    }

    /// The parts that are nodes.
    pub fn node_names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// The orchestrators: one, or two of which one leads.
    pub fn orchestrators(&self) -> Vec<String> {
        self.parts.keys().filter(|name| name.starts_with(ORCHESTRATOR)).cloned().collect()
    }

    /// What the orchestrator that leads answers below `/api/v1`; none when none does.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        for http in &self.direct {
            let Ok((status, body)) = http.get(&format!("/api/v1{path}")).await else { continue };
            if status.is_success() {
                return serde_json::from_value(body).ok();
            }
        }
        None
    }

    /// Kills the parts; once they are started again they die at the fail points, each once in one of them.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn arm(&mut self, parts: &[String], arming: &Arming) -> anyhow::Result<()> {
        for part in parts {
            self.part(part)?.arm(arming.clone());
        }
        self.armings.add(arming.clone());
        Ok(())
    }

    /// How often each fail point was armed and fired, once all is good again.
    pub const fn fired(&self) -> &BTreeMap<FailPoint, Fired> {
        self.armings.counts()
    }

    /// How often a part was seen to die at a fail point. What dies below a part is not seen.
    pub fn point_deaths(&self) -> u32 {
        self.parts.values().map(Part::point_deaths).sum()
    }

    /// Starts whatever has died by itself; says what did.
    pub fn mind(&mut self) -> Vec<String> {
        self.parts.values_mut().filter_map(Part::mind).collect()
    }

    /// Makes everything good: wires, clocks, disks, processes.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub fn heal(&mut self) -> anyhow::Result<()> {
        for link in self.links.values() {
            link.set(Link::GOOD);
        }
        for tmpfs in self.tmpfs.values() {
            tmpfs.empty_filler()?;
        }
        for clock in self.clocks.values() {
            std::fs::write(clock, "+0")?;
        }
        if let Some(database) = &mut self.database {
            database.unfill()?;
        }
        self.armings.end()?;
        for part in self.parts.values_mut() {
            part.disarm();
            part.thaw();
            part.start()?;
        }
        Ok(())
    }

    /// What each process uses now.
    pub fn samples(&self, when: When) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (name, part) in &self.parts {
            let Some(pid) = part.pid() else { continue };
            samples.extend(tree::sample(name, pid, when));
            for (child, line) in mesh_tests::mesh::children(pid) {
                if line.contains("mesh-node") && line.contains(" agent ") {
                    samples.extend(tree::sample(&format!("{name} agent"), child, when));
                }
            }
        }
        samples
    }

    /// Stops everything, nodes first; what does not stop is killed.
    pub fn stop(&mut self) {
        for link in self.links.values() {
            link.set(Link::GOOD);
        }
        for name in self.parts.keys().rev().cloned().collect::<Vec<_>>() {
            if let Some(part) = self.parts.get_mut(&name) {
                part.stop();
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for part in self.parts.values_mut() {
            part.kill_tree();
        }
    }
}
