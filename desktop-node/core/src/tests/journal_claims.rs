//! The journal's rules, claim by claim.

use std::time::Duration;

use mesh_schemas::{EndClass, message::StopReason};

use super::harness::{Bench, exit, key};
use crate::{Action, ExitHow, Input, Node, RESEND_AFTER, Record, Rejected, Supervised};

#[test]
fn unrecorded_events_are_sent_again_after_silence_and_on_welcome() {
    let mut bench = Bench::new();
    for task in 0..3 {
        bench.running(key(task, 1)).exits(key(task, 1), ExitHow::Code(0)).stored(key(task, 1));
    }
    assert_eq!(bench.sends().len(), 3);
    assert!(bench.sends().is_empty(), "what is on its way is not sent again");
    bench.recorded(1).wait(RESEND_AFTER - Duration::from_millis(1));
    assert!(bench.sends().is_empty());
    bench.wait(Duration::from_millis(1));
    let again: Vec<u64> = bench.sends().into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(again, [2, 3]);
    bench.welcome(2);
    let again: Vec<u64> = bench.sends().into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(again, [3]);
}

#[test]
fn a_confirmation_of_another_journal_or_of_the_future_forgets_nothing() {
    let mut bench = Bench::new();
    bench.running(key(0, 1)).exits(key(0, 1), ExitHow::Code(0)).stored(key(0, 1));
    for seq in [2, u64::MAX] {
        bench.recorded(seq);
        let journal = bench.node.journal();
        assert_eq!(bench.rejected(), [Rejected::Confirmation { journal, seq }]);
    }
    assert_eq!(bench.sends_end().class, EndClass::Success);
}

#[test]
fn the_next_life_goes_on_with_running_work() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).wait(Duration::from_secs(1)).sends();
    let started_at = bench.now;
    bench.crash(false, vec![(a, Supervised::Running { started_at, elapsed: None })]).welcome(1);
    bench.wait(Duration::from_secs(1)).exits(a, ExitHow::Code(0)).stored(a);
    assert_eq!(bench.watched, [a, a], "once in each life");
    assert_eq!(bench.sends_end().class, EndClass::Success);
}

#[test]
fn the_next_life_prepares_what_the_supervisor_does_not_have() {
    let mut bench = Bench::new();
    let (waiting, stopped) = (key(0, 1), key(1, 1));
    bench.start(&[waiting, stopped]).stop(stopped, StopReason::Cancelled);
    bench.crash(false, Vec::new()).expect(&[Action::Prepare(waiting)]).welcome(0);
    assert_eq!(bench.sends_end().class, EndClass::Cancelled);
}

#[test]
fn the_next_life_remembers_why_it_stopped_an_attempt() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).stop(a, StopReason::Preempted);
    let started_at = bench.now;
    let grace = bench.spec.timeouts.kill_grace;
    bench
        .crash(false, vec![(a, Supervised::Running { started_at, elapsed: None })])
        .welcome(0)
        .expect(&[Action::Stop { attempt: a, grace }]);
    bench.exits(a, ExitHow::Signal(15)).stored(a);
    assert_eq!(bench.sends_end().class, EndClass::Preempted);
}

#[test]
fn an_end_in_the_journal_is_not_numbered_again() {
    let mut bench = Bench::new();
    let a = key(0, 1);
    bench.running(a).exits(a, ExitHow::Code(0)).stored(a);
    let exited = exit(Some(bench.now), bench.now, ExitHow::Code(0));
    bench.crash(false, vec![(a, exited)]).welcome(0).expect(&[]);
    assert_eq!(bench.sends_end().attempt, a);
    bench.recorded(1).expect(&[Action::Forget(a)]);
}

#[test]
fn a_new_boot_begins_a_new_journal_and_keeps_what_is_unrecorded() {
    let mut bench = Bench::new();
    for task in 0..2 {
        bench.running(key(task, 1)).exits(key(task, 1), ExitHow::Code(0)).stored(key(task, 1));
    }
    bench.recorded(1);
    let before = bench.node.journal();
    bench.crash(true, Vec::new());
    assert_ne!(bench.node.journal(), before);
    assert_eq!(bench.sends().first().map(|(seq, _)| *seq), Some(1));
    bench.welcome(1).expect(&[Action::Forget(key(1, 1))]);
    assert!(bench.node.is_empty());
}

#[test]
fn a_journal_that_lost_its_tail_begins_anew() {
    let mut bench = Bench::new();
    bench.running(key(0, 1)).exits(key(0, 1), ExitHow::Code(0)).stored(key(0, 1)).asked();
    let before = bench.node.journal();
    bench.welcome(5).expect(&[Action::Hello]);
    assert_ne!(bench.node.journal(), before);
    let late = crate::Welcomed {
        leader: 1,
        journal: before,
        recorded_seq: 5,
        spare: super::harness::journal(77),
    };
    bench.apply(Input::Welcome(late));
    assert_eq!(bench.rejected(), [Rejected::Confirmation { journal: before, seq: 5 }]);
    assert_eq!(bench.sends().first().map(|(seq, _)| *seq), Some(1));
}

#[test]
fn the_compacted_journal_is_the_same_state() {
    let mut bench = Bench::new();
    bench.running(key(0, 1)).exits(key(0, 1), ExitHow::Code(0)).stored(key(0, 1));
    bench.recorded(1);
    bench.running(key(1, 1)).exits(key(1, 1), ExitHow::Code(1)).stored(key(1, 1));
    bench.start(&[key(2, 1), key(3, 1)]).stop(key(2, 1), StopReason::Fenced);
    let small = bench.node.compacted();
    assert!(small.len() < bench.records.len());
    bench.records = small.clone();
    bench.crash(false, Vec::new()).welcome(1);
    bench.start(&[key(0, 1)]).expect(&[
        Action::Forget(key(2, 1)),
        Action::Prepare(key(3, 1)),
        Action::Beat,
    ]);
    assert_eq!(bench.sends_end().attempt, key(1, 1));
    let again: Vec<Record> = Node::compacted(&bench.node);
    assert_eq!(again.first(), small.first());
}
