//! Leases: renewed, run out, taken back, said again.

use std::time::Duration;

use mesh_core::Input;
use mesh_schemas::{
    EndClass, TaskState,
    api::EventKind,
    attempt::JobState,
    message::{HeldAttempts, StopReason},
};

use crate::harness::{Mesh, journal_id, key, node_id, spec};

#[test]
fn beats_that_name_an_attempt_renew_its_lease() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.pass_beating(mesh.config.lease_ttl * 3, &[1]);
    assert_eq!(mesh.tasks[&(job, 0)].epoch.0, 1);
    assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
}

#[test]
fn the_work_of_a_silent_node_is_queued_again_within_35_s() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.node(2, 1);
    mesh.pass_beating(Duration::from_secs(35), &[2]);
    assert_eq!(mesh.tasks[&(job, 0)].node, Some(node_id(2)));
    assert_eq!(mesh.tasks[&(job, 0)].tries.lost, 1);
    assert_eq!(mesh.log(EventKind::AttemptEnded)[0].detail.as_deref(), Some("node_lost"));
}

#[test]
fn a_node_that_comes_back_in_time_goes_on_with_its_attempt() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.pass(mesh.config.lease_ttl * 2);
    assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
    mesh.beat(1, &[key(job, 0, 1)]).unwrap();
    assert_eq!(mesh.task_state(job, 0), TaskState::Running);
    assert_eq!(mesh.tasks[&(job, 0)].tries.lost, 0);
    assert_eq!(mesh.log(EventKind::AttemptAdopted).len(), 1);
    assert!(mesh.stops().is_empty());
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn a_result_that_comes_before_anybody_else_got_the_task_counts() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.pass(mesh.config.lease_ttl * 2);
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!((mesh.fenced, mesh.job_state(job)), (0, JobState::Succeeded));
}

#[test]
fn an_attempt_whose_end_was_reported_is_not_adopted_by_a_late_beat() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut spec = spec();
    spec.retries.user_error = 1;
    let job = mesh.submit(spec);
    mesh.end(1, key(job, 0, 1), EndClass::UserError);
    mesh.beat(1, &[key(job, 0, 1)]).unwrap();
    assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
    assert!(mesh.stops().contains(&(node_id(1), key(job, 0, 1), StopReason::Fenced)));
}

#[test]
fn an_attempt_is_adopted_after_a_restart_as_well_unless_its_end_was_reported() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let mut retried = spec();
    retried.retries.user_error = 1;
    let (lost, failed) = (mesh.submit(spec()), mesh.submit(retried));
    mesh.end(1, key(failed, 0, 1), EndClass::UserError);
    mesh.pass(mesh.config.lease_ttl * 2);
    mesh.restart();
    mesh.beat(1, &[key(lost, 0, 1), key(failed, 0, 1)]).unwrap();
    assert_eq!(mesh.tasks[&(lost, 0)].epoch.0, 1);
    assert_eq!(mesh.log(EventKind::AttemptAdopted).len(), 1);
}

#[test]
fn a_zombie_is_told_to_stop() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.node(2, 1);
    mesh.pass_beating(mesh.config.lease_ttl * 2, &[2]);
    mesh.sent.clear();
    mesh.beat(1, &[key(job, 0, 1)]).unwrap();
    assert_eq!(mesh.stops(), [(node_id(1), key(job, 0, 1), StopReason::Fenced)]);
    assert_eq!(mesh.tasks[&(job, 0)].node, Some(node_id(2)));
}

#[test]
fn a_command_that_was_lost_is_sent_again() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.starts();
    mesh.beat(1, &[]).unwrap();
    assert!(mesh.starts().is_empty());
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.beat(1, &[]).unwrap();
    let starts = mesh.starts();
    assert_eq!((starts.len(), starts[0].1, starts[0].2.epoch.0), (1, job, 1));
    mesh.beat(1, &[key(job, 0, 1)]).unwrap();
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.beat(1, &[]).unwrap();
    assert!(mesh.starts().is_empty());
}

#[test]
fn a_hello_is_answered_with_every_command_that_it_does_not_name() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let (named, lost) = (mesh.submit(spec()), mesh.submit(spec()));
    mesh.beat(1, &[key(named, 0, 1)]).unwrap();
    mesh.starts();
    mesh.hello(1, 2);
    let starts = mesh.starts();
    assert_eq!((starts.len(), starts[0].1, starts[0].2.epoch.0), (1, lost, 1));
    mesh.beat(1, &[key(named, 0, 1)]).unwrap();
    assert!(mesh.starts().is_empty(), "a beat does not hurry: the command is on its way");
}

#[test]
fn a_cancelled_command_that_may_be_on_its_way_is_not_given_up_at_a_hello() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.starts();
    mesh.cancel(job, None);
    mesh.hello(1, 1);
    assert!(mesh.starts().is_empty());
    assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.hello(1, 1);
    assert_eq!(mesh.task_state(job, 0), TaskState::Cancelled);
}

#[test]
fn a_running_attempt_that_beats_no_longer_name_is_lost() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    for _ in 0..40 {
        mesh.beat(1, &[]).unwrap();
        mesh.pass(Duration::from_secs(1));
    }
    assert_eq!(mesh.tasks[&(job, 0)].epoch.0, 2);
}

#[test]
fn an_orchestrator_that_was_stopped_gives_nodes_time_to_be_heard() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.now = mesh.now + Duration::from_secs(600);
    mesh.apply(mesh_core::Input::Tick).unwrap();
    assert_eq!(mesh.task_state(job, 0), TaskState::Running);
    mesh.pass_beating(Duration::from_secs(60), &[1]);
    assert_eq!(mesh.tasks[&(job, 0)].epoch.0, 1);
}

#[test]
fn an_attempt_that_may_be_taken_back_passes_the_fence_for_uploads() {
    let mut mesh = Mesh::new();
    let (node, other) = (mesh.node(1, 1), node_id(2));
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.pass(mesh.config.lease_ttl * 2);
    assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
    assert!(mesh.core.holds(node, key(job, 0, 1)));
    assert!(!mesh.core.holds(node, key(job, 0, 2)));
    assert!(!mesh.core.holds(other, key(job, 0, 1)));
    mesh.node(2, 1);
    assert!(!mesh.core.holds(node, key(job, 0, 1)), "another node has the task now");
    assert!(mesh.core.holds(other, key(job, 0, 2)));
}

/// A new journal is a new memory: what it does not name is granted anew, with another epoch, at once.
#[test]
fn what_a_node_has_forgotten_is_lost_and_never_said_again() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let forgotten = mesh.submit(spec());
    let kept = mesh.submit(spec());
    mesh.starts();
    let mut report = mesh.report(1, 2);
    report.journal = journal_id(100);
    report.held = vec![HeldAttempts { job: kept, tasks: vec![(0, key(kept, 0, 1).epoch)] }];
    mesh.apply(Input::NodeHello(Box::new(report))).unwrap();
    let starts = mesh.starts();
    assert_eq!(starts.len(), 1, "{starts:?}");
    assert_eq!((starts[0].1, starts[0].2.epoch.0), (forgotten, 2));
    assert_eq!(mesh.tasks[&(forgotten, 0)].tries.lost, 1);
    assert_eq!(mesh.tasks[&(kept, 0)].epoch.0, 1);
}

#[test]
fn the_same_memory_is_told_again_what_never_reached_it() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.starts();
    mesh.hello(1, 1);
    let starts = mesh.starts();
    assert_eq!((starts.len(), starts[0].1, starts[0].2.epoch.0), (1, job, 1));
}
