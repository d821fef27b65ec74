//! What nodes say came to pass: by the numbers of their journals, and behind the fence.

use mesh_schemas::{
    AttemptKey, EndClass, JournalId, NodeId, TaskState, Timestamp,
    api::EventKind,
    manifest::{ManifestPlace, ManifestSummary},
    message::{AttemptEnded, NodeCommand, NodeEvent, NodeEvents, StopReason},
    subject,
};

use crate::{
    Change, Command, Core, Output, Rejected, Reply, command::push_stops, core::attempt_event,
    task::State,
};

impl Core {
    pub(crate) fn on_events(
        &mut self,
        now: Timestamp,
        events: NodeEvents,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let (node, journal) = (events.node, events.journal);
        let recorded = self.recorded_seq(node, journal, out)?;
        let expected = recorded.saturating_add(1);
        let gap = Rejected::Gap { node, expected, got: events.first_seq };
        let count = u64::try_from(events.events.len()).unwrap_or(u64::MAX);
        let last = events.first_seq.checked_add(count).and_then(|after| after.checked_sub(1));
        let Some(last) = last.filter(|_| (1..=expected).contains(&events.first_seq)) else {
            return Err(gap);
        };
        let known = usize::try_from(expected - events.first_seq).unwrap_or(usize::MAX);
        let mut fenced = Vec::new();
        for event in events.events.into_iter().skip(known) {
            let attempt = event.attempt();
            if self.on_event(now, node, event, out).is_err() {
                fenced.push(attempt);
            }
        }
        out.fenced += u32::try_from(fenced.len()).unwrap_or(u32::MAX);
        push_stops(out, node, &fenced, StopReason::Fenced);
        self.confirm(node, journal, last.max(recorded), out);
        Ok(Reply::Done)
    }

    /// The last recorded number of a journal that said hello.
    pub(crate) fn recorded_seq(
        &mut self,
        id: NodeId,
        journal: JournalId,
        out: &mut Output,
    ) -> Result<u64, Rejected> {
        let recorded = self.node_mut(id)?.journals.get(&journal).copied();
        recorded.ok_or_else(|| {
            out.commands.push(Command { node: id, command: NodeCommand::Report });
            Rejected::UnknownJournal(id)
        })
    }

    /// Confirms even what was recorded long ago: the confirmation may have been lost.
    fn confirm(&mut self, id: NodeId, journal: JournalId, seq: u64, out: &mut Output) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.journals.insert(journal, seq) != Some(seq) {
            out.changes.push(Change::NodeJournal { node: id, journal, seq });
        }
        out.commands.push(Command { node: id, command: NodeCommand::Recorded { journal, seq } });
    }

    fn on_event(
        &mut self,
        now: Timestamp,
        node: NodeId,
        event: NodeEvent,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let attempt = event.attempt();
        if !keeps_to_its_prefix(&event) {
            return Err(Rejected::Fenced(attempt));
        }
        if !self.is_leased_to(node, attempt) && !self.adopt(now, node, attempt, out) {
            return Err(Rejected::Fenced(attempt));
        }
        match event {
            NodeEvent::AttemptStarted { at, .. } => self.on_started(now, node, attempt, at, out),
            NodeEvent::ManifestCommitted { manifest, .. } => {
                self.on_manifest(now, node, attempt, manifest, out);
            }
            NodeEvent::AttemptEnded(ended) => self.on_ended(now, node, *ended, out),
        }
        Ok(())
    }

    fn on_started(
        &mut self,
        now: Timestamp,
        node: NodeId,
        attempt: AttemptKey,
        at: Timestamp,
        out: &mut Output,
    ) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let Some(task) = job.tasks.get_mut(&attempt.task) else { return };
        let mut lease = match &task.state {
            State::Leased { lease } => lease.clone(),
            State::Queued(_) | State::Running { .. } => return,
        };
        lease.named = true;
        task.state = State::Running { lease, started_at: at };
        out.changes.push(Change::AttemptStarted { attempt, at });
        out.changes.push(Change::Task(Box::new(task.record(attempt.job, attempt.task))));
        let event = attempt_event(now, EventKind::AttemptStarted, attempt, Some(node));
        out.changes.push(Change::Event(event));
        job.moved(1, TaskState::Leased, TaskState::Running);
        self.dirty.insert(attempt.job);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.unconfirmed.remove(&(attempt.job, attempt.task));
        }
    }

    fn on_manifest(
        &mut self,
        now: Timestamp,
        node: NodeId,
        attempt: AttemptKey,
        manifest: Box<ManifestSummary>,
        out: &mut Output,
    ) {
        let kept = self.keep_checkpoint(attempt, &manifest);
        if let Some(task) = self.task(attempt.job, attempt.task).filter(|_| kept) {
            out.changes.push(Change::Task(Box::new(task.record(attempt.job, attempt.task))));
        }
        let event = attempt_event(now, EventKind::ManifestCommitted, attempt, Some(node));
        out.changes.push(Change::Event(event));
        out.changes.push(Change::AttemptManifest { attempt, manifest });
    }

    /// Remembers what the next attempt is to start with; false when this manifest has no checkpoint.
    fn keep_checkpoint(&mut self, attempt: AttemptKey, manifest: &ManifestSummary) -> bool {
        let kept = match &manifest.place {
            ManifestPlace::Object(kept) if manifest.checkpoint_files > 0 => kept.clone(),
            ManifestPlace::Object(_) | ManifestPlace::Inline(_) | ManifestPlace::Empty => {
                return false;
            }
        };
        let job = self.jobs.get_mut(&attempt.job);
        if let Some(task) = job.and_then(|job| job.tasks.get_mut(&attempt.task)) {
            task.checkpoint = Some(kept);
        }
        true
    }

    fn on_ended(&mut self, now: Timestamp, node: NodeId, ended: AttemptEnded, out: &mut Output) {
        let attempt = ended.attempt;
        self.keep_checkpoint(attempt, &ended.manifest);
        match ended.class {
            EndClass::Success | EndClass::UserError => {
                if let Some(job) = self.jobs.get(&attempt.job) {
                    self.history.learn(job.work, ended.usage.wall_ms);
                }
                self.trust(node);
            }
            EndClass::OutOfMemory | EndClass::Timeout | EndClass::Stalled => self.trust(node),
            EndClass::NodeLost => self.doubt(now, node, attempt, out),
            EndClass::Preempted
            | EndClass::OwnerReclaimed
            | EndClass::Budget
            | EndClass::Cancelled => {}
        }
        self.end_attempt(now, (attempt.job, attempt.task), ended.into(), out);
    }
}

/// False when an event names a manifest that is not an object of its own attempt: whoever reads that
/// attempt would be handed the objects of another.
fn keeps_to_its_prefix(event: &NodeEvent) -> bool {
    match event {
        NodeEvent::AttemptStarted { .. } => true,
        NodeEvent::ManifestCommitted { attempt, manifest } => is_own(*attempt, &manifest.place),
        NodeEvent::AttemptEnded(ended) => is_own(ended.attempt, &ended.manifest.place),
    }
}

fn is_own(attempt: AttemptKey, place: &ManifestPlace) -> bool {
    match place {
        ManifestPlace::Empty | ManifestPlace::Inline(_) => true,
        ManifestPlace::Object(object) => {
            let name = object.key.strip_prefix(&subject::attempt_prefix(attempt));
            name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
        }
    }
}
