//! Figures that a history holds: how soon the work of a dead node was given up to be queued again, and how
//! much was done while every part was restarted. They are worked out afterwards; no run waits for them.
//!
//! Faults are noted by the run's clock and events by an orchestrator's. Both tell the same time but for an
//! orchestrator that was started while its clock was off, whose figures are left out where they cannot be.

use std::{collections::BTreeMap, ops::Range};

use mesh_schemas::{
    EndClass, NodeId, Timestamp,
    api::{EventKind, EventView},
};

use crate::history::{FaultNote, History};

/// No figure is larger: clocks were off.
const CREDIBLE_MS: i64 = 600_000;
/// The rolling restart, as faults are called.
const ROLLING: &str = "C14";
/// What the last part of a rolling restart needs to be back.
const ROLLED_MS: u64 = 2_000;

/// An attempt that was lost with its node.
#[derive(Debug, Clone, Copy)]
pub struct Requeue<'a> {
    /// The event that ended it.
    pub end: &'a EventView,
    /// How long after its node had died, in milliseconds.
    pub after_ms: u64,
}

/// Each attempt that ended as lost, by the last death of its node since it was leased.
pub fn requeues(history: &History) -> Vec<Requeue<'_>> {
    let mut deaths: BTreeMap<NodeId, Vec<Timestamp>> = BTreeMap::new();
    for fault in &history.faults {
        let node = history.nodes.iter().find(|node| Some(&node.name) == fault.died.as_ref());
        if let Some(node) = node {
            deaths.entry(node.id).or_default().push(fault.at);
        }
    }
    let mut leased = BTreeMap::new();
    let mut found = Vec::new();
    for event in &history.events {
        let attempt = (event.job, event.task, event.epoch);
        if event.kind == EventKind::AttemptLeased {
            leased.insert(attempt, event.at);
        }
        let is_lost = event.detail.as_deref().is_some_and(is_lost);
        if event.kind == EventKind::AttemptEnded && is_lost {
            let of_node = event.node.and_then(|node| deaths.get(&node));
            let since = leased.get(&attempt).copied();
            let last = |deaths: &Vec<Timestamp>| {
                deaths.iter().rfind(|at| Some(**at) >= since && **at <= event.at).copied()
            };
            let after = of_node.and_then(last).map(|death| since_ms(death, event.at));
            let after = after.filter(|after| (0..CREDIBLE_MS).contains(after));
            let after = after.and_then(|after| u64::try_from(after).ok());
            found.extend(after.map(|after_ms| Requeue { end: event, after_ms }));
        }
    }
    found
}

/// Tasks that ended in a second, while parts were restarted and otherwise; none without a rolling restart.
pub fn rolling(history: &History) -> Option<[f64; 2]> {
    let span = |fault: &FaultNote| {
        let end = fault.at.as_millis() + i64::try_from(fault.lasts_ms + ROLLED_MS).ok()?;
        Some(fault.at.as_millis()..end)
    };
    let rolls = history.faults.iter().filter(|fault| fault.scenario == ROLLING);
    let rolls = union(rolls.filter_map(span));
    let (first, last) = (history.faults.first()?.at, history.faults.last()?.at.as_millis());
    let begin = history.events.first().map_or(first, |event| event.at.min(first)).as_millis();
    let whole = begin..rolls.last().map_or(last, |roll| roll.end.max(last));
    let within = |at: i64| rolls.iter().any(|roll| roll.contains(&at));
    let ends = history.events.iter().filter(|event| event.kind == EventKind::TaskFinished);
    let ends: Vec<i64> = ends.map(|event| event.at.as_millis()).collect();
    let rolled = ends.iter().filter(|at| within(**at)).count();
    let other = ends.iter().filter(|at| whole.contains(at) && !within(**at)).count();
    let rolling_ms: i64 = rolls.iter().map(|roll| roll.end - roll.start).sum();
    let other_ms = whole.end - whole.start - rolling_ms;
    let rate = |count: usize, ms: i64| (ms > 0).then(|| count as f64 * 1e3 / ms as f64);
    Some([rate(rolled, rolling_ms)?, rate(other, other_ms)?])
}

/// Spans that begin one after the other, as one where they touch.
fn union(spans: impl Iterator<Item = Range<i64>>) -> Vec<Range<i64>> {
    let mut apart: Vec<Range<i64>> = Vec::new();
    for span in spans {
        match apart.last_mut().filter(|last| span.start <= last.end) {
            Some(last) => last.end = last.end.max(span.end),
            None => apart.push(span),
        }
    }
    apart
}

fn is_lost(detail: &str) -> bool {
    detail.split(':').next() == Some(EndClass::NodeLost.as_str())
}

const fn since_ms(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millis() - from.as_millis()
}
