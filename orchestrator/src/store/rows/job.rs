//! Jobs. The items of a long array lie in a table of their own and are read with a whole job alone.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use mesh_core::{Existing, JobProgress, JobRecord};
use mesh_schemas::{
    JobId, JobSpec, TaskState, Timestamp, TraceParent,
    api::{JobView, TaskCounts},
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    json::{self, clean},
    value,
};
use crate::store::{
    JobFilter, StoreError,
    batch::Batch,
    script::Script,
    sql::{Dialects, Driver, Query, Transaction, fenced_rows, from_rows},
};

const INSERT: Dialects = fenced_rows!(
    "INSERT INTO job (id, name, project, spec, spec_hash, idempotency_key, trace, created_at, state, \
        counts, fresh_first, fresh_last, fresh_state, cancel_requested, finished_at) \
     SELECT r.value->>'id', r.value->>'name', r.value->>'project', r.value->>'spec', \
        r.value->>'spec_hash', r.value->>'idempotency_key', r.value->>'trace', \
        CAST(r.value->>'created_at' AS BIGINT), r.value->>'state', r.value->>'counts', \
        CAST(r.value->>'fresh_first' AS BIGINT), CAST(r.value->>'fresh_last' AS BIGINT), \
        r.value->>'fresh_state', CAST(r.value->>'cancel_requested' AS BOOLEAN), \
        CAST(r.value->>'finished_at' AS BIGINT)",
    ""
);

const INSERT_ITEMS: Dialects = fenced_rows!(
    "INSERT INTO job_items (job, items) SELECT r.value->>'job', r.value->>'items'",
    ""
);

const UPDATE: Dialects = fenced_rows!(
    "UPDATE job SET state = r.value->>'state', counts = r.value->>'counts', \
        fresh_first = CAST(r.value->>'fresh_first' AS BIGINT), \
        fresh_last = CAST(r.value->>'fresh_last' AS BIGINT), \
        fresh_state = r.value->>'fresh_state', \
        cancel_requested = CAST(r.value->>'cancel_requested' AS BOOLEAN), \
        finished_at = CAST(r.value->>'finished_at' AS BIGINT)",
    "AND job.id = r.value->>'id'"
);

macro_rules! progress_columns {
    () => {
        "job.state, job.counts, job.fresh_first, job.fresh_last, job.fresh_state, \
         job.cancel_requested, job.finished_at"
    };
}

const WHOLE: &str = concat!(
    "SELECT job.id, job.spec, job_items.items, job.spec_hash, job.trace, job.created_at, ",
    progress_columns!(),
    " FROM job LEFT JOIN job_items ON job_items.job = job.id"
);

const PROGRESS: &str = concat!("SELECT ", progress_columns!(), " FROM job WHERE job.id = $1");

const LIST: &str = "SELECT id, name, project, trace, created_at, state, counts, cancel_requested, \
     finished_at FROM job WHERE true";

const STATES: Dialects =
    from_rows!("SELECT job.id, job.state", "JOIN job ON job.id = r.value->>'id'");

const BY_KEY: Dialects = from_rows!(
    "SELECT job.id, job.idempotency_key, job.spec_hash, job.counts, job.trace",
    "JOIN job ON job.idempotency_key = r.value->>'key'"
);

#[derive(Serialize)]
struct NewJob<'a> {
    id: JobId,
    name: Cow<'a, str>,
    project: Cow<'a, str>,
    spec: String,
    spec_hash: String,
    idempotency_key: Option<Cow<'a, str>>,
    trace: TraceParent,
    created_at: i64,
    #[serde(flatten)]
    progress: NewProgress<'a>,
}

#[derive(Serialize)]
struct NewProgress<'a> {
    state: JobState,
    counts: &'a TaskCounts,
    fresh_first: Option<u32>,
    fresh_last: Option<u32>,
    fresh_state: TaskState,
    cancel_requested: bool,
    finished_at: Option<i64>,
}

#[derive(Serialize)]
struct Update<'a> {
    id: JobId,
    #[serde(flatten)]
    progress: NewProgress<'a>,
}

impl<'a> NewProgress<'a> {
    fn new(progress: &'a JobProgress) -> Self {
        Self {
            state: progress.state,
            counts: &progress.counts,
            fresh_first: progress.fresh.map(|range| range.first),
            fresh_last: progress.fresh.map(|range| range.last),
            fresh_state: progress.fresh_state,
            cancel_requested: progress.cancel_requested,
            finished_at: progress.finished_at.map(Timestamp::as_millis),
        }
    }
}

fn new_job<'a>(job: &'a JobRecord, progress: &'a JobProgress) -> Result<NewJob<'a>, StoreError> {
    Ok(NewJob {
        id: job.id,
        name: clean(job.spec.display_name()),
        project: clean(&job.spec.project),
        spec: spec_text(&job.spec)?,
        spec_hash: value::hash_text(job.spec_hash),
        idempotency_key: job.spec.idempotency_key.as_deref().map(clean),
        trace: job.trace,
        created_at: job.created_at.as_millis(),
        progress: NewProgress::new(progress),
    })
}

/// The items of an array that is over items.
fn items(spec: &JobSpec) -> Option<&[String]> {
    match &spec.array {
        Some(ArraySpec::Items(items)) => Some(items),
        Some(ArraySpec::Range(_)) | None => None,
    }
}

#[derive(Serialize)]
struct NewItems {
    job: JobId,
    items: String,
}

fn new_items(job: &JobRecord) -> Result<Option<NewItems>, StoreError> {
    let new = |items: &[String]| Ok(NewItems { job: job.id, items: json::text(items)? });
    items(&job.spec).map(new).transpose()
}

/// The spec as JSON, without the items of an array.
fn spec_text(spec: &JobSpec) -> Result<String, StoreError> {
    if items(spec).is_none() {
        return json::text(spec);
    }
    let mut value = serde_json::to_value(spec)
        .map_err(|_| StoreError::Unreadable { what: "a spec without a JSON form".into() })?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("array");
    }
    json::text(&value)
}

/// Writes new jobs and the progress of old ones.
pub(in crate::store) fn write(script: &mut Script, batch: &Batch<'_>) -> Result<(), StoreError> {
    let new: Result<Vec<_>, _> = batch.jobs.values().map(|(job, now)| new_job(job, now)).collect();
    script.write(INSERT, new?.into_iter())?;
    let items = batch.jobs.values().filter_map(|(job, _)| new_items(job).transpose());
    script.write(INSERT_ITEMS, items.collect::<Result<Vec<_>, _>>()?.into_iter())?;
    let updates = batch.progress.iter();
    let updates =
        updates.map(|(id, progress)| Update { id: *id, progress: NewProgress::new(progress) });
    script.write(UPDATE, updates)
}

#[derive(FromRow)]
struct WholeRow {
    id: String,
    spec: String,
    items: Option<String>,
    spec_hash: String,
    trace: String,
    created_at: i64,
    #[sqlx(flatten)]
    progress: ProgressRow,
}

#[derive(FromRow)]
struct ProgressRow {
    state: String,
    counts: String,
    fresh_first: Option<i64>,
    fresh_last: Option<i64>,
    fresh_state: String,
    cancel_requested: bool,
    finished_at: Option<i64>,
}

impl WholeRow {
    fn record(self) -> Result<JobRecord, StoreError> {
        Ok(JobRecord {
            id: value::parse("job.id", &self.id)?,
            spec: Arc::new(self.spec()?),
            spec_hash: value::hash("job.spec_hash", &self.spec_hash)?,
            trace: value::parse("job.trace", &self.trace)?,
            created_at: Timestamp::from_millis(self.created_at),
            progress: self.progress.progress()?,
        })
    }

    fn spec(&self) -> Result<JobSpec, StoreError> {
        let mut spec: JobSpec = value::json("job.spec", &self.spec)?;
        if let Some(items) = &self.items {
            spec.array = Some(ArraySpec::Items(value::json("job_items.items", items)?));
        }
        Ok(spec)
    }
}

impl ProgressRow {
    fn progress(&self) -> Result<JobProgress, StoreError> {
        Ok(JobProgress {
            state: value::parse("job.state", &self.state)?,
            counts: value::json("job.counts", &self.counts)?,
            fresh: fresh(self.fresh_first, self.fresh_last)?,
            fresh_state: value::parse("job.fresh_state", &self.fresh_state)?,
            cancel_requested: self.cancel_requested,
            finished_at: value::time_option(self.finished_at),
        })
    }
}

/// The range of the tasks that have no row.
pub(super) fn fresh(
    first: Option<i64>,
    last: Option<i64>,
) -> Result<Option<ArrayRange>, StoreError> {
    let first = value::number_option("job.fresh_first", first)?;
    let last = value::number_option("job.fresh_last", last)?;
    Ok(first.zip(last).map(|(first, last)| ArrayRange { first, last }))
}

/// A whole job.
pub(in crate::store) async fn one(
    db: &impl Driver,
    job: JobId,
) -> Result<Option<JobRecord>, StoreError> {
    let query = Query::new("reading a job", format!("{WHOLE} WHERE job.id = $1")).text(&job);
    let rows: Vec<WholeRow> = db.fetch(query).await?;
    rows.into_iter().next().map(WholeRow::record).transpose()
}

/// Where a job stands.
pub(in crate::store) async fn progress(
    db: &impl Driver,
    job: JobId,
) -> Result<Option<JobProgress>, StoreError> {
    let query = Query::new("reading a job's progress", PROGRESS.to_owned()).text(&job);
    let rows: Vec<ProgressRow> = db.fetch(query).await?;
    rows.first().map(ProgressRow::progress).transpose()
}

/// All jobs that have not ended, oldest first.
pub(in crate::store) async fn live(
    tx: &mut impl Transaction,
) -> Result<Vec<JobRecord>, StoreError> {
    let text = format!("{WHOLE} WHERE job.state IN ('queued', 'running') ORDER BY job.id");
    let rows: Vec<WholeRow> = tx.fetch(Query::new("loading", text)).await?;
    rows.into_iter().map(WholeRow::record).collect()
}

#[derive(FromRow)]
struct ListRow {
    id: String,
    name: String,
    project: String,
    trace: String,
    created_at: i64,
    state: String,
    counts: String,
    cancel_requested: bool,
    finished_at: Option<i64>,
}

impl ListRow {
    fn view(self) -> Result<JobView, StoreError> {
        Ok(JobView {
            id: value::parse("job.id", &self.id)?,
            name: self.name,
            project: self.project,
            state: value::parse("job.state", &self.state)?,
            counts: value::json("job.counts", &self.counts)?,
            trace_id: value::parse::<TraceParent>("job.trace", &self.trace)?.trace_id(),
            created_at: Timestamp::from_millis(self.created_at),
            finished_at: value::time_option(self.finished_at),
            cancel_requested: self.cancel_requested,
        })
    }
}

/// A page of jobs, newest first.
pub(in crate::store) async fn page(
    db: &impl Driver,
    filter: &JobFilter,
) -> Result<Vec<JobView>, StoreError> {
    let rows: Vec<ListRow> = db.fetch(page_query(filter)).await?;
    rows.into_iter().map(ListRow::view).collect()
}

/// Only the conditions that are asked for, so that each combination has its index.
fn page_query(filter: &JobFilter) -> Query {
    let mut text = String::from(LIST);
    let mut used = 1;
    let mut condition = |wanted: bool, condition: &str| {
        if wanted {
            used += 1;
            text.push_str(&format!(" AND {condition} ${used}"));
        }
    };
    condition(filter.project.is_some(), "project =");
    condition(filter.state.is_some(), "state =");
    condition(filter.before.is_some(), "id <");
    text.push_str(" ORDER BY id DESC LIMIT $1");
    let mut query = Query::new("listing jobs", text).int(i64::from(filter.limit));
    if let Some(project) = &filter.project {
        query = query.text(project);
    }
    if let Some(state) = filter.state {
        query = query.text(state.as_str());
    }
    if let Some(before) = filter.before {
        query = query.text(&before);
    }
    query
}

#[derive(FromRow)]
struct StateRow {
    id: String,
    state: String,
}

/// The states of these jobs; missing ones are left out.
pub(in crate::store) async fn states(
    db: &impl Driver,
    jobs: &[JobId],
) -> Result<Vec<(JobId, JobState)>, StoreError> {
    let wanted: Vec<_> = jobs.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let query = Query::over("reading the states of jobs", STATES, json::text(&wanted)?);
    let rows: Vec<StateRow> = db.fetch(query).await?;
    let state = |row: StateRow| {
        Ok((value::parse("job.id", &row.id)?, value::parse("job.state", &row.state)?))
    };
    rows.into_iter().map(state).collect()
}

#[derive(FromRow)]
struct KeyRow {
    id: String,
    idempotency_key: String,
    spec_hash: String,
    counts: String,
    trace: String,
}

impl KeyRow {
    fn existing(&self) -> Result<Existing, StoreError> {
        let counts: TaskCounts = value::json("job.counts", &self.counts)?;
        Ok(Existing {
            job: value::parse("job.id", &self.id)?,
            spec_hash: value::hash("job.spec_hash", &self.spec_hash)?,
            tasks: counts.total,
            trace: value::parse("job.trace", &self.trace)?,
        })
    }
}

/// The jobs that have these idempotency keys, in order of the keys.
pub(in crate::store) async fn by_keys(
    db: &impl Driver,
    keys: &[String],
) -> Result<Vec<Option<Existing>>, StoreError> {
    let wanted: Vec<_> = keys.iter().map(|key| serde_json::json!({ "key": clean(key) })).collect();
    let query = Query::over("looking up idempotency keys", BY_KEY, json::text(&wanted)?);
    let rows: Vec<KeyRow> = db.fetch(query).await?;
    let rows: BTreeMap<&str, &KeyRow> =
        rows.iter().map(|row| (row.idempotency_key.as_str(), row)).collect();
    let of = |key: &String| rows.get(clean(key).as_ref()).map(|row| row.existing()).transpose();
    keys.iter().map(of).collect()
}
