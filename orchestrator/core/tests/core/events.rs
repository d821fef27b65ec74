//! What nodes say, by number and behind the fence.

use mesh_core::{Change, Input, Rejected};
use mesh_schemas::{
    EndClass, TaskState,
    attempt::JobState,
    manifest::ManifestPlace,
    message::{AttemptEnded, NodeCommand, NodeEvent, NodeEvents, StopReason},
};

use crate::harness::{Mesh, checkpoint, ended, journal_id, key, node_id, spec};

#[test]
fn a_job_runs_from_submit_to_success() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 2);
    let job = mesh.submit(spec());
    let starts = mesh.starts();
    assert_eq!(starts.len(), 1);
    assert_eq!((starts[0].0, starts[0].1, starts[0].2.epoch.0), (node, job, 1));
    mesh.started(1, key(job, 0, 1));
    assert_eq!(mesh.task_state(job, 0), TaskState::Running);
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.task_state(job, 0), TaskState::Succeeded);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
    assert!(mesh.progress(job).finished_at.is_some());
    assert_eq!(mesh.core.totals(), (0, 0));
}

#[test]
fn an_end_without_a_start_ends_the_task() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(spec());
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn doubled_events_change_nothing_and_are_confirmed_again() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(spec());
    let events = mesh.events_input(
        1,
        vec![NodeEvent::AttemptEnded(Box::new(ended(key(job, 0, 1), EndClass::UserError)))],
    );
    mesh.apply(events.clone()).unwrap();
    mesh.sent.clear();
    let before = mesh.changes.len();
    mesh.apply(events).unwrap();
    assert_eq!(mesh.changes.len(), before);
    assert_eq!(mesh.sent.len(), 1);
    let expected = NodeCommand::Recorded { journal: journal_id(1), seq: 1 };
    assert_eq!(mesh.sent[0].command, expected);
}

#[test]
fn events_after_a_gap_are_refused() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 2);
    let job = mesh.submit(spec());
    let lost = mesh
        .events_input(1, vec![NodeEvent::AttemptStarted { attempt: key(job, 0, 1), at: mesh.now }]);
    let end = NodeEvent::AttemptEnded(Box::new(ended(key(job, 0, 1), EndClass::Success)));
    let late = mesh.events_input(1, vec![end]);
    let refused = mesh.apply(late.clone()).unwrap_err();
    assert_eq!(refused, Rejected::Gap { node, expected: 1, got: 2 });
    assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
    mesh.apply(lost).unwrap();
    mesh.apply(late).unwrap();
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(spec());
    let event = NodeEvent::AttemptStarted { attempt: key(job, 0, 1), at: mesh.now };
    for first_seq in [0, 2, u64::MAX] {
        let events = NodeEvents {
            v: 1,
            node: node_id(1),
            journal: journal_id(1),
            first_seq,
            events: vec![event.clone(); 2],
        };
        let refused = mesh.apply(Input::NodeEvents(Box::new(events))).unwrap_err();
        assert!(matches!(refused, Rejected::Gap { expected: 1, .. }), "{refused:?}");
    }
    assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
}

#[test]
fn a_journal_that_did_not_say_hello_is_asked_to() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 2);
    let events =
        NodeEvents { v: 1, node, journal: journal_id(77), first_seq: 1, events: Vec::new() };
    let refused = mesh.apply(Input::NodeEvents(Box::new(events))).unwrap_err();
    assert_eq!(refused, Rejected::UnknownJournal(node));
    assert_eq!(mesh.sent.last().unwrap().command, NodeCommand::Report);
}

#[test]
fn the_end_of_a_stale_attempt_is_fenced_and_its_number_recorded() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.node(2, 1);
    mesh.pass_beating(mesh.config.lease_ttl * 2, &[2]);
    assert_eq!(mesh.tasks[&(job, 0)].node, Some(node_id(2)));
    mesh.sent.clear();
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.fenced, 1);
    assert_eq!(mesh.task_state(job, 0), TaskState::Leased);
    assert_eq!(mesh.journals[&(node_id(1), journal_id(1))], 2);
    assert!(mesh.stops().contains(&(node_id(1), key(job, 0, 1), StopReason::Fenced)));
    mesh.end(2, key(job, 0, 2), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn an_event_from_a_node_that_does_not_hold_the_attempt_is_fenced() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.node(2, 1);
    mesh.end(2, key(job, 0, 1), EndClass::Success);
    assert_eq!((mesh.fenced, mesh.task_state(job, 0)), (1, TaskState::Leased));
}

#[test]
fn the_next_attempt_starts_with_the_last_checkpoint() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let mut spec = spec();
    spec.retries.user_error = 1;
    let job = mesh.submit(spec);
    let first = key(job, 0, 1);
    mesh.manifest(1, first, checkpoint(first, "first"));
    mesh.manifest(1, first, checkpoint(first, "second"));
    mesh.starts();
    mesh.end(1, key(job, 0, 1), EndClass::UserError);
    mesh.pass_beating(mesh.config.retry_wait_min, &[1]);
    let starts = mesh.starts();
    let kept = starts[0].2.checkpoint.clone();
    assert_eq!(ManifestPlace::Object(kept.unwrap()), checkpoint(first, "second").place);
    assert_eq!(starts[0].2.epoch.0, 2);
}

#[test]
fn a_reported_loss_keeps_the_output_committed_before() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    let attempt = key(job, 0, 1);
    mesh.manifest(1, attempt, checkpoint(attempt, "kept"));
    mesh.end(1, key(job, 0, 1), EndClass::NodeLost);
    let end = mesh.changes.iter().find_map(|change| match change {
        Change::AttemptEnded(end) => Some(end),
        _ => None,
    });
    assert_eq!(end.unwrap().manifest, None);
}

#[test]
fn a_manifest_outside_its_attempts_prefix_is_fenced() {
    let mut mesh = Mesh::new();
    let node = mesh.node(1, 2);
    let (job, other) = (mesh.submit(spec()), mesh.submit(spec()));
    let (attempt, foreign) = (key(job, 0, 1), key(other, 0, 1));
    for place in [checkpoint(foreign, "m"), checkpoint(attempt, "../m"), checkpoint(attempt, "")] {
        mesh.sent.clear();
        mesh.manifest(1, attempt, place.clone());
        assert_eq!(mesh.stops(), [(node, attempt, StopReason::Fenced)]);
        let end = AttemptEnded { manifest: place, ..ended(attempt, EndClass::Success) };
        mesh.events(1, vec![NodeEvent::AttemptEnded(Box::new(end))]);
    }
    assert_eq!((mesh.fenced, mesh.task_state(job, 0)), (6, TaskState::Leased));
    assert_eq!(mesh.tasks[&(job, 0)].checkpoint, None);
}
