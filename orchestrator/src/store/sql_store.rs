//! The store over either database: which transaction runs which statements.

use std::time::Duration;

use async_trait::async_trait;
use mesh_core::{Existing, JobProgress, JobRecord, Snapshot, TaskRecord};
use mesh_schemas::{
    AttemptKey, Epoch, JobId, NodeId, TaskState, Timestamp, TokenId,
    api::{AttemptView, EventView, JobView, TaskView},
    attempt::JobState,
    idea::IdeaId,
};
use sqlx::FromRow;

use super::{
    Claim, Committed, EventFilter, IdeaNews, JobFilter, Lead, Round, Store, StoreError, TokenRow,
    Told,
    batch::Batch,
    rows::{
        attempt, event, job, join_code, json::int, lead, ledger, meta, node, task, token, value,
    },
    script::Script,
    sql::{Driver, Query, Transaction},
};

/// A store over one database.
#[derive(Debug)]
pub struct SqlStore<D> {
    db: D,
}

impl<D> SqlStore<D> {
    pub(super) const fn new(db: D) -> Self {
        Self { db }
    }
}

/// The whole round.
fn script(round: &Round<'_>) -> Result<Script, StoreError> {
    let batch = Batch::fold(round.changes);
    let events = i64::try_from(batch.events.len()).unwrap_or(i64::MAX);
    let (leader, load) = (int(round.leader), int(round.load));
    let mut script = Script::new(leader, load, events, round.position.map(int));
    job::write(&mut script, &batch)?;
    task::write(&mut script, &batch)?;
    attempt::write(&mut script, &batch)?;
    node::write(&mut script, &batch)?;
    event::write(&mut script, &batch.events)?;
    Ok(script)
}

#[derive(FromRow)]
struct One {}

#[async_trait]
impl<D: Driver> Store for SqlStore<D> {
    fn kind(&self) -> &'static str {
        D::KIND
    }

    async fn take_lead(&self) -> Result<u64, StoreError> {
        let doing = "taking the lead";
        let mut tx = self.db.write(doing).await?;
        let leader = meta::take_lead(&mut tx).await?;
        tx.commit(doing).await?;
        Ok(leader)
    }

    async fn claim_lead(&self, claim: &Claim<'_>) -> Result<Option<u64>, StoreError> {
        let doing = "taking the lead";
        let mut tx = self.db.write(doing).await?;
        let leader = lead::claim(&mut tx, claim).await?;
        tx.commit(doing).await?;
        Ok(leader)
    }

    async fn renew_lead(&self, leader: u64, ttl: Duration) -> Result<(), StoreError> {
        let doing = "renewing the lead";
        let mut tx = self.db.write(doing).await?;
        let mine = lead::renew(&mut tx, leader, ttl).await?;
        tx.commit(doing).await?;
        if mine { Ok(()) } else { Err(StoreError::NotLeader { mine: leader }) }
    }

    async fn release_lead(&self, leader: u64) -> Result<(), StoreError> {
        let doing = "giving up the lead";
        let mut tx = self.db.write(doing).await?;
        lead::release(&mut tx, leader).await?;
        tx.commit(doing).await
    }

    async fn lead(&self) -> Result<Lead, StoreError> {
        lead::look(&self.db).await
    }

    async fn settle(&self, leader: u64) -> Result<u64, StoreError> {
        let doing = "settling what was given up";
        let mut tx = self.db.write(doing).await?;
        lead::fence(&mut tx, leader).await?;
        let load = meta::next_load(&mut tx).await?;
        tx.commit(doing).await?;
        Ok(load)
    }

    async fn load(&self) -> Result<(Snapshot, u64), StoreError> {
        let doing = "loading";
        let mut tx = self.db.read(doing).await?;
        let snapshot = Snapshot {
            jobs: job::live(&mut tx).await?,
            tasks: task::live(&mut tx).await?,
            nodes: node::all(&mut tx).await?,
            journals: node::journals(&mut tx).await?,
        };
        let position = meta::position(&mut tx).await?;
        tx.rollback(doing).await?;
        Ok((snapshot, position))
    }

    async fn commit(&self, round: Round<'_>) -> Result<Committed, StoreError> {
        match self.db.round(script(&round)?).await? {
            Some(seq) => Ok(Committed { event_seq: value::number("meta.event_seq", seq)? }),
            None => Err(StoreError::NotLeader { mine: round.leader }),
        }
    }

    async fn by_idempotency_keys(
        &self,
        keys: &[String],
    ) -> Result<Vec<Option<Existing>>, StoreError> {
        job::by_keys(&self.db, keys).await
    }

    async fn job_states(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, StoreError> {
        job::states(&self.db, jobs).await
    }

    async fn job(&self, job: JobId) -> Result<Option<JobRecord>, StoreError> {
        job::one(&self.db, job).await
    }

    async fn job_progress(&self, job: JobId) -> Result<Option<JobProgress>, StoreError> {
        job::progress(&self.db, job).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, StoreError> {
        job::page(&self.db, filter).await
    }

    async fn tasks(
        &self,
        job: &JobRecord,
        state: Option<TaskState>,
        from: u32,
        limit: u32,
    ) -> Result<Vec<TaskView>, StoreError> {
        task::page(&self.db, job, state, from, limit).await
    }

    async fn attempts(&self, job: &JobRecord, task: u32) -> Result<Vec<AttemptView>, StoreError> {
        attempt::of_task(&self.db, job, task).await
    }

    async fn retryable(&self, job: JobId) -> Result<Vec<TaskRecord>, StoreError> {
        task::retryable(&self.db, job).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventView>, StoreError> {
        event::page(&self.db, filter).await
    }

    async fn attempt_node(&self, attempt: AttemptKey) -> Result<Option<NodeId>, StoreError> {
        attempt::node(&self.db, attempt).await
    }

    async fn last_epoch(&self, job: JobId, task: u32) -> Result<Option<Epoch>, StoreError> {
        task::last_epoch(&self.db, job, task).await
    }

    async fn insert_token(&self, leader: u64, token: &TokenRow) -> Result<(), StoreError> {
        let doing = "keeping a token";
        let mut tx = self.db.write(doing).await?;
        lead::fence(&mut tx, leader).await?;
        token::insert(&mut tx, token).await?;
        tx.commit(doing).await
    }

    async fn token_by_hash(&self, secret_hash: [u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        token::by_hash(&self.db, secret_hash).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        token::all(&self.db).await
    }

    async fn delete_token(&self, leader: u64, token: TokenId) -> Result<bool, StoreError> {
        let doing = "deleting a token";
        let mut tx = self.db.write(doing).await?;
        lead::fence(&mut tx, leader).await?;
        let deleted = token::delete(&mut tx, token).await?;
        tx.commit(doing).await?;
        Ok(deleted)
    }

    async fn insert_join_code(
        &self,
        leader: u64,
        code_hash: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let doing = "keeping a join code";
        let mut tx = self.db.write(doing).await?;
        lead::fence(&mut tx, leader).await?;
        join_code::insert(&mut tx, code_hash, expires_at).await?;
        tx.commit(doing).await
    }

    async fn use_join_code(
        &self,
        leader: u64,
        code_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let doing = "using a join code";
        let mut tx = self.db.write(doing).await?;
        lead::fence(&mut tx, leader).await?;
        let used = join_code::use_up(&mut tx, code_hash, now).await?;
        tx.commit(doing).await?;
        Ok(used)
    }

    async fn ledger_news(&self) -> Result<(Vec<IdeaNews>, u64), StoreError> {
        ledger::news(&self.db).await
    }

    async fn ledger_told(&self, leader: u64, told: &Told) -> Result<(), StoreError> {
        let doing = "keeping what the ledger was told";
        let mut tx = self.db.write(doing).await?;
        ledger::told(&mut tx, leader, told).await?;
        tx.commit(doing).await
    }

    async fn ledger_parked(
        &self,
        behind: Option<IdeaId>,
        limit: u32,
    ) -> Result<(Vec<IdeaId>, u64), StoreError> {
        ledger::parked(&self.db, behind, limit).await
    }

    async fn ledger_parked_of(
        &self,
        idea: IdeaId,
        limit: u32,
    ) -> Result<Vec<IdeaNews>, StoreError> {
        ledger::parked_of(&self.db, idea, limit).await
    }

    async fn ledger_unpark(&self, leader: u64, news: &[IdeaNews]) -> Result<(), StoreError> {
        let doing = "keeping what the ledger took after all";
        let mut tx = self.db.write(doing).await?;
        ledger::unpark(&mut tx, leader, news).await?;
        tx.commit(doing).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.fetch::<One>(Query::new("asking it", "SELECT 1 AS one")).await.map(drop)
    }
}
