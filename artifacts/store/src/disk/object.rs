//! One object's file: body, then what is known of it as JSON, then the length of that and a mark.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// Ends each object's file; a file without it was never finished.
const MARK: &[u8; 8] = b"MESHOBJ1";
/// Length of what follows the JSON: its length and the mark.
const TAIL_BYTES: u64 = 12;
/// Longest JSON, in bytes.
const META_BYTES_MAX: u32 = 64 << 10;

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Length of the body.
    pub size: u64,
    /// BLAKE3 of the body, 64 hexadecimal digits; the object's ETag.
    pub blake3: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
    /// As the writer said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whatever the writer wanted to keep beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Meta {
    /// What is written after the body.
    pub(super) fn tail(&self) -> io::Result<Vec<u8>> {
        let mut tail = serde_json::to_vec(self)?;
        let len = u32::try_from(tail.len()).ok().filter(|len| *len <= META_BYTES_MAX);
        let len = len.ok_or_else(|| io::Error::other("the object's metadata is too long"))?;
        tail.extend_from_slice(&len.to_le_bytes());
        tail.extend_from_slice(MARK);
        Ok(tail)
    }
}

/// An object whose file is open at the body's first byte.
#[derive(Debug)]
pub struct OpenObject {
    /// The body, and more after its `meta.size` bytes.
    pub file: File,
    /// What is known of it.
    pub meta: Meta,
}

impl OpenObject {
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = read_meta(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Some(Self { file, meta }))
    }
}

/// A parent that is missing, or that is a file of another life, says the same: no such object.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_meta(file: &mut File) -> io::Result<Meta> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the object's file is damaged");
    let end = file.metadata()?.len();
    let tail_at = end.checked_sub(TAIL_BYTES).ok_or_else(broken)?;
    let mut tail = [0; 12];
    file.seek(SeekFrom::Start(tail_at))?;
    file.read_exact(&mut tail)?;
    let (len, mark) = tail.split_at(4);
    let len = u32::from_le_bytes(len.try_into().map_err(|_| broken())?);
    if mark != MARK || len > META_BYTES_MAX {
        return Err(broken());
    }
    let meta_at = tail_at.checked_sub(u64::from(len)).ok_or_else(broken)?;
    let mut json = vec![0; len as usize];
    file.seek(SeekFrom::Start(meta_at))?;
    file.read_exact(&mut json)?;
    let meta: Meta = serde_json::from_slice(&json)?;
    if meta.size == meta_at { Ok(meta) } else { Err(broken()) }
}
