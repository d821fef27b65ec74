//! The part of an upload that reads: what a cycle finds, cut into packs by the real core.

use std::collections::VecDeque;

use data_encoding::BASE64;
use mesh_artifacts_core::{
    chunk::Cutter,
    hash_hex,
    log::{Growth, Piece, plan},
    pack::Packer,
    state::{Contents, KeptFile, KeptFiles, Stamp, UploadState, summarize},
};
use mesh_schemas::{
    AttemptKey, Timestamp,
    manifest::{
        FileEntry, INLINE_BYTES_MAX, LogSegment, LogStream, ManifestPlace, ManifestSummary,
        SegmentData,
    },
};

use super::{Books, Upload, Work};
use crate::{
    env::Env,
    machine::{Machine, content},
    stats::Kind,
};

impl Machine {
    /// Goes on from the state file, or begins.
    pub(super) fn open_books(&mut self, env: &mut Env, attempt: AttemptKey) {
        let Some(dir) = self.disk.dirs.get(&attempt) else { return };
        let (kept, previous) = (dir.state.clone(), dir.previous.clone());
        let Some(upload) = self.upload(attempt).filter(|upload| upload.books.is_none()) else {
            return;
        };
        let state = if let Some(state) = kept {
            env.stats.count(Kind::UploadResumed);
            state
        } else {
            let mut state = UploadState::new(Upload::owner(attempt));
            if let Some(previous) = previous {
                state.adopt(&previous);
            }
            state
        };
        let growth = Growth::after(state.contents.stdout.size);
        upload.books = Some(Books { state, growth });
    }

    /// A last manifest that needs no request: the one that is there already, or one that travels in the
    /// event.
    pub(super) fn done_at_once(
        &mut self,
        env: &mut Env,
        attempt: AttemptKey,
        complete: bool,
    ) -> Option<ManifestSummary> {
        let wall = self.clock.wall(env.now);
        let (written, size) = self.disk.dirs.get(&attempt).map(|dir| (dir.output, dir.log))?;
        let upload = self.upload(attempt)?;
        let has_files = written > 0 && (upload.outputs || upload.checkpoint);
        let Books { state, growth } = upload.books.as_mut()?;
        if state.complete {
            return state.last.clone().filter(|_| complete);
        }
        if !complete || !state.is_fresh() || has_files {
            return None;
        }
        growth.observe(size, wall);
        let mut stdout = state.contents.stdout.clone();
        for piece in plan(&stdout, growth, growth.seen(), wall).pieces {
            let raw = content::log(attempt, piece.offset, piece.offset + u64::from(piece.len));
            push(&mut stdout, piece, SegmentData::Inline(BASE64.encode(&raw)));
        }
        let contents = Contents { stdout, ..Contents::default() };
        let manifest = state.next_manifest(&contents, true);
        let summary = if manifest.logs.is_empty() {
            ManifestSummary::empty()
        } else {
            let text = serde_json::to_vec(&manifest).unwrap_or_default();
            if text.len() > INLINE_BYTES_MAX {
                return None;
            }
            env.stats.count(Kind::ManifestInline);
            let mut summary = summarize(&manifest, ManifestPlace::Empty);
            summary.place = ManifestPlace::Inline(Box::new(manifest));
            summary
        };
        state.commit(contents, true, summary.clone());
        Some(summary)
    }

    /// What there is to store.
    pub(super) fn look_around(
        &mut self,
        env: &mut Env,
        attempt: AttemptKey,
        complete: bool,
    ) -> Option<Work> {
        let wall = self.clock.wall(env.now);
        let dir = self.disk.dirs.get(&attempt)?;
        let (size, output, checkpoint) = (dir.log, dir.output, dir.checkpoint);
        let upload = self.upload(attempt)?;
        let (wants_output, wants_checkpoint) = (upload.outputs, upload.checkpoint);
        let Books { state, growth } = upload.books.as_mut()?;
        growth.observe(size, wall);
        let before = &state.contents;
        let mut reader =
            Reader { attempt, packer: Packer::new(&state.stored), packs: VecDeque::new() };
        let stdout = reader.log(&before.stdout, growth, wall);
        let files = match wants_output && output > 0 {
            true => reader.file("out", output, &before.files),
            false => KeptFiles::new(),
        };
        let version = checkpoint % 3 + 1;
        let checkpoint = match wants_checkpoint && checkpoint > 0 {
            true => reader.file("state", version, &before.checkpoint),
            false => KeptFiles::new(),
        };
        let adopted = checkpoint.values().flat_map(|file| &file.entry.chunks);
        let own = super::prefix(Upload::owner(attempt));
        let of_others = |pack: u32| {
            let pack = state.stored.packs.get(pack as usize);
            pack.is_some_and(|pack| !pack.key.starts_with(&own))
        };
        if adopted.clone().any(|chunk| of_others(chunk.pack)) {
            env.stats.count(Kind::ChunksAdopted);
        }
        let contents = Contents { files, checkpoint, stdout, ..Contents::default() };
        let packs = reader.finish();
        Some(Work { complete, contents, packs, draft: None })
    }
}

fn push(stream: &mut LogStream, piece: Piece, data: SegmentData) {
    let Piece { seq, offset, len, marks } = piece;
    stream.size = offset + u64::from(len);
    stream.segments.push(LogSegment { seq, offset, len, marks, data });
}

/// Makes packs of what it reads.
struct Reader {
    attempt: AttemptKey,
    packer: Packer,
    packs: VecDeque<mesh_artifacts_core::pack::SealedPack>,
}

impl Reader {
    fn add(&mut self, raw: &[u8]) -> mesh_schemas::manifest::ChunkRef {
        let (chunk, sealed) = self.packer.add(raw);
        self.packs.extend(sealed);
        chunk
    }

    fn log(&mut self, before: &LogStream, growth: &Growth, now: Timestamp) -> LogStream {
        let mut stream = before.clone();
        let plan = plan(before, growth, growth.seen(), now);
        stream.segments.truncate(plan.kept);
        for piece in plan.pieces {
            let raw = content::log(self.attempt, piece.offset, piece.offset + u64::from(piece.len));
            let data = SegmentData::Chunk(self.add(&raw));
            push(&mut stream, piece, data);
        }
        stream
    }

    fn file(&mut self, name: &str, version: u32, before: &KeptFiles) -> KeptFiles {
        let raw = content::file(self.attempt.job, self.attempt.task, name, version);
        let stamp = Stamp {
            size: raw.len() as u64,
            modified_ns: i64::from(version),
            changed_ns: 0,
            inode: 0,
            executable: false,
        };
        if let Some(same) = before.get(name).filter(|file| file.stamp == Some(stamp)) {
            return [(name.to_owned(), same.clone())].into();
        }
        let mut cutter = Cutter::default();
        cutter.feed(&raw);
        let mut chunks = Vec::new();
        while let Some(chunk) = cutter.last_chunk() {
            chunks.push(self.add(&chunk));
        }
        let Ok(path) = name.parse() else { return KeptFiles::new() };
        let (size, blake3) = (raw.len() as u64, hash_hex(&raw));
        let entry = FileEntry { path, size, blake3, executable: false, chunks };
        [(name.to_owned(), KeptFile { stamp: Some(stamp), entry })].into()
    }

    fn finish(mut self) -> VecDeque<mesh_artifacts_core::pack::SealedPack> {
        let last = self.packer.seal();
        self.packs.extend(last);
        self.packs
    }
}
