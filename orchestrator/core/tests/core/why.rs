//! Why a job waits.

use mesh_core::{Input, Reply};
use mesh_schemas::{
    JobId,
    api::{NodeAction, WaitReason, Why},
};

use crate::harness::{Mesh, array, spec};

fn why(mesh: &Mesh, job: JobId) -> Why {
    mesh.core.why(mesh.now, job).unwrap()
}

#[test]
fn a_lack_names_what_is_wanted_what_there_is_and_what_to_do() {
    let mut mesh = Mesh::new();
    mesh.node(1, 4);
    mesh.node(2, 4);
    let mut wants_gpu = spec();
    wants_gpu.resources.gpu = 1;
    let job = mesh.submit(wants_gpu);
    let why = why(&mesh, job);
    assert_eq!((why.reasons[0].reason, why.reasons[0].nodes), (WaitReason::TooSmall, 2));
    assert_eq!(why.reasons[0].detail, "wants gpu=1, the most on any node is 0");
    assert_eq!(
        why.nearest_fix.unwrap(),
        "wants gpu=1, the most on any node is 0: add a node with more, or lower resources.gpu"
    );
}

#[test]
fn each_node_counts_once_by_its_first_reason() {
    let mut mesh = Mesh::new();
    for number in 1..=6 {
        mesh.node(number, 1);
    }
    mesh.action(1, NodeAction::Revoke);
    mesh.action(2, NodeAction::Drain);
    mesh.action(3, NodeAction::Pause);
    mesh.pass_beating(mesh.config.lease_ttl * 2, &[2, 3, 4, 5]);
    let job = mesh.submit(array(3));
    let why = why(&mesh, job);
    let counts: Vec<(WaitReason, u32)> =
        why.reasons.iter().map(|reason| (reason.reason, reason.nodes)).collect();
    assert_eq!(
        counts,
        [
            (WaitReason::Busy, 2),
            (WaitReason::Offline, 1),
            (WaitReason::Revoked, 1),
            (WaitReason::Draining, 1),
            (WaitReason::Paused, 1),
        ]
    );
    assert_eq!(why.waiting, 1);
    assert!(why.nearest_fix.unwrap().starts_with("wait for tasks to end"));
}

/// A node that carries a label.
fn node_with_label(mesh: &mut Mesh, number: u128, cpus: u32) {
    mesh.node(number, cpus);
    let mut report = mesh.report(number, cpus);
    report.labels.insert("os".into(), "plan9".into());
    mesh.apply(Input::NodeHello(Box::new(report))).unwrap();
}

#[test]
fn the_summary_names_what_is_nearest_however_many_nodes_are_far() {
    let mut mesh = Mesh::new();
    for number in 1..=3 {
        mesh.node(number, 1);
    }
    let mut labelled = spec();
    labelled.labels.insert("os".into(), "plan9".into());
    let summary = |mesh: &Mesh, job| why(mesh, job).summary;
    let first = mesh.submit(labelled.clone());
    assert_eq!(summary(&mesh, first), "1 task waits: no node carries os=plan9");
    node_with_label(&mut mesh, 4, 1);
    let second = mesh.submit(labelled.clone());
    assert_eq!(summary(&mesh, second), format!("1 task waits: n4 is busy with {first} (true)"));
    assert_eq!(why(&mesh, second).reasons[0].reason, WaitReason::Labels, "they are more");
    mesh.action(4, NodeAction::Drain);
    assert_eq!(summary(&mesh, second), "1 task waits: n4 would fit, but drains");
}

#[test]
fn the_jobs_in_front_are_named() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    mesh.node(2, 1);
    let running = mesh.submit(array(4));
    assert_eq!(
        why(&mesh, running).summary,
        "2 tasks wait: the 2 nodes that could run it are busy with other tasks of this job"
    );
    let second = mesh.submit(spec());
    let busy =
        format!("1 task waits: the 2 nodes that could run it are busy with {running} (true)");
    assert_eq!(why(&mesh, second).summary, format!("{busy}, and {running} (true) is in front"));
    let mut urgent = spec();
    urgent.priority = 5;
    let urgent = mesh.submit(urgent);
    assert_eq!(why(&mesh, urgent).summary, busy, "nobody is before what is urgent");
    assert_eq!(
        why(&mesh, second).summary,
        format!("{busy}, and 2 jobs are in front, first {urgent} (true)")
    );
    // What no node of theirs could ever run is in nobody's way.
    let mut elsewhere = spec();
    elsewhere.priority = 9;
    elsewhere.resources.gpu = 1;
    mesh.submit(elsewhere);
    assert_eq!(why(&mesh, urgent).summary, busy);
}

#[test]
fn the_nearest_fix_is_to_resume_a_node_that_would_fit() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    mesh.action(1, NodeAction::Drain);
    let job = mesh.submit(spec());
    assert_eq!(why(&mesh, job).nearest_fix.unwrap(), "run: mesh node resume n1");
}

#[test]
fn a_missing_label_is_named() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut labelled = spec();
    labelled.labels.insert("os".into(), "plan9".into());
    let job = mesh.submit(labelled);
    let why = why(&mesh, job);
    assert_eq!(why.reasons[0].detail, "lacks os=plan9");
    assert_eq!(why.nearest_fix.unwrap(), "add the label os=plan9 to a node such as n1");
}

#[test]
fn jobs_that_wait_for_jobs_or_for_any_node_say_so() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(spec());
    assert_eq!(why(&mesh, first).reasons[0].reason, WaitReason::NoNodes);
    let mut after = spec();
    after.after = vec![first];
    let second = mesh.submit(after);
    assert_eq!(why(&mesh, second).reasons[0].reason, WaitReason::Dependencies);
    mesh.node(1, 1);
    assert_eq!(why(&mesh, first).summary, "nothing waits: nodes hold the last task");
    let reply = mesh.apply(Input::Cancel { job: second, tasks: None }).unwrap();
    assert_eq!(reply, Reply::Changed { tasks: 1 });
    assert!(mesh.core.why(mesh.now, second).is_none());
}
