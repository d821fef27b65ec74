//! The wiring: what depends on what, and in which order it starts and stops.
//!
//! Start: files, lock, port, database, candidacy, API. While this orchestrator leads, a `term` has engine and
//! bus; while another one does, the API says who. Stop: the API ends first, so that nothing new is
//! accepted; then the term, in its own order; last the lead is given up, so that another one goes on at once.

mod admin;
mod candidate;
mod open;
mod standing;
mod term;

use std::{net::SocketAddr, sync::Arc};

use mesh_fabric::{
    error::chain,
    files::DirLock,
    metrics::{self, MetricsHandle},
    time::Clock,
};
use mesh_schemas::{ErrorCode, Problem};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use self::candidate::Candidate;
pub use self::standing::{Leading, StandBy, Standing};
use crate::{
    bus, config::Config, engine, http, lead::Lease, ledger::Ledger, nodes::Nodes, objects::Objects,
    store::Store,
};

/// What a request handler may use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Everything that changes something.
    pub engine: engine::Handle,
    /// Everything that only reads.
    pub store: Arc<dyn Store>,
    /// Questions to nodes.
    pub bus: bus::Handle,
    /// Ideas.
    pub ledger: Ledger,
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
    /// The right to answer at all.
    pub lease: Lease,
    /// Where others find this API.
    pub url: Arc<str>,
}

/// What outlives a term.
#[derive(Debug)]
struct Parts {
    config: Arc<Config>,
    store: Arc<dyn Store>,
    objects: Objects,
    metrics: MetricsHandle,
    url: Arc<str>,
}

/// An orchestrator that serves.
#[derive(Debug)]
pub struct App {
    /// Where the API listens.
    pub address: SocketAddr,
    standing: watch::Receiver<Standing>,
    stop_http: CancellationToken,
    stop_lead: CancellationToken,
    candidate: JoinHandle<Result<(), Problem>>,
    http: JoinHandle<std::io::Result<()>>,
    tasks: TaskTracker,
    _lock: Option<DirLock>,
}

impl App {
    /// Starts everything, and returns when it is known whether this orchestrator leads. Only the database
    /// must answer; NATS and the object store are waited for while the API already serves.
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
        let election = open::election(&config, address, &store).await?;
        let url: Arc<str> = election.url.as_str().into();
        let (stop_http, stop_lead) = (CancellationToken::new(), CancellationToken::new());
        let parts =
            Parts { config: Arc::new(config), store, objects, metrics, url: Arc::clone(&url) };
        serve_metrics(&parts, &stop_http).await?;

        let tasks = TaskTracker::new();
        let (standing, mut stands) = watch::channel(Standing::Undecided);
        let router = http::front(http::FrontOptions {
            standing: stands.clone(),
            store: Arc::clone(&parts.store),
            metrics: parts.metrics.clone(),
        });
        let candidate = Candidate::new(parts, election, standing, stop_http.clone());
        let candidate = tasks.spawn(candidate.run(stop_lead.clone()));
        if stands.wait_for(Standing::is_decided).await.is_err() {
            return Err(candidate_problem(candidate.await));
        }
        let serving = http::Serving { listener, tls };
        let http = tasks.spawn(http::serve(serving, router, stop_http.clone()));
        info!("listening on {url}");
        tasks.close();
        let standing = stands;
        Ok(Self { address, standing, stop_http, stop_lead, candidate, http, tasks, _lock: lock })
    }

    /// What the handlers use, while this orchestrator leads.
    pub fn state(&self) -> Option<AppState> {
        match &*self.standing.borrow() {
            Standing::Leads(leading) => Some(leading.state.clone()),
            Standing::Undecided | Standing::StandsBy(_) => None,
        }
    }

    /// Serves until `shutdown` or until something ends that must not, then stops in order.
    ///
    /// # Errors
    /// `E_NOT_LEADER` when another orchestrator took an SQLite database's lead; what made the engine or the
    /// API end.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Problem> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = &mut self.candidate => Err(candidate_problem(ended)),
            ended = &mut self.http => Err(http_problem(ended)),
        };
        let stopped = self.stop().await;
        ended.and(stopped)
    }

    async fn stop(self) -> Result<(), Problem> {
        let Self { stop_http, stop_lead, candidate, http, tasks, .. } = self;
        stop_http.cancel();
        if !http.is_finished() {
            drop(http.await);
        }
        stop_lead.cancel();
        if !candidate.is_finished() {
            candidate.await.unwrap_or_else(|error| Err(broke("the candidacy", &error)))?;
        }
        tasks.wait().await;
        info!("stopped");
        Ok(())
    }
}

async fn serve_metrics(parts: &Parts, stop: &CancellationToken) -> Result<(), Problem> {
    let Some(listen) = parts.config.metrics_listen else { return Ok(()) };
    let served = metrics::serve(listen, parts.metrics.clone(), stop.clone()).await;
    let address = served.map_err(|error| open::io("metrics_listen", &error))?;
    info!("metrics on http://{address}/metrics");
    Ok(())
}

type Joined<T> = Result<T, tokio::task::JoinError>;

fn candidate_problem(ended: Joined<Result<(), Problem>>) -> Problem {
    match ended {
        Ok(Err(problem)) => problem,
        Ok(Ok(())) => Problem::new(ErrorCode::Internal, "the candidacy ended unasked"),
        Err(error) => broke("the candidacy", &error),
    }
}

fn http_problem(ended: Joined<std::io::Result<()>>) -> Problem {
    match ended {
        Ok(Err(error)) => Problem::new(ErrorCode::Io, format!("the API ended: {}", chain(&error))),
        Ok(Ok(())) => Problem::new(ErrorCode::Internal, "the API ended unasked"),
        Err(error) => broke("the API", &error),
    }
}

fn broke(what: &str, error: &tokio::task::JoinError) -> Problem {
    Problem::new(ErrorCode::Internal, format!("{what} broke: {error}"))
}
