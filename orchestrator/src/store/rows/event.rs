//! The event log: appended to by rounds, numbered without gaps.

use mesh_core::EventRecord;
use mesh_schemas::{
    Epoch, JobId, NodeId, Timestamp,
    api::{EventKind, EventView},
};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    json::{clean, int},
    value,
};
use crate::store::{
    EventFilter, StoreError,
    script::Script,
    sql::{Dialects, Driver, Query},
};

/// `n` counts from 1 within the round, whose numbers the fence has taken; `$2` is how many they are.
const INSERT: Dialects = Dialects {
    sqlite: "INSERT INTO event (seq, at, kind, job, task, epoch, node, detail) \
     SELECT meta.event_seq - $2 + (r.value->>'n'), r.value->>'at', r.value->>'kind', \
        r.value->>'job', r.value->>'task', r.value->>'epoch', r.value->>'node', r.value->>'detail' \
     FROM meta, jsonb_each({rows}) AS r WHERE meta.leader = $1",
    postgres: "INSERT INTO event (seq, at, kind, job, task, epoch, node, detail) \
     SELECT fence.event_seq - $2 + CAST(r.value->>'n' AS BIGINT), \
        CAST(r.value->>'at' AS BIGINT), r.value->>'kind', r.value->>'job', \
        CAST(r.value->>'task' AS BIGINT), CAST(r.value->>'epoch' AS BIGINT), r.value->>'node', \
        r.value->>'detail' \
     FROM fence, jsonb_array_elements({rows}::jsonb) AS r(value)",
};

const PAGE: &str = "SELECT seq, at, kind, job, task, epoch, node, detail FROM event \
     WHERE seq > $1 ORDER BY seq LIMIT $2";

const PAGE_OF_JOB: &str = "SELECT seq, at, kind, job, task, epoch, node, detail FROM event \
     WHERE seq > $1 AND job = $3 ORDER BY seq LIMIT $2";

#[derive(Serialize)]
struct NewEvent<'a> {
    n: usize,
    at: i64,
    kind: EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<std::borrow::Cow<'a, str>>,
}

fn new_event(n: usize, event: &EventRecord) -> NewEvent<'_> {
    NewEvent {
        n,
        at: event.at.as_millis(),
        kind: event.kind,
        job: event.job,
        task: event.task,
        epoch: event.epoch,
        node: event.node,
        detail: event.detail.as_deref().map(clean),
    }
}

/// Appends events.
pub(in crate::store) fn write(
    script: &mut Script,
    events: &[&EventRecord],
) -> Result<(), StoreError> {
    let rows = (1..).zip(events).map(|(n, event)| new_event(n, event));
    script.write(INSERT, rows)
}

#[derive(FromRow)]
struct EventRow {
    seq: i64,
    at: i64,
    kind: String,
    job: Option<String>,
    task: Option<i64>,
    epoch: Option<i64>,
    node: Option<String>,
    detail: Option<String>,
}

impl EventRow {
    fn view(self) -> Result<EventView, StoreError> {
        Ok(EventView {
            seq: value::number("event.seq", self.seq)?,
            at: Timestamp::from_millis(self.at),
            kind: value::parse("event.kind", &self.kind)?,
            job: value::parse_option("event.job", self.job.as_deref())?,
            task: value::number_option("event.task", self.task)?,
            epoch: value::number_option("event.epoch", self.epoch)?.map(Epoch),
            node: value::parse_option("event.node", self.node.as_deref())?,
            detail: self.detail,
        })
    }
}

/// A page of events, oldest first.
pub(in crate::store) async fn page(
    db: &impl Driver,
    filter: &EventFilter,
) -> Result<Vec<EventView>, StoreError> {
    let text = if filter.job.is_some() { PAGE_OF_JOB } else { PAGE };
    let mut query =
        Query::new("reading events", text).int(int(filter.after)).int(i64::from(filter.limit));
    if let Some(job) = filter.job {
        query = query.text(&job);
    }
    let rows: Vec<EventRow> = db.fetch(query).await?;
    rows.into_iter().map(EventRow::view).collect()
}
