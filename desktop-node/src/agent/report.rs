//! What this machine is and can do, and how busy it is.

use std::{collections::BTreeMap, path::Path};

use mesh_schemas::{
    ByteSize, Cpu, NodeId, Problem,
    message::{Capacity, Enforcement, Load, MESSAGE_VERSION, NodeReport},
};

use super::board::Board;
use crate::config::{NodeConfig, host_name};

/// What the node offers to jobs: what its owner said, and the whole machine where nothing was said.
pub fn capacity(config: &NodeConfig) -> Capacity {
    let memory = || {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        Some(system.total_memory())
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let all = Cpu(u32::try_from(processors).unwrap_or(1).saturating_mul(1_000));
    Capacity {
        cpu: config.cpu.unwrap_or(all),
        memory: config.memory.unwrap_or_else(|| ByteSize(memory().unwrap_or(0))),
        disk: config.disk.unwrap_or_else(|| disk_available(&config.data_dir)),
        gpu: config.gpu,
        pools: config.pools.clone(),
    }
}

/// Free space where attempts live; the nearest directory that exists is asked.
pub fn disk_available(dir: &Path) -> ByteSize {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or_else(|| Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(_) => ByteSize(0),
    }
}

/// The owner's labels beside `os`, `arch` and `hostname`, which the owner may override.
pub fn labels(config: &NodeConfig) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        ("os".to_owned(), std::env::consts::OS.to_owned()),
        ("arch".to_owned(), std::env::consts::ARCH.to_owned()),
        ("hostname".to_owned(), host_name()),
    ]);
    labels.extend(config.labels.clone());
    labels
}

/// What the node would offer and enforce, for people.
///
/// # Errors
/// When the data directory cannot be used.
pub fn describe(config: &NodeConfig) -> Result<String, Problem> {
    let capacity = capacity(config);
    let enforces = crate::supervisor::enforcement();
    let joined = super::Identity::load(&config.data_dir);
    let labels: Vec<String> =
        labels(config).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let joined = match joined {
        Ok(identity) => identity.node.to_string(),
        Err(_) => "not joined; run mesh-node join".to_owned(),
    };
    Ok(format!(
        "node      {joined}\nname      {}\nlabels    {}\ncpu       {}{}\nmemory    {}{}\n\
         disk      {}\ngpu       {}",
        config.display_name(),
        labels.join(" "),
        capacity.cpu,
        enforced(enforces.cpu),
        capacity.memory,
        enforced(enforces.memory),
        capacity.disk,
        capacity.gpu,
    ))
}

const fn enforced(yes: bool) -> &'static str {
    if yes { " (enforced)" } else { " (measured, not enforced here)" }
}

/// The parts of a hello that do not change while the agent runs.
#[derive(Debug)]
pub(super) struct Reporter {
    node: NodeId,
    name: String,
    labels: BTreeMap<String, String>,
    capacity: Capacity,
    enforces: Enforcement,
}

impl Reporter {
    pub(super) fn new(node: NodeId, config: &NodeConfig, enforces: Enforcement) -> Self {
        let (name, labels) = (config.display_name(), labels(config));
        Self { node, name, labels, capacity: capacity(config), enforces }
    }

    pub(super) fn report(&self, board: &Board) -> NodeReport {
        NodeReport {
            v: MESSAGE_VERSION,
            node: self.node,
            journal: board.journal(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            labels: self.labels.clone(),
            capacity: self.capacity.clone(),
            enforces: self.enforces,
            held: board.held(),
            paused: board.is_paused(),
        }
    }
}

/// Samples how busy the machine is; a sample costs two small files and one system call.
pub(super) struct LoadMeter {
    /// `None` where the system does not let itself be asked: then only the disk is told.
    system: Option<sysinfo::System>,
    data_dir: std::path::PathBuf,
}

impl LoadMeter {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { system: sysinfo::System::new().ok(), data_dir: data_dir.to_owned() }
    }

    pub(super) fn sample(&mut self) -> Load {
        let mut load = Load { disk_available: disk_available(&self.data_dir), ..Load::default() };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            load.cpu_millis = millis_of(system.cpus().iter().map(sysinfo::Cpu::usage).sum());
            load.memory_available = ByteSize(system.available_memory());
        }
        load
    }
}

/// Percent of one processor to thousandths of one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits; a machine has no million processors"
)]
fn millis_of(percent: f32) -> u32 {
    (percent * 10.0).clamp(0.0, 1e9) as u32
}
