//! The shortest run of events that shows what is wrong, for people.

use std::time::Duration;

use mesh_schemas::{JobId, Timestamp, api::EventView};

use super::index::Index;
use crate::history::{Action, FaultNote, Op, Outcome};

/// How long before the first event a fault may have been its cause.
const BEFORE: Duration = Duration::from_secs(20);
/// Longest slice; what is in the middle of a longer one is left out.
const LINES_MAX: usize = 40;

impl Index<'_> {
    /// The events of a job (of one task, when given) from the first to the last of those that
    /// contradict each other, with what clients asked about the job and the faults of that time.
    pub(super) fn slice(&self, job: JobId, task: Option<u32>, witnesses: &[u64]) -> Vec<String> {
        let first = witnesses.iter().min().copied().unwrap_or(0);
        let last = witnesses.iter().max().copied().unwrap_or(u64::MAX);
        let concerns = |event: &&&EventView| {
            let within = (first..=last).contains(&event.seq);
            within && (task.is_none() || event.task.is_none() || event.task == task)
        };
        let events: Vec<_> = self.events_of(job).iter().filter(concerns).collect();
        let mut lines: Vec<(Timestamp, String)> =
            events.iter().map(|event| (event.at, event_line(event))).collect();
        let window = events.first().zip(events.last()).map(|(first, last)| (first.at, last.at));
        let asked = self.history.ops.iter().filter(|op| op.job() == Some(job));
        let asked = asked.filter(|op| is_submit(op) || within(window, op.at, Duration::ZERO));
        lines.extend(asked.map(|op| (op.at, op_line(op))));
        let faults = self.history.faults.iter().filter(|f| within(window, f.at, BEFORE));
        let line = |f: &FaultNote| format!("      fault {} {} {}", shown(f.at), f.scenario, f.what);
        lines.extend(faults.map(|fault| (fault.at, line(fault))));
        lines.sort_by_key(|(at, _)| *at);
        shorten(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// A slice of one request.
    pub(super) fn slice_of_op(&self, op: &Op) -> Vec<String> {
        match op.job() {
            Some(job) => self.slice(job, None, &[]),
            None => vec![op_line(op)],
        }
    }
}

/// The window may be that of a whole job, which is not bounded.
fn within(window: Option<(Timestamp, Timestamp)>, at: Timestamp, before: Duration) -> bool {
    window.is_none_or(|(first, last)| at + before >= first && at <= last)
}

const fn is_submit(op: &Op) -> bool {
    matches!(op.action, Action::Submit { .. })
}

fn shorten(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES_MAX {
        let left_out = lines.len() - LINES_MAX;
        let tail = lines.split_off(lines.len() - LINES_MAX / 2);
        lines.truncate(LINES_MAX / 2);
        lines.push(format!("      … {left_out} lines left out"));
        lines.extend(tail);
    }
    lines
}

/// Milliseconds of a day: enough to compare.
fn shown(at: Timestamp) -> String {
    let ms = at.as_millis().rem_euclid(86_400_000);
    let (s, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

fn event_line(event: &EventView) -> String {
    let mut line = format!("{:>11} {} {}", event.seq, shown(event.at), event.kind);
    if let Some(task) = event.task {
        line.push_str(&format!(" task {task}"));
    }
    if let Some(epoch) = event.epoch {
        line.push_str(&format!(" epoch {epoch}"));
    }
    if let Some(node) = event.node {
        line.push_str(&format!(" {node}"));
    }
    if let Some(detail) = &event.detail {
        line.push_str(&format!(": {detail}"));
    }
    line
}

fn op_line(op: &Op) -> String {
    let asked = match &op.action {
        Action::Submit { key, .. } => format!("submit with key {key}"),
        Action::Cancel(_) => "cancel".to_owned(),
        Action::Retry(_) => "retry".to_owned(),
        Action::Look(_) => "look".to_owned(),
        Action::Node(node, act) => format!("{act} {node}"),
        Action::File { entry } => format!("file {entry}"),
        Action::Head => "look at the head".to_owned(),
    };
    let told = match op.done.as_ref().map(|done| &done.outcome) {
        Some(Outcome::Ok(answer)) => format!("yes: {answer:?}"),
        Some(Outcome::Fail(code)) => format!("no: {code}"),
        Some(Outcome::Unknown(why)) => format!("unknown: {why}"),
        None => "no answer".to_owned(),
    };
    format!("   client {} {} {asked} → {told}", op.client, shown(op.at))
}
