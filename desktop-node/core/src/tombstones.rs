//! The last attempts that were forgotten, so that a late command does not run one of them again.

use std::collections::{BTreeSet, VecDeque};

use mesh_schemas::AttemptKey;

/// How many are remembered. A command older than so many attempts runs its task once more; the
/// orchestrator's fence makes that harmless.
pub const TOMBSTONES_MAX: usize = 8_192;

/// A bounded memory of attempts, the oldest going first.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    order: VecDeque<AttemptKey>,
    members: BTreeSet<AttemptKey>,
}

impl Tombstones {
    pub(crate) fn bury(&mut self, attempt: AttemptKey) {
        if !self.members.insert(attempt) {
            return;
        }
        self.order.push_back(attempt);
        if self.order.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }

    /// True when this attempt or a later one of its task was here.
    pub(crate) fn covers(&self, attempt: AttemptKey) -> bool {
        let last = AttemptKey { epoch: mesh_schemas::Epoch(u32::MAX), ..attempt };
        self.members.range(attempt..=last).next().is_some()
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = AttemptKey> {
        self.order.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
