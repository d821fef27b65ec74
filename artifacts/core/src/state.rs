//! The bookkeeping of one uploader: what it found, what it stored, and the manifest of both.
//!
//! A version names one manifest and no other: a number is taken before its manifest goes to the store and
//! is never given again, whatever becomes of that manifest. Whoever stores it must have written the state
//! durably in between, or a kill would forget that the number is taken. So versions grow with what was
//! written, and some of them name nothing.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    manifest::{
        FileEntry, LogStream, Manifest, ManifestOwner, ManifestPlace, ManifestRef, ManifestSummary,
        PackRef, SegmentData, StreamName,
    },
    subject,
};
use serde::{Deserialize, Serialize};

use super::{hash_hex, pack::Stored};

/// The format of the state file.
const FORMAT: u32 = 1;

/// How a file looked when it was read: the same again means the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// Last change of its bytes, in nanoseconds since the Unix epoch.
    pub modified_ns: i64,
    /// Last change of its inode, in nanoseconds since the Unix epoch.
    pub changed_ns: i64,
    /// Number of its inode.
    pub inode: u64,
    /// May be executed.
    pub executable: bool,
}

/// A file that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Absent when the file may have changed while it was read: it will be read again.
    pub stamp: Option<Stamp>,
    /// What the manifest says of it.
    pub entry: FileEntry,
}

/// Files by path.
pub type KeptFiles = BTreeMap<String, KeptFile>;

/// All that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Output files.
    pub files: KeptFiles,
    /// Files of the checkpoint directory, by path below it.
    pub checkpoint: KeptFiles,
    /// Standard output.
    pub stdout: LogStream,
    /// Standard error.
    pub stderr: LogStream,
}

impl Default for Contents {
    fn default() -> Self {
        let log = |stream| LogStream { stream, size: 0, segments: Vec::new() };
        Self {
            files: KeptFiles::new(),
            checkpoint: KeptFiles::new(),
            stdout: log(StreamName::Stdout),
            stderr: log(StreamName::Stderr),
        }
    }
}

impl Contents {
    /// A reader of the manifest would see no difference.
    fn reads_like(&self, other: &Self) -> bool {
        let same = |one: &KeptFiles, two: &KeptFiles| {
            one.len() == two.len()
                && one.values().zip(two.values()).all(|(a, b)| a.entry == b.entry)
        };
        same(&self.files, &other.files)
            && same(&self.checkpoint, &other.checkpoint)
            && self.stdout.size == other.stdout.size
            && self.stderr.size == other.stderr.size
    }

    fn is_empty(&self) -> bool {
        self.reads_like(&Self::default())
    }
}

/// What an uploader must not forget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadState {
    v: u32,
    /// Whose bytes these are.
    pub owner: ManifestOwner,
    /// Version of the last manifest; 0 before the first.
    pub version: u32,
    /// The highest version that any manifest was given, stored or not.
    #[serde(default)]
    given: u32,
    /// The last manifest is the final one.
    pub complete: bool,
    /// What lies in the store.
    pub stored: Stored,
    /// What the last manifest names.
    pub contents: Contents,
    /// The last manifest.
    pub last: Option<ManifestSummary>,
}

impl UploadState {
    /// Nothing is stored yet.
    pub fn new(owner: ManifestOwner) -> Self {
        Self {
            v: FORMAT,
            owner,
            version: 0,
            given: 0,
            complete: false,
            stored: Stored::default(),
            contents: Contents::default(),
            last: None,
        }
    }

    /// It was written by this version, for this owner.
    pub fn belongs_to(&self, owner: ManifestOwner) -> bool {
        self.v == FORMAT && self.owner == owner
    }

    /// Chunks of another manifest need not be uploaded again.
    pub fn adopt(&mut self, other: &Manifest) {
        let files = other.files.iter().chain(&other.checkpoint);
        self.stored.adopt(&other.packs, files.flat_map(|file| file.chunks.clone()));
    }

    /// Nothing of this owner has reached the store, as far as anybody can know.
    pub fn is_fresh(&self) -> bool {
        self.next_version() == 1 && self.stored.next_seq == 0
    }

    /// A version that no manifest has. A state of before numbers were kept knows its last one only.
    fn next_version(&self) -> u32 {
        self.given.max(self.version).saturating_add(1)
    }

    /// These contents deserve a manifest of their own.
    pub fn is_news(&self, contents: &Contents, complete: bool) -> bool {
        if self.version == 0 {
            return complete || !contents.is_empty();
        }
        complete != self.complete || !self.contents.reads_like(contents)
    }

    /// The next manifest. Names only packs that something refers to.
    pub fn next_manifest(&self, contents: &Contents, complete: bool) -> Manifest {
        let entries = |files: &KeptFiles| files.values().map(|file| file.entry.clone()).collect();
        let logs = [&contents.stdout, &contents.stderr].into_iter().filter(|log| log.size > 0);
        let mut manifest = Manifest {
            v: 1,
            owner: self.owner,
            version: self.next_version(),
            complete,
            packs: Vec::new(),
            files: entries(&contents.files),
            checkpoint: entries(&contents.checkpoint),
            logs: logs.cloned().collect(),
        };
        manifest.packs = renumber(&mut manifest, &self.stored.packs);
        manifest
    }

    /// The next manifest as an object to be stored, and its version taken: this state is to be durable
    /// before the object is stored. `None` while packs wait that nobody has seen in the store: a manifest
    /// names nothing that may not be there.
    pub fn draft(&mut self, contents: &Contents, complete: bool) -> Option<Draft> {
        if !self.stored.unchecked().is_empty() {
            return None;
        }
        let manifest = self.next_manifest(contents, complete);
        let bytes = serde_json::to_vec(&manifest).ok()?;
        self.given = manifest.version;
        let (size, blake3) = (bytes.len() as u64, hash_hex(&bytes));
        let name = format!("m{}-{}.json", manifest.version, blake3.get(..16).unwrap_or(&blake3));
        let key = format!("{}{name}", prefix(self.owner));
        let place =
            ManifestPlace::Object(ManifestRef { key: key.clone(), size, blake3: blake3.clone() });
        let summary = summarize(&manifest, place);
        Some(Draft { name, object: PackRef { key, size, blake3 }, bytes, summary })
    }

    /// The manifest is stored.
    pub fn commit(&mut self, contents: Contents, complete: bool, summary: ManifestSummary) {
        self.version = summary.version;
        self.complete = complete;
        self.contents = contents;
        self.last = Some(summary);
    }
}

/// A manifest that is ready to be stored.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Name below the owner's prefix.
    pub name: String,
    /// Its key, length and hash, to look for it by.
    pub object: PackRef,
    /// Its text.
    pub bytes: Vec<u8>,
    /// What an event says of it.
    pub summary: ManifestSummary,
}

/// Where an owner's objects lie.
pub fn prefix(owner: ManifestOwner) -> String {
    match owner {
        ManifestOwner::Attempt(attempt) => subject::attempt_prefix(attempt),
        ManifestOwner::Upload(upload) => subject::upload_prefix(upload),
    }
}

/// Keeps the packs that are used, in order, and points the chunks at their new positions.
fn renumber(manifest: &mut Manifest, packs: &[PackRef]) -> Vec<PackRef> {
    let mut used = BTreeSet::new();
    for_each_pack(manifest, |pack| {
        used.insert(*pack);
    });
    let new: BTreeMap<u32, u32> = used.iter().copied().zip(0..).collect();
    for_each_pack(manifest, |pack| *pack = new.get(pack).copied().unwrap_or(*pack));
    used.iter().filter_map(|pack| packs.get(*pack as usize).cloned()).collect()
}

fn for_each_pack(manifest: &mut Manifest, mut visit: impl FnMut(&mut u32)) {
    let files = manifest.files.iter_mut().chain(&mut manifest.checkpoint);
    files.flat_map(|file| &mut file.chunks).for_each(|chunk| visit(&mut chunk.pack));
    for segment in manifest.logs.iter_mut().flat_map(|log| &mut log.segments) {
        match &mut segment.data {
            SegmentData::Chunk(chunk) => visit(&mut chunk.pack),
            SegmentData::Inline(_) => {}
        }
    }
}

/// What an event says of a manifest.
pub fn summarize(manifest: &Manifest, place: ManifestPlace) -> ManifestSummary {
    let count = |files: &[FileEntry]| u32::try_from(files.len()).unwrap_or(u32::MAX);
    ManifestSummary {
        version: manifest.version,
        files: count(&manifest.files),
        bytes: manifest.files.iter().map(|file| file.size).sum(),
        log_bytes: manifest.logs.iter().map(|log| log.size).sum(),
        checkpoint_files: count(&manifest.checkpoint),
        place,
    }
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{
        id::UploadId,
        manifest::{ChunkRef, Codec},
    };

    use super::*;

    fn chunk(pack: u32) -> ChunkRef {
        let blake3 = format!("{pack:064x}");
        ChunkRef { blake3, raw_len: 1, pack, offset: 0, len: 1, codec: Codec::Stored }
    }

    fn kept(name: &str, pack: u32) -> (String, KeptFile) {
        let entry = FileEntry {
            path: name.parse().unwrap(),
            size: 1,
            blake3: "0".repeat(64),
            executable: false,
            chunks: vec![chunk(pack)],
        };
        (name.to_owned(), KeptFile { stamp: None, entry })
    }

    fn state() -> UploadState {
        let nil = uuid::Uuid::nil();
        let mut state = UploadState::new(ManifestOwner::Upload(UploadId::from_uuid(nil)));
        for pack in 0..4 {
            let pack_ref = PackRef { key: format!("p{pack}"), size: 1, blake3: "0".repeat(64) };
            state.stored.record(pack_ref, vec![chunk(pack)]);
        }
        state
    }

    #[test]
    fn a_manifest_names_the_packs_it_uses_and_no_others() {
        let contents =
            Contents { files: [kept("a", 3), kept("b", 1)].into(), ..Contents::default() };
        let manifest = state().next_manifest(&contents, false);
        let keys: Vec<_> = manifest.packs.iter().map(|pack| pack.key.as_str()).collect();
        assert_eq!(keys, ["p1", "p3"]);
        assert_eq!(manifest.files[0].chunks[0].pack, 1);
        assert_eq!(manifest.files[1].chunks[0].pack, 0);
        crate::check::check_manifest(&manifest).unwrap();
    }

    #[test]
    fn a_manifest_is_not_drafted_before_its_packs_were_seen() {
        let mut state = state();
        let contents = Contents { files: [kept("a", 3)].into(), ..Contents::default() };
        assert!(state.draft(&contents, false).is_none());
        state.stored.packs_checked = state.stored.packs.len();
        let draft = state.draft(&contents, false).unwrap();
        assert_eq!(draft.object.key, format!("{}{}", prefix(state.owner), draft.name));
        assert_eq!(hash_hex(&draft.bytes), draft.object.blake3);
        crate::check::read_manifest(&draft.bytes).unwrap();
    }

    #[test]
    fn a_version_is_given_once_whatever_becomes_of_its_manifest() {
        let mut state = state();
        state.stored.packs_checked = state.stored.packs.len();
        let contents = Contents { files: [kept("a", 3)].into(), ..Contents::default() };
        let version = |state: &mut UploadState| state.draft(&contents, false).unwrap().summary;
        assert_eq!(version(&mut state).version, 1);
        // Nobody has seen the first in the store, and then the agent was killed.
        let text = serde_json::to_string(&state).unwrap();
        let mut state: UploadState = serde_json::from_str(&text).unwrap();
        let second = version(&mut state);
        assert_eq!((second.version, state.version), (2, 0));
        state.commit(contents.clone(), false, second);
        assert_eq!(version(&mut state).version, 3);
    }

    #[test]
    fn a_manifest_that_may_lie_in_the_store_is_not_fresh() {
        let nil = uuid::Uuid::nil();
        let mut state = UploadState::new(ManifestOwner::Upload(UploadId::from_uuid(nil)));
        assert!(state.is_fresh());
        state.draft(&Contents::default(), false).unwrap();
        assert!(!state.is_fresh());
    }

    #[test]
    fn a_state_of_before_versions_were_kept_goes_on_after_its_last() {
        let mut old = state();
        old.version = 4;
        let mut json = serde_json::to_value(&old).unwrap();
        json.as_object_mut().unwrap().remove("given").unwrap();
        let state: UploadState = serde_json::from_value(json).unwrap();
        assert_eq!(state.next_manifest(&Contents::default(), false).version, 5);
    }

    #[test]
    fn the_same_contents_are_no_news_until_they_are_final() {
        let mut state = state();
        assert!(!state.is_news(&Contents::default(), false));
        let contents = Contents { files: [kept("a", 0)].into(), ..Contents::default() };
        assert!(state.is_news(&contents, false));
        let manifest = state.next_manifest(&contents, false);
        state.commit(contents.clone(), false, summarize(&manifest, ManifestPlace::Empty));
        assert!(!state.is_news(&contents, false));
        assert!(state.is_news(&contents, true));
        assert!(state.is_news(&Contents::default(), false));
    }

    #[test]
    fn the_state_survives_its_text() {
        let mut state = state();
        state.contents.files.extend([kept("ä b", 2)]);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<UploadState>(&text).unwrap(), state);
    }

    #[test]
    fn chunks_of_the_attempt_before_are_taken_over() {
        let before = state();
        let contents = Contents { checkpoint: [kept("c", 2)].into(), ..Contents::default() };
        let manifest = before.next_manifest(&contents, true);
        let mut next = UploadState::new(before.owner);
        next.adopt(&manifest);
        assert_eq!(next.stored.chunks[&chunk(2).blake3].pack, 0);
        assert_eq!(next.stored.packs[0].key, "p2");
        assert!(next.is_fresh() && next.stored.unchecked().is_empty());
    }
}
