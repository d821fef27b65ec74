//! Commands to nodes, cut to the sizes that messages may have.

use mesh_schemas::{
    AttemptKey, NodeId,
    message::{NodeCommand, START_TASKS_MAX, StartTasks, StopAttempts, StopReason, TaskStart},
};

use crate::{Command, Output, job::Job, node::Node};

/// Most bytes of array items in one command, so that it fits a message with its command line and
/// environment.
const ITEM_BYTES_MAX: usize = 128 << 10;

pub(crate) fn push_stops(
    out: &mut Output,
    node: NodeId,
    attempts: &[AttemptKey],
    reason: StopReason,
) {
    for attempts in attempts.chunks(START_TASKS_MAX) {
        let stop = StopAttempts { attempts: attempts.to_vec(), reason };
        out.commands.push(Command { node, command: NodeCommand::StopAttempts(stop) });
    }
}

pub(crate) fn push_starts(out: &mut Output, to: &Node, job: &Job, tasks: Vec<TaskStart>) {
    let (node, journal) = (to.record.id, to.journal());
    let mut batch = Vec::new();
    let mut bytes = 0;
    for task in tasks {
        let more = task.item.as_ref().map_or(0, String::len);
        let full = batch.len() >= START_TASKS_MAX || bytes + more > ITEM_BYTES_MAX;
        if full && !batch.is_empty() {
            push_start(out, node, job.start_tasks(journal, std::mem::take(&mut batch)));
            bytes = 0;
        }
        bytes += more;
        batch.push(task);
    }
    if !batch.is_empty() {
        push_start(out, node, job.start_tasks(journal, batch));
    }
}

fn push_start(out: &mut Output, node: NodeId, start: StartTasks) {
    out.commands.push(Command { node, command: NodeCommand::StartTasks(Box::new(start)) });
}
