//! One batch: facts in, a plan, one transaction out.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use mesh_fabric::time;
use mesh_ideas_core::{
    Checked,
    ledger::{EdgeKey, Ledger, Wanted},
};
use mesh_schemas::{
    Problem,
    idea::{Appended, Relation, Say, Sha256},
};

use tracing::debug;

use super::{
    handle::{Request, Submitted, What},
    plan::{AllKeys, Plan},
};
use crate::{
    embeddings::Feed,
    forgetting::Forgetting,
    identity::Identity,
    near_index::NearIndex,
    store::{Cursor, Store, StoreError, Subjects, Tx, WriterLock},
};

/// The cursor that says how far the stream was read, and which stream it was.
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
    pub(super) feed: Option<Feed>,
    pub(super) forgetting: Forgetting,
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
            if let Ok(Appended { entry, index: Some(index), .. }) = &answer {
                debug!(parent: &request.span, ledger.index = index, "Appended {entry}");
            }
            // Who asked may have gone; the entry is in the log all the same.
            let _gone = request.answer.send(answer);
        }
    }
}

/// How many of the requests one transaction takes: an erasure stands alone, and texts are bounded.
pub(super) fn cut(requests: &[Request]) -> usize {
    let mut bytes = 0;
    for (place, request) in requests.iter().enumerate() {
        let Some(checked) = checked(request) else { continue };
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

impl Context {
    /// Decides all requests and makes what follows durable.
    pub(super) async fn commit(
        &self,
        size: u64,
        requests: &[Request],
    ) -> Result<Committed, StoreError> {
        let mut tx = self.store.begin(&self.lock, "appending").await?;
        let keys = tx.subject_keys(subjects(requests)).await?;
        let without: BTreeSet<String> =
            subjects(requests).into_iter().filter(|name| !keys.contains_key(name)).collect();
        let lost = tx.subjects_with_texts(&without).await?;
        let keys = AllKeys::with_new(keys, &without, lost);
        let wanted = self.wanted(requests, &keys);
        let ledger = tx.load(self.identity.version, size, wanted).await?;
        let bodies = tx.body_subjects(bodies(requests)).await?;
        let mut plan = self.plan(requests, ledger, keys, bodies);
        plan.position = requests.iter().rev().find_map(position);
        let stand_ins = plan.stand_ins();
        if !stand_ins.is_empty() {
            let known = tx.entries_at(self.identity.version, &stand_ins).await?;
            plan.name_stand_ins(known);
        }
        let plan = self.write(tx, plan).await?;
        plan.index_near(&mut self.near.write().unwrap_or_else(PoisonError::into_inner));
        if let Some(feed) = &self.feed {
            plan.open_texts().for_each(|(idea, text)| feed.tell(idea, text));
        }
        Ok(Committed { size: plan.ledger.size, answers: plan.into_answers(requests) })
    }

    fn wanted(&self, requests: &[Request], keys: &AllKeys) -> Wanted {
        let batch = || requests.iter().filter_map(checked);
        let mut wanted = Wanted::of(batch().map(|checked| (checked, keys.content(checked))));
        for submitted in requests.iter().filter_map(submitted) {
            self.want_for_revision(submitted, &mut wanted);
        }
        wanted
    }

    /// A new text of an old idea may be proposed as a duplicate: which edges there are and where they lead
    /// must be known. A new idea has none.
    fn want_for_revision(&self, submitted: &Submitted, wanted: &mut Wanted) {
        let Submitted { checked, found } = submitted;
        let (Say::Revision { idea, .. }, Some(near)) = (&checked.entry().say, checked.near())
        else {
            return;
        };
        let index = self.near.read().unwrap_or_else(PoisonError::into_inner);
        for (other, _) in index.current(found, near) {
            let relation = Relation::Duplicates;
            wanted.reach.insert((relation, other));
            for (from, to) in [(*idea, other), (other, *idea)] {
                wanted.edges.insert(EdgeKey { relation, from, to });
            }
        }
    }

    fn plan(&self, requests: &[Request], ledger: Ledger, keys: AllKeys, bodies: Subjects) -> Plan {
        let near = self.near.read().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan::new(Arc::clone(&self.identity), ledger, keys, bodies);
        for submitted in requests.iter().filter_map(submitted) {
            plan.add(submitted, &near);
        }
        plan
    }

    async fn write(&self, mut tx: Tx, plan: Plan) -> Result<Plan, StoreError> {
        if plan.leaves.is_empty() && plan.position.is_none() {
            return Ok(plan);
        }
        for (subject, key) in plan.new_keys() {
            tx.insert_subject_key(subject, key, time::now()).await?;
        }
        if !plan.leaves.is_empty() {
            tx.insert_leaves(self.identity.version, &plan.leaves).await?;
            tx.insert_bodies(&plan.bodies).await?;
            tx.save(&plan.ledger, &plan.changes, &plan.texts).await?;
            for subject in plan.erased() {
                tx.erase_texts(subject).await?;
            }
        }
        if let Some(position) = &plan.position {
            tx.set_cursor(STREAM_CURSOR, position).await?;
        }
        tx.commit("appending").await?;
        if plan.erased().next().is_some() {
            self.forgetting.want();
        }
        Ok(plan)
    }
}

/// The submission in a request.
fn submitted(request: &Request) -> Option<&Submitted> {
    match &request.what {
        What::Append(submitted) => Some(submitted),
        What::Position(..) => None,
    }
}

/// The same without what its text is like.
pub(super) fn checked(request: &Request) -> Option<&Checked> {
    submitted(request).map(|submitted| &submitted.checked)
}

fn position(request: &Request) -> Option<Cursor> {
    match &request.what {
        What::Append(_) => None,
        What::Position(at, stream) => Some(Cursor { value: *at, detail: stream.clone() }),
    }
}

/// The hashes of the texts that come along.
fn bodies(requests: &[Request]) -> BTreeSet<Sha256> {
    let batch = requests.iter().filter_map(checked);
    batch.filter_map(|checked| Some(checked.entry().say.body()?.hash)).collect()
}

/// The subjects whose keys are needed.
fn subjects(requests: &[Request]) -> BTreeSet<String> {
    let batch = requests.iter().filter_map(checked);
    batch.filter_map(|checked| checked.entry().say.body()?.sealed.clone()).collect()
}
