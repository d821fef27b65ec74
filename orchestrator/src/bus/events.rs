//! Reading the stream NODE_EVENT, in order, from the stored position, without acknowledgements: the
//! position is stored by the same commit as the effects.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use async_nats::{
    Client,
    connection::State,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        stream::Stream,
    },
};
use futures::StreamExt as _;
use mesh_fabric::{backoff::Policy, error::chain, nats::ensure_stream};
use mesh_schemas::subject::NODE_EVENT;
use tokio::{sync::watch, time::timeout};
use tracing::{debug, info, warn};

use super::decode;
use crate::engine::{self, FromBus, RestartPoint};

/// After so long without a message the stream is looked at: it may have been wiped meanwhile.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the connection is the one that the consumer was made on.
const LOOK_EVERY: Duration = Duration::from_millis(250);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Why reading ended without an error.
enum Ended {
    /// The engine loaded its state again and wants messages from another position.
    Restart,
    /// The stream is not the one it was.
    StreamReplaced,
    /// The broker was away; the consumer, which it keeps in memory alone, may be gone.
    Reconnected,
}

/// What is read from.
struct Source {
    client: Client,
    jetstream: jetstream::Context,
}

impl Source {
    /// Grows with each connection.
    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    async fn until_connected(&self) {
        while self.client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Hands events to the engine for ever.
pub(super) async fn run(client: Client, engine: engine::Handle) {
    let mut restart = engine.restart_point();
    // Until the engine has loaded there is no position to read from.
    if restart.wait_for(|point| point.load > 0).await.is_err() {
        return;
    }
    let source = Source { jetstream: jetstream::new(client.clone()), client };
    let mut position = restart.borrow_and_update().position;
    let mut waits = Policy::forever().waits();
    loop {
        let before = position;
        source.until_connected().await;
        match read(&source, &engine, &mut restart, &mut position).await {
            Ok(Ended::Restart) => position = restart.borrow_and_update().position,
            Ok(Ended::StreamReplaced) => warn!("The stream NODE_EVENT was replaced"),
            Ok(Ended::Reconnected) => debug!("The broker is back"),
            Err(error) => warn!("Reading the stream NODE_EVENT failed: {}", chain(&*error)),
        }
        if position != before {
            waits = Policy::forever().waits();
        }
        let wait = waits.next().unwrap_or(QUIET_MAX);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = restart.changed() => {
                if changed.is_err() {
                    return;
                }
                position = restart.borrow_and_update().position;
            }
        }
    }
}

async fn read(
    source: &Source,
    engine: &engine::Handle,
    restart: &mut watch::Receiver<RestartPoint>,
    position: &mut u64,
) -> Result<Ended, Error> {
    let connects = source.connects();
    let stream = ensure_stream(&source.jetstream, &NODE_EVENT).await?;
    if is_another(&stream, *position).await? {
        info!(position = *position, "NODE_EVENT is younger than the position: reading all of it");
        *position = 0;
    }
    let consumer = stream.create_consumer(from(*position)).await?;
    let mut messages = consumer.messages().await?;
    debug!(position = *position, "Reading the stream NODE_EVENT");
    let mut looked_at = Instant::now();
    loop {
        let next = tokio::select! {
            next = timeout(LOOK_EVERY, messages.next()) => next,
            changed = restart.changed() => { changed?; return Ok(Ended::Restart) }
        };
        let message = match next {
            Ok(Some(message)) => message?,
            Ok(None) => return Err("the consumer ended".into()),
            Err(_) if source.connects() != connects => return Ok(Ended::Reconnected),
            Err(_) if looked_at.elapsed() < QUIET_MAX => continue,
            Err(_) if is_another(&stream, *position).await? => return Ok(Ended::StreamReplaced),
            Err(_) => {
                looked_at = Instant::now();
                continue;
            }
        };
        let sequence = message.info()?.stream_sequence;
        let events = decode::events(&message.subject, &message.payload)
            .inspect_err(|bad| bad.note(&message.subject))
            .ok();
        if !engine.from_stream(FromBus { position: sequence, events }).await {
            return Err("the engine has ended".into());
        }
        *position = sequence;
    }
}

/// A stream whose last number is below the position is not the one that the position speaks of.
async fn is_another(stream: &Stream, position: u64) -> Result<bool, Error> {
    Ok(stream.get_info().await?.state.last_sequence < position)
}

fn from(position: u64) -> OrderedConfig {
    let deliver_policy = match position {
        0 => DeliverPolicy::All,
        position => DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
    };
    OrderedConfig { deliver_policy, ..OrderedConfig::default() }
}
