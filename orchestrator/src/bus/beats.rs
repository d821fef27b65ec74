//! Receiving beats.

use std::time::Instant;

use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use mesh_schemas::subject;
use metrics::counter;

use super::{decode, decode::BadMessage, service::subscribe, throttle::Throttle};
use crate::engine;

/// Hands beats to the engine for ever.
pub(super) async fn run(client: Client, engine: engine::Handle) {
    let mut throttle = Throttle::default();
    loop {
        let mut beats: Subscriber = subscribe(&client, subject::NODE_BEATS).await;
        while let Some(message) = beats.next().await {
            match decode::beat(&message.subject, &message.payload) {
                Ok(beat) if !throttle.admit(beat.node, Instant::now()) => {
                    BadMessage::TooOften.note(&message.subject);
                }
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
