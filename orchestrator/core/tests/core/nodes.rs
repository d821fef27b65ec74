//! Nodes that are cut off, doubted, or come with a new disk.

use mesh_core::{Input, NodeSetting, Rejected};
use mesh_schemas::{EndClass, TaskState, api::NodeAction, api::NodeState};

use crate::harness::{Mesh, array, journal_id, key, node_id, spec};

/// Node 1 loses so many tasks that it has not lost before, one after the other.
fn lose(mesh: &mut Mesh, times: usize) {
    for _ in 0..times {
        let held = mesh.held_by(1);
        let mut unhurt = held.iter().filter(|key| mesh.tasks[&(key.job, key.task)].tries.lost == 0);
        let key = *unhurt.next().unwrap();
        mesh.end(1, key, EndClass::NodeLost);
        mesh.now = mesh.now + std::time::Duration::from_millis(1);
    }
}

fn mesh_with_work(nodes: u128) -> Mesh {
    let mut mesh = Mesh::new();
    for number in 1..=nodes {
        mesh.node(number, 20);
    }
    mesh.now = mesh.now + std::time::Duration::from_secs(1);
    let mut many = array(60);
    many.retries.lost = 100;
    mesh.submit(many);
    mesh
}

fn setting(mesh: &Mesh) -> NodeSetting {
    mesh.nodes[&node_id(1)].setting
}

#[test]
fn the_work_of_a_revoked_node_is_queued_at_once_and_it_is_refused() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.node(2, 1);
    mesh.action(1, NodeAction::Revoke);
    assert_eq!(mesh.tasks[&(job, 0)].node, Some(node_id(2)));
    let refused = Err(Rejected::NodeRevoked(node));
    assert_eq!(mesh.beat(1, &[key(job, 0, 1)]), refused);
    let events = mesh.events_input(1, Vec::new());
    assert_eq!(mesh.apply(events), refused);
    let hello = mesh.report(1, 1);
    assert_eq!(mesh.apply(Input::NodeHello(Box::new(hello))), refused);
    assert_eq!(mesh.apply(Input::NodeAction { node, action: NodeAction::Resume }), refused);
    mesh.restart();
    assert_eq!(mesh.beat(1, &[]), refused);
}

#[test]
fn a_node_that_keeps_losing_work_of_its_own_fault_is_quarantined_until_resumed() {
    let mut mesh = mesh_with_work(3);
    lose(&mut mesh, 4);
    assert_eq!(setting(&mesh), NodeSetting::Active);
    lose(&mut mesh, 1);
    assert_eq!(setting(&mesh), NodeSetting::Quarantined);
    assert_eq!(mesh.core.node_status(mesh.now, node_id(1)).unwrap().state, NodeState::Quarantined);
    mesh.action(1, NodeAction::Resume);
    assert_eq!(setting(&mesh), NodeSetting::Active);
}

#[test]
fn an_end_of_its_own_makes_up_for_losses() {
    let mut mesh = mesh_with_work(3);
    lose(&mut mesh, 4);
    let held = mesh.held_by(1);
    mesh.end(1, held[0], EndClass::UserError);
    lose(&mut mesh, 4);
    assert_eq!(setting(&mesh), NodeSetting::Active);
}

#[test]
fn the_last_nodes_are_not_quarantined() {
    let mut mesh = mesh_with_work(1);
    lose(&mut mesh, 10);
    assert_eq!(setting(&mesh), NodeSetting::Active);
}

#[test]
fn a_crash_that_loses_many_tasks_counts_once() {
    let mut mesh = mesh_with_work(3);
    mesh.now = mesh.now + std::time::Duration::from_secs(1);
    mesh.hello(1, 20);
    let held = mesh.held_by(1);
    assert!(held.len() >= 10);
    for key in held {
        mesh.end(1, key, EndClass::NodeLost);
    }
    assert_eq!(setting(&mesh), NodeSetting::Active);
}

#[test]
fn a_wiped_disk_begins_a_new_journal_and_its_old_work_is_lost_in_time() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    assert_eq!(mesh.hello(1, 1), 1);
    let mut report = mesh.report(1, 1);
    report.journal = journal_id(99);
    mesh.apply(Input::NodeHello(Box::new(report))).unwrap();
    assert_eq!(mesh.journals[&(node, journal_id(99))], 0);
    mesh.pass_beating(mesh.config.lease_ttl, &[]);
    assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
}

#[test]
fn an_unknown_node_is_refused() {
    let mut mesh = Mesh::new();
    assert_eq!(mesh.beat(9, &[]), Err(Rejected::UnknownNode(node_id(9))));
}

#[test]
fn a_silent_node_is_suspect_and_then_offline() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let state = |mesh: &Mesh| mesh.core.node_status(mesh.now, node_id(1)).unwrap().state;
    assert_eq!(state(&mesh), NodeState::Online);
    mesh.pass(mesh.config.suspect_after + std::time::Duration::from_secs(1));
    assert_eq!(state(&mesh), NodeState::Suspect);
    mesh.pass(mesh.config.lease_ttl);
    assert_eq!(state(&mesh), NodeState::Offline);
}
