//! Asking nodes, and finding whose answer it is that came.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, Message, StatusCode, connection::State};
use futures::StreamExt as _;
use mesh_fabric::ids;
use mesh_schemas::{
    ErrorCode, NodeId, Problem,
    message::{AgentAnswer, AgentAsk},
    subject,
};
use tokio::sync::oneshot;

use super::{decode, decode::BadMessage, service::subscribe};
use crate::ledger::Ledger;

/// Most questions that wait for an answer at once.
const CALLS_OPEN_MAX: usize = 4_096;

/// A cheap way to ask nodes. Works as soon as the broker does.
#[derive(Debug, Clone)]
pub struct Handle {
    client: Client,
    calls: Arc<Calls>,
}

/// Questions that wait for an answer, by the last token of the answer's subject.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<String, Call>>);

#[derive(Debug)]
struct Call {
    node: NodeId,
    answer: oneshot::Sender<Result<AgentAnswer, Problem>>,
}

/// Forgets a question when whoever asked goes away.
struct Open<'a> {
    calls: &'a Calls,
    id: String,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

impl Handle {
    pub(super) const fn new(client: Client, calls: Arc<Calls>) -> Self {
        Self { client, calls }
    }

    /// The registry of ideas, over the same connection.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.client.clone())
    }

    /// True when the broker is connected.
    pub fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Asks a node's agent and waits for its answer, which may itself be a refusal.
    ///
    /// # Errors
    /// `E_BUS_DOWN`, `E_UNREACHABLE` when the node is not connected, `E_TIMEOUT`, `E_BUSY` when too many
    /// questions are open.
    pub async fn ask_agent(
        &self,
        node: NodeId,
        ask: AgentAsk,
        timeout: Duration,
    ) -> Result<AgentAnswer, Problem> {
        if !self.connected() {
            return Err(bus_down());
        }
        let (answer, answered) = oneshot::channel();
        let open = self.calls.open(Call { node, answer })?;
        let payload = serde_json::to_vec(&ask)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
        let (to, back) = (subject::agent_ask(node), subject::agent_reply(node, &open.id));
        let published = self.client.publish_with_reply(to, back, payload.into()).await;
        published.map_err(|_| bus_down())?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(bus_down()),
            Err(_) => Err(Problem::new(
                ErrorCode::Timeout,
                format!("{node} did not answer within {timeout:?}"),
            )),
        }
    }
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, call: Call) -> Result<Open<'_>, Problem> {
        let mut calls = self.lock();
        if calls.len() >= CALLS_OPEN_MAX {
            return Err(Problem::new(ErrorCode::Busy, "too many questions to nodes are open"));
        }
        let id = ids::new_uuid().as_simple().to_string();
        calls.insert(id.clone(), call);
        Ok(Open { calls: self, id })
    }

    /// Hands an answer to whoever asked. Another node than the asked one cannot answer.
    fn route(&self, message: &Message) -> Result<(), BadMessage> {
        let node = subject::node_of(&message.subject).ok_or(BadMessage::Subject)?;
        let id = message.subject.rsplit('.').next().ok_or(BadMessage::Subject)?;
        let answer = if message.status == Some(StatusCode::NO_RESPONDERS) {
            let detail = format!("{node} is not connected");
            Err(Problem::new(ErrorCode::Unreachable, detail))
        } else {
            Ok(decode::plain(&message.payload)?)
        };
        let mut calls = self.lock();
        match calls.get(id).map(|call| call.node) {
            Some(asked) if asked != node => return Err(BadMessage::WrongNode),
            // Late: whoever asked has gone.
            None => return Ok(()),
            Some(_) => {}
        }
        if let Some(call) = calls.remove(id) {
            drop(call.answer.send(answer));
        }
        Ok(())
    }
}

/// Routes answers for ever.
pub(super) async fn run(client: Client, calls: Arc<Calls>) {
    loop {
        let mut answers = subscribe(&client, subject::AGENT_REPLIES).await;
        while let Some(message) = answers.next().await {
            if let Err(bad) = calls.route(&message) {
                bad.note(&message.subject);
            }
        }
    }
}

fn bus_down() -> Problem {
    Problem::new(ErrorCode::BusDown, "NATS is out of reach")
}
