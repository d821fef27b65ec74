//! Reads manifests that others wrote, and believes nothing that can be checked.

use std::collections::BTreeSet;

use mesh_schemas::{
    artifact_path::ArtifactPath,
    error::{ErrorCode, Problem},
    manifest::{ChunkRef, Codec, FILES_MAX, FileEntry, LogStream, Manifest, PackRef, SegmentData},
};
use serde::Deserialize;

use super::{chunk::CHUNK_BYTES_MAX, log::SEGMENT_BYTES_MAX};

/// Largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 128 << 20;
/// The format that is understood.
const FORMAT: u32 = 1;

/// A manifest whose every rule holds.
///
/// # Errors
/// `E_PATH_ESCAPE` for a name that could leave its directory, `E_TOO_LARGE` for too many files,
/// `E_INTEGRITY` for anything else that does not fit together.
pub fn read_manifest(json: &[u8]) -> Result<Manifest, Problem> {
    let manifest = serde_json::from_slice(json).map_err(|error| why_unreadable(json, &error))?;
    check_manifest(&manifest)?;
    Ok(manifest)
}

/// Proves every rule of the format but the hashes of bytes that are not here.
///
/// # Errors
/// As [`read_manifest`].
pub fn check_manifest(manifest: &Manifest) -> Result<(), Problem> {
    if manifest.v != FORMAT {
        return Err(broken(format!("it has the format {}, known is {FORMAT}", manifest.v)));
    }
    if manifest.files.len() + manifest.checkpoint.len() > FILES_MAX {
        let detail = format!("the manifest names more than {FILES_MAX} files");
        return Err(Problem::new(ErrorCode::TooLarge, detail));
    }
    check_files(&manifest.packs, &manifest.files)?;
    check_files(&manifest.packs, &manifest.checkpoint)?;
    let streams: BTreeSet<_> = manifest.logs.iter().map(|log| log.stream).collect();
    if streams.len() != manifest.logs.len() {
        return Err(broken("a log stream is named twice"));
    }
    manifest.logs.iter().try_for_each(|log| check_log(manifest, log))
}

/// Proves the rules of these files, whose chunks lie in these packs.
///
/// # Errors
/// As [`read_manifest`].
pub fn check_files(packs: &[PackRef], files: &[FileEntry]) -> Result<(), Problem> {
    packs.iter().try_for_each(|pack| check_hash(&pack.blake3, &pack.key))?;
    check_names(files)?;
    files.iter().try_for_each(|file| check_file(packs, file))
}

fn broken(detail: impl std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Integrity, format!("the manifest cannot be trusted: {detail}"))
}

/// A name that was refused has a code of its own; serde only carries its text.
fn why_unreadable(json: &[u8], error: &serde_json::Error) -> Problem {
    #[derive(Deserialize)]
    struct Named {
        path: String,
    }
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        files: Vec<Named>,
        #[serde(default)]
        checkpoint: Vec<Named>,
    }
    let names: Option<Names> = serde_json::from_slice(json).ok();
    let files = names.into_iter().flat_map(|names| names.files.into_iter().chain(names.checkpoint));
    let refused = files.filter_map(|file| file.path.parse::<ArtifactPath>().err()).next();
    refused.unwrap_or_else(|| broken(error))
}

fn check_names(files: &[FileEntry]) -> Result<(), Problem> {
    let mut names = BTreeSet::new();
    for file in files {
        if !names.insert(file.path.as_str()) {
            return Err(broken(format!("{} is named twice", file.path)));
        }
    }
    for name in &names {
        let parents = name.match_indices('/').filter_map(|(end, _)| name.get(..end));
        if let Some(parent) = parents.into_iter().find(|parent| names.contains(parent)) {
            return Err(broken(format!("{parent} is both a file and a directory")));
        }
    }
    Ok(())
}

fn check_file(packs: &[PackRef], file: &FileEntry) -> Result<(), Problem> {
    check_hash(&file.blake3, file.path.as_str())?;
    file.chunks.iter().try_for_each(|chunk| check_chunk(packs, chunk, file.path.as_str()))?;
    let sum: u64 = file.chunks.iter().map(|chunk| u64::from(chunk.raw_len)).sum();
    if sum == file.size {
        return Ok(());
    }
    Err(broken(format!("{} has {} bytes, its chunks {sum}", file.path, file.size)))
}

fn check_chunk(packs: &[PackRef], chunk: &ChunkRef, of: &str) -> Result<(), Problem> {
    check_hash(&chunk.blake3, of)?;
    let pack = packs.get(chunk.pack as usize);
    let pack = pack.ok_or_else(|| broken(format!("a chunk of {of} lies in no pack")))?;
    let raw_len = chunk.raw_len as usize;
    let end = chunk.offset.checked_add(u64::from(chunk.len));
    let fits = match chunk.codec {
        Codec::Stored => chunk.len == chunk.raw_len,
        Codec::Zstd => chunk.len > 0 && chunk.len as usize <= CHUNK_BYTES_MAX,
    };
    if raw_len == 0 || raw_len > CHUNK_BYTES_MAX || !fits || end.is_none_or(|end| end > pack.size) {
        return Err(broken(format!("a chunk of {of} has an impossible length or place")));
    }
    Ok(())
}

fn check_log(manifest: &Manifest, log: &LogStream) -> Result<(), Problem> {
    let of = log.stream.as_str();
    let mut end = 0_u64;
    for (index, segment) in log.segments.iter().enumerate() {
        let (offset, len) = (segment.offset, u64::from(segment.len));
        let marks = &segment.marks;
        let marked = marks.first().is_some_and(|mark| mark.offset == offset)
            && marks.is_sorted_by_key(|mark| mark.offset)
            && marks.last().is_some_and(|mark| mark.offset - offset < len);
        let placed = segment.seq as usize == index && offset == end && len <= SEGMENT_BYTES_MAX;
        if !placed || !marked {
            return Err(broken(format!("segment {index} of {of} leaves a gap or is not in order")));
        }
        end += len;
        if let SegmentData::Chunk(chunk) = &segment.data {
            check_chunk(&manifest.packs, chunk, of)?;
            if chunk.raw_len != segment.len {
                return Err(broken(format!("segment {index} of {of} is not as long as its chunk")));
            }
        }
    }
    if end == log.size {
        Ok(())
    } else {
        Err(broken(format!("the segments of {of} end too early")))
    }
}

fn check_hash(text: &str, of: &str) -> Result<(), Problem> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() == 64 && text.bytes().all(lower_hex) {
        return Ok(());
    }
    Err(broken(format!("the hash of {of} is not 64 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hash() -> String {
        "0".repeat(64)
    }

    fn chunk() -> Value {
        json!({"blake3": hash(), "raw_len": 10, "pack": 0, "offset": 5, "len": 10, "codec": "stored"})
    }

    fn file(path: &str) -> Value {
        json!({"path": path, "size": 10, "blake3": hash(), "chunks": [chunk()]})
    }

    fn segment() -> Value {
        json!({"seq": 0, "offset": 0, "len": 10, "data": {"chunk": chunk()},
            "marks": [{"offset": 0, "at": "2026-01-01T00:00:00.000Z"}]})
    }

    fn manifest() -> Value {
        json!({"v": 1, "owner": {"upload": format!("upload_{}", "0".repeat(32))}, "version": 1,
            "complete": true, "packs": [{"key": "u/x/p0", "size": 15, "blake3": hash()}],
            "files": [file("a/b")], "checkpoint": [file("a")],
            "logs": [{"stream": "stdout", "size": 10, "segments": [segment()]}]})
    }

    fn refused(change: impl FnOnce(&mut Value)) -> ErrorCode {
        let mut value = manifest();
        change(&mut value);
        read_manifest(value.to_string().as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_sound_manifest_is_taken() {
        read_manifest(manifest().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn names_that_could_escape_have_their_own_code() {
        for name in ["../x", "/etc/passwd", "a/../b", "", "C:\\x", "a\u{202e}b", "CON", "a//b"] {
            let code = refused(|m| m["files"][0]["path"] = json!(name));
            assert_eq!(code, ErrorCode::PathEscape, "{name:?}");
        }
        let long = vec!["x".repeat(256), "d/".repeat(64) + "d", "x/".repeat(512) + "x"];
        for name in long {
            assert_eq!(
                refused(|m| m["checkpoint"][0]["path"] = json!(name)),
                ErrorCode::PathEscape
            );
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let changes: [fn(&mut Value); 16] = [
            |m| m["v"] = json!(2),
            |m| m["files"] = json!([file("a"), file("a")]),
            |m| m["files"] = json!([file("a/b"), file("a")]),
            |m| m["files"][0]["size"] = json!(11),
            |m| m["files"][0]["blake3"] = json!("zz"),
            |m| m["files"][0]["chunks"][0]["pack"] = json!(1),
            |m| m["files"][0]["chunks"][0]["offset"] = json!(6),
            |m| m["files"][0]["chunks"][0]["offset"] = json!(u64::MAX),
            |m| m["files"][0]["chunks"][0]["raw_len"] = json!(0),
            |m| m["files"][0]["chunks"][0]["raw_len"] = json!(u32::MAX),
            |m| m["packs"][0]["blake3"] = json!(""),
            |m| m["logs"][0]["size"] = json!(11),
            |m| m["logs"][0]["segments"][0]["offset"] = json!(1),
            |m| m["logs"][0]["segments"][0]["seq"] = json!(1),
            |m| m["logs"][0]["segments"][0]["marks"] = json!([]),
            |m| m["files"] = json!("text"),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(refused(change), ErrorCode::Integrity, "change {index}");
        }
    }

    #[test]
    fn too_many_files_are_refused() {
        let many: Vec<Value> = (0..=FILES_MAX).map(|i| file(&format!("f{i}"))).collect();
        assert_eq!(refused(|m| m["files"] = json!(many)), ErrorCode::TooLarge);
    }
}
