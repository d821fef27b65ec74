//! What one leaf changes in the projections.

use mesh_schemas::{
    JobId,
    attempt::JobState,
    idea::{AuthorId, EntryId, IdeaId, IdeaStatus, Say, Sha256},
};

use super::rows::{EdgeKey, EdgeRow, EntryRow, IdeaRow, RankRow};
use crate::{
    near::{Near, near},
    text,
};

/// One change: an upsert or a deletion of rows. Leaves are projected in the order of the log, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry itself; the first change of each leaf. The size becomes its index and one.
    Entry {
        /// Its id.
        id: EntryId,
        /// What is known of it.
        row: EntryRow,
    },
    /// A new idea, without what follows from its text.
    Idea(Box<IdeaRow>),
    /// An idea's latest text is the one of this entry. What was known of the text before is forgotten,
    /// but for its content: a text that an idea once had stays that idea's.
    Text {
        /// Whose text.
        idea: IdeaId,
        /// The entry that has it.
        entry: EntryId,
        /// The subject for whom it is sealed.
        sealed: Option<String>,
        /// What follows from the text; absent when it is not at hand, as it was erased or hidden.
        text: Option<Box<TextFacts>>,
    },
    /// Who holds an idea.
    Holder {
        /// Which.
        idea: IdeaId,
        /// Who; nobody after a release.
        author: Option<AuthorId>,
        /// The entry that says so.
        head: EntryId,
    },
    /// Where an idea stands.
    Status {
        /// Which.
        idea: IdeaId,
        /// Where.
        status: IdeaStatus,
    },
    /// An edge, new or confirmed: what is there already is overwritten.
    Edge {
        /// Which.
        key: EdgeKey,
        /// What is known of it.
        row: EdgeRow,
    },
    /// Where a job of an idea is.
    Job {
        /// Of which idea.
        idea: IdeaId,
        /// The job.
        job: JobId,
        /// Its name.
        name: String,
        /// Where it is.
        state: JobState,
        /// The entry that says so.
        entry: EntryId,
        /// That entry's index.
        index: u64,
    },
    /// What an author thinks of an idea, in place of what that author said before.
    Rank {
        /// Of which idea.
        idea: IdeaId,
        /// Who.
        author: AuthorId,
        /// What.
        row: RankRow,
    },
    /// An entry was filed and not appended, as its text was there: one more for the idea, once per entry.
    SeenAgain {
        /// The idea that was there.
        idea: IdeaId,
        /// The entry that was not appended.
        entry: EntryId,
        /// The index of the entry that stands for it.
        index: u64,
    },
    /// An entry's text is hidden. When it is the latest text of its idea, title, words and bands go;
    /// its content goes in any case, so that somebody else may file the text. The tombstone is about
    /// the ideas that the hidden entry is about.
    Hidden {
        /// Whose text.
        entry: EntryId,
        /// The tombstone.
        by: EntryId,
    },
    /// All that was made of texts sealed for a subject goes: titles, contents, words, bands.
    Erased {
        /// Whose.
        subject: String,
    },
}

/// What follows from a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFacts {
    /// Its title; empty of a sealed text.
    pub title: String,
    /// The hash of its content, keyed when it is sealed.
    pub content: Sha256,
    /// What finds near duplicates; absent for a sealed text, of which nothing may stay.
    pub near: Option<Near>,
}

impl TextFacts {
    /// Whether anything follows from the text of what is said: from those of ideas and their revisions.
    pub const fn follow_from(say: &Say) -> bool {
        matches!(say, Say::Idea { .. } | Say::Revision { .. })
    }

    /// Of a text that is not sealed. Takes about a tenth of a millisecond for a page.
    pub fn plain(text: &str) -> Self {
        let near = Some(near(text)).filter(|near| !near.signature.is_empty());
        Self { title: text::title(text), content: text::content_hash(text), near }
    }

    /// Of a text that is sealed with a subject's key.
    pub fn sealed(text: &str, key: &[u8; 32]) -> Self {
        Self { title: String::new(), content: text::sealed_content_hash(text, key), near: None }
    }

    /// The same without what would show the text.
    pub(super) fn without_traces(self) -> Self {
        Self { title: String::new(), near: None, ..self }
    }
}
