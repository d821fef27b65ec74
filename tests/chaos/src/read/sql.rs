//! The tables, by plain SQL that says the same on SQLite and PostgreSQL: each row comes as JSON text.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    AttemptKey, Epoch, JobId, NodeId, Timestamp,
    api::{EventKind, EventView},
    manifest::ManifestSummary,
};
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use super::Source;
use crate::history::{AttemptRow, History, JobRow};

/// Below the data directory.
const SQLITE_FILE: &str = "orchestrator/mesh.db";

/// The manifests that the rows of attempts name.
pub(super) type Summaries = BTreeMap<AttemptKey, ManifestSummary>;

enum Db {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Reads every table in one transaction.
pub(super) async fn read(source: &Source, history: &mut History) -> anyhow::Result<Summaries> {
    let mut db = Db::open(source).await?;
    db.begin().await?;
    history.jobs = db.rows::<Job>(JOB).await?.into_iter().map(Into::into).collect();
    history.tasks = db.rows(TASK).await?;
    history.nodes = db.rows(NODE).await?;
    history.events = db.rows::<Event>(EVENT).await?.into_iter().map(Into::into).collect();
    history.events.sort_by_key(|event| event.seq);
    let mut summaries = Summaries::new();
    for row in db.rows::<Attempt>(ATTEMPT).await? {
        let (row, summary) = row.parts()?;
        summaries.extend(summary.map(|summary| (row.key, summary)));
        history.attempts.push(row);
    }
    Ok(summaries)
}

/// A table and its columns.
type Table = (&'static str, &'static [&'static str]);

const JOB: Table = (
    "job",
    &[
        "id",
        "idempotency_key",
        "state",
        "counts",
        "fresh_first",
        "fresh_last",
        "fresh_state",
        "trace",
        "created_at",
        "finished_at",
    ],
);
const TASK: Table = ("task", &["job", "task", "state", "epoch", "node"]);
const ATTEMPT: Table =
    ("attempt", &["job", "task", "epoch", "node", "leased_at", "ended_at", "class", "manifest"]);
const NODE: Table = ("node", &["id", "name", "setting"]);
const EVENT: Table = ("event", &["seq", "at", "kind", "job", "task", "epoch", "node", "detail"]);

impl Db {
    async fn open(source: &Source) -> anyhow::Result<Self> {
        if let Some(url) = &source.database {
            let options: PgConnectOptions = url.parse().context("the database's URL")?;
            let options = match &source.password {
                Some(password) => options.password(password),
                None => options,
            };
            return Ok(Self::Postgres(options.connect().await?));
        }
        let file = source.data.join(SQLITE_FILE);
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(false);
        let mut connection = options.connect().await.with_context(|| file.display().to_string())?;
        let sound: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await?;
        ensure!(sound == "ok", "SQLite says that {} is damaged: {sound}", file.display());
        Ok(Self::Sqlite(connection))
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(db) => sqlx::query("BEGIN").execute(db).await.map(drop)?,
            Self::Postgres(db) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                sqlx::query(begin).execute(db).await.map(drop)?;
            }
        }
        Ok(())
    }

    async fn rows<T: DeserializeOwned>(
        &mut self,
        (table, columns): Table,
    ) -> anyhow::Result<Vec<T>> {
        let texts: Vec<String> = match self {
            Self::Sqlite(db) => {
                let pairs: Vec<_> =
                    columns.iter().map(|name| format!("'{name}', {name}")).collect();
                let query = format!("SELECT json_object({}) FROM {table}", pairs.join(", "));
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(db).await?
            }
            Self::Postgres(db) => {
                let columns = columns.join(", ");
                let query =
                    format!("SELECT row_to_json(r)::text FROM (SELECT {columns} FROM {table}) r");
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(db).await?
            }
        };
        let row = |text: &String| {
            serde_json::from_str(text).with_context(|| format!("a row of {table}: {text}"))
        };
        texts.iter().map(row).collect()
    }
}

#[derive(Deserialize)]
struct Job {
    id: JobId,
    idempotency_key: Option<String>,
    state: mesh_schemas::attempt::JobState,
    #[serde(with = "json_text")]
    counts: mesh_schemas::api::TaskCounts,
    fresh_first: Option<u32>,
    fresh_last: Option<u32>,
    fresh_state: mesh_schemas::TaskState,
    trace: String,
    created_at: i64,
    finished_at: Option<i64>,
}

impl From<Job> for JobRow {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            key: job.idempotency_key,
            state: job.state,
            counts: job.counts,
            fresh: job.fresh_first.zip(job.fresh_last),
            fresh_state: job.fresh_state,
            trace: job.trace,
            created_at: Timestamp::from_millis(job.created_at),
            finished_at: job.finished_at.map(Timestamp::from_millis),
        }
    }
}

#[derive(Deserialize)]
struct Attempt {
    job: JobId,
    task: u32,
    epoch: u32,
    node: NodeId,
    leased_at: i64,
    ended_at: Option<i64>,
    class: Option<mesh_schemas::EndClass>,
    manifest: Option<String>,
}

impl Attempt {
    fn parts(self) -> anyhow::Result<(AttemptRow, Option<ManifestSummary>)> {
        let key = AttemptKey { job: self.job, task: self.task, epoch: Epoch(self.epoch) };
        let summary = self.manifest.as_deref().map(serde_json::from_str::<ManifestSummary>);
        let summary = summary.transpose().with_context(|| format!("the manifest of {key}"))?;
        let row = AttemptRow {
            key,
            node: self.node,
            leased_at: Timestamp::from_millis(self.leased_at),
            ended_at: self.ended_at.map(Timestamp::from_millis),
            class: self.class,
            manifest: summary.as_ref().map(|summary| summary.version),
        };
        Ok((row, summary))
    }
}

#[derive(Deserialize)]
struct Event {
    seq: u64,
    at: i64,
    kind: EventKind,
    job: Option<JobId>,
    task: Option<u32>,
    epoch: Option<u32>,
    node: Option<NodeId>,
    detail: Option<String>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { seq, at, kind, job, task, epoch, node, detail } = event;
        let (at, epoch) = (Timestamp::from_millis(at), epoch.map(Epoch));
        Self { seq, at, kind, job, task, epoch, node, detail }
    }
}

/// A column that holds JSON as text.
mod json_text {
    use serde::{Deserialize as _, Deserializer, de::DeserializeOwned, de::Error as _};

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: DeserializeOwned>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}
