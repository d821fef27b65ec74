//! The orchestrator's shell around the real core: rounds, commits that may fail, crashes at any step. Also
//! where bugs are planted.

use mesh_core::{Change, Command, Core, Input, Output, Rejected, Reply, Submit};
use mesh_schemas::{JobId, NodeId, Timestamp, TraceParent, message::NodeCommand};
use uuid::Uuid;

use crate::{
    client::Request,
    db::Db,
    env::{Env, Event, Payload},
    options::Bug,
    planted::Rescuer,
    stats::Kind,
};

/// What its clock shows at the world's beginning.
const CLOCK: u64 = 1_700_000_000_000;

/// Something that came in.
#[derive(Debug)]
enum Came {
    FromNode(Input),
    Hello { node: usize, ask: u64, input: Input },
    FromClient { client: usize, ask: u64, request: Request },
    Tick,
}

/// Something to be said after the commit.
enum Say {
    Welcome { node: usize, ask: u64, recorded_seq: u64 },
    Answer { client: usize, ask: u64, answer: Result<Reply, Rejected> },
}

/// The orchestrator's process, and its database.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) db: Db,
    core: Option<Core>,
    life: u32,
    came: Vec<Came>,
    round_due: bool,
    /// How far its clock is off in this life.
    clock_off: u64,
    paused_until: u64,
    rescuer: Rescuer,
}

impl Shell {
    pub(crate) fn new(env: &mut Env) -> Self {
        let mut shell = Self {
            db: Db::default(),
            core: None,
            life: 0,
            came: Vec::new(),
            round_due: false,
            clock_off: 30_000,
            paused_until: 0,
            rescuer: Rescuer::default(),
        };
        shell.start(env);
        shell
    }

    fn clock(&self, env: &Env) -> Timestamp {
        let millis = CLOCK + self.clock_off + env.now;
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// The index of a node's id.
    fn node_index(node: NodeId) -> usize {
        usize::try_from(node.uuid().as_u128() - 1).unwrap_or(0)
    }

    /// Why jobs wait, for the message about a broken promise.
    pub(crate) fn explain(&self, env: &Env) -> String {
        let Some(core) = &self.core else { return "\nthe orchestrator is down".into() };
        let now = self.clock(env);
        let whys = self.db.jobs.keys().filter_map(|job| Some((job, core.why(now, *job)?)));
        whys.map(|(job, why)| format!("\n{job}: {why:?}")).collect()
    }

    // ---- life ----

    pub(crate) fn start(&mut self, env: &mut Env) {
        if self.is_up() {
            return;
        }
        self.life += 1;
        self.clock_off = env.rng.between(0, 60_000);
        self.load(env);
        env.after(1_000, Event::Tick { life: self.life });
    }

    fn load(&mut self, env: &Env) {
        let core = Core::new(env.options.config(), self.db.snapshot(), self.clock(env));
        core.check_invariants();
        self.core = Some(core);
    }

    pub(crate) fn crash(&mut self, env: &mut Env) {
        if !self.is_up() {
            return;
        }
        self.core = None;
        self.came.clear();
        let wait = env.rng.between(100, if env.rng.clone().chance(100) { 120_000 } else { 10_000 });
        env.after(wait, Event::StartOrchestrator);
    }

    pub(crate) fn pause(&mut self, env: &mut Env) {
        env.stats.count(Kind::OrchestratorPause);
        self.paused_until = env.now + env.rng.between(1_000, 90_000);
    }

    pub(crate) fn go_on(&mut self) {
        self.paused_until = 0;
    }

    pub(crate) fn tick(&mut self, env: &mut Env, life: u32) {
        if life != self.life || !self.is_up() {
            return;
        }
        if env.now < self.paused_until {
            return env.after(self.paused_until - env.now, Event::Tick { life });
        }
        env.after(1_000, Event::Tick { life });
        self.take(env, Came::Tick);
        if env.options.rescues() {
            let now = self.clock(env);
            let changes = self.rescuer.look(env, &self.db, now);
            if !changes.is_empty() {
                self.write(env, &changes);
                // What comes of a broken promise is of no interest.
                if env.observer.broken.is_none() {
                    self.load(env);
                }
            }
        }
    }

    // ---- coming in ----

    pub(crate) fn join(&mut self, env: &mut Env, node: NodeId) {
        let input = Input::NodeJoined { node, name: "n".into(), public_key: "U".into() };
        self.take(env, Came::FromNode(input));
    }

    pub(crate) fn arrive(&mut self, env: &mut Env, link: Option<usize>, payload: Payload) {
        if !self.is_up() {
            return;
        }
        let node = link.unwrap_or(0);
        match payload {
            Payload::Hello { ask, report } => {
                self.rescuer.heard(env, report.node);
                self.take(env, Came::Hello { node, ask, input: Input::NodeHello(report) });
            }
            Payload::Beat(beat) => {
                self.rescuer.heard(env, beat.node);
                self.take(env, Came::FromNode(Input::NodeBeat(beat)));
            }
            Payload::Events(events) => {
                self.take(env, Came::FromNode(Input::NodeEvents(events)));
            }
            Payload::Request { client, ask, request } => {
                self.take(env, Came::FromClient { client, ask, request });
            }
            Payload::Welcome { .. } | Payload::Command(_) | Payload::Answer { .. } => {}
        }
    }

    fn take(&mut self, env: &mut Env, came: Came) {
        self.came.push(came);
        if !self.round_due {
            self.round_due = true;
            let wait = env.rng.between(0, 3).max(self.paused_until.saturating_sub(env.now));
            env.after(wait, Event::Round);
        }
    }

    // ---- a round ----

    pub(crate) fn round(&mut self, env: &mut Env) {
        self.round_due = false;
        let Some(mut core) = self.core.take() else { return };
        let now = self.clock(env);
        let mut out = Output::default();
        let mut say = Vec::new();
        for came in std::mem::take(&mut self.came) {
            self.apply(env, &mut core, now, came, &mut out, &mut say);
            core.check_invariants();
        }
        core.schedule(now, &mut out);
        core.check_invariants();
        env.stats.add(Kind::Fenced, u64::from(out.fenced));
        self.core = Some(core);
        self.commit(env, &out, say);
    }

    fn commit(&mut self, env: &mut Env, out: &Output, say: Vec<Say>) {
        if env.options.bug == Some(Bug::AckBeforeCommit) {
            self.say(env, &out.commands, say);
            return self.commit_then(env, out, |_, _| {});
        }
        self.commit_then(env, out, |shell, env| shell.say(env, &out.commands, say));
    }

    fn commit_then(&mut self, env: &mut Env, out: &Output, then: impl FnOnce(&mut Self, &mut Env)) {
        let writes = !out.changes.is_empty() && !env.calm;
        let (fails, unknown, crash) = (
            writes && env.rng.chance(env.options.commit_fails),
            writes && env.rng.chance(env.options.commit_unknown),
            writes && env.rng.chance(env.options.round_crash),
        );
        if fails {
            env.stats.count(Kind::CommitFailed);
            return self.load(env);
        }
        if crash && env.rng.chance(500) {
            env.stats.count(Kind::CrashBeforeCommit);
            return self.crash(env);
        }
        self.write(env, &out.changes);
        if unknown {
            env.stats.count(Kind::CommitUnknown);
            return self.load(env);
        }
        if crash {
            env.stats.count(Kind::CrashAfterCommit);
            return self.crash(env);
        }
        then(self, env);
    }

    fn write(&mut self, env: &mut Env, changes: &[Change]) {
        env.stats.count(Kind::Committed);
        env.mix(u64::try_from(changes.len()).unwrap_or(0));
        self.db.commit(changes);
        env.observer.committed(changes, &mut env.stats);
    }

    fn say(&mut self, env: &mut Env, commands: &[Command], say: Vec<Say>) {
        for command in commands {
            let node = Self::node_index(command.node);
            if let NodeCommand::Recorded { journal, seq } = &command.command {
                env.mix(*seq);
                let known = self.db.journals.get(&(command.node, *journal)).copied();
                debug_assert!(known.is_some() || env.options.bug.is_some());
            }
            env.send(Some(node), Payload::Command(Box::new(command.command.clone())));
        }
        for say in say {
            match say {
                Say::Welcome { node, ask, recorded_seq } => {
                    env.send(Some(node), Payload::Welcome { ask, recorded_seq });
                }
                Say::Answer { client, ask, answer } => {
                    env.send(None, Payload::Answer { client, ask, answer });
                }
            }
        }
    }

    fn apply(
        &mut self,
        env: &mut Env,
        core: &mut Core,
        now: Timestamp,
        came: Came,
        out: &mut Output,
        say: &mut Vec<Say>,
    ) {
        match came {
            Came::Tick => {
                let _done = core.apply(now, Input::Tick, out);
            }
            Came::FromNode(input) => {
                if env.options.bug == Some(Bug::NoFence) {
                    crate::planted::record_without_fence(core, now, &input, &self.db, out);
                }
                count(env, core.apply(now, input, out).err().as_ref());
            }
            Came::Hello { node, ask, input } => match core.apply(now, input, out) {
                Ok(Reply::Welcome { recorded_seq }) => {
                    say.push(Say::Welcome { node, ask, recorded_seq });
                }
                Ok(Reply::Done | Reply::Submitted { .. } | Reply::Changed { .. }) => {}
                Err(rejected) => count(env, Some(&rejected)),
            },
            Came::FromClient { client, ask, request } => {
                let Some(input) = self.input(env, request) else {
                    let answer = Ok(Reply::Changed { tasks: 0 });
                    return say.push(Say::Answer { client, ask, answer });
                };
                let answer = core.apply(now, input, out);
                say.push(Say::Answer { client, ask, answer });
            }
        }
    }

    /// Adds what the store knows to a client's request.
    fn input(&self, env: &mut Env, request: Request) -> Option<Input> {
        match request {
            Request::Submit { spec } => {
                let key = spec.idempotency_key.clone().unwrap_or_default();
                let bits = env.rng.bits();
                Some(Input::Submit(Box::new(Submit {
                    job: JobId::from_uuid(Uuid::from_u128(bits)),
                    spec_hash: [1; 32],
                    trace: TraceParent::new(bits, 1),
                    existing: self.db.by_key(&key),
                    after: self.db.job_states(&spec.after),
                    spec,
                })))
            }
            Request::Cancel { job, tasks } => Some(Input::Cancel { job, tasks }),
            Request::Retry { job } => {
                let record = self.db.jobs.get(&job)?.clone();
                let after = self.db.job_states(&record.spec.after);
                let tasks = self.db.retryable(job);
                Some(Input::Retry { job: Box::new(record), tasks, after })
            }
            Request::Act { node, action } => {
                let number = u128::try_from(node).unwrap_or(0) + 1;
                let node = NodeId::from_uuid(Uuid::from_u128(number));
                Some(Input::NodeAction { node, action })
            }
        }
    }
}

fn count(env: &mut Env, rejected: Option<&Rejected>) {
    match rejected {
        Some(Rejected::Gap { .. }) => env.stats.count(Kind::Gap),
        Some(Rejected::UnknownJournal(_)) => env.stats.count(Kind::UnknownJournal),
        Some(Rejected::NodeRevoked(_)) => env.stats.count(Kind::RefusedRevoked),
        None
        | Some(
            Rejected::IdempotencyMismatch { .. }
            | Rejected::UnknownDependency { .. }
            | Rejected::FailedDependency { .. }
            | Rejected::JobNotLive(_)
            | Rejected::NothingToRetry(_)
            | Rejected::TooManyRows { .. }
            | Rejected::UnknownNode(_)
            | Rejected::Fenced(_),
        ) => {}
    }
}
