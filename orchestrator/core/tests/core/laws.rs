//! Laws that hold for any mixture of work: nothing above capacity, counts that add up, an end for all.

use mesh_core::Config;
use mesh_schemas::{Cpu, EndClass, JobId, attempt::JobState};
use proptest::prelude::*;

use crate::harness::{Mesh, array};

#[derive(Debug, Clone)]
struct Work {
    tasks: u32,
    cpu: u32,
    priority: i16,
    retries: u16,
}

fn work() -> impl Strategy<Value = Work> {
    (1..8_u32, 1..4_000_u32, -2..3_i16, 0..3_u16).prop_map(|(tasks, cpu, priority, retries)| Work {
        tasks,
        cpu,
        priority,
        retries,
    })
}

fn submit(mesh: &mut Mesh, work: &Work) -> JobId {
    let mut spec = array(work.tasks);
    spec.resources.cpu = Cpu(work.cpu);
    spec.priority = work.priority;
    spec.retries.user_error = work.retries;
    mesh.submit(spec)
}

fn cpu_used(mesh: &Mesh, node: u128) -> u32 {
    mesh.held_by(node).iter().map(|key| mesh.jobs[&key.job].spec.resources.cpu.0).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn without_prefetching_no_node_is_ever_above_its_capacity_and_all_work_ends(
        works in prop::collection::vec(work(), 1..12),
        cpus in prop::collection::vec(4..9_u32, 1..4),
        choices in prop::collection::vec(any::<u16>(), 400),
    ) {
        let config = Config { prefetch_time: std::time::Duration::ZERO, ..Config::default() };
        let mut mesh = Mesh::with(config);
        let nodes: Vec<u128> = (1..).take(cpus.len()).collect();
        for (node, cpu) in nodes.iter().zip(&cpus) {
            mesh.node(*node, *cpu);
        }
        let jobs: Vec<JobId> = works.iter().map(|work| submit(&mut mesh, work)).collect();
        for choice in choices {
            for (node, cpu) in nodes.iter().zip(&cpus) {
                prop_assert!(cpu_used(&mesh, *node) <= cpu * 1_000);
            }
            let held: Vec<_> =
                nodes.iter().flat_map(|n| mesh.held_by(*n).into_iter().map(|key| (*n, key))).collect();
            let Some((node, key)) = held.get(usize::from(choice) % held.len().max(1)) else {
                mesh.pass_beating(mesh.config.retry_wait_max, &nodes);
                continue;
            };
            let class = if choice % 7 == 0 { EndClass::UserError } else { EndClass::Success };
            mesh.end(*node, *key, class);
        }
        for job in jobs {
            let counts = mesh.progress(job).counts;
            let ended = counts.succeeded + counts.failed;
            prop_assert_eq!(counts.total, ended, "{:?}", counts);
            let good = mesh.job_state(job) == JobState::Succeeded;
            prop_assert_eq!(good, counts.failed == 0);
        }
    }
}
