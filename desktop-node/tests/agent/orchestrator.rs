//! A scripted orchestrator: welcomes the node, records its events as the protocol says, keeps all.

use std::sync::{Arc, Mutex};

use async_nats::Client;
use futures::StreamExt as _;
use mesh_schemas::{
    ErrorCode, JournalId, Problem, Span,
    message::{
        AttemptEnded, MESSAGE_VERSION, NodeAnswer, NodeAsk, NodeBeat, NodeCommand, NodeCommands,
        NodeEvent, NodeEvents, NodeReport, Welcome,
    },
    subject,
};
use tokio_util::task::TaskTracker;

/// What was heard of the node.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) hellos: Vec<NodeReport>,
    pub(crate) beats: Vec<NodeBeat>,
    pub(crate) events: Vec<NodeEvent>,
    journal: Option<JournalId>,
    recorded: u64,
    /// Confirm nothing: the node must keep and resend.
    pub(crate) forgetful: bool,
}

impl Heard {
    pub(crate) fn ends(&self) -> Vec<AttemptEnded> {
        let ended = |event: &NodeEvent| match event {
            NodeEvent::AttemptEnded(ended) => Some((**ended).clone()),
            NodeEvent::AttemptStarted { .. } | NodeEvent::ManifestCommitted { .. } => None,
        };
        self.events.iter().filter_map(ended).collect()
    }

    fn recorded_of(&mut self, journal: JournalId) -> u64 {
        if self.journal != Some(journal) {
            (self.journal, self.recorded) = (Some(journal), 0);
        }
        self.recorded
    }

    /// Repetitions are dropped and gaps refused, one event after the other.
    fn record(&mut self, events: NodeEvents) -> u64 {
        self.recorded_of(events.journal);
        for (seq, event) in (events.first_seq..).zip(events.events) {
            if seq == self.recorded + 1 && !self.forgetful {
                self.recorded = seq;
                self.events.push(event);
            }
        }
        self.recorded
    }
}

/// Listens until the tracker's runtime ends.
pub(crate) async fn start(client: Client, tracker: &TaskTracker) -> Arc<Mutex<Heard>> {
    let heard = Arc::<Mutex<Heard>>::default();
    let mut asks = client.subscribe(subject::NODE_ASKS).await.unwrap();
    let mut beats = client.subscribe(subject::NODE_BEATS).await.unwrap();
    let mut events = client.subscribe("mesh.v1.up.*.event").await.unwrap();
    client.flush().await.unwrap();
    let all = Arc::clone(&heard);
    tracker.spawn(async move {
        loop {
            tokio::select! {
                Some(message) = asks.next() => {
                    let answer = answer(&all, serde_json::from_slice(&message.payload).unwrap());
                    let payload = serde_json::to_vec(&answer).unwrap().into();
                    client.publish(message.reply.unwrap(), payload).await.unwrap();
                }
                Some(message) = beats.next() => {
                    all.lock().unwrap().beats.push(serde_json::from_slice(&message.payload).unwrap());
                }
                Some(message) = events.next() => {
                    let events: NodeEvents = serde_json::from_slice(&message.payload).unwrap();
                    let (node, journal) = (events.node, events.journal);
                    let seq = all.lock().unwrap().record(events);
                    let commands = vec![NodeCommand::Recorded { journal, seq }];
                    let commands = NodeCommands { v: MESSAGE_VERSION, leader: 1, commands };
                    let payload = serde_json::to_vec(&commands).unwrap().into();
                    client.publish(subject::node_commands(node), payload).await.unwrap();
                }
            }
        }
    });
    heard
}

fn answer(heard: &Mutex<Heard>, ask: NodeAsk) -> NodeAnswer {
    match ask {
        NodeAsk::Hello(report) => {
            let mut heard = heard.lock().unwrap();
            let recorded_seq = heard.recorded_of(report.journal);
            heard.hellos.push(*report);
            NodeAnswer::Welcome(Welcome {
                leader: 1,
                recorded_seq,
                beat_every: Span::from_millis(100),
                lease_ttl: Span::from_secs(5),
            })
        }
        NodeAsk::PutUrls { .. }
        | NodeAsk::GetUrls { .. }
        | NodeAsk::CheckObjects { .. }
        | NodeAsk::Renew => {
            NodeAnswer::Refused(Problem::new(ErrorCode::ObjectsDown, "there is no store here"))
        }
    }
}
