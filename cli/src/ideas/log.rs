//! The log as this user knows it. A head that is older, that does not continue the last one, or that too few of the named
//! witnesses have cosigned is refused; what convicts the log is kept as evidence.

use std::time::{Duration, Instant};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, LedgerCheckpoint},
};
use mesh_tlog::{Evidence, Hash, Level, Remembered, SignedCheckpoint, Tile, TrustedLog, Verdict};

use super::{
    memory::{Memory, opened, trusted, vouched},
    origin::Moved,
    tiles::{Files, Source},
    witnesses::Witnesses,
};
use crate::{client::Client, output};

/// How long a head is waited for that witnesses have cosigned, which they do about once a second; and one that has an entry
/// which is durable.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks. A busy log has a new head, which nobody has cosigned yet, four times a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often a log may be begun anew while a command follows it.
const MOVES_MAX: usize = 4;

/// What a log shows, with its verifier and its head.
type Shown = (LedgerCheckpoint, TrustedLog, SignedCheckpoint);

/// The log of one cluster.
pub(crate) struct Log {
    client: Client,
    memory: Memory,
    key: String,
    witnesses: Witnesses,
    /// The keys that the registry has or had.
    authors: Vec<AuthorId>,
    /// The head that was accepted.
    pub(crate) head: SignedCheckpoint,
}

impl Log {
    /// Fetches the latest head and judges it by the witnesses and the last one.
    ///
    /// # Errors
    /// `E_LEDGER_UNWITNESSED`, `E_LEDGER_ROLLBACK`, `E_LEDGER_FORK`, `E_INTEGRITY`; and whatever keeps the registry from
    /// being asked.
    pub(crate) async fn open(client: Client, witnesses: Witnesses) -> Result<Self, Problem> {
        let memory = Memory::of(&client)?;
        for _ in 0..MOVES_MAX {
            // Of two commands at once the one with the older head would see the log go back.
            let held = memory.hold().await?;
            let key = memory.key()?;
            let (shown, log, seen) = witnessed(&client, &witnesses, key.as_deref()).await?;
            let Some(other) = key.as_ref().filter(|key| **key != shown.key) else {
                let shown = (shown, log, seen);
                return Self::open_held(client, witnesses, memory, (key, shown)).await;
            };
            let (client, memory, key) = (&client, &memory, other.as_str());
            let old = trusted(key)?;
            let (head, registry) = (memory.head(&old)?, memory.authors(&old)?);
            let moved = Moved { client, memory, shown: &shown, seen: &seen, key, head, registry };
            // Large logs take long to be compared: nobody is kept waiting for it.
            drop(held);
            let steps = moved.follow().await?;
            let _held = memory.hold().await?;
            // Unless another command has followed it meanwhile.
            if memory.key()?.as_deref() == Some(key) && memory.head(&old)? == moved.head {
                moved.remember(&steps)?;
            }
        }
        let detail = "the log was begun anew again and again while it was followed";
        Err(Problem::new(ErrorCode::Busy, detail).hint("try again in a minute"))
    }

    /// With what is remembered held, of a log that has the key that is remembered, or none is.
    async fn open_held(
        client: Client,
        witnesses: Witnesses,
        memory: Memory,
        (key, (shown, log, seen)): (Option<String>, Shown),
    ) -> Result<Self, Problem> {
        let mut authors = vouched(&log, &shown.authors)?;
        match key {
            None => {
                memory.keep_key(&shown.key)?;
                memory.keep_authors(&shown.authors)?;
                output::note(format!("the log's key from now on: {}", shown.key));
            }
            Some(_) => {
                let remembered = memory.authors(&log)?;
                if remembered.is_empty() && !authors.is_empty() {
                    memory.keep_authors(&shown.authors)?;
                }
                authors = same_authors(remembered, authors)?;
            }
        }
        let head = match memory.head(&log)? {
            None => seen,
            Some(head) => accepted(&client, &memory, &Remembered::new(head), seen).await?,
        };
        memory.keep_head(&head)?;
        Ok(Self { client, memory, key: shown.key, witnesses, authors, head })
    }

    /// Waits for a head that has the entry with this index.
    ///
    /// # Errors
    /// As [`Self::open`]; `E_BUSY` when there is none in time.
    pub(crate) async fn reaching(mut self, index: u64) -> Result<Self, Problem> {
        let begun = Instant::now();
        while self.head.head().size <= index {
            if begun.elapsed() > HEAD_WITHIN {
                let detail = format!("the log's head has not come to entry {index} yet");
                return Err(Problem::new(ErrorCode::Busy, detail).hint("try again in a minute"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
            self = Self::open(self.client, self.witnesses).await?;
        }
        Ok(self)
    }

    /// The log's key, as it was seen first.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// How many witnesses must have cosigned the head.
    pub(crate) const fn quorum(&self) -> usize {
        self.witnesses.quorum()
    }

    /// The keys that the registry has or had, as the log's key vouches for them.
    ///
    /// # Errors
    /// `E_INTEGRITY` when it names none.
    pub(crate) fn authors(&self) -> Result<Vec<AuthorId>, Problem> {
        if self.authors.is_empty() {
            let detail = "the registry does not say which keys are its own";
            return Err(
                Problem::new(ErrorCode::Integrity, detail).hint("is it of an older version?")
            );
        }
        Ok(self.authors.clone())
    }

    /// The proof that the entry with this index is in the log of the accepted head.
    ///
    /// # Errors
    /// `E_INTEGRITY`; and whatever keeps the log's files from being read.
    pub(crate) async fn inclusion(&self, index: u64) -> Result<Vec<Hash>, Problem> {
        self.source().inclusion(index, self.head.head()).await
    }

    /// Fetches every file of the accepted head that is not here yet; full ones never change.
    pub(crate) async fn mirror(&self, mut progress: impl FnMut(u64)) -> Result<Files, Problem> {
        let files = Files::below(self.memory.dir());
        let size = self.head.head().size;
        let levels = std::iter::once(Level::Entries).chain((0..8).map(Level::Hashes));
        for level in levels {
            for index in 0.. {
                let Some(tile) = Tile::in_log(level, index, size) else { break };
                files.fetch(self.source(), &tile).await?;
                if level == Level::Entries {
                    progress(tile.first_leaf() + u64::from(tile.width()));
                }
            }
        }
        Ok(files)
    }

    /// Forgets the fetched files, so that they are fetched anew.
    pub(crate) fn forget_files(&self) {
        Files::below(self.memory.dir()).forget();
    }

    const fn source(&self) -> Source<'_> {
        Source { client: &self.client, version: None }
    }
}

/// The key that was seen first, without asking anybody.
pub(crate) fn log_key(client: &Client) -> Result<String, Problem> {
    Memory::of(client)?.key()?.ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, "the log's key is not known here")
            .hint("`mesh ideas verify` fetches it, or pass --key")
    })
}

/// A head that enough witnesses have cosigned and that is no older than the first one shown, by the key that comes with it: a
/// busy log has a new one before they have. A log with another key than `known` has first an empty head, in which it
/// cannot say yet where it comes from.
async fn witnessed(
    client: &Client,
    witnesses: &Witnesses,
    known: Option<&str>,
) -> Result<Shown, Problem> {
    let begun = Instant::now();
    let mut least = None;
    loop {
        let shown: LedgerCheckpoint = client.get("/ledger/checkpoint").await?;
        let log = trusted(&shown.key)?;
        let mut seen = opened(&log, &shown.note)?;
        let size = seen.head().size;
        let least = *least.get_or_insert(size);
        if !shown.cosigned.is_empty() && witnesses.check(&seen).is_err() {
            let cosigned = opened(&log, &shown.cosigned)?;
            let is_enough = cosigned.head().size >= least && witnesses.check(&cosigned).is_ok();
            if is_enough {
                seen = cosigned;
            }
        }
        let is_new = known.is_some_and(|known| known != shown.key);
        let is_empty = is_new && seen.head().size == 0 && begun.elapsed() <= HEAD_WITHIN;
        match witnesses.check(&seen) {
            Ok(()) if is_empty => tokio::time::sleep(LOOK_EVERY).await,
            Ok(()) => return Ok((shown, log, seen)),
            Err(problem) if begun.elapsed() > HEAD_WITHIN => return Err(problem),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The registry's keys, of which a log has the same as long as it has its own key; those that were remembered, unless there
/// were none. An answer without them takes nothing away.
fn same_authors(remembered: Vec<AuthorId>, shown: Vec<AuthorId>) -> Result<Vec<AuthorId>, Problem> {
    if remembered.is_empty() {
        return Ok(shown);
    }
    let Some(other) = shown.iter().find(|author| !remembered.contains(author)) else {
        return Ok(remembered);
    };
    let detail = format!("the log names {other} as a key of its registry, and did not before");
    Err(Problem::new(ErrorCode::Integrity, detail)
        .hint("who runs the registry says by another way whether that is right"))
}

async fn accepted(
    client: &Client,
    memory: &Memory,
    remembered: &Remembered,
    seen: SignedCheckpoint,
) -> Result<SignedCheckpoint, Problem> {
    let mut verdict = judged(client, memory, remembered, seen.clone()).await?;
    // A wrong proof for a sound log is no fork: it is made once more.
    if matches!(&verdict, Verdict::Fork(evidence) if !evidence.is_conclusive()) {
        verdict = judged(client, memory, remembered, seen).await?;
    }
    match verdict {
        Verdict::Accept(accepted) => Ok(accepted.checkpoint().clone()),
        Verdict::Rollback(evidence) => Err(refused(memory, ErrorCode::LedgerRollback, &evidence)),
        Verdict::Fork(evidence) => Err(refused(memory, ErrorCode::LedgerFork, &evidence)),
    }
}

async fn judged(
    client: &Client,
    memory: &Memory,
    remembered: &Remembered,
    seen: SignedCheckpoint,
) -> Result<Verdict, Problem> {
    let proof = match remembered.proof_wanted(&seen) {
        None => Vec::new(),
        Some(size) => {
            let proof = Source { client, version: None }.consistency(size, seen.head()).await;
            proof.map_err(|problem| unproved(memory, remembered, &seen, problem))?
        }
    };
    let judged = remembered.judge(seen, &proof);
    judged.map_err(|other| Problem::new(ErrorCode::LedgerFork, other.to_string()))
}

/// A log that forked has no proof to show: both heads are kept, which others can ask it about.
fn unproved(
    memory: &Memory,
    remembered: &Remembered,
    seen: &SignedCheckpoint,
    problem: Problem,
) -> Problem {
    if !matches!(problem.code, ErrorCode::Integrity | ErrorCode::NotFound) {
        return problem;
    }
    let remembered = remembered.checkpoint();
    let (old, new) = (remembered.head().size, seen.head().size);
    let files =
        [("remembered.checkpoint", remembered.to_string()), ("seen.checkpoint", seen.to_string())];
    let detail = format!(
        "that the log's {new} entries go on from the {old} seen before cannot be proved: {}",
        problem.detail
    );
    evident(memory, Problem::new(ErrorCode::Integrity, detail), &files)
}

fn refused(memory: &Memory, code: ErrorCode, evidence: &Evidence) -> Problem {
    evident(memory, Problem::new(code, evidence.to_string()), &evidence.files())
}

/// Keeps the evidence of a problem, and names the place.
fn evident(memory: &Memory, problem: Problem, files: &[(&str, String)]) -> Problem {
    match memory.keep_evidence(files) {
        Ok(kept) => problem.hint(format!("the evidence is in {}", kept.display())),
        Err(error) => problem.hint(format!("the evidence could not be kept: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_keys_stay_whatever_is_answered() {
        let [ours, other] = [AuthorId([1; 32]), AuthorId([2; 32])];
        assert_eq!(same_authors(Vec::new(), vec![ours]).unwrap(), [ours]);
        assert_eq!(same_authors(vec![ours], Vec::new()).unwrap(), [ours]);
        assert_eq!(same_authors(vec![ours, other], vec![ours]).unwrap(), [ours, other]);
        for shown in [vec![other], vec![ours, other]] {
            let problem = same_authors(vec![ours], shown).unwrap_err();
            assert_eq!(problem.code, ErrorCode::Integrity, "{problem}");
        }
    }
}
