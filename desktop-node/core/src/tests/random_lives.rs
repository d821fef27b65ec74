//! Goal: whatever order things come in and however often the agent dies, no end is lost or doubled.
//! Method: a modelled supervisor, upload and orchestrator around the real core; random steps with
//! lost and doubled messages and crashes on either side of the actions; then calm, then count.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh_schemas::{
    AttemptKey, JobSpec, Timestamp,
    manifest::ManifestSummary,
    message::{NodeCommand, NodeEvent, StopAttempts, StopReason},
};
use proptest::prelude::*;

use super::harness::{commands, exit, journal, key, start_of};
use crate::{
    Action, ExitHow, Input, Life, Node, Output, Prepared, Record, Settings, Supervised, Welcomed,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    Start { task: u32, epoch: u32 },
    Stop { task: u32, epoch: u32, reason: StopReason },
    Prepare { ready: bool },
    Run,
    Exit { code: i32 },
    Store,
    Commit,
    Publish { lose: bool },
    Confirm { lose: bool },
    Hello,
    Pass { millis: u64 },
    Crash,
    CrashBeforeActing,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    let task = || (0_u32..4, 1_u32..4);
    let reason = prop::sample::select(StopReason::ALL);
    prop_oneof![
        6 => task().prop_map(|(task, epoch)| Step::Start { task, epoch }),
        2 => (task(), reason).prop_map(|((task, epoch), reason)| Step::Stop { task, epoch, reason }),
        5 => any::<bool>().prop_map(|ready| Step::Prepare { ready }),
        5 => Just(Step::Run),
        5 => (0..2).prop_map(|code| Step::Exit { code }),
        5 => Just(Step::Store),
        1 => Just(Step::Commit),
        4 => any::<bool>().prop_map(|lose| Step::Publish { lose }),
        4 => any::<bool>().prop_map(|lose| Step::Confirm { lose }),
        1 => Just(Step::Hello),
        3 => (0_u64..4_000).prop_map(|millis| Step::Pass { millis }),
        2 => Just(Step::Crash),
        2 => Just(Step::CrashBeforeActing),
        1 => Just(Step::Compact),
    ]
}

struct World {
    node: Node,
    records: Vec<Record>,
    now: Timestamp,
    /// The modelled supervisor.
    supervised: BTreeMap<AttemptKey, Supervised>,
    ran: BTreeMap<AttemptKey, u32>,
    /// Work of this life of the agent.
    preparing: BTreeSet<AttemptKey>,
    storing: BTreeSet<AttemptKey>,
    /// The modelled orchestrator.
    recorded: u64,
    ends: BTreeMap<AttemptKey, u32>,
    accepted: BTreeSet<AttemptKey>,
    die_before_acting: bool,
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let (node, records) = restore(Vec::new(), now);
        let mut world = Self {
            node,
            records,
            now,
            supervised: BTreeMap::new(),
            ran: BTreeMap::new(),
            preparing: BTreeSet::new(),
            storing: BTreeSet::new(),
            recorded: 0,
            ends: BTreeMap::new(),
            accepted: BTreeSet::new(),
            die_before_acting: false,
        };
        world.live();
        world
    }

    /// A new life of the agent begins as in the shell: snapshot, then hello.
    fn live(&mut self) {
        let (node, opened) = restore(self.records.clone(), self.now);
        (self.node, self.die_before_acting) = (node, false);
        self.records.extend(opened);
        self.preparing.clear();
        self.storing.clear();
        let held = self.supervised.iter().map(|(key, state)| (*key, state.clone())).collect();
        self.apply(Input::Snapshot(held));
        self.hello();
    }

    fn hello(&mut self) {
        let (journal, spare) = (self.node.journal(), journal(99));
        let recorded_seq = self.recorded;
        self.apply(Input::Welcome(Welcomed { leader: 1, journal, recorded_seq, spare }));
    }

    fn apply(&mut self, input: Input) {
        let mut out = Output::default();
        self.node.apply(self.now, input, &mut out);
        self.node.check_invariants();
        for record in &out.records {
            if let Record::Accepted(start) = record {
                let (job, tasks) = (start.job, &start.tasks);
                let key = |t: &mesh_schemas::message::TaskStart| AttemptKey {
                    job,
                    task: t.task,
                    epoch: t.epoch,
                };
                self.accepted.extend(tasks.iter().map(key));
            }
        }
        self.records.extend(out.records);
        if std::mem::take(&mut self.die_before_acting) {
            return self.live();
        }
        out.actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Prepare(key) => {
                self.preparing.insert(key);
            }
            Action::AbortPrepare(key) => {
                self.preparing.insert(key);
            }
            Action::Submit(key) => {
                self.supervised.entry(key).or_insert(Supervised::Queued);
            }
            Action::Stop { attempt, .. } => self.kill(attempt),
            Action::StoreFinal(key) => {
                self.storing.insert(key);
            }
            Action::Forget(key) => {
                let over = matches!(self.supervised.get(&key), Some(Supervised::Exited(_)) | None);
                assert!(over, "{key} was forgotten while it lived");
                self.supervised.remove(&key);
                self.storing.remove(&key);
            }
            Action::Watch(_) | Action::Beat | Action::Hello => {}
        }
    }

    fn kill(&mut self, key: AttemptKey) {
        let how = match self.supervised.get(&key) {
            Some(Supervised::Queued) => ExitHow::NeverStarted,
            Some(Supervised::Running { .. }) => ExitHow::Signal(9),
            Some(Supervised::Exited(_)) | None => return,
        };
        self.exit(key, how);
    }

    fn exit(&mut self, key: AttemptKey, how: ExitHow) {
        let started = (how != ExitHow::NeverStarted).then_some(self.now);
        let state = exit(started, self.now, how);
        self.supervised.insert(key, state.clone());
        self.apply(Input::Supervised { attempt: key, state });
    }

    fn find(&self, wanted: impl Fn(&Supervised) -> bool) -> Option<AttemptKey> {
        self.supervised.iter().find(|(_, state)| wanted(state)).map(|(key, _)| *key)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start { task, epoch } => {
                let start = start_of(&[key(task, epoch)], &JobSpec::new(["true"]));
                self.apply(commands(1, vec![start]));
            }
            Step::Stop { task, epoch, reason } => {
                let attempts = vec![key(task, epoch)];
                let stop = NodeCommand::StopAttempts(StopAttempts { attempts, reason });
                self.apply(commands(1, vec![stop]));
            }
            Step::Prepare { ready } => self.prepare(ready),
            Step::Run => self.run(),
            Step::Exit { code } => {
                if let Some(key) = self.find(|s| matches!(s, Supervised::Running { .. })) {
                    self.exit(key, ExitHow::Code(code));
                }
            }
            Step::Store => {
                if let Some(attempt) = self.storing.pop_first() {
                    let manifest = Box::new(ManifestSummary::empty());
                    self.apply(Input::Stored { attempt, manifest, missing: None });
                }
            }
            Step::Commit => {
                if let Some(attempt) = self.find(|s| matches!(s, Supervised::Running { .. })) {
                    let manifest = Box::new(ManifestSummary::empty());
                    self.apply(Input::Committed { attempt, manifest });
                }
            }
            Step::Publish { lose } => self.publish(lose),
            Step::Confirm { lose: true } => {}
            Step::Confirm { lose: false } => {
                let (journal, seq) = (self.node.journal(), self.recorded);
                self.apply(commands(1, vec![NodeCommand::Recorded { journal, seq }]));
            }
            Step::Hello => self.hello(),
            Step::Pass { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                self.apply(Input::Tick);
            }
            Step::Crash => self.live(),
            Step::CrashBeforeActing => self.die_before_acting = true,
            Step::Compact => self.records = self.node.compacted(),
        }
    }

    fn prepare(&mut self, ready: bool) {
        if let Some(attempt) = self.preparing.pop_first() {
            let result = if ready { Prepared::Ready } else { Prepared::Failed("full".into()) };
            self.apply(Input::Prepared { attempt, result });
        }
    }

    fn run(&mut self) {
        if let Some(attempt) = self.find(|state| *state == Supervised::Queued) {
            *self.ran.entry(attempt).or_default() += 1;
            let state = Supervised::Running { started_at: self.now, elapsed: None };
            self.supervised.insert(attempt, state.clone());
            self.apply(Input::Supervised { attempt, state });
        }
    }

    /// The orchestrator drops repetitions, refuses gaps, and records the rest.
    fn publish(&mut self, lose: bool) {
        let sent: Vec<_> = self.node.unsent().map(|(seq, event)| (seq, event.clone())).collect();
        let Some((last, _)) = sent.last() else { return };
        self.node.mark_sent(*last, self.now);
        for (seq, event) in sent.into_iter().filter(|_| !lose) {
            if seq != self.recorded + 1 {
                continue;
            }
            self.recorded = seq;
            if let NodeEvent::AttemptEnded(ended) = event {
                *self.ends.entry(ended.attempt).or_default() += 1;
            }
        }
    }

    /// No more losses, no more crashes, until nothing moves.
    fn calm(&mut self) {
        self.die_before_acting = false;
        for _ in 0..200 {
            if self.node.is_empty() && self.supervised.is_empty() {
                return;
            }
            for step in [
                Step::Prepare { ready: true },
                Step::Run,
                Step::Exit { code: 0 },
                Step::Store,
                Step::Pass { millis: 3_000 },
                Step::Publish { lose: false },
                Step::Confirm { lose: false },
            ] {
                self.step(step);
            }
        }
    }
}

fn restore(records: Vec<Record>, now: Timestamp) -> (Node, Vec<Record>) {
    let settings = Settings { disconnect_grace: Duration::from_secs(1 << 20) };
    Node::restore(records, settings, Life { boot: "one".into(), spare: journal(1), now })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_end_is_lost_or_doubled_whatever_happens(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.calm();
        prop_assert!(world.node.is_empty(), "still held: {:?}", world.node);
        prop_assert!(world.supervised.is_empty(), "still alive: {:?}", world.supervised);
        for (attempt, ends) in &world.ends {
            prop_assert_eq!(*ends, 1, "{} ended {} times", attempt, ends);
        }
        for (attempt, runs) in &world.ran {
            prop_assert_eq!(*runs, 1, "{} ran {} times", attempt, runs);
        }
        let dropped: BTreeSet<AttemptKey> =
            world.accepted.difference(&world.ends.keys().copied().collect()).copied().collect();
        for attempt in dropped {
            let fenced = world.records.iter().any(|record| match record {
                Record::Dropped { attempt: gone } => *gone == attempt,
                Record::Tombstones(gone) => gone.contains(&attempt),
                Record::Opened { .. }
                | Record::Accepted(_)
                | Record::Stopping { .. }
                | Record::Event { .. }
                | Record::Recorded { .. } => false,
            });
            prop_assert!(fenced, "{} was lost", attempt);
        }
    }
}
