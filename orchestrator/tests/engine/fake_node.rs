//! A node that says what the test wants it to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use mesh_fabric::{
    ids,
    nats::{Connect, Credential, connect, trace_of},
};
use mesh_schemas::{
    AttemptKey, ByteSize, Cpu, EndClass, JobId, JournalId, NodeId, Timestamp, TraceParent,
    api::Joined,
    manifest::ManifestSummary,
    message::{
        AttemptEnded, Capacity, Enforcement, HeldAttempts, Load, NodeAnswer, NodeAsk, NodeBeat,
        NodeCommand, NodeCommands, NodeEvent, NodeEvents, NodeReport, Usage, Welcome,
    },
    subject,
};
use nkeys::KeyPair;
use serde::{Serialize, de::DeserializeOwned};

use super::cluster::{Cluster, SOON};

pub(crate) struct FakeNode {
    pub(crate) node: NodeId,
    pub(crate) client: Client,
    pub(crate) journal: JournalId,
    pub(crate) next_seq: u64,
    commands: Subscriber,
    held: Vec<AttemptKey>,
    /// Every attempt that it was ever told to start.
    known: BTreeSet<AttemptKey>,
    /// Started, and not yet taken by the test.
    started: Vec<AttemptKey>,
}

impl FakeNode {
    /// Joins the cluster and says hello.
    pub(crate) async fn join(cluster: &Cluster) -> Self {
        let key = KeyPair::new_user();
        let joined = cluster.state.nodes.join("fake".into(), key.public_key()).await.unwrap();
        Self::enter(joined, &key).await
    }

    /// Says hello with what it got when it joined.
    pub(crate) async fn enter(joined: Joined, key: &KeyPair) -> Self {
        let credential = Credential::NodeKey {
            seed: key.seed().unwrap(),
            jwt: Arc::new(RwLock::new(joined.jwt)),
        };
        let client = connect(Connect {
            inbox_prefix: Some(subject::node_inbox(joined.node)),
            ..Connect::new(joined.nats_urls, credential, "fake")
        });
        let client = client.await.unwrap();
        let commands = client.subscribe(subject::node_commands(joined.node)).await.unwrap();
        let (node, journal) = (joined.node, ids::journal_id());
        let node = Self {
            node,
            client,
            journal,
            next_seq: 1,
            commands,
            held: Vec::new(),
            known: BTreeSet::new(),
            started: Vec::new(),
        };
        node.hello().await;
        node
    }

    pub(crate) async fn hello(&self) -> Welcome {
        match self.ask(&NodeAsk::Hello(Box::new(self.report()))).await {
            NodeAnswer::Welcome(welcome) => welcome,
            other => panic!("a hello was answered by {other:?}"),
        }
    }

    /// Asks until there is an answer: the broker or the orchestrator may be coming back.
    pub(crate) async fn ask(&self, ask: &NodeAsk) -> NodeAnswer {
        let payload = serde_json::to_vec(ask).unwrap();
        let look = async || {
            let request = self.client.request(subject::node_ask(self.node), payload.clone().into());
            let answer = request.await.ok()?;
            Some(serde_json::from_slice(&answer.payload).unwrap())
        };
        mesh_tests::wait_for(SOON, "an answer to a node", look).await
    }

    fn report(&self) -> NodeReport {
        NodeReport {
            v: 1,
            node: self.node,
            journal: self.journal,
            name: "fake".into(),
            version: "0.1.0".into(),
            labels: BTreeMap::new(),
            capacity: Capacity {
                cpu: Cpu(2_000),
                memory: ByteSize::mib(4_096),
                disk: ByteSize::mib(4_096),
                gpu: 0,
                pools: BTreeMap::new(),
            },
            enforces: Enforcement::default(),
            held: self.held_by_job(),
            paused: false,
        }
    }

    fn held_by_job(&self) -> Vec<HeldAttempts> {
        let mut jobs: BTreeMap<JobId, Vec<_>> = BTreeMap::new();
        for attempt in &self.held {
            jobs.entry(attempt.job).or_default().push((attempt.task, attempt.epoch));
        }
        jobs.into_iter().map(|(job, tasks)| HeldAttempts { job, tasks }).collect()
    }

    pub(crate) async fn beat(&self) {
        let beat = NodeBeat {
            v: 1,
            node: self.node,
            journal: self.journal,
            held: self.held_by_job(),
            paused: false,
            load: Load::default(),
        };
        self.say(subject::node_beat(self.node), &beat).await;
    }

    /// The next command, beating while none comes; with the trace of its message.
    pub(crate) async fn next_commands(&mut self) -> (NodeCommands, Option<TraceParent>) {
        let message = tokio::time::timeout(SOON, async {
            loop {
                self.beat().await;
                let wait = std::time::Duration::from_millis(200);
                if let Ok(message) = tokio::time::timeout(wait, self.commands.next()).await {
                    return message.unwrap();
                }
            }
        });
        let message = message.await.expect("a command to the node");
        let trace = message.headers.as_ref().and_then(trace_of);
        (read(&message.payload), trace)
    }

    /// Waits for the start of so many new attempts; the node then holds them.
    pub(crate) async fn take(&mut self, count: usize) -> (Vec<AttemptKey>, Option<TraceParent>) {
        let mut traced = None;
        while self.started.len() < count {
            let (commands, trace) = self.next_commands().await;
            traced = trace.or(traced);
            self.note(commands);
        }
        (std::mem::take(&mut self.started), traced)
    }

    /// Holds what is to be started. The orchestrator says it again until a beat shows it.
    fn note(&mut self, commands: NodeCommands) {
        for command in commands.commands {
            let NodeCommand::StartTasks(start) = command else { continue };
            for task in start.tasks {
                let attempt = AttemptKey { job: start.job, task: task.task, epoch: task.epoch };
                if self.known.insert(attempt) {
                    self.held.push(attempt);
                    self.started.push(attempt);
                }
            }
        }
    }

    /// The run of events that comes next in the journal.
    pub(crate) fn events(&mut self, events: Vec<NodeEvent>) -> NodeEvents {
        let first_seq = self.next_seq;
        self.next_seq += u64::try_from(events.len()).unwrap();
        NodeEvents { v: 1, node: self.node, journal: self.journal, first_seq, events }
    }

    pub(crate) async fn publish(&self, events: &NodeEvents) {
        self.say(subject::node_event(self.node), events).await;
    }

    /// Publishes until the orchestrator says that all is recorded, as a node does.
    pub(crate) async fn publish_until_recorded(&mut self, events: &NodeEvents) {
        let last = events.first_seq + u64::try_from(events.events.len()).unwrap() - 1;
        let recorded = async {
            loop {
                self.publish(events).await;
                let again = tokio::time::sleep(std::time::Duration::from_secs(1));
                tokio::select! {
                    () = self.recorded(last) => return,
                    () = again => {}
                }
            }
        };
        tokio::time::timeout(SOON, recorded).await.expect("events to be recorded");
    }

    async fn recorded(&mut self, last: u64) {
        loop {
            let message = self.commands.next().await.unwrap();
            let commands: NodeCommands = read(&message.payload);
            let recorded = |command: &NodeCommand| {
                matches!(command, NodeCommand::Recorded { seq, journal }
                    if *seq >= last && *journal == self.journal)
            };
            let all = commands.commands.iter().any(recorded);
            self.note(commands);
            if all {
                return;
            }
        }
    }

    pub(crate) fn forget(&mut self, attempts: &[AttemptKey]) {
        self.held.retain(|held| !attempts.contains(held));
    }

    pub(crate) async fn say<T: Serialize>(&self, subject: String, message: &T) {
        self.raw(subject, serde_json::to_vec(message).unwrap()).await;
    }

    pub(crate) async fn raw(&self, subject: String, payload: Vec<u8>) {
        // While the broker is away the client keeps it or drops it; either is a loss that can happen.
        drop(self.client.publish(subject, payload.into()).await);
    }
}

pub(crate) fn started(attempt: AttemptKey) -> NodeEvent {
    NodeEvent::AttemptStarted { attempt, at: Timestamp::from_millis(1) }
}

pub(crate) fn ended(attempt: AttemptKey) -> NodeEvent {
    NodeEvent::AttemptEnded(Box::new(AttemptEnded {
        attempt,
        started_at: Some(Timestamp::from_millis(1)),
        ended_at: Timestamp::from_millis(2),
        class: EndClass::Success,
        exit_code: Some(0),
        signal: None,
        message: None,
        manifest: ManifestSummary::empty(),
        usage: Usage::default(),
    }))
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> T {
    serde_json::from_slice(payload).unwrap()
}
