//! The targets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken promise must end the run")]

use std::{fmt, str::FromStr};

use mesh_artifacts::core::{check, codec};
use mesh_node::{
    config::NodeConfig,
    protocol::{Decoder, Event, Request},
};
use mesh_schemas::{
    AttemptKey, ByteSize, Cpu, JobId, JobSpec, NodeId, Span, Timestamp, TraceParent,
    artifact_path::ArtifactPath,
    manifest::{ChunkRef, Codec},
    message::{AgentAnswer, AgentAsk, NodeAnswer, NodeAsk, NodeBeat, NodeCommands, NodeEvents},
    spec::ArrayRange,
};
use serde::{Serialize, de::DeserializeOwned};

/// A spec that was accepted is the same after it was written and read again.
pub(crate) fn job_spec(bytes: &[u8]) {
    if let Ok(spec) = JobSpec::from_text(bytes) {
        let text = serde_json::to_vec(&spec).unwrap();
        assert_eq!(JobSpec::from_text(&text).unwrap(), spec);
    }
}

/// Whatever travels over NATS.
pub(crate) fn node_message(bytes: &[u8]) {
    written_again::<NodeEvents>(bytes);
    written_again::<NodeBeat>(bytes);
    written_again::<NodeCommands>(bytes);
    written_again::<NodeAsk>(bytes);
    written_again::<NodeAnswer>(bytes);
    written_again::<AgentAsk>(bytes);
    written_again::<AgentAnswer>(bytes);
}

fn written_again<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<T>(bytes) {
        let text = serde_json::to_vec(&message).unwrap();
        let again: T = serde_json::from_slice(&text).unwrap();
        assert_eq!(serde_json::to_vec(&again).unwrap(), text);
    }
}

/// A manifest that passes its check passes it again once written.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = check::read_manifest(bytes) {
        let text = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(check::read_manifest(&text).unwrap(), manifest);
    }
}

/// What is packed comes back, and foreign bytes never become more than was announced.
pub(crate) fn chunk(bytes: &[u8]) {
    let (codec, kept) = codec::encode(bytes);
    let good = reference(bytes, bytes.len(), kept.len(), codec);
    assert_eq!(codec::decode(&good, &kept).unwrap(), bytes);
    let Some(([high, low], rest)) = bytes.split_first_chunk() else { return };
    let announced = usize::from(u16::from_be_bytes([*high, *low]));
    for codec in [Codec::Stored, Codec::Zstd] {
        let foreign = reference(rest, announced, rest.len(), codec);
        if let Ok(raw) = codec::decode(&foreign, rest) {
            assert_eq!(raw.len(), announced);
        }
    }
}

fn reference(hashed: &[u8], raw_len: usize, len: usize, codec: Codec) -> ChunkRef {
    ChunkRef {
        blake3: mesh_artifacts::core::hash_hex(hashed),
        raw_len: u32::try_from(raw_len).unwrap(),
        pack: 0,
        offset: 0,
        len: u32::try_from(len).unwrap(),
        codec,
    }
}

/// A path that was accepted stays inside the directory that it is joined to.
pub(crate) fn artifact_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<ArtifactPath>() {
        assert_eq!(path.as_str(), text);
        let inside = |part| matches!(part, std::path::Component::Normal(_));
        assert!(std::path::Path::new(path.as_str()).components().all(inside), "{text:?}");
    }
}

/// Lines mean the same however the stream was cut.
pub(crate) fn supervisor_line(bytes: &[u8]) {
    let Some((cut, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at(usize::from(*cut).min(rest.len()));
    let requests = |pieces: &[&[u8]]| read_lines::<Request>(Decoder::of_requests(), pieces);
    assert_eq!(requests(&[rest]), requests(&[first, second]));
    let events = |pieces: &[&[u8]]| read_lines::<Event>(Decoder::of_events(), pieces);
    assert_eq!(events(&[rest]), events(&[first, second]));
}

/// The messages up to the first that is none, as text.
fn read_lines<T: DeserializeOwned + fmt::Debug>(
    mut decoder: Decoder,
    pieces: &[&[u8]],
) -> Vec<String> {
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_message::<T>() {
                Ok(Some(message)) => seen.push(format!("{message:?}")),
                Ok(None) => break,
                Err(problem) => {
                    seen.push(problem.code.to_string());
                    return seen;
                }
            }
        }
    }
    seen
}

/// A node's configuration file.
pub(crate) fn node_config(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, bytes).unwrap();
    if let Err(problem) = NodeConfig::load(&file) {
        assert!(!problem.detail.is_empty());
    }
}

/// Words that were accepted are the same after they were shown and read again.
pub(crate) fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    shown_again::<JobId>(text);
    shown_again::<NodeId>(text);
    shown_again::<AttemptKey>(text);
    shown_again::<ArrayRange>(text);
    shown_again::<Span>(text);
    shown_again::<ByteSize>(text);
    shown_again::<Cpu>(text);
    shown_again::<Timestamp>(text);
    shown_again::<TraceParent>(text);
}

fn shown_again<T: FromStr + fmt::Display + PartialEq + fmt::Debug>(text: &str) {
    if let Ok(word) = text.parse::<T>() {
        let shown = word.to_string();
        match shown.parse::<T>() {
            Ok(again) => assert_eq!(again, word, "{text:?} is shown as {shown:?}"),
            Err(_) => panic!("{text:?} is shown as {shown:?}, which cannot be read"),
        }
    }
}
