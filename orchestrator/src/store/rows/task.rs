//! Tasks that have been leased, or ended singly. Those never leased have no row: the job's fresh range
//! stands for them, and a page shows them as if they had.

use mesh_core::{JobRecord, TaskRecord, Tries};
use mesh_schemas::{
    AttemptKey, Epoch, JobId, NodeId, TaskState, Timestamp, api::TaskView, spec::ArrayRange,
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::{
    attempt::{self, AttemptColumns},
    job, json, value,
};
use crate::store::{
    StoreError,
    batch::Batch,
    script::Script,
    sql::{Dialects, Driver, Query, Transaction, fenced_rows},
};

const UPSERT: Dialects = fenced_rows!(
    "INSERT INTO task (job, task, state, epoch, node, tries, eligible_at, cancel_requested, checkpoint) \
     SELECT r.value->>'job', CAST(r.value->>'task' AS BIGINT), r.value->>'state', \
        CAST(r.value->>'epoch' AS BIGINT), r.value->>'node', r.value->>'tries', \
        CAST(r.value->>'eligible_at' AS BIGINT), CAST(r.value->>'cancel_requested' AS BOOLEAN), \
        r.value->>'checkpoint'",
    "ON CONFLICT (job, task) DO UPDATE SET state = excluded.state, \
        epoch = excluded.epoch, node = excluded.node, tries = excluded.tries, \
        eligible_at = excluded.eligible_at, cancel_requested = excluded.cancel_requested, \
        checkpoint = excluded.checkpoint"
);

const LIVE: &str = "SELECT task.job, task.task, task.state, task.epoch, task.node, task.tries, \
        task.eligible_at, task.cancel_requested, task.checkpoint \
     FROM job JOIN task ON task.job = job.id \
     WHERE job.state IN ('queued', 'running') AND task.state IN ('queued', 'leased', 'running') \
     ORDER BY task.job, task.task";

const RETRYABLE: &str = "SELECT job, task, state, epoch, node, tries, eligible_at, cancel_requested, checkpoint \
     FROM task WHERE job = $1 \
     AND state IN ('failed', 'cancelled', 'quarantined') ORDER BY task";

/// The job's fresh range comes with every row, so that both are of one moment.
const PAGE: &str = "SELECT job.fresh_first, job.fresh_last, job.fresh_state, task.task, task.state, \
        task.epoch, attempt.node, attempt.leased_at, attempt.started_at, attempt.ended_at, \
        attempt.class, attempt.exit_code, attempt.signal, attempt.message, attempt.manifest, \
        attempt.usage \
     FROM job LEFT JOIN task ON task.job = job.id AND task.task >= $2";

const PAGE_REST: &str = " LEFT JOIN attempt ON attempt.job = task.job AND attempt.task = task.task \
        AND attempt.epoch = task.epoch \
     WHERE job.id = $1 ORDER BY task.task LIMIT $3";

const LAST_EPOCH: &str = "SELECT epoch FROM task WHERE job = $1 AND task = $2 AND epoch > 0";

/// [`Tries`] as JSON; counters that are zero are left out.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Tries")]
struct TriesText {
    #[serde(default, skip_serializing_if = "is_zero")]
    user_error: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    out_of_memory: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    timeout: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    stalled: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    lost: u16,
}

#[derive(Deserialize)]
struct ReadTries(#[serde(with = "TriesText")] Tries);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u16) -> bool {
    *count == 0
}

fn tries(text: &str) -> Result<Tries, StoreError> {
    value::json("task.tries", text).map(|ReadTries(tries)| tries)
}

#[derive(Serialize)]
struct NewTask<'a> {
    job: JobId,
    task: u32,
    state: TaskState,
    epoch: Epoch,
    node: Option<NodeId>,
    #[serde(with = "TriesText")]
    tries: &'a Tries,
    eligible_at: Option<i64>,
    cancel_requested: bool,
    checkpoint: Option<String>,
}

fn new_task(task: &TaskRecord) -> Result<NewTask<'_>, StoreError> {
    Ok(NewTask {
        job: task.job,
        task: task.task,
        state: task.state,
        epoch: task.epoch,
        node: task.node,
        tries: &task.tries,
        eligible_at: task.eligible_at.map(Timestamp::as_millis),
        cancel_requested: task.cancel_requested,
        checkpoint: task.checkpoint.as_ref().map(json::text).transpose()?,
    })
}

/// Writes new and changed tasks.
pub(in crate::store) fn write(script: &mut Script, batch: &Batch<'_>) -> Result<(), StoreError> {
    let rows: Result<Vec<_>, _> = batch.tasks.values().map(|task| new_task(task)).collect();
    script.write(UPSERT, rows?.into_iter())
}

#[derive(FromRow)]
struct TaskRow {
    job: String,
    task: i64,
    state: String,
    epoch: i64,
    node: Option<String>,
    tries: String,
    eligible_at: Option<i64>,
    cancel_requested: bool,
    checkpoint: Option<String>,
}

impl TaskRow {
    fn record(&self) -> Result<TaskRecord, StoreError> {
        Ok(TaskRecord {
            job: value::parse("task.job", &self.job)?,
            task: value::number("task.task", self.task)?,
            state: value::parse("task.state", &self.state)?,
            epoch: Epoch(value::number("task.epoch", self.epoch)?),
            node: value::parse_option("task.node", self.node.as_deref())?,
            tries: tries(&self.tries)?,
            eligible_at: value::time_option(self.eligible_at),
            cancel_requested: self.cancel_requested,
            checkpoint: value::json_option("task.checkpoint", self.checkpoint.as_deref())?,
        })
    }
}

/// The tasks with a row that have not ended, of jobs that have not ended.
pub(in crate::store) async fn live(
    tx: &mut impl Transaction,
) -> Result<Vec<TaskRecord>, StoreError> {
    let rows: Vec<TaskRow> = tx.fetch(Query::new("loading", LIVE)).await?;
    rows.iter().map(TaskRow::record).collect()
}

/// The tasks of a job that ended and not well.
pub(in crate::store) async fn retryable(
    db: &impl Driver,
    job: JobId,
) -> Result<Vec<TaskRecord>, StoreError> {
    let query = Query::new("reading the tasks of a job", RETRYABLE).text(&job);
    let rows: Vec<TaskRow> = db.fetch(query).await?;
    rows.iter().map(TaskRow::record).collect()
}

#[derive(FromRow)]
struct EpochRow {
    epoch: i64,
}

/// The last epoch of a task.
pub(in crate::store) async fn last_epoch(
    db: &impl Driver,
    job: JobId,
    task: u32,
) -> Result<Option<Epoch>, StoreError> {
    let query = Query::new("reading a task", LAST_EPOCH).text(&job).int(i64::from(task));
    let rows: Vec<EpochRow> = db.fetch(query).await?;
    let epoch = rows.first().map(|row| row.epoch);
    Ok(value::number_option("task.epoch", epoch)?.map(Epoch))
}

#[derive(FromRow)]
struct PageRow {
    fresh_first: Option<i64>,
    fresh_last: Option<i64>,
    fresh_state: String,
    task: Option<i64>,
    state: Option<String>,
    epoch: Option<i64>,
    #[sqlx(flatten)]
    last: AttemptColumns,
}

impl PageRow {
    /// The job's row comes alone when no task fits.
    fn view(&self, job: &JobRecord) -> Result<Option<TaskView>, StoreError> {
        let (Some(task), Some(state), Some(epoch)) = (self.task, &self.state, self.epoch) else {
            return Ok(None);
        };
        let (task, epoch) =
            (value::number("task.task", task)?, value::number("task.epoch", epoch)?);
        let key = AttemptKey { job: job.id, task, epoch: Epoch(epoch) };
        Ok(Some(TaskView {
            task,
            state: value::parse("task.state", state)?,
            attempts: epoch,
            last: attempt::view(key, job.trace, &self.last)?,
        }))
    }

    fn fresh(&self) -> Result<Option<(ArrayRange, TaskState)>, StoreError> {
        let range = job::fresh(self.fresh_first, self.fresh_last)?;
        let state = value::parse("job.fresh_state", &self.fresh_state)?;
        Ok(range.map(|range| (range, state)))
    }
}

/// A page of a job's tasks, by index.
pub(in crate::store) async fn page(
    db: &impl Driver,
    job: &JobRecord,
    state: Option<TaskState>,
    from: u32,
    limit: u32,
) -> Result<Vec<TaskView>, StoreError> {
    let only = if state.is_some() { " AND task.state = $4" } else { "" };
    let mut query = Query::new("reading the tasks of a job", format!("{PAGE}{only}{PAGE_REST}"))
        .text(&job.id)
        .int(i64::from(from))
        .int(i64::from(limit));
    if let Some(state) = state {
        query = query.text(state.as_str());
    }
    let rows: Vec<PageRow> = db.fetch(query).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut views = Vec::new();
    for row in &rows {
        views.extend(row.view(job)?);
    }
    let fresh = rows.first().map(PageRow::fresh).transpose()?.flatten();
    if let Some((range, fresh_state)) = fresh.filter(|(_, fresh)| state.is_none_or(|s| s == *fresh))
    {
        let first = range.first.max(from);
        views.extend((first..=range.last).map(|task| fresh_view(task, fresh_state)).take(most));
    }
    views.truncate(most);
    Ok(views)
}

/// A task without a row; the fresh range is the tail of the job's, so it comes after all rows.
const fn fresh_view(task: u32, state: TaskState) -> TaskView {
    TaskView { task, state, attempts: 0, last: None }
}
