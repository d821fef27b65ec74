//! C10: what nodes said in the last ten minutes is said again, in another order, with new message ids.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use mesh_fabric::nats::{Connect, Credential, connect};
use mesh_schemas::subject::NODE_EVENT;

use super::{Stage, Strike};

/// Most messages that are said again.
const REPLAYED_MAX: u64 = 400;
/// How long it may take: the broker may be down just now.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn replay(stage: Stage<'_>) -> anyhow::Result<Strike> {
    match tokio::time::timeout(PATIENCE, say_again(stage)).await {
        Ok(Ok(messages)) => Ok(Strike::once(format!("{messages} messages"))),
        Ok(Err(error)) => Ok(Strike::once(format!("not possible just now: {error:#}"))),
        Err(_) => Ok(Strike::once("not possible just now: the broker does not answer")),
    }
}

async fn say_again(stage: Stage<'_>) -> anyhow::Result<usize> {
    let creds = Credential::Creds(stage.cluster.keys.service_creds("chaos"));
    let client =
        connect(Connect::new(vec![stage.cluster.nats_url.clone()], creds, "chaos")).await?;
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_stream(NODE_EVENT.name).await.context("the stream")?;
    let state = stream.cached_info().state.clone();
    let first = state.first_sequence.max(state.last_sequence.saturating_sub(REPLAYED_MAX));
    let mut messages = Vec::new();
    for sequence in first..=state.last_sequence {
        // It may have been deleted meanwhile.
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        messages.push((message.subject, message.payload));
    }
    stage.rng.shuffle(&mut messages);
    let count = messages.len();
    for (subject, payload) in messages {
        client.publish(subject, payload).await?;
    }
    client.flush().await?;
    Ok(count)
}
