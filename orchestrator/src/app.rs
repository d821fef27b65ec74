//! The wiring: what depends on what, and in which order it starts and stops.
//!
//! Start: files, lock, port, database, lead, engine, bus, API. Stop: the API ends first, so that nothing
//! new is accepted; then the bus stops listening; then the engine finishes what waits; last the bus sends
//! what that led to.

mod admin;
mod open;

use std::{net::SocketAddr, sync::Arc};

use mesh_fabric::{
    error::chain,
    files::DirLock,
    metrics::{self, MetricsHandle},
    time::Clock,
};
use mesh_schemas::{ErrorCode, Problem};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    bus,
    config::Config,
    engine::{self, EngineError},
    http,
    nodes::Nodes,
    objects::Objects,
    store::Store,
};

/// Rounds whose commands wait to be sent; more are dropped and said again later.
const COMMAND_BATCHES_WAITING_MAX: usize = 1_024;

/// What a request handler may use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Everything that changes something.
    pub engine: engine::Handle,
    /// Everything that only reads.
    pub store: Arc<dyn Store>,
    /// Questions to nodes.
    pub bus: bus::Handle,
    /// Presigned URLs and small objects.
    pub objects: Objects,
    /// Letting machines in and cutting them off.
    pub nodes: Nodes,
    /// The text of `/metrics`.
    pub metrics: MetricsHandle,
    /// The configuration.
    pub config: Arc<Config>,
    /// The leader's clock.
    pub clock: Clock,
}

/// An orchestrator that serves.
#[derive(Debug)]
pub struct App {
    /// What its handlers use.
    pub state: AppState,
    /// Where the API listens.
    pub address: SocketAddr,
    stops: Stops,
    engine: JoinHandle<Result<(), EngineError>>,
    http: JoinHandle<std::io::Result<()>>,
    tasks: TaskTracker,
    _lock: Option<DirLock>,
}

/// One token for each phase of stopping.
#[derive(Debug, Default)]
struct Stops {
    http: CancellationToken,
    bus: CancellationToken,
    engine: CancellationToken,
}

impl App {
    /// Starts everything. Only the database must answer; NATS and the object store are waited for while
    /// the API already serves.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_LOCKED`, `E_IO`, `E_STORE_DOWN` and what else keeps an orchestrator from starting.
    pub async fn start(config: Config) -> Result<Self, Problem> {
        mesh_fabric::tls::install_provider();
        let metrics = metrics::install();
        let lock = open::lock(&config)?;
        let listener = open::listener(config.listen)?;
        let address = listener.local_addr().map_err(|error| open::io("listen", &error))?;
        let tls = open::tls(&config).await?;
        let objects = Objects::open(&config.objects)?;
        let store = open::store(&config).await?;
        let leader = store.take_lead().await.map_err(|error| open::store_problem(&error))?;
        admin::keep_token(&config, &*store).await?;

        let (stops, tasks, clock) = (Stops::default(), TaskTracker::new(), Clock::start());
        let (commands, commands_to_send) = mpsc::channel(COMMAND_BATCHES_WAITING_MAX);
        let (service, engine) = engine::Service::new(engine::Options {
            core: config.core(),
            leader,
            store: Arc::clone(&store),
            clock,
            commands,
        });
        let nodes = open::nodes(&config, engine.clone()).await?;
        let (bus_service, bus) = bus::connect(open::bus(&config)?).await.map_err(Problem::from)?;
        let bus_options = bus::Options {
            engine: engine.clone(),
            store: Arc::clone(&store),
            objects: objects.clone(),
            nodes: nodes.clone(),
            core: config.core(),
            commands: commands_to_send,
        };
        let state = AppState {
            engine,
            store,
            bus,
            objects,
            nodes,
            metrics,
            config: Arc::new(config),
            clock,
        };
        serve_metrics(&state, &stops).await?;
        let engine = tasks.spawn(service.run(stops.engine.clone()));
        tasks.spawn(bus_service.run(bus_options, stops.bus.clone()));
        tasks.spawn(state.nodes.clone().run(stops.bus.clone()));
        tasks.spawn(prepare_objects(state.objects.clone(), stops.bus.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let serving = http::Serving { listener, tls };
        let router = http::router(state.clone());
        let http = tasks.spawn(http::serve(serving, router, stops.http.clone()));
        info!(leader, database = state.store.kind(), "listening on {scheme}://{address}");
        tasks.close();
        Ok(Self { state, address, stops, engine, http, tasks, _lock: lock })
    }

    /// Serves until `shutdown` or until something ends that must not, then stops in order.
    ///
    /// # Errors
    /// `E_NOT_LEADER` when another orchestrator took the lead; what made the engine or the API end.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Problem> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = &mut self.engine => Err(engine_problem(ended)),
            ended = &mut self.http => Err(http_problem(ended)),
        };
        self.stop().await;
        ended
    }

    async fn stop(self) {
        let Self { stops, engine, http, tasks, .. } = self;
        stops.http.cancel();
        if !http.is_finished() {
            drop(http.await);
        }
        stops.bus.cancel();
        stops.engine.cancel();
        if !engine.is_finished() {
            match engine.await {
                Ok(Ok(())) => {}
                ended => warn!("{}", engine_problem(ended)),
            }
        }
        tasks.wait().await;
        info!("stopped");
    }
}

async fn serve_metrics(state: &AppState, stops: &Stops) -> Result<(), Problem> {
    let Some(listen) = state.config.metrics_listen else { return Ok(()) };
    let served = metrics::serve(listen, state.metrics.clone(), stops.http.clone()).await;
    let address = served.map_err(|error| open::io("metrics_listen", &error))?;
    info!("metrics on http://{address}/metrics");
    Ok(())
}

async fn prepare_objects(objects: Objects, shutdown: CancellationToken) {
    objects.prepare(&shutdown).await;
}

type Joined<T> = Result<T, tokio::task::JoinError>;

fn engine_problem(ended: Joined<Result<(), EngineError>>) -> Problem {
    match ended {
        Ok(Err(error)) => error.problem(),
        Ok(Ok(())) => Problem::new(ErrorCode::Internal, "the engine ended unasked"),
        Err(error) => Problem::new(ErrorCode::Internal, format!("the engine broke: {error}")),
    }
}

fn http_problem(ended: Joined<std::io::Result<()>>) -> Problem {
    match ended {
        Ok(Err(error)) => Problem::new(ErrorCode::Io, format!("the API ended: {}", chain(&error))),
        Ok(Ok(())) => Problem::new(ErrorCode::Internal, "the API ended unasked"),
        Err(error) => Problem::new(ErrorCode::Internal, format!("the API broke: {error}")),
    }
}
