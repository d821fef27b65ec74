//! Attempts: inserted when they are leased, updated until their end is recorded.

use mesh_core::{AttemptEnd, JobRecord};
use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, NodeId, Timestamp, TraceParent, api::AttemptView,
    manifest::ManifestSummary,
};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    json::{self, clean},
    value,
};
use crate::store::{
    StoreError,
    batch::{Batch, Edit, End, Leased},
    script::Script,
    sql::{Dialects, Driver, Query, fenced_rows},
};

const INSERT: Dialects = fenced_rows!(
    "INSERT INTO attempt (job, task, epoch, node, leased_at, started_at, ended_at, class, exit_code, \
        signal, message, manifest, usage) \
     SELECT r.value->>'job', CAST(r.value->>'task' AS BIGINT), CAST(r.value->>'epoch' AS BIGINT), \
        r.value->>'node', CAST(r.value->>'leased_at' AS BIGINT), \
        CAST(r.value->>'started_at' AS BIGINT), CAST(r.value->>'ended_at' AS BIGINT), \
        r.value->>'class', CAST(r.value->>'exit_code' AS BIGINT), \
        CAST(r.value->>'signal' AS BIGINT), r.value->>'message', \
        COALESCE(r.value->>'manifest', r.value->>'manifest_if_none'), r.value->>'usage'",
    ""
);

/// What runs: its start and its latest manifest.
const UPDATE: Dialects = fenced_rows!(
    "UPDATE attempt SET \
        started_at = COALESCE(CAST(r.value->>'started_at' AS BIGINT), attempt.started_at), \
        manifest = COALESCE(r.value->>'manifest', attempt.manifest)",
    "AND attempt.job = r.value->>'job' AND attempt.task = CAST(r.value->>'task' AS BIGINT) \
        AND attempt.epoch = CAST(r.value->>'epoch' AS BIGINT)"
);

/// What ended, or whose end is undone: then all columns of the end become null again.
const UPDATE_END: Dialects = fenced_rows!(
    "UPDATE attempt SET \
        started_at = COALESCE(CAST(r.value->>'started_at' AS BIGINT), attempt.started_at), \
        ended_at = CAST(r.value->>'ended_at' AS BIGINT), class = r.value->>'class', \
        exit_code = CAST(r.value->>'exit_code' AS BIGINT), \
        signal = CAST(r.value->>'signal' AS BIGINT), message = r.value->>'message', \
        usage = r.value->>'usage', \
        manifest = NULLIF( \
            COALESCE(r.value->>'manifest', attempt.manifest, r.value->>'manifest_if_none'), \
            r.value->>'manifest_undone')",
    "AND attempt.job = r.value->>'job' AND attempt.task = CAST(r.value->>'task' AS BIGINT) \
        AND attempt.epoch = CAST(r.value->>'epoch' AS BIGINT)"
);

const OF_TASK: &str = "SELECT epoch, node, leased_at, started_at, ended_at, class, exit_code, signal, \
     message, manifest, usage FROM attempt WHERE job = $1 AND task = $2 ORDER BY epoch";

const NODE: &str = "SELECT node FROM attempt WHERE job = $1 AND task = $2 AND epoch = $3";

#[derive(Serialize)]
struct Key {
    job: JobId,
    task: u32,
    epoch: Epoch,
}

#[derive(Serialize)]
struct NewAttempt<'a> {
    node: NodeId,
    leased_at: i64,
    #[serde(flatten)]
    edit: EditRow<'a>,
}

#[derive(Serialize)]
struct EditRow<'a> {
    #[serde(flatten)]
    key: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    #[serde(flatten)]
    end: Option<EndRow<'a>>,
}

/// Every attempt that ended has a manifest: when it left nothing, the empty one. Undoing the end takes
/// that one away again.
#[derive(Serialize)]
#[serde(untagged)]
enum EndRow<'a> {
    Recorded {
        ended_at: i64,
        class: EndClass,
        exit_code: Option<i32>,
        signal: Option<i32>,
        message: Option<std::borrow::Cow<'a, str>>,
        usage: Option<String>,
        manifest_if_none: String,
    },
    Undone {
        manifest_undone: String,
    },
}

fn recorded(end: &AttemptEnd) -> Result<EndRow<'_>, StoreError> {
    Ok(EndRow::Recorded {
        ended_at: end.recorded_at.as_millis(),
        class: end.class,
        exit_code: end.exit_code,
        signal: end.signal,
        message: end.message.as_deref().map(clean),
        usage: end.usage.as_ref().map(json::text).transpose()?,
        manifest_if_none: empty_manifest()?,
    })
}

fn empty_manifest() -> Result<String, StoreError> {
    json::text(&ManifestSummary::empty())
}

fn edit_row<'a>(attempt: AttemptKey, edit: &Edit<'a>) -> Result<EditRow<'a>, StoreError> {
    let end = match edit.end {
        End::Kept => None,
        End::Recorded(end) => Some(recorded(end)?),
        End::Undone => Some(EndRow::Undone { manifest_undone: empty_manifest()? }),
    };
    Ok(EditRow {
        key: Key { job: attempt.job, task: attempt.task, epoch: attempt.epoch },
        started_at: edit.started_at.map(Timestamp::as_millis),
        manifest: edit.manifest.map(json::text).transpose()?,
        end,
    })
}

fn new_attempt<'a>(attempt: AttemptKey, leased: &Leased<'a>) -> Result<NewAttempt<'a>, StoreError> {
    Ok(NewAttempt {
        node: leased.node,
        leased_at: leased.at.as_millis(),
        edit: edit_row(attempt, &leased.edit)?,
    })
}

/// Writes new attempts, and what became of old ones.
pub(in crate::store) fn write(script: &mut Script, batch: &Batch<'_>) -> Result<(), StoreError> {
    let new: Result<Vec<_>, _> =
        batch.leased.iter().map(|(attempt, leased)| new_attempt(*attempt, leased)).collect();
    script.write(INSERT, new?.into_iter())?;
    let edits: Result<Vec<_>, _> =
        batch.attempts.iter().map(|(attempt, edit)| edit_row(*attempt, edit)).collect();
    let (ends, edits): (Vec<_>, Vec<_>) = edits?.into_iter().partition(|row| row.end.is_some());
    script.write(UPDATE, edits.into_iter())?;
    script.write(UPDATE_END, ends.into_iter())
}

/// An attempt's columns; all null where a task has none.
#[derive(FromRow)]
pub(super) struct AttemptColumns {
    node: Option<String>,
    leased_at: Option<i64>,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    class: Option<String>,
    exit_code: Option<i64>,
    signal: Option<i64>,
    message: Option<String>,
    manifest: Option<String>,
    usage: Option<String>,
}

/// An attempt as shown, when there is one.
pub(super) fn view(
    attempt: AttemptKey,
    trace: TraceParent,
    row: &AttemptColumns,
) -> Result<Option<AttemptView>, StoreError> {
    let (Some(node), Some(leased_at)) = (&row.node, row.leased_at) else { return Ok(None) };
    Ok(Some(AttemptView {
        attempt,
        node: value::parse("attempt.node", node)?,
        trace_id: trace.trace_id(),
        leased_at: Timestamp::from_millis(leased_at),
        started_at: value::time_option(row.started_at),
        ended_at: value::time_option(row.ended_at),
        class: value::parse_option("attempt.class", row.class.as_deref())?,
        exit_code: value::number_option("attempt.exit_code", row.exit_code)?,
        signal: value::number_option("attempt.signal", row.signal)?,
        message: row.message.clone(),
        manifest: value::json_option("attempt.manifest", row.manifest.as_deref())?,
        usage: value::json_option("attempt.usage", row.usage.as_deref())?,
    }))
}

#[derive(FromRow)]
struct AttemptRow {
    epoch: i64,
    #[sqlx(flatten)]
    columns: AttemptColumns,
}

/// All attempts of a task, by epoch.
pub(in crate::store) async fn of_task(
    db: &impl Driver,
    job: &JobRecord,
    task: u32,
) -> Result<Vec<AttemptView>, StoreError> {
    let query = Query::new("reading attempts", OF_TASK).text(&job.id).int(i64::from(task));
    let rows: Vec<AttemptRow> = db.fetch(query).await?;
    let mut views = Vec::new();
    for row in &rows {
        let epoch = Epoch(value::number("attempt.epoch", row.epoch)?);
        let key = AttemptKey { job: job.id, task, epoch };
        views.extend(view(key, job.trace, &row.columns)?);
    }
    Ok(views)
}

#[derive(FromRow)]
struct NodeRow {
    node: String,
}

/// The node of an attempt.
pub(in crate::store) async fn node(
    db: &impl Driver,
    attempt: AttemptKey,
) -> Result<Option<NodeId>, StoreError> {
    let query = Query::new("reading an attempt", NODE)
        .text(&attempt.job)
        .int(i64::from(attempt.task))
        .int(i64::from(attempt.epoch.0));
    let rows: Vec<NodeRow> = db.fetch(query).await?;
    rows.first().map(|row| value::parse("attempt.node", &row.node)).transpose()
}
