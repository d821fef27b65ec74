//! Retries by class, waits, losses, queue time-outs, and `mesh retry`.

use std::time::Duration;

use mesh_core::{Input, Rejected, Reply};
use mesh_schemas::{EndClass, JobId, Span, TaskState, attempt::JobState};

use crate::harness::{Mesh, array, key, spec};

fn retry(mesh: &mut Mesh, job: JobId) -> Result<Reply, Rejected> {
    let tasks = mesh.tasks.values().filter(|task| {
        let state = task.state;
        task.job == job && state.is_terminal() && state != TaskState::Succeeded
    });
    let tasks = tasks.cloned().collect();
    let record = Box::new(mesh.jobs[&job].clone());
    let states = record.spec.after.iter().map(|job| (*job, mesh.jobs[job].progress.state));
    let after = states.collect();
    mesh.apply(Input::Retry { job: record, tasks, after })
}

#[test]
fn each_class_of_failure_has_its_own_retries() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut spec = spec();
    spec.retries.user_error = 1;
    spec.retries.timeout = 1;
    let job = mesh.submit(spec);
    for (epoch, class) in [(1, EndClass::UserError), (2, EndClass::Timeout)] {
        mesh.end(1, key(job, 0, epoch), class);
        assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
        mesh.pass_beating(mesh.config.retry_wait_max, &[1]);
    }
    mesh.end(1, key(job, 0, 3), EndClass::UserError);
    assert_eq!(mesh.job_state(job), JobState::Failed);
}

#[test]
fn the_wait_before_a_retry_doubles() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut spec = spec();
    spec.retries.user_error = 10;
    let job = mesh.submit(spec);
    for (epoch, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
        mesh.end(1, key(job, 0, epoch), EndClass::UserError);
        mesh.pass_beating(Duration::from_secs(wait - 1), &[1]);
        assert_eq!(mesh.task_state(job, 0), TaskState::Queued, "epoch {epoch}");
        mesh.pass_beating(Duration::from_secs(1), &[1]);
        assert_eq!(mesh.task_state(job, 0), TaskState::Leased, "epoch {epoch}");
    }
}

#[test]
fn losses_are_tried_again_at_once_and_burn_no_retries() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    for (epoch, class) in
        [(1, EndClass::NodeLost), (2, EndClass::Preempted), (3, EndClass::OwnerReclaimed)]
    {
        mesh.end(1, key(job, 0, epoch), class);
        assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
    }
    mesh.end(1, key(job, 0, 4), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
    assert_eq!(mesh.tasks[&(job, 0)].tries.lost, 3);
}

#[test]
fn a_task_that_keeps_losing_nodes_is_quarantined() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut spec = spec();
    spec.retries.lost = 2;
    let job = mesh.submit(spec);
    for epoch in 1..=3 {
        mesh.end(1, key(job, 0, epoch), EndClass::NodeLost);
    }
    assert_eq!(mesh.job_state(job), JobState::Quarantined);
    assert_eq!(mesh.task_state(job, 0), TaskState::Quarantined);
}

#[test]
fn a_task_never_granted_within_its_queue_timeout_fails() {
    let mut mesh = Mesh::new();
    let mut spec = array(1_000);
    spec.timeouts.queue = Some(Span::from_secs(10));
    let job = mesh.submit(spec);
    mesh.cancel(job, Some(vec![3]));
    mesh.pass(Duration::from_secs(9));
    assert_eq!(mesh.job_state(job), JobState::Queued);
    mesh.pass(Duration::from_secs(1));
    assert_eq!(mesh.job_state(job), JobState::Failed);
    let counts = mesh.progress(job).counts;
    assert_eq!((counts.failed, counts.cancelled), (999, 1));
}

#[test]
fn a_failed_job_is_tried_again_on_demand_with_higher_epochs() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.end(1, key(job, 0, 1), EndClass::UserError);
    assert_eq!(mesh.job_state(job), JobState::Failed);
    assert_eq!(retry(&mut mesh, job), Ok(Reply::Changed { tasks: 1 }));
    assert_eq!(mesh.job_state(job), JobState::Running);
    assert_eq!(mesh.tasks[&(job, 0)].epoch.0, 2);
    mesh.end(1, key(job, 0, 2), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
    assert_eq!(retry(&mut mesh, job), Err(Rejected::NothingToRetry(job)));
}

#[test]
fn fresh_tasks_of_a_cancelled_array_are_tried_again_as_a_range() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(array(1_000_000));
    mesh.cancel(job, None);
    assert_eq!(retry(&mut mesh, job), Ok(Reply::Changed { tasks: 1_000_000 }));
    assert!(mesh.tasks.is_empty());
    assert_eq!(mesh.progress(job).counts.queued, 1_000_000);
    assert_eq!(mesh.job_state(job), JobState::Queued);
}

#[test]
fn failed_tasks_of_a_live_job_are_tried_again_beside_the_others() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(array(2));
    mesh.end(1, key(job, 0, 1), EndClass::UserError);
    assert_eq!(retry(&mut mesh, job), Ok(Reply::Changed { tasks: 1 }));
    assert_eq!(retry(&mut mesh, job), Err(Rejected::NothingToRetry(job)));
    mesh.end(1, key(job, 0, 2), EndClass::Success);
    mesh.end(1, key(job, 1, 1), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn a_job_is_not_tried_again_before_those_that_it_comes_after() {
    let mut mesh = Mesh::new();
    mesh.node(1, 10);
    let first = mesh.submit(spec());
    let mut second = spec();
    second.after = vec![first];
    let second = mesh.submit(second);
    mesh.end(1, key(first, 0, 1), EndClass::UserError);
    assert_eq!(mesh.job_state(second), JobState::Cancelled);
    let refused = Rejected::FailedDependency { job: first, state: JobState::Failed };
    assert_eq!(retry(&mut mesh, second), Err(refused));
    assert_eq!(mesh.job_state(second), JobState::Cancelled);
    retry(&mut mesh, first).unwrap();
    assert_eq!(retry(&mut mesh, second), Ok(Reply::Changed { tasks: 1 }));
    assert_eq!(mesh.progress(second).counts.queued, 1);
    mesh.end(1, key(first, 0, 2), EndClass::Success);
    assert_eq!(mesh.progress(second).counts.leased, 1);
}

#[test]
fn a_job_that_ended_again_in_this_very_round_is_not_tried_again_from_what_the_store_had() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(array(4));
    mesh.cancel(job, None);
    let record = Box::new(mesh.jobs[&job].clone());
    let again = || Input::Retry { job: record.clone(), tasks: Vec::new(), after: Vec::new() };
    let cancel = |tasks| Input::Cancel { job, tasks };
    let replies = mesh.batch([again(), cancel(Some(vec![2])), cancel(None), again()]);
    assert_eq!(replies[3], Err(Rejected::NothingToRetry(job)));
    assert_eq!(mesh.job_state(job), JobState::Cancelled);
    assert_eq!(retry(&mut mesh, job), Ok(Reply::Changed { tasks: 4 }));
}
