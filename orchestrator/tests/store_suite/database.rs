//! An empty database of either kind.

use std::{sync::Arc, time::Duration};

use mesh_core::Change;
use mesh_orchestrator::store::{self, Committed, Round, Store, StoreError};
use mesh_tests::postgres::Postgres;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

/// Long enough to see that something waits, where nobody can be asked.
const A_WHILE: Duration = Duration::from_millis(300);
/// Between two looks at who waits.
const POLL: Duration = Duration::from_millis(5);

/// A database that lives as long as the test.
pub(crate) enum Database {
    Sqlite { dir: tempfile::TempDir },
    Postgres { url: String, password: String },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn postgres() -> Self {
        let cluster = Postgres::shared().await.unwrap();
        let password = cluster.password().to_owned();
        Self::Postgres { url: cluster.database().await.unwrap(), password }
    }

    /// Another empty one of the same kind.
    pub(crate) async fn fresh(&self) -> Self {
        match self {
            Self::Sqlite { .. } => Self::sqlite(),
            Self::Postgres { .. } => Self::postgres().await,
        }
    }

    /// Opens the store; each call is as another process.
    pub(crate) async fn try_open(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Sqlite { .. } => store::open(&self.url(), None).await,
            Self::Postgres { url, password } => store::open(url, Some(password.clone())).await,
        }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.unwrap()
    }

    /// Opens the store and takes the lead.
    pub(crate) async fn lead(&self) -> Leader {
        let store = self.open().await;
        let leader = store.take_lead().await.unwrap();
        Leader::load(store, leader).await
    }

    /// Runs a statement past the store, as other software would.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        self.connect().await.run(sql).await;
    }

    /// Begins a transaction past the store, which holds what it has written until it is committed.
    pub(crate) async fn begin(&self, sql: &'static str) -> UnderWay {
        let mut connection = self.connect().await;
        connection.run("BEGIN").await;
        connection.run(sql).await;
        UnderWay(connection)
    }

    async fn connect(&self) -> Connection {
        match self {
            Self::Sqlite { .. } => {
                Connection::Sqlite(SqliteConnection::connect(&self.url()).await.unwrap())
            }
            Self::Postgres { url, password } => {
                let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
                Connection::Postgres(options.password(password).connect().await.unwrap())
            }
        }
    }

    /// A transaction that holds the row that fences, as that of a leader which is frozen in mid-round.
    pub(crate) async fn hold(&self) -> UnderWay {
        self.begin("UPDATE meta SET leader = leader").await
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite { dir } => format!("sqlite://{}", dir.path().join("mesh.db").display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }
}

/// A connection of nobody's.
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    async fn run(&mut self, sql: &'static str) {
        match self {
            Self::Sqlite(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
            Self::Postgres(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
        }
    }
}

/// A transaction that is not committed yet.
pub(crate) struct UnderWay(Connection);

impl UnderWay {
    /// Returns once so many others wait for a lock, as far as the database tells; SQLite does not.
    pub(crate) async fn is_waited_for(&mut self, by: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        match &mut self.0 {
            Connection::Sqlite(_) => tokio::time::sleep(A_WHILE).await,
            Connection::Postgres(connection) => loop {
                let waiting: i64 =
                    sqlx::query_scalar(waiting).fetch_one(&mut *connection).await.unwrap();
                if waiting >= by {
                    return;
                }
                tokio::time::sleep(POLL).await;
            },
        }
    }

    pub(crate) async fn commit(mut self) {
        self.0.run("COMMIT").await;
    }
}

/// A store and the lead in it.
pub(crate) struct Leader {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) leader: u64,
    pub(crate) load: u64,
}

impl Leader {
    /// The leader of this epoch begins to load the state.
    pub(crate) async fn load(store: Arc<dyn Store>, leader: u64) -> Self {
        let load = store.settle(leader).await.unwrap();
        Self { store, leader, load }
    }

    pub(crate) async fn try_commit(&self, changes: &[Change]) -> Result<Committed, StoreError> {
        let (leader, load) = (self.leader, self.load);
        self.store.commit(Round { leader, load, changes, position: None }).await
    }

    pub(crate) async fn commit(&self, changes: &[Change]) -> Committed {
        self.try_commit(changes).await.unwrap()
    }
}
