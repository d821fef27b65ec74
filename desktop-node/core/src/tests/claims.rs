//! What an attempt goes through on a node, claim by claim.

use std::time::Duration;

use mesh_schemas::{
    EndClass, Span,
    manifest::ManifestSummary,
    message::{NodeCommand, NodeEvent, START_TASKS_MAX, StartTasks, StopReason},
};

use super::harness::{Bench, commands, exit, journal, key, start_of};
use crate::{Action, ExitHow, Input, Prepared, Rejected, START_HOLD, Supervised};

#[test]
fn a_task_runs_is_stored_ends_and_is_forgotten() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.start(&[a]).expect(&[Action::Beat, Action::Prepare(a)]);
    bench.ready(a).expect(&[Action::Submit(a)]);
    bench.runs(a).expect(&[]);
    bench.exits(a, ExitHow::Code(0)).expect(&[Action::StoreFinal(a)]);
    let ended = bench.stored(a).sends_end();
    assert_eq!((ended.class, ended.exit_code), (EndClass::Success, Some(0)));
    bench.recorded(1).expect(&[Action::Forget(a)]);
    assert!(bench.node.is_empty());
}

#[test]
fn a_start_is_told_alone_only_when_the_end_does_not_follow_at_once() {
    let mut bench = Bench::new();
    let (short, long) = (key(0, 1), key(1, 1));
    bench.running(short).running(long).exits(short, ExitHow::Code(0)).stored(short);
    assert_eq!(bench.sends_end().attempt, short);
    bench.wait(START_HOLD);
    assert_eq!(bench.watched, [long], "a short one is over before anybody looks after its output");
    assert!(matches!(
        bench.sends().as_slice(),
        [(2, NodeEvent::AttemptStarted { attempt, .. })] if *attempt == long
    ));
}

#[test]
fn a_doubled_or_late_start_runs_nothing_twice() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.start(&[a, a]).start(&[a]);
    assert_eq!(bench.rejected(), vec![Rejected::Known { attempt: a }; 2]);
    bench.ready(a).runs(a).exits(a, ExitHow::Code(0)).stored(a).sends();
    bench.recorded(1).asked();
    bench.start(&[a]).expect(&[Action::Beat]);
    bench.crash(false, Vec::new()).welcome(1).start(&[a]).expect(&[Action::Beat]);
}

#[test]
fn a_start_for_the_node_before_it_lost_its_memory_is_refused() {
    let mut bench = Bench::new();
    let (a, before) = (key(0, 1), journal(77));
    let meant_for = |bench: &Bench, journal| {
        let NodeCommand::StartTasks(start) = start_of(&[a], &bench.spec) else {
            panic!("no start");
        };
        let start = StartTasks { journal: Some(journal), ..*start };
        commands(1, vec![NodeCommand::StartTasks(Box::new(start))])
    };
    let late = meant_for(&bench, before);
    bench.apply(late).expect(&[]);
    assert_eq!(bench.rejected(), [Rejected::OtherJournal { meant: before }]);
    let own = meant_for(&bench, bench.node.journal());
    bench.apply(own).expect(&[Action::Beat, Action::Prepare(a)]);
}

#[test]
fn a_newer_epoch_fences_the_older_and_an_older_one_is_passed_over() {
    let mut bench = Bench::new();
    let (old, new) = (key(0, 2), key(0, 3));
    bench.running(old).start(&[new]).expect(&[
        Action::Stop { attempt: old, grace: Span::default() },
        Action::Beat,
        Action::Prepare(new),
    ]);
    bench.exits(old, ExitHow::Signal(9)).expect(&[Action::Forget(old)]);
    assert!(bench.sends().is_empty(), "nothing is reported of a fenced attempt");
    bench.start(&[key(0, 1)]).expect(&[Action::Beat]);
}

#[test]
fn commands_of_a_replaced_leader_or_before_the_welcome_are_refused() {
    let mut bench = Bench::new();
    let start = start_of(&[key(0, 1)], &bench.spec);
    bench.apply(commands(3, Vec::new())).apply(commands(2, vec![start.clone()]));
    assert_eq!(bench.rejected(), [Rejected::OldLeader { got: 2, known: 3 }]);
    bench.crash(false, Vec::new()).apply(commands(3, vec![start]));
    assert_eq!(bench.rejected(), [Rejected::NotWelcome]);
    bench.expect(&[]);
}

#[test]
fn too_many_tasks_no_epoch_and_unknown_versions_are_refused_whole() {
    let mut bench = Bench::new();
    let many: Vec<_> = (0..=512).map(|task| key(task, 1)).collect();
    bench.start(&many).start(&[key(0, 0)]);
    let NodeCommand::StartTasks(_) = start_of(&many, &bench.spec) else { unreachable!() };
    assert_eq!(
        bench.rejected(),
        [
            Rejected::TooManyTasks { got: START_TASKS_MAX + 1 },
            Rejected::NoEpoch { attempt: key(0, 0) }
        ]
    );
    let mut unknown = mesh_schemas::message::NodeCommands { v: 2, leader: 1, commands: vec![] };
    bench.apply(Input::Commands(Box::new(unknown.clone())));
    unknown.v = 0;
    bench.apply(Input::Commands(Box::new(unknown)));
    assert_eq!(bench.rejected(), [Rejected::Version { got: 2 }, Rejected::Version { got: 0 }]);
    assert!(bench.node.is_empty());
}

#[test]
fn cancelling_ends_an_attempt_wherever_it_is() {
    let mut bench = Bench::new();
    let (preparing, queued, running) = (key(0, 1), key(1, 1), key(2, 1));
    bench.start(&[preparing, queued, running]).ready(queued).ready(running).runs(running).asked();
    let grace = bench.spec.timeouts.kill_grace;
    bench.stop(preparing, StopReason::Cancelled).expect(&[Action::AbortPrepare(preparing)]);
    bench.stop(queued, StopReason::Cancelled).expect(&[Action::Stop { attempt: queued, grace }]);
    bench.stop(running, StopReason::Cancelled).expect(&[Action::Stop { attempt: running, grace }]);
    bench.apply(Input::Prepared { attempt: preparing, result: Prepared::Ready }).expect(&[]);
    let gone = exit(None, bench.now, ExitHow::NeverStarted);
    bench.apply(Input::Supervised { attempt: queued, state: gone }).expect(&[]);
    bench
        .exits(running, ExitHow::Signal(15))
        .expect(&[Action::StoreFinal(running)])
        .stored(running);
    let classes: Vec<_> = bench.sends().into_iter().map(|(_, event)| class(&event)).collect();
    assert_eq!(classes, [EndClass::Cancelled; 3]);
}

fn class(event: &NodeEvent) -> EndClass {
    match event {
        NodeEvent::AttemptEnded(ended) => ended.class,
        NodeEvent::AttemptStarted { .. } | NodeEvent::ManifestCommitted { .. } => {
            panic!("{event:?} is no end")
        }
    }
}

#[test]
fn a_fenced_attempt_is_killed_at_once_whatever_was_wanted_before() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).stop(a, StopReason::Cancelled).asked();
    bench
        .stop(a, StopReason::Fenced)
        .expect(&[Action::Stop { attempt: a, grace: Span::default() }]);
    bench.stop(a, StopReason::Preempted).expect(&[]);
    bench.exits(a, ExitHow::Signal(9)).expect(&[Action::Forget(a)]);
    assert!(bench.node.is_empty());
}

#[test]
fn an_upload_that_is_fenced_drops_the_exited_attempt() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).exits(a, ExitHow::Code(0)).asked();
    bench.apply(Input::Fenced { attempt: a }).expect(&[Action::Forget(a)]);
    assert!(bench.node.is_empty());
}

#[test]
fn each_end_has_its_class() {
    let cannot = |code| ExitHow::CannotStart { code, message: "no such program".into() };
    for (how, class, code, signal) in [
        (ExitHow::Code(0), EndClass::Success, Some(0), None),
        (ExitHow::Code(3), EndClass::UserError, Some(3), None),
        (ExitHow::Signal(11), EndClass::UserError, None, Some(11)),
        (ExitHow::OutOfMemory { signal: Some(9) }, EndClass::OutOfMemory, None, Some(9)),
        (cannot(127), EndClass::UserError, Some(127), None),
        (ExitHow::Lost { message: "gone".into() }, EndClass::NodeLost, None, None),
    ] {
        let mut bench = Bench::new();
        let ended = bench.running(key(0, 1)).exits(key(0, 1), how).stored(key(0, 1)).sends_end();
        assert_eq!((ended.class, ended.exit_code, ended.signal), (class, code, signal));
    }
}

#[test]
fn what_cannot_be_prepared_is_the_nodes_loss_with_a_message_that_fits() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let result = Prepared::Failed("ä".repeat(2_000));
    let ended = bench.start(&[a]).apply(Input::Prepared { attempt: a, result }).sends_end();
    assert_eq!((ended.class, ended.started_at), (EndClass::NodeLost, None));
    assert_eq!(ended.message.map(|message| message.len()), Some(1_024));
}

#[test]
fn what_no_node_could_prepare_is_the_jobs_own_error() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let result = Prepared::Unusable("no such input".into());
    let ended = bench.start(&[a]).apply(Input::Prepared { attempt: a, result }).sends_end();
    assert_eq!((ended.class, ended.exit_code), (EndClass::UserError, Some(126)));
    assert_eq!(ended.message.as_deref(), Some("no such input"));
}

#[test]
fn time_outs_end_a_run_in_their_own_class() {
    let mut bench = Bench::new();
    bench.spec.timeouts.run = Some(Span::from_secs(10));
    bench.spec.timeouts.stall = Some(Span::from_secs(4));
    let (a, b) = (key(0, 1), key(1, 1));
    let grace = bench.spec.timeouts.kill_grace;
    bench.running(a).running(b);
    bench.wait(Duration::from_secs(3)).apply(Input::Output { attempt: a });
    bench.wait(Duration::from_secs(3)).expect(&[Action::Stop { attempt: b, grace }]);
    bench.apply(Input::Output { attempt: a });
    bench.wait(Duration::from_secs(3)).apply(Input::Output { attempt: a });
    bench.wait(Duration::from_secs(1)).expect(&[Action::Stop { attempt: a, grace }]);
    bench.sends();
    bench.exits(b, ExitHow::Code(0)).stored(b).exits(a, ExitHow::Signal(15)).stored(a);
    let classes: Vec<_> = bench.sends().into_iter().map(|(_, event)| class(&event)).collect();
    assert_eq!(classes, [EndClass::Stalled, EndClass::Timeout]);
}

#[test]
fn a_run_is_timed_by_the_agents_clock_whatever_the_supervisors_says() {
    let mut bench = Bench::new();
    bench.spec.timeouts.run = Some(Span::from_secs(10));
    let (a, b) = (key(0, 1), key(1, 1));
    let grace = bench.spec.timeouts.kill_grace;
    let hour = Duration::from_secs(3_600);
    let started_at = mesh_schemas::Timestamp::from_millis(0) + hour;
    bench.start(&[a, b]).ready(a).ready(b).asked();
    for (attempt, elapsed) in [(a, 4), (b, 0)] {
        let elapsed = Some(Duration::from_secs(elapsed));
        let state = Supervised::Running { started_at, elapsed };
        bench.apply(Input::Supervised { attempt, state });
    }
    bench.asked();
    bench.wait(Duration::from_secs(5)).expect(&[]);
    bench.wait(Duration::from_secs(1)).expect(&[Action::Stop { attempt: a, grace }]);
    bench.wait(Duration::from_secs(4)).expect(&[Action::Stop { attempt: b, grace }]);
}

#[test]
fn cancelling_ends_an_attempt_whose_last_output_cannot_be_stored() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let stored = ManifestSummary { version: 7, ..ManifestSummary::empty() };
    let commit = Input::Committed { attempt: a, manifest: Box::new(stored.clone()) };
    bench.running(a).apply(commit).exits(a, ExitHow::Code(0)).sends();
    let ended = bench.stop(a, StopReason::Cancelled).sends_end();
    assert_eq!((ended.class, &ended.manifest), (EndClass::Cancelled, &stored));
    assert!(ended.message.is_some());
    bench.stored(a);
    assert_eq!(bench.rejected(), [Rejected::Late { attempt: a }]);
    bench.crash(false, Vec::new()).welcome(2);
    assert_eq!(bench.sends_end(), ended);
}

#[test]
fn cancelled_while_it_ran_an_attempt_keeps_its_last_output() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).stop(a, StopReason::Cancelled).exits(a, ExitHow::Signal(15));
    bench.stop(a, StopReason::Cancelled);
    assert_eq!(bench.rejected(), [Rejected::Late { attempt: a }]);
    assert_eq!(bench.stored(a).sends_end().class, EndClass::Cancelled);
}

#[test]
fn an_end_says_why_its_output_is_missing() {
    let mut bench = Bench::new();
    let (attempt, manifest) = (key(0, 1), Box::new(ManifestSummary::empty()));
    let missing = Some("the state file is damaged".to_owned());
    bench.running(attempt).exits(attempt, ExitHow::Code(0));
    let ended = bench.apply(Input::Stored { attempt, manifest, missing }).sends_end();
    assert_eq!(ended.message.as_deref(), Some("the state file is damaged"));
}

#[test]
fn a_command_that_was_done_before_it_was_stopped_has_succeeded() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let done = exit(Some(bench.now), bench.now, ExitHow::Code(0));
    bench.running(a).wait(Duration::from_secs(1)).sends();
    bench.stop(a, StopReason::Cancelled);
    bench.apply(Input::Supervised { attempt: a, state: done }).stored(a);
    assert_eq!(bench.sends_end().class, EndClass::Success);
}

#[test]
fn work_goes_on_without_the_orchestrator_for_the_grace_and_no_longer() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let grace = bench.spec.timeouts.kill_grace;
    bench.running(a).wait(Duration::from_secs(61)).expect(&[Action::Hello]);
    bench.wait(Duration::from_secs(538)).expect(&[Action::Hello]);
    bench.wait(Duration::from_secs(1)).expect(&[Action::Stop { attempt: a, grace }]);
    bench.sends();
    bench.exits(a, ExitHow::Signal(15)).stored(a);
    assert_eq!(bench.sends_end().class, EndClass::NodeLost);
}

#[test]
fn a_node_whose_orchestrator_answers_never_ends_work_for_silence() {
    let mut bench = Bench::new();
    bench.running(key(0, 1));
    for _ in 0..60 {
        bench.wait(Duration::from_secs(61)).expect(&[Action::Hello]).welcome(0);
    }
}

#[test]
fn a_draining_node_hands_back_what_has_not_started_and_later_ends_the_rest() {
    let mut bench = Bench::new();
    let (running, queued, late) = (key(0, 1), key(1, 1), key(2, 1));
    let grace = bench.spec.timeouts.kill_grace;
    bench.running(running).start(&[queued]).ready(queued).asked();
    let deadline = bench.now + Duration::from_secs(30);
    bench.apply(Input::Drain { deadline }).expect(&[
        Action::Hello,
        Action::Beat,
        Action::Stop { attempt: queued, grace },
    ]);
    let gone = exit(None, bench.now, ExitHow::NeverStarted);
    let ended = bench.apply(Input::Supervised { attempt: queued, state: gone }).sends_end();
    assert_eq!(ended.class, EndClass::Preempted);
    assert_eq!(ended.message.as_deref(), Some("node is draining"));
    bench.start(&[late]).expect(&[Action::Beat]);
    assert_eq!(bench.sends_end().class, EndClass::Preempted);
    bench.wait(Duration::from_secs(29)).expect(&[]);
    bench.wait(Duration::from_secs(1)).expect(&[Action::Stop { attempt: running, grace }]);
}

#[test]
fn a_commit_tells_the_start_first_and_late_ones_are_refused() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    let commit = || Input::Committed { attempt: a, manifest: Box::new(ManifestSummary::empty()) };
    bench.running(a).apply(commit());
    let kinds: Vec<_> = bench.sends().into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(kinds, [1, 2]);
    bench.exits(a, ExitHow::Code(0)).apply(commit());
    assert_eq!(bench.rejected(), [Rejected::Late { attempt: a }]);
}

#[test]
fn work_that_the_journal_does_not_know_is_killed_and_forgotten() {
    let mut bench = Bench::new();
    let (alive, over) = (key(7, 1), key(8, 1));
    let running = Supervised::Running { started_at: bench.now, elapsed: None };
    let exited = exit(Some(bench.now), bench.now, ExitHow::Code(0));
    bench
        .crash(false, vec![(alive, running), (over, exited)])
        .expect(&[Action::Stop { attempt: alive, grace: Span::default() }, Action::Forget(over)]);
    bench.exits(alive, ExitHow::Signal(9)).expect(&[Action::Forget(alive)]);
}
