//! One node as the core sees it: what it offers, what it holds, when it was last heard of.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    JobId, JournalId, Timestamp,
    api::NodeState,
    message::{Load, NodeReport},
};

use crate::{
    Config, NodeRecord, NodeSetting,
    amounts::Amounts,
    lease::{Lease, Share},
};

/// Most journals of one node that are known at a time; a wiped disk makes a new one.
const JOURNALS_MAX: usize = 16;

/// A node that has joined.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) record: NodeRecord,
    /// What it offers; nothing before its first hello.
    pub(crate) capacity: Amounts,
    /// Last recorded number of each of its journals that said hello.
    pub(crate) journals: BTreeMap<JournalId, u64>,
    /// Its last sign of life since this core began.
    pub(crate) seen_at: Option<Timestamp>,
    /// Its last hello since this core began, or that beginning.
    pub(crate) hello_at: Timestamp,
    pub(crate) load: Option<Load>,
    /// Its owner wants no new work.
    pub(crate) paused: bool,
    /// Tasks leased to it.
    pub(crate) held: BTreeSet<(JobId, u32)>,
    /// Those of them that no beat has named yet.
    pub(crate) unconfirmed: BTreeSet<(JobId, u32)>,
    /// What all of them need together; beyond the capacity when some wait on the node.
    pub(crate) used: Amounts,
    /// What those need that may take long.
    pub(crate) slow: Amounts,
    /// How many were granted beyond the capacity.
    pub(crate) prefetched: u32,
    /// Losses by its own fault since an attempt there last came to its own end.
    pub(crate) losses: BTreeSet<Loss>,
    /// The state last told to the event log.
    pub(crate) told: Option<NodeState>,
}

/// One reason to doubt a node. A crash that loses many attempts is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// Attempts that were granted before the hello at this time.
    Crash(Timestamp),
    /// An attempt at this task.
    Task(JobId, u32),
}

impl Node {
    pub(crate) fn new(record: NodeRecord, now: Timestamp) -> Self {
        let capacity = record.report.as_deref().map(|report| Amounts::from(&report.capacity));
        Self {
            capacity: capacity.unwrap_or_default(),
            paused: record.report.as_deref().is_some_and(|report| report.paused),
            record,
            journals: BTreeMap::new(),
            seen_at: None,
            hello_at: now,
            load: None,
            held: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            used: Amounts::default(),
            slow: Amounts::default(),
            prefetched: 0,
            losses: BTreeSet::new(),
            told: None,
        }
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.record.setting == NodeSetting::Revoked
    }

    /// Heard of lately.
    pub(crate) fn is_online(&self, config: &Config, now: Timestamp) -> bool {
        self.seen_at.is_some_and(|seen| now.since(seen) <= config.suspect_after)
    }

    /// May be given work, should it fit.
    pub(crate) fn takes_work(&self, config: &Config, now: Timestamp) -> bool {
        self.record.setting == NodeSetting::Active
            && !self.paused
            && self.record.report.is_some()
            && self.is_online(config, now)
    }

    /// Carries each of these labels.
    pub(crate) fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.is_empty()
            || self.record.report.as_deref().is_some_and(|report| {
                labels.iter().all(|(name, value)| report.labels.get(name) == Some(value))
            })
    }

    /// How full it is, in thousandths.
    pub(crate) fn fullness(&self) -> u64 {
        self.used.load(&self.capacity)
    }

    /// Where it is, as shown to people. `grace_until` is when silence since a start begins to count.
    pub(crate) fn state(
        &self,
        config: &Config,
        now: Timestamp,
        grace_until: Timestamp,
    ) -> NodeState {
        if self.is_revoked() {
            return NodeState::Revoked;
        }
        if !self.is_online(config, now) {
            return self.silent_state(config, now, grace_until);
        }
        match self.record.setting {
            NodeSetting::Active if self.paused => NodeState::Paused,
            NodeSetting::Active => NodeState::Online,
            NodeSetting::Draining => NodeState::Draining,
            NodeSetting::Paused => NodeState::Paused,
            NodeSetting::Quarantined => NodeState::Quarantined,
            NodeSetting::Revoked => NodeState::Revoked,
        }
    }

    fn silent_state(&self, config: &Config, now: Timestamp, grace_until: Timestamp) -> NodeState {
        let lately = self.seen_at.is_some_and(|seen| now.since(seen) <= config.lease_ttl);
        let unheard = self.seen_at.is_none() && now < grace_until && self.record.report.is_some();
        if lately || unheard { NodeState::Suspect } else { NodeState::Offline }
    }

    /// Takes a report over; true when it says something new. The name stays that of the join, which an
    /// administrator's code stood for.
    pub(crate) fn take_report(&mut self, report: &NodeReport) -> bool {
        // What it holds changes all the time and is no part of what is stored.
        let kept = NodeReport { held: Vec::new(), ..report.clone() };
        self.paused = kept.paused;
        self.capacity = Amounts::from(&kept.capacity);
        let changed = self.record.report.as_deref() != Some(&kept);
        self.record.report = Some(Box::new(kept));
        changed
    }

    /// Learns of a journal; true when it was not known.
    pub(crate) fn open_journal(&mut self, journal: JournalId) -> bool {
        if self.journals.contains_key(&journal) {
            return false;
        }
        if self.journals.len() >= JOURNALS_MAX {
            self.journals.pop_first();
        }
        self.journals.insert(journal, 0);
        true
    }

    /// The journal of the last report.
    pub(crate) fn journal(&self) -> Option<JournalId> {
        self.record.report.as_deref().map(|report| report.journal)
    }

    pub(crate) fn hold(&mut self, job: JobId, task: u32, needs: &Amounts, lease: &Lease) {
        self.held.insert((job, task));
        if !lease.named {
            self.unconfirmed.insert((job, task));
        }
        self.used.add(needs);
        match lease.share {
            Share::Slow => self.slow.add(needs),
            Share::Short => {}
            Share::Prefetched => self.prefetched += 1,
        }
    }

    pub(crate) fn release(&mut self, job: JobId, task: u32, needs: &Amounts, lease: &Lease) {
        self.held.remove(&(job, task));
        self.unconfirmed.remove(&(job, task));
        self.used.subtract(needs);
        match lease.share {
            Share::Slow => self.slow.subtract(needs),
            Share::Short => {}
            Share::Prefetched => self.prefetched -= 1,
        }
    }
}
