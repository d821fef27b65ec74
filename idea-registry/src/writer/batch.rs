//! One batch: facts in, a plan, one transaction out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use mesh_fabric::time;
use mesh_ideas_core::{
    Checked,
    ledger::{EdgeKey, Ledger, Wanted},
    near,
};
use mesh_schemas::{
    Problem,
    idea::{Appended, Relation, Say, Sha256},
};

use super::{
    handle::{Request, What, subjects},
    plan::{Answer, Plan},
};
use crate::{
    identity::Identity,
    near_index::NearIndex,
    seal::SubjectKey,
    store::{Cursor, Keys, Store, StoreError, Tx, WriterLock, rows::Texts},
};

/// The cursor that says how far the stream was read.
pub(crate) const STREAM_CURSOR: &str = "stream";
/// Most bytes of texts in one transaction.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// What a batch is written with.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) lock: Arc<WriterLock>,
    pub(super) identity: Arc<Identity>,
    pub(super) near: Arc<RwLock<NearIndex>>,
}

/// A batch that is durable.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) size: u64,
    answers: Vec<Result<Appended, Problem>>,
}

impl Committed {
    pub(super) fn answer(self, requests: Vec<Request>) {
        for (request, answer) in requests.into_iter().zip(self.answers) {
            // Who asked may have gone; the entry is in the log all the same.
            let _gone = request.answer.send(answer);
        }
    }
}

/// How many of the requests one transaction takes: an erasure stands alone, and texts are bounded.
pub(super) fn cut(requests: &[Request]) -> usize {
    let mut bytes = 0;
    for (place, request) in requests.iter().enumerate() {
        let What::Append(checked) = &request.what else { continue };
        if matches!(checked.entry().say, Say::Erased { .. }) {
            return place.max(1);
        }
        bytes += checked.text().map_or(0, str::len);
        if bytes > TEXT_BYTES_MAX {
            return place.max(1);
        }
    }
    requests.len()
}

/// A submission with what its text is known by.
pub(super) type Item<'a> = (&'a Checked, Option<Sha256>);

impl Context {
    /// Decides all requests and makes what follows durable.
    pub(super) async fn commit(
        &self,
        size: u64,
        requests: &[Request],
    ) -> Result<Committed, StoreError> {
        let batch: Vec<&Checked> = requests.iter().filter_map(checked).collect();
        let mut tx = self.store.begin(&self.lock, "appending").await?;
        let (keys, new_keys) = self.keys(&mut tx, &batch).await?;
        let key_of = |checked: &Checked| {
            keys.get(checked.entry().say.body()?.sealed.as_deref()?).map(SubjectKey::bytes)
        };
        let items: Vec<Item<'_>> =
            batch.iter().map(|checked| (*checked, checked.content(key_of(checked)))).collect();
        let mut wanted = Wanted::of(items.iter().copied());
        self.want_for_revisions(&batch, &mut wanted);
        let ledger = tx.load(self.identity.version, size, &wanted).await?;

        let mut plan = Plan::new(&self.identity, ledger, &keys);
        {
            let near = self.near.read().unwrap_or_else(PoisonError::into_inner);
            for item in &items {
                plan.add(item, &near);
            }
        }
        let size = plan.ledger().size;
        let position = requests.iter().filter_map(|request| request.position).max();
        let answers = self.write(tx, &mut plan, new_keys, position).await?;
        plan.index_near(&mut self.near.write().unwrap_or_else(PoisonError::into_inner));
        Ok(Committed { size, answers: in_place(requests, answers) })
    }

    /// The keys of all subjects that are named, and those among them that are new.
    async fn keys(
        &self,
        tx: &mut Tx,
        batch: &[&Checked],
    ) -> Result<(Keys, BTreeSet<String>), StoreError> {
        let subjects = subjects(batch.iter().copied());
        let mut keys = tx.subject_keys(&subjects).await?;
        let missing: BTreeSet<String> =
            subjects.into_iter().filter(|s| !keys.contains_key(*s)).map(Into::into).collect();
        keys.extend(missing.iter().map(|subject| (subject.clone(), SubjectKey::random())));
        Ok((keys, missing))
    }

    /// A new text of an old idea may be proposed as a duplicate: which edges there are and where they lead
    /// must be known. A new idea has none.
    fn want_for_revisions(&self, batch: &[&Checked], wanted: &mut Wanted) {
        for checked in batch {
            let (Say::Revision { idea, .. }, Some(text), None) =
                (&checked.entry().say, checked.text(), checked.salt())
            else {
                continue;
            };
            let index = self.near.read().unwrap_or_else(PoisonError::into_inner);
            for (other, _) in index.candidates(&near::near(text)) {
                let relation = Relation::Duplicates;
                wanted.reach.insert((relation, other));
                for (from, to) in [(*idea, other), (other, *idea)] {
                    wanted.edges.insert(EdgeKey { relation, from, to });
                }
            }
        }
    }

    async fn write(
        &self,
        mut tx: Tx,
        plan: &mut Plan<'_>,
        new_keys: BTreeSet<String>,
        position: Option<u64>,
    ) -> Result<Vec<Answer>, StoreError> {
        let log = self.identity.version;
        let answers = plan.take_answers();
        let answers = stand_ins(&mut tx, log, plan.ledger(), answers).await?;
        if plan.leaves.is_empty() && position.is_none() {
            return Ok(answers);
        }
        for subject in new_keys.iter().filter(|subject| plan.sealed.contains(subject.as_str())) {
            let Some(key) = plan.keys().get(subject) else { continue };
            tx.insert_subject_key(subject, key, time::now()).await?;
        }
        if !plan.leaves.is_empty() {
            tx.insert_leaves(log, &plan.leaves).await?;
            tx.insert_bodies(&plan.bodies).await?;
            let texts: Texts<'_> = plan.texts.iter().map(|(id, text)| (*id, *text)).collect();
            tx.save(plan.ledger(), &plan.changes, &texts).await?;
        }
        if let Some(value) = position {
            tx.set_cursor(STREAM_CURSOR, &Cursor { value, detail: String::new() }).await?;
        }
        tx.commit("appending").await?;
        Ok(answers)
    }
}

fn checked(request: &Request) -> Option<&Checked> {
    match &request.what {
        What::Append(checked) => Some(checked),
        What::Position => None,
    }
}

/// Names the entries that stand for others: of some, only the index is known.
async fn stand_ins(
    tx: &mut Tx,
    log: u32,
    ledger: &Ledger,
    answers: Vec<Answer>,
) -> Result<Vec<Answer>, StoreError> {
    let unknown = answers.iter().filter_map(|answer| match answer {
        Answer::StandIn { index, .. } => Some(*index),
        Answer::Done(_) => None,
    });
    let unknown: BTreeSet<u64> = unknown.collect();
    if unknown.is_empty() {
        return Ok(answers);
    }
    let mut known: BTreeMap<_, _> = tx.entries_at(log, &unknown).await?;
    let own = ledger.entries.iter().map(|(id, row)| (row.index, (*id, row.about.clone())));
    known.extend(own.filter(|(index, _)| unknown.contains(index)));
    let name = |answer| match answer {
        Answer::StandIn { index, fallback } => {
            let (entry, about) = known.remove(&index).unwrap_or((fallback, Vec::new()));
            let idea = about.first().copied();
            known.insert(index, (entry, about));
            let (index, created, similar) = (Some(index), false, Vec::new());
            Answer::Done(Box::new(Ok(Appended { entry, index, idea, created, similar })))
        }
        Answer::Done(done) => Answer::Done(done),
    };
    Ok(answers.into_iter().map(name).collect())
}

/// An answer for each request; those that only keep a position get one that says nothing.
fn in_place(requests: &[Request], answers: Vec<Answer>) -> Vec<Result<Appended, Problem>> {
    let mut answers = answers.into_iter();
    let mut next = |request: &Request| match &request.what {
        What::Append(checked) => match answers.next() {
            Some(Answer::Done(done)) => *done,
            Some(Answer::StandIn { .. }) | None => Ok(nothing(checked.id())),
        },
        What::Position => Ok(nothing(mesh_schemas::idea::EntryId([0; 32]))),
    };
    requests.iter().map(&mut next).collect()
}

const fn nothing(entry: mesh_schemas::idea::EntryId) -> Appended {
    Appended { entry, index: None, idea: None, created: false, similar: Vec::new() }
}
