//! Receiving beats.

use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use mesh_schemas::subject;
use metrics::counter;

use super::{decode, service::subscribe};
use crate::engine;

/// Hands beats to the engine for ever.
pub(super) async fn run(client: Client, engine: engine::Handle) {
    loop {
        let mut beats: Subscriber = subscribe(&client, subject::NODE_BEATS).await;
        while let Some(message) = beats.next().await {
            match decode::beat(&message.subject, &message.payload) {
                // A dropped beat is no loss: the next one says the same.
                Ok(beat) => {
                    if !engine.node_beat(beat) {
                        counter!("mesh_beats_dropped_total").increment(1);
                    }
                }
                Err(bad) => bad.note(&message.subject),
            }
        }
    }
}
