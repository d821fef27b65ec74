//! What one leaf says that nothing behind it has changed: the rows, and the parts of rows, on which it has the last word.

use mesh_ideas_core::{
    ledger::{Change, EdgeKey, EdgeRow, IdeaRow, Leaf as CoreLeaf, TextFacts, is_acyclic, project},
    text::words,
};
use mesh_schemas::idea::{EntryId, IdeaId, Say, Sha256};
use serde_json::{Value, json};

use super::{
    digest::{Digest, Digests},
    follow::{Confirmed, Row},
    last::{Idea, edge, of_job, opinion},
    local::Run,
    named::Named,
    tables::Of,
};
use crate::{
    replay::{Beside, Parsed},
    store::rows::{idea_values, stored_near},
};

/// Columns of an idea's row, by their places: its text, its holder, and how it stands.
const TEXT: usize = 7;
const HOLDER: usize = 10;
const STATUS: usize = 12;

/// The part of an idea's row that is one column of it.
pub(super) fn column(digests: Digests, id: &Value, place: usize, value: &Value) -> Digest {
    digests.value(&json!([id, place, value]))
}

/// An idea with one of its words.
pub(super) fn word(digests: Digests, index: i64, word: &str) -> Digest {
    digests.text(&format!("{index} {word}"))
}

/// One leaf and what is beside it.
pub(super) struct Says<'a> {
    run: &'a Run,
    leaf: &'a Parsed,
    beside: &'a Beside,
    named: &'a Named,
    /// The content of its text, when no other entry has that.
    content: Option<Sha256>,
    rows: Vec<Row>,
    edges: Vec<Confirmed>,
}

impl<'a> Says<'a> {
    /// Its rows, each once, and its confirmed edges.
    pub(super) fn of(
        run: &'a Run,
        leaf: &'a Parsed,
        beside: &'a Beside,
        named: &'a Named,
    ) -> (Vec<Row>, Vec<Confirmed>) {
        let (content, rows, edges) = (None, Vec::new(), Vec::new());
        let mut says = Self { run, leaf, beside, named, content, rows, edges };
        says.look();
        // A tag or a parent that is named twice is one row.
        says.rows.sort_unstable();
        says.rows.dedup();
        (says.rows, says.edges)
    }

    fn look(&mut self) {
        let Parsed { leaf, entry } = self.leaf;
        let facts = self.beside.facts(self.leaf).filter(|_| !self.run.is_erased(self.leaf));
        let content = facts.as_ref().map(|facts| facts.content);
        self.content = content.filter(|it| self.run.last.has_content(leaf.index, *it));
        let shown = facts.filter(|_| self.is_shown());
        for change in project(&CoreLeaf { index: leaf.index, id: leaf.id, entry }, shown) {
            self.change(&change);
        }
    }

    const fn index(&self) -> u64 {
        self.leaf.leaf.index
    }

    /// The text is the latest of its idea, and nobody has hidden it.
    fn is_shown(&self) -> bool {
        let mut idea = IdeaId::from(self.leaf.leaf.id);
        if let Say::Revision { idea: revised, .. } = &self.leaf.entry.say {
            idea = *revised;
        }
        let latest = self.idea(idea).is_some_and(|idea| idea.text == self.index());
        latest && self.run.last.tombstone(self.index()).is_none()
    }

    /// The index of an idea, if that is this leaf or is in the log before it.
    fn index_of(&self, idea: IdeaId) -> Option<u64> {
        if self.leaf.leaf.id == EntryId::from(idea) {
            return Some(self.index());
        }
        self.named.index_of(idea.into()).filter(|index| *index < self.index())
    }

    fn idea(&self, idea: IdeaId) -> Option<Idea> {
        self.run.last.idea(self.index_of(idea)?)
    }

    fn row(&mut self, of: Of, index: u64, values: &Value) {
        let digest = self.run.last.digests.value(values);
        self.rows.push(Row { of, digest, index });
    }

    /// Some columns of an idea's row, from this place on.
    fn columns(&mut self, (idea, index): (IdeaId, u64), first: usize, values: &[Value]) {
        let (digests, id) = (self.run.last.digests, json!(idea));
        let part = |(place, value)| {
            let digest = column(digests, &id, place, value);
            Row { of: Of::Idea, digest, index }
        };
        self.rows.extend((first..).zip(values).map(part));
    }

    fn change(&mut self, change: &Change) {
        let (index, last) = (self.index(), &self.run.last);
        match change {
            Change::Entry { id, row } => self.about(*id, &row.about),
            Change::Idea(row) => self.filed(row),
            Change::Text { idea, entry, sealed, text } => {
                if let Some(content) = self.content {
                    self.row(Of::Content, index, &json!([content, index, idea, sealed]));
                }
                self.text(*idea, &[json!(entry), json!(sealed)], text.as_deref());
            }
            Change::Holder { idea, author, head } => {
                if let Some(row) = self.idea(*idea).filter(|row| row.chain == index) {
                    self.columns((*idea, row.index), HOLDER, &[json!(author), json!(head)]);
                }
            }
            Change::Edge { key, row } => self.edge(*key, row),
            Change::Job { idea, job, name, state, entry, .. } => {
                if last.is_latest(index, &of_job(*idea, *job)) {
                    self.row(Of::Job, index, &json!([idea, job, name, state, entry, index]));
                }
            }
            Change::Rank { idea, author, row } => {
                if last.is_latest(index, &opinion(*idea, *author)) {
                    let values = json!([idea, author, row.impact, row.cost, row.risk, row.vote]);
                    self.row(Of::Opinion, self.index_of(*idea).unwrap_or(index), &values);
                }
            }
            Change::SeenAgain { entry, .. } => {
                if last.seen(*entry).is_some_and(|seen| seen.index == index) {
                    self.row(Of::Seen, index, &json!([entry, index]));
                }
            }
            Change::Hidden { entry, by } => self.hidden(*entry, *by),
            Change::Erased { subject } => {
                if self.run.erasures.0.get(subject) == Some(&index) {
                    self.row(Of::Erased, index, &json!([subject]));
                }
            }
            // A column that the idea's own entry gives.
            Change::Status { .. } => {}
        }
    }

    /// An entry is about the ideas that it names; that it is about the one that it files goes without a row.
    fn about(&mut self, entry: EntryId, ideas: &[IdeaId]) {
        let index = self.index();
        let others = ideas.iter().filter(|idea| **idea != IdeaId::from(entry));
        others.for_each(|idea| self.row(Of::About, index, &json!([idea, index])));
    }

    /// What an idea's own entry says of its row.
    fn filed(&mut self, row: &IdeaRow) {
        let index = self.index();
        let Some(now) = self.run.last.idea(index) else { return };
        // Tags are plain texts, which always have a JSON form.
        let Ok(Value::Array(values)) = idea_values(row) else { return };
        let of = (row.id, index);
        self.columns(of, 0, values.get(..TEXT).unwrap_or_default());
        if now.chain == index {
            self.columns(of, HOLDER, values.get(HOLDER..STATUS).unwrap_or_default());
        }
        self.columns(of, STATUS, &[json!(now.status), json!(now.seen_again)]);
        row.tags.iter().for_each(|tag| self.row(Of::Tag, index, &json!([tag, index])));
    }

    fn text(&mut self, idea: IdeaId, columns: &[Value; 2], facts: Option<&TextFacts>) {
        let Some(row) = self.idea(idea).filter(|row| row.text == self.index()) else { return };
        let [entry, sealed] = columns.clone();
        let title = json!(facts.map_or("", |facts| facts.title.as_str()));
        self.columns((idea, row.index), TEXT, &[entry, sealed, title]);
        // Of a sealed text there are none.
        let Some(near) = facts.and_then(|facts| facts.near.as_ref()) else { return };
        self.row(Of::Near, row.index, &json!([row.index, idea, stored_near(near)]));
        let text = self.beside.text_of(&self.leaf.leaf.id).unwrap_or_default();
        let (digests, index) = (self.run.last.digests, row.index);
        let place = i64::try_from(index).unwrap_or(i64::MAX);
        let of = |found: &String| Row { of: Of::Words, digest: word(digests, place, found), index };
        self.rows.extend(words(text).iter().map(of));
    }

    fn edge(&mut self, key: EdgeKey, row: &EdgeRow) {
        let (index, last) = (self.index(), &self.run.last);
        let from = self.index_of(key.from);
        let stands_for = last.stands_for(key.to, index);
        let to = stands_for.map_or_else(|| self.index_of(key.to), |seen| Some(seen.of));
        let key = EdgeKey { to: stands_for.map_or(key.to, |seen| seen.idea), ..key };
        if !last.is_latest(index, &edge(key)) {
            return;
        }
        let EdgeKey { relation, from: source, to: target } = key;
        let values = json!([relation, source, target, u8::from(row.proposed), row.likeness]);
        self.row(Of::Edge, from.unwrap_or(index), &values);
        if let Some((from, to)) = from.zip(to).filter(|_| !row.proposed && is_acyclic(relation)) {
            self.edges.push(Confirmed { relation, from, to });
        }
    }

    /// A tombstone is about the ideas that the hidden entry is about.
    fn hidden(&mut self, hidden: EntryId, by: EntryId) {
        let index = self.index();
        let Some((place, entry)) = self.named.index_of(hidden).zip(self.named.entry(hidden)) else {
            return;
        };
        if self.run.last.tombstone(place) != Some(index) {
            return;
        }
        let changes = project(&CoreLeaf { index: place, id: hidden, entry: &entry }, None);
        let Some(Change::Entry { row, .. }) = changes.into_iter().next() else { return };
        self.about(by, &row.about);
        if let Some(body) = row.body {
            self.row(Of::Hidden, index, &json!([hidden, by, body]));
        }
    }
}
