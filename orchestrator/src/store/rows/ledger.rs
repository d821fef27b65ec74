//! What of the event log the ledger of ideas is still to be told: jobs with an idea that began or ended; and those whose
//! idea it had not, which are parked until it has.

use mesh_schemas::{TraceParent, api::EventKind, attempt::JobState, idea::IdeaId};
use sqlx::FromRow;

use super::{json::int, value};
use crate::store::{
    IdeaNews, StoreError, Told,
    sql::{Dialects, Driver, Query, Transaction},
};

/// Events looked at in one go.
const WINDOW: i64 = 10_000;

/// The last row, without a job, says how far was looked.
macro_rules! news {
    ($spec:literal) => {
        concat!(
            "SELECT event.seq, event.kind, event.detail, event.job, job.name, job.trace, ",
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

/// Of a job the latest news is enough: the ledger keeps where a job is.
const PARK: &str = "INSERT INTO ledger_parked (job, idea, seq, name, state) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job) DO UPDATE SET idea = EXCLUDED.idea, \
     seq = EXCLUDED.seq, name = EXCLUDED.name, state = EXCLUDED.state";

/// What was parked of the job later stays.
const UNPARK: &str = "DELETE FROM ledger_parked WHERE job = $1 AND seq <= $2 \
     AND (SELECT leader FROM meta) = $3";

const PARKED: &str = "SELECT MIN(job) AS job, idea, MIN(seq) AS seq, '' AS name, '' AS state, \
     CAST(NULL AS TEXT) AS trace FROM ledger_parked WHERE idea > $1 GROUP BY idea ORDER BY idea LIMIT $2";

const PARKED_OF: &str = "SELECT p.job, p.idea, p.seq, p.name, p.state, job.trace \
     FROM ledger_parked p LEFT JOIN job ON job.id = p.job \
     WHERE p.idea = $1 ORDER BY p.seq LIMIT $2";

const COUNT: &str = "SELECT COUNT(*) AS count FROM ledger_parked";

#[derive(FromRow)]
struct Parked {
    job: String,
    idea: String,
    seq: i64,
    name: String,
    state: String,
    trace: Option<String>,
}

#[derive(FromRow)]
struct Count {
    count: i64,
}

impl Parked {
    fn news(self) -> Result<IdeaNews, StoreError> {
        Ok(IdeaNews {
            seq: value::number("ledger_parked.seq", self.seq)?,
            idea: value::parse("ledger_parked.idea", &self.idea)?,
            job: value::parse("ledger_parked.job", &self.job)?,
            job_name: self.name,
            state: value::parse("ledger_parked.state", &self.state)?,
            trace: self.trace.as_deref().and_then(read_trace),
        })
    }
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    kind: String,
    detail: Option<String>,
    job: String,
    name: String,
    trace: String,
    idea: String,
}

/// What happened is told whether or not its trace can be read.
fn read_trace(text: &str) -> Option<TraceParent> {
    text.parse().ok()
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
            trace: read_trace(&self.trace),
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

/// Everything up to a number has been told or is parked. An old leader and one that is behind move nothing.
pub(in crate::store) async fn told(
    tx: &mut impl Transaction,
    leader: u64,
    told: &Told,
) -> Result<(), StoreError> {
    let query = Query::new("keeping what the ledger was told", TOLD);
    if tx.execute(query.int(int(leader)).int(int(told.until))).await? == 0 {
        return Ok(());
    }
    for news in &told.taken {
        unpark_one(tx, leader, news).await?;
    }
    for news in &told.parked {
        let query = Query::new("parking a job for the ledger", PARK)
            .text(&news.job)
            .text(&news.idea)
            .int(int(news.seq))
            .text(&news.job_name)
            .text(&news.state);
        tx.execute(query).await?;
    }
    Ok(())
}

/// The next ideas behind one that jobs are parked for, and how many jobs are parked at all.
pub(in crate::store) async fn parked(
    db: &impl Driver,
    behind: Option<IdeaId>,
    limit: u32,
) -> Result<(Vec<IdeaId>, u64), StoreError> {
    let doing = "looking which jobs are parked for the ledger";
    let behind = behind.map(|idea| idea.to_string()).unwrap_or_default();
    let query = Query::new(doing, PARKED).text(&behind).int(i64::from(limit));
    let rows: Vec<Parked> = db.fetch(query).await?;
    let ideas: Result<_, _> =
        rows.iter().map(|row| value::parse("ledger_parked.idea", &row.idea)).collect();
    let counts: Vec<Count> = db.fetch(Query::new(doing, COUNT)).await?;
    let count = counts.first().map_or(0, |row| row.count);
    Ok((ideas?, value::number("ledger_parked", count)?))
}

/// The oldest parked jobs of an idea.
pub(in crate::store) async fn parked_of(
    db: &impl Driver,
    idea: IdeaId,
    limit: u32,
) -> Result<Vec<IdeaNews>, StoreError> {
    let query = Query::new("reading jobs that are parked for the ledger", PARKED_OF);
    let rows: Vec<Parked> = db.fetch(query.text(&idea).int(i64::from(limit))).await?;
    rows.into_iter().map(Parked::news).collect()
}

/// The ledger took these after all.
pub(in crate::store) async fn unpark(
    tx: &mut impl Transaction,
    leader: u64,
    news: &[IdeaNews],
) -> Result<(), StoreError> {
    for news in news {
        unpark_one(tx, leader, news).await?;
    }
    Ok(())
}

async fn unpark_one(
    tx: &mut impl Transaction,
    leader: u64,
    news: &IdeaNews,
) -> Result<(), StoreError> {
    let query = Query::new("keeping what the ledger took after all", UNPARK);
    let query = query.text(&news.job).int(int(news.seq)).int(int(leader));
    tx.execute(query).await.map(drop)
}
