//! Taking changes in.

use super::{
    change::{Change, TextFacts},
    rows::{ContentRow, IdeaRow, JobRow, Ledger, SeenRow},
};
use mesh_schemas::idea::{EntryId, IdeaId};

use super::Holder;

impl Ledger {
    /// Takes the leaves' changes in, one leaf after the other; what they came to.
    pub fn take_in(&mut self, leaves: impl IntoIterator<Item = Vec<Change>>) -> Vec<Change> {
        let mut all = Vec::new();
        for changes in leaves {
            let changes = self.named(changes);
            self.apply(&changes);
            all.extend(changes);
        }
        all
    }

    /// The changes of one leaf, with each parent whose text was seen again as the idea that has it.
    #[must_use]
    pub fn named(&self, mut changes: Vec<Change>) -> Vec<Change> {
        for change in &mut changes {
            if let Change::Edge { key, .. } = change {
                key.to = self.stands_for(key.to);
            }
        }
        changes
    }

    /// The idea itself, or the one that has its text.
    pub fn stands_for(&self, idea: IdeaId) -> IdeaId {
        self.seen.get(&EntryId::from(idea)).map_or(idea, |row| row.idea)
    }

    /// Takes the changes of one leaf in. Rows that were not loaded are left alone.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            self.apply_one(change.clone());
        }
    }

    fn apply_one(&mut self, change: Change) {
        match change {
            Change::Entry { id, row } => {
                self.size = row.index + 1;
                self.entries.insert(id, row);
            }
            Change::Idea(row) => {
                self.ideas.insert(row.id, *row);
            }
            Change::Text { idea, entry, sealed, text } => {
                self.apply_text(idea, entry, sealed, text.map(|text| *text));
            }
            Change::Holder { idea, author, head } => {
                self.change_idea(idea, |row| row.holder = Holder { author, head });
            }
            Change::Status { idea, status } => self.change_idea(idea, |row| row.status = status),
            Change::Edge { key, row } => {
                self.edges.insert(key, row);
            }
            Change::Job { idea, job, name, state, entry, index } => {
                self.jobs.insert((idea, job), JobRow { state, name, entry, index });
            }
            Change::Rank { idea, author, row } => {
                self.ranks.insert((idea, author), row);
            }
            Change::SeenAgain { idea, entry, index } => {
                if self.seen.insert(entry, SeenRow { index, idea }).is_none() {
                    self.change_idea(idea, |row| row.seen_again += 1);
                }
            }
            Change::Hidden { entry, by } => self.apply_hidden(entry, by),
            Change::Erased { subject } => self.apply_erased(subject),
        }
    }

    fn change_idea(&mut self, idea: IdeaId, change: impl FnOnce(&mut IdeaRow)) {
        if let Some(row) = self.ideas.get_mut(&idea) {
            change(row);
        }
    }

    fn apply_text(
        &mut self,
        idea: IdeaId,
        entry: EntryId,
        sealed: Option<String>,
        text: Option<TextFacts>,
    ) {
        self.near.remove(&idea);
        let title = text.as_ref().map(|text| text.title.clone()).unwrap_or_default();
        self.change_idea(idea, |row| {
            row.text_entry = entry;
            row.sealed.clone_from(&sealed);
            row.title = title;
        });
        let Some(text) = text else { return };
        let row = ContentRow { entry, idea, sealed };
        self.contents.entry(text.content).or_insert(row);
        if let Some(near) = text.near {
            self.near.insert(idea, near.signature);
        }
    }

    /// What was made of the text of an entry goes.
    fn apply_hidden(&mut self, entry: EntryId, by: EntryId) {
        self.contents.retain(|_, row| row.entry != entry);
        let Some(hidden) = self.entries.get_mut(&entry) else { return };
        hidden.hidden = Some(by);
        // Only an idea that the entry is about can have its text.
        for idea in &hidden.about {
            let Some(row) = self.ideas.get_mut(idea).filter(|row| row.text_entry == entry) else {
                continue;
            };
            row.title.clear();
            self.near.remove(idea);
        }
    }

    fn apply_erased(&mut self, subject: String) {
        let of_subject = |sealed: &Option<String>| sealed.as_ref() == Some(&subject);
        self.contents.retain(|_, row| !of_subject(&row.sealed));
        for row in self.ideas.values_mut().filter(|row| of_subject(&row.sealed)) {
            row.title.clear();
            self.near.remove(&row.id);
        }
        self.erased.insert(subject);
    }
}
