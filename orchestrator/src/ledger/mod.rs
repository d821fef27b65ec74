//! The ledger of ideas, seen from the orchestrator: questions are passed on, jobs are let in only with an idea
//! that is there, and what became of them is told.
//!
//! The registry being away stops neither the engine nor the API: submissions wait on the stream IDEA, news
//! waits in the event log, and only jobs that are marked autonomous are refused meanwhile.

mod ask;
mod gate;
mod parked;
mod tell;
mod trace;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_nats::Client;
use mesh_schemas::idea::IdeaId;

pub(crate) use ask::strange;
pub use tell::Options;
pub(crate) use tell::run;
pub(crate) use trace::within;

/// A cheap way to ask the registry.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: Client,
    known: Arc<Mutex<HashSet<IdeaId>>>,
}

impl Ledger {
    /// Over a connection that comes up by itself.
    pub fn new(client: Client) -> Self {
        Self { client, known: Arc::default() }
    }
}
