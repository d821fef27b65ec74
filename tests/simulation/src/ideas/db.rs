//! The modelled database: transactions that hold the writer's row until they land, which may be late, or
//! never; keys that refuse what does not follow; backups.

use std::{collections::BTreeMap, sync::Arc};

use mesh_ideas_core::ledger::Ledger;
use mesh_schemas::idea::EntryId;
use mesh_tlog::TreeHead;

use super::{
    env::{Came, Env, Event, Of},
    planted::Bug,
    stats::Kind,
};

/// One leaf, with the text beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeafRow {
    pub(super) id: EntryId,
    pub(super) data: Arc<[u8]>,
    pub(super) text: Option<Arc<str>>,
}

/// One log.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) version: u32,
    pub(super) leaves: Vec<LeafRow>,
    /// Rows of checkpoints, smallest first.
    pub(super) rows: Vec<TreeHead>,
    pub(super) ledger: Ledger,
    /// Up to where the object store has everything, and the note there.
    pub(super) copied: Option<(u64, String)>,
    pub(super) cosigned: Option<TreeHead>,
}

impl Log {
    pub(super) fn size(&self) -> u64 {
        size(self.leaves.len())
    }

    pub(super) fn last_row(&self) -> TreeHead {
        self.rows.last().copied().unwrap_or(TreeHead::EMPTY)
    }
}

/// All tables. The last log is the current one.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) writer: u64,
    pub(super) logs: Vec<Log>,
    /// Which stream, and how far in it.
    pub(super) stream: (u32, u64),
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// The next writer's epoch.
    Epoch,
    Leaves {
        version: u32,
        first: u64,
        rows: Vec<LeafRow>,
        ledger: Box<Ledger>,
    },
    Position(u32, u64),
    Row(u32, TreeHead),
    Copied(u32, u64, String),
    Cosigned(u32, TreeHead),
    Projections(u32, Box<Ledger>),
}

/// Why none began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Locked,
    NotWriter,
    Down,
}

#[derive(Debug)]
struct Pending {
    index: usize,
    life: u32,
    of: Of,
    writes: Vec<Write>,
    given_up: bool,
}

/// The database.
#[derive(Debug, Default)]
pub(super) struct Db {
    pub(super) tables: Tables,
    pub(super) backups: Vec<Tables>,
    pub(super) down: bool,
    /// Who has the lock that lasts as long as a session.
    pub(super) session: Option<(usize, u32)>,
    /// The transaction that holds the writer's row.
    lock: Option<u64>,
    pending: BTreeMap<u64, Pending>,
    count: u64,
}

impl Db {
    pub(super) fn log(&self, version: u32) -> Option<&Log> {
        self.tables.logs.iter().find(|log| log.version == version)
    }

    /// Whether a transaction of this epoch may begin.
    pub(super) fn may_begin(&self, env: &mut Env, epoch: Option<u64>) -> Result<(), Refused> {
        if self.down {
            return Err(Refused::Down);
        }
        if env.has(Bug::FenceDropped) {
            return Ok(());
        }
        if self.lock.is_some() {
            env.stats.count(Kind::LockWaited);
            return Err(Refused::Locked);
        }
        if epoch.is_some_and(|epoch| epoch != self.tables.writer) {
            env.stats.count(Kind::NotWriter);
            return Err(Refused::NotWriter);
        }
        Ok(())
    }

    /// Commits writes that were decided on the tables as they are, behind [`Self::may_begin`].
    pub(super) fn commit(
        &mut self,
        env: &mut Env,
        (index, life): (usize, u32),
        of: Of,
        writes: Vec<Write>,
    ) {
        self.count += 1;
        let transaction = self.count;
        let told = |came| Event::Told { index, life, of, came };
        if env.strikes_as(env.options.commit_fails, Kind::CommitFailed) {
            return env.after(2, told(Came::Unknown));
        }
        let given_up = env.strikes_as(env.options.commit_unknown, Kind::CommitUnknown);
        let mut wait = env.rng.between(1, 8);
        if given_up {
            let late = if env.rng.chance(300) { 3_000 } else { 12 };
            wait = env.rng.between(1, late);
            let knows = env.rng.between(1, 60);
            env.after(knows, told(Came::Unknown));
        }
        self.lock = Some(transaction);
        self.pending.insert(transaction, Pending { index, life, of, writes, given_up });
        env.after(wait, Event::Land { transaction });
    }

    /// It lands, whole or not at all.
    pub(super) fn land(&mut self, env: &mut Env, transaction: u64) {
        let Some(Pending { index, life, of, writes, given_up }) = self.pending.remove(&transaction)
        else {
            return;
        };
        self.unlock(transaction);
        let mut after = self.tables.clone();
        let fits = writes.into_iter().all(|write| after.apply(env, write));
        if fits {
            self.tables = after;
        }
        env.stats.count(match (fits, given_up) {
            (true, true) => Kind::CommitLate,
            (true, false) => Kind::Committed,
            (false, _) => Kind::KeyRefused,
        });
        if !given_up {
            let came = if fits { Came::ToPass } else { Came::Unknown };
            env.after(1, Event::Told { index, life, of, came });
        }
    }

    fn unlock(&mut self, transaction: u64) {
        if self.lock == Some(transaction) {
            self.lock = None;
        }
    }

    /// It is started again: what has not landed never does.
    pub(super) fn restart(&mut self, env: &mut Env) {
        env.stats.add(Kind::CommitUndone, self.pending.len());
        for (_, Pending { index, life, of, .. }) in std::mem::take(&mut self.pending) {
            env.after(1, Event::Told { index, life, of, came: Came::Unknown });
        }
        self.lock = None;
    }
}

impl Tables {
    pub(super) fn current(&mut self) -> Option<&mut Log> {
        self.logs.last_mut()
    }

    fn log(&mut self, version: u32) -> Option<&mut Log> {
        self.logs.iter_mut().find(|log| log.version == version)
    }

    /// False when a key or a trigger refuses it.
    fn apply(&mut self, env: &Env, write: Write) -> bool {
        match write {
            Write::Epoch => self.writer += 1,
            Write::Position(stream, position) => self.stream = (stream, position),
            Write::Leaves { version, first, rows, ledger } => {
                let Some(log) = self.log(version) else { return false };
                let there = |row: &LeafRow| log.leaves.iter().any(|leaf| leaf.id == row.id);
                let twice = !env.has(Bug::AppendedTwice) && rows.iter().any(there);
                if first != log.size() || twice {
                    return false;
                }
                log.leaves.extend(rows);
                log.ledger = *ledger;
            }
            Write::Row(version, head) => {
                let Some(log) = self.log(version) else { return false };
                if head.size <= log.last_row().size {
                    return false;
                }
                log.rows.push(head);
            }
            Write::Copied(version, size, note) => {
                let Some(log) = self.log(version) else { return false };
                log.copied = Some((size, note));
            }
            Write::Cosigned(version, head) => {
                let Some(log) = self.log(version) else { return false };
                log.cosigned = Some(head);
            }
            Write::Projections(version, ledger) => {
                let Some(log) = self.log(version) else { return false };
                log.ledger = *ledger;
            }
        }
        true
    }
}

pub(super) fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
