//! What a core knows that was built from the store.

use std::time::Duration;

use mesh_schemas::{EndClass, TaskState, attempt::JobState, message::NodeCommand};

use crate::harness::{Mesh, array, key, spec};

#[test]
fn no_lease_ends_before_the_grace_is_over() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.restart();
    mesh.pass(mesh.config.startup_grace - Duration::from_secs(1));
    assert_eq!(mesh.task_state(job, 0), TaskState::Running);
    mesh.pass(Duration::from_secs(1));
    assert_eq!(mesh.task_state(job, 0), TaskState::Queued);
}

#[test]
fn running_jobs_do_not_notice_a_restart() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.restart();
    mesh.pass_beating(mesh.config.startup_grace * 2, &[1]);
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn a_lease_whose_command_was_never_sent_is_sent_after_the_restart() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.restart();
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.beat(1, &[]).unwrap();
    let starts = mesh.starts();
    assert_eq!((starts[0].1, starts[0].2.epoch.0), (job, 1));
}

#[test]
fn an_attempt_that_runs_is_never_begun_anew_under_its_epoch() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    mesh.started(1, key(job, 0, 1));
    mesh.restart();
    mesh.sent.clear();
    // Its node has lost its memory: it neither names the attempt nor is told to begin it again.
    mesh.hello(1, 1);
    mesh.now = mesh.now + mesh.config.resend_after;
    mesh.beat(1, &[]).unwrap();
    assert!(mesh.starts().is_empty());
    let until = mesh.now + mesh.config.startup_grace;
    while mesh.now < until {
        mesh.pass(Duration::from_secs(1));
        mesh.beat(1, &[]).unwrap();
    }
    let starts = mesh.starts();
    assert!(!starts.is_empty() && starts.iter().all(|start| start.2.epoch.0 == 2), "{starts:?}");
}

#[test]
fn counts_and_fresh_tasks_survive_a_restart() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(array(10));
    mesh.end(1, key(job, 0, 1), EndClass::Success);
    let before = mesh.progress(job).clone();
    mesh.restart();
    mesh.beat(1, &mesh.held_by(1)).unwrap();
    assert_eq!(*mesh.progress(job), before);
    for task in 1..10 {
        mesh.end(1, key(job, task, 1), EndClass::Success);
    }
    assert_eq!(mesh.job_state(job), JobState::Succeeded);
}

#[test]
fn events_recorded_before_the_restart_are_known_after_it() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let job = mesh.submit(spec());
    let at = mesh.now;
    let attempt = key(job, 0, 1);
    let started = mesh_schemas::message::NodeEvent::AttemptStarted { attempt, at };
    let events = mesh.events_input(1, vec![started]);
    mesh.apply(events.clone()).unwrap();
    mesh.restart();
    mesh.apply(events).unwrap();
    assert!(matches!(mesh.sent[0].command, NodeCommand::Recorded { seq: 1, .. }));
}
