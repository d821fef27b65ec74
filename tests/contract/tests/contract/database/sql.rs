//! SQLite and PostgreSQL through the orchestrator's store.

use std::{
    io::{BufRead as _, BufReader},
    pin::pin,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use mesh_contract::round;
use mesh_core::{Change, Existing, Snapshot};
use mesh_orchestrator::store::{self, Claim, Round, Store, StoreError};
use mesh_sim::models::Told;
use mesh_tests::{postgres::Postgres, wait_for, wait_until};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::{Database, Lead};

/// Longer than a law takes.
const LONG: Duration = Duration::from_secs(100);
/// Long enough for a server to come back on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Long enough, as a rule, for a statement to reach the lock that it is to wait for.
const A_MOMENT: Duration = Duration::from_millis(300);
/// Rounds that are answered before the kill.
const ROUNDS: u32 = 20;

/// What holds the rows.
enum Place {
    Sqlite(TempDir),
    /// With a server of its own, or in the one that the tests share.
    Postgres {
        url: String,
        password: String,
        own: Option<Postgres>,
    },
}

pub(super) struct Sql {
    place: Place,
    pub(super) store: Arc<dyn Store>,
    claims: u32,
}

/// A transaction past the store that has the row which fences: what is written meanwhile waits in the
/// database.
pub(super) enum Held {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Held {
    async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => {
                sqlx::query("COMMIT").execute(&mut connection).await.unwrap();
            }
            Self::Postgres(mut connection) => {
                sqlx::query("COMMIT").execute(&mut connection).await.unwrap();
            }
        }
    }
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite://{}", dir.path().join("mesh.db").display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        let password = match self {
            Self::Sqlite(_) => None,
            Self::Postgres { password, .. } => Some(password.clone()),
        };
        store::open(&self.url(), password).await
    }

    async fn hold(&self) -> Held {
        match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                Held::Sqlite(connection)
            }
            Self::Postgres { url, password, .. } => {
                let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
                let mut connection = options.password(password).connect().await.unwrap();
                sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
                let hold = "UPDATE meta SET leader = leader";
                sqlx::query(hold).execute(&mut connection).await.unwrap();
                Held::Postgres(connection)
            }
        }
    }
}

impl Sql {
    pub(super) async fn sqlite() -> Self {
        Self::open(Place::Sqlite(mesh_tests::tmp::dir("contract"))).await
    }

    pub(super) async fn postgres() -> Self {
        let cluster = Postgres::shared().await.unwrap();
        let (url, password) = (cluster.database().await.unwrap(), cluster.password().to_owned());
        Self::open(Place::Postgres { url, password, own: None }).await
    }

    async fn open(place: Place) -> Self {
        let store = place.open().await.unwrap();
        Self { place, store, claims: 0 }
    }

    /// Kills the writer of a file after some rounds: how many it said were answered.
    fn kill_writer(&self) -> u32 {
        let mut writer = Command::new(env!("CARGO_BIN_EXE_mesh-contract"))
            .args(["rounds", &self.place.url()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let before = lines.by_ref().take(usize::try_from(ROUNDS).unwrap()).count();
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said before the kill and nobody had read yet counts as well.
        u32::try_from(before + lines.count()).unwrap()
    }

    /// Kills a server of its own under a writer of ours: how many rounds were answered.
    async fn kill_server(&mut self) -> u32 {
        let cluster = Postgres::start().await.unwrap();
        let (url, password) = (cluster.database().await.unwrap(), cluster.password().to_owned());
        self.place = Place::Postgres { url, password, own: Some(cluster) };
        self.store = self.place.open().await.unwrap();
        let Place::Postgres { own: Some(cluster), .. } = &self.place else { panic!("just made") };
        let leader = self.store.take_lead().await.unwrap();
        let load = self.store.settle(leader).await.unwrap();
        let (started, mut answered) = (cluster.started_at().await.unwrap(), 0);
        for number in 1..=10 * ROUNDS {
            if number == ROUNDS {
                // It dies while these go on.
                cluster.kill().unwrap();
            }
            let round = Round { leader, load, changes: &round(number), position: None };
            if self.store.commit(round).await.is_err() {
                break;
            }
            answered = number;
        }
        let back = async || cluster.started_at().await.is_ok_and(|at| at != started);
        wait_until(SOON, "PostgreSQL is back", back).await;
        self.store =
            wait_for(SOON, "it can be opened", async || self.place.open().await.ok()).await;
        answered
    }
}

impl Database for Sql {
    async fn claim(&mut self) -> Option<Lead> {
        self.claims += 1;
        let holder = format!("orchestrator {}", self.claims);
        let claim = Claim { holder: &holder, url: "http://x", ttl: LONG, follows_itself: false };
        let leader = self.store.claim_lead(&claim).await.unwrap()?;
        Some(Lead { leader, load: self.store.settle(leader).await.unwrap() })
    }

    async fn let_lease_end(&mut self, leader: u64) {
        self.store.renew_lead(leader, Duration::ZERO).await.unwrap();
    }

    async fn renew(&mut self, leader: u64) -> bool {
        self.store.renew_lead(leader, LONG).await.is_ok()
    }

    async fn settle(&mut self, leader: u64) -> Told {
        settle(&*self.store, leader).await
    }

    async fn commit(&mut self, lead: Lead, changes: Vec<Change>) -> Told {
        commit(&*self.store, lead, &changes).await
    }

    async fn load_amid(&mut self, lead: Lead, changes: Vec<Change>) -> (Snapshot, Told) {
        let held = self.place.hold().await;
        let mut round = pin!(commit(&*self.store, lead, &changes));
        let waits = tokio::time::timeout(A_MOMENT, &mut round).await;
        assert!(waits.is_err(), "it did not wait: {waits:?}");
        let seen = tokio::time::timeout(SOON, self.store.load()).await.expect("it does not wait");
        held.release().await;
        (seen.unwrap().0, round.await)
    }

    async fn give_up(&mut self, lead: Lead, changes: Vec<Change>) -> Told {
        let held = self.place.hold().await;
        // The round has reached the database, where it waits, and nobody waits for it any more.
        let round = commit(&*self.store, lead, &changes);
        let given_up = tokio::time::timeout(A_MOMENT, round).await;
        assert!(given_up.is_err(), "it did not wait: {given_up:?}");
        let mut settling = pin!(settle(&*self.store, lead.leader));
        let waits = tokio::time::timeout(A_MOMENT, &mut settling).await;
        assert!(waits.is_err(), "it did not wait: {waits:?}");
        held.release().await;
        settling.await
    }

    async fn run_out(&mut self) {
        // Whoever waited for the row came first.
        self.place.hold().await.release().await;
    }

    async fn kill_amid_rounds(&mut self) -> u32 {
        match &self.place {
            Place::Sqlite(_) => {
                let answered = self.kill_writer();
                self.store = self.place.open().await.unwrap();
                answered
            }
            Place::Postgres { .. } => self.kill_server().await,
        }
    }

    async fn load(&mut self) -> Snapshot {
        self.store.load().await.unwrap().0
    }

    async fn by_key(&mut self, key: &str) -> Option<Existing> {
        self.store.by_idempotency_keys(&[key.to_owned()]).await.unwrap().remove(0)
    }

    async fn fresh(&self) -> Self {
        match &self.place {
            Place::Sqlite(_) => Self::sqlite().await,
            Place::Postgres { .. } => Self::postgres().await,
        }
    }
}

/// Writes a round.
pub(super) async fn commit(store: &dyn Store, lead: Lead, changes: &[Change]) -> Told {
    let Lead { leader, load } = lead;
    let written = store.commit(Round { leader, load, changes, position: None }).await;
    told(written.map(|_| leader))
}

/// Begins a load.
pub(super) async fn settle(store: &dyn Store, leader: u64) -> Told {
    told(store.settle(leader).await)
}

fn told(result: Result<u64, StoreError>) -> Told {
    match result {
        Ok(number) => Told::Done(number),
        Err(StoreError::NotLeader { .. }) => Told::NotLeader,
        Err(StoreError::Unavailable { .. }) => Told::Unavailable,
        Err(StoreError::Unreadable { what }) => panic!("{what} cannot be read"),
        Err(StoreError::Damaged { what }) => panic!("the database is damaged: {what}"),
    }
}
