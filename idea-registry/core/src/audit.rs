//! The rules of entries as an auditor sees them, who has the log and nothing else: each leaf is canonical and
//! signed, names only what came before it, stands once, and every chain of holders leads back to its author.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{BodyRef, Entry, EntryId, IdeaId, Say},
};

use crate::{check::check_entry, entry::entry_id, entry::parse_leaf, ledger::Holder};

/// Goes through a log from its first entry on. Memory: some 200 bytes an entry.
#[derive(Debug, Default)]
pub struct Auditor {
    size: u64,
    entries: BTreeMap<EntryId, u64>,
    holders: BTreeMap<IdeaId, Holder>,
    bodies: BTreeMap<u64, BodyRef>,
    hidden: BTreeSet<u64>,
    erased: BTreeSet<String>,
    /// Those that were filed and not appended: another idea has the text of each.
    seen: BTreeSet<IdeaId>,
}

impl Auditor {
    /// At the beginning of a log.
    pub fn new() -> Self {
        Self::default()
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
        // Which keys the registry has is not in the log: whoever says so in its name is believed here.
        check_entry(&entry, &[entry.author])?;
        let id = entry_id(&entry);
        if let Some(before) = self.entries.insert(id, index) {
            return Err(wrong(format!("{id} stands at {before} already")));
        }
        self.check_references(&entry)?;
        self.follow(id, &entry)?;
        self.remember(index, &entry)?;
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
        self.bodies.iter().map(|(index, body)| (*index, body))
    }

    /// The log itself says that the text of this entry was hidden or erased.
    pub fn may_lack(&self, index: u64) -> bool {
        let sealed = self.bodies.get(&index).and_then(|body| body.sealed.as_ref());
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

    fn remember(&mut self, index: u64, entry: &Entry) -> Result<(), Problem> {
        if let Some(body) = entry.say.body() {
            self.bodies.insert(index, body.clone());
        }
        if let Say::Tombstone { entry: hidden, .. } = &entry.say {
            let hidden = self.entries.get(hidden);
            self.hidden.insert(*hidden.ok_or_else(|| wrong("it hides an unknown entry".into()))?);
        }
        if let Say::SeenAgain { entry, .. } = &entry.say {
            self.seen.insert((*entry).into());
        }
        if let Say::Erased { subject } = &entry.say {
            self.erased.insert(subject.clone());
        }
        Ok(())
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
