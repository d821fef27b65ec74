//! The wiring: what depends on what, and in which order it starts and stops.
//!
//! Start: files, locks, database, what others have seen of the log, writer and integrator, then the wires. Stop:
//! the wires first, so that nothing new is asked; then the writer, the integrator and the copies, in this order.

use std::time::Duration;

use futures::future::{join, join_all};
use mesh_fabric::metrics;
use mesh_schemas::{ErrorCode, Problem};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use crate::{
    ask::{self, Answers},
    bus::{self, Questions, Submissions},
    config::Config,
    publish::{self, Objects},
    registry::{self, Place, Prepared, Registry},
    witnesses::{self, Behind, Witness},
};

/// How long the start waits for what others have of the log.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(3);

/// A registry that serves.
#[derive(Debug)]
pub struct App {
    registry: Registry,
    stop_wires: CancellationToken,
    stop_copies: CancellationToken,
    wires: TaskTracker,
    copies: TaskTracker,
}

impl App {
    /// Starts everything. Only the database must answer; NATS, witnesses and the object store are waited for
    /// while the registry already appends. It signs once witnesses and store have answered.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_LOCKED`, `E_IO`, `E_STORE_DOWN` and what else keeps a registry from starting.
    pub async fn start(config: &Config) -> Result<Self, Problem> {
        mesh_fabric::tls::install_provider();
        crate::metrics::describe();
        let (stop_wires, stop_copies) = (CancellationToken::new(), CancellationToken::new());
        serve_metrics(config, &stop_copies).await?;
        let place = place(config)?;
        let client = bus::connect(&config.nats).await?;
        let witnesses =
            config.witnesses.iter().map(Witness::open).collect::<Result<Vec<_>, _>>()?;
        let prepared = registry::prepare(&place).await?;
        let (copies, behind) = (TaskTracker::new(), Behind::default());
        let asking = asking(&prepared, witnesses, &behind);
        let mut copying = copying(config, &prepared)?;
        compare(&asking, copying.as_mut()).await;

        let registry = prepared.run();
        for witness in asking {
            copies.spawn(witness.run(stop_copies.clone()));
        }
        if let Some(service) = copying {
            copies.spawn(service.run(stop_copies.clone()));
        }
        copies.close();
        let wires = TaskTracker::new();
        let shared = registry.shared.clone();
        let submissions =
            Submissions::new(client.clone(), shared.store.clone(), shared.writer.clone());
        wires.spawn(submissions.run(stop_wires.clone()));
        let (weights, publishes) = (config.weights, config.objects.is_some());
        let answers = Answers::new(ask::Options { shared, weights, behind, publishes });
        wires.spawn(Questions::listen(client, answers).await?.run(stop_wires.clone()));
        wires.close();
        Ok(Self { registry, stop_wires, stop_copies, wires, copies })
    }

    /// Serves until `shutdown` or until something ends that must not, then stops in order.
    ///
    /// # Errors
    /// `E_LOCKED` when another registry writes; what made the writer end.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Problem> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            problem = self.registry.ended() => Err(problem),
        };
        let Self { registry, stop_wires, stop_copies, wires, copies } = self;
        stop_wires.cancel();
        wires.wait().await;
        stop_copies.cancel();
        copies.wait().await;
        registry.stop().await;
        ended
    }
}

/// Where the configuration says that the log lies.
///
/// # Errors
/// `E_CONFIG` when a file cannot be read.
pub fn place(config: &Config) -> Result<Place, Problem> {
    Ok(Place {
        data: config.data.clone(),
        database: config.database(),
        login: config.login()?,
        origin: config.origin.clone(),
    })
}

fn copying(config: &Config, prepared: &Prepared) -> Result<Option<publish::Service>, Problem> {
    let Some(objects) = &config.objects else { return Ok(None) };
    let shared = &prepared.shared;
    let version = shared.identity.version;
    Ok(Some(publish::Service::new(publish::Options {
        objects: Objects::open(objects, version)?,
        store: shared.store.clone(),
        lock: shared.lock.clone(),
        head: shared.head.clone(),
        log: shared.identity.trusted()?,
        version,
        unheard: shared.unheard.clone(),
        start: prepared.last(),
    })))
}

fn asking(
    prepared: &Prepared,
    witnesses: Vec<Witness>,
    behind: &Behind,
) -> Vec<witnesses::Service> {
    let shared = &prepared.shared;
    let service = |witness| {
        witnesses::Service::new(witnesses::Options {
            witness,
            store: shared.store.clone(),
            lock: shared.lock.clone(),
            identity: shared.identity.clone(),
            head: shared.head.clone(),
            behind: behind.clone(),
            unheard: shared.unheard.clone(),
            start: prepared.last(),
        })
    };
    witnesses.into_iter().map(service).collect()
}

/// What others have of this log is compared with it, of those that answer at once, before anything is appended.
/// Nothing is signed before the others have answered as well.
async fn compare(witnesses: &[witnesses::Service], copying: Option<&mut publish::Service>) {
    let copying = async {
        match copying {
            Some(copying) => copying.compare().await,
            None => true,
        }
    };
    let asked = join(copying, join_all(witnesses.iter().map(witnesses::Service::compare)));
    // Who has not answered is asked again while the registry runs.
    let _answered = tokio::time::timeout(FIRST_ANSWER_WAIT, asked).await;
}

async fn serve_metrics(config: &Config, stop: &CancellationToken) -> Result<(), Problem> {
    let handle = metrics::install();
    let Some(listen) = config.metrics_listen else { return Ok(()) };
    let served = metrics::serve(listen, handle, stop.clone()).await;
    let address = served.map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot listen on {listen}: {error}"))
            .at("metrics_listen")
    })?;
    info!("metrics on http://{address}/metrics");
    Ok(())
}
