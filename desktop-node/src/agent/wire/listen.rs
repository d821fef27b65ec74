//! What the orchestrator sends: commands, and questions with an address for the answer.

use futures::StreamExt as _;
use mesh_node_core::Input;
use mesh_schemas::{
    message::{AgentAsk, NodeCommands},
    subject,
};
use serde::de::DeserializeOwned;

use super::{Options, Wire};

/// A question, and the subject that awaits the answer.
#[derive(Debug)]
pub(in crate::agent) struct Question {
    pub(in crate::agent) ask: AgentAsk,
    pub(in crate::agent) reply: String,
}

/// Takes commands until the connection is closed for good.
pub(super) async fn commands(wire: &Wire, options: &Options) {
    let Some(mut messages) = subscribe(wire, subject::node_commands(wire.node)).await else {
        return;
    };
    while let Some(message) = messages.next().await {
        if let Some(commands) = read::<NodeCommands>(&message.payload, "commands")
            && options.inputs.send(Input::Commands(Box::new(commands))).await.is_err()
        {
            return;
        }
    }
}

/// Takes questions until the connection is closed for good.
pub(super) async fn questions(wire: &Wire, options: &Options) {
    let Some(mut messages) = subscribe(wire, subject::agent_ask(wire.node)).await else {
        return;
    };
    // Answers go nowhere but to the node's own subjects, whatever the question says.
    let allowed = subject::agent_reply(wire.node, "");
    while let Some(message) = messages.next().await {
        let reply = message.reply.as_deref().filter(|reply| reply.starts_with(&allowed));
        let Some(reply) = reply.map(ToOwned::to_owned) else {
            refuse("question");
            continue;
        };
        if let Some(ask) = read::<AgentAsk>(&message.payload, "question") {
            // When too many wait, this one is dropped; whoever asked asks again.
            if options.questions.try_send(Question { ask, reply }).is_err() {
                refuse("question");
            }
        }
    }
}

async fn subscribe(wire: &Wire, subject: String) -> Option<async_nats::Subscriber> {
    match wire.client.subscribe(subject).await {
        Ok(messages) => Some(messages),
        Err(error) => {
            tracing::error!(%error, "Cannot subscribe");
            None
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8], what: &'static str) -> Option<T> {
    match serde_json::from_slice(payload) {
        Ok(message) => Some(message),
        Err(error) => {
            tracing::debug!(%error, size_bytes = payload.len(), "A message cannot be read");
            refuse(what);
            None
        }
    }
}

fn refuse(what: &'static str) {
    metrics::counter!("mesh_node_messages_refused_total", "what" => what).increment(1);
}
