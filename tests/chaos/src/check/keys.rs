//! I3: one key, one job; in the table, in what clients were told, and in what they got for it.

use std::collections::BTreeMap;

use mesh_schemas::{ErrorCode, JobId};

use super::{Invariant, Look, Verdict, index::Index};
use crate::history::{Action, Op};

pub(super) fn one_job(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I3);
    let mut by_key: BTreeMap<&str, JobId> = BTreeMap::new();
    for job in &index.history.jobs {
        let Some(key) = &job.key else { continue };
        if let Some(before) = by_key.insert(key, job.id) {
            let what = format!("the key {key} has two jobs, {before} and {}", job.id);
            look.wrong(Some(job.id), what, index.slice(job.id, None, &[]));
        }
    }
    let mut told: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for op in &index.history.ops {
        let Action::Submit { key, body, .. } = &op.action else { continue };
        look.see();
        let told = told.entry(key).or_default();
        answered(index, op, key, &by_key, told, &mut look);
        one_body(index, op, key, body, told, &mut look);
    }
    refused(index, &by_key, &mut look);
    look.verdict("no client submitted anything")
}

/// What was always refused is not there: a no is a no.
fn refused(index: &Index<'_>, by_key: &BTreeMap<&str, JobId>, look: &mut Look) {
    let mut refusals: BTreeMap<&str, Option<&Op>> = BTreeMap::new();
    for op in &index.history.ops {
        let Action::Submit { key, .. } = &op.action else { continue };
        let only_refused = refusals.entry(key).or_insert(Some(op));
        if op.failed().is_none() {
            *only_refused = None;
        }
    }
    for (key, op) in refusals.iter().filter_map(|(key, op)| Some((key, (*op)?))) {
        if let Some(job) = by_key.get(key) {
            let code = op.failed().unwrap_or_default();
            let what = format!("the key {key} was refused with {code}, and yet there is {job}");
            look.wrong(Some(*job), what, index.slice_of_op(op));
        }
    }
}

/// What clients were told about one key.
#[derive(Default)]
struct Told<'a> {
    job: Option<JobId>,
    created: bool,
    body: Option<&'a str>,
}

fn answered(
    index: &Index<'_>,
    op: &Op,
    key: &str,
    by_key: &BTreeMap<&str, JobId>,
    told: &mut Told<'_>,
    look: &mut Look,
) {
    let Some((job, created)) = op.submitted() else { return };
    let mut wrong = |what: String| look.wrong(Some(job), what, index.slice_of_op(op));
    if told.job.is_some_and(|before| before != job) {
        wrong(format!("the key {key} was answered with two jobs"));
    }
    if told.created && created {
        wrong(format!("the key {key} was answered twice with a new job"));
    }
    if by_key.get(key).is_some_and(|stored| *stored != job) {
        wrong(format!("the key {key} was answered with {job}, which has another key"));
    }
    told.job = Some(job);
    told.created |= created;
}

/// The same key with another body is refused, never merged.
fn one_body<'a>(
    index: &Index<'_>,
    op: &Op,
    key: &str,
    body: &'a str,
    told: &mut Told<'a>,
    look: &mut Look,
) {
    let mismatch = op.failed() == Some(ErrorCode::IdempotencyMismatch.as_str());
    if op.submitted().is_some() {
        if told.body.is_some_and(|before| before != body) {
            let what = format!("the key {key} was accepted with two bodies");
            look.wrong(op.job(), what, index.slice_of_op(op));
        }
        told.body = Some(body);
    }
    if mismatch && told.body == Some(body) {
        let what = format!("the key {key} was refused with the body that it has");
        look.wrong(told.job, what, index.slice_of_op(op));
    }
}
