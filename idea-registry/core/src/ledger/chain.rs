//! The chain of ownership of one idea: its author, then each claim, transfer and release, every one
//! naming the one that it follows. So of two at once only one can be appended, and a link that was
//! forged, left out or put elsewhere shows.

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, Entry, EntryId, IdeaId, Say},
};

use crate::entry::{entry_id, verify_signature};

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Who holds the idea; nobody after a release.
    pub author: Option<AuthorId>,
    /// The entry that says so: the idea itself, or the latest claim, transfer or release.
    pub head: EntryId,
}

impl Holder {
    /// The author of an idea holds it from its entry on.
    pub const fn first(author: AuthorId, entry: EntryId) -> Self {
        Self { author: Some(author), head: entry }
    }

    /// The author holds the idea.
    ///
    /// # Errors
    /// `E_NOT_HOLDER` naming `author`.
    pub fn check_held_by(&self, author: &AuthorId) -> Result<(), Problem> {
        match self.author {
            Some(holder) if holder == *author => Ok(()),
            Some(holder) => Err(not_holder("author", format!("the idea is held by {holder}"))),
            None => Err(not_holder("author", "nobody holds the idea".into())
                .hint("claim it first, with `mesh ideas claim`")),
        }
    }

    /// The chain with one more link.
    ///
    /// # Errors
    /// `E_NOT_HOLDER` when the author may not, or the chain has gone on; `E_INVALID` when the entry is
    /// no link of a chain.
    pub fn then(&self, id: EntryId, entry: &Entry) -> Result<Self, Problem> {
        let Some(Link { follows, holder, takes, .. }) = link(entry) else {
            let kind = entry.say.kind();
            return Err(Problem::invalid("say.kind", format!("{kind} is no link of a chain")));
        };
        match self.author {
            None if takes => {}
            Some(holder) if takes => {
                return Err(not_holder("author", format!("the idea is held by {holder}")));
            }
            Some(_) | None => self.check_held_by(&entry.author)?,
        }
        if follows != self.head {
            let detail = format!("say.follows is {follows}, but the chain ends with {}", self.head);
            return Err(not_holder("say.follows", detail).hint("look at the idea again"));
        }
        Ok(Self { author: holder, head: id })
    }
}

/// One link of a chain.
struct Link {
    idea: IdeaId,
    follows: EntryId,
    /// Who holds the idea after it.
    holder: Option<AuthorId>,
    /// It takes what nobody holds.
    takes: bool,
}

fn link(entry: &Entry) -> Option<Link> {
    let (idea, follows, holder) = match &entry.say {
        Say::Claim { idea, follows } => (idea, follows, Some(entry.author)),
        Say::Transfer { idea, to, follows } => (idea, follows, Some(*to)),
        Say::Release { idea, follows } => (idea, follows, None),
        Say::Idea { .. }
        | Say::Revision { .. }
        | Say::Comment { .. }
        | Say::Link { .. }
        | Say::Status { .. }
        | Say::Rank { .. }
        | Say::Job { .. }
        | Say::SeenAgain { .. }
        | Say::Tombstone { .. }
        | Say::Erased { .. }
        | Say::Origin { .. } => return None,
    };
    let takes = matches!(entry.say, Say::Claim { .. });
    Some(Link { idea: *idea, follows: *follows, holder, takes })
}

fn not_holder(field: &str, detail: String) -> Problem {
    Problem::new(ErrorCode::NotHolder, detail).at(field)
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    /// The place of the entry among those given; the number of them when one is missing.
    pub place: usize,
    /// In which way.
    pub kind: ChainFaultKind,
}

/// In which way a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainFaultKind {
    /// It does not begin with an idea.
    NoIdea,
    /// The signature is not the author's.
    Forged(Problem),
    /// The link is of another idea, or is none.
    NotOfThisIdea,
    /// The author may not, or it follows another entry.
    NotAllowed(Problem),
}

/// Follows the chain of one idea: its own entry, then its claims, transfers and releases in the order
/// of the log. Trusts nothing: ids are computed and signatures are verified.
///
/// # Errors
/// The first entry that does not follow.
pub fn verify_chain(entries: &[Entry]) -> Result<Holder, ChainFault> {
    let fault = |place, kind| ChainFault { place, kind };
    let Some((first, rest)) = entries.split_first() else {
        return Err(fault(0, ChainFaultKind::NoIdea));
    };
    if !matches!(first.say, Say::Idea { .. }) {
        return Err(fault(0, ChainFaultKind::NoIdea));
    }
    verify_signature(first).map_err(|problem| fault(0, ChainFaultKind::Forged(problem)))?;
    let id = entry_id(first);
    let mut holder = Holder::first(first.author, id);
    for (place, entry) in rest.iter().enumerate().map(|(place, entry)| (place + 1, entry)) {
        if link(entry).is_none_or(|link| link.idea != id.into()) {
            return Err(fault(place, ChainFaultKind::NotOfThisIdea));
        }
        verify_signature(entry).map_err(|problem| fault(place, ChainFaultKind::Forged(problem)))?;
        holder = holder
            .then(entry_id(entry), entry)
            .map_err(|problem| fault(place, ChainFaultKind::NotAllowed(problem)))?;
    }
    Ok(holder)
}
