//! Which task goes where, and how many ahead.

use std::collections::BTreeSet;

use mesh_core::Config;
use mesh_schemas::{
    AttemptKey, EndClass, JobId,
    api::NodeAction,
    message::{AttemptEnded, NodeEvent, StopReason, Usage},
};

use crate::harness::{Mesh, array, ended, key, node_id, spec};

fn end_quickly(mesh: &mut Mesh, node: u128, job: JobId, task: u32) {
    let mut end = ended(key(job, task, 1), EndClass::Success);
    end.usage = Usage { wall_ms: 1, ..Usage::default() };
    mesh.events(node, vec![NodeEvent::AttemptEnded(Box::new(end))]);
}

fn hand_back(mesh: &mut Mesh, node: u128, attempt: AttemptKey) {
    let end = AttemptEnded { started_at: None, ..ended(attempt, EndClass::Preempted) };
    mesh.events(node, vec![NodeEvent::AttemptEnded(Box::new(end))]);
}

#[test]
fn higher_priority_goes_first_then_older_jobs() {
    let mut mesh = Mesh::new();
    let first = mesh.submit(spec());
    mesh.pass(std::time::Duration::from_secs(1));
    let second = mesh.submit(spec());
    let mut urgent = spec();
    urgent.priority = 5;
    let urgent = mesh.submit(urgent);
    mesh.node(1, 2);
    let started: Vec<JobId> = mesh.starts().into_iter().map(|(_, job, _)| job).collect();
    assert_eq!(started.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&urgent, &first]));
    mesh.end(1, key(first, 0, 1), EndClass::Success);
    assert_eq!(mesh.starts()[0].1, second);
}

#[test]
fn tasks_spread_to_the_least_loaded_node() {
    let mut mesh = Mesh::new();
    for number in 1..=4 {
        mesh.node(number, 4);
    }
    mesh.submit(array(8));
    for number in 1..=4 {
        assert_eq!(mesh.held_by(number).len(), 2);
    }
}

#[test]
fn a_node_never_runs_more_than_it_has_room_for() {
    let mut mesh = Mesh::new();
    mesh.node(1, 3);
    let mut two = array(10);
    two.resources.cpu = mesh_schemas::Cpu(2_000);
    mesh.submit(two);
    assert_eq!(mesh.held_by(1).len(), 1);
    mesh.submit(array(10));
    assert_eq!(mesh.held_by(1).len(), 2);
}

#[test]
fn labels_must_be_equal() {
    let mut mesh = Mesh::new();
    mesh.node(1, 3);
    let mut labelled = spec();
    labelled.labels.insert("zone".into(), "a".into());
    let job = mesh.submit(labelled);
    assert!(mesh.starts().is_empty());
    let mut report = mesh.report(2, 1);
    report.labels.insert("zone".into(), "a".into());
    let (node, public_key) = (node_id(2), "U".into());
    mesh.apply(mesh_core::Input::NodeJoined { node, name: "n2".into(), public_key }).unwrap();
    mesh.apply(mesh_core::Input::NodeHello(Box::new(report))).unwrap();
    let starts = mesh.starts();
    assert_eq!((starts.len(), starts[0].0, starts[0].1), (1, node, job));
}

#[test]
fn pools_are_counted_like_any_resource() {
    let mut mesh = Mesh::new();
    let mut report = mesh.report(1, 8);
    report.capacity.pools.insert("licence".into(), 2);
    mesh.node(1, 8);
    mesh.apply(mesh_core::Input::NodeHello(Box::new(report))).unwrap();
    let mut wants = array(5);
    wants.resources.pools.insert("licence".into(), 1);
    mesh.submit(wants);
    assert_eq!(mesh.held_by(1).len(), 2);
}

#[test]
fn a_node_that_is_silent_drained_or_paused_gets_nothing() {
    let mut mesh = Mesh::new();
    for number in 1..=4 {
        mesh.node(number, 1);
    }
    mesh.action(1, NodeAction::Drain);
    mesh.action(2, NodeAction::Pause);
    mesh.pass_beating(mesh.config.suspect_after * 2, &[1, 2, 4]);
    mesh.submit(array(10));
    assert_eq!((1..=4).map(|n| mesh.held_by(n).len()).collect::<Vec<_>>(), [0, 0, 0, 1]);
    mesh.action(1, NodeAction::Resume);
    assert_eq!(mesh.held_by(1).len(), 1);
    mesh.beat(3, &[]).unwrap();
    assert_eq!(mesh.held_by(3).len(), 1);
}

#[test]
fn nothing_is_granted_ahead_before_a_duration_is_known() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    mesh.submit(array(10_000));
    assert_eq!(mesh.held_by(1).len(), 2);
}

#[test]
fn short_tasks_are_granted_ahead_up_to_the_bound() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let job = mesh.submit(array(10_000));
    end_quickly(&mut mesh, 1, job, 0);
    let held = mesh.held_by(1).len();
    assert!(held > 200 && held <= 2 + 512, "{held}");
}

/// What a node holds ahead runs dry instead of being filled up again, so that the urgent task's turn comes
/// after those tasks and not after the whole array.
#[test]
fn an_urgent_task_waits_only_for_what_is_already_granted_ahead() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let array = mesh.submit(array(10_000));
    end_quickly(&mut mesh, 1, array, 0);
    let mut urgent = spec();
    urgent.priority = 1;
    let urgent = mesh.submit(urgent);
    let held = mesh.held_by(1);
    for attempt in &held {
        end_quickly(&mut mesh, 1, array, attempt.task);
    }
    assert!(mesh.held_by(1).iter().any(|attempt| attempt.job == urgent));
    assert!(mesh.progress(array).counts.queued > 0, "the array is not done");
}

#[test]
fn nothing_is_granted_ahead_of_long_tasks_or_behind_them() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let mut long = array(4);
    long.command = vec!["long".into()];
    let long = mesh.submit(long);
    mesh.end(1, key(long, 0, 1), EndClass::Success);
    assert_eq!(mesh.held_by(1).len(), 2);
    let mut short = array(1_000);
    short.priority = 1;
    let short = mesh.submit(short);
    mesh.end(1, key(long, 1, 1), EndClass::Success);
    // One slot is busy with a long task; what is granted ahead waits for the other slot alone.
    end_quickly(&mut mesh, 1, short, 0);
    let held = mesh.held_by(1).len();
    assert!(held > 100 && held <= 2 + 250, "{held}");
}

#[test]
fn prefetching_can_be_turned_off() {
    let config = Config { prefetch_time: std::time::Duration::ZERO, ..Config::default() };
    let mut mesh = Mesh::with(config);
    mesh.node(1, 2);
    let job = mesh.submit(array(100));
    end_quickly(&mut mesh, 1, job, 0);
    assert_eq!(mesh.held_by(1).len(), 2);
}

#[test]
fn a_job_that_repeats_known_work_is_granted_ahead_from_its_start() {
    let mut mesh = Mesh::new();
    mesh.node(1, 2);
    let first = mesh.submit(spec());
    end_quickly(&mut mesh, 1, first, 0);
    for _ in 0..100 {
        mesh.submit(spec());
    }
    assert_eq!(mesh.held_by(1).len(), 100, "separate jobs of the same work");
    let mut other = spec();
    other.command.push("other".into());
    mesh.submit(other.clone());
    mesh.submit(other);
    assert_eq!(mesh.held_by(1).len(), 100, "nobody knows how long other work takes");
}

#[test]
fn separate_jobs_of_known_work_spread_over_the_nodes() {
    let mut mesh = Mesh::new();
    for node in 1..=3 {
        mesh.node(node, 2);
    }
    let first = mesh.submit(spec());
    end_quickly(&mut mesh, 1, first, 0);
    for _ in 0..300 {
        mesh.submit(spec());
    }
    let held: Vec<usize> = (1..=3).map(|node| mesh.held_by(node).len()).collect();
    assert!(held.iter().all(|held| (90..=110).contains(held)), "{held:?}");
}

/// Short work that keeps coming does not push aside what waits longer.
#[test]
fn an_older_job_waits_only_for_what_is_already_granted_ahead() {
    let mut mesh = Mesh::new();
    mesh.node(1, 1);
    let array = mesh.submit(array(5_000));
    end_quickly(&mut mesh, 1, array, 0);
    let mut wide = spec();
    wide.command = vec!["other".into()];
    mesh.pass(std::time::Duration::from_millis(1));
    let older = mesh.submit(wide);
    mesh.pass(std::time::Duration::from_millis(1));
    mesh.cancel(array, Some((1_000..5_000).collect()));
    for _ in 0..2_000 {
        mesh.submit(spec());
    }
    for _ in 0..10_000 {
        let held = mesh.held_by(1);
        if held.iter().any(|attempt| attempt.job == older) {
            return;
        }
        end_quickly(&mut mesh, 1, held[0].job, held[0].task);
    }
    panic!("the older job never got a slot");
}

/// One node of one slot whose task takes long, with others granted ahead; the first to end was quick.
fn with_a_long_task(mesh: &mut Mesh) -> (JobId, Vec<AttemptKey>) {
    mesh.node(1, 1);
    let job = mesh.submit(array(50));
    end_quickly(mesh, 1, job, 0);
    let held = mesh.held_by(1);
    assert_eq!(held.len(), 49);
    mesh.beat(1, &held).unwrap();
    mesh.stops();
    (job, held)
}

fn asked_back(mesh: &mut Mesh) -> BTreeSet<AttemptKey> {
    let stops = mesh.stops().into_iter();
    stops
        .map(|(_, attempt, reason)| {
            assert_eq!(reason, StopReason::Preempted);
            attempt
        })
        .collect()
}

#[test]
fn what_waits_behind_a_long_task_is_taken_back() {
    let mut mesh = Mesh::new();
    let (job, held) = with_a_long_task(&mut mesh);
    mesh.started(1, held[0]);
    mesh.pass_beating(mesh.config.recall_after * 2, &[1]);
    let recalled = asked_back(&mut mesh);
    assert_eq!(recalled, held[1..].iter().copied().collect());
    for attempt in &recalled {
        hand_back(&mut mesh, 1, *attempt);
    }
    assert_eq!(mesh.held_by(1), [held[0]], "nothing more is granted behind it");
    assert_eq!(mesh.progress(job).counts.queued, 48);
    assert!((1..50).all(|task| mesh.tasks[&(job, task)].tries.lost == 0), "nothing has failed");
    mesh.node(2, 4);
    assert_eq!(
        mesh.held_by(2).len(),
        4,
        "another node gets them, and nobody expects them to be short"
    );
    assert_eq!(mesh.held_by(2)[0].epoch.0, 2);
}

/// It may be making its directory or fetching its input: to take it back would begin that anew for ever.
#[test]
fn what_has_a_slot_and_has_not_begun_is_left_alone() {
    let mut mesh = Mesh::new();
    with_a_long_task(&mut mesh);
    mesh.pass_beating(mesh.config.recall_after * 5, &[1]);
    assert!(asked_back(&mut mesh).is_empty());
}

#[test]
fn what_is_cancelled_is_not_taken_back() {
    let mut mesh = Mesh::new();
    let (job, held) = with_a_long_task(&mut mesh);
    mesh.started(1, held[0]);
    mesh.cancel(job, Some(vec![held[1].task]));
    mesh.stops();
    mesh.pass_beating(mesh.config.resend_after * 2, &[1]);
    let reasons = mesh.stops().into_iter().filter(|(_, attempt, _)| *attempt == held[1]);
    let reasons: BTreeSet<&str> = reasons.map(|(_, _, reason)| reason.as_str()).collect();
    assert_eq!(reasons, BTreeSet::from(["cancelled"]));
}

/// The new leader knows neither what was granted ahead nor what was asked back; what comes back is no failure.
#[test]
fn a_new_leader_takes_back_as_well_and_counts_no_failure() {
    let mut mesh = Mesh::new();
    let (job, held) = with_a_long_task(&mut mesh);
    mesh.started(1, held[0]);
    mesh.restart();
    mesh.beat(1, &held).unwrap();
    mesh.pass_beating(mesh.config.recall_after * 2, &[1]);
    let recalled = asked_back(&mut mesh);
    assert_eq!(recalled, held[1..].iter().copied().collect());
    hand_back(&mut mesh, 1, held[1]);
    assert_eq!(mesh.tasks[&(job, held[1].task)].tries.lost, 0);
}
