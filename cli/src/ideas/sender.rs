//! Sends entries so that none is lost: into the spool first, out of it once the log has them.

use mesh_ideas_core::{body_hash, entry_id};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Appended, BodyRef, EntryId, IdeaDetail, IdeaId, Say, Sha256, Submission},
};

use super::{Author, spool::Spool};
use crate::{
    args::Global,
    client::{Client, is_passing},
    context, output,
};

/// Signs and sends.
pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) author: Author,
    spool: Spool,
}

/// What became of an entry.
pub(crate) enum Sent {
    /// It is in the log.
    Appended(Appended),
    /// It waits: in the spool, and perhaps on the stream of the registry.
    Waits(EntryId),
}

/// A text to be referred to by an entry.
pub(crate) struct Body {
    pub(crate) text: String,
    salt: Option<Sha256>,
    /// How the entry refers to it.
    pub(crate) by_ref: BodyRef,
}

impl Body {
    /// A text, sealed for a subject or open to all.
    pub(crate) fn new(text: String, sealed: Option<String>) -> Self {
        let salt = sealed.is_some().then(|| Sha256(mesh_fabric::ids::random()));
        let hash = body_hash(&text, salt.as_ref().map(|salt| &salt.0));
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self { by_ref: BodyRef { hash, bytes, sealed }, text, salt }
    }
}

impl Sender {
    pub(crate) fn new(global: &Global) -> Result<Self, Problem> {
        let client = context::client(global)?;
        let spool = Spool::open(&client.servers())?;
        Ok(Self { author: Author::load_or_make()?, client, spool })
    }

    /// Signs, keeps and sends an entry; takes along what waited before.
    pub(crate) async fn say(&self, say: Say, body: Option<Body>) -> Result<Sent, Problem> {
        let (text, salt) = body.map_or((None, None), |body| (Some(body.text), body.salt));
        let submission = Submission { entry: self.author.sign(say), body: text, salt };
        mesh_ideas_core::check(&submission, mesh_fabric::time::now(), &[])?;
        self.flush(false).await?;
        let entry = entry_id(&submission.entry);
        self.spool.keep(entry, &submission)?;
        self.send(entry, &submission).await
    }

    /// Sends what waits; how many went, and how many wait on.
    pub(crate) async fn flush(&self, all: bool) -> Result<(usize, usize), Problem> {
        let waiting = self.spool.waiting(all)?;
        let mut sent = 0;
        for (entry, submission) in &waiting {
            match self.send(*entry, submission).await {
                Ok(Sent::Appended(_)) => sent += 1,
                Ok(Sent::Waits(_)) => return Ok((sent, waiting.len() - sent)),
                // Refused for ever, and no longer in the spool: it is told, and the others go on.
                Err(problem) => {
                    output::note(format!("{entry} was refused:"));
                    output::print_problem(&problem);
                }
            }
        }
        Ok((sent, 0))
    }

    async fn send(&self, entry: EntryId, submission: &Submission) -> Result<Sent, Problem> {
        match self.client.post::<_, Appended>("/ideas", submission).await {
            Ok(appended) if appended.index.is_some() => {
                self.spool.forget(entry)?;
                Ok(Sent::Appended(appended))
            }
            Ok(_) => Ok(Sent::Waits(entry)),
            Err(problem) if is_passing(&problem) => {
                output::note(format!("{problem}; it waits in the spool"));
                Ok(Sent::Waits(entry))
            }
            // The token, not the entry, is what is refused.
            Err(problem) if problem.code.exit_code() == ErrorCode::Unauthenticated.exit_code() => {
                output::note(format!("{entry} waits in the spool"));
                Err(problem)
            }
            Err(problem) => {
                self.spool.forget(entry)?;
                Err(problem)
            }
        }
    }

    /// The id of an idea; a whole one is believed, so that it works while the mesh is out of reach.
    pub(crate) async fn idea_id(&self, id: &str) -> Result<IdeaId, Problem> {
        match id.parse() {
            Ok(id) => Ok(id),
            Err(_) => Ok(self.idea(id).await?.view.id),
        }
    }

    /// An idea by its id or the beginning of it.
    pub(crate) async fn idea(&self, id: &str) -> Result<IdeaDetail, Problem> {
        self.client.get(&format!("/ideas/{}", path_part(id)?)).await
    }
}

/// Ids have letters, digits and underscores; anything else is none.
pub(crate) fn path_part(id: &str) -> Result<&str, Problem> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(id);
    }
    let shown = mesh_schemas::text::shown(id);
    Err(Problem::invalid("idea", format!("{shown} is not an idea's id"))
        .hint("an id is idea_ and 64 digits, or its first digits; `mesh ideas list` shows them"))
}
