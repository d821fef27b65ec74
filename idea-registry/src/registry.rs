//! The registry without its wires: database, writer, integrator, and what they share.
//!
//! Start: locks, database, identity, what was signed before; then the writer and the integrator. Stop: the
//! writer answers what is queued, the integrator signs what is there, the database is closed.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use mesh_fabric::{
    backoff::{self, Policy},
    error::chain,
};
use mesh_schemas::Problem;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    absent::Absent,
    embeddings::Feed,
    forgetting::{self, Forgetting},
    halt::Halt,
    health::Health,
    identity::Identity,
    integrate::{self, Head},
    near_index::NearIndex,
    parts::Parts,
    replay,
    store::{Login, Store, StoreError, WriterLock, lock_directories},
    tiles::TileDir,
    unheard::Unheard,
    writer,
};

/// Where the log lies.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory of the identity and of the log's files.
    pub data: PathBuf,
    /// The database's URL.
    pub database: String,
    /// How to log in to it.
    pub login: Login,
    /// What the origin begins with, at the first start.
    pub origin: Option<String>,
}

/// What is shared; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared {
    pub(crate) store: Store,
    pub(crate) lock: Arc<WriterLock>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) near: Arc<RwLock<NearIndex>>,
    pub(crate) halt: Halt,
    pub(crate) head: Head,
    pub(crate) unheard: Unheard,
    pub(crate) absent: Absent,
    pub(crate) health: Health,
    /// The way to append.
    pub writer: writer::Handle,
}

/// A registry that appends and signs.
#[derive(Debug)]
pub struct Registry {
    /// What others use of it.
    pub shared: Shared,
    stop_writer: CancellationToken,
    stop_integrator: CancellationToken,
    writer: Parts,
    integrator: Parts,
}

/// Writer and integrator before they run.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) shared: Shared,
    writer: writer::Service,
    integrator: integrate::Service,
    forgetting: forgetting::Service,
}

/// Opens the database and takes the right to write.
pub(crate) async fn open(place: &Place) -> Result<(Store, WriterLock), Problem> {
    let directories = lock_directories(&place.data, &place.database)?;
    let store = open_store(&place.database, &place.login).await?;
    let lock = store.lock(directories).await?;
    Ok((store, lock))
}

/// The same with a database that is there and holds a ledger; nothing is made.
pub(crate) async fn open_existing(place: &Place) -> Result<(Store, WriterLock), Problem> {
    snapshot(place).await?.close().await;
    open(place).await
}

/// One state of a database that is there and holds a ledger.
pub(crate) async fn snapshot(place: &Place) -> Result<Store, Problem> {
    let open = || Store::open_snapshot(&place.database, &place.login);
    let retryable = |error: &StoreError| matches!(error, StoreError::Unavailable { .. });
    let notify = |error: &StoreError, _| warn!("Cannot open the database: {}", chain(error));
    Ok(backoff::retry(Policy::network(), open, retryable, notify).await?)
}

/// The database, waited for a few seconds: it may be starting together with this process.
pub(crate) async fn open_store(database: &str, login: &Login) -> Result<Store, Problem> {
    let open = || Store::open(database, login);
    let retryable = |error: &StoreError| matches!(error, StoreError::Unavailable { .. });
    let notify = |error: &StoreError, _| warn!("Cannot open the database: {}", chain(error));
    Ok(backoff::retry(Policy::network(), open, retryable, notify).await?)
}

/// Opens everything and compares what was signed before with what is there. New texts go to the feed.
pub(crate) async fn prepare(place: &Place, feed: Option<Feed>) -> Result<Prepared, Problem> {
    let (store, lock) = open(place).await?;
    let lock = Arc::new(lock);
    let origin = place.origin.as_deref();
    let identity = Arc::new(Identity::open(&place.data, origin, &store, &lock).await?);
    replay::ensure(&store, &lock, identity.version).await?;
    let (halt, unheard, near) = (Halt::default(), Unheard::default(), Arc::default());
    let (wanted, absent) = (Forgetting::default(), Absent::default());
    let head = Head::new(TileDir::of_log(&place.data, identity.version), halt.clone());
    let integrator = integrate::start(integrate::Options {
        store: store.clone(),
        lock: Arc::clone(&lock),
        identity: Arc::clone(&identity),
        head: head.clone(),
        halt: halt.clone(),
        unheard: unheard.clone(),
        absent: absent.clone(),
    });
    let integrator = integrator.await?;
    let (writer, handle) = writer::start(writer::Options {
        store: store.clone(),
        lock: Arc::clone(&lock),
        identity: Arc::clone(&identity),
        near: Arc::clone(&near),
        halt: halt.clone(),
        feed,
        forgetting: wanted.clone(),
    })
    .await?;
    let health = Health::default();
    let forgetting = forgetting::Service { store: store.clone(), wanted, health: health.clone() };
    let shared =
        Shared { store, lock, identity, near, halt, head, unheard, absent, health, writer: handle };
    Ok(Prepared { shared, writer, integrator, forgetting })
}

impl Prepared {
    /// The head that was signed last, or may have been.
    pub(crate) fn last(&self) -> mesh_tlog::TreeHead {
        self.integrator.last()
    }

    /// Begins to append and to sign.
    pub(crate) fn run(self) -> Registry {
        let Self { shared, writer, integrator, forgetting } = self;
        let (mut appends, mut signs) = (Parts::default(), Parts::default());
        let (stop_writer, stop_integrator) = (CancellationToken::new(), CancellationToken::new());
        let sizes = shared.writer.sizes();
        signs.start("the integrator", integrator.run(sizes, stop_integrator.clone()));
        signs.start("the forgetting of what was erased", forgetting.run(stop_integrator.clone()));
        appends.start_fallible("the writer", writer.run(stop_writer.clone()));
        let origin = shared.identity.origin();
        info!("Keeping the log {origin} of {} entries", shared.writer.size());
        Registry { shared, stop_writer, stop_integrator, writer: appends, integrator: signs }
    }
}

impl Shared {
    /// How many entries the latest signed head has.
    pub(crate) fn signed(&self) -> u64 {
        self.head.latest().map_or(0, |latest| latest.head().size)
    }
}

impl Registry {
    /// Starts one.
    ///
    /// # Errors
    /// `E_LOCKED`, `E_CONFIG`, `E_IO`, `E_STORE_DOWN`, `E_INTEGRITY`.
    pub async fn start(place: &Place) -> Result<Self, Problem> {
        Ok(prepare(place, None).await?.run())
    }

    /// Ends when the writer or the integrator does, which they must not unasked.
    pub(crate) async fn ended(&mut self) -> Problem {
        tokio::select! {
            problem = self.writer.ended() => problem,
            problem = self.integrator.ended() => problem,
        }
    }

    /// What runs.
    #[cfg(test)]
    pub(crate) fn groups(&self) -> [&Parts; 2] {
        [&self.writer, &self.integrator]
    }

    /// The names of what runs.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<String> {
        self.groups().iter().flat_map(|parts| parts.names()).collect()
    }

    /// Answers what is queued, signs what is there, and closes the database.
    pub async fn stop(self) {
        let Self { shared, stop_writer, stop_integrator, mut writer, mut integrator } = self;
        stop_writer.cancel();
        writer.stopped().await;
        stop_integrator.cancel();
        integrator.stopped().await;
        shared.store.close().await;
        info!("Stopped");
    }
}

impl Place {
    /// A log in one directory, with an SQLite database beside its files.
    pub fn in_directory(data: &Path) -> Self {
        let database = format!("sqlite://{}", data.join("ideas.db").display());
        Self { data: data.to_owned(), database, login: Login::default(), origin: None }
    }
}
