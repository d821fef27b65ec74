//! What is said to be stored is there, whole, right, and the attempt's own (I8, I9).

use std::collections::BTreeSet;

use data_encoding::BASE64;
use mesh_artifacts_core::{check, codec, hash_hex, state::prefix};
use mesh_core::Change;
use mesh_schemas::{
    AttemptKey, EndClass,
    manifest::{
        ChunkRef, Manifest, ManifestOwner, ManifestPlace, ManifestRef, ManifestSummary, SegmentData,
    },
};

use crate::{env::Env, machine::log_content, objects::Objects};

/// Looks at each manifest that was recorded.
pub(crate) fn committed(env: &mut Env, objects: &Objects, changes: &[Change]) {
    for change in changes {
        match change {
            Change::AttemptManifest { attempt, manifest } => {
                recorded(env, objects, *attempt, manifest);
            }
            Change::AttemptEnded(end) => {
                if let Some(manifest) = &end.manifest {
                    recorded(env, objects, end.attempt, manifest);
                }
                if end.class == EndClass::Success && end.message.is_none() {
                    let logged = end.manifest.as_ref().map_or(0, |manifest| manifest.log_bytes);
                    env.observer.check_log(end.attempt, logged);
                }
            }
            Change::JobAccepted(_)
            | Change::JobProgress { .. }
            | Change::Task(_)
            | Change::AttemptLeased { .. }
            | Change::AttemptStarted { .. }
            | Change::AttemptReopened { .. }
            | Change::Node(_)
            | Change::NodeJournal { .. }
            | Change::Event(_) => {}
        }
    }
}

fn recorded(env: &mut Env, objects: &Objects, attempt: AttemptKey, summary: &ManifestSummary) {
    match &summary.place {
        // Nothing was kept: no manifest has this version.
        ManifestPlace::Empty => {}
        ManifestPlace::Inline(_) => env.observer.check_version(attempt, summary.version, None),
        ManifestPlace::Object(place) => {
            env.observer.check_version(attempt, summary.version, Some(&place.key));
        }
    }
    let given = env.observer.given(attempt).cloned().unwrap_or_default();
    let checked = match &summary.place {
        ManifestPlace::Empty => Ok(()),
        ManifestPlace::Inline(manifest) => check::check_manifest(manifest)
            .map_err(|problem| problem.detail)
            .and_then(|()| verify(objects, attempt, manifest, summary, &given)),
        ManifestPlace::Object(place) => read(objects, place)
            .and_then(|manifest| verify(objects, attempt, &manifest, summary, &given)),
    };
    if let Err(why) = checked {
        let promise = if why.starts_with("foreign") { "I9" } else { "I8" };
        env.observer.broken(promise, &format!("the result of {attempt}: {why}"));
    }
}

/// The manifest that an attempt begins with, if it is sound.
pub(crate) fn previous(
    env: &mut Env,
    objects: &Objects,
    attempt: AttemptKey,
    place: &ManifestRef,
) -> Option<Manifest> {
    match read(objects, place) {
        Ok(manifest) => {
            let packs = manifest.packs.iter().map(|pack| pack.key.clone()).collect();
            env.observer.give(attempt, packs);
            Some(manifest)
        }
        Err(why) => {
            env.observer.broken("I8", &format!("the checkpoint given to {attempt}: {why}"));
            None
        }
    }
}

fn read(objects: &Objects, place: &ManifestRef) -> Result<Manifest, String> {
    let bytes = objects.get(&place.key).ok_or_else(|| format!("{} is not there", place.key))?;
    if bytes.len() as u64 != place.size || hash_hex(bytes) != place.blake3 {
        return Err(format!("{} has other bytes", place.key));
    }
    check::read_manifest(bytes).map_err(|problem| problem.detail)
}

fn verify(
    objects: &Objects,
    attempt: AttemptKey,
    manifest: &Manifest,
    summary: &ManifestSummary,
    given: &BTreeSet<String>,
) -> Result<(), String> {
    if manifest.owner != ManifestOwner::Attempt(attempt) || manifest.version != summary.version {
        return Err(format!("foreign manifest: version {}", manifest.version));
    }
    let own = prefix(ManifestOwner::Attempt(attempt));
    for pack in &manifest.packs {
        if !pack.key.starts_with(&own) && !given.contains(&pack.key) {
            return Err(format!("foreign pack {}", pack.key));
        }
        let bytes = objects.get(&pack.key).ok_or_else(|| format!("{} is not there", pack.key))?;
        if bytes.len() as u64 != pack.size || hash_hex(bytes) != pack.blake3 {
            return Err(format!("the pack {} has other bytes", pack.key));
        }
    }
    for file in manifest.files.iter().chain(&manifest.checkpoint) {
        let mut whole = Vec::new();
        for chunk in &file.chunks {
            whole.extend(raw(objects, manifest, chunk)?);
        }
        if whole.len() as u64 != file.size || hash_hex(&whole) != file.blake3 {
            return Err(format!("the file {} has other bytes", file.path));
        }
    }
    for log in &manifest.logs {
        let mut whole = Vec::new();
        for segment in &log.segments {
            match &segment.data {
                SegmentData::Chunk(chunk) => whole.extend(raw(objects, manifest, chunk)?),
                SegmentData::Inline(text) => {
                    let bytes = BASE64.decode(text.as_bytes()).map_err(|e| e.to_string())?;
                    whole.extend(bytes);
                }
            }
        }
        if whole != log_content(attempt, 0, log.size) {
            return Err(format!("its {} is not what was written", log.stream));
        }
    }
    Ok(())
}

fn raw(objects: &Objects, manifest: &Manifest, chunk: &ChunkRef) -> Result<Vec<u8>, String> {
    let pack = manifest.packs.get(chunk.pack as usize).ok_or("a chunk lies nowhere")?;
    let bytes = objects.get(&pack.key).ok_or_else(|| format!("{} is not there", pack.key))?;
    let from = usize::try_from(chunk.offset).unwrap_or(usize::MAX);
    let kept = bytes.get(from..from.saturating_add(chunk.len as usize));
    let kept = kept.ok_or_else(|| format!("{} is too short", pack.key))?;
    let raw = codec::decode(chunk, kept).map_err(|damage| damage.to_string())?;
    Ok(raw.into_owned())
}
