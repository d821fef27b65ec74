//! Cancelling jobs and single tasks.

use mesh_core::{Input, Rejected};
use mesh_schemas::{EndClass, ErrorCode, TaskState, attempt::JobState, message::StopReason};

use crate::harness::{Mesh, array, key, node_id, spec};

#[test]
fn a_waiting_job_is_cancelled_at_once() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(spec());
    assert_eq!(mesh.cancel(job, None), 1);
    assert_eq!(mesh.job_state(job), JobState::Cancelled);
    let again = mesh.apply(Input::Cancel { job, tasks: None }).unwrap_err();
    assert_eq!(again, Rejected::JobNotLive(job));
}

#[test]
fn a_running_task_is_told_to_stop_until_it_has() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.sent.clear();
    assert_eq!(mesh.cancel(job, None), 1);
    let stop = (node_id(1), key(job, 0, 1), StopReason::Cancelled);
    assert_eq!(mesh.stops(), [stop]);
    assert_eq!(mesh.cancel(job, None), 0);
    mesh.pass_beating(mesh.config.resend_after, &[1]);
    assert_eq!(mesh.stops(), [stop]);
    mesh.end(1, key(job, 0, 1), EndClass::Cancelled);
    assert_eq!(mesh.job_state(job), JobState::Cancelled);
    mesh.sent.clear();
    mesh.pass_beating(mesh.config.resend_after * 2, &[1]);
    assert!(mesh.stops().is_empty());
}

#[test]
fn a_cancelled_task_that_fails_or_is_lost_is_not_tried_again() {
    for class in [EndClass::UserError, EndClass::NodeLost, EndClass::Preempted] {
        let mut mesh = Mesh::new();
        mesh.node(1, 1);
        let mut spec = spec();
        spec.retries.user_error = 5;
        let job = mesh.submit(spec);
        mesh.cancel(job, None);
        mesh.end(1, key(job, 0, 1), class);
        assert_eq!(mesh.job_state(job), JobState::Cancelled, "{class}");
    }
}

#[test]
fn a_task_that_succeeded_before_the_cancel_reached_it_has_succeeded() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.cancel(job, None);
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn a_cancelled_task_that_never_reached_its_node_ends_when_the_node_does_not_name_it() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.cancel(job, None);
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.sent.clear();
    mesh.beat(1, &[]).unwrap();
    assert_eq!(mesh.job_state(job), JobState::Cancelled);
    assert!(mesh.starts().is_empty());
}

#[test]
fn single_tasks_of_an_array_are_cancelled_and_the_rest_goes_on() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(array(10));
    assert_eq!(mesh.cancel(job, Some(vec![2, 4, 99])), 2);
    assert_eq!(mesh.tasks.len(), 5);
    assert_eq!(mesh.progress(job).fresh.unwrap().first, 5);
    mesh.node(1, 100);
    assert_eq!(mesh.progress(job).counts.leased, 8);
    for task in (0..10).filter(|task| ![2, 4].contains(task)) {
        mesh.end(1, key(job, task, 1), EndClass::Success);
    }
    assert_eq!(mesh.job_state(job), JobState::Cancelled);
    assert_eq!(mesh.progress(job).counts.succeeded, 8);
    assert_eq!(mesh.task_state(job, 2), TaskState::Cancelled);
}

#[test]
fn a_late_task_of_a_large_array_is_not_cancelled_singly() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(array(1_000_000));
    let late = Input::Cancel { job, tasks: Some(vec![0, 10_000]) };
    let refused = mesh.apply(late).unwrap_err();
    assert_eq!(refused, Rejected::TooManyRows { job, rows: 10_001 });
    assert_eq!(refused.problem().code, ErrorCode::TooLarge);
    assert!(mesh.tasks.is_empty());
    assert_eq!(mesh.cancel(job, Some(vec![9_999])), 1);
    assert_eq!(mesh.cancel(job, Some(vec![19_999])), 1);
    assert_eq!(mesh.cancel(job, None), 999_998);
}
