//! What of the event log the ledger of ideas is still to be told: jobs with an idea that began or ended.

use mesh_schemas::{api::EventKind, attempt::JobState};
use sqlx::FromRow;

use super::{json::int, value};
use crate::store::{
    IdeaNews, StoreError,
    sql::{Dialects, Driver, Query, Transaction},
};

/// Events looked at in one go.
const WINDOW: i64 = 10_000;

/// The last row, without a job, says how far was looked.
macro_rules! news {
    ($spec:literal) => {
        concat!(
            "SELECT event.seq, event.kind, event.detail, event.job, job.name, ",
            $spec,
            "->>'idea' AS idea FROM meta JOIN event ON event.seq > meta.ledger_told \
                AND event.seq <= meta.ledger_told + $1 \
             JOIN job ON job.id = event.job \
             WHERE event.kind IN ('job_accepted', 'job_retried', 'job_finished') \
                AND ",
            $spec,
            "->>'idea' IS NOT NULL ORDER BY event.seq"
        )
    };
}

const NEWS: Dialects =
    Dialects { sqlite: news!("job.spec"), postgres: news!("CAST(job.spec AS jsonb)") };

const LOOKED: &str = "SELECT ledger_told, event_seq FROM meta";

const TOLD: &str = "UPDATE meta SET ledger_told = $2 WHERE leader = $1 AND ledger_told < $2";

#[derive(FromRow)]
struct Row {
    seq: i64,
    kind: String,
    detail: Option<String>,
    job: String,
    name: String,
    idea: String,
}

#[derive(FromRow)]
struct Looked {
    ledger_told: i64,
    event_seq: i64,
}

impl Row {
    fn news(self) -> Result<IdeaNews, StoreError> {
        let kind: EventKind = value::parse("event.kind", &self.kind)?;
        let state = if kind == EventKind::JobFinished {
            value::parse("event.detail", self.detail.as_deref().unwrap_or(""))?
        } else {
            JobState::Queued
        };
        Ok(IdeaNews {
            seq: value::number("event.seq", self.seq)?,
            idea: value::parse("job.idea", &self.idea)?,
            job: value::parse("event.job", &self.job)?,
            job_name: self.name,
            state,
        })
    }
}

/// What is to be told, oldest first, and up to which number of the log that is all.
pub(in crate::store) async fn news(db: &impl Driver) -> Result<(Vec<IdeaNews>, u64), StoreError> {
    let doing = "looking what the ledger is to be told";
    // How far is asked first: what comes in between is told the next time.
    let looked: Vec<Looked> = db.fetch(Query::new(doing, LOOKED)).await?;
    let looked =
        looked.first().ok_or_else(|| StoreError::Unreadable { what: "no row in meta".into() })?;
    let until = looked.event_seq.min(looked.ledger_told.saturating_add(WINDOW));
    let window = until.saturating_sub(looked.ledger_told);
    let rows: Vec<Row> = db.fetch(Query::either(doing, NEWS).int(window)).await?;
    let news: Result<_, _> = rows.into_iter().map(Row::news).collect();
    Ok((news?, value::number("meta.event_seq", until)?))
}

/// Everything up to this number has been told.
pub(in crate::store) async fn told(
    tx: &mut impl Transaction,
    leader: u64,
    seq: u64,
) -> Result<(), StoreError> {
    let query = Query::new("keeping what the ledger was told", TOLD).int(int(leader)).int(int(seq));
    tx.execute(query).await.map(drop)
}
