//! One simulated node: the messages, rhythms and repetitions of a real agent.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail};
use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use mesh_fabric::{
    ids,
    nats::{Connect, Credential, connect},
    time,
};
use mesh_schemas::{
    AttemptKey, ByteSize, Cpu, EndClass, Epoch, JobId, JournalId, NodeId,
    manifest::ManifestSummary,
    message::{
        AttemptEnded, Capacity, Enforcement, HeldAttempts, Load, NodeAnswer, NodeAsk, NodeBeat,
        NodeCommand, NodeCommands, NodeEvent, NodeReport, StartTasks, StopReason, Usage, Welcome,
    },
    subject,
};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use super::{Counters, Mode, account::Account, outbox::Outbox};

/// As a real agent's: a beat follows new work so soon.
const BEAT_DEBOUNCE: Duration = Duration::from_millis(20);
/// Events that were not recorded within this time are said again.
const RESEND_AFTER: Duration = Duration::from_secs(5);
/// Far away: for timers that are not wanted.
const NEVER: Duration = Duration::from_secs(86_400);

/// Lives until it is told to die or cannot go on, which is noted.
pub(super) async fn live(
    number: usize,
    account: Account,
    cpu: u32,
    mode: watch::Receiver<Mode>,
    counters: Arc<Counters>,
) {
    let lived = async {
        let (mut node, commands) = Node::enter(account, cpu, mode, Arc::clone(&counters)).await?;
        node.run(commands).await
    };
    match lived.await {
        Ok(()) => counters.note_death(number),
        Err(error) => counters.note_failure(format!("{error:#}")),
    }
}

struct Node {
    node: NodeId,
    cpu: u32,
    client: Client,
    journal: JournalId,
    mode: watch::Receiver<Mode>,
    counters: Arc<Counters>,
    beat_every: Duration,
    next_beat: Instant,
    /// Attempts held, ended but unrecorded ones included.
    held: BTreeMap<JobId, BTreeMap<u32, Epoch>>,
    running: Vec<AttemptKey>,
    outbox: Outbox,
}

impl Node {
    async fn enter(
        account: Account,
        cpu: u32,
        mode: watch::Receiver<Mode>,
        counters: Arc<Counters>,
    ) -> anyhow::Result<(Self, Subscriber)> {
        let Account { node, seed, jwt, nats_url } = account;
        let credential = Credential::NodeKey { seed, jwt: Arc::new(RwLock::new(jwt)) };
        let options = Connect {
            inbox_prefix: Some(subject::node_inbox(node)),
            wait_for_server: true,
            ..Connect::new(vec![nats_url], credential, "simulated")
        };
        let client = connect(options).await?;
        let commands = client.subscribe(subject::node_commands(node)).await?;
        let (journal, beat_every) = (ids::journal_id(), Duration::from_secs(5));
        let node = Self {
            node,
            cpu,
            client,
            journal,
            mode,
            counters,
            beat_every,
            next_beat: Instant::now(),
            held: BTreeMap::new(),
            running: Vec::new(),
            outbox: Outbox::new(node, journal),
        };
        Ok((node, commands))
    }

    async fn run(&mut self, mut commands: Subscriber) -> anyhow::Result<()> {
        self.hello().await;
        loop {
            let flush_at = self.outbox.due().unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                message = commands.next() => {
                    let message = message.context("the connection has ended")?;
                    self.obey(serde_json::from_slice(&message.payload)?).await;
                }
                () = tokio::time::sleep_until(self.next_beat) => self.beat().await,
                () = tokio::time::sleep_until(flush_at) => self.flush().await,
                changed = self.mode.changed() => {
                    changed.context("the fleet has ended")?;
                    let mode = *self.mode.borrow_and_update();
                    match mode {
                        Mode::Hold => {}
                        Mode::End => self.end_all(),
                        Mode::Die => {
                            self.beat().await;
                            self.client.flush().await?;
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Says who it is until it is welcome.
    async fn hello(&mut self) {
        loop {
            match self.ask_welcome().await {
                Ok(welcome) => {
                    self.beat_every = welcome.beat_every.duration();
                    self.next_beat = Instant::now() + BEAT_DEBOUNCE;
                    self.recorded(welcome.recorded_seq);
                    return self.send_again(Duration::ZERO).await;
                }
                // Nobody listens yet, or too many are saying hello at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    async fn ask_welcome(&self) -> anyhow::Result<Welcome> {
        let ask = NodeAsk::Hello(Box::new(self.report()));
        let subject = subject::node_ask(self.node);
        let answer = self.client.request(subject, serde_json::to_vec(&ask)?.into()).await?;
        match serde_json::from_slice(&answer.payload)? {
            NodeAnswer::Welcome(welcome) => Ok(welcome),
            NodeAnswer::Refused(problem) => bail!("a hello was refused: {problem}"),
            NodeAnswer::Urls { .. } | NodeAnswer::Present | NodeAnswer::Credential { .. } => {
                bail!("a hello had the answer of another question")
            }
        }
    }

    fn report(&self) -> NodeReport {
        NodeReport {
            v: 1,
            node: self.node,
            journal: self.journal,
            name: "simulated".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            labels: BTreeMap::from([("os".to_owned(), "linux".to_owned())]),
            capacity: Capacity {
                cpu: Cpu(self.cpu * 1_000),
                memory: ByteSize::mib(65_536),
                disk: ByteSize::mib(65_536),
                gpu: 0,
                pools: BTreeMap::new(),
            },
            enforces: Enforcement::default(),
            held: self.held_by_job(),
            paused: false,
        }
    }

    fn held_by_job(&self) -> Vec<HeldAttempts> {
        let of_job = |(job, tasks): (&JobId, &BTreeMap<u32, Epoch>)| HeldAttempts {
            job: *job,
            tasks: tasks.iter().map(|(task, epoch)| (*task, *epoch)).collect(),
        };
        self.held.iter().map(of_job).collect()
    }

    async fn beat(&mut self) {
        let beat = NodeBeat {
            v: 1,
            node: self.node,
            journal: self.journal,
            held: self.held_by_job(),
            paused: false,
            load: Load::default(),
        };
        self.say(subject::node_beat(self.node), &beat).await;
        // 80 % to 120 % of the rhythm, so that a fleet does not beat in step.
        let [random] = ids::random::<1>();
        let wait = self.beat_every * 4 / 5 + self.beat_every * 2 / 5 * u32::from(random) / 255;
        self.next_beat = Instant::now() + wait;
        self.send_again(RESEND_AFTER).await;
    }

    async fn obey(&mut self, commands: NodeCommands) {
        for command in commands.commands {
            match command {
                NodeCommand::StartTasks(start) => self.start(&start),
                NodeCommand::StopAttempts(stop) => {
                    stop.attempts.iter().for_each(|attempt| self.stop(*attempt, stop.reason));
                }
                NodeCommand::Recorded { journal, seq } if journal == self.journal => {
                    self.recorded(seq);
                }
                NodeCommand::Recorded { .. } => {}
                NodeCommand::Report => self.hello().await,
            }
        }
        if self.outbox.is_full() {
            self.flush().await;
        }
    }

    /// Holds what is new; the orchestrator says it again until a beat shows it.
    fn start(&mut self, start: &StartTasks) {
        let mode = *self.mode.borrow();
        let of_job = self.held.entry(start.job).or_default();
        let mut new = Vec::new();
        for task in &start.tasks {
            if of_job.get(&task.task) != Some(&task.epoch) {
                of_job.insert(task.task, task.epoch);
                new.push(AttemptKey { job: start.job, task: task.task, epoch: task.epoch });
            }
        }
        self.counters.started.fetch_add(new.len() as u64, Ordering::Relaxed);
        self.next_beat = self.next_beat.min(Instant::now() + BEAT_DEBOUNCE);
        for attempt in new {
            if mode == Mode::End {
                self.outbox.tell(ended(attempt, EndClass::Success));
            } else {
                self.running.push(attempt);
                self.outbox.tell(NodeEvent::AttemptStarted { attempt, at: time::now() });
            }
        }
    }

    fn stop(&mut self, attempt: AttemptKey, reason: StopReason) {
        let before = self.running.len();
        self.running.retain(|running| *running != attempt);
        match reason {
            // Of one that has ended it says nothing: a beat may have named it just after its record.
            StopReason::Fenced => {
                let running = u64::from(self.running.len() < before);
                self.counters.fenced.fetch_add(running, Ordering::Relaxed);
                self.forget(attempt);
            }
            StopReason::Cancelled | StopReason::Preempted if self.running.len() < before => {
                self.outbox.tell(ended(attempt, EndClass::Cancelled));
            }
            StopReason::Cancelled | StopReason::Preempted => {}
        }
    }

    fn end_all(&mut self) {
        for attempt in std::mem::take(&mut self.running) {
            self.outbox.tell(ended(attempt, EndClass::Success));
        }
    }

    fn forget(&mut self, attempt: AttemptKey) {
        if let Some(of_job) = self.held.get_mut(&attempt.job) {
            of_job.remove(&attempt.task);
            if of_job.is_empty() {
                self.held.remove(&attempt.job);
            }
        }
    }

    async fn flush(&mut self) {
        for payload in self.outbox.flush() {
            self.publish(subject::node_event(self.node), payload).await;
        }
    }

    fn recorded(&mut self, seq: u64) {
        let ended = self.outbox.recorded(seq);
        self.counters.ended.fetch_add(ended.len() as u64, Ordering::Relaxed);
        ended.into_iter().for_each(|attempt| self.forget(attempt));
    }

    async fn send_again(&mut self, waited: Duration) {
        for payload in self.outbox.again(waited) {
            self.publish(subject::node_event(self.node), payload).await;
        }
    }

    async fn say<T: Serialize>(&self, subject: String, message: &T) {
        self.publish(subject, serde_json::to_vec(message).unwrap_or_default()).await;
    }

    async fn publish(&self, subject: String, payload: Vec<u8>) {
        // While the broker is away it is kept or lost; the journal says it again.
        drop(self.client.publish(subject, payload.into()).await);
    }
}

fn ended(attempt: AttemptKey, class: EndClass) -> NodeEvent {
    let now = time::now();
    NodeEvent::AttemptEnded(Box::new(AttemptEnded {
        attempt,
        started_at: Some(now),
        ended_at: now,
        class,
        exit_code: (class == EndClass::Success).then_some(0),
        signal: None,
        message: None,
        manifest: ManifestSummary::empty(),
        usage: Usage { wall_ms: 1, ..Usage::default() },
    }))
}
