//! Receiving nodes' asks and answering them, many at once but not without bound.

use std::time::Instant;

use async_nats::{Client, Message};
use futures::StreamExt as _;
use mesh_schemas::{
    ErrorCode, NodeId, Problem,
    message::{NodeAnswer, NodeAsk},
    subject,
};
use metrics::counter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    answers::Answers,
    decode::{self, BadMessage},
    room::Room,
    service::subscribe,
    throttle::Throttle,
};

/// Answers asks until `shutdown`, and then those that have begun.
pub(super) async fn run(client: Client, answers: Answers, shutdown: CancellationToken) {
    let running = TaskTracker::new();
    let room = Room::default();
    shutdown
        .run_until_cancelled(async {
            loop {
                receive(&client, &answers, &room, &running).await;
            }
        })
        .await;
    running.close();
    running.wait().await;
}

/// Never waits for an answer: what one node asks must not keep another from being heard.
async fn receive(client: &Client, answers: &Answers, room: &Room, running: &TaskTracker) {
    let mut throttle = Throttle::default();
    let mut asks = subscribe(client, subject::NODE_ASKS).await;
    while let Some(message) = asks.next().await {
        match asker(&message).and_then(|node| throttled(&mut throttle, node)) {
            Ok(node) => {
                running.spawn(answer(client.clone(), answers.clone(), room.clone(), node, message));
            }
            Err(bad) => bad.note(&message.subject),
        }
    }
}

fn throttled(throttle: &mut Throttle, node: NodeId) -> Result<NodeId, BadMessage> {
    if throttle.admit(node, Instant::now()) { Ok(node) } else { Err(BadMessage::TooOften) }
}

/// Who asks. The answer goes to the asker's own inbox or nowhere: another reply subject would make the
/// orchestrator, which may write everywhere, say things to others in the node's stead.
fn asker(message: &Message) -> Result<NodeId, BadMessage> {
    let node = subject::node_of(&message.subject).ok_or(BadMessage::Subject)?;
    let reply = message.reply.as_ref().ok_or(BadMessage::Subject)?;
    let inbox = reply.strip_prefix(subject::node_inbox(node).as_str());
    match inbox.and_then(|rest| rest.strip_prefix('.')) {
        Some(rest) if !rest.is_empty() && !rest.contains(['*', '>', ' ', '\0']) => Ok(node),
        Some(_) | None => Err(BadMessage::Subject),
    }
}

async fn answer(client: Client, answers: Answers, room: Room, node: NodeId, message: Message) {
    let Some(reply) = message.reply else { return };
    let answer = match decode::plain::<NodeAsk>(&message.payload) {
        Ok(ask) => bounded(&answers, &room, node, ask).await,
        Err(bad) => {
            bad.note(&message.subject);
            let detail = format!("the question is refused: {bad}");
            NodeAnswer::Refused(Problem::new(ErrorCode::Invalid, detail))
        }
    };
    let refused = matches!(answer, NodeAnswer::Refused(_));
    counter!("mesh_asks_total", "refused" => if refused { "true" } else { "false" }).increment(1);
    if let NodeAnswer::Refused(problem) = &answer {
        debug!(node.id = %node, "Refused an ask: {problem}");
    }
    let Ok(payload) = serde_json::to_vec(&answer) else { return };
    if !answers.may_be_given() {
        return;
    }
    if let Err(error) = client.publish(reply, payload.into()).await {
        debug!(node.id = %node, "Could not answer: {error}");
    }
}

/// A node says hello and renews its credential also while the object store hangs; whatever needs the
/// store has its own room.
async fn bounded(answers: &Answers, room: &Room, node: NodeId, ask: NodeAsk) -> NodeAnswer {
    match ask {
        NodeAsk::Hello(_) | NodeAsk::Renew => answers.answer(node, ask).await,
        NodeAsk::PutUrls { .. } | NodeAsk::GetUrls { .. } | NodeAsk::CheckObjects { .. } => {
            room.within(answers.answer(node, ask)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::Subject;
    use uuid::Uuid;

    use super::*;

    fn message(subject: &str, reply: Option<&str>) -> Message {
        Message {
            subject: Subject::from(subject),
            reply: reply.map(Subject::from),
            payload: "{}".into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn an_answer_goes_to_the_askers_own_inbox_or_nowhere() {
        let node = NodeId::from_uuid(Uuid::from_u128(1));
        let other = NodeId::from_uuid(Uuid::from_u128(2));
        let ask = subject::node_ask(node);
        let own = format!("{}.x.1", subject::node_inbox(node));
        assert_eq!(asker(&message(&ask, Some(&own))), Ok(node));
        let foreign = format!("{}.x", subject::node_inbox(other));
        let glued = format!("{}x.1", subject::node_inbox(node));
        let wild = format!("{}.>", subject::node_inbox(node));
        let bare = subject::node_inbox(node);
        for reply in [&foreign, &glued, &wild, &bare, &subject::node_commands(other), "$JS.API.x"] {
            assert_eq!(asker(&message(&ask, Some(reply))), Err(BadMessage::Subject), "{reply}");
        }
        assert_eq!(asker(&message(&ask, None)), Err(BadMessage::Subject));
    }
}
