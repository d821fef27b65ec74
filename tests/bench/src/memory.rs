//! Memory of each process, as the kernel counts it.

use std::{fs, time::Duration};

use mesh_tests::mesh::Mesh;

use crate::report::Report;

/// After work, allocators and caches settle; measured after this.
const SETTLE: Duration = Duration::from_secs(3);

/// Resident and proportional set size of every part.
pub(crate) async fn measure(mesh: &Mesh, when: &str, report: &mut Report) {
    tokio::time::sleep(SETTLE).await;
    let (mut node, mut orchestrator) = (0.0, 0.0);
    for (part, pid) in mesh.pids() {
        let own = resident(pid);
        let children: f64 = mesh.children_of(&part).iter().map(|(pid, _)| resident(*pid)).sum();
        match part.as_str() {
            "orchestrator" => orchestrator = own,
            "nats" | "store" => report.add(&format!("resident, {when}: {part}"), own, "MiB", None),
            _ => node += own + children,
        }
    }
    let target = |limit| (when == "idle").then_some(limit);
    report.add(&format!("resident, {when}: orchestrator"), orchestrator, "MiB", target(60.0));
    report.add(&format!("resident, {when}: node (supervisor + agent)"), node, "MiB", target(40.0));
}

fn resident(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}
