//! The integrator of a registry: packs of texts and then tiles on disk, the row, the signature, the published checkpoint, each a
//! step of its own at which it may die.

use mesh_tlog::{Checkpoint, Edge, SignedCheckpoint, TreeHead};

use super::{
    db::{Refused, Write},
    disk::{File, Name, Stopped},
    env::{Came, Of, Step},
    packs,
    planted::Bug,
    stats::Kind,
    world::World,
};

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Integrating {
    Idle,
    Files {
        next: Work,
        written: usize,
    },
    Row(Work),
    /// The row's transaction is under way.
    Keeping(Work),
    Sign(Work),
    Publish(Work, Box<SignedCheckpoint>),
}

/// The next edge and the files that lead to it.
#[derive(Debug, Clone)]
pub(super) struct Work {
    edge: Edge,
    files: Vec<File>,
    /// Only with a planted bug: signed already.
    row_last: bool,
}

impl World {
    pub(super) fn integrate(&mut self, index: usize) {
        let wait = self.env.rng.between(1, 15);
        self.step_after(index, wait, Step::Integrate);
        let Some(run) = self.run(index) else { return };
        if run.halted {
            return;
        }
        let state = std::mem::replace(&mut run.integrating, Integrating::Idle);
        let next = match state {
            Integrating::Idle => self.take_leaves(index),
            Integrating::Files { next, written } => self.write_next(index, next, written),
            Integrating::Row(work) => self.row(index, work),
            Integrating::Keeping(work) => Integrating::Keeping(work),
            Integrating::Sign(work) => self.sign(index, work),
            Integrating::Publish(work, signed) => self.publish(index, work, signed),
        };
        // It may have died meanwhile.
        self.run(index).iter_mut().for_each(|run| run.integrating = next.clone());
    }

    /// Some leaves more, or at first what was signed before and perhaps not published.
    fn take_leaves(&mut self, index: usize) -> Integrating {
        let most = self.env.rng.between(1, 12);
        let Some(run) = self.instances[index].run.as_deref() else { return Integrating::Idle };
        let Some(log) = self.db.log(run.version) else { return Integrating::Idle };
        let from = run.edge.head().size;
        if run.signed.is_none() && from > 0 {
            let edge = run.edge.clone();
            return Integrating::Sign(Work { edge, files: Vec::new(), row_last: false });
        }
        let most = if from == 0 { run.size } else { most };
        let to = run.size.min(from + most);
        if self.db.down || to <= from {
            return Integrating::Idle;
        }
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let Some(leaves) = log.leaves.get(place(from)..place(to)) else {
            return Integrating::Idle;
        };
        let data: Vec<_> = leaves.iter().map(|leaf| leaf.data.clone()).collect();
        let (edge, files) = match run.edge.integrate(&data) {
            Ok(next) => next,
            Err(error) => {
                self.env.broken("A2", format!("the leaves give no tiles: {error}"));
                return Integrating::Idle;
            }
        };
        let tiles = files.into_iter().map(|file| (Name::Tile(file.tile), file.bytes));
        let mut files = packs::grown(log.leaves.get(..place(to)).unwrap_or_default(), from);
        let packs = files.len();
        files.extend(tiles);
        if self.env.has(Bug::BundleBeforePack) {
            files.rotate_left(packs);
        }
        let work = Work { edge, files, row_last: self.env.has(Bug::SignBeforeRow) };
        if self.env.has(Bug::TilesAfterCheckpoint) {
            return Integrating::Row(work);
        }
        Integrating::Files { next: work, written: 0 }
    }

    fn write_next(&mut self, index: usize, next: Work, written: usize) -> Integrating {
        let Some(file) = next.files.get(written) else {
            return match next.row_last {
                true => Integrating::Sign(next),
                false => Integrating::Row(next),
            };
        };
        match self.write_file(index, file) {
            Ok(()) => {
                let is_tile = |file: Option<&File>| matches!(file, Some((Name::Tile(_), _)));
                let behind = next.files.get(written + 1);
                let between = behind.is_some() && is_tile(Some(file)) != is_tile(behind);
                // With the texts on disk, and not yet the entries.
                if between && self.dies(index, Kind::CrashAfterPack) {
                    return Integrating::Idle;
                }
                Integrating::Files { next, written: written + 1 }
            }
            Err(Stopped::Failed) => Integrating::Files { next, written },
            Err(Stopped::Died) => Integrating::Idle,
        }
    }

    fn write_file(&mut self, index: usize, (name, bytes): &File) -> Result<(), Stopped> {
        let Some(version) = self.run(index).map(|run| run.version) else {
            return Err(Stopped::Died);
        };
        let at = (version, *name);
        let wrote = self.instances[index].disk.write_durable(&mut self.env, at, bytes);
        match wrote {
            Ok(()) => {
                let (written, full) = match name {
                    Name::Pack { .. } => (Kind::PackWritten, Kind::PackClosed),
                    Name::Tile(_) | Name::Checkpoint => (Kind::TileWritten, Kind::TileFull),
                };
                self.env.stats.count(written);
                self.env.stats.add(full, usize::from(name.is_full()));
            }
            Err(Stopped::Died) => {
                self.env.stats.count(Kind::CrashAtStep);
                self.crash(index);
            }
            Err(Stopped::Failed) => {}
        }
        wrote
    }

    /// The row comes before the signature: of two that disagree one is refused here.
    fn row(&mut self, index: usize, work: Work) -> Integrating {
        let me = (index, self.instances[index].life);
        let Some((epoch, version)) = self.run(index).map(|run| (run.epoch, run.version)) else {
            return Integrating::Idle;
        };
        match self.db.may_begin(&mut self.env, Some(epoch)) {
            Ok(()) => {
                let write = Write::Row(version, work.edge.head());
                self.db.commit(&mut self.env, me, Of::Row, vec![write]);
                Integrating::Keeping(work)
            }
            Err(Refused::Locked | Refused::Down) => Integrating::Row(work),
            Err(Refused::NotWriter) => {
                self.not_writer(index);
                Integrating::Idle
            }
        }
    }

    pub(super) fn on_row(&mut self, index: usize, came: Came) {
        let Some(run) = self.run(index) else { return };
        let version = run.version;
        let Integrating::Keeping(work) = run.integrating.clone() else { return };
        let head = work.edge.head();
        let last = self.db.log(version).map(super::db::Log::last_row);
        let there = last == Some(head) && !self.db.down;
        if came == Came::Unknown && there {
            self.env.stats.count(Kind::RowThere);
        }
        let next = if came == Came::ToPass || there {
            if self.dies(index, Kind::CrashAfterRow) {
                return;
            }
            if work.row_last { self.done(index, work) } else { Integrating::Sign(work) }
        } else if last.is_some_and(|last| last.size >= head.size) {
            // Another has gone on from here: this one begins anew from what there is.
            return self.crash(index);
        } else {
            Integrating::Row(work)
        };
        self.run(index).iter_mut().for_each(|run| run.integrating = next.clone());
    }

    fn sign(&mut self, index: usize, work: Work) -> Integrating {
        let Some(run) = self.run(index) else { return Integrating::Idle };
        let (version, again) = (run.version, run.signed.is_none());
        if !run.may_sign() {
            self.env.stats.count(Kind::SignWaited);
            return Integrating::Sign(work);
        }
        let head = work.edge.head();
        let origin = self.keys.origin(version);
        let signed =
            Checkpoint::new(origin, head).map_err(|error| error.to_string()).and_then(|it| {
                let signer = self.keys.signer(version);
                SignedCheckpoint::sign(it, signer).map_err(|error| error.to_string())
            });
        let signed = match signed {
            Ok(signed) => Box::new(signed),
            Err(error) => {
                self.env.broken("A2", error);
                return Integrating::Idle;
            }
        };
        self.env.stats.count(if again { Kind::SignedAgain } else { Kind::Signed });
        let rows = self.db.log(version).map(|log| log.rows.contains(&head));
        if rows != Some(true) {
            self.env.broken("A3", format!("a head of {} was signed that has no row", head.size));
        }
        self.observer.signed(version, head);
        if self.dies(index, Kind::CrashAfterSign) {
            return Integrating::Idle;
        }
        Integrating::Publish(work, signed)
    }

    fn publish(&mut self, index: usize, work: Work, signed: Box<SignedCheckpoint>) -> Integrating {
        let Some(version) = self.run(index).map(|run| run.version) else {
            return Integrating::Idle;
        };
        let (head, note) = (signed.head(), signed.to_string());
        let disk = &mut self.instances[index].disk;
        let at = (version, Name::Checkpoint);
        match disk.write_durable(&mut self.env, at, note.as_bytes()) {
            Ok(()) => {}
            Err(Stopped::Failed) => return Integrating::Publish(work, signed),
            Err(Stopped::Died) => {
                self.env.stats.count(Kind::CrashAtStep);
                self.crash(index);
                return Integrating::Idle;
            }
        }
        self.check_published(index, version, head, &work.files);
        self.env.stats.count(Kind::Published);
        if let Some(run) = self.run(index) {
            run.signed = Some((*signed).clone());
            run.note.clone_from(&note);
        }
        if self.env.has(Bug::TilesAfterCheckpoint) {
            for file in &work.files {
                if self.write_file(index, file) == Err(Stopped::Died) {
                    return Integrating::Idle;
                }
            }
        }
        if work.row_last { Integrating::Row(work) } else { self.done(index, work) }
    }

    /// Whoever sees the checkpoint sees what it speaks of, also after a power cut.
    fn check_published(&mut self, index: usize, version: u32, head: TreeHead, files: &[File]) {
        let (disk, size) = (&self.instances[index].disk, head.size);
        if let Err(error) = Edge::load(&disk.sure_log(version), head) {
            self.env.broken("A4", format!("{size} entries were published without tiles: {error}"));
            return;
        }
        let mut packs = files.iter().filter(|(name, _)| matches!(name, Name::Pack { .. }));
        if packs.any(|(name, bytes)| disk.surely((version, *name)) != Some(bytes.as_slice())) {
            self.env.broken("A4", format!("{size} entries were published without their texts"));
        }
    }

    fn done(&mut self, index: usize, Work { edge, files, .. }: Work) -> Integrating {
        let full: Vec<Name> = files.iter().map(|(name, _)| *name).filter(Name::is_full).collect();
        if let Some(version) = self.run(index).map(|run| run.version) {
            self.instances[index].disk.remove_partial(version, &full);
            self.run(index).iter_mut().for_each(|run| run.edge = edge.clone());
        }
        Integrating::Idle
    }
}
