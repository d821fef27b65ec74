//! The log as others check it: checkpoints, proofs, tiles and entries.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use mesh_fabric::error::chain;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{EntryId, LedgerAnswer, LedgerCheckpoint, LedgerProof, LogEntry, Sha256},
};
use mesh_tlog::{
    CHECKPOINT_PATH, Hash, ProveError, Prover, ReadTiles as _, SignedCheckpoint, Tile,
};

use super::Answers;

/// An entry is signed so soon after it is durable.
const SIGNED_WITHIN: Duration = Duration::from_secs(10);
/// Most entries of one answer.
const ENTRIES_MAX: u64 = 256;
/// Most bytes of entries in one answer; with fewer entries than asked for it is asked again.
const ENTRY_BYTES_MAX: usize = 1 << 20;

impl Answers {
    /// The latest signed checkpoint, and as it is shown.
    pub(super) fn checkpoint(&self) -> Result<(Arc<SignedCheckpoint>, LedgerCheckpoint), Problem> {
        let latest = self.shared.head.latest().ok_or_else(|| self.unsigned())?;
        let shown = self.shown(&latest)?;
        Ok((latest, shown))
    }

    pub(super) async fn prove(
        &self,
        entry: Option<EntryId>,
        old_size: Option<u64>,
    ) -> Result<LedgerProof, Problem> {
        let index = match entry {
            Some(entry) => Some(self.index(entry).await?),
            None => None,
        };
        let latest = self.signed_beyond(index).await?;
        let (tiles, head) = (self.shared.head.tiles().clone(), latest.head());
        let mut prover = Prover::new(tiles, head);
        let inclusion =
            index.map(|index| prover.inclusion(index)).transpose().map_err(|e| unproved(&e))?;
        let consistency =
            old_size.map(|size| prover.consistency(size)).transpose().map_err(|e| unproved(&e))?;
        let entry = match index {
            Some(index) => self.log_entries(index, 1).await?.pop(),
            None => None,
        };
        Ok(LedgerProof {
            checkpoint: self.shown(&latest)?,
            entry,
            inclusion: hashes(inclusion),
            consistency: hashes(consistency),
        })
    }

    pub(super) fn tile(&self, path: &str) -> Result<LedgerAnswer, Problem> {
        let missing = || {
            let shown = mesh_schemas::text::shown(path);
            Problem::new(ErrorCode::NotFound, format!("the log has no file {shown}")).at("path")
        };
        let tiles = self.shared.head.tiles();
        let bytes = if path == CHECKPOINT_PATH {
            Ok(Some(self.checkpoint()?.0.to_string().into_bytes()))
        } else if let Some((version, path)) = versioned(path) {
            let former = tiles.of_version(version);
            match path.parse::<Tile>() {
                Ok(tile) => former.read(&tile),
                Err(_) if path == CHECKPOINT_PATH => former.checkpoint(),
                Err(_) => return Err(missing()),
            }
        } else {
            tiles.read(&path.parse::<Tile>().map_err(|_| missing())?)
        };
        let bytes = bytes.map_err(|error| {
            Problem::new(ErrorCode::Io, format!("a file of the log cannot be read: {error}"))
        })?;
        Ok(LedgerAnswer::Tile { data: BASE64.encode(&bytes.ok_or_else(missing)?) })
    }

    pub(super) async fn entries(&self, from: u64, count: u32) -> Result<LedgerAnswer, Problem> {
        if !(1..=ENTRIES_MAX).contains(&u64::from(count)) {
            let detail = format!("count is {count}; allowed are 1 to {ENTRIES_MAX}");
            return Err(Problem::invalid("count", detail));
        }
        Ok(LedgerAnswer::Entries { items: self.log_entries(from, u64::from(count)).await? })
    }

    async fn log_entries(&self, from: u64, count: u64) -> Result<Vec<LogEntry>, Problem> {
        let leaves = self.shared.store.leaves(self.shared.identity.version, from, count).await?;
        let mut bytes = 0;
        let fits = |entry: &LogEntry| {
            // The first one in any case.
            let fits = bytes == 0 || bytes + entry.data.len() <= ENTRY_BYTES_MAX;
            bytes += entry.data.len();
            fits
        };
        let entries =
            leaves.into_iter().map(|leaf| LogEntry { index: leaf.index, data: leaf.data });
        Ok(entries.take_while(fits).collect())
    }

    async fn index(&self, entry: EntryId) -> Result<u64, Problem> {
        let found = self.shared.store.index_for(self.shared.identity.version, entry).await?;
        found.ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, format!("there is no entry {entry}")).at("entry")
        })
    }

    /// The latest checkpoint that has this index.
    async fn signed_beyond(&self, index: Option<u64>) -> Result<Arc<SignedCheckpoint>, Problem> {
        let mut heads = self.shared.head.watch();
        let is_wanted = |latest: &Option<Arc<SignedCheckpoint>>| match (latest, index) {
            (Some(latest), Some(index)) => latest.head().size > index,
            (latest, _) => latest.is_some(),
        };
        if !is_wanted(&heads.borrow()) {
            // Nobody knows how long that takes.
            self.shared.unheard.check()?;
        }
        let wanted = heads.wait_for(is_wanted);
        match tokio::time::timeout(SIGNED_WITHIN, wanted).await {
            Ok(Ok(latest)) => latest.clone().ok_or_else(|| self.unsigned()),
            Ok(Err(_)) | Err(_) => Err(self.unsigned()),
        }
    }

    fn shown(&self, checkpoint: &SignedCheckpoint) -> Result<LedgerCheckpoint, Problem> {
        let identity = &self.shared.identity;
        let (note, key) = (checkpoint.to_string(), identity.signer.verifier().to_string());
        let cosigned = self.shared.head.cosigned().map(|head| head.to_string()).unwrap_or_default();
        Ok(LedgerCheckpoint { note, key, authors: identity.authors_note()?, cosigned })
    }

    fn unsigned(&self) -> Problem {
        let known = self.shared.halt.check().and_then(|()| self.shared.unheard.check());
        known.err().unwrap_or_else(|| {
            Problem::new(ErrorCode::LedgerDown, "it is durable and not signed yet")
                .hint("try again in a second")
        })
    }
}

/// `v1/tile/…`: a file of the log with that version, which may be a former one. Who followed it checks with it that the
/// log that goes on names its end.
fn versioned(path: &str) -> Option<(u32, &str)> {
    let (version, path) = path.strip_prefix('v')?.split_once('/')?;
    let is_plain = !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    Some((version.parse().ok().filter(|_| is_plain)?, path))
}

fn hashes(proof: Option<Vec<Hash>>) -> Vec<Sha256> {
    proof.into_iter().flatten().map(|hash| Sha256(hash.0)).collect()
}

fn unproved(error: &ProveError<std::io::Error>) -> Problem {
    match error {
        ProveError::Proof(mesh_tlog::ProofError::Shrunk { old, new }) => {
            let detail = format!("old_size is {old}, and the log has {new} signed entries");
            Problem::new(ErrorCode::LedgerRollback, detail).at("old_size")
        }
        ProveError::Proof(_) | ProveError::Tile(_) => {
            Problem::new(ErrorCode::Integrity, format!("there is no proof: {}", chain(error)))
                .hint("`mesh-ideas verify` names what is damaged")
        }
    }
}
