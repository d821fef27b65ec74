//! The rules of entries as an auditor sees them, who has the log and the registry's keys and nothing else: each leaf is
//! canonical and signed, names only what came before it, stands once, every chain of holders leads back to its author,
//! and what the registry alone may say is signed by the registry.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, BodyRef, Entry, EntryId, IdeaId, Say},
};

use crate::{check::check_entry, entry::parse_leaf, ledger::Holder};

/// Goes through a log from its first entry on. Memory: some 250 bytes an entry.
#[derive(Debug)]
pub struct Auditor {
    /// The keys that the registry has or had.
    registry: Vec<AuthorId>,
    size: u64,
    entries: BTreeMap<EntryId, u64>,
    holders: BTreeMap<IdeaId, Holder>,
    texts: BTreeMap<u64, Text>,
    hidden: BTreeSet<u64>,
    erased: BTreeSet<String>,
    /// Those that were filed and not appended: another idea has the text of each.
    seen: BTreeSet<IdeaId>,
}

/// A text that an entry refers to, and who may hide it.
#[derive(Debug)]
struct Text {
    body: BodyRef,
    author: AuthorId,
    idea: IdeaId,
}

impl Auditor {
    /// At the beginning of a log whose registry has or had these keys.
    pub fn new(registry: Vec<AuthorId>) -> Self {
        Self {
            registry,
            size: 0,
            entries: BTreeMap::new(),
            holders: BTreeMap::new(),
            texts: BTreeMap::new(),
            hidden: BTreeSet::new(),
            erased: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// The next leaf.
    ///
    /// # Errors
    /// What is wrong with it. The auditor is then of no more use.
    pub fn entry(&mut self, index: u64, data: &[u8]) -> Result<(), Problem> {
        if index != self.size {
            return Err(wrong(format!("entry {index} came where {} was due", self.size)));
        }
        let entry = parse_leaf(data)?;
        let (_, id) = check_entry(&entry, &self.registry)?;
        if matches!(entry.say, Say::Origin { .. }) && index != 0 {
            return Err(wrong("an origin is the first entry of a log".into()));
        }
        if let Some(before) = self.entries.insert(id, index) {
            return Err(wrong(format!("{id} stands at {before} already")));
        }
        self.check_references(&entry)?;
        self.follow(id, &entry)?;
        self.remember(index, id, &entry)?;
        self.size += 1;
        Ok(())
    }

    /// Entries so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Ideas so far.
    pub fn ideas(&self) -> u64 {
        self.holders.len() as u64
    }

    /// The texts that entries refer to, by the index of the entry.
    pub fn bodies(&self) -> impl Iterator<Item = (u64, &BodyRef)> {
        self.texts.iter().map(|(index, text)| (*index, &text.body))
    }

    /// The log itself says that the text of this entry was hidden or erased.
    pub fn may_lack(&self, index: u64) -> bool {
        let sealed = self.texts.get(&index).and_then(|text| text.body.sealed.as_ref());
        self.hidden.contains(&index) || sealed.is_some_and(|subject| self.erased.contains(subject))
    }

    fn check_references(&self, entry: &Entry) -> Result<(), Problem> {
        let may_repeat = matches!(entry.say, Say::Idea { .. });
        for idea in named(&entry.say) {
            let seen = may_repeat && self.seen.contains(&idea);
            if !seen && !self.holders.contains_key(&idea) {
                return Err(wrong(format!("{idea} is named and does not stand before it")));
            }
        }
        Ok(())
    }

    fn follow(&mut self, id: EntryId, entry: &Entry) -> Result<(), Problem> {
        match &entry.say {
            Say::Idea { .. } => {
                self.holders.insert(id.into(), Holder::first(entry.author, id));
            }
            Say::Claim { idea, .. } | Say::Transfer { idea, .. } | Say::Release { idea, .. } => {
                let holder =
                    self.holders.get_mut(idea).ok_or_else(|| wrong(format!("no {idea}")))?;
                *holder = holder.then(id, entry)?;
            }
            Say::Revision { idea, .. } | Say::Status { idea, .. } => {
                let holder = self.holders.get(idea).ok_or_else(|| wrong(format!("no {idea}")))?;
                holder.check_held_by(&entry.author)?;
            }
            Say::Comment { .. }
            | Say::Link { .. }
            | Say::Rank { .. }
            | Say::Job { .. }
            | Say::SeenAgain { .. }
            | Say::Tombstone { .. }
            | Say::Erased { .. }
            | Say::Origin { .. } => {}
        }
        Ok(())
    }

    fn remember(&mut self, index: u64, id: EntryId, entry: &Entry) -> Result<(), Problem> {
        if let Some(body) = entry.say.body() {
            let idea = named_or_own(&entry.say, id);
            self.texts.insert(index, Text { body: body.clone(), author: entry.author, idea });
        }
        if let Say::Tombstone { entry: hidden, .. } = &entry.say {
            self.hide(*hidden, &entry.author)?;
        }
        if let Say::SeenAgain { entry, .. } = &entry.say {
            self.seen.insert((*entry).into());
        }
        if let Say::Erased { subject } = &entry.say {
            self.erased.insert(subject.clone());
        }
        Ok(())
    }

    /// A text is hidden by its author or by whoever holds its idea; otherwise anybody's key would excuse a registry that
    /// withholds one.
    fn hide(&mut self, entry: EntryId, author: &AuthorId) -> Result<(), Problem> {
        let hidden = self.entries.get(&entry);
        let index = *hidden.ok_or_else(|| wrong("it hides an unknown entry".into()))?;
        let text = self.texts.get(&index);
        let text = text.ok_or_else(|| wrong(format!("it hides {entry}, which has no text")))?;
        if text.author != *author {
            let holder = self.holders.get(&text.idea);
            holder.ok_or_else(|| wrong(format!("no {}", text.idea)))?.check_held_by(author)?;
        }
        self.hidden.insert(index);
        Ok(())
    }
}

/// The idea whose text it is.
fn named_or_own(say: &Say, id: EntryId) -> IdeaId {
    match say {
        Say::Revision { idea, .. } | Say::Comment { idea, .. } => *idea,
        Say::Idea { .. }
        | Say::Link { .. }
        | Say::Claim { .. }
        | Say::Transfer { .. }
        | Say::Release { .. }
        | Say::Status { .. }
        | Say::Rank { .. }
        | Say::Job { .. }
        | Say::SeenAgain { .. }
        | Say::Tombstone { .. }
        | Say::Erased { .. }
        | Say::Origin { .. } => id.into(),
    }
}

/// The ideas that an entry names.
fn named(say: &Say) -> Vec<IdeaId> {
    match say {
        Say::Idea { parents, .. } => parents.clone(),
        Say::Link { from, to, .. } => vec![*from, *to],
        Say::Revision { idea, .. }
        | Say::Comment { idea, .. }
        | Say::Claim { idea, .. }
        | Say::Transfer { idea, .. }
        | Say::Release { idea, .. }
        | Say::Status { idea, .. }
        | Say::Rank { idea, .. }
        | Say::Job { idea, .. }
        | Say::SeenAgain { idea, .. } => vec![*idea],
        Say::Tombstone { .. } | Say::Erased { .. } | Say::Origin { .. } => Vec::new(),
    }
}

fn wrong(detail: String) -> Problem {
    Problem::new(ErrorCode::Integrity, detail)
}
