//! C12: a bit at rest is another one. What is read then must be refused, never handed out; a damaged
//! journal must not stop a node. Pages of SQLite: `c12_pages`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use mesh_schemas::AttemptKey;
use mesh_tests::bins;

use super::{Later, Stage, Strike, some_node};
use crate::cluster::STORE;

/// Exit code of `mesh` for bytes that are not what their hash says.
const INTEGRITY: i32 = 8;
/// Packs of the large jobs' files, compressed, are longer than this.
const PACK_OF_FILES_BYTES_MIN: u64 = 4 << 10;

pub(super) async fn object(stage: Stage<'_>) -> anyhow::Result<Strike> {
    let packs = packs(&stage.cluster.data.join(STORE));
    let Some((file, attempt)) = stage.rng.pick(&packs).cloned() else {
        return Ok(Strike::once("there was no object yet"));
    };
    let before = fetch(&stage, attempt, "before").await?;
    let at = flip(&file, stage.rng.draw())?;
    let after = fetch(&stage, attempt, "after").await;
    unflip(&file, at)?;
    let (before, after) = (before, after?);
    let told = match (&before, &after) {
        (Fetched::Files(_), Fetched::Refused(Some(INTEGRITY))) => "refused, and named",
        (Fetched::Files(before), Fetched::Files(after)) if before == after => "it was not needed",
        (Fetched::Files(_), Fetched::Files(_)) => {
            let mut strike = Strike::once(format!("bit {at} of {}", file.display()));
            strike.broken = Some(format!("damaged bytes of {attempt} were handed out"));
            return Ok(strike);
        }
        (Fetched::Refused(_), _) | (_, Fetched::Refused(_)) => "nothing could be fetched just now",
    };
    Ok(Strike::once(format!("bit {at} of a pack of {attempt}: {told}")))
}

/// The objects that are packs, with their attempts.
fn packs(store: &Path) -> Vec<(PathBuf, AttemptKey)> {
    let mut found = Vec::new();
    let mut dirs = vec![store.join("buckets")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if name.starts_with('p') && is_large(&entry) {
                found.extend(attempt_of(&dir).map(|attempt| (path, attempt)));
            }
        }
    }
    found.sort();
    found
}

/// Of files rather than of a few lines of log, which `mesh artifacts get` would not read.
fn is_large(entry: &fs::DirEntry) -> bool {
    entry.metadata().is_ok_and(|meta| meta.len() > PACK_OF_FILES_BYTES_MIN)
}

/// `…/a/<job>/<task>/<epoch>`.
fn attempt_of(dir: &Path) -> Option<AttemptKey> {
    let mut parts = dir.iter().rev().filter_map(|part| part.to_str());
    let (epoch, task, job) = (parts.next()?, parts.next()?, parts.next()?);
    format!("{job}/{task}#{epoch}").parse().ok()
}

#[derive(Debug, PartialEq)]
enum Fetched {
    /// The files and their hashes.
    Files(Vec<(PathBuf, String)>),
    /// The exit code.
    Refused(Option<i32>),
}

async fn fetch(stage: &Stage<'_>, attempt: AttemptKey, name: &str) -> anyhow::Result<Fetched> {
    let to = stage.cluster.data.join(format!("fetched-{}-{name}", stage.number));
    let servers: Vec<_> = stage.cluster.apis.iter().map(|api| format!("http://{api}")).collect();
    let mut command = Command::new(bins::path("mesh"));
    command.args(["artifacts", "get", &attempt.job.to_string()]);
    command.args(["--task", &attempt.task.to_string(), "--epoch", &attempt.epoch.to_string()]);
    command.arg("--to").arg(&to).stdin(std::process::Stdio::null());
    command.env("MESH_SERVER", servers.join(","));
    command.env("MESH_TOKEN_FILE", stage.cluster.data.join("admin.token"));
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let done = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
    let fetched = match done {
        Ok(output) => {
            let status = output?.status;
            let files = || hashes(&to);
            if status.success() { Fetched::Files(files()) } else { Fetched::Refused(status.code()) }
        }
        Err(_) => Fetched::Refused(None),
    };
    let _absent = fs::remove_dir_all(&to);
    Ok(fetched)
}

fn hashes(dir: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let hash = |path: PathBuf| {
        let hash = blake3::hash(&fs::read(&path).ok()?).to_hex().to_string();
        Some((path.file_name()?.into(), hash))
    };
    let mut hashes: Vec<_> = entries.filter_map(|entry| hash(entry.path())).collect();
    hashes.sort();
    hashes
}

/// Flips a bit in the first half of a file, where the bytes are and not what is known of them.
fn flip(file: &Path, chance: u64) -> anyhow::Result<u64> {
    let mut bytes = fs::read(file)?;
    let half = (bytes.len() as u64 / 2).max(1) * 8;
    let at = chance % half;
    flip_at(&mut bytes, at);
    fs::write(file, bytes)?;
    Ok(at)
}

fn unflip(file: &Path, at: u64) -> anyhow::Result<()> {
    let mut bytes = fs::read(file)?;
    flip_at(&mut bytes, at);
    Ok(fs::write(file, bytes)?)
}

fn flip_at(bytes: &mut [u8], at: u64) {
    let byte = usize::try_from(at / 8).ok().and_then(|index| bytes.get_mut(index));
    if let Some(byte) = byte {
        *byte ^= 1 << (at % 8);
    }
}

/// The journal is not damaged while somebody writes to it: all of the node is down meanwhile.
pub(super) async fn journal(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    stage.cluster.part(&node)?.kill_tree();
    let file = stage.cluster.data.join(&node).join("journal.log");
    let what = match fs::metadata(&file) {
        Ok(meta) if meta.len() > 0 => {
            let at = flip(&file, stage.rng.draw())?;
            format!("bit {at} of {node}'s journal")
        }
        Ok(_) | Err(_) => format!("{node} had no journal yet"),
    };
    Ok(Strike::until(what, Duration::ZERO, Later::Start(node.clone())).died(node))
}
