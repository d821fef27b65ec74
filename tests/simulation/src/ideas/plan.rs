//! What a batch comes to, decided one submission after the other on one value.

use mesh_ideas_core::{
    Checked, Unsigned, check,
    ledger::{Change, Decision, Leaf, Ledger, TextFacts, decide, project, proposal},
    sign,
};
use mesh_schemas::{
    ErrorCode, Timestamp,
    idea::{Appended, Entry, EntryId, IdeaId, Relation, Say, Submission},
};

use super::{
    db::LeafRow,
    env::{Answer, Env},
    keys::{Keys, row},
    planted::Bug,
    stats::Kind,
    writer::Request,
};

/// What a batch comes to.
pub(super) struct Plan<'a> {
    pub(super) env: &'a mut Env,
    pub(super) keys: &'static Keys,
    pub(super) now: Timestamp,
    pub(super) version: u32,
    pub(super) ledger: Ledger,
    pub(super) known: &'a [LeafRow],
    pub(super) rows: Vec<LeafRow>,
}

impl Plan<'_> {
    pub(super) fn add(&mut self, request: &Request) -> Answer {
        let Some(checked) = &request.checked else { return Answer::Refused };
        let content = checked.content(None);
        let decision = match request.decided.clone() {
            Some(decided) => Ok(decided),
            None => decide(&self.ledger, checked, content),
        };
        match decision {
            Ok(Decision::Already { index }) if !self.env.has(Bug::AppendedTwice) => {
                self.env.stats.count(Kind::Already);
                self.already(index)
            }
            Ok(Decision::Append | Decision::Already { .. }) => self.append(checked),
            Ok(Decision::SeenAgain { idea, say }) => {
                self.env.stats.count(Kind::SeenAgain);
                let (entry, index) = self.own(say);
                self.appended(entry, index, Some(idea), false)
            }
            Err(problem)
                if problem.code == ErrorCode::NotHolder && self.env.has(Bug::ForgedChainTaken) =>
            {
                self.append(checked)
            }
            Err(_) => Answer::Refused,
        }
    }

    fn append(&mut self, checked: &Checked) -> Answer {
        self.env.stats.count(Kind::Appended);
        let say = &checked.entry().say;
        if matches!(say, Say::Claim { .. } | Say::Transfer { .. } | Say::Release { .. }) {
            self.env.stats.count(Kind::ChainLink);
        }
        if matches!(say, Say::Tombstone { .. }) {
            self.env.stats.count(Kind::Hidden);
        }
        let (index, changes) = self.push(checked.entry(), checked.text());
        self.propose(&changes);
        self.appended(checked.id(), index, None, true)
    }

    fn push(&mut self, entry: &Entry, text: Option<&str>) -> (u64, Vec<Change>) {
        let (index, row) = (self.ledger.size, row(entry, text));
        let facts = text.filter(|_| TextFacts::follow_from(&entry.say)).map(TextFacts::plain);
        let changes = project(&Leaf { index, id: row.id, entry }, facts);
        let changes = self.ledger.take_in([changes]);
        self.rows.push(row);
        (index, changes)
    }

    /// Links a new text to what it is like, in the registry's name.
    fn propose(&mut self, changes: &[Change]) {
        let text = changes.iter().find_map(|change| {
            let Change::Text { idea, text: Some(text), .. } = change else { return None };
            Some((*idea, text.near.clone()?))
        });
        let Some((idea, near)) = text else { return };
        for (other, likeness) in self.ledger.alike(idea, &near, []) {
            if !self.ledger.reaches(Relation::Duplicates, other, idea) {
                self.env.stats.count(Kind::Proposed);
                self.own(proposal(idea, other, likeness));
            }
        }
    }

    /// The registry says something itself, by its clock.
    fn own(&mut self, say: Say) -> (EntryId, u64) {
        let entry = sign(Unsigned { name: None, time: self.now, say }, &self.keys.registry);
        let submission = Submission { entry: entry.clone(), body: None, salt: None };
        if let Err(problem) = check(&submission, self.now, &self.keys.registry_authors()) {
            self.env.broken("A1", format!("the registry breaks its own rules: {problem:?}"));
        }
        let (index, _) = self.push(&entry, None);
        (mesh_ideas_core::entry_id(&entry), index)
    }

    fn already(&self, index: u64) -> Answer {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let here = place.checked_sub(self.known.len()).and_then(|place| self.rows.get(place));
        match self.known.get(place).or(here) {
            Some(row) => self.appended(row.id, index, None, false),
            None => Answer::NotNow,
        }
    }

    fn appended(&self, entry: EntryId, index: u64, idea: Option<IdeaId>, created: bool) -> Answer {
        let index = Some(index);
        let appended = Box::new(Appended { entry, index, idea, created, similar: Vec::new() });
        Answer::Appended { version: self.version, appended }
    }
}
