//! Commands to one node as messages that the broker takes.

use mesh_core::Command;
use mesh_schemas::{
    JobSpec, NodeId, TraceParent,
    message::{
        MESSAGE_BYTES_MAX, MESSAGE_VERSION, NodeCommand, NodeCommands, RunSpec, START_TASKS_MAX,
        StartTasks, StopAttempts,
    },
};

/// Left for what surrounds a single task in its message: ids, the checkpoint's reference, the trace.
const ENVELOPE_BYTES_MAX: usize = 8 << 10;

/// One message to one node.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) node: NodeId,
    pub(super) payload: Vec<u8>,
    /// When all of it concerns one job.
    pub(super) trace: Option<TraceParent>,
}

/// True when any one task of the job can be sent to a node. `text_len` is the length of the spec's JSON,
/// which settles it for almost every job.
pub fn fits_one_message(text_len: usize, spec: &JobSpec) -> bool {
    let most = MESSAGE_BYTES_MAX - ENVELOPE_BYTES_MAX;
    if text_len <= most {
        return true;
    }
    let len = |text: serde_json::Result<Vec<u8>>| text.map_or(usize::MAX, |text| text.len());
    let item = match &spec.array {
        Some(mesh_schemas::spec::ArraySpec::Items(items)) => {
            items.iter().map(|item| len(serde_json::to_vec(item))).max().unwrap_or(0)
        }
        Some(mesh_schemas::spec::ArraySpec::Range(_)) | None => 0,
    };
    len(serde_json::to_vec(&RunSpec::from(spec))).saturating_add(item) <= most
}

/// Groups commands by node, in order, and cuts them to the broker's size. A command that cannot be cut
/// small enough is left out; the second value counts those.
pub(super) fn messages(leader: u64, commands: Vec<Command>) -> (Vec<Outgoing>, usize) {
    let (mut messages, mut too_large) = (Vec::new(), 0);
    for (node, commands) in by_node(commands) {
        let batch = NodeCommands { v: MESSAGE_VERSION, leader, commands };
        pack(node, batch, &mut messages, &mut too_large);
    }
    (messages, too_large)
}

/// Keeps the order of commands to one node, and that of nodes by their first command.
fn by_node(commands: Vec<Command>) -> Vec<(NodeId, Vec<NodeCommand>)> {
    let mut places = std::collections::BTreeMap::new();
    let mut nodes: Vec<(NodeId, Vec<NodeCommand>)> = Vec::new();
    for Command { node, command } in commands {
        let place = *places.entry(node).or_insert_with(|| {
            nodes.push((node, Vec::new()));
            nodes.len() - 1
        });
        nodes[place].1.extend(pieces(command));
    }
    nodes
}

/// Cuts a command to the bounds that nodes check.
fn pieces(command: NodeCommand) -> Vec<NodeCommand> {
    match command {
        NodeCommand::StartTasks(start) if start.tasks.len() > START_TASKS_MAX => {
            let StartTasks { job, run, trace, journal, tasks } = *start;
            let piece = |tasks: &[_]| {
                let (run, tasks) = (run.clone(), tasks.to_vec());
                StartTasks { job, run, trace, journal, tasks }
            };
            let pieces = tasks.chunks(START_TASKS_MAX).map(piece);
            pieces.map(|start| NodeCommand::StartTasks(Box::new(start))).collect()
        }
        NodeCommand::StartTasks(_)
        | NodeCommand::StopAttempts(_)
        | NodeCommand::Recorded { .. }
        | NodeCommand::Report => vec![command],
    }
}

fn pack(node: NodeId, batch: NodeCommands, out: &mut Vec<Outgoing>, too_large: &mut usize) {
    let Ok(payload) = serde_json::to_vec(&batch) else {
        *too_large += 1;
        return;
    };
    if payload.len() <= MESSAGE_BYTES_MAX {
        out.push(Outgoing { node, payload, trace: trace_of(&batch.commands) });
        return;
    }
    match halves(batch.commands) {
        Some(halves) => {
            for commands in halves {
                pack(node, NodeCommands { commands, ..batch }, out, too_large);
            }
        }
        None => *too_large += 1,
    }
}

/// Two runs of commands that say the same together; `None` for one task or attempt.
fn halves(mut commands: Vec<NodeCommand>) -> Option<[Vec<NodeCommand>; 2]> {
    if commands.len() > 1 {
        let second = commands.split_off(commands.len() / 2);
        return Some([commands, second]);
    }
    match commands.pop()? {
        NodeCommand::StartTasks(mut start) if start.tasks.len() > 1 => {
            let tasks = start.tasks.split_off(start.tasks.len() / 2);
            let second = StartTasks { tasks, run: start.run.clone(), ..*start };
            Some([
                vec![NodeCommand::StartTasks(start)],
                vec![NodeCommand::StartTasks(Box::new(second))],
            ])
        }
        NodeCommand::StopAttempts(mut stop) if stop.attempts.len() > 1 => {
            let attempts = stop.attempts.split_off(stop.attempts.len() / 2);
            let second = StopAttempts { attempts, reason: stop.reason };
            Some([vec![NodeCommand::StopAttempts(stop)], vec![NodeCommand::StopAttempts(second)]])
        }
        NodeCommand::StartTasks(_)
        | NodeCommand::StopAttempts(_)
        | NodeCommand::Recorded { .. }
        | NodeCommand::Report => None,
    }
}

/// The trace of the only job that these commands concern.
fn trace_of(commands: &[NodeCommand]) -> Option<TraceParent> {
    let mut traces = commands.iter().filter_map(|command| match command {
        NodeCommand::StartTasks(start) => Some(start.trace),
        NodeCommand::StopAttempts(_) | NodeCommand::Recorded { .. } | NodeCommand::Report => None,
    });
    let first = traces.next()?;
    traces.all(|trace| trace == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{Epoch, JobId, JournalId, message::TaskStart, spec::ArraySpec};
    use uuid::Uuid;

    use super::*;

    fn node(n: u128) -> NodeId {
        NodeId::from_uuid(Uuid::from_u128(n))
    }

    fn start(job: u128, tasks: u32, item_len: usize) -> NodeCommand {
        let task = |task| TaskStart {
            task,
            epoch: Epoch(1),
            item: (item_len > 0).then(|| "x".repeat(item_len)),
            checkpoint: None,
        };
        NodeCommand::StartTasks(Box::new(StartTasks {
            job: JobId::from_uuid(Uuid::from_u128(job)),
            run: RunSpec::from(&JobSpec::new(["true"])),
            trace: TraceParent::new(job, 1),
            journal: None,
            tasks: (0..tasks).map(task).collect(),
        }))
    }

    fn to(node: NodeId, command: NodeCommand) -> Command {
        Command { node, command }
    }

    fn read(outgoing: &Outgoing) -> NodeCommands {
        serde_json::from_slice(&outgoing.payload).unwrap()
    }

    fn tasks_of(messages: &[Outgoing]) -> Vec<u32> {
        let commands = messages.iter().flat_map(|message| read(message).commands);
        let tasks = commands.flat_map(|command| match command {
            NodeCommand::StartTasks(start) => start.tasks,
            NodeCommand::StopAttempts(_) | NodeCommand::Recorded { .. } | NodeCommand::Report => {
                Vec::new()
            }
        });
        tasks.map(|task| task.task).collect()
    }

    #[test]
    fn commands_of_one_node_travel_together_in_their_order() {
        let recorded =
            NodeCommand::Recorded { journal: JournalId::from_uuid(Uuid::from_u128(9)), seq: 4 };
        let commands = vec![
            to(node(1), start(1, 2, 0)),
            to(node(2), NodeCommand::Report),
            to(node(1), recorded.clone()),
        ];
        let (messages, too_large) = messages(7, commands);
        assert_eq!((messages.len(), too_large), (2, 0));
        assert_eq!(messages[0].trace, Some(TraceParent::new(1, 1)));
        assert_eq!(messages[1].trace, None);
        let first = read(&messages[0]);
        assert_eq!((first.leader, first.commands.len()), (7, 2));
        assert_eq!(first.commands[1], recorded);
    }

    #[test]
    fn long_batches_are_cut_to_the_brokers_size_and_lose_no_task() {
        let (messages, too_large) =
            messages(1, vec![to(node(1), start(1, 1_300, 4_000)), to(node(1), start(2, 1, 0))]);
        assert_eq!(too_large, 0);
        assert!(messages.len() > 5);
        for message in &messages {
            assert!(message.payload.len() <= MESSAGE_BYTES_MAX);
        }
        let expected: Vec<u32> = (0..1_300).chain([0]).collect();
        assert_eq!(tasks_of(&messages), expected);
    }

    #[test]
    fn no_message_starts_more_tasks_than_nodes_take() {
        let (messages, _) = messages(1, vec![to(node(1), start(1, 1_025, 0))]);
        for command in messages.iter().flat_map(|message| read(message).commands) {
            let NodeCommand::StartTasks(start) = command else { panic!("only starts") };
            assert!(start.tasks.len() <= START_TASKS_MAX);
        }
        assert_eq!(tasks_of(&messages).len(), 1_025);
    }

    #[test]
    fn a_task_that_cannot_be_sent_is_refused_at_submit_and_never_blocks_others() {
        let mut spec = JobSpec::new(["true"]);
        // Each control character takes six bytes in JSON.
        spec.command.push("\u{1}".repeat(120 << 10));
        spec.env.insert("A".into(), "\u{1}".repeat(120 << 10));
        let len = |spec: &JobSpec| serde_json::to_vec(spec).unwrap().len();
        assert!(!fits_one_message(len(&spec), &spec));
        let mut many = JobSpec::new(["true"]);
        many.array = Some(ArraySpec::Items(vec!["x".repeat(1_000); 4_000]));
        assert!(fits_one_message(len(&many), &many));

        let (messages, too_large) =
            messages(1, vec![to(node(1), start(1, 1, 2 << 20)), to(node(1), start(2, 1, 0))]);
        assert_eq!((messages.len(), too_large), (1, 1));
    }
}
