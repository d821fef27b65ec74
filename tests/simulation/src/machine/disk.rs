//! A machine's disk: what was written survives the death of a process, what was synced a power cut.
//!
//! The journal's text is real: it is written and read by the rules of the node's core.

use std::collections::BTreeMap;

use mesh_artifacts_core::state::UploadState;
use mesh_node_core::{
    Record,
    journal::{Recovered, recover, write_line},
};
use mesh_schemas::{AttemptKey, manifest::Manifest};

use crate::{env::Env, planted::Bug, stats::Kind};

/// An attempt's directory, and what is kept beside it.
#[derive(Debug, Default)]
pub(crate) struct Dir {
    /// Length of standard output.
    pub(crate) log: u64,
    /// How often the output file was written.
    pub(crate) output: u32,
    /// How often the checkpoint was written.
    pub(crate) checkpoint: u32,
    /// What the uploader remembers; written durably.
    pub(crate) state: Option<UploadState>,
    /// The manifest that the attempt began with.
    pub(crate) previous: Option<Box<Manifest>>,
}

/// How an append ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Append {
    Done,
    /// There is no room; the file is as it was.
    Full,
    /// The process died while it wrote.
    Torn,
    /// The process died after it had written.
    Died,
}

/// One disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    journal: Vec<u8>,
    /// So many bytes of the journal would survive a power cut.
    synced: usize,
    /// The journal before it was compacted, while the new name is not synced.
    before: Option<Vec<u8>>,
    /// So many records were written whole since the journal was read, and so many were read.
    records: usize,
    /// A power cut came since.
    was_cut: bool,
    full_until: u64,
    pub(crate) dirs: BTreeMap<AttemptKey, Dir>,
}

impl Disk {
    pub(crate) const fn is_full(&self, env: &Env) -> bool {
        env.now < self.full_until
    }

    pub(crate) fn fill(&mut self, env: &mut Env) {
        self.full_until = env.now + env.rng.between(1_000, 30_000);
    }

    pub(crate) const fn make_room(&mut self) {
        self.full_until = 0;
    }

    /// Appends records to the journal in one write.
    pub(crate) fn append(&mut self, env: &mut Env, records: Vec<Record>) -> Append {
        if self.is_full(env) {
            return Append::Full;
        }
        let (count, before) = (records.len(), self.journal.len());
        for record in records {
            write_line(record, &mut self.journal).unwrap_or_default();
        }
        if env.strikes(env.options.append_crash) {
            if env.rng.chance(500) {
                let written = self.journal.len() - before;
                self.journal.truncate(before + env.rng.index(written));
                self.records += self.journal[before..].iter().filter(|b| **b == b'\n').count();
                return Append::Torn;
            }
            self.records += count;
            return Append::Died;
        }
        self.records += count;
        // The kernel writes back now and then; nobody asks it to.
        if env.rng.chance(150) {
            self.synced = self.journal.len();
            self.before = None;
        }
        Append::Done
    }

    /// Replaces the journal.
    pub(crate) fn compact(&mut self, records: Vec<Record>) {
        self.records = records.len();
        let old = std::mem::take(&mut self.journal);
        for record in records {
            write_line(record, &mut self.journal).unwrap_or_default();
        }
        let durable = old.get(..self.synced).unwrap_or_default().to_vec();
        self.before.get_or_insert(durable);
        self.synced = 0;
    }

    /// What is not synced is lost, wholly or in part.
    pub(crate) fn cut_power(&mut self, env: &mut Env) {
        self.was_cut = true;
        if let Some(before) = self.before.take()
            && env.rng.chance(500)
        {
            env.stats.count(Kind::CompactionUndone);
            self.synced = before.len();
            self.journal = before;
        }
        let unsynced = self.journal.len() - self.synced;
        let kept = self.synced + env.rng.index(unsynced + 1);
        if kept < self.journal.len() {
            env.stats.count(Kind::TailLost);
        }
        self.journal.truncate(kept);
        if kept > self.synced && env.rng.chance(200) {
            let from = self.synced + env.rng.index(kept - self.synced);
            let hole = env.rng.index(200);
            self.journal[from..].iter_mut().take(hole).for_each(|byte| *byte = 0);
        }
        self.synced = self.journal.len();
        for dir in self.dirs.values_mut() {
            dir.log -= env.rng.between(0, dir.log.min(60));
        }
    }

    /// Reads the journal and cuts off what cannot be read.
    pub(crate) fn read(&mut self, env: &mut Env, whose: usize) -> Recovered {
        let found = recover(&self.journal);
        let bug = env.options.bug;
        if bug != Some(Bug::TornTailKept) {
            self.journal.truncate(found.good);
        }
        self.synced = self.synced.min(self.journal.len());
        if found.damaged {
            env.stats.count(Kind::JournalDamaged);
        }
        let expected = self.records;
        self.records = found.records.len();
        if !std::mem::take(&mut self.was_cut) && self.records != expected {
            let lost = format!("of {expected} records of node {whose} {} are left", self.records);
            env.observer.broken("A8", &format!("{lost} without a power cut"));
        }
        found
    }
}
