//! The engine's figures, by name.

use std::{collections::BTreeMap, time::Duration};

use mesh_core::{Command, Input, Rejected};
use mesh_schemas::{
    api::NodeState,
    message::{NodeCommand, StopReason},
};
use metrics::{counter, gauge, histogram};

/// One round was made.
pub(super) fn round(took: Duration) {
    counter!("mesh_rounds_total").increment(1);
    histogram!("mesh_round_seconds").record(took.as_secs_f64());
}

/// One commit was made.
pub(super) fn commit(took: Duration) {
    histogram!("mesh_commit_seconds").record(took.as_secs_f64());
}

/// One input was taken from the queue.
pub(super) fn input(input: &Input) {
    counter!("mesh_inputs_total", "kind" => kind(input)).increment(1);
}

/// Something was not taken.
pub(super) fn rejected(reason: &'static str) {
    counter!("mesh_rejected_total", "reason" => reason).increment(1);
}

/// How much there is.
pub(super) fn gauges(totals: (u64, u64), nodes: &BTreeMap<NodeState, u32>) {
    // A gauge is a float: above 2^53 tasks it would be off by one.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let (queued, held) = (totals.0 as f64, totals.1 as f64);
    gauge!("mesh_tasks_queued").set(queued);
    gauge!("mesh_tasks_held").set(held);
    for state in NodeState::ALL {
        let count = nodes.get(state).copied().unwrap_or(0);
        gauge!("mesh_nodes", "state" => state.as_str()).set(f64::from(count));
    }
}

/// The core was rebuilt from the store.
pub(super) fn reloaded() {
    counter!("mesh_core_reloads_total").increment(1);
}

/// Attempts that were asked back before they began.
pub(super) fn recalled(commands: &[Command]) {
    let asked_back = commands.iter().filter_map(|command| match &command.command {
        NodeCommand::StopAttempts(stop) if stop.reason == StopReason::Preempted => {
            Some(stop.attempts.len())
        }
        NodeCommand::StopAttempts(_)
        | NodeCommand::StartTasks(_)
        | NodeCommand::Recorded { .. }
        | NodeCommand::Report => None,
    });
    let count: usize = asked_back.sum();
    if count > 0 {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        counter!("mesh_attempts_recalled_total").increment(count);
    }
}

/// Commands that were not sent because their queue was full; they are sent again later.
pub(super) fn commands_dropped(count: usize) {
    counter!("mesh_commands_dropped_total").increment(u64::try_from(count).unwrap_or(u64::MAX));
}

const fn kind(input: &Input) -> &'static str {
    match input {
        Input::Submit(_) => "submit",
        Input::Cancel { .. } => "cancel",
        Input::Retry { .. } => "retry",
        Input::NodeJoined { .. } => "node_joined",
        Input::NodeHello(_) => "node_hello",
        Input::NodeBeat(_) => "node_beat",
        Input::NodeEvents(_) => "node_events",
        Input::NodeAction { .. } => "node_action",
        Input::Tick => "tick",
    }
}

/// The label of a rejection.
pub(super) const fn reason(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::IdempotencyMismatch { .. } => "idempotency_mismatch",
        Rejected::UnknownDependency { .. } => "unknown_dependency",
        Rejected::FailedDependency { .. } => "failed_dependency",
        Rejected::JobNotLive(_) => "job_not_live",
        Rejected::NothingToRetry(_) => "nothing_to_retry",
        Rejected::TooManyRows { .. } => "too_many_rows",
        Rejected::UnknownNode(_) => "unknown_node",
        Rejected::NodeRevoked(_) => "node_revoked",
        Rejected::Gap { .. } => "gap",
        Rejected::UnknownJournal(_) => "unknown_journal",
        Rejected::Fenced(_) => "fenced",
    }
}
