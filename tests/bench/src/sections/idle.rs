//! What a mesh of one node takes of a machine without work.

use std::time::Duration;

use crate::{
    Run,
    cluster::Cluster,
    proc::{Meter, pss},
    report::Target,
};

/// After the start, allocators and connections settle.
const SETTLE: Duration = Duration::from_secs(10);
/// The parts' memory is looked at so often while they idle.
const LOOKS: u32 = 10;

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 1)?;
    let (orchestrator, nats) = (cluster.orchestrator()?, cluster.nats()?);
    let (objects, (supervisor, agent)) = (cluster.object_store()?, cluster.node()?);
    std::thread::sleep(run.size(SETTLE, SETTLE / 5));
    let watch: Duration = run.size(Duration::from_secs(60), Duration::from_secs(10));
    let meters = [
        ("orchestrator", Meter::start(vec![orchestrator])),
        ("supervisor", Meter::start(vec![supervisor])),
        ("agent", Meter::start(vec![agent])),
        ("nats-server", Meter::start(vec![nats])),
        ("object store", Meter::start(vec![objects])),
    ];
    let mut memory = [const { Vec::new() }; 5];
    for _ in 0..LOOKS {
        std::thread::sleep(watch / LOOKS);
        let node = pss(supervisor) + pss(agent);
        let parts = [pss(orchestrator), node, pss(nats), pss(objects), cluster.database_pss()];
        memory.iter_mut().zip(parts).for_each(|(samples, now)| samples.push(now));
    }
    let out = &mut run.measured;
    let [orchestrator, node, nats, objects, database] = &memory;
    let what = |part: &str| format!("idle, proportional set size: {part}");
    out.add(&what("orchestrator"), "MiB", orchestrator, Some(Target::AtMost(25.0)));
    out.add(&what("supervisor + agent"), "MiB", node, Some(Target::AtMost(14.0)));
    out.add(&what("nats-server"), "MiB", nats, None);
    out.add(&what("object store"), "MiB", objects, None);
    out.add(&what("database's processes"), "MiB", database, None);
    let seconds = watch.as_secs();
    for (part, meter) in meters {
        let wanted = ["orchestrator", "supervisor", "agent"].contains(&part);
        let target = wanted.then_some(Target::AtMost(0.3));
        let what = format!("idle for {seconds} s, processor: {part}");
        out.one(&what, "% core", meter.share() * 100.0, target);
    }
    Ok(())
}
