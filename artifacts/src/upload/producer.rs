//! The blocking half of an upload: reads, cuts, compresses and packs, and hands over full packs.
//!
//! Memory is bounded by permits: a pack takes one before its first byte and keeps it until it is
//! stored, so at most [`PACKS_IN_MEMORY_MAX`] exist at a time.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mesh_schemas::{
    artifact_path::ArtifactPath,
    manifest::{ChunkRef, FileEntry, LogSegment, LogStream, SegmentData},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use super::{UploadError, notes::Notes, scan::Found};
use crate::{
    beneath::{self, Dir},
    core::{
        chunk::Cutter,
        log::Plan,
        pack::{Packer, SealedPack, Stored},
        state::{KeptFile, KeptFiles, Stamp},
    },
};

/// Most packs that are being made, waiting or under way.
pub(crate) const PACKS_IN_MEMORY_MAX: usize = 4;
/// Read at once.
const READ_BYTES: usize = 256 << 10;
/// A file changed so shortly before it was read may change again without its times showing it.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// A pack and its place in memory.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) pack: SealedPack,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// Makes packs.
pub(crate) struct Producer {
    packer: Packer,
    permits: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    parcels: mpsc::Sender<Parcel>,
    runtime: Handle,
    on_bytes: Box<dyn FnMut(u64) + Send>,
}

impl Producer {
    /// Must be made inside a tokio runtime; used on a blocking thread of it.
    pub(crate) fn new(stored: &Stored, parcels: mpsc::Sender<Parcel>) -> Self {
        Self {
            packer: Packer::new(stored),
            permits: Arc::new(Semaphore::new(PACKS_IN_MEMORY_MAX)),
            permit: None,
            parcels,
            runtime: Handle::current(),
            on_bytes: Box::new(|_| {}),
        }
    }

    /// Calls `on_bytes` with each number of raw bytes that was read.
    pub(crate) fn reporting(mut self, on_bytes: impl FnMut(u64) + Send + 'static) -> Self {
        self.on_bytes = Box::new(on_bytes);
        self
    }

    /// Stores new segments of a log.
    pub(crate) fn log(
        &mut self,
        path: &Path,
        before: &LogStream,
        plan: Plan,
    ) -> Result<LogStream, UploadError> {
        let mut stream = before.clone();
        if plan.pieces.is_empty() {
            return Ok(stream);
        }
        let failed = |source| UploadError::Log { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        stream.segments.truncate(plan.kept);
        for piece in plan.pieces {
            let mut bytes = vec![0; piece.len as usize];
            file.seek(SeekFrom::Start(piece.offset)).map_err(failed)?;
            match file.read_exact(&mut bytes) {
                Ok(()) => {}
                // Somebody cut the log short; what is stored of it stays.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(before.clone());
                }
                Err(error) => return Err(failed(error)),
            }
            let data = SegmentData::Chunk(self.add(&bytes)?);
            let (seq, offset, len, marks) = (piece.seq, piece.offset, piece.len, piece.marks);
            stream.size = offset + u64::from(len);
            stream.segments.push(LogSegment { seq, offset, len, marks, data });
        }
        Ok(stream)
    }

    /// Stores files that changed since `before`, and keeps what did not.
    pub(crate) fn files(
        &mut self,
        root: &Dir,
        found: &[Found],
        before: &KeptFiles,
        notes: &mut Notes,
    ) -> Result<KeptFiles, UploadError> {
        let mut kept = KeptFiles::new();
        for Found { path, stamp } in found {
            let unchanged = before.get(path.as_str()).filter(|file| file.stamp == Some(*stamp));
            let file = match unchanged {
                Some(file) => Some(file.clone()),
                None => self.file(root, path, notes)?,
            };
            kept.extend(file.map(|file| (path.as_str().to_owned(), file)));
        }
        Ok(kept)
    }

    /// None when the file vanished or cannot be read; that is a note, not a failure.
    fn file(
        &mut self,
        root: &Dir,
        path: &ArtifactPath,
        notes: &mut Notes,
    ) -> Result<Option<KeptFile>, UploadError> {
        let (parent, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        match root.descend(parent).and_then(|dir| dir.file(name)) {
            Ok((file, stamp)) => match self.read(&file, stamp, path) {
                Err(UploadError::File { source, .. }) => {
                    notes.skip(path.as_str(), &source.to_string());
                    Ok(None)
                }
                read => read.map(Some),
            },
            Err(error) => {
                notes.skip(path.as_str(), &error.to_string());
                Ok(None)
            }
        }
    }

    /// Stores what the file holds now, up to the length it had when it was opened: a file that grows
    /// for ever still ends. What is stored always agrees with its own hash.
    fn read(
        &mut self,
        file: &File,
        seen: Stamp,
        path: &ArtifactPath,
    ) -> Result<KeptFile, UploadError> {
        let failed = |source| UploadError::File { path: path.clone(), source };
        let settled = is_settled(&seen);
        let (mut hasher, mut cutter, mut chunks) =
            (blake3::Hasher::new(), Cutter::default(), vec![]);
        let (mut size, mut buffer) = (0, vec![0; READ_BYTES]);
        let mut limited = file.take(seen.size);
        loop {
            let count = match limited.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            let bytes = buffer.get(..count).unwrap_or(&[]);
            hasher.update(bytes);
            cutter.feed(bytes);
            size += bytes.len() as u64;
            (self.on_bytes)(bytes.len() as u64);
            while let Some(chunk) = cutter.next_chunk() {
                chunks.push(self.add(&chunk)?);
            }
        }
        while let Some(chunk) = cutter.last_chunk() {
            chunks.push(self.add(&chunk)?);
        }
        let after = beneath::stamp(file).map_err(failed)?;
        let entry = FileEntry {
            path: path.clone(),
            size,
            blake3: hasher.finalize().to_hex().to_string(),
            executable: seen.executable,
            chunks,
        };
        Ok(KeptFile { stamp: after.filter(|after| settled && *after == seen), entry })
    }

    fn add(&mut self, raw: &[u8]) -> Result<ChunkRef, UploadError> {
        let (chunk, sealed) = self.packer.add(raw);
        if let Some(pack) = sealed {
            self.hand_over(pack)?;
        }
        if self.permit.is_none() && !self.packer.is_empty() {
            let acquired = self.runtime.block_on(Arc::clone(&self.permits).acquire_owned());
            self.permit = Some(acquired.map_err(|_| UploadError::Stopped)?);
        }
        Ok(chunk)
    }

    fn hand_over(&mut self, pack: SealedPack) -> Result<(), UploadError> {
        let permit = self.permit.take().ok_or(UploadError::Stopped)?;
        let parcel = Parcel { pack, _permit: permit };
        self.parcels.blocking_send(parcel).map_err(|_| UploadError::Stopped)
    }

    /// Hands over the last pack.
    pub(crate) fn finish(mut self) -> Result<(), UploadError> {
        self.packer.seal().map_or(Ok(()), |pack| self.hand_over(pack))
    }
}

/// It was not changed just now, so that a later change will show in its times.
fn is_settled(stamp: &Stamp) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let changed = stamp.modified_ns.max(stamp.changed_ns);
    let changed = Duration::from_nanos(u64::try_from(changed).unwrap_or(0));
    changed + SETTLED_AFTER < now
}
