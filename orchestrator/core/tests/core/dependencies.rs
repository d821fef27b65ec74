//! `after`: jobs that must have succeeded.

use mesh_core::{Input, Rejected};
use mesh_schemas::{EndClass, api::EventKind, attempt::JobState};

use crate::harness::{Mesh, job_id, key, spec};

fn after(jobs: &[mesh_schemas::JobId]) -> mesh_schemas::JobSpec {
    let mut spec = spec();
    spec.after = jobs.to_vec();
    spec
}

#[test]
fn a_job_waits_until_those_before_it_have_succeeded() {
    let mut mesh = Mesh::new();
    mesh.node(1, 10);
    let first = mesh.submit(spec());
    let second = mesh.submit(spec());
    let last = mesh.submit(after(&[first, second]));
    assert_eq!(mesh.progress(last).counts.queued, 1);
    mesh.end(1, key(first, 0, 1), EndClass::Success);
    assert_eq!(mesh.progress(last).counts.queued, 1);
    mesh.restart();
    mesh.hello(1, 10);
    mesh.end(1, key(second, 0, 1), EndClass::Success);
    assert_eq!(mesh.progress(last).counts.leased, 1);
}

#[test]
fn the_end_of_a_job_that_did_not_succeed_cancels_all_that_come_after() {
    let mut mesh = Mesh::new();
    mesh.node(1, 10);
    let first = mesh.submit(spec());
    let second = mesh.submit(after(&[first]));
    let third = mesh.submit(after(&[second]));
    mesh.end(1, key(first, 0, 1), EndClass::UserError);
    assert_eq!(mesh.job_state(first), JobState::Failed);
    assert_eq!(mesh.job_state(second), JobState::Cancelled);
    assert_eq!(mesh.job_state(third), JobState::Cancelled);
    let asked = mesh.log(EventKind::JobCancelRequested);
    let why = asked[0].detail.as_deref().unwrap();
    assert_eq!(why, format!("{first} in after ended as failed"));
}

#[test]
fn a_chain_of_many_jobs_ends_without_deep_recursion() {
    let mut mesh = Mesh::new();
    let mut last = mesh.submit(spec());
    let first = last;
    for _ in 0..2_000 {
        let submit = mesh.submit_raw(after(&[last]));
        last = submit.job;
        let mut out = mesh_core::Output::default();
        mesh.core.apply(mesh.now, Input::Submit(Box::new(submit)), &mut out).unwrap();
    }
    let mut out = mesh_core::Output::default();
    mesh.core.apply(mesh.now, Input::Cancel { job: first, tasks: None }, &mut out).unwrap();
    assert_eq!(mesh.core.totals(), (0, 0));
}

#[test]
fn unknown_and_failed_dependencies_are_refused() {
    let mut mesh = Mesh::new();
    let unknown = job_id(7);
    let submit = mesh.submit_raw(after(&[unknown]));
    let refused = mesh.apply(Input::Submit(Box::new(submit))).unwrap_err();
    assert_eq!(refused, Rejected::UnknownDependency { job: unknown });
    let mut submit = mesh.submit_raw(after(&[unknown]));
    submit.after = vec![(unknown, JobState::Cancelled)];
    let refused = mesh.apply(Input::Submit(Box::new(submit))).unwrap_err();
    assert_eq!(refused, Rejected::FailedDependency { job: unknown, state: JobState::Cancelled });
    let mut submit = mesh.submit_raw(after(&[unknown]));
    submit.after = vec![(unknown, JobState::Succeeded)];
    mesh.apply(Input::Submit(Box::new(submit))).unwrap();
}

#[test]
fn a_dependency_that_ended_in_this_very_round_counts_as_it_ended() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(spec());
    let mut submit = mesh.submit_raw(after(&[first]));
    submit.after = vec![(first, JobState::Queued)];
    let replies =
        mesh.batch([Input::Cancel { job: first, tasks: None }, Input::Submit(Box::new(submit))]);
    let refused = replies[1].clone().unwrap_err();
    assert_eq!(refused, Rejected::FailedDependency { job: first, state: JobState::Cancelled });
}
