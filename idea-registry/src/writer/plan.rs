//! What a batch comes to, decided one submission after the other on one value.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mesh_ideas_core::{
    Checked,
    ledger::{Change, Decision, Leaf as CoreLeaf, Ledger, TextFacts, decide, project, proposal},
    near::Signature,
};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Appended, Entry, EntryId, IdeaId, Relation, Say, Sha256},
};
use mesh_tlog::leaf_hash;

use super::{
    batch::checked,
    handle::{Request, Submitted, own},
};
use crate::{
    identity::Identity,
    near_index::NearIndex,
    seal::SubjectKey,
    store::{Body, Cursor, Keys, Leaf, Subjects, rows::Texts},
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
pub(super) struct Plan {
    identity: Arc<Identity>,
    keys: AllKeys,
    answers: Vec<Answer>,
    pub(super) ledger: Ledger,
    pub(super) leaves: Vec<Leaf>,
    pub(super) bodies: Vec<Body>,
    pub(super) changes: Vec<Change>,
    pub(super) texts: Texts,
    /// For whom the texts are sealed that are kept, here or by the batch.
    kept: Subjects,
    /// Subjects of which something is kept.
    sealed: BTreeSet<String>,
    /// Where in the stream the batch ends.
    pub(super) position: Option<Cursor>,
}

/// The keys of all subjects that a batch names.
#[derive(Debug)]
pub(super) struct AllKeys {
    keys: Keys,
    new: BTreeSet<String>,
    /// Subjects that have texts and no key, as after a rebuild from files.
    lost: BTreeSet<String>,
}

impl AllKeys {
    /// Makes keys for those subjects that are `without` one, but for those whose key was `lost`.
    pub(super) fn with_new(
        mut keys: Keys,
        without: &BTreeSet<String>,
        lost: BTreeSet<String>,
    ) -> Self {
        let new: BTreeSet<String> = without.difference(&lost).cloned().collect();
        keys.extend(new.iter().map(|subject| (subject.clone(), SubjectKey::random())));
        Self { keys, new, lost }
    }

    /// A subject has one key: beside a new one, that of the texts that are there could never come back.
    fn check_not_lost(&self, subject: &str) -> Result<(), Problem> {
        if !self.lost.contains(subject) {
            return Ok(());
        }
        let detail = format!("texts are sealed for {subject} whose key is not here");
        Err(Problem::new(ErrorCode::Integrity, detail).hint(
            "import the keys first (`mesh-ideas keys import`); if they are gone for good, erase the subject",
        ))
    }

    /// What the submission's text is known by.
    pub(super) fn content(&self, checked: &Checked) -> Option<Sha256> {
        checked.content(self.key(checked))
    }

    /// What follows from the submission's text.
    fn facts(&self, checked: &Checked) -> Option<TextFacts> {
        checked.facts(self.key(checked))
    }

    fn key(&self, checked: &Checked) -> Option<&[u8; 32]> {
        let subject = checked.entry().say.body()?.sealed.as_ref()?;
        self.keys.get(subject).map(SubjectKey::bytes)
    }
}

impl Plan {
    pub(super) fn new(
        identity: Arc<Identity>,
        ledger: Ledger,
        keys: AllKeys,
        kept: Subjects,
    ) -> Self {
        Self {
            identity,
            keys,
            answers: Vec::new(),
            ledger,
            leaves: Vec::new(),
            bodies: Vec::new(),
            changes: Vec::new(),
            texts: Texts::new(),
            kept,
            sealed: BTreeSet::new(),
            position: None,
        }
    }

    /// The keys to keep: a refused submission leaves none.
    pub(super) fn new_keys(&self) -> impl Iterator<Item = (&String, &SubjectKey)> {
        let AllKeys { keys, new, .. } = &self.keys;
        keys.iter().filter(|(subject, _)| new.contains(*subject) && self.sealed.contains(*subject))
    }

    /// Subjects whose texts go.
    pub(super) fn erased(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter_map(|change| {
            if let Change::Erased { subject } = change { Some(subject.as_str()) } else { None }
        })
    }

    /// Indices of entries that stand for others and are still to be named.
    pub(super) fn stand_ins(&self) -> BTreeSet<u64> {
        let index = |answer: &Answer| match answer {
            Answer::StandIn { index, .. } => Some(*index),
            Answer::Done(_) => None,
        };
        self.answers.iter().filter_map(index).collect()
    }

    /// Names them: those in the database are `known`, the others are of this batch.
    pub(super) fn name_stand_ins(&mut self, mut known: BTreeMap<u64, (EntryId, Vec<IdeaId>)>) {
        let entries = self.ledger.entries.iter();
        known.extend(entries.map(|(id, row)| (row.index, (*id, row.about.clone()))));
        for answer in &mut self.answers {
            let Answer::StandIn { index, fallback } = *answer else { continue };
            let (entry, idea) = known
                .get(&index)
                .map_or((fallback, None), |(entry, about)| (*entry, about.first().copied()));
            let (index, created, similar) = (Some(index), false, Vec::new());
            *answer = done(Ok(Appended { entry, index, idea, created, similar }));
        }
    }

    /// An answer for each request; those that only keep a position get one that says nothing.
    pub(super) fn into_answers(self, requests: &[Request]) -> Vec<Result<Appended, Problem>> {
        let mut answers = self.answers.into_iter();
        let mut next = |request: &Request| match checked(request).and_then(|_| answers.next()) {
            Some(Answer::Done(done)) => *done,
            Some(Answer::StandIn { fallback, .. }) => Ok(nothing(fallback)),
            None => Ok(nothing(EntryId([0; 32]))),
        };
        requests.iter().map(&mut next).collect()
    }

    /// Decides the next submission.
    pub(super) fn add(&mut self, submitted: &Submitted, near: &NearIndex) {
        let Submitted { checked, found } = submitted;
        let facts = self.keys.facts(checked);
        let content = facts.as_ref().map(|facts| facts.content);
        let answer = match decide(&self.ledger, checked, content) {
            Ok(Decision::Append) => {
                let alike = checked.near().map(|text| near.current(found, text));
                done(self.append(checked, facts, alike.unwrap_or_default()))
            }
            Ok(Decision::Already { index }) => self.already(checked.id(), index),
            Ok(Decision::SeenAgain { idea, say }) => done(self.seen_again(idea, say)),
            Err(problem) => done(Err(problem)),
        };
        self.answers.push(answer);
    }

    fn append(
        &mut self,
        checked: &Checked,
        facts: Option<TextFacts>,
        alike: Vec<(IdeaId, &Signature)>,
    ) -> Result<Appended, Problem> {
        // First of all, as nothing of a refused submission may stay.
        let body = self.body(checked)?;
        let (index, changes) = self.push(checked, facts);
        self.kept.extend(body.iter().map(|body| (body.hash, body.subject.clone())));
        self.bodies.extend(body);
        self.texts.extend(checked.text().map(|text| (checked.id(), text.to_owned())));
        self.sealed.extend(checked.entry().say.body().and_then(|body| body.sealed.clone()));
        let similar = self.propose(&changes, alike);
        let idea = about(&self.ledger, &changes, checked.entry());
        Ok(Appended { entry: checked.id(), index: Some(index), idea, created: true, similar })
    }

    /// Names the idea and the entry that stand for a text that was there.
    fn seen_again(&mut self, idea: IdeaId, say: Say) -> Result<Appended, Problem> {
        let own = own(&self.identity, say)?;
        let (index, _) = self.push(&own, None);
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
    fn push(&mut self, checked: &Checked, facts: Option<TextFacts>) -> (u64, Vec<Change>) {
        let (index, id, entry) = (self.ledger.size, checked.id(), checked.entry());
        let data = String::from_utf8_lossy(checked.data()).into_owned();
        let hash = Sha256(leaf_hash(data.as_bytes()).0);
        self.leaves.push(Leaf { index, id, hash, data });
        let changes = self.ledger.take_in([project(&CoreLeaf { index, id, entry }, facts)]);
        self.changes.extend(changes.iter().cloned());
        (index, changes)
    }

    fn body(&self, checked: &Checked) -> Result<Option<Body>, Problem> {
        let Some((wanted, text)) = checked.entry().say.body().zip(checked.text()) else {
            return Ok(None);
        };
        let hash = wanted.hash;
        self.check_free(hash, wanted.sealed.as_ref())?;
        let Some((subject, salt)) = wanted.sealed.as_ref().zip(checked.salt()) else {
            let text = Some(text.to_owned());
            return Ok(Some(Body { hash, text, sealed: None, subject: None }));
        };
        self.keys.check_not_lost(subject)?;
        let sealed = self.keys.keys.get(subject).and_then(|key| key.seal(&hash, &salt.0, text));
        let sealed = sealed
            .ok_or_else(|| Problem::new(ErrorCode::Internal, "the text could not be sealed"))?;
        let subject = Some(subject.clone());
        Ok(Some(Body { hash, text: None, sealed: Some(sealed), subject }))
    }

    /// A text is found by its hash: one that is sealed and one that is open, or two subjects', must not share it. A
    /// salt that is the beginning of an open text would make it so.
    fn check_free(&self, hash: Sha256, subject: Option<&String>) -> Result<(), Problem> {
        match self.kept.get(&hash) {
            Some(kept) if kept.as_ref() != subject => {
                Err(Problem::invalid("body", "another text with this hash is sealed for others")
                    .hint("seal it anew, with another salt"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Links a new text to what it is like, in the registry's name.
    fn propose(
        &mut self,
        changes: &[Change],
        others: Vec<(IdeaId, &Signature)>,
    ) -> Vec<(IdeaId, u16)> {
        let text = changes.iter().find_map(|change| {
            let Change::Text { idea, text: Some(text), .. } = change else { return None };
            Some((*idea, text.near.as_ref()?))
        });
        let Some((idea, near)) = text else { return Vec::new() };
        let circles = |other| self.ledger.reaches(Relation::Duplicates, other, idea);
        let mut similar = self.ledger.alike(idea, near, others);
        similar.retain(|(other, _)| !circles(*other));
        similar.retain(|(other, likeness)| {
            let own = own(&self.identity, proposal(idea, *other, *likeness));
            own.is_ok_and(|own| {
                self.push(&own, None);
                true
            })
        });
        similar
    }

    /// The new texts of ideas that are not sealed.
    pub(super) fn open_texts(&self) -> impl Iterator<Item = (IdeaId, &str)> {
        self.changes.iter().filter_map(|change| match change {
            Change::Text { idea, entry, sealed: None, text: Some(_) } => {
                Some((*idea, self.texts.get(entry)?.as_str()))
            }
            Change::Text { .. }
            | Change::Entry { .. }
            | Change::Idea(_)
            | Change::Holder { .. }
            | Change::Status { .. }
            | Change::Edge { .. }
            | Change::Job { .. }
            | Change::Rank { .. }
            | Change::SeenAgain { .. }
            | Change::Hidden { .. }
            | Change::Erased { .. } => None,
        })
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
                    rows.filter(|row| row.text_entry == *entry)
                        .for_each(|row| index.remove(row.id));
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
    changes.iter().find_map(|change| {
        if let Change::Entry { row, .. } = change { row.about.first().copied() } else { None }
    })
}

fn done(result: Result<Appended, Problem>) -> Answer {
    Answer::Done(Box::new(result))
}

const fn nothing(entry: EntryId) -> Appended {
    Appended { entry, index: None, idea: None, created: false, similar: Vec::new() }
}
