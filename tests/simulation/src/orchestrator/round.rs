//! One round of a leader: what came is applied, committed, and only then answered and sent. Also where
//! bugs are planted in it.

use std::collections::BTreeMap;

use mesh_core::{Change, Command, Input, Output, Rejected, Reply, Submit};
use mesh_schemas::{
    ErrorCode, JobId, TraceParent,
    message::{MESSAGE_VERSION, NodeCommand, NodeCommands, StopReason},
};
use uuid::Uuid;

use super::{
    Around, Came, Leading, OnOrchestrator, Orchestrator, Pending, Role, Say, node_id, node_index,
};
use crate::{
    client::Request,
    db::{Db, Outcome, Write},
    env::{Env, Payload, Wanted, Way},
    objects::Objects,
    planted::{self, Bug},
    stats::Kind,
};

impl Orchestrator {
    pub(super) fn round(&mut self, around: &mut Around<'_>) {
        let now = self.clock.wall(around.env.now);
        let Role::Leading(leading) = &mut self.role else { return };
        leading.round_due = false;
        if leading.pending.is_some() {
            return;
        }
        let came = std::mem::take(&mut leading.came);
        let reachable = around.db.is_reachable(around.env, self.index);
        let mut inputs = Inputs { index: self.index, first: Vec::new(), rest: Vec::new() };
        for came in came {
            inputs.sort(around, leading, reachable, came);
        }
        if inputs.first.is_empty() && inputs.rest.is_empty() {
            return;
        }
        let (mut out, mut say) = (Output::default(), Vec::new());
        for (came, input) in inputs.first.into_iter().chain(inputs.rest) {
            planted::beside(around, &leading.core, now, &input, &mut out);
            let answer = leading.core.apply(now, input, &mut out);
            if let Err(rejected) = &answer {
                around.env.stats.rejected(rejected);
            }
            say.extend(came.say(answer));
        }
        leading.core.check_invariants();
        leading.core.schedule(now, &mut out);
        leading.core.check_invariants();
        around.env.stats.add(Kind::Fenced, u64::from(out.fenced));
        self.finish(around, out, say);
    }

    fn finish(&mut self, around: &mut Around<'_>, out: Output, say: Vec<Say>) {
        let (life, index) = (self.life, self.index);
        let Role::Leading(leading) = &mut self.role else { return };
        let (leader, load) = (leading.leader, leading.load);
        if out.changes.is_empty() {
            return self.say(around, leader, out.commands, say);
        }
        let bug = around.env.options.bug;
        if bug == Some(Bug::SeqOutsideTransaction) {
            let seqs = out.changes.iter().filter(|c| matches!(c, Change::NodeJournal { .. }));
            seqs.for_each(|change| around.db.apply(change));
        }
        let write = Write::Round { leader, load, changes: out.changes };
        let transaction = around.db.begin(around.env, (index, life), write);
        let early = bug == Some(Bug::AckBeforeCommit);
        let (commands, say, now) = match early {
            true => (Vec::new(), Vec::new(), Some((out.commands, say))),
            false => (out.commands, say, None),
        };
        leading.pending = Some(Pending { transaction, commands, say });
        if let Some((commands, say)) = now {
            self.say(around, leader, commands, say);
        }
    }

    pub(super) fn round_told(
        &mut self,
        around: &mut Around<'_>,
        pending: Pending,
        outcome: Outcome,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        let (leader, load) = (leading.leader, leading.load);
        if let Outcome::Done(_) = outcome {
            if !leading.came.is_empty() {
                leading.round_due = true;
                self.after(around.env, 0, OnOrchestrator::Round { life: self.life });
            }
            return self.say(around, leader, pending.commands, pending.say);
        }
        for say in pending.say {
            if let Say::Answer { client, ask, .. } = say {
                self.refuse(around.env, client, ask, ErrorCode::StoreDown);
            }
        }
        match outcome {
            Outcome::NotLeader => self.step_down(around.env),
            Outcome::Done(_) | Outcome::Unavailable => self.start_over(around, leader, load),
        }
    }

    fn say(&self, around: &mut Around<'_>, leader: u64, commands: Vec<Command>, say: Vec<Say>) {
        let (env, orchestrator) = (&mut *around.env, self.index);
        let mut by_node: BTreeMap<usize, Vec<NodeCommand>> = BTreeMap::new();
        for Command { node, command } in commands {
            note(env, around.db, &command);
            by_node.entry(node_index(node)).or_default().push(command);
        }
        for (node, commands) in by_node {
            let commands = NodeCommands { v: MESSAGE_VERSION, leader, commands };
            env.send(Way::Down { orchestrator, node }, Payload::Commands(Box::new(commands)));
        }
        for say in say {
            match say {
                Say::Welcome { node, ask, recorded_seq } => {
                    let welcome = Payload::Welcome { ask, leader, recorded_seq };
                    env.send(Way::Down { orchestrator, node }, welcome);
                }
                Say::Answer { client, ask, answer } => {
                    let answer = answer.map_err(|rejected| rejected.problem().code);
                    let answer = Payload::Answer { client, ask, answer };
                    env.send(Way::Http { orchestrator }, answer);
                }
            }
        }
    }

    /// The planted loop that rescues.
    pub(super) fn rescue(&mut self, around: &mut Around<'_>) {
        // It writes past the core, so never while a round of the core's is under way.
        if !planted::rescues(&around.env.options) || !around.db.is_quiet() {
            return;
        }
        let now = self.clock.wall(around.env.now);
        let changes = self.rescuer.look(around.env, around.db, now);
        let Role::Leading(leading) = &self.role else { return };
        let (leader, load) = (leading.leader, leading.load);
        if !changes.is_empty() {
            around.db.commit(around.env, &changes);
            // What comes of a broken promise is of no interest.
            if around.env.observer.broken.is_none() {
                self.role = Role::Loading { leader, load };
                self.load(around);
            }
        }
    }
}

/// A round's inputs. Submits and retries go first, as what the database says of their jobs holds only
/// until the others have been applied.
struct Inputs {
    index: usize,
    first: Vec<(Whose, Input)>,
    rest: Vec<(Whose, Input)>,
}

/// Who waits for an input's outcome.
enum Whose {
    Nobody,
    Node { node: usize, ask: u64 },
    Client { client: usize, ask: u64 },
}

impl Whose {
    fn say(self, answer: Result<Reply, Rejected>) -> Option<Say> {
        match (self, answer) {
            (Self::Node { node, ask }, Ok(Reply::Welcome { recorded_seq })) => {
                Some(Say::Welcome { node, ask, recorded_seq })
            }
            (Self::Client { client, ask }, answer) => Some(Say::Answer { client, ask, answer }),
            (Self::Nobody | Self::Node { .. }, _) => None,
        }
    }
}

impl Inputs {
    fn sort(&mut self, around: &mut Around<'_>, leading: &Leading, reachable: bool, came: Came) {
        match came {
            Came::Input(input) => self.rest.push((Whose::Nobody, input)),
            Came::Hello { node, ask, input } => self.rest.push((Whose::Node { node, ask }, input)),
            Came::Ask { node, ask, attempt, wanted } => {
                let held = leading.core.holds(node_id(node), attempt);
                let answer = answer_ask(around.env, around.objects, held, &wanted);
                let answered = Payload::Answered { ask, attempt, answer };
                around.env.send(Way::Down { orchestrator: self.index, node }, answered);
            }
            Came::Client { client, ask, request } => {
                let whose = Whose::Client { client, ask };
                let asks_database =
                    matches!(request, Request::Submit { .. } | Request::Retry { .. });
                let input = match asks_database && !reachable {
                    true => Err(ErrorCode::StoreDown),
                    false => look_up(around.env, around.db, request),
                };
                match input {
                    Ok(input @ (Input::Submit(_) | Input::Retry { .. })) => {
                        self.first.push((whose, input));
                    }
                    Ok(input) => self.rest.push((whose, input)),
                    Err(code) => {
                        around.env.stats.code(code);
                        let answer = Payload::Answer { client, ask, answer: Err(code) };
                        around.env.send(Way::Http { orchestrator: self.index }, answer);
                    }
                }
            }
        }
    }
}

fn answer_ask(
    env: &mut Env,
    objects: &Objects,
    held: bool,
    wanted: &Wanted,
) -> Result<(), ErrorCode> {
    let answer = match wanted {
        _ if !held => Err(ErrorCode::Fenced),
        Wanted::PutUrl => Ok(()),
        Wanted::Check(packs) => objects.check(env, packs),
    };
    answer.inspect_err(|code| env.stats.code(*code))
}

/// Adds what the database knows to a client's request.
fn look_up(env: &mut Env, db: &Db, request: Request) -> Result<Input, ErrorCode> {
    let bug = env.options.bug;
    Ok(match request {
        Request::Submit { spec } => {
            let key = spec.idempotency_key.clone().unwrap_or_default();
            let bits = env.rng.bits();
            let existing = db.by_key(&key).filter(|_| bug != Some(Bug::DedupeKeyDropped));
            // As the shell hashes the spec's text: what differs in nothing but its key is the same.
            let [hash, ..] = u64::try_from(spec.priority).unwrap_or(0).to_le_bytes();
            Input::Submit(Box::new(Submit {
                job: JobId::from_uuid(Uuid::from_u128(bits)),
                spec_hash: [hash; 32],
                trace: TraceParent::new(bits, 1),
                existing,
                after: db.job_states(&spec.after),
                spec,
            }))
        }
        Request::Cancel { job, tasks } => Input::Cancel { job, tasks },
        Request::Retry { job } => {
            let record = db.jobs.get(&job).ok_or(ErrorCode::NotFound)?.clone();
            let after = db.job_states(&record.spec.after);
            let mut tasks = db.retryable(job);
            if bug == Some(Bug::EpochReused) {
                tasks.iter_mut().for_each(|task| task.epoch = mesh_schemas::Epoch(0));
            }
            Input::Retry { job: Box::new(record), tasks, after }
        }
        Request::Act { node, action } => Input::NodeAction { node: node_id(node), action },
    })
}

/// No command leaves before what it follows from is in the database.
fn note(env: &mut Env, db: &Db, command: &NodeCommand) {
    match command {
        NodeCommand::StartTasks(start) => {
            let key = |task: &mesh_schemas::message::TaskStart| mesh_schemas::AttemptKey {
                job: start.job,
                task: task.task,
                epoch: task.epoch,
            };
            for attempt in start.tasks.iter().map(key) {
                if !db.attempts.contains_key(&attempt) {
                    env.observer.broken("I5", &format!("{attempt} is started and has no lease"));
                }
            }
        }
        NodeCommand::StopAttempts(stop) => match stop.reason {
            StopReason::Fenced => env.stats.count(Kind::StopFenced),
            StopReason::Preempted => env.stats.count(Kind::Recalled),
            StopReason::Cancelled => {}
        },
        NodeCommand::Recorded { seq, .. } => env.mix(*seq),
        NodeCommand::Report => {}
    }
}
