//! The journal's records, replayed, are the state; and the state as the fewest records.

use std::{collections::BTreeMap, sync::Arc};

use mesh_schemas::{
    JournalId,
    message::{NodeEvent, StartTasks, TaskStart},
};

use crate::{
    JobRun, Life, Node, Phase, Record, Settings, Stopping, events::EventLog, tombstones::Tombstones,
};

impl Node {
    /// The state that these records led to, for a new life of the agent. What comes second is to be
    /// appended to the journal before anything else.
    pub fn restore(
        records: impl IntoIterator<Item = Record>,
        settings: Settings,
        life: Life,
    ) -> (Self, Vec<Record>) {
        let mut node = Self {
            settings,
            boot: String::new(),
            attempts: BTreeMap::new(),
            tombstones: Tombstones::default(),
            events: EventLog::new(life.spare),
            starts: std::collections::VecDeque::new(),
            leader: None,
            heard_at: life.now,
            asked_at: life.now,
            supervised: false,
            drain: None,
        };
        for record in records {
            node.replay(record);
        }
        node.events.go_back();
        let mut opened = Vec::new();
        if node.enter(life.boot) {
            opened.push(node.reopen(life.spare));
        }
        (node, opened)
    }

    /// True when this is another boot of the machine than before.
    fn enter(&mut self, boot: String) -> bool {
        let is_another = self.boot != boot;
        if is_another {
            self.boot = boot;
            self.attempts.values_mut().for_each(|attempt| attempt.from_former_boot = true);
        }
        is_another
    }

    /// Numbers begin anew; the record says so.
    pub(crate) fn reopen(&mut self, journal: JournalId) -> Record {
        self.events.reopen(journal);
        for (seq, event) in self.events.unrecorded() {
            if let NodeEvent::AttemptEnded(ended) = event
                && let Some(attempt) = self.attempts.get_mut(&ended.attempt)
            {
                attempt.phase = Phase::Ended { seq };
            }
        }
        Record::Opened { journal, boot: self.boot.clone() }
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Opened { journal, boot } => {
                self.enter(boot);
                self.reopen(journal);
            }
            Record::Accepted(start) => {
                self.insert(*start);
            }
            Record::Stopping { attempt, cause, at } => {
                if let Some(attempt) = self.attempts.get_mut(&attempt) {
                    attempt.stop = Some(Stopping { cause, at });
                }
            }
            Record::Event { seq, event } => self.replay_event(seq, event),
            Record::Recorded { seq } if seq > self.events.last() => self.events.begin_after(seq),
            Record::Recorded { seq } => {
                for (seq, event) in self.events.confirm(seq, self.heard_at) {
                    self.forget_ended(seq, &event);
                }
            }
            Record::Dropped { attempt } => self.forget(attempt),
            Record::Tombstones(buried) => {
                buried.into_iter().for_each(|attempt| self.tombstones.bury(attempt));
            }
        }
    }

    fn replay_event(&mut self, seq: u64, event: NodeEvent) {
        if let Some(attempt) = self.attempts.get_mut(&event.attempt()) {
            match &event {
                NodeEvent::AttemptStarted { .. } => attempt.start_told = true,
                NodeEvent::ManifestCommitted { manifest, .. } => {
                    attempt.stored = Some(manifest.clone());
                }
                NodeEvent::AttemptEnded(_) => attempt.phase = Phase::Ended { seq },
            }
        }
        let given = self.events.push(event);
        debug_assert_eq!(given, seq, "events are journaled in the order of their numbers");
    }

    /// The fewest records that lead to this state; what compaction writes.
    pub fn compacted(&self) -> Vec<Record> {
        let journal = self.events.journal;
        let mut records = vec![Record::Opened { journal, boot: self.boot.clone() }];
        if self.events.recorded() > 0 {
            records.push(Record::Recorded { seq: self.events.recorded() });
        }
        if !self.tombstones.is_empty() {
            records.push(Record::Tombstones(self.tombstones.iter().collect()));
        }
        records.extend(self.accepted());
        records.extend(self.attempts.iter().filter_map(|(key, attempt)| {
            let Stopping { cause, at } = attempt.stop?;
            Some(Record::Stopping { attempt: *key, cause, at })
        }));
        let event = |(seq, event): (u64, &NodeEvent)| Record::Event { seq, event: event.clone() };
        records.extend(self.events.unrecorded().map(event));
        records
    }

    /// The attempts held, those of one command together, in the order of the first of each.
    fn accepted(&self) -> Vec<Record> {
        // By address, which is another one in each run: for finding a group, never for the order.
        let mut known: BTreeMap<*const JobRun, usize> = BTreeMap::new();
        let mut groups: Vec<(Arc<JobRun>, Vec<TaskStart>)> = Vec::new();
        for attempt in self.attempts.values() {
            let index = *known.entry(Arc::as_ptr(&attempt.job)).or_insert(groups.len());
            if index == groups.len() {
                groups.push((Arc::clone(&attempt.job), Vec::new()));
            }
            if let Some((_, tasks)) = groups.get_mut(index) {
                tasks.push(attempt.start.clone());
            }
        }
        let record = |(job, tasks): (Arc<JobRun>, Vec<TaskStart>)| {
            let (run, trace) = (job.run.clone(), job.trace);
            Record::Accepted(Box::new(StartTasks {
                job: job.job,
                run,
                trace,
                journal: None,
                tasks,
            }))
        };
        groups.into_iter().map(record).collect()
    }

    /// Panics when our own bookkeeping contradicts itself. Tests call it after each step.
    pub fn check_invariants(&self) {
        let mut ended = BTreeMap::new();
        for (seq, event) in self.events.unrecorded() {
            if let NodeEvent::AttemptEnded(event) = event {
                let again = ended.insert(event.attempt, seq);
                assert_eq!(again, None, "{} ended twice", event.attempt);
                let held = self.attempts.get(&event.attempt);
                assert!(held.is_some(), "{} is unrecorded and not held", event.attempt);
            }
        }
        for (key, attempt) in &self.attempts {
            assert_eq!(*key, attempt.key());
            let number = match attempt.phase {
                Phase::Ended { seq } => Some(seq),
                Phase::Accepted
                | Phase::Preparing
                | Phase::Submitted
                | Phase::Running { .. }
                | Phase::Exited { .. } => None,
            };
            assert_eq!(ended.get(key).copied(), number, "{key}'s end and its event agree");
        }
    }
}
