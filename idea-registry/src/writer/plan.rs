//! What a batch comes to, decided one submission after the other on one value.

use std::collections::BTreeSet;

use mesh_ideas_core::{
    Checked,
    entry::leaf_data,
    ledger::{Change, Decision, Leaf as CoreLeaf, LeafText, Ledger, decide, project, proposal},
};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Appended, Entry, EntryId, IdeaId, Relation, Say, Sha256},
};
use mesh_tlog::leaf_hash;

use super::{batch::Item, handle::own};
use crate::{
    identity::Identity,
    near_index::NearIndex,
    seal::SubjectKey,
    store::{Body, Keys, Leaf},
};

/// What a request is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// This.
    Done(Box<Result<Appended, Problem>>),
    /// The entry with this index, which is still to be named.
    StandIn { index: u64, fallback: EntryId },
}

/// Leaves, bodies and changes to write, and answers to give once they are durable.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    identity: &'a Identity,
    keys: &'a Keys,
    ledger: Ledger,
    answers: Vec<Answer>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) bodies: Vec<Body>,
    pub(super) changes: Vec<Change>,
    pub(super) texts: Vec<(EntryId, &'a str)>,
    /// Subjects of which something is kept.
    pub(super) sealed: BTreeSet<&'a str>,
}

impl<'a> Plan<'a> {
    pub(super) const fn new(identity: &'a Identity, ledger: Ledger, keys: &'a Keys) -> Self {
        Self {
            identity,
            keys,
            ledger,
            answers: Vec::new(),
            leaves: Vec::new(),
            bodies: Vec::new(),
            changes: Vec::new(),
            texts: Vec::new(),
            sealed: BTreeSet::new(),
        }
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) const fn keys(&self) -> &Keys {
        self.keys
    }

    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Decides the next submission.
    pub(super) fn add(&mut self, item: &Item<'a>, near: &NearIndex) {
        let (checked, content) = *item;
        let answer = match decide(&self.ledger, checked, content) {
            Ok(Decision::Append) => done(self.append(checked, content, near)),
            Ok(Decision::Already { index }) => self.already(checked.id(), index),
            Ok(Decision::SeenAgain { idea, say }) => done(self.seen_again(idea, say)),
            Err(problem) => done(Err(problem)),
        };
        self.answers.push(answer);
    }

    fn append(
        &mut self,
        checked: &'a Checked,
        content: Option<Sha256>,
        near: &NearIndex,
    ) -> Result<Appended, Problem> {
        // First of all, as nothing of a refused submission may stay.
        let body = self.body(checked)?;
        let text = checked.text();
        let leaf_text = text.zip(content).map(|(text, content)| LeafText { text, content });
        let (index, changes) = self.push(checked.id(), checked.entry(), leaf_text);
        self.bodies.extend(body);
        self.texts.extend(text.map(|text| (checked.id(), text)));
        self.sealed.extend(checked.entry().say.body().and_then(|body| body.sealed.as_deref()));
        let similar = self.propose(&changes, near)?;
        let idea = about(&self.ledger, &changes, checked.entry());
        Ok(Appended { entry: checked.id(), index: Some(index), idea, created: true, similar })
    }

    /// Names the idea and the entry that stand for a text that was there.
    fn seen_again(&mut self, idea: IdeaId, say: Say) -> Result<Appended, Problem> {
        let own = own(self.identity, say)?;
        let (index, _) = self.push(own.id(), own.entry(), None);
        let (entry, index) = (own.id(), Some(index));
        Ok(Appended { entry, index, idea: Some(idea), created: false, similar: Vec::new() })
    }

    fn already(&self, id: EntryId, index: u64) -> Answer {
        match self.ledger.entries.get(&id) {
            Some(row) => {
                let idea = row.about.first().copied();
                let (entry, index, similar) = (id, Some(index), Vec::new());
                done(Ok(Appended { entry, index, idea, created: false, similar }))
            }
            None => Answer::StandIn { index, fallback: id },
        }
    }

    /// Appends a leaf and takes its changes in.
    fn push(
        &mut self,
        id: EntryId,
        entry: &Entry,
        text: Option<LeafText<'_>>,
    ) -> (u64, Vec<Change>) {
        let index = self.ledger.size;
        let data = String::from_utf8_lossy(&leaf_data(entry)).into_owned();
        let hash = Sha256(leaf_hash(data.as_bytes()).0);
        self.leaves.push(Leaf { index, id, hash, data });
        let changes = project(&CoreLeaf { index, id, entry }, text);
        self.ledger.apply(&changes);
        self.changes.extend(changes.iter().cloned());
        (index, changes)
    }

    fn body(&self, checked: &Checked) -> Result<Option<Body>, Problem> {
        let Some((wanted, text)) = checked.entry().say.body().zip(checked.text()) else {
            return Ok(None);
        };
        let hash = wanted.hash;
        let Some((subject, salt)) = wanted.sealed.as_ref().zip(checked.salt()) else {
            let text = Some(text.to_owned());
            return Ok(Some(Body { hash, text, sealed: None, subject: None }));
        };
        let sealed = self.keys.get(subject).and_then(|key: &SubjectKey| key.seal(&hash, &salt.0, text));
        let sealed = sealed.ok_or_else(|| {
            Problem::new(ErrorCode::Internal, "the text could not be sealed")
        })?;
        let subject = Some(subject.clone());
        Ok(Some(Body { hash, text: None, sealed: Some(sealed), subject }))
    }

    /// Links a new text to what it is like, in the registry's name.
    fn propose(
        &mut self,
        changes: &[Change],
        index: &NearIndex,
    ) -> Result<Vec<(IdeaId, u16)>, Problem> {
        let text = changes.iter().find_map(|change| match change {
            Change::Text { idea, text: Some(text), .. } => Some((*idea, text.near.as_ref()?)),
            _ => None,
        });
        let Some((idea, near)) = text else { return Ok(Vec::new()) };
        for (other, signature) in index.candidates(near) {
            self.ledger.near.entry(other).or_insert(signature);
        }
        let circles = |other| self.ledger.reaches(Relation::Duplicates, other, idea);
        let mut similar = self.ledger.alike(idea, near);
        similar.retain(|(other, _)| !circles(*other));
        for (other, likeness) in &similar {
            let own = own(self.identity, proposal(idea, *other, *likeness))?;
            self.push(own.id(), own.entry(), None);
        }
        Ok(similar)
    }

    /// Lets the index know what was committed.
    pub(super) fn index_near(&self, index: &mut NearIndex) {
        for change in &self.changes {
            match change {
                Change::Text { idea, text: Some(text), .. } => match &text.near {
                    Some(near) if self.ledger.near.contains_key(idea) => index.insert(*idea, near),
                    Some(_) | None => index.remove(*idea),
                },
                Change::Text { idea, text: None, .. } => index.remove(*idea),
                Change::Hidden { entry, .. } => {
                    let rows = self.ledger.ideas.values();
                    rows.filter(|row| row.text_entry == *entry).for_each(|row| index.remove(row.id));
                }
                Change::Entry { .. }
                | Change::Idea(_)
                | Change::Holder { .. }
                | Change::Status { .. }
                | Change::Edge { .. }
                | Change::Job { .. }
                | Change::Rank { .. }
                | Change::SeenAgain { .. }
                | Change::Erased { .. } => {}
            }
        }
    }
}

/// The idea that the entry is about; of a tombstone, the one of the text that it hides.
fn about(ledger: &Ledger, changes: &[Change], entry: &Entry) -> Option<IdeaId> {
    if let Say::Tombstone { entry, .. } = &entry.say {
        return ledger.entries.get(entry)?.about.first().copied();
    }
    changes.iter().find_map(|change| match change {
        Change::Entry { row, .. } => row.about.first().copied(),
        _ => None,
    })
}

fn done(result: Result<Appended, Problem>) -> Answer {
    Answer::Done(Box::new(result))
}
