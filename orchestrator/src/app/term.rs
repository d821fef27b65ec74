//! One term of leading: engine, bus and API, from the election to the loss or the end of the lead.

use std::{sync::Arc, time::Duration};

use mesh_fabric::time::Clock;
use mesh_schemas::{ErrorCode, Problem};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{AppState, Leading, Parts, admin, open};
use crate::{
    bus,
    engine::{self, EngineError},
    http,
    lead::Lease,
    ledger,
    objects::Objects,
};

/// Rounds whose commands wait to be sent; more are dropped and said again later.
const COMMAND_BATCHES_WAITING_MAX: usize = 1_024;
/// How long the bus may take to send what the last round led to.
const LAST_WORDS_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the parts of a lost term may take to end. What is left then can only wait: it has no lease.
const ABANDON_WAIT_MAX: Duration = Duration::from_secs(2);

/// What runs while this orchestrator leads.
#[derive(Debug)]
pub(super) struct Term {
    state: AppState,
    stops: Stops,
    engine: JoinHandle<Result<(), EngineError>>,
    tasks: TaskTracker,
}

/// One token for each phase of stopping.
#[derive(Debug)]
struct Stops {
    answers: CancellationToken,
    bus: CancellationToken,
    engine: CancellationToken,
}

/// Why the engine ended unasked.
#[derive(Debug)]
pub(super) enum Broken {
    /// A write was refused: another one leads.
    Fenced(Problem),
    /// It cannot go on.
    Fault(Problem),
}

impl Term {
    /// Begins to lead. `stop_http` ends the API, and with it all streams.
    pub(super) async fn begin(
        parts: &Parts,
        lease: Lease,
        stop_http: &CancellationToken,
    ) -> Result<Self, Problem> {
        let Parts { config, store, objects, metrics, url } = parts;
        admin::keep_token(config, &**store, lease.leader()).await?;
        let (tasks, clock) = (TaskTracker::new(), Clock::start());
        let (commands, commands_to_send) = mpsc::channel(COMMAND_BATCHES_WAITING_MAX);
        let (service, engine) = engine::Service::new(engine::Options {
            core: config.core(),
            leader: lease.leader(),
            store: Arc::clone(store),
            clock,
            commands,
        });
        let nodes = open::nodes(config, engine.clone(), lease.clone()).await?;
        let (bus_service, bus) = bus::connect(open::bus(config)?).await.map_err(Problem::from)?;
        let bus_options = bus::Options {
            engine: engine.clone(),
            lease: lease.clone(),
            store: Arc::clone(store),
            objects: objects.clone(),
            nodes: nodes.clone(),
            core: config.core(),
            commands: commands_to_send,
        };
        let state = AppState {
            engine,
            store: Arc::clone(store),
            ledger: bus.ledger(),
            bus,
            objects: objects.clone(),
            nodes,
            metrics: metrics.clone(),
            config: Arc::clone(config),
            clock,
            lease,
            url: Arc::clone(url),
        };
        let stops = Stops {
            answers: stop_http.child_token(),
            bus: CancellationToken::new(),
            engine: CancellationToken::new(),
        };
        let engine = tasks.spawn(service.run(stops.engine.clone()));
        tasks.spawn(bus_service.run(bus_options, stops.bus.clone()));
        tasks.spawn(state.nodes.clone().run(stops.bus.clone()));
        tasks.spawn(tell_ledger(&state, stops.bus.clone()));
        tasks.spawn(prepare_objects(state.objects.clone(), stops.bus.clone()));
        tasks.close();
        let (leader, database) = (state.lease.leader(), state.store.kind());
        info!(leader, database, "leads with the epoch {leader}");
        Ok(Self { state, stops, engine, tasks })
    }

    /// The API of this term.
    pub(super) fn leading(&self) -> Leading {
        let router = http::router(self.state.clone());
        Leading { state: self.state.clone(), router, over: self.stops.answers.clone() }
    }

    /// Returns when the engine has ended, which it does not do unasked unless something is wrong.
    pub(super) async fn broken(&mut self) -> Broken {
        match (&mut self.engine).await {
            Ok(Err(error)) if error.is_fenced() => Broken::Fenced(error.problem()),
            Ok(Err(error)) => Broken::Fault(error.problem()),
            Ok(Ok(())) => {
                Broken::Fault(Problem::new(ErrorCode::Internal, "the engine ended unasked"))
            }
            Err(error) => Broken::Fault(broke(&error)),
        }
    }

    /// Ends in order: the bus stops listening; the engine finishes what waits; last the bus sends what that
    /// led to. The API has ended before.
    pub(super) async fn finish(&mut self) {
        self.stops.answers.cancel();
        self.stops.bus.cancel();
        self.stops.engine.cancel();
        if !self.engine.is_finished() {
            match (&mut self.engine).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!("{}", error.problem()),
                Err(error) => warn!("{}", broke(&error)),
            }
        }
        if tokio::time::timeout(LAST_WORDS_WAIT_MAX, self.tasks.wait()).await.is_err() {
            warn!("Last words to nodes were not sent; the next leader says them again");
        }
    }

    /// Ends at once, as what it says and writes is nobody's any more: whoever waits is told so.
    pub(super) async fn abandon(self) {
        self.state.lease.end();
        self.stops.answers.cancel();
        self.stops.bus.cancel();
        self.engine.abort();
        if tokio::time::timeout(ABANDON_WAIT_MAX, self.tasks.wait()).await.is_err() {
            warn!("Parts of the lost term are still ending; they can say and write nothing");
        }
    }
}

async fn prepare_objects(objects: Objects, shutdown: CancellationToken) {
    objects.prepare(&shutdown).await;
}

fn tell_ledger(state: &AppState, shutdown: CancellationToken) -> impl Future<Output = ()> + use<> {
    let telling = ledger::run(ledger::Options {
        ledger: state.ledger.clone(),
        store: Arc::clone(&state.store),
        lease: state.lease.clone(),
        changes: state.engine.changes(),
    });
    async move {
        shutdown.run_until_cancelled(telling).await;
    }
}

fn broke(error: &tokio::task::JoinError) -> Problem {
    Problem::new(ErrorCode::Internal, format!("the engine broke: {error}"))
}
