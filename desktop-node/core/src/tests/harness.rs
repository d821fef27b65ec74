//! A node under test, with a recording shell: what was appended, what was asked.

use std::time::Duration;

use mesh_schemas::{
    AttemptKey, Epoch, JobId, JobSpec, JournalId, Timestamp, TraceParent,
    manifest::ManifestSummary,
    message::{
        AttemptEnded, MESSAGE_VERSION, NodeCommand, NodeCommands, NodeEvent, StartTasks,
        StopAttempts, StopReason, TaskStart, Usage,
    },
};
use uuid::Uuid;

use crate::{
    Action, Exit, ExitHow, Input, Life, Node, Output, Prepared, Record, Rejected, Settings,
    Supervised, Welcomed,
};

pub(super) fn key(task: u32, epoch: u32) -> AttemptKey {
    AttemptKey { job: JobId::from_uuid(Uuid::from_u128(1)), task, epoch: Epoch(epoch) }
}

pub(super) fn journal(number: u128) -> JournalId {
    JournalId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn start_of(attempts: &[AttemptKey], spec: &JobSpec) -> NodeCommand {
    let task = |key: &AttemptKey| TaskStart {
        task: key.task,
        epoch: key.epoch,
        item: None,
        checkpoint: None,
    };
    NodeCommand::StartTasks(Box::new(StartTasks {
        job: attempts[0].job,
        run: spec.into(),
        trace: TraceParent::new(1, 1),
        journal: None,
        tasks: attempts.iter().map(task).collect(),
    }))
}

pub(super) fn commands(leader: u64, commands: Vec<NodeCommand>) -> Input {
    Input::Commands(Box::new(NodeCommands { v: MESSAGE_VERSION, leader, commands }))
}

pub(super) fn exit(started_at: Option<Timestamp>, ended_at: Timestamp, how: ExitHow) -> Supervised {
    Supervised::Exited(Exit { started_at, ended_at, how, usage: Usage::default() })
}

/// The node, its journal, and what it has asked of the shell since somebody looked.
pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) records: Vec<Record>,
    pub(super) now: Timestamp,
    pub(super) spec: JobSpec,
    actions: Vec<Action>,
    /// Attempts whose output is looked after. Apart, as that begins a while after their start.
    pub(super) watched: Vec<AttemptKey>,
    rejected: Vec<Rejected>,
    boot: u32,
}

impl Bench {
    /// Fresh, with an empty supervisor, welcomed by leader 1.
    pub(super) fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let (node, records) = restore(Vec::new(), now, 0);
        let spec = JobSpec::new(["true"]);
        let (actions, watched, rejected) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { node, records, now, spec, actions, watched, rejected, boot: 0 };
        bench.apply(Input::Snapshot(Vec::new()));
        bench.welcome(0);
        bench
    }

    pub(super) fn apply(&mut self, input: Input) -> &mut Self {
        let mut out = Output::default();
        self.node.apply(self.now, input, &mut out);
        self.take(out);
        self
    }

    fn take(&mut self, out: Output) {
        self.records.extend(out.records);
        for action in out.actions {
            if let Action::Watch(attempt) = action {
                self.watched.push(attempt);
            } else {
                self.actions.push(action);
            }
        }
        self.rejected.extend(out.rejected);
        self.node.check_invariants();
    }

    /// The agent dies and lives again; `reboot` says whether the machine did too.
    pub(super) fn crash(&mut self, reboot: bool, held: Vec<(AttemptKey, Supervised)>) -> &mut Self {
        self.boot += u32::from(reboot);
        let (node, opened) = restore(self.records.clone(), self.now, self.boot);
        self.node = node;
        self.records.extend(opened);
        self.actions.clear();
        self.apply(Input::Snapshot(held))
    }

    pub(super) fn welcome(&mut self, recorded_seq: u64) -> &mut Self {
        let journal = self.node.journal();
        let spare = super::harness::journal(self.records.len() as u128 + 1_000);
        self.apply(Input::Welcome(Welcomed { leader: 1, journal, recorded_seq, spare }))
    }

    pub(super) fn start(&mut self, attempts: &[AttemptKey]) -> &mut Self {
        let start = start_of(attempts, &self.spec);
        self.apply(commands(1, vec![start]))
    }

    pub(super) fn stop(&mut self, attempt: AttemptKey, reason: StopReason) -> &mut Self {
        let stop = NodeCommand::StopAttempts(StopAttempts { attempts: vec![attempt], reason });
        self.apply(commands(1, vec![stop]))
    }

    pub(super) fn recorded(&mut self, seq: u64) -> &mut Self {
        let journal = self.node.journal();
        self.apply(commands(1, vec![NodeCommand::Recorded { journal, seq }]))
    }

    pub(super) fn ready(&mut self, attempt: AttemptKey) -> &mut Self {
        self.apply(Input::Prepared { attempt, result: Prepared::Ready })
    }

    pub(super) fn runs(&mut self, attempt: AttemptKey) -> &mut Self {
        let state = Supervised::Running { started_at: self.now, elapsed: None };
        self.apply(Input::Supervised { attempt, state })
    }

    pub(super) fn exits(&mut self, attempt: AttemptKey, how: ExitHow) -> &mut Self {
        let state = exit(Some(self.now), self.now, how);
        self.apply(Input::Supervised { attempt, state })
    }

    pub(super) fn stored(&mut self, attempt: AttemptKey) -> &mut Self {
        let manifest = Box::new(ManifestSummary::empty());
        self.apply(Input::Stored { attempt, manifest, missing: None })
    }

    /// From the command to a running process; what was asked on the way is forgotten.
    pub(super) fn running(&mut self, attempt: AttemptKey) -> &mut Self {
        self.start(&[attempt]).ready(attempt).runs(attempt);
        self.actions.clear();
        self
    }

    pub(super) fn wait(&mut self, wait: Duration) -> &mut Self {
        self.now = self.now + wait;
        self.apply(Input::Tick)
    }

    pub(super) fn asked(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub(super) fn rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    pub(super) fn expect(&mut self, actions: &[Action]) -> &mut Self {
        assert_eq!(self.asked(), actions);
        self
    }

    /// What would be sent now; it counts as sent.
    pub(super) fn sends(&mut self) -> Vec<(u64, NodeEvent)> {
        let sent: Vec<_> = self.node.unsent().map(|(seq, event)| (seq, event.clone())).collect();
        if let Some((last, _)) = sent.last() {
            self.node.mark_sent(*last, self.now);
        }
        sent
    }

    /// The one event that would be sent now, an end.
    pub(super) fn sends_end(&mut self) -> AttemptEnded {
        let sent = self.sends();
        let [(_, NodeEvent::AttemptEnded(ended))] = sent.as_slice() else {
            panic!("expected one end, got {sent:?}")
        };
        (**ended).clone()
    }
}

fn restore(records: Vec<Record>, now: Timestamp, boot: u32) -> (Node, Vec<Record>) {
    let settings = Settings { disconnect_grace: Duration::from_secs(600) };
    let spare = journal(u128::from(boot) + 1);
    Node::restore(records, settings, Life { boot: boot.to_string(), spare, now })
}
