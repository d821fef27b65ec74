//! What crosses between the object store and whoever fetches or ships.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::AttemptKey,
    id::UploadId,
    manifest::{Manifest, ManifestRef, PackRef, StreamName, TimeMark},
    message::{ObjectPut, ObjectUrl},
};

/// Asks for URLs to ship an input directory; without `upload` a new upload begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Goes on with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadId>,
    /// What to upload; may be empty.
    pub objects: Vec<ObjectPut>,
}

/// URLs to ship an input directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadUrls {
    /// The upload.
    pub upload: UploadId,
    /// In the order asked.
    pub urls: Vec<ObjectUrl>,
}

/// Asks whether shipped objects are in the store, with these lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadCheck {
    /// The upload they belong to.
    pub upload: UploadId,
    /// What to look for.
    pub objects: Vec<PackRef>,
}

/// What a task has stored, and where to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactsView {
    /// Which attempt.
    pub attempt: AttemptKey,
    /// Its state: artifacts of an attempt that runs are as of its last upload.
    pub complete: bool,
    /// The manifest, when it is small enough to lie in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// Otherwise the object that holds it; its URL is in `urls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_ref: Option<ManifestRef>,
    /// For the manifest object.
    pub urls: Vec<ObjectUrl>,
}

/// Asks for URLs to fetch packs of an attempt's or input's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadRequest {
    /// Full keys; all must lie below the prefix of a task of the job in the path.
    pub keys: Vec<String>,
}

/// A piece of a log, as sent by `GET …/logs` in server-sent events named `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPiece {
    /// Which attempt wrote it.
    pub attempt: AttemptKey,
    /// Which stream.
    pub stream: StreamName,
    /// Grows by one with each piece of this answer.
    pub seq: u64,
    /// First byte in the stream.
    pub offset: u64,
    /// When which byte was written.
    pub marks: Vec<TimeMark>,
    /// Base64 (standard alphabet, padded) of the bytes.
    pub data: String,
}
