//! Who the registry is: the log's origin and key, and its own key as an author of entries.
//!
//! Made once, at the first start, in a file that only its owner reads. The database knows the public half, so
//! that a file that was lost or exchanged is noticed; a log with leaves never gets another key.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use mesh_fabric::{files::write_private, ids, time};
use mesh_ideas_core::{SigningKey, author_of};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AUTHORS_STATEMENT, AuthorId},
};
use mesh_tlog::{KeyKind, SignerKey, TrustedLog, sign_statement};
use serde::{Deserialize, Serialize};

use crate::store::{LogRow, Store, WriterLock};

/// The file's name in the data directory.
const FILE: &str = "identity.json";

/// The registry's secrets and names.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The version in the origin, from 1.
    pub version: u32,
    /// Signs checkpoints; its name is the origin.
    pub signer: SignerKey,
    /// Signs the registry's own entries.
    pub author_key: SigningKey,
    /// What the registry signed its own entries with, now and before.
    pub authors: Vec<AuthorId>,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// The origin without its version.
    name: String,
    log_key: String,
    author_seed: String,
}

impl Identity {
    /// The log's origin.
    pub fn origin(&self) -> &str {
        self.signer.verifier().name()
    }

    /// The registry as an author.
    pub fn author(&self) -> AuthorId {
        author_of(&self.author_key)
    }

    /// Which keys the registry's own entries are signed with, signed by the log's key.
    ///
    /// # Errors
    /// `E_INTERNAL`; the key is one of a log, and authors have no spaces.
    pub(crate) fn authors_note(&self) -> Result<String, Problem> {
        let authors: Vec<String> = self.authors.iter().map(ToString::to_string).collect();
        sign_statement(AUTHORS_STATEMENT, &authors, &self.signer)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))
    }

    /// The log as a verifier sees it.
    ///
    /// # Errors
    /// `E_INTERNAL`; the key is one of a log.
    pub fn trusted(&self) -> Result<TrustedLog, Problem> {
        TrustedLog::from_key(self.signer.verifier().clone())
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))
    }

    /// Reads the identity, or makes it when there is neither a file nor a log.
    ///
    /// # Errors
    /// `E_CONFIG` when the file is missing or belongs to another log, `E_IO`, `E_STORE_DOWN`.
    pub(crate) async fn open(
        dir: &Path,
        host: Option<&str>,
        store: &Store,
        lock: &WriterLock,
    ) -> Result<Self, Problem> {
        let logs = store.logs().await?;
        let stored = match (read(dir)?, logs.is_empty()) {
            (Some(stored), _) => stored,
            (None, true) => make(dir, &Stored::new(&name_for(host), 1))?,
            (None, false) => return Err(lost(dir)),
        };
        let identity = stored.identity(&logs)?;
        match logs.last() {
            Some(last) => identity.check(last, dir)?,
            None => identity.begin_log(store, lock).await?,
        }
        Ok(identity)
    }

    /// What the file says, if there is one.
    pub(crate) fn of_file(dir: &Path, logs: &[LogRow]) -> Result<Option<Self>, Problem> {
        read(dir)?.map(|stored| stored.identity(logs)).transpose()
    }

    /// The identity of the log that follows `last`, in the place of the one there was, which is kept beside it.
    ///
    /// The key is always made anew: one that lies here may have signed what the database has forgotten. The
    /// author stays, if the file was there.
    pub(crate) fn following(dir: &Path, last: &LogRow, version: u32) -> Result<Self, Problem> {
        let next = Stored::new(name_of(&last.origin), version);
        let next = match read(dir)? {
            Some(stored) => {
                let kept = dir.join(format!("identity-v{}.json", stored.version));
                if !kept.exists() {
                    write(&kept, &stored)?;
                }
                Stored { author_seed: stored.author_seed, ..next }
            }
            None => next,
        };
        make(dir, &next)?.identity(std::slice::from_ref(last))
    }

    /// The largest version of which something lies in the directory; 0 when nothing does.
    pub(crate) fn last_version(dir: &Path) -> Result<u32, Problem> {
        let io = |error: std::io::Error| {
            Problem::new(ErrorCode::Io, format!("cannot read {}: {error}", dir.display()))
        };
        let mut last = read(dir)?.map_or(0, |stored| stored.version);
        for entry in std::fs::read_dir(dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let version = name.to_str().and_then(version_in).unwrap_or(0);
            last = last.max(version);
        }
        Ok(last)
    }

    /// Its row.
    pub(crate) fn row(&self) -> LogRow {
        let (version, author) = (self.version, self.author());
        let key = self.signer.verifier().to_string();
        LogRow { version, origin: self.origin().to_owned(), key, author }
    }

    async fn begin_log(&self, store: &Store, lock: &WriterLock) -> Result<(), Problem> {
        let doing = "beginning the log";
        let mut tx = store.begin(lock, doing).await?;
        tx.insert_log(&self.row(), time::now()).await?;
        Ok(tx.commit(doing).await?)
    }

    fn check(&self, last: &LogRow, dir: &Path) -> Result<(), Problem> {
        if *last == self.row() {
            return Ok(());
        }
        let (file, ours, theirs) = (path(dir), self.origin(), &last.origin);
        let detail = format!(
            "{} is of the log {ours}, and the database of {theirs} or of another key",
            file.display()
        );
        Err(Problem::new(ErrorCode::Config, detail)
            .hint("put the file back that belongs to the database; `mesh-ideas restart-origin` goes on without it"))
    }
}

impl Stored {
    fn new(name: &str, version: u32) -> Self {
        let origin = format!("{name}/v{version}");
        let signer = SignerKey::new(&origin, KeyKind::Log, &ids::random());
        let log_key = signer.map(|signer| signer.secret()).unwrap_or_default();
        let author_seed = HEXLOWER.encode(&ids::random::<32>());
        Self { version, name: name.to_owned(), log_key, author_seed }
    }

    fn identity(&self, logs: &[LogRow]) -> Result<Identity, Problem> {
        let seed = HEXLOWER.decode(self.author_seed.as_bytes()).ok();
        let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
        let signer = SignerKey::parse(&self.log_key).ok();
        let origin = format!("{}/v{}", self.name, self.version);
        match (signer, seed) {
            (Some(signer), Some(seed)) if signer.verifier().name() == origin => {
                let author_key = SigningKey::from_bytes(&seed);
                let mut authors: Vec<AuthorId> = logs.iter().map(|log| log.author).collect();
                authors.push(author_of(&author_key));
                authors.sort_unstable();
                authors.dedup();
                Ok(Identity { version: self.version, signer, author_key, authors })
            }
            _ => Err(Problem::new(ErrorCode::Config, format!("{FILE} does not hold an identity"))),
        }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// The origin without its version. Without a host it is one that nobody else has.
fn name_for(host: Option<&str>) -> String {
    let random = || format!("deskmesh-{}", HEXLOWER.encode(&ids::random::<6>()));
    format!("{}/ideas", host.map_or_else(random, str::to_owned))
}

fn read(dir: &Path) -> Result<Option<Stored>, Problem> {
    let (path, shown) = (path(dir), path(dir));
    let shown = shown.display();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Problem::new(ErrorCode::Io, format!("cannot read {shown}: {error}")));
        }
    };
    // The error text of serde_json names a position, never the content.
    let stored = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(ErrorCode::Config, format!("{shown} does not hold an identity: {error}"))
    })?;
    Ok(Some(stored))
}

/// Durable before anything is signed with it.
fn make(dir: &Path, stored: &Stored) -> Result<Stored, Problem> {
    write(&path(dir), stored)?;
    read(dir)?.ok_or_else(|| lost(dir))
}

fn write(path: &Path, stored: &Stored) -> Result<(), Problem> {
    let bytes = serde_json::to_vec_pretty(stored).unwrap_or_default();
    write_private(path, &bytes).map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot write {}: {error}", path.display()))
    })
}

/// The origin without its version.
pub(crate) fn name_of(origin: &str) -> &str {
    origin.rsplit_once("/v").map_or(origin, |(name, _)| name)
}

/// The version in the name of a log's directory, `v2`, or of an old identity, `identity-v2.json`.
fn version_in(name: &str) -> Option<u32> {
    let old = name.strip_prefix("identity-").and_then(|name| name.strip_suffix(".json"));
    old.unwrap_or(name).strip_prefix('v')?.parse().ok()
}

fn lost(dir: &Path) -> Problem {
    let detail = format!("{} is missing, and the database has a log", path(dir).display());
    Problem::new(ErrorCode::Config, detail)
        .hint("put the file back from a backup; `mesh-ideas restart-origin` goes on without it")
}
