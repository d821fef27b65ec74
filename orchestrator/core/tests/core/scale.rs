//! The cost of a round is that of what it grants, whatever waits. Time limits are ten times what a slow
//! machine needs, so that only a change of the order of growth breaks them.

use std::time::{Duration, Instant};

use mesh_core::{Change, Input, Output};
use mesh_schemas::{EndClass, message::NodeEvent};

use crate::harness::{Mesh, array, ended, journal_id, key, node_id, spec};

#[expect(clippy::disallowed_methods, reason = "the core is timed from outside")]
fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

#[test]
fn fifty_thousand_tasks_are_placed_on_a_thousand_nodes_in_well_under_a_second() {
    let mut mesh = Mesh::new();
    for number in 1..=1_000 {
        let (node, name, public_key) = (node_id(number), format!("n{number}"), "U".into());
        let mut out = Output::default();
        mesh.core.apply(mesh.now, Input::NodeJoined { node, name, public_key }, &mut out).unwrap();
        let report = mesh.report(number, 64);
        mesh.core.apply(mesh.now, Input::NodeHello(Box::new(report)), &mut out).unwrap();
    }
    let submit = mesh.submit_raw(array(50_000));
    let mut out = Output::default();
    mesh.core.apply(mesh.now, Input::Submit(Box::new(submit)), &mut out).unwrap();
    let took = timed(|| mesh.core.schedule(mesh.now, &mut out));
    let leased = out.changes.iter().filter(|c| matches!(c, Change::AttemptLeased { .. })).count();
    assert_eq!(leased, 50_000);
    println!("placed in {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    mesh.core.check_invariants();
}

#[test]
fn ten_thousand_tasks_go_through_one_node_at_a_cost_that_the_backlog_does_not_change() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    for _ in 0..10_000 {
        let submit = mesh.submit_raw(spec());
        let mut out = Output::default();
        mesh.core.apply(mesh.now, Input::Submit(Box::new(submit)), &mut out).unwrap();
    }
    let mut first = spec();
    first.priority = 1;
    first.array = array(10_000).array;
    let job = mesh.submit(first);
    let mut seq = 0;
    let mut out = Output::default();
    let took = timed(|| {
        for task in 0..10_000 {
            seq += 1;
            let mut end = ended(key(job, task, 1), EndClass::Success);
            end.usage.wall_ms = 100;
            let events = mesh_schemas::message::NodeEvents {
                v: 1,
                node: node_id(1),
                journal: journal_id(1),
                first_seq: seq,
                events: vec![NodeEvent::AttemptEnded(Box::new(end))],
            };
            // The two first slots may still be with older jobs.
            let input = Input::NodeEvents(Box::new(events));
            mesh.core.apply(mesh.now, input, &mut out).unwrap();
            mesh.core.schedule(mesh.now, &mut out);
        }
    });
    println!("10,000 rounds in {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
