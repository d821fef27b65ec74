//! The checker against histories made by hand: a good one passes, and each bad one is named.
//!
//! A checker that says yes to everything would pass every chaos run; these tests are what it is worth.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod bad;
mod story;

use mesh_chaos::{
    check::{Invariant, Verdict, check},
    history::{FaultNote, History, Scan},
    measure,
};
use mesh_schemas::{
    Timestamp,
    api::{EventKind, EventView},
};
use story::good;

#[test]
fn a_good_history_passes_and_every_invariant_that_is_built_was_looked_at() {
    let report = check(&good());
    let breaches: Vec<_> = report.breaches().collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
    let not_built = [Invariant::I11];
    for (invariant, verdict) in &report.verdicts {
        let looked = matches!(verdict, Verdict::Holds(seen) if *seen > 0);
        assert_eq!(looked, !not_built.contains(invariant), "{invariant}: {verdict:?}");
    }
}

#[test]
fn an_empty_history_proves_nothing() {
    let report = check(&History::default());
    assert!(report.is_good());
    for (invariant, verdict) in &report.verdicts {
        assert!(matches!(verdict, Verdict::NotApplicable(_)), "{invariant}: {verdict:?}");
    }
    let no_secrets = History { scan: Some(Scan::default()), ..History::default() };
    let verdict = &check(&no_secrets).verdicts[14];
    assert!(matches!(verdict, (Invariant::I15, Verdict::NotApplicable(_))), "{verdict:?}");
}

#[test]
fn each_bad_history_is_named() {
    let bad = bad::all();
    assert!(bad.len() >= 20, "only {} bad histories", bad.len());
    for (title, invariant, spoil) in &bad {
        let mut history = good();
        spoil(&mut history);
        let report = check(&history);
        let named = report.breaches().any(|breach| breach.invariant == *invariant);
        let breaches: Vec<_> = report.breaches().map(|b| (b.invariant, &b.what)).collect();
        assert!(named, "{title}: {invariant} is not named, found {breaches:#?}");
    }
}

#[test]
fn each_invariant_that_is_built_has_a_bad_history() {
    let covered: Vec<Invariant> =
        bad::all().into_iter().map(|(_, invariant, _)| invariant).collect();
    let not_built = [Invariant::I11];
    for invariant in Invariant::ALL {
        assert_ne!(covered.contains(invariant), not_built.contains(invariant), "{invariant}");
    }
}

#[test]
fn a_breach_shows_the_shortest_run_of_events() {
    let mut history = good();
    bad::second_success(&mut history);
    let report = check(&history);
    let breach = report.breaches().find(|breach| breach.invariant == Invariant::I2).unwrap();
    let events: Vec<_> =
        breach.slice.iter().filter(|line| line.contains("attempt_ended")).collect();
    assert_eq!(events.len(), 2, "{:#?}", breach.slice);
    assert!(
        breach.slice.iter().any(|line| line.contains("submit with key")),
        "{:#?}",
        breach.slice
    );
    let accepted = breach.slice.iter().any(|line| line.contains("job_accepted"));
    assert!(!accepted, "what came before the first success is left out: {:#?}", breach.slice);
}

#[test]
fn figures_are_worked_out_of_a_history() {
    let mut history = good();
    let requeues = measure::requeues(&history);
    let after: Vec<u64> = requeues.iter().map(|requeue| requeue.after_ms).collect();
    assert_eq!(after, [5], "the other loss was of a node that was only cut off");
    assert_eq!(measure::rolling(&history), None);

    let died = history.faults.remove(0);
    let at = |millis| Timestamp::from_millis(millis);
    let fault = |scenario: &str, millis, lasts_ms| FaultNote {
        at: at(millis),
        scenario: scenario.into(),
        lasts_ms,
        ..died.clone()
    };
    history.faults = [
        fault("C1", 0, 0),
        fault("C14", 1_000, 1_000),
        fault("C14", 1_500, 1_500),
        fault("C1", 10_000, 0),
    ]
    .into();
    let ended = |event: &EventView| event.kind == EventKind::TaskFinished;
    let one = history.events.iter().find(|event| ended(event)).unwrap().clone();
    let times = [500, 1_500, 4_999, 5_000, 9_000, 9_500, 20_000];
    history.events = times.map(|millis| EventView { at: at(millis), ..one.clone() }).into();
    // Four seconds of restarting with two ends, six others with four.
    assert_eq!(measure::rolling(&history), Some([2.0 / 4.0, 4.0 / 6.0]));
}

#[test]
fn a_history_survives_being_kept_as_json() {
    let history = good();
    let text = serde_json::to_string(&history).unwrap();
    let again: History = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    assert!(check(&again).is_good());
}
