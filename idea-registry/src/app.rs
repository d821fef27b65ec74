//! The wiring: what depends on what, and in which order it starts and stops.
//!
//! Start: files, locks, database, what others have seen of the log, writer and integrator, then the wires. Stop:
//! the wires first, so that nothing new is asked; then the writer, the integrator and the copies, in this order.

use std::time::Duration;

use async_nats::Client;
use futures::future::{join, join_all};
use mesh_fabric::metrics;
use mesh_schemas::{ErrorCode, Problem};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span};

use crate::{
    ask::{self, Answers},
    bus::{self, Questions, Submissions},
    config::Config,
    embeddings::{self, Feed},
    health,
    parts::Parts,
    publish::{self, Objects},
    registry::{self, Place, Prepared, Registry},
    witnesses::{self, Behind, Witness},
};

/// How long the start waits for what others have of the log.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(3);
/// How long the others may take to stop after one has broken, which may have been their way out.
const BROKEN_STOP_MAX: Duration = Duration::from_secs(20);

/// A registry that serves.
#[derive(Debug)]
pub struct App {
    registry: Registry,
    stop_wires: CancellationToken,
    stop_copies: CancellationToken,
    wires: Parts,
    copies: Parts,
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
        let place = place(config)?;
        let client = bus::connect(&config.nats).await?;
        let witnesses =
            config.witnesses.iter().map(Witness::open).collect::<Result<Vec<_>, _>>()?;
        let (feed, embedding) = embedding(config)?;
        let prepared = registry::prepare(&place, feed).await?;
        serve_metrics(config, &prepared, &stop_copies).await?;
        let behind = Behind::default();
        let asking = asking(&prepared, witnesses, &behind);
        let mut copying = copying(config, &prepared)?;
        compare(&asking, copying.as_mut()).await;

        let registry = prepared.run();
        let mut copies = Parts::default();
        let watching = watching(config, &registry, client.clone());
        copies.start("the look at what lags", watching.run(stop_copies.clone()));
        for witness in asking {
            let (name, span) = (witness.name(), info_span!("cosign", witness = witness.name()));
            copies.start(name, witness.run(stop_copies.clone()).instrument(span));
        }
        if let Some(service) = copying {
            let copying = service.run(stop_copies.clone());
            copies.start("the copying", copying.instrument(info_span!("copy")));
        }
        if let Some(embedding) = embedding {
            let service = embedding(registry.shared.clone());
            copies.start("the asking for embeddings", service.run(stop_copies.clone()));
        }
        let wires = wires(config, client, &registry, behind, &stop_wires).await?;
        Ok(Self { registry, stop_wires, stop_copies, wires, copies })
    }

    /// Serves until `shutdown` or until something ends that must not, then stops in order.
    ///
    /// # Errors
    /// `E_LOCKED` when another registry writes; `E_INTERNAL` naming the part that ended unasked.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Problem> {
        let problem = tokio::select! {
            () = shutdown.cancelled() => {
                self.stop().await;
                return Ok(());
            }
            problem = self.registry.ended() => problem,
            problem = self.wires.ended() => problem,
            problem = self.copies.ended() => problem,
        };
        error!("The registry ends, to be started anew: {}", problem.detail);
        if timeout(BROKEN_STOP_MAX, self.stop()).await.is_err() {
            error!("Not all parts stop; the process ends without them");
        }
        Err(problem)
    }

    async fn stop(self) {
        let Self { registry, stop_wires, stop_copies, mut wires, mut copies } = self;
        stop_wires.cancel();
        wires.stopped().await;
        stop_copies.cancel();
        copies.stopped().await;
        registry.stop().await;
    }
}

/// What listens and reads on NATS.
async fn wires(
    config: &Config,
    client: Client,
    registry: &Registry,
    behind: Behind,
    stop: &CancellationToken,
) -> Result<Parts, Problem> {
    let (mut wires, shared) = (Parts::default(), registry.shared.clone());
    let submissions = Submissions::new(client.clone(), shared.clone());
    wires.start("the reader of the stream IDEA", submissions.run(stop.clone()));
    let (weights, publishes) = (config.weights, config.objects.is_some());
    let answers = Answers::new(ask::Options { shared, weights, behind, publishes });
    let questions = Questions::listen(client, answers).await?;
    wires.start("the answering of questions", questions.run(stop.clone()));
    Ok(wires)
}

fn watching(config: &Config, registry: &Registry, client: Client) -> health::Service {
    let keys = config.witnesses.iter().filter_map(|witness| witness.verifier().ok());
    health::Service::new(health::Options {
        shared: registry.shared.clone(),
        client,
        publishes: config.objects.is_some(),
        witnesses: keys.map(|key| key.to_string()).collect(),
    })
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

/// The way of new texts to the endpoint, and what makes the task at its end.
type Embedding = Box<dyn FnOnce(registry::Shared) -> embeddings::Service + Send>;

fn embedding(config: &Config) -> Result<(Option<Feed>, Option<Embedding>), Problem> {
    let Some(config) = &config.embeddings else { return Ok((None, None)) };
    let client = embeddings::Client::open(config)?;
    let (feed, texts) = embeddings::feed();
    let (recent, likeness) = (config.recent, config.likeness);
    let service = move |shared| {
        embeddings::Service::new(embeddings::Options { shared, client, texts, recent, likeness })
    };
    Ok((Some(feed), Some(Box::new(service))))
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

async fn serve_metrics(
    config: &Config,
    prepared: &Prepared,
    stop: &CancellationToken,
) -> Result<(), Problem> {
    let handle = metrics::install();
    let Some(listen) = config.metrics_listen else { return Ok(()) };
    let pages = health::routes(prepared.shared.health.clone(), prepared.shared.halt.clone());
    let served = metrics::serve_beside(listen, handle, pages, stop.clone()).await;
    let address = served.map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot listen on {listen}: {error}"))
            .at("metrics_listen")
    })?;
    info!("metrics on http://{address}/metrics");
    Ok(())
}

#[cfg(test)]
mod tests {
    use mesh_tests::nats::NatsServer;

    use super::*;

    async fn app(nats: &NatsServer, dir: &std::path::Path) -> App {
        let creds = dir.join("ideas.creds");
        std::fs::write(&creds, nats.keys().ledger_creds()).unwrap();
        let text = format!(
            "data = {:?}\n[nats]\nurls = [{:?}]\ncreds_file = {creds:?}\n",
            dir.join("data"),
            nats.url()
        );
        let file = dir.join("ideas.toml");
        std::fs::write(&file, text).unwrap();
        App::start(&Config::load(Some(&file)).unwrap()).await.unwrap()
    }

    /// Goal: no part ends unnoticed, whichever it is. Method: each in turn is cut off under a registry that serves.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_death_of_any_part_ends_the_process_and_is_named() {
        let (nats, dir) = (NatsServer::start(), mesh_tests::tmp::dir("parts"));
        let first = app(&nats, dir.path()).await;
        let mut names = first.registry.names();
        names.extend(first.wires.names().into_iter().chain(first.copies.names()));
        first.stop().await;
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            let app = app(&nats, dir.path()).await;
            let groups = app.registry.groups().into_iter().chain([&app.wires, &app.copies]);
            groups.filter(|parts| parts.names().contains(&name)).for_each(|p| p.break_off(&name));
            let ended = timeout(Duration::from_secs(30), app.run(CancellationToken::new())).await;
            let problem = ended.expect("it ends").unwrap_err();
            assert_eq!(problem.code, ErrorCode::Internal);
            assert!(problem.detail.starts_with(&format!("{name} broke: ")), "{problem}");
        }
    }
}
