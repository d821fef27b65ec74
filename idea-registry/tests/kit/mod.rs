//! What the tests of this package share: texts, signed submissions, and registries over both databases.

#![allow(dead_code, reason = "each of the two test programs uses a part")]
#![allow(unreachable_pub, reason = "a module of tests")]

use mesh_fabric::{ids, time};
use mesh_ideas::{
    ask::Answers,
    registry::{Place, Registry},
    store::Login,
};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, sign};
use mesh_schemas::idea::{BodyRef, LedgerAnswer, LedgerAsk, Say, Sha256, Submission};
use mesh_tests::postgres::Postgres;
use tempfile::TempDir;

/// Author number `n`.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub fn body(text: &str) -> BodyRef {
    let bytes = u32::try_from(text.len()).unwrap();
    BodyRef { hash: body_hash(text, None), bytes, sealed: None }
}

pub fn say(n: u8, say: Say) -> Submission {
    let entry = sign(Unsigned { name: None, time: time::now(), say }, &key(n));
    Submission { entry, body: None, salt: None }
}

pub fn with_text(n: u8, what: Say, text: &str) -> Submission {
    Submission { body: Some(text.into()), ..say(n, what) }
}

pub fn idea(n: u8, text: &str) -> Submission {
    let what = Say::Idea { body: body(text), parents: vec![], tags: vec![], source: None };
    with_text(n, what, text)
}

pub fn sealed_idea(n: u8, text: &str, subject: &str) -> Submission {
    let salt = Sha256(ids::random());
    let hash = body_hash(text, Some(&salt.0));
    let body = BodyRef { hash, sealed: Some(subject.into()), ..body(text) };
    let what = Say::Idea { body, parents: vec![], tags: vec![], source: None };
    Submission { salt: Some(salt), ..with_text(n, what, text) }
}

/// A text that is like no other: sixteen words without meaning.
pub fn some_text() -> String {
    let words = (0..16).map(|_| ids::secret("").to_lowercase());
    words.map(|word| word[..8].to_owned()).collect::<Vec<_>>().join(" ")
}

/// A place of a log's own, of which nothing stays.
#[derive(Debug)]
pub struct Home {
    pub place: Place,
    pub dir: TempDir,
}

impl Home {
    pub fn sqlite() -> Self {
        let dir = mesh_tests::tmp::dir("ideas");
        Self { place: Place::in_directory(&dir.path().join("data")), dir }
    }

    pub async fn postgres() -> Self {
        let home = Self::sqlite();
        let cluster = Postgres::shared().await.unwrap();
        let database = cluster.database().await.unwrap();
        let login = Login { password: Some(cluster.password().into()), role: None };
        Self { place: Place { database, login, ..home.place }, dir: home.dir }
    }

    pub async fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub async fn start(&self) -> Registry {
        Registry::start(&self.place).await.unwrap()
    }
}

/// Statements as the owner of the database may run them, past the registry.
#[derive(Debug)]
pub enum Owner {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Owner {
    pub async fn of(place: &Place) -> Self {
        let url = &place.database;
        if url.starts_with("sqlite") {
            return Self::Sqlite(sqlx::SqlitePool::connect(url).await.unwrap());
        }
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let options = options.password(place.login.password.as_deref().unwrap());
        let options = options.options([("search_path", "mesh_ideas")]);
        Self::Postgres(sqlx::PgPool::connect_with(options).await.unwrap())
    }

    pub async fn close(self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    pub async fn try_run(&self, text: &str) -> Result<u64, sqlx::Error> {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        match self {
            Self::Sqlite(pool) => sqlx::query(text).execute(pool).await.map(|d| d.rows_affected()),
            Self::Postgres(pool) => {
                sqlx::query(text).execute(pool).await.map(|d| d.rows_affected())
            }
        }
    }

    pub async fn run(&self, text: &str) -> u64 {
        self.try_run(text).await.unwrap()
    }

    /// Takes the guard of a table away, as its owner can.
    pub async fn unguard(&self, table: &str) {
        match self {
            Self::Sqlite(_) => {
                self.run(&format!("DROP TRIGGER {table}_update")).await;
                self.run(&format!("DROP TRIGGER {table}_delete")).await;
            }
            Self::Postgres(_) => {
                self.run(&format!("ALTER TABLE {table} DISABLE TRIGGER append_only")).await;
            }
        }
    }

    pub async fn texts(&self, text: &str) -> Vec<String> {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        match self {
            Self::Sqlite(pool) => sqlx::query_scalar(text).fetch_all(pool).await.unwrap(),
            Self::Postgres(pool) => sqlx::query_scalar(text).fetch_all(pool).await.unwrap(),
        }
    }

    /// Every row of every projection, as text.
    pub async fn projections(&self) -> Vec<String> {
        let tables = [
            (
                "idea",
                "id, idx, author, author_name, time, tags, source, text_entry, sealed, title, holder, head, status, seen_again",
            ),
            ("tag", "tag, idx"),
            ("about", "idea, idx"),
            ("hidden", "entry, tombstone, body"),
            ("seen", "entry, idx"),
            ("content", "hash, idx, idea, sealed"),
            ("edge", "relation, source, target, proposed, likeness"),
            ("job", "idea, job, name, state, entry, idx"),
            ("opinion", "idea, author, impact, cost, risk, vote"),
            ("near", "idx, idea, data"),
            ("erased", "subject"),
        ];
        let mut all = Vec::new();
        for (table, columns) in tables {
            let cells: Vec<String> = columns
                .split(", ")
                .map(|column| format!("COALESCE(CAST({column} AS TEXT), '-')"))
                .collect();
            let row = cells.join(" || ' ' || ");
            let rows = self.texts(&format!("SELECT {row} AS r FROM {table} ORDER BY 1")).await;
            all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        all
    }
}

/// Waits until everything that is durable is signed.
pub async fn until_signed(registry: &Registry) {
    mesh_tests::wait_until(
        std::time::Duration::from_secs(30),
        "everything is signed",
        async || {
            let stats = answers(registry).answer(LedgerAsk::Stats {}).await;
            let LedgerAnswer::Stats(stats) = stats else { panic!("{stats:?}") };
            stats.signed == stats.entries
        },
    )
    .await;
}

pub fn answers(registry: &Registry) -> Answers {
    Answers::new(mesh_ideas::ask::Options {
        shared: registry.shared.clone(),
        weights: mesh_ideas_core::rank::Weights::default(),
        behind: mesh_ideas::witnesses::Behind::default(),
        publishes: false,
    })
}
