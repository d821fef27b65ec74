//! Idempotency keys and arrays.

use mesh_core::{Input, Rejected, Reply};
use mesh_schemas::TaskState;

use crate::harness::{Mesh, array, spec};

fn keyed(command: &str) -> mesh_schemas::JobSpec {
    let mut spec = mesh_schemas::JobSpec::new([command]);
    spec.idempotency_key = Some("k".into());
    spec
}

#[test]
fn the_same_key_with_the_same_spec_is_the_same_job() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(keyed("/bin/true"));
    let again = mesh.submit_raw(keyed("/bin/true"));
    let reply = mesh.apply(Input::Submit(Box::new(again))).unwrap();
    assert!(matches!(reply, Reply::Submitted { job, created: false, .. } if job == first));
    assert_eq!(mesh.jobs.len(), 1);
}

#[test]
fn the_same_key_with_another_spec_is_refused() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(keyed("/bin/true"));
    let other = mesh.submit_raw(keyed("/bin/false"));
    let refused = mesh.apply(Input::Submit(Box::new(other))).unwrap_err();
    assert_eq!(refused, Rejected::IdempotencyMismatch { job: first });
}

#[test]
fn a_key_of_a_job_in_the_store_is_honoured() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(keyed("/bin/true"));
    mesh.cancel(first, None);
    let mut again = mesh.submit_raw(keyed("/bin/true"));
    again.existing = Some(mesh.existing(first));
    let reply = mesh.apply(Input::Submit(Box::new(again))).unwrap();
    assert!(matches!(reply, Reply::Submitted { job, created: false, .. } if job == first));
}

#[test]
fn a_key_of_a_job_that_ended_in_this_very_round_is_honoured() {
    let mut mesh = Mesh::new();
    let first = mesh.submit_raw(keyed("/bin/true"));
    let job = first.job;
    let again = mesh.submit_raw(keyed("/bin/true"));
    let replies = mesh.batch([
        Input::Submit(Box::new(first)),
        Input::Cancel { job, tasks: None },
        Input::Submit(Box::new(again)),
    ]);
    assert!(
        matches!(replies[2], Ok(Reply::Submitted { job: old, created: false, .. }) if old == job)
    );
}

#[test]
fn a_million_tasks_are_one_row() {
    let mut mesh = Mesh::new();
    let job = mesh.submit(array(1_000_000));
    assert!(mesh.tasks.is_empty());
    assert_eq!(mesh.progress(job).counts.queued, 1_000_000);
    assert_eq!(mesh.cancel(job, None), 1_000_000);
    assert!(mesh.tasks.is_empty());
    assert_eq!(mesh.progress(job).fresh_state, TaskState::Cancelled);
}

#[test]
fn progress_is_told_once_a_round() {
    let mut mesh = Mesh::new();
    mesh.node(1, 100);
    mesh.submit(array(50));
    let told = mesh.changes.iter();
    let told = told.filter(|c| matches!(c, mesh_core::Change::JobProgress { .. })).count();
    assert_eq!(told, 1);
}

#[test]
fn a_job_without_nodes_waits() {
    let mut mesh = Mesh::new();
    mesh.submit(spec());
    assert!(mesh.starts().is_empty());
    assert_eq!(mesh.core.totals(), (1, 0));
}
