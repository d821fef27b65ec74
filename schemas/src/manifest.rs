//! The manifest: what puts an artifact together again from the chunks that were uploaded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact_path::ArtifactPath,
    attempt::{AttemptKey, words},
    id::UploadId,
    time::Timestamp,
};

/// Most files that one manifest may name.
pub const FILES_MAX: usize = 65_536;
/// Longest text of a manifest that travels inside an event instead of as an object, in bytes.
pub const INLINE_BYTES_MAX: usize = 8 << 10;

/// Whose bytes these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestOwner {
    /// Output of one attempt; attempts never overwrite each other.
    Attempt(AttemptKey),
    /// A directory that a user shipped as input.
    Upload(UploadId),
}

/// All that one owner has stored, as of one version. Later versions replace earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Format, 1.
    pub v: u32,
    /// Whose bytes these are.
    pub owner: ManifestOwner,
    /// Grows by one with each commit, beginning with 1.
    pub version: u32,
    /// False while the attempt still runs.
    pub complete: bool,
    /// Objects that hold the chunks; a chunk names its pack by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PackRef>,
    /// Output files, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// Files of the checkpoint directory, by path below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoint: Vec<FileEntry>,
    /// What was written to stdout and stderr.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogStream>,
}

/// One object in the store: chunks laid end to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackRef {
    /// Its key in the bucket.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// BLAKE3 of its bytes, 64 hexadecimal digits.
    pub blake3: String,
}

words! {
    /// How the bytes of a chunk are kept.
    Codec {
        /// As they are.
        Stored = "stored",
        /// One zstd frame.
        Zstd = "zstd",
    }
}

/// Where one chunk lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkRef {
    /// BLAKE3 of the raw bytes, 64 hexadecimal digits.
    pub blake3: String,
    /// Length of the raw bytes.
    pub raw_len: u32,
    /// Position of the pack in `Manifest::packs`.
    pub pack: u32,
    /// First byte in the pack.
    pub offset: u64,
    /// Length in the pack.
    pub len: u32,
    /// How the bytes are kept there.
    pub codec: Codec,
}

/// One file: its chunks laid end to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Its path.
    pub path: ArtifactPath,
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the whole, 64 hexadecimal digits.
    pub blake3: String,
    /// May be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// In order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<ChunkRef>,
}

words! {
    /// Which of the two streams.
    StreamName {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

/// One stream of an attempt's log, without a gap from its first byte to `size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStream {
    /// Which.
    pub stream: StreamName,
    /// Bytes kept so far.
    pub size: u64,
    /// In order, without gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<LogSegment>,
}

/// A piece of a log stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogSegment {
    /// Grows by one within its stream, beginning with 0.
    pub seq: u32,
    /// First byte in the stream.
    pub offset: u64,
    /// Length of the raw bytes.
    pub len: u32,
    /// When which byte was seen: sorted by offset, the first at `offset`.
    pub marks: Vec<TimeMark>,
    /// The bytes.
    pub data: SegmentData,
}

/// The byte at `offset` of the stream and those after it were written at about `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeMark {
    /// A byte of the stream.
    pub offset: u64,
    /// When the node saw it.
    pub at: Timestamp,
}

/// Where a segment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentData {
    /// A chunk in a pack.
    Chunk(ChunkRef),
    /// Base64 (standard alphabet, padded) of the raw bytes; only in manifests that travel inline.
    Inline(String),
}

/// Names a manifest and says what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestSummary {
    /// The manifest's version.
    pub version: u32,
    /// Number of output files.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of both log streams.
    pub log_bytes: u64,
    /// Number of files in the checkpoint.
    pub checkpoint_files: u32,
    /// Where it is.
    pub place: ManifestPlace,
}

/// Where a manifest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestPlace {
    /// Nothing was written: no file, no log, no checkpoint.
    Empty,
    /// Right here.
    Inline(Box<Manifest>),
    /// An object in the store.
    Object(ManifestRef),
}

/// A manifest kept as an object: the JSON text of [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestRef {
    /// Its key in the bucket.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// BLAKE3 of its bytes, 64 hexadecimal digits.
    pub blake3: String,
}

impl ManifestSummary {
    /// The summary of an attempt that wrote nothing.
    pub const fn empty() -> Self {
        Self {
            version: 1,
            files: 0,
            bytes: 0,
            log_bytes: 0,
            checkpoint_files: 0,
            place: ManifestPlace::Empty,
        }
    }
}
