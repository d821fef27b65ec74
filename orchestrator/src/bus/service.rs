//! The connection and the loops that live on it.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use mesh_core::Command;
use mesh_fabric::{
    backoff::{self, Policy},
    nats::{Connect, NatsError},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    answers::Answers,
    asks, beats,
    calls::{self, Calls, Handle},
    commands, events, greet,
};
use crate::{engine, lead::Lease, nodes::Nodes, objects::Objects, store::Store};

/// What the bus serves with.
#[derive(Debug)]
pub struct Options {
    /// What messages lead to.
    pub engine: engine::Handle,
    /// The right to answer and to command.
    pub lease: Lease,
    /// Says which jobs have which input.
    pub store: Arc<dyn Store>,
    /// Presigns for nodes.
    pub objects: Objects,
    /// Renews nodes' credentials.
    pub nodes: Nodes,
    /// How often nodes beat and how long leases last.
    pub core: mesh_core::Config,
    /// What the engine wants sent.
    pub commands: mpsc::Receiver<Vec<Command>>,
}

/// Runs the loops.
#[derive(Debug)]
pub struct Service {
    client: Client,
    calls: Arc<Calls>,
}

/// Connects in the background: a broker that is away is waited for.
///
/// # Errors
/// When the credentials or the authority's certificate cannot be used.
pub async fn connect(options: Connect) -> Result<(Service, Handle), NatsError> {
    let options = Connect { wait_for_server: true, ..options };
    let client = mesh_fabric::nats::connect(options).await?;
    let calls = Arc::new(Calls::default());
    let handle = Handle::new(client.clone(), Arc::clone(&calls));
    Ok((Service { client, calls }, handle))
}

impl Service {
    /// Serves until `shutdown`; what is being answered then is answered.
    pub async fn run(self, options: Options, shutdown: CancellationToken) {
        let Options { engine, lease, store, objects, nodes, core, commands } = options;
        let access = Access::new(engine.clone(), store);
        let answers = Answers::new(access, engine.clone(), lease.clone(), objects, nodes, &core);
        let loops = TaskTracker::new();
        let until = |work: futures::future::BoxFuture<'static, ()>| {
            let shutdown = shutdown.clone();
            loops.spawn(async move {
                shutdown.run_until_cancelled(work).await;
            });
        };
        until(Box::pin(greet::run(self.client.clone(), engine.clone(), lease.clone())));
        until(Box::pin(events::run(self.client.clone(), engine.clone())));
        until(Box::pin(beats::run(self.client.clone(), engine)));
        until(Box::pin(calls::run(self.client.clone(), self.calls)));
        loops.spawn(asks::run(self.client.clone(), answers, shutdown));
        // Ends with the engine, whose last round may have something to say.
        loops.spawn(commands::run(self.client.clone(), lease, commands));
        loops.close();
        loops.wait().await;
        if let Err(error) = self.client.flush().await {
            tracing::debug!("Could not flush the last messages: {error}");
        }
    }
}

/// Subscribes, trying for ever; the client itself subscribes again after each reconnect.
pub(super) async fn subscribe(client: &Client, subject: &'static str) -> Subscriber {
    let subscribe = || client.subscribe(subject);
    let notify = backoff::warn("Subscribing");
    match backoff::retry(Policy::forever(), subscribe, |_| true, notify).await {
        Ok(subscriber) => subscriber,
        // `forever` has no end but success.
        Err(_) => std::future::pending().await,
    }
}
