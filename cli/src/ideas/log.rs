//! The log as this user knows it: the key that was seen first, the last head that was accepted, and the files
//! fetched so far. A head that is older, or that does not continue the last one, is refused and kept as evidence.

use std::{
    io,
    path::{Path, PathBuf},
};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerCheckpoint, LedgerProof},
};
use mesh_tlog::{
    Evidence, Hash, Level, ReadTiles, Remembered, SignedCheckpoint, Tile, TrustedLog, Verdict,
    VerifierKey,
};

use super::{private_dir, state_dir};
use crate::{client::Client, context, output};

/// The log of one cluster.
pub(crate) struct Log {
    client: Client,
    dir: PathBuf,
    key: String,
    trusted: TrustedLog,
    /// The head that was accepted.
    pub(crate) head: SignedCheckpoint,
}

impl Log {
    /// Fetches the latest head and judges it by the last one.
    pub(crate) async fn open(client: Client) -> Result<Self, Problem> {
        let latest: LedgerCheckpoint = client.get("/ledger/checkpoint").await?;
        let dir = dir_of(&client)?;
        let key = pinned_key(&dir, &latest.key)?;
        let trusted = trusted(&key)?;
        let seen = opened(&trusted, &latest.note)?;
        let head = match read(&dir.join("checkpoint"))? {
            None => seen,
            Some(text) => {
                let remembered = Remembered::new(opened(&trusted, &text)?);
                accepted(&client, &dir, &remembered, seen).await?
            }
        };
        write(&dir.join("checkpoint"), head.to_string().as_bytes())?;
        Ok(Self { client, dir, key, trusted, head })
    }

    /// The log's key, as it was seen first.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Reads a signed head of this log.
    pub(crate) fn opened(&self, note: &str) -> Result<SignedCheckpoint, Problem> {
        opened(&self.trusted, note)
    }

    /// Fetches every file of the accepted head that is not here yet; full ones never change.
    pub(crate) async fn mirror(&self, mut progress: impl FnMut(u64)) -> Result<Files, Problem> {
        let files = Files { dir: self.dir.join("files") };
        let size = self.head.head().size;
        let levels = std::iter::once(Level::Entries).chain((0..8).map(Level::Hashes));
        for level in levels {
            for index in 0.. {
                let Some(tile) = Tile::in_log(level, index, size) else { break };
                self.fetch(&files, &tile).await?;
                if level == Level::Entries {
                    progress(tile.first_leaf() + u64::from(tile.width()));
                }
            }
        }
        Ok(files)
    }

    async fn fetch(&self, files: &Files, tile: &Tile) -> Result<(), Problem> {
        if files.path(tile).exists() || files.path(&tile.full()).exists() {
            return Ok(());
        }
        let (tile, bytes) = match self.bytes(tile).await {
            // The log has grown meanwhile, and its partial tile is gone: the full one has the same in front.
            Err(problem) if problem.code == ErrorCode::NotFound && !tile.is_full() => {
                (tile.full(), self.bytes(&tile.full()).await?)
            }
            bytes => (*tile, bytes?),
        };
        let file = files.path(&tile);
        if let Some(dir) = file.parent() {
            private_dir(dir.to_owned())?;
        }
        write(&file, &bytes)
    }

    async fn bytes(&self, tile: &Tile) -> Result<Vec<u8>, Problem> {
        self.client.bytes(&format!("/ledger/log/{tile}")).await.map(Into::into)
    }

    /// Forgets the fetched files, so that they are fetched anew.
    pub(crate) fn forget_files(&self) {
        // What is not there need not be forgotten.
        let _ = std::fs::remove_dir_all(self.dir.join("files"));
    }
}

/// The fetched files.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    fn path(&self, tile: &Tile) -> PathBuf {
        self.dir.join(tile.to_string())
    }
}

impl ReadTiles for Files {
    type Error = io::Error;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, io::Error> {
        match std::fs::read(self.path(tile)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The verifier of a key's text.
pub(crate) fn trusted(key: &str) -> Result<TrustedLog, Problem> {
    let parsed = VerifierKey::parse(key.trim());
    let bad = |error: &dyn std::fmt::Display| {
        Problem::new(ErrorCode::Integrity, format!("the log's key cannot be used: {error}"))
    };
    TrustedLog::from_key(parsed.map_err(|error| bad(&error))?).map_err(|error| bad(&error))
}

/// The key that was seen first, without asking anybody.
pub(crate) fn log_key(client: &Client) -> Result<String, Problem> {
    read(&dir_of(client)?.join("key"))?.ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, "the log's key is not known here")
            .hint("`mesh ideas verify` fetches it, or pass --key")
    })
}

fn opened(trusted: &TrustedLog, note: &str) -> Result<SignedCheckpoint, Problem> {
    trusted.open(note.as_bytes()).map_err(|error| {
        Problem::new(ErrorCode::Integrity, format!("the log's head is not to be believed: {error}"))
    })
}

/// One directory for each cluster, as the user names it.
fn dir_of(client: &Client) -> Result<PathBuf, Problem> {
    let name = mesh_fabric::ids::sha256(client.servers().as_bytes());
    let name = data_encoding::HEXLOWER.encode(&name[..8]);
    private_dir(state_dir()?.join("ledger").join(name))
}

fn pinned_key(dir: &Path, shown: &str) -> Result<String, Problem> {
    let file = dir.join("key");
    match read(&file)? {
        None => {
            write(&file, shown.as_bytes())?;
            output::note(format!("the log's key from now on: {shown}"));
            Ok(shown.to_owned())
        }
        Some(key) if key == shown => Ok(key),
        Some(key) => Err(Problem::new(
            ErrorCode::LedgerFork,
            format!("the log shows the key {shown}, and {key} was seen first"),
        )
        .hint(format!("if the log was begun anew on purpose, remove {}", dir.display()))),
    }
}

async fn accepted(
    client: &Client,
    dir: &Path,
    remembered: &Remembered,
    seen: SignedCheckpoint,
) -> Result<SignedCheckpoint, Problem> {
    let mut verdict = judged(client, dir, remembered, seen.clone()).await?;
    // A wrong proof for a sound log is no fork: it is asked for once more.
    if matches!(&verdict, Verdict::Fork(evidence) if !evidence.is_conclusive()) {
        verdict = judged(client, dir, remembered, seen).await?;
    }
    match verdict {
        Verdict::Accept(accepted) => Ok(accepted.checkpoint().clone()),
        Verdict::Rollback(evidence) => Err(refused(dir, ErrorCode::LedgerRollback, &evidence)),
        Verdict::Fork(evidence) => Err(refused(dir, ErrorCode::LedgerFork, &evidence)),
    }
}

async fn judged(
    client: &Client,
    dir: &Path,
    remembered: &Remembered,
    seen: SignedCheckpoint,
) -> Result<Verdict, Problem> {
    let (seen, proof) = match remembered.proof_wanted(&seen) {
        None => (seen, Vec::new()),
        Some(size) => {
            let proof: LedgerProof = client.get(&format!("/ledger/proof?old_size={size}")).await?;
            let hashes = proof.consistency.iter().map(|hash| Hash(hash.0)).collect();
            let key = pinned_key(dir, &proof.checkpoint.key)?;
            // The log may have grown since: the proof leads to the head that came with it.
            (opened(&trusted(&key)?, &proof.checkpoint.note)?, hashes)
        }
    };
    let judged = remembered.judge(seen, &proof);
    judged.map_err(|other| Problem::new(ErrorCode::LedgerFork, other.to_string()))
}

fn refused(dir: &Path, code: ErrorCode, evidence: &Evidence) -> Problem {
    let kept = dir.join(format!("evidence-{}", mesh_fabric::time::now().as_millis()));
    let problem = Problem::new(code, evidence.to_string());
    let keep = || -> Result<(), Problem> {
        private_dir(kept.clone())?;
        evidence
            .files()
            .iter()
            .try_for_each(|(name, text)| write(&kept.join(name), text.as_bytes()))
    };
    match keep() {
        Ok(()) => problem.hint(format!("the evidence is in {}", kept.display())),
        Err(error) => problem.hint(format!("the evidence could not be kept: {error}")),
    }
}

fn read(file: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(context::io("read", file, &error)),
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    mesh_fabric::files::write_durable(file, bytes)
        .map_err(|error| context::io("write", file, &error))
}
