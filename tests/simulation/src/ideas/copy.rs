//! Copying to the object store, and asking the witness.

use mesh_tlog::{AddCheckpoint, Prover, Refused as Declined, SignedCheckpoint, TreeHead};

use super::{
    db::{Refused, Write},
    disk::{Name, grown},
    env::{Came, Of, Step},
    observer::root_at,
    packs,
    planted::Bug,
    stats::Kind,
    world::World,
};

/// How far the copy is.
#[derive(Debug, Clone)]
pub(super) enum Copying {
    Idle,
    /// Files that are still to be put, packs before tiles and the checkpoint last.
    Putting(Box<SignedCheckpoint>, Vec<Name>),
    Checkpoint(Box<SignedCheckpoint>, Vec<Name>),
    /// The cursor's transaction is under way.
    Keeping(Vec<Name>),
}

impl World {
    pub(super) fn copy(&mut self, index: usize) {
        let wait = self.env.rng.between(5, 40);
        self.step_after(index, wait, Step::Copy);
        let Some(run) = self.run(index) else { return };
        if run.halted {
            return;
        }
        if !run.asked.1 {
            return self.ask_store(index);
        }
        let state = std::mem::replace(&mut run.copying, Copying::Idle);
        let next = match state {
            Copying::Idle => self.begin_copy(index),
            Copying::Putting(signed, files) => self.put_next(index, signed, files),
            Copying::Checkpoint(signed, full) => self.put_checkpoint(index, signed, full),
            Copying::Keeping(full) => Copying::Keeping(full),
        };
        self.run(index).iter_mut().for_each(|run| run.copying = next.clone());
    }

    /// What the copy says of the log, before anything is signed.
    fn ask_store(&mut self, index: usize) {
        let Some(version) = self.run(index).map(|run| run.version) else { return };
        let Ok(found) = self.objects.get(&mut self.env, (version, Name::Checkpoint)) else {
            return;
        };
        let seen = found.and_then(|note| self.keys.trusted(version).open(note).ok());
        self.run(index).iter_mut().for_each(|run| run.asked.1 = true);
        seen.into_iter().for_each(|seen| self.judge(index, seen.head()));
    }

    fn begin_copy(&mut self, index: usize) -> Copying {
        let Some(run) = self.run(index) else { return Copying::Idle };
        let (version, Some(signed)) = (run.version, run.signed.clone()) else {
            return Copying::Idle;
        };
        let run_note = run.note.clone();
        let copied = self.db.log(version).and_then(|log| log.copied.clone());
        let (old, note) = copied.unwrap_or_default();
        let size = signed.head().size;
        if old == size && note == run_note {
            return self.look_again(version, signed, &run_note);
        }
        let files = self.names(version, old.min(size), size);
        if self.env.has(Bug::CursorBeforeCopy) {
            let write = Write::Copied(version, size, signed.to_string());
            let me = (index, self.instances[index].life);
            let epoch = self.run(index).map(|run| run.epoch);
            if self.db.may_begin(&mut self.env, epoch).is_ok() {
                self.db.commit(&mut self.env, me, Of::Cosigned, vec![write]);
            }
        }
        Copying::Putting(Box::new(signed), files)
    }

    /// Packs, and then bundles and tiles, that are new or wider at the new size.
    fn names(&self, version: u32, old: u64, size: u64) -> Vec<Name> {
        let leaves = self.db.log(version).map(|log| log.leaves.as_slice()).unwrap_or_default();
        let first = usize::try_from(size).ok().and_then(|size| leaves.get(..size));
        let packs = packs::grown(first.unwrap_or_default(), old).into_iter().map(|(name, _)| name);
        packs.chain(grown(old, size).into_iter().map(Name::Tile)).collect()
    }

    /// An upload that was given up may land late, or a former writer puts what it has: then the checkpoint
    /// is put once more.
    fn look_again(&mut self, version: u32, signed: SignedCheckpoint, note: &str) -> Copying {
        if self.env.has(Bug::StoreBelieved) {
            return Copying::Idle;
        }
        match self.objects.get(&mut self.env, (version, Name::Checkpoint)) {
            Ok(found) if found.map(Vec::as_slice) != Some(note.as_bytes()) => {
                self.env.stats.count(Kind::CopyHealed);
                Copying::Checkpoint(Box::new(signed), Vec::new())
            }
            Ok(_) | Err(_) => Copying::Idle,
        }
    }

    fn put_next(
        &mut self,
        index: usize,
        signed: Box<SignedCheckpoint>,
        mut files: Vec<Name>,
    ) -> Copying {
        let Some(version) = self.run(index).map(|run| run.version) else { return Copying::Idle };
        let Some(name) = files.first().copied() else {
            let full = self.names(version, 0, signed.head().size);
            return Copying::Checkpoint(signed, full.into_iter().filter(Name::is_full).collect());
        };
        if self.dies(index, Kind::CrashAtStep) {
            return Copying::Idle;
        }
        // A partial file may have become full since.
        let disk = &self.instances[index].disk;
        let read = |name: Name| disk.read((version, name)).map(|bytes| (name, bytes));
        let Some((name, bytes)) = read(name).or_else(|| read(name.full())) else {
            return Copying::Idle;
        };
        let bytes = bytes.to_vec();
        if self.put((version, name), &bytes) {
            files.remove(0);
        }
        Copying::Putting(signed, files)
    }

    /// Puts, and looks whether it is there.
    fn put(&mut self, at: (u32, Name), bytes: &[u8]) -> bool {
        if self.objects.put(&mut self.env, at, bytes.to_vec()).is_err() {
            return false;
        }
        if self.env.has(Bug::StoreBelieved) {
            return true;
        }
        match self.objects.get(&mut self.env, at) {
            Ok(found) if found.map(Vec::as_slice) == Some(bytes) => true,
            Ok(_) => {
                self.env.stats.count(Kind::LieSeen);
                false
            }
            Err(_) => false,
        }
    }

    fn put_checkpoint(
        &mut self,
        index: usize,
        signed: Box<SignedCheckpoint>,
        full: Vec<Name>,
    ) -> Copying {
        let Some((version, epoch)) = self.run(index).map(|run| (run.version, run.epoch)) else {
            return Copying::Idle;
        };
        let note = signed.to_string();
        if !self.put((version, Name::Checkpoint), note.as_bytes()) {
            return Copying::Checkpoint(signed, full);
        }
        if self.dies(index, Kind::CrashAtStep) {
            return Copying::Idle;
        }
        match self.db.may_begin(&mut self.env, Some(epoch)) {
            Ok(()) => {
                let me = (index, self.instances[index].life);
                let write = Write::Copied(version, signed.head().size, note);
                self.db.commit(&mut self.env, me, Of::Cursor, vec![write]);
                Copying::Keeping(full)
            }
            Err(Refused::Locked | Refused::Down) => Copying::Checkpoint(signed, full),
            Err(Refused::NotWriter) => {
                self.not_writer(index);
                Copying::Idle
            }
        }
    }

    pub(super) fn on_copied(&mut self, index: usize, came: Came) {
        let Some(run) = self.run(index) else { return };
        let Copying::Keeping(full) = std::mem::replace(&mut run.copying, Copying::Idle) else {
            return;
        };
        let version = run.version;
        if came == Came::Unknown {
            return;
        }
        self.env.stats.count(Kind::Copied);
        // Readers of an older checkpoint take the full ones.
        self.objects.remove_partial(version, &full);
    }

    // ---- the witness ----

    pub(super) fn witness(&mut self, index: usize) {
        let wait = self.env.rng.between(10, 120);
        self.step_after(index, wait, Step::Witness);
        let Some(run) = self.run(index) else { return };
        if run.halted || run.cosigning {
            return;
        }
        let (version, asked, known) = (run.version, run.asked.0, run.cosigned);
        let origin = self.keys.origin(version);
        if !asked {
            let Ok(seen) = self.witness.look(&mut self.env, origin) else { return };
            self.run(index).iter_mut().for_each(|run| run.asked.0 = true);
            return seen.into_iter().for_each(|seen| self.judge(index, seen));
        }
        let Some(signed) = self.run(index).and_then(|run| run.signed.clone()) else { return };
        let (head, old) = (signed.head(), known.map_or(0, |known| known.size));
        if known == Some(head) || old > head.size {
            return;
        }
        let disk = self.instances[index].disk.log(version);
        let Ok(proof) = Prover::new(disk, head).consistency(old) else { return };
        let checkpoint = signed.clone().into();
        let request = AddCheckpoint { old_size: old, proof, checkpoint };
        match self.witness.ask(&mut self.env, request) {
            Err(_) => {}
            Ok(Ok(_)) => self.keep_cosigned(index, version, head),
            Ok(Err(Declined::Conflict { size, .. })) => self.on_conflict(index, version, size),
            // The head that it has, as anybody may fetch it, tells who is right.
            Ok(Err(Declined::Inconsistent { .. })) => {
                let seen = self.witness.peek(self.keys.origin(version));
                seen.into_iter().for_each(|seen| self.judge(index, seen));
                self.run(index).iter_mut().for_each(|run| run.asked.0 = false);
            }
            Ok(Err(error)) => self.env.broken("A5", format!("the witness says: {error}")),
        }
    }

    fn keep_cosigned(&mut self, index: usize, version: u32, head: TreeHead) {
        self.env.stats.count(Kind::Cosigned);
        let me = (index, self.instances[index].life);
        let Some(epoch) = self.run(index).map(|run| run.epoch) else { return };
        let begins = self.db.may_begin(&mut self.env, Some(epoch));
        if begins.is_ok() {
            let write = Write::Cosigned(version, head);
            self.db.commit(&mut self.env, me, Of::Cosigned, vec![write]);
        }
        if let Some(run) = self.run(index) {
            run.cosigned = Some(head);
            run.cosigning = begins.is_ok();
        }
    }

    /// It has cosigned another size last: an answer was lost, another has asked, or the log lost entries.
    fn on_conflict(&mut self, index: usize, version: u32, size: u64) {
        self.env.stats.count(Kind::Conflict);
        let root = self.db.log(version).and_then(|log| root_at(&log.leaves, size));
        match root {
            Some(root) => {
                let known = (size > 0).then_some(TreeHead { size, root });
                self.run(index).iter_mut().for_each(|run| run.cosigned = known);
            }
            None => {
                let seen = self.witness.peek(self.keys.origin(version));
                seen.into_iter().for_each(|seen| self.judge(index, seen));
            }
        }
    }
}
