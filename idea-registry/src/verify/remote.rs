//! A log as it is served to anybody: tiles and a checkpoint under a URL.

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Audit, AuditError, CHECKPOINT_PATH, ReadTiles, Tile, TrustedLog, VerifierKey};
use tokio::runtime::Handle;

use super::{Checked, Finding, Findings, Report, entry};

/// Longest file of a log.
const FILE_BYTES_MAX: usize = 17 << 20;

/// Where a log is served, and who signs it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The prefix of `checkpoint` and `tile/…`.
    pub url: String,
    /// The log's verifier key, from elsewhere than from there.
    pub key: String,
}

/// Verifies tiles, root, entries and signatures. Call it on a runtime of several threads.
///
/// # Errors
/// `E_INVALID` when the key is none, `E_UNREACHABLE`. What is wrong with the log is in the report.
pub async fn remote(remote: &Remote) -> Result<Report, Problem> {
    let key = VerifierKey::parse(&remote.key).and_then(TrustedLog::from_key);
    let log = key.map_err(|error| Problem::invalid("key", error.to_string()))?;
    let files = Files {
        url: remote.url.trim_end_matches('/').to_owned(),
        http: mesh_fabric::http::client(None)?,
    };
    let note = files.fetch(CHECKPOINT_PATH).await.map_err(|error| away(&error))?;
    let note = note.ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, format!("there is no checkpoint at {}", files.url))
    })?;
    tokio::task::block_in_place(|| verify(&files, &log, &note))
}

fn verify(files: &Files, log: &TrustedLog, note: &[u8]) -> Result<Report, Problem> {
    let mut checked = Checked::default();
    let mut findings = Findings::default();
    let origin = log.origin().to_owned();
    let head = match log.open(note) {
        Ok(checkpoint) => checkpoint.head(),
        Err(error) => {
            findings.add(Finding::of("checkpoint", error.to_string()));
            let (signed, root) = (0, String::new());
            let findings = findings.sorted();
            return Ok(Report { ok: false, origin, signed, root, checked, findings });
        }
    };
    let mut registry = Vec::new();
    let audited = Audit::begin(files, head).and_then(|mut audit| {
        audit.try_for_each(|bundle| {
            for (index, bytes) in bundle?.entries() {
                checked.entries += 1;
                match entry::sound(bytes, &mut registry) {
                    Ok(_) => checked.signatures += 1,
                    Err(detail) => findings.add(Finding::at(index, "entry", detail)),
                }
            }
            Ok(())
        })
    });
    match audited {
        Ok(()) => {}
        Err(AuditError::Found(found)) => {
            findings.add(Finding::at(found.index, "tile", found.to_string()));
        }
        Err(AuditError::Read { source, .. }) => return Err(away(&source)),
    }
    let findings = findings.sorted();
    let (ok, signed, root) = (findings.is_empty(), head.size, head.root.to_string());
    Ok(Report { ok, origin, signed, root, checked, findings })
}

/// Files under a URL.
#[derive(Debug)]
struct Files {
    url: String,
    http: reqwest::Client,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("failed to fetch {path}")]
    Request { path: String, source: reqwest::Error },
    #[error("failed to fetch {path}: {what}")]
    Answer { path: String, what: String },
}

impl Files {
    async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let request = |source| FetchError::Request { path: path.to_owned(), source };
        let failed =
            |what: &str| FetchError::Answer { path: path.to_owned(), what: what.to_owned() };
        let get = self.http.get(format!("{}/{path}", self.url));
        let mut answer = get.send().await.map_err(request)?;
        match answer.status() {
            reqwest::StatusCode::OK => {}
            reqwest::StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(failed(&status.to_string())),
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(request)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > FILE_BYTES_MAX {
                return Err(failed("it is longer than any file of a log"));
            }
        }
        Ok(Some(bytes))
    }
}

impl ReadTiles for Files {
    type Error = FetchError;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, FetchError> {
        Handle::current().block_on(self.fetch(&tile.to_string()))
    }
}

fn away(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(ErrorCode::Unreachable, mesh_fabric::error::chain(error))
}
