//! Sends entries so that none is lost: into the spool first, out of it once the log has them.

use std::path::{Path, PathBuf};

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

/// Most submissions that one command takes along beside its own.
const TAKEN_ALONG_MAX: usize = 100;

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

/// What became of what waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// In the log.
    pub(crate) sent: usize,
    /// Still in the spool.
    pub(crate) waiting: usize,
    /// Put aside: the log will never take them.
    pub(crate) refused: usize,
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
        let entry = entry_id(&submission.entry);
        let before = self.spool.waiting(Some(TAKEN_ALONG_MAX))?;
        self.spool.keep(entry, &submission)?;
        let flushed = self.send_all(&before, false).await?;
        if flushed.waiting > 0 {
            let count = flushed.waiting;
            output::note(format!("{count} of before still wait: `mesh ideas sync` says why"));
        }
        self.send(entry, &submission).await
    }

    /// Sends all that waits, and says of each that stays why.
    pub(crate) async fn flush(&self) -> Result<Flushed, Problem> {
        self.send_all(&self.spool.waiting(None)?, true).await
    }

    /// What waits, as it would be sent.
    pub(crate) fn waiting(&self) -> Result<Vec<(EntryId, Submission)>, Problem> {
        self.spool.waiting(None)
    }

    /// Takes an entry out of what waits, and keeps it with what was refused. Where.
    ///
    /// # Errors
    /// `E_NOT_FOUND` when it does not wait.
    pub(crate) fn drop_waiting(&self, entry: EntryId) -> Result<PathBuf, Problem> {
        if self.waiting()?.iter().all(|(waiting, _)| *waiting != entry) {
            return Err(Problem::new(ErrorCode::NotFound, format!("{entry} does not wait"))
                .hint("`mesh ideas sync --list` shows what does"));
        }
        self.spool.put_aside(entry)
    }

    /// Where entries lie that were refused for good.
    pub(crate) fn refused(&self) -> &Path {
        self.spool.refused()
    }

    /// Why one of them waits is said if so wanted; that one was refused always is.
    async fn send_all(
        &self,
        waiting: &[(EntryId, Submission)],
        say_why: bool,
    ) -> Result<Flushed, Problem> {
        let mut flushed = Flushed::default();
        let waits = |entry, problem: &Problem| {
            if say_why {
                tell(entry, "waits", problem);
            }
        };
        for (place, (entry, submission)) in waiting.iter().enumerate() {
            match self.post(*entry, submission).await {
                Ok(Sent::Appended(_)) => flushed.sent += 1,
                // What it names may yet come, and the others go on.
                Err(problem) if problem.code == ErrorCode::NotFound => {
                    flushed.waiting += 1;
                    waits(*entry, &problem);
                }
                Err(problem) if is_final(&problem) => {
                    flushed.refused += 1;
                    self.put_aside(*entry)?;
                    tell(*entry, "was refused", &problem);
                }
                // The others would fare no better.
                Ok(Sent::Waits(_)) => {
                    flushed.waiting += waiting.len() - place;
                    break;
                }
                Err(problem) => {
                    waits(*entry, &problem);
                    flushed.waiting += waiting.len() - place;
                    break;
                }
            }
        }
        Ok(flushed)
    }

    /// What was just said: only what is known to be in the log leaves the spool; what will never be in it is put aside.
    async fn send(&self, entry: EntryId, submission: &Submission) -> Result<Sent, Problem> {
        match self.post(entry, submission).await {
            Err(problem) if is_passing(&problem) => {
                output::note(format!("{problem}; it waits in the spool"));
                Ok(Sent::Waits(entry))
            }
            Err(problem) if is_final(&problem) => {
                self.put_aside(entry)?;
                Err(problem)
            }
            // The token, the log or what the entry names is at fault, not the entry.
            Err(problem) => {
                let drop = format!("`mesh ideas sync --drop {entry}` takes it out");
                output::note(format!("{entry} waits in the spool; {drop}"));
                Err(problem)
            }
            done => done,
        }
    }

    async fn post(&self, entry: EntryId, submission: &Submission) -> Result<Sent, Problem> {
        let appended: Appended = self.client.post("/ideas", submission).await?;
        if appended.index.is_none() {
            return Ok(Sent::Waits(entry));
        }
        self.spool.forget(entry)?;
        Ok(Sent::Appended(appended))
    }

    fn put_aside(&self, entry: EntryId) -> Result<(), Problem> {
        let file = self.spool.put_aside(entry)?;
        output::note(format!("{entry} is kept in {}", file.display()));
        Ok(())
    }

    /// The id of an idea; a whole one is believed, so that it works while the mesh is out of reach.
    pub(crate) async fn idea_id(&self, id: &str) -> Result<IdeaId, Problem> {
        idea_id(&self.client, id).await
    }

    /// An idea by its id or the beginning of it.
    pub(crate) async fn idea(&self, id: &str) -> Result<IdeaDetail, Problem> {
        idea(&self.client, id).await
    }
}

/// The id of an idea; a whole one is believed.
pub(crate) async fn idea_id(client: &Client, id: &str) -> Result<IdeaId, Problem> {
    match id.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(idea(client, id).await?.view.id),
    }
}

async fn idea(client: &Client, id: &str) -> Result<IdeaDetail, Problem> {
    client.get(&format!("/ideas/{}", path_part(id)?)).await
}

/// No later try of the same entry can end otherwise.
fn is_final(problem: &Problem) -> bool {
    match problem.code {
        // This machine's clock is ahead, or the registry's is behind.
        ErrorCode::Invalid => problem.field.as_deref() != Some("time"),
        ErrorCode::Syntax
        | ErrorCode::UnknownField
        | ErrorCode::TooLarge
        | ErrorCode::TooDeep
        | ErrorCode::WrongState
        | ErrorCode::Signature
        | ErrorCode::NotHolder
        | ErrorCode::Cycle => true,
        ErrorCode::Usage
        | ErrorCode::EnvForbidden
        | ErrorCode::PathEscape
        | ErrorCode::MediaType
        | ErrorCode::Method
        | ErrorCode::Cursor
        | ErrorCode::NotFound
        | ErrorCode::UnknownDependency
        | ErrorCode::Unauthenticated
        | ErrorCode::Forbidden
        | ErrorCode::JoinToken
        | ErrorCode::NodeRevoked
        | ErrorCode::IdempotencyMismatch
        | ErrorCode::Fenced
        | ErrorCode::ChunkConflict
        | ErrorCode::Locked
        | ErrorCode::Busy
        | ErrorCode::StoreDown
        | ErrorCode::BusDown
        | ErrorCode::ObjectsDown
        | ErrorCode::Unreachable
        | ErrorCode::Timeout
        | ErrorCode::NotLeader
        | ErrorCode::Standby
        | ErrorCode::Integrity
        | ErrorCode::NoIdea
        | ErrorCode::LedgerDown
        | ErrorCode::LedgerRollback
        | ErrorCode::LedgerFork
        | ErrorCode::LedgerUnwitnessed
        | ErrorCode::InsecureBind
        | ErrorCode::Config
        | ErrorCode::MissingTool
        | ErrorCode::File
        | ErrorCode::Io
        | ErrorCode::Internal => false,
    }
}

fn tell(entry: EntryId, what: &str, problem: &Problem) {
    output::note(format!("{entry} {what}:"));
    output::print_problem(problem);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_entry_itself_is_final() {
        let codes = ErrorCode::ALL.iter().filter(|code| is_final(&Problem::new(**code, "")));
        let codes: Vec<&str> = codes.map(|code| code.as_str()).collect();
        let expected = [
            "E_INVALID",
            "E_SYNTAX",
            "E_UNKNOWN_FIELD",
            "E_TOO_LARGE",
            "E_TOO_DEEP",
            "E_WRONG_STATE",
            "E_SIGNATURE",
            "E_NOT_HOLDER",
            "E_CYCLE",
        ];
        assert_eq!(codes, expected);
        assert!(!is_final(&Problem::invalid("time", "it is in the future")));
    }
}
