//! The system of record: SQLite or PostgreSQL behind one interface.
//!
//! Writing goes through [`Store::commit`] (one transaction per round of the engine); tokens and join codes
//! are rows of their own. Every transaction that writes is fenced by the leader's epoch. Reading never goes
//! through the engine.
//! Both stores pass one conformance suite, `orchestrator/tests/store_conformance.rs`.

mod batch;
mod open;
mod postgres;
mod rows;
mod script;
mod sql;
mod sql_store;
mod sqlite;

pub use open::open;
pub use postgres::PgStore;
pub use sqlite::SqliteStore;

use std::time::Duration;

use async_trait::async_trait;
use mesh_core::{Change, Existing, JobProgress, JobRecord, Snapshot, TaskRecord};
use mesh_schemas::{
    AttemptKey, Epoch, ErrorCode, JobId, NodeId, Problem, TaskState, Timestamp, TokenId,
    TraceParent,
    api::{AttemptView, EventView, JobView, Scope, TaskView},
    attempt::JobState,
    idea::IdeaId,
};

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or broke off: whether a commit took effect is unknown.
    #[error("the database is out of reach while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// Another orchestrator leads, or this one has loaded the state again since: nothing was written.
    #[error("another orchestrator leads; this one's epoch {mine} is over")]
    NotLeader {
        /// The epoch that is over.
        mine: u64,
    },
    /// What is stored cannot be understood: newer software wrote it, or it is damaged.
    #[error("the database holds {what} that this version cannot read")]
    Unreadable {
        /// Which row.
        what: String,
    },
    /// The database finds its own files damaged.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Where, as far as that is known, and in its own words.
        what: String,
    },
}

impl StoreError {
    /// What is told of a database that is damaged.
    pub fn damaged(&self) -> Problem {
        Problem::new(ErrorCode::Integrity, self.to_string()).hint(
            "nothing of it is served; keep the file, and put a backup in its place (docs/reliability.md says how)",
        )
    }
}

/// One round of the engine.
#[derive(Debug)]
pub struct Round<'a> {
    /// The leader's own epoch; another one in the database refuses the round.
    pub leader: u64,
    /// The load of the state that it was decided on, from [`Store::settle`]; a later one refuses it too.
    pub load: u64,
    /// All of it or nothing, in this order; later changes of a row override earlier ones.
    pub changes: &'a [Change],
    /// The position in the stream NODE_EVENT up to which the changes speak; absent to leave it.
    pub position: Option<u64>,
}

/// What a round became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The last number of the event log.
    pub event_seq: u64,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only this project.
    pub project: Option<String>,
    /// Only this state.
    pub state: Option<JobState>,
    /// Only jobs older than this one (its id sorts by time).
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// Which events to list, oldest first.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only after this number.
    pub after: u64,
    /// Only of this job.
    pub job: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// A job with an idea began, was retried or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdeaNews {
    /// Its number in the event log.
    pub seq: u64,
    /// The idea.
    pub idea: IdeaId,
    /// The job.
    pub job: JobId,
    /// Its name for people.
    pub job_name: String,
    /// Where the job was then.
    pub state: JobState,
    /// The job's trace, if the job is there.
    pub trace: Option<TraceParent>,
}

/// What the ledger was told in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Everything up to this number of the event log is told or parked.
    pub until: u64,
    /// What it took.
    pub taken: Vec<IdeaNews>,
    /// What names an idea that it has not.
    pub parked: Vec<IdeaNews>,
}

/// A token as stored; the secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Which.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// An orchestrator's wish to lead.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Tells this orchestrator from all others, over restarts of it.
    pub holder: &'a str,
    /// Where others find its API.
    pub url: &'a str,
    /// How long the lead lasts without a renewal.
    pub ttl: Duration,
    /// Takes over a lease of the same holder that still runs: the process that took it is known to be gone.
    pub follows_itself: bool,
}

/// Who leads, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The last leader's epoch; 0 when there was none.
    pub leader: u64,
    /// Its name for itself.
    pub holder: String,
    /// Where its API is found.
    pub url: String,
    /// How long its lease still runs; zero when anybody may take the lead.
    pub left: Duration,
}

/// What the database is asked for and told. Every method is one transaction.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// Takes the lead from whoever has it, without a lease, as who knows to be alone may: the next leader's
    /// epoch, larger than any before. Older leaders are refused from now on.
    async fn take_lead(&self) -> Result<u64, StoreError>;

    /// Takes the lead for a while, unless somebody else holds it: the next leader's epoch, larger than any
    /// before, or `None`. Older leaders are refused from now on.
    async fn claim_lead(&self, claim: &Claim<'_>) -> Result<Option<u64>, StoreError>;

    /// Holds the lead for `ttl` from now on, [`StoreError::NotLeader`] when another one has it.
    async fn renew_lead(&self, leader: u64, ttl: Duration) -> Result<(), StoreError>;

    /// Gives up the lead: anybody may claim it at once. Does nothing when another one has it.
    async fn release_lead(&self, leader: u64) -> Result<(), StoreError>;

    /// Who leads.
    async fn lead(&self) -> Result<Lead, StoreError>;

    /// Begins a load: waits for this leader's rounds that the database has begun, and refuses from now on
    /// those that it will hear of later, given up long ago or not. The number of the load, for
    /// [`Round::load`]; what is loaded after this is final. [`StoreError::NotLeader`] when another one leads.
    async fn settle(&self, leader: u64) -> Result<u64, StoreError>;

    /// All that is live, and the position in the stream.
    async fn load(&self) -> Result<(Snapshot, u64), StoreError>;

    /// Writes a round, durable when this returns.
    async fn commit(&self, round: Round<'_>) -> Result<Committed, StoreError>;

    /// The jobs that have these idempotency keys, in order of the keys.
    async fn by_idempotency_keys(
        &self,
        keys: &[String],
    ) -> Result<Vec<Option<Existing>>, StoreError>;

    /// The states of these jobs; missing ones are left out.
    async fn job_states(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, StoreError>;

    /// A whole job.
    async fn job(&self, job: JobId) -> Result<Option<JobRecord>, StoreError>;

    /// Where a job stands, without what was asked for.
    async fn job_progress(&self, job: JobId) -> Result<Option<JobProgress>, StoreError>;

    /// A page of jobs.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, StoreError>;

    /// Tasks of a job with an index of at least `from`, by index, fresh ones included.
    async fn tasks(
        &self,
        job: &JobRecord,
        state: Option<TaskState>,
        from: u32,
        limit: u32,
    ) -> Result<Vec<TaskView>, StoreError>;

    /// All attempts of a task, by epoch.
    async fn attempts(&self, job: &JobRecord, task: u32) -> Result<Vec<AttemptView>, StoreError>;

    /// Failed, cancelled and quarantined tasks of a job that have a row.
    async fn retryable(&self, job: JobId) -> Result<Vec<TaskRecord>, StoreError>;

    /// Events, oldest first.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventView>, StoreError>;

    /// The node of an attempt's row; `None` when there is no such attempt.
    async fn attempt_node(&self, attempt: AttemptKey) -> Result<Option<NodeId>, StoreError>;

    /// The last epoch of a task; `None` when it was never leased.
    async fn last_epoch(&self, job: JobId, task: u32) -> Result<Option<Epoch>, StoreError>;

    /// Keeps a token.
    async fn insert_token(&self, leader: u64, token: &TokenRow) -> Result<(), StoreError>;

    /// The token with this hash, expired ones included.
    async fn token_by_hash(&self, secret_hash: [u8; 32]) -> Result<Option<TokenRow>, StoreError>;

    /// All tokens, oldest first.
    async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError>;

    /// Forgets a token; false when it was not there.
    async fn delete_token(&self, leader: u64, token: TokenId) -> Result<bool, StoreError>;

    /// Keeps a join code's hash.
    async fn insert_join_code(
        &self,
        leader: u64,
        code_hash: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Uses a join code up: true exactly once, and only before it expires.
    async fn use_join_code(
        &self,
        leader: u64,
        code_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// What the ledger of ideas is still to be told, oldest first, and the number of the event log up to which
    /// that is all; at most ten thousand events are looked at.
    async fn ledger_news(&self) -> Result<(Vec<IdeaNews>, u64), StoreError>;

    /// The ledger was told of everything up to a number, which never goes back; what it had no idea for is parked in the
    /// same transaction, and what it took of a job that was parked is so no more.
    async fn ledger_told(&self, leader: u64, told: &Told) -> Result<(), StoreError>;

    /// The next ideas behind one, in their order, for whose jobs the ledger had none; and how many jobs are parked.
    async fn ledger_parked(
        &self,
        behind: Option<IdeaId>,
        limit: u32,
    ) -> Result<(Vec<IdeaId>, u64), StoreError>;

    /// The oldest parked jobs of an idea.
    async fn ledger_parked_of(&self, idea: IdeaId, limit: u32)
    -> Result<Vec<IdeaNews>, StoreError>;

    /// The ledger took these after all; what was parked of them meanwhile stays.
    async fn ledger_unpark(&self, leader: u64, news: &[IdeaNews]) -> Result<(), StoreError>;

    /// Answers when the database does.
    async fn ping(&self) -> Result<(), StoreError>;
}
