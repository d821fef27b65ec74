//! Processor time of our own processes for each task; what the tasks themselves use is not in it.

use std::time::Duration;

use anyhow::ensure;
use mesh_schemas::attempt::JobState;

use super::array;
use crate::{Run, cluster::Cluster, proc, report::Target};

/// Tasks before the measuring.
const WARM_UP: u32 = 500;

/// Processor time of each part so far.
struct Used {
    orchestrator: Duration,
    nats: Duration,
    database: Duration,
    object_store: Duration,
    supervisor: Duration,
    agent: Duration,
}

/// Microseconds for each task, one sample for each run.
#[derive(Default)]
struct Samples {
    service: Vec<f64>,
    orchestrator: Vec<f64>,
    nats: Vec<f64>,
    database: Vec<f64>,
    object_store: Vec<f64>,
    node: Vec<f64>,
    supervisor: Vec<f64>,
    agent: Vec<f64>,
}

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 1)?;
    let mut client = cluster.client()?;
    let node = cluster.node()?;
    let warm_up = client.submit(&array(WARM_UP))?;
    client.finished(warm_up)?;
    let mut samples = Samples::default();
    for _ in 0..run.runs {
        let before = Used::now(&cluster, node)?;
        let job = client.submit(&array(run.tasks))?;
        let ended = client.finished(job)?;
        let after = Used::now(&cluster, node)?;
        ensure!(ended.state == JobState::Succeeded, "the array is {}", ended.state);
        samples.add(&before, &after, f64::from(run.tasks));
    }
    let out = &mut run.measured;
    let per_task = "a task, µs of processor:";
    let target = Some(Target::AtMost(150.0));
    let service = &samples.service;
    out.add(&format!("{per_task} orchestrator + nats-server + stores"), "µs", service, target);
    for (part, values) in [
        ("orchestrator", &samples.orchestrator),
        ("nats-server", &samples.nats),
        ("database's processes", &samples.database),
        ("object store", &samples.object_store),
    ] {
        out.add(&format!("    of these {part}"), "µs", values, None);
    }
    let target = Some(Target::AtMost(100.0));
    out.add(&format!("{per_task} node, without its children"), "µs", &samples.node, target);
    out.add("    of these supervisor", "µs", &samples.supervisor, None);
    out.add("    of these agent", "µs", &samples.agent, None);
    Ok(())
}

impl Used {
    fn now(cluster: &Cluster, (supervisor, agent): (u32, u32)) -> anyhow::Result<Self> {
        Ok(Self {
            orchestrator: proc::cpu(cluster.orchestrator()?),
            nats: proc::cpu(cluster.nats()?),
            database: cluster.database_cpu(),
            object_store: proc::cpu(cluster.object_store()?),
            supervisor: proc::cpu(supervisor),
            agent: proc::cpu(agent),
        })
    }
}

impl Samples {
    fn add(&mut self, before: &Used, after: &Used, tasks: f64) {
        let each = |of: fn(&Used) -> Duration| {
            of(after).saturating_sub(of(before)).as_secs_f64() * 1e6 / tasks
        };
        let (orchestrator, nats) = (each(|used| used.orchestrator), each(|used| used.nats));
        let (database, objects) = (each(|used| used.database), each(|used| used.object_store));
        let (supervisor, agent) = (each(|used| used.supervisor), each(|used| used.agent));
        self.service.push(orchestrator + nats + database + objects);
        self.orchestrator.push(orchestrator);
        self.nats.push(nats);
        self.database.push(database);
        self.object_store.push(objects);
        self.node.push(supervisor + agent);
        self.supervisor.push(supervisor);
        self.agent.push(agent);
    }
}
