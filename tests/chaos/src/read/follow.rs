//! Follows each manifest to its last byte: the object, its packs, each chunk, each file, each log. What is
//! missing or different is named; nothing that a manifest says is believed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use data_encoding::BASE64;
use mesh_artifacts::core::{check::read_manifest, codec::decode, hash_hex};
use mesh_schemas::{
    AttemptKey,
    manifest::{
        ChunkRef, FileEntry, LogStream, Manifest, ManifestOwner, ManifestPlace, ManifestSummary,
        SegmentData, StreamName,
    },
};

use super::{objects::ObjectStore, sql::Summaries};
use crate::history::StoredManifest;

/// Longest stdout that is kept in the history, in bytes.
const STDOUT_KEPT_BYTES: u64 = 16 << 10;

/// Every manifest that a row names or that lies in the store.
pub(super) async fn follow(
    store: &ObjectStore,
    summaries: &Summaries,
) -> anyhow::Result<Vec<StoredManifest>> {
    let keys = store.keys("a/").await?;
    store.fetch(&keys).await?;
    let mut manifests = Vec::new();
    let mut recorded = BTreeSet::new();
    for (attempt, summary) in summaries {
        manifests.push(of_row(store, *attempt, summary).await?);
        if let ManifestPlace::Object(object) = &summary.place {
            recorded.insert(object.key.clone());
        }
    }
    for key in keys {
        let unrecorded = is_manifest(&key) && !recorded.contains(&key);
        if let Some(attempt) = attempt_of(&key).filter(|_| unrecorded) {
            let bytes = store.get(&key).await?.unwrap_or_default();
            manifests.push(read_one(store, attempt, Some(key), &bytes, false).await?);
        }
    }
    Ok(manifests)
}

/// `a/<job>/<task>/<epoch>/m<version>-….json`.
fn is_manifest(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.starts_with('m') && name.ends_with(".json")
}

fn attempt_of(key: &str) -> Option<AttemptKey> {
    let mut parts = key.split('/').skip(1);
    let (job, task, epoch) = (parts.next()?, parts.next()?, parts.next()?);
    format!("{job}/{task}#{epoch}").parse().ok()
}

async fn of_row(
    store: &ObjectStore,
    attempt: AttemptKey,
    summary: &ManifestSummary,
) -> anyhow::Result<StoredManifest> {
    let mut manifest = match &summary.place {
        ManifestPlace::Empty => {
            let mut empty = nothing(attempt, None, true);
            (empty.version, empty.complete) = (summary.version, true);
            empty.stdout = Some(String::new());
            empty
        }
        ManifestPlace::Inline(manifest) => {
            // Through its text, so that the same rules are proven as for one that lies in the store.
            let bytes = serde_json::to_vec(manifest)?;
            read_one(store, attempt, None, &bytes, true).await?
        }
        ManifestPlace::Object(object) => {
            let key = Some(object.key.clone());
            match store.get(&object.key).await? {
                None => {
                    let mut missing = nothing(attempt, key, true);
                    missing.damage.push(format!("{} is not in the store", object.key));
                    missing
                }
                Some(bytes) => {
                    let mut found = read_one(store, attempt, key, &bytes, true).await?;
                    let right =
                        bytes.len() as u64 == object.size && hash_hex(&bytes) == object.blake3;
                    if !right {
                        found.damage.push(format!("{} has other bytes than recorded", object.key));
                    }
                    found
                }
            }
        }
    };
    if manifest.damage.is_empty() && manifest.version != summary.version {
        manifest
            .damage
            .push(format!("it is version {}, recorded is {}", manifest.version, summary.version));
    }
    let files = u32::try_from(manifest.files.len()).unwrap_or(u32::MAX);
    if manifest.damage.is_empty() && files != summary.files {
        manifest.damage.push(format!("it has {files} files, recorded are {}", summary.files));
    }
    Ok(manifest)
}

const fn nothing(attempt: AttemptKey, key: Option<String>, recorded: bool) -> StoredManifest {
    StoredManifest {
        attempt,
        key,
        version: 0,
        complete: false,
        recorded,
        packs: Vec::new(),
        files: BTreeMap::new(),
        log_bytes: [0, 0],
        stdout: None,
        checkpoint: false,
        verified_bytes: 0,
        damage: Vec::new(),
    }
}

async fn read_one(
    store: &ObjectStore,
    attempt: AttemptKey,
    key: Option<String>,
    bytes: &[u8],
    recorded: bool,
) -> anyhow::Result<StoredManifest> {
    let mut found = nothing(attempt, key, recorded);
    found.verified_bytes = bytes.len() as u64;
    let manifest = match read_manifest(bytes) {
        Ok(manifest) => manifest,
        Err(problem) => {
            found.damage.push(problem.detail);
            return Ok(found);
        }
    };
    if manifest.owner != ManifestOwner::Attempt(attempt) {
        found.damage.push(format!("its owner is {:?}", manifest.owner));
    }
    found.version = manifest.version;
    found.complete = manifest.complete;
    found.checkpoint = !manifest.checkpoint.is_empty();
    found.packs = manifest.packs.iter().map(|pack| pack.key.clone()).collect();
    let packs = read_packs(store, &manifest, &mut found).await?;
    for file in manifest.files.iter().chain(&manifest.checkpoint) {
        read_file(file, &packs, &mut found);
    }
    found.files.retain(|path, _| manifest.files.iter().any(|file| file.path.as_str() == path));
    for log in &manifest.logs {
        read_log(log, &packs, &mut found);
    }
    if found.stdout.is_none() && found.log_bytes[0] == 0 {
        found.stdout = Some(String::new());
    }
    Ok(found)
}

/// The packs by position; one that cannot be trusted is empty, and so are its chunks.
async fn read_packs(
    store: &ObjectStore,
    manifest: &Manifest,
    found: &mut StoredManifest,
) -> anyhow::Result<Vec<Arc<Vec<u8>>>> {
    let mut packs = Vec::new();
    for pack in &manifest.packs {
        let bytes = store.get(&pack.key).await?;
        let wrong = match &bytes {
            None => Some("is not in the store"),
            Some(bytes) if bytes.len() as u64 != pack.size => Some("has another length"),
            Some(bytes) if hash_hex(bytes) != pack.blake3 => Some("has another hash"),
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            found.damage.push(format!("the pack {} {wrong}", pack.key));
        }
        let bytes = bytes.unwrap_or_default();
        found.verified_bytes += bytes.len() as u64;
        packs.push(bytes);
    }
    Ok(packs)
}

fn chunk_bytes(chunk: &ChunkRef, packs: &[Arc<Vec<u8>>]) -> Result<Vec<u8>, String> {
    let pack = packs.get(chunk.pack as usize);
    let from = usize::try_from(chunk.offset).unwrap_or(usize::MAX);
    let to = from.saturating_add(chunk.len as usize);
    let kept = pack.and_then(|pack| pack.get(from..to));
    let kept = kept.ok_or_else(|| "its bytes are beyond the pack".to_owned())?;
    decode(chunk, kept).map(std::borrow::Cow::into_owned).map_err(|damage| damage.to_string())
}

fn read_file(file: &FileEntry, packs: &[Arc<Vec<u8>>], found: &mut StoredManifest) {
    let mut hasher = blake3::Hasher::new();
    for (number, chunk) in file.chunks.iter().enumerate() {
        match chunk_bytes(chunk, packs) {
            Ok(bytes) => {
                found.verified_bytes += bytes.len() as u64;
                hasher.update(&bytes);
            }
            Err(why) => found.damage.push(format!("chunk {number} of {}: {why}", file.path)),
        }
    }
    let hash = hasher.finalize().to_hex().to_string();
    if hash != file.blake3 {
        found.damage.push(format!("{} has the hash {hash}, named is {}", file.path, file.blake3));
    }
    found.files.insert(file.path.as_str().to_owned(), hash);
}

fn read_log(log: &LogStream, packs: &[Arc<Vec<u8>>], found: &mut StoredManifest) {
    let slot = match log.stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    };
    found.log_bytes[slot] = log.size;
    let mut text = Vec::new();
    for segment in &log.segments {
        let bytes = match &segment.data {
            SegmentData::Chunk(chunk) => chunk_bytes(chunk, packs),
            SegmentData::Inline(base64) => {
                BASE64.decode(base64.as_bytes()).map_err(|error| error.to_string())
            }
        };
        match bytes {
            Ok(bytes) if bytes.len() == segment.len as usize => {
                found.verified_bytes += bytes.len() as u64;
                if log.size <= STDOUT_KEPT_BYTES {
                    text.extend(bytes);
                }
            }
            Ok(_) => found
                .damage
                .push(format!("segment {} of {} is not as long as named", segment.seq, log.stream)),
            Err(why) => {
                found.damage.push(format!("segment {} of {}: {why}", segment.seq, log.stream))
            }
        }
    }
    if slot == 0 && log.size <= STDOUT_KEPT_BYTES {
        found.stdout = Some(String::from_utf8_lossy(&text).into_owned());
    }
}
