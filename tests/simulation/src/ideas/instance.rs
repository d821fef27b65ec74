//! A registry: its lives, its start, and what it compares before it signs.

use mesh_tlog::{Edge, SignedCheckpoint, TreeHead};

use super::{
    db::{Refused, Write},
    disk::{Disk, Name},
    env::{Answer, Came, Event, Of, Step},
    integrate::Integrating,
    observer::root_at,
    packs,
    planted::Bug,
    rebuild::rebuild,
    stats::Kind,
    world::World,
    writer::{Request, Writing},
};

/// One registry with its machine.
#[derive(Debug, Default)]
pub(super) struct Instance {
    pub(super) life: u32,
    pub(super) disk: Disk,
    /// How far its wall clock is off, in milliseconds.
    pub(super) skew: i64,
    /// It does nothing until then.
    pub(super) frozen_until: u64,
    pub(super) run: Option<Box<Run>>,
}

/// What a life has in memory.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) epoch: u64,
    pub(super) version: u32,
    pub(super) halted: bool,
    /// Witness and object store have said what they know of the log.
    pub(super) asked: (bool, bool),
    /// Leaves that are known to be durable.
    pub(super) size: u64,
    /// A transaction has failed, and whether it took effect is to be read from the database.
    pub(super) unsure: bool,
    pub(super) queue: Vec<Request>,
    pub(super) writing: Option<Writing>,
    pub(super) edge: Edge,
    pub(super) integrating: Integrating,
    pub(super) signed: Option<SignedCheckpoint>,
    /// Its text.
    pub(super) note: String,
    pub(super) copying: super::copy::Copying,
    pub(super) cosigned: Option<TreeHead>,
    pub(super) cosigning: bool,
    /// The number in the stream that is being appended.
    pub(super) reading: Option<u64>,
}

impl Run {
    /// Nothing may be signed before.
    pub(super) const fn may_sign(&self) -> bool {
        self.asked.0 && self.asked.1
    }
}

impl World {
    pub(super) fn run(&mut self, index: usize) -> Option<&mut Run> {
        self.instances[index].run.as_deref_mut()
    }

    /// The next step of a registry, a while from now.
    pub(super) fn step_after(&mut self, index: usize, millis: u64, step: Step) {
        let life = self.instances[index].life;
        self.env.after(millis, Event::Instance { index, life, step });
    }

    pub(super) fn on_step(&mut self, index: usize, life: u32, step: Step) {
        let instance = &self.instances[index];
        if instance.life != life {
            return;
        }
        if instance.frozen_until > self.env.now {
            let wait = instance.frozen_until - self.env.now + self.env.rng.between(0, 5);
            return self.env.after(wait, Event::Instance { index, life, step });
        }
        match step {
            Step::Start => self.start(index),
            Step::Write => self.write(index),
            Step::Read => self.read(index),
            Step::Integrate => self.integrate(index),
            Step::Copy => self.copy(index),
            Step::Witness => self.witness(index),
        }
    }

    pub(super) fn on_told(&mut self, index: usize, life: u32, of: Of, came: Came) {
        let instance = &self.instances[index];
        if instance.life != life {
            return;
        }
        if instance.frozen_until > self.env.now {
            let wait = instance.frozen_until - self.env.now;
            return self.env.after(wait, Event::Told { index, life, of, came });
        }
        match of {
            Of::Start => self.on_started(index, came),
            Of::Append => self.on_appended(index, came),
            Of::Row => self.on_row(index, came),
            Of::Cursor => self.on_copied(index, came),
            Of::Cosigned => {
                self.run(index).iter_mut().for_each(|run| run.cosigning = false);
            }
        }
    }

    /// The process dies, and what it had in memory with it; it is started again.
    pub(super) fn crash(&mut self, index: usize) {
        self.stop(index);
        let wait = self.env.rng.between(5, 800);
        self.step_after(index, wait, Step::Start);
    }

    /// The same, if it strikes at this step.
    pub(super) fn dies(&mut self, index: usize, kind: Kind) -> bool {
        let dies = self.env.strikes_as(self.env.options.crash, kind);
        if dies {
            self.crash(index);
        }
        dies
    }

    pub(super) fn stop(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        if self.db.session == Some((index, instance.life)) {
            self.db.session = None;
        }
        instance.life += 1;
        instance.run = None;
        instance.frozen_until = 0;
    }

    /// Takes the lock, and then the next epoch.
    fn start(&mut self, index: usize) {
        let me = (index, self.instances[index].life);
        if self.db.session.is_some_and(|session| session != me) {
            self.env.stats.count(Kind::Locked);
            return self.step_after(index, 400, Step::Start);
        }
        match self.db.may_begin(&mut self.env, None) {
            Ok(()) => {
                self.db.session = Some(me);
                self.db.commit(&mut self.env, me, Of::Start, vec![Write::Epoch]);
            }
            Err(Refused::Locked | Refused::Down | Refused::NotWriter) => {
                self.step_after(index, 50, Step::Start);
            }
        }
    }

    fn on_started(&mut self, index: usize, came: Came) {
        let me = (index, self.instances[index].life);
        if came == Came::Unknown || self.db.down || self.db.session != Some(me) {
            return self.step_after(index, 50, Step::Start);
        }
        let epoch = self.db.tables.writer;
        let Some(log) = self.db.tables.current() else { return };
        if log.version != self.identity {
            // The key belongs to another log than the database: for the operator.
            self.mixed_up = true;
            return self.step_after(index, 500, Step::Start);
        }
        let (version, last, size) = (log.version, log.last_row(), log.size());
        let cosigned = log.cosigned;
        let edge = self.load_edge(index, version, last);
        let fits = edge.as_ref().is_some_and(|edge| edge.head() == last);
        self.instances[index].run = Some(Box::new(Run {
            epoch,
            version,
            halted: false,
            asked: (false, false),
            size,
            unsure: false,
            queue: Vec::new(),
            writing: None,
            edge: edge.unwrap_or_else(Edge::empty),
            integrating: Integrating::Idle,
            signed: None,
            note: String::new(),
            copying: super::copy::Copying::Idle,
            cosigned,
            cosigning: false,
            reading: None,
        }));
        self.env.stats.count(Kind::Started);
        if !fits {
            self.halt(index, "the leaves do not give the last row");
        }
        if self.env.has(Bug::SignWithoutAsking) {
            self.run(index).iter_mut().for_each(|run| run.asked = (true, true));
        }
        self.compare_disk(index, version);
        if let Some(head) = cosigned {
            self.judge(index, head);
        }
        // No key guards projections: only the fence does.
        if !self.env.has(Bug::FenceDropped) && self.env.strikes(200) {
            self.rebuild_projections(index, version);
        }
        for step in [Step::Write, Step::Read, Step::Integrate, Step::Copy, Step::Witness] {
            let wait = self.env.rng.between(1, 10);
            self.step_after(index, wait, step);
        }
    }

    /// The edge at the last row: from the disk, or else made anew with all tiles.
    fn load_edge(&mut self, index: usize, version: u32, last: TreeHead) -> Option<Edge> {
        self.check_left(index, version);
        let instance = &mut self.instances[index];
        // What a former process left is seen, and may be gone after a power cut.
        instance.disk.sync();
        if let Ok(edge) = Edge::load(&instance.disk.log(version), last) {
            return Some(edge);
        }
        self.env.stats.count(Kind::TilesRebuilt);
        let log = self.db.log(version)?;
        let leaves = log.leaves.get(..usize::try_from(last.size).ok()?)?;
        let data: Vec<_> = leaves.iter().map(|leaf| leaf.data.clone()).collect();
        let (edge, files) = Edge::empty().integrate(&data).ok()?;
        let tiles = files.into_iter().map(|file| (Name::Tile(file.tile), file.bytes));
        for (name, bytes) in packs::grown(leaves, 0).into_iter().chain(tiles) {
            // Whoever dies or fails here begins again: trying until it is written says the same.
            while instance.disk.write_durable(&mut self.env, (version, name), &bytes).is_err() {}
        }
        Some(edge)
    }

    /// Whoever finds an entry on a disk finds its text there, wherever a former process died.
    fn check_left(&mut self, index: usize, version: u32) {
        if let Some(bundle) = packs::bundle_without(&self.instances[index].disk, version) {
            self.env.broken("A12", format!("{bundle} is on a disk without its texts"));
        }
    }

    /// The checkpoint on disk may be newer than a database that was put back.
    fn compare_disk(&mut self, index: usize, version: u32) {
        let Some(note) = self.instances[index].disk.read((version, Name::Checkpoint)) else {
            return;
        };
        match self.keys.trusted(version).open(note) {
            Ok(seen) => self.judge(index, seen.head()),
            Err(error) => self.env.broken("A2", format!("a published checkpoint is torn: {error}")),
        }
    }

    /// Compares a head that this log has signed with its leaves; halts it when both cannot be.
    pub(super) fn judge(&mut self, index: usize, seen: TreeHead) {
        let Some(version) = self.run(index).map(|run| run.version) else { return };
        let Some(log) = self.db.log(version) else { return };
        if root_at(&log.leaves, seen.size) == Some(seen.root) {
            return;
        }
        if !self.env.has(Bug::SignAfterRestore) {
            self.halt(index, "a head was seen that the log does not continue");
        }
    }

    pub(super) fn halt(&mut self, index: usize, why: &str) {
        let Some(run) = self.run(index) else { return };
        if std::mem::replace(&mut run.halted, true) {
            return;
        }
        let version = run.version;
        self.env.stats.count(Kind::Halted);
        if !self.observer.was_restored(version) {
            self.env.broken("A6", format!("v{version} was halted without a reason: {why}"));
        }
    }

    /// It is not the writer any more.
    pub(super) fn not_writer(&mut self, index: usize) {
        for request in self.run(index).map(|run| std::mem::take(&mut run.queue)).unwrap_or_default()
        {
            self.answer(&request, Answer::NotNow);
        }
        self.crash(index);
    }

    /// `mesh-ideas rebuild --from leaves`, before anything is appended.
    fn rebuild_projections(&mut self, index: usize, version: u32) {
        let me = (index, self.instances[index].life);
        let epoch = self.run(index).map(|run| run.epoch);
        if self.db.may_begin(&mut self.env, epoch).is_err() {
            return;
        }
        let Some(log) = self.db.log(version) else { return };
        self.env.stats.count(Kind::Rebuilt);
        let forgets = self.env.has(Bug::RebuildForgetsKind);
        let ledger = Box::new(rebuild(&log.leaves, forgets.then_some("seen_again")));
        // It is waited for as an append is: the writer begins behind it.
        let writes = vec![Write::Projections(version, ledger)];
        let writing = Writing { size: log.size(), requests: Vec::new(), answers: Vec::new() };
        self.run(index).iter_mut().for_each(|run| run.writing = Some(writing.clone()));
        self.db.commit(&mut self.env, me, Of::Append, writes);
    }
}
