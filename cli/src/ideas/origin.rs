//! A log that could not go on and was begun anew: its first entry names the head that the old one ended with. It is
//! followed when that entry is by the old registry and names the new key, when what was seen of the old log is within
//! the head that it names, and when it has every entry of that; otherwise whoever answers could show any log.

use mesh_ideas_core::check::check_entry;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, Entry, LedgerCheckpoint, Say},
};
use mesh_tlog::{Hash, SignedCheckpoint, TreeHead};

use super::{
    carried::Carried,
    memory::{Memory, Next, trusted, vouched},
    tiles::Source,
};
use crate::{client::Client, output};

/// Logs that one is followed through; more have not been begun anew meanwhile.
const ORIGINS_MAX: usize = 64;

/// A log that shows another key than the one that is remembered.
#[derive(Debug)]
pub(super) struct Moved<'a> {
    pub(super) client: &'a Client,
    pub(super) memory: &'a Memory,
    /// What it shows.
    pub(super) shown: &'a LedgerCheckpoint,
    /// The head in that.
    pub(super) seen: &'a SignedCheckpoint,
    /// The key that is remembered.
    pub(super) key: &'a str,
    /// The head that is remembered.
    pub(super) head: Option<SignedCheckpoint>,
    /// The registry's keys that are remembered.
    pub(super) registry: Vec<AuthorId>,
}

/// The first entries that lead from a new log back to the one that is remembered, newest first.
#[derive(Debug)]
pub(super) struct Steps(Vec<Entry>);

impl Moved<'_> {
    /// Follows it from the head that is remembered. Of large logs that takes long, and changes nothing.
    ///
    /// # Errors
    /// `E_LEDGER_FORK`, `E_LEDGER_ROLLBACK` naming the evidence; and whatever keeps the log's files from being read.
    pub(super) async fn follow(&self) -> Result<Steps, Problem> {
        let old = trusted(self.key)?;
        if vouched(&trusted(&self.shown.key)?, &self.shown.authors)?.is_empty() {
            let problem = fork("it does not say which keys its registry has".into());
            return Err(self.refused(&problem));
        }
        match self.steps(old.origin()).await {
            Ok(steps) => Ok(Steps(steps)),
            Err(problem) if is_refusal(&problem) => Err(self.refused(&problem)),
            Err(problem) => Err(problem),
        }
    }

    /// Remembers the new log instead of the old one, which is kept as evidence.
    ///
    /// # Errors
    /// `E_FILE`.
    pub(super) fn remember(&self, Steps(steps): &Steps) -> Result<(), Problem> {
        let next = Next {
            key: &self.shown.key,
            authors: &self.shown.authors,
            checkpoint: &self.seen.to_string(),
        };
        let entries: Vec<String> = steps.iter().map(text_of).collect();
        let kept = self.memory.move_on(&next, &[("origins", entries.join("\n"))])?;
        output::note(format!(
            "the log {} goes on as {}, which names the old one's last head; what was remembered is kept in {}",
            trusted(self.key)?.origin(),
            self.seen.origin(),
            kept.display()
        ));
        Ok(())
    }

    async fn steps(&self, old_origin: &str) -> Result<Vec<Entry>, Problem> {
        let (mut origin, mut head) = (self.seen.origin().to_owned(), self.seen.head());
        let mut key = Some(self.shown.key.as_str());
        let mut steps = Vec::new();
        while steps.len() < ORIGINS_MAX {
            let version = version_of(&origin);
            let first = Source { client: self.client, version }.first_entry(head).await?;
            let (before, named) = beginning(&first, &self.registry, key.take())?;
            steps.push(first);
            if before == old_origin {
                self.check_within(&before, named).await?;
                self.check_carried(&before, named).await?;
                return Ok(steps);
            }
            (origin, head) = (before, named);
        }
        Err(fork(format!("{} does not lead back to {old_origin}", self.seen.origin())))
    }

    /// What was seen of the old log is within the head that it is said to have ended with.
    async fn check_within(&self, origin: &str, named: TreeHead) -> Result<(), Problem> {
        let Some(seen) = &self.head else { return Ok(()) };
        let ours = seen.head();
        if ours.size > named.size {
            let detail = format!(
                "{} goes on from {} entries of {origin}, and {} were seen",
                self.seen.origin(),
                named.size,
                ours.size
            );
            return Err(Problem::new(ErrorCode::LedgerRollback, detail));
        }
        let proof = self.proof(origin, ours, named).await?;
        mesh_tlog::verify_consistency(ours, named, &proof).map_err(|error| {
            fork(format!(
                "{} goes on from {} entries of {origin} that are not those that were seen: {error}",
                self.seen.origin(),
                named.size
            ))
        })
    }

    /// What was seen of the old log is in the new one.
    async fn check_carried(&self, origin: &str, named: TreeHead) -> Result<(), Problem> {
        let Some(seen) =
            self.head.as_ref().map(SignedCheckpoint::head).filter(|seen| seen.size > 0)
        else {
            return Ok(());
        };
        let carried = Carried {
            old: Source { client: self.client, version: version_of(origin) },
            new: Source { client: self.client, version: version_of(self.seen.origin()) },
            origin,
            named,
            seen,
        };
        carried.check(self.seen.head()).await
    }

    async fn proof(
        &self,
        origin: &str,
        ours: TreeHead,
        named: TreeHead,
    ) -> Result<Vec<Hash>, Problem> {
        if ours.size == named.size || ours.size == 0 {
            return Ok(Vec::new());
        }
        let source = Source { client: self.client, version: version_of(origin) };
        match source.consistency(ours.size, named).await {
            Err(problem) if problem.code == ErrorCode::NotFound => Err(fork(format!(
                "that the {} entries seen of {origin} are among the {} from which {} goes on cannot be proved: \
                 the files of {origin} are gone",
                ours.size,
                named.size,
                self.seen.origin()
            ))),
            proof => proof,
        }
    }

    fn refused(&self, problem: &Problem) -> Problem {
        let mut files = vec![
            ("seen.checkpoint", self.seen.to_string()),
            ("seen.key", self.shown.key.clone()),
            ("remembered.key", self.key.to_owned()),
        ];
        files.extend(self.head.iter().map(|head| ("remembered.checkpoint", head.to_string())));
        let detail = format!(
            "the log shows the key {}, and {} was seen first: {}",
            self.shown.key, self.key, problem.detail
        );
        let evidence = match self.memory.keep_evidence(&files) {
            Ok(kept) => format!("the evidence is in {}", kept.display()),
            Err(error) => format!("the evidence could not be kept: {error}"),
        };
        Problem::new(problem.code, detail).hint(format!(
            "{evidence}; if whoever runs the registry says by another way that this key is right, move {} away",
            self.memory.dir().display()
        ))
    }
}

/// What the first entry of a log says of the one before, if it may say so.
fn beginning(
    first: &Entry,
    registry: &[AuthorId],
    key: Option<&str>,
) -> Result<(String, TreeHead), Problem> {
    let Say::Origin { old_origin, old_size, old_root, key: named } = &first.say else {
        return Err(fork("its first entry names no log before it".into()));
    };
    if registry.is_empty() {
        return Err(fork("which keys the old log's registry had was never seen here".into()));
    }
    check_entry(first, registry)
        .map_err(|problem| fork(format!("its first entry is not the registry's: {problem}")))?;
    if key.is_some_and(|key| named.as_deref() != Some(key)) {
        return Err(fork("its first entry is that of a log with another key".into()));
    }
    Ok((old_origin.clone(), TreeHead { size: *old_size, root: Hash(old_root.0) }))
}

/// The version in an origin, under which the registry keeps its files.
fn version_of(origin: &str) -> Option<u32> {
    origin.rsplit_once("/v")?.1.parse().ok()
}

fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.code, ErrorCode::LedgerFork | ErrorCode::LedgerRollback | ErrorCode::Integrity)
}

fn fork(detail: String) -> Problem {
    Problem::new(ErrorCode::LedgerFork, detail)
}

fn text_of(entry: &Entry) -> String {
    String::from_utf8_lossy(&mesh_ideas_core::entry::leaf_data(entry)).into_owned()
}
