//! What the orchestrator says: commands, welcomes, confirmations.

use std::sync::Arc;

use mesh_schemas::{
    AttemptKey, Epoch, JournalId, Timestamp,
    message::{
        MESSAGE_VERSION, NodeCommand, NodeCommands, NodeEvent, START_TASKS_MAX, StartTasks,
        StopReason, TaskStart,
    },
};

use crate::{
    Action, Attempt, HELD_MAX, JobRun, Node, Output, Phase, Record, Rejected, StopCause, Welcomed,
};

impl Node {
    pub(crate) fn on_commands(
        &mut self,
        now: Timestamp,
        commands: NodeCommands,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        if commands.v != MESSAGE_VERSION {
            return Err(Rejected::Version { got: commands.v });
        }
        let known = self.leader.ok_or(Rejected::NotWelcome)?;
        self.heed(now, known, commands.leader)?;
        for command in commands.commands {
            match command {
                NodeCommand::StartTasks(tasks) => self.on_start_tasks(now, *tasks, out)?,
                NodeCommand::StopAttempts(stop) => {
                    let cause = cause_of(stop.reason);
                    for attempt in stop.attempts {
                        let done = self.stop(now, attempt, cause, out);
                        out.note(done);
                    }
                }
                NodeCommand::Recorded { journal, seq } => {
                    let done = self.on_recorded(now, journal, seq, out);
                    out.note(done);
                }
                NodeCommand::Report => out.actions.push(Action::Hello),
            }
        }
        Ok(())
    }

    pub(crate) fn on_welcome(
        &mut self,
        now: Timestamp,
        welcome: Welcomed,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let Welcomed { leader, journal, recorded_seq, spare } = welcome;
        if journal != self.events.journal {
            return Err(Rejected::Confirmation { journal, seq: recorded_seq });
        }
        self.heed(now, self.leader.unwrap_or(leader), leader)?;
        if recorded_seq > self.events.last() {
            // The orchestrator has seen numbers that this journal does not know: its tail is lost,
            // and what it would number next would be taken for a repetition.
            let opened = self.reopen(spare);
            out.records.push(opened);
            out.actions.push(Action::Hello);
            return Ok(());
        }
        self.record_through(now, recorded_seq, out);
        self.events.go_back();
        Ok(())
    }

    /// A sign of life of a leader that has not been replaced.
    fn heed(&mut self, now: Timestamp, known: u64, got: u64) -> Result<(), Rejected> {
        if got < known {
            return Err(Rejected::OldLeader { got, known });
        }
        self.leader = Some(got);
        self.heard_at = now;
        Ok(())
    }

    fn on_recorded(
        &mut self,
        now: Timestamp,
        journal: JournalId,
        seq: u64,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        if journal != self.events.journal || seq > self.events.last() {
            return Err(Rejected::Confirmation { journal, seq });
        }
        self.record_through(now, seq, out);
        Ok(())
    }

    fn record_through(&mut self, now: Timestamp, seq: u64, out: &mut Output) {
        let gone = self.events.confirm(seq, now);
        if gone.is_empty() {
            return;
        }
        out.records.push(Record::Recorded { seq });
        for (seq, event) in gone {
            out.actions.extend(self.forget_ended(seq, &event).map(Action::Forget));
        }
    }

    /// The attempt whose end this recorded event was.
    pub(crate) fn forget_ended(&mut self, seq: u64, event: &NodeEvent) -> Option<AttemptKey> {
        match event {
            NodeEvent::AttemptStarted { .. } | NodeEvent::ManifestCommitted { .. } => None,
            NodeEvent::AttemptEnded(ended) => {
                let attempt = self.attempts.get(&ended.attempt)?;
                debug_assert_eq!(attempt.phase, Phase::Ended { seq }, "an attempt ends once");
                self.forget(ended.attempt);
                Some(ended.attempt)
            }
        }
    }

    fn on_start_tasks(
        &mut self,
        now: Timestamp,
        mut start: StartTasks,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        if start.tasks.len() > START_TASKS_MAX {
            return Err(Rejected::TooManyTasks { got: start.tasks.len() });
        }
        if let Some(meant) = start.journal.take()
            && meant != self.events.journal
        {
            return Err(Rejected::OtherJournal { meant });
        }
        let mut taken: Vec<TaskStart> = Vec::with_capacity(start.tasks.len());
        for task in std::mem::take(&mut start.tasks) {
            let key = AttemptKey { job: start.job, task: task.task, epoch: task.epoch };
            match self.admit(now, key, taken.len(), out) {
                Ok(()) if taken.iter().any(|t| t.task == task.task) => {
                    out.rejected.push(Rejected::Known { attempt: key });
                }
                Ok(()) => taken.push(task),
                Err(rejected) => out.rejected.push(rejected),
            }
        }
        // Even when nothing was new: it was sent again because no beat has named it yet.
        out.actions.push(Action::Beat);
        if !taken.is_empty() {
            start.tasks = taken;
            out.records.push(Record::Accepted(Box::new(start.clone())));
            for key in self.insert(start) {
                self.begin(now, key, out);
            }
        }
        Ok(())
    }

    /// Whether a task may be taken; an earlier attempt of it gives way.
    fn admit(
        &mut self,
        now: Timestamp,
        key: AttemptKey,
        taken: usize,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        if key.epoch == Epoch(0) {
            return Err(Rejected::NoEpoch { attempt: key });
        }
        let (first, last) = (Epoch(0), Epoch(u32::MAX));
        let task = AttemptKey { epoch: first, ..key }..=AttemptKey { epoch: last, ..key };
        let held: Vec<AttemptKey> = self.attempts.range(task).map(|(held, _)| *held).collect();
        if held.iter().any(|held| held.epoch >= key.epoch) || self.tombstones.covers(key) {
            return Err(Rejected::Known { attempt: key });
        }
        if self.attempts.len() + taken >= HELD_MAX {
            return Err(Rejected::Full { attempt: key });
        }
        for older in held {
            // One that has ended or is fenced already needs nothing more.
            let _late = self.stop(now, older, StopCause::Fenced, out);
        }
        Ok(())
    }

    /// Adds attempts as accepted; also how the journal's record is replayed.
    pub(crate) fn insert(&mut self, start: StartTasks) -> Vec<AttemptKey> {
        let StartTasks { job, run, trace, tasks, journal: _ } = start;
        let job = Arc::new(JobRun { job, run, trace });
        let attempts = tasks.into_iter().map(|start| Attempt {
            job: Arc::clone(&job),
            start,
            phase: Phase::Accepted,
            stop: None,
            start_told: false,
            from_former_boot: false,
            stored: None,
        });
        let mut keys = Vec::new();
        for attempt in attempts {
            keys.push(attempt.key());
            self.attempts.insert(attempt.key(), attempt);
        }
        keys
    }

    /// Sets an accepted attempt going, or hands it back when the node is to stop.
    pub(crate) fn begin(&mut self, now: Timestamp, key: AttemptKey, out: &mut Output) {
        if self.is_draining() {
            let _late = self.stop(now, key, StopCause::Draining, out);
        } else if let Some(attempt) = self.attempts.get_mut(&key)
            && self.supervised
        {
            attempt.phase = Phase::Preparing;
            out.actions.push(Action::Prepare(key));
        }
    }
}

const fn cause_of(reason: StopReason) -> StopCause {
    match reason {
        StopReason::Cancelled => StopCause::Cancelled,
        StopReason::Fenced => StopCause::Fenced,
        StopReason::Preempted => StopCause::Preempted,
    }
}
