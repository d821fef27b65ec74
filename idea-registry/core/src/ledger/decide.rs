//! Whether a submission may be appended to what the ledger holds.

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, Entry, EntryId, IdeaId, Relation, Say, Sha256},
};

use super::{
    reach::is_acyclic,
    rows::{EdgeKey, IdeaRow, Ledger},
};
use crate::check::Checked;

/// What is to be done with a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Append it as the next leaf; [`super::project`] says what that changes.
    Append,
    /// The log has it, or an entry that stands for it.
    Already {
        /// The index of that entry.
        index: u64,
    },
    /// Another entry of an idea has this text: the registry appends this instead, in its own name.
    SeenAgain {
        /// The idea that has the text.
        idea: IdeaId,
        /// What the registry says.
        say: Say,
    },
}

/// Decides. `content` is the hash of the text's content, of an idea or a revision whose text is given:
/// [`Checked::content`].
///
/// # Errors
/// `E_NOT_FOUND`, `E_NOT_HOLDER`, `E_CYCLE`, `E_WRONG_STATE` or `E_FORBIDDEN`, with the field. A refused
/// submission changes nothing.
pub fn decide(
    ledger: &Ledger,
    checked: &Checked,
    content: Option<Sha256>,
) -> Result<Decision, Problem> {
    if let Some(index) = ledger.index_of(checked.id()) {
        return Ok(Decision::Already { index });
    }
    let entry = checked.entry();
    match &entry.say {
        Say::Idea { parents, .. } => return ledger.file(checked, parents, content),
        Say::Revision { idea, .. } => ledger.revise(entry, *idea, content)?,
        Say::Comment { idea, .. } | Say::Rank { idea, .. } => drop(ledger.idea("say.idea", *idea)?),
        Say::Link { from, to, relation, proposed, .. } => {
            let key = EdgeKey { relation: *relation, from: *from, to: *to };
            ledger.link(key, *proposed)?;
        }
        Say::Claim { idea, .. } | Say::Transfer { idea, .. } | Say::Release { idea, .. } => {
            ledger.idea("say.idea", *idea)?.holder.then(checked.id(), entry)?;
        }
        Say::Status { idea, .. } => {
            ledger.idea("say.idea", *idea)?.holder.check_held_by(&entry.author)?;
        }
        Say::Job { idea, job, state, .. } => {
            ledger.idea("say.idea", *idea)?;
            if let Some(row) = ledger.jobs.get(&(*idea, *job)).filter(|row| row.state == *state) {
                return Ok(Decision::Already { index: row.index });
            }
        }
        Say::SeenAgain { idea, entry, .. } => {
            ledger.idea("say.idea", *idea)?;
            if let Some(index) = ledger.index_of(*entry) {
                return Ok(Decision::Already { index });
            }
        }
        Say::Tombstone { entry: hidden, .. } => ledger.hide(&entry.author, *hidden)?,
        Say::Erased { .. } => {}
        Say::Origin { .. } => ledger.begin()?,
    }
    Ok(Decision::Append)
}

impl Ledger {
    /// The index of an entry, or of the `seen_again` that stands for it.
    pub fn index_of(&self, entry: EntryId) -> Option<u64> {
        let own = self.entries.get(&entry).map(|row| row.index);
        own.or_else(|| self.seen.get(&entry).map(|row| row.index))
    }

    fn idea(&self, field: &str, idea: IdeaId) -> Result<&IdeaRow, Problem> {
        self.ideas.get(&idea).ok_or_else(|| {
            let detail = format!("{field} is {idea}, which is not in the ledger");
            Problem::new(ErrorCode::NotFound, detail).at(field)
        })
    }

    fn file(
        &self,
        checked: &Checked,
        parents: &[IdeaId],
        content: Option<Sha256>,
    ) -> Result<Decision, Problem> {
        for (place, parent) in parents.iter().enumerate() {
            // One whose text was there already is that idea: its author could not know when naming it.
            self.idea(&format!("say.parents[{place}]"), self.stands_for(*parent))?;
        }
        let Some(row) = content.and_then(|content| self.contents.get(&content)) else {
            return Ok(Decision::Append);
        };
        let (idea, entry) = (row.idea, checked.entry());
        let say = Say::SeenAgain { idea, entry: checked.id(), by: entry.author, by_sig: entry.sig };
        Ok(Decision::SeenAgain { idea, say })
    }

    fn revise(&self, entry: &Entry, idea: IdeaId, content: Option<Sha256>) -> Result<(), Problem> {
        self.idea("say.idea", idea)?.holder.check_held_by(&entry.author)?;
        match content.and_then(|content| self.contents.get(&content)) {
            Some(row) if row.idea != idea => {
                let detail = format!("the text is that of {}", row.idea);
                Err(Problem::new(ErrorCode::WrongState, detail)
                    .at("body")
                    .hint("link the two ideas with the relation duplicates instead"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A proposal never follows an edge; a person's link follows nothing or a proposal.
    fn link(&self, key: EdgeKey, proposed: bool) -> Result<(), Problem> {
        let EdgeKey { relation, from, to } = key;
        self.idea("say.from", from)?;
        self.idea("say.to", to)?;
        if self.edges.get(&key).is_some_and(|edge| proposed || !edge.proposed) {
            let detail = format!("the link is there already: {from} {relation} {to}");
            return Err(Problem::new(ErrorCode::WrongState, detail).at("say"));
        }
        if is_acyclic(relation) && self.reaches(relation, to, from) {
            return Err(circle(relation, from, to));
        }
        Ok(())
    }

    fn hide(&self, author: &AuthorId, hidden: EntryId) -> Result<(), Problem> {
        let missing = |what: &str| {
            let detail = format!("say.entry is {hidden}, which {what}");
            Problem::new(ErrorCode::NotFound, detail).at("say.entry")
        };
        let row = self.entries.get(&hidden).ok_or_else(|| missing("is not in the ledger"))?;
        if row.body.is_none() {
            return Err(missing("has no text"));
        }
        if row.hidden.is_some() {
            let detail = format!("the text of {hidden} is hidden already");
            return Err(Problem::new(ErrorCode::WrongState, detail).at("say.entry"));
        }
        let holds = |idea: &IdeaId| {
            self.ideas.get(idea).is_some_and(|row| row.holder.author == Some(*author))
        };
        if row.author == *author || row.about.iter().any(holds) {
            return Ok(());
        }
        let detail = "a text is hidden by its author or by the holder of its idea";
        Err(Problem::new(ErrorCode::NotHolder, detail).at("author"))
    }

    fn begin(&self) -> Result<(), Problem> {
        if self.size == 0 {
            return Ok(());
        }
        let detail = format!("origin is the first entry of a log; this one has {}", self.size);
        Err(Problem::new(ErrorCode::WrongState, detail).at("say.kind"))
    }
}

fn circle(relation: Relation, from: IdeaId, to: IdeaId) -> Problem {
    let detail = format!("{from} {relation} {to} would close a circle of {relation}");
    Problem::new(ErrorCode::Cycle, detail).at("say.to")
}
