//! The node's state and the one way in.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use mesh_schemas::{
    AttemptKey, EndClass, JournalId, Span, Timestamp,
    manifest::ManifestSummary,
    message::{AttemptEnded, NodeEvent},
};

use crate::{
    Action, Attempt, Input, Output, Phase, Prepared, Record, Rejected, StopCause, Stopping, ending,
    events::EventLog, tombstones::Tombstones,
};

/// Most attempts held; all of them must fit into one beat.
pub const HELD_MAX: usize = 20_000;

/// How long a start waits for its end before it is told alone.
pub const START_HOLD: Duration = Duration::from_millis(25);

/// What the node's owner decided.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long work goes on without a word from the orchestrator.
    pub disconnect_grace: Duration,
}

/// One life of the agent, for a journal that may have to begin anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The boot of the machine. A power cut may take the journal's tail with it, so a new boot
    /// begins a new journal.
    pub boot: String,
    /// The id of that journal.
    pub spare: JournalId,
    /// When this life began.
    pub now: Timestamp,
}

/// All attempts of one node.
#[derive(Debug)]
pub struct Node {
    pub(crate) settings: Settings,
    pub(crate) boot: String,
    pub(crate) attempts: BTreeMap<AttemptKey, Attempt>,
    pub(crate) tombstones: Tombstones,
    pub(crate) events: EventLog,
    /// Starts that have no number yet, with the time to give them one. The end may come first.
    pub(crate) starts: VecDeque<(Timestamp, AttemptKey)>,
    /// The newest leader that welcomed this life of the agent.
    pub(crate) leader: Option<u64>,
    /// When the orchestrator was last heard, and when it was last asked for a sign of life.
    pub(crate) heard_at: Timestamp,
    pub(crate) asked_at: Timestamp,
    /// The supervisor's snapshot is in: what is only accepted has to be prepared.
    pub(crate) supervised: bool,
    /// Until when running work may go on, once the node is to stop.
    pub(crate) drain: Option<Timestamp>,
}

impl Node {
    /// Takes one input. What could not be taken is in `out.rejected` and has changed nothing.
    pub fn apply(&mut self, now: Timestamp, input: Input, out: &mut Output) {
        let done = match input {
            Input::Commands(commands) => self.on_commands(now, *commands, out),
            Input::Welcome(welcome) => self.on_welcome(now, welcome, out),
            Input::Prepared { attempt, result } => self.on_prepared(now, attempt, result, out),
            Input::Snapshot(held) => {
                self.on_snapshot(now, held, out);
                Ok(())
            }
            Input::Supervised { attempt, state } => self.on_supervised(now, attempt, state, out),
            Input::Output { attempt } => self.on_output(now, attempt),
            Input::Committed { attempt, manifest } => self.on_committed(attempt, manifest, out),
            Input::Stored { attempt, manifest, missing } => {
                self.on_stored(attempt, *manifest, missing, out)
            }
            Input::Fenced { attempt } => self.stop(now, attempt, StopCause::Fenced, out),
            Input::Drain { deadline } => {
                self.on_drain(now, deadline, out);
                Ok(())
            }
            Input::Tick => {
                self.on_tick(now, out);
                Ok(())
            }
        };
        out.note(done);
    }

    /// Which journal the numbers belong to.
    pub const fn journal(&self) -> JournalId {
        self.events.journal
    }

    /// One attempt.
    pub fn attempt(&self, key: AttemptKey) -> Option<&Attempt> {
        self.attempts.get(&key)
    }

    /// Everything held, ended but unrecorded attempts included.
    pub fn attempts(&self) -> impl Iterator<Item = (&AttemptKey, &Attempt)> {
        self.attempts.iter()
    }

    /// True once the node was told to stop.
    pub const fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// True when nothing is held and nothing is unrecorded.
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.events.recorded() == self.events.last()
    }

    /// Events to be sent now, with their numbers. Tell [`Self::mark_sent`] how far you came.
    pub fn unsent(&self) -> impl Iterator<Item = (u64, &NodeEvent)> {
        self.events.unsent()
    }

    /// Events up to this number are on their way.
    pub fn mark_sent(&mut self, through: u64, now: Timestamp) {
        self.events.mark_sent(through, now);
    }

    /// True when some attempt waits for its turn in the supervisor's queue.
    pub fn has_work_ahead(&self) -> bool {
        self.attempts.values().any(|attempt| attempt.phase == Phase::Submitted)
    }

    /// When the next start is due to be told, if one waits.
    pub fn next_start(&self) -> Option<Timestamp> {
        self.starts.front().map(|(due, _)| *due)
    }

    /// Gives their numbers to the starts that have waited long enough.
    pub fn tell_starts(&mut self, now: Timestamp, out: &mut Output) {
        while let Some((due, key)) = self.starts.front().copied() {
            if due > now {
                return;
            }
            self.starts.pop_front();
            self.tell_start(key, out);
        }
    }

    fn tell_start(&mut self, key: AttemptKey, out: &mut Output) {
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        let Phase::Running { started_at, .. } = attempt.phase else { return };
        if attempt.is_fenced() {
            return;
        }
        out.actions.push(Action::Watch(key));
        if attempt.start_told {
            return;
        }
        attempt.start_told = true;
        let event = NodeEvent::AttemptStarted { attempt: key, at: started_at };
        self.number(event, out);
    }

    /// Gives an event its number.
    pub(crate) fn number(&mut self, event: NodeEvent, out: &mut Output) -> u64 {
        let seq = self.events.push(event.clone());
        out.records.push(Record::Event { seq, event });
        seq
    }

    fn on_prepared(
        &mut self,
        now: Timestamp,
        key: AttemptKey,
        result: Prepared,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let attempt = self.attempts.get_mut(&key).ok_or(Rejected::Unknown { attempt: key })?;
        if attempt.phase != Phase::Preparing {
            return Err(Rejected::Late { attempt: key });
        }
        match (attempt.stop, result) {
            (None, Prepared::Ready) => {
                attempt.phase = Phase::Submitted;
                out.actions.push(Action::Submit(key));
            }
            (None, Prepared::Failed(message)) => {
                self.end(key, ending::lost(now, message), ManifestSummary::empty(), out);
            }
            (None, Prepared::Unusable(message)) => {
                self.end(key, ending::unusable(now, message), ManifestSummary::empty(), out);
            }
            (None, Prepared::Aborted) => out.actions.push(Action::Prepare(key)),
            (Some(_), _) => self.end(key, ending::never_ran(now), ManifestSummary::empty(), out),
        }
        Ok(())
    }

    fn on_output(&mut self, now: Timestamp, key: AttemptKey) -> Result<(), Rejected> {
        let attempt = self.attempts.get_mut(&key).ok_or(Rejected::Unknown { attempt: key })?;
        match &mut attempt.phase {
            Phase::Running { output_at, .. } => *output_at = now,
            Phase::Accepted
            | Phase::Preparing
            | Phase::Submitted
            | Phase::Exited { .. }
            | Phase::Ended { .. } => return Err(Rejected::Late { attempt: key }),
        }
        Ok(())
    }

    fn on_committed(
        &mut self,
        key: AttemptKey,
        manifest: Box<ManifestSummary>,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let attempt = self.attempts.get_mut(&key).ok_or(Rejected::Unknown { attempt: key })?;
        if !matches!(attempt.phase, Phase::Running { .. }) || attempt.is_fenced() {
            return Err(Rejected::Late { attempt: key });
        }
        attempt.stored = Some(manifest.clone());
        self.tell_start(key, out);
        self.number(NodeEvent::ManifestCommitted { attempt: key, manifest }, out);
        Ok(())
    }

    fn on_stored(
        &mut self,
        key: AttemptKey,
        manifest: ManifestSummary,
        missing: Option<String>,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let attempt = self.attempts.get(&key).ok_or(Rejected::Unknown { attempt: key })?;
        let Phase::Exited { exit } = &attempt.phase else {
            return Err(Rejected::Late { attempt: key });
        };
        if attempt.is_fenced() {
            self.drop_fenced(key, out);
            return Ok(());
        }
        let mut ended = ending::event(key, attempt.stop, exit.clone(), manifest);
        if let Some(missing) = missing {
            ending::note_missing(&mut ended, missing);
        }
        self.conclude(ended, out);
        Ok(())
    }

    /// A cancelled attempt waits for nothing: it ends with what is stored of its output by now.
    fn end_unstored(&mut self, now: Timestamp, key: AttemptKey, out: &mut Output) {
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        let Phase::Exited { exit } = &attempt.phase else { return };
        let manifest = attempt.stored.take().map_or_else(ManifestSummary::empty, |stored| *stored);
        let mut ended = ending::event(key, attempt.stop, exit.clone(), manifest);
        if attempt.stop.is_none() {
            // Also where the command has succeeded: without its output, the task has not.
            ended.class = EndClass::Cancelled;
            let (cause, at) = (StopCause::Cancelled, now);
            attempt.stop = Some(Stopping { cause, at });
            out.records.push(Record::Stopping { attempt: key, cause, at });
        }
        ending::note_missing(&mut ended, "cancelled before its last output was stored".into());
        self.conclude(ended, out);
    }

    /// Ends an attempt whose processes are gone, or that never had any.
    pub(crate) fn end(
        &mut self,
        key: AttemptKey,
        exit: crate::Exit,
        manifest: ManifestSummary,
        out: &mut Output,
    ) {
        let Some(attempt) = self.attempts.get(&key) else { return };
        if attempt.is_fenced() {
            return self.drop_fenced(key, out);
        }
        let ended = ending::event(key, attempt.stop, exit, manifest);
        self.conclude(ended, out);
    }

    fn conclude(&mut self, ended: AttemptEnded, out: &mut Output) {
        let key = ended.attempt;
        let seq = self.number(NodeEvent::AttemptEnded(Box::new(ended)), out);
        if let Some(attempt) = self.attempts.get_mut(&key) {
            attempt.phase = Phase::Ended { seq };
        }
    }

    /// Forgets an attempt of which nothing may be reported.
    pub(crate) fn drop_fenced(&mut self, key: AttemptKey, out: &mut Output) {
        out.records.push(Record::Dropped { attempt: key });
        self.forget(key);
        out.actions.push(Action::Forget(key));
    }

    pub(crate) fn forget(&mut self, key: AttemptKey) {
        self.attempts.remove(&key);
        self.tombstones.bury(key);
    }

    /// An attempt is to end; the first reason stays, but being fenced overrides every other.
    pub(crate) fn stop(
        &mut self,
        now: Timestamp,
        key: AttemptKey,
        cause: StopCause,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let attempt = self.attempts.get_mut(&key).ok_or(Rejected::Unknown { attempt: key })?;
        let fence = cause == StopCause::Fenced && !attempt.is_fenced();
        let waits = matches!(attempt.phase, Phase::Exited { .. });
        // One that was cancelled while it ran is to keep its last words: told again, it goes on.
        let cancelled = attempt.stop.is_some_and(|stop| stop.cause == StopCause::Cancelled);
        if cause == StopCause::Cancelled && waits && !cancelled && !attempt.is_fenced() {
            self.end_unstored(now, key, out);
            return Ok(());
        }
        if matches!(attempt.phase, Phase::Ended { .. }) || (attempt.stop.is_some() && !fence) {
            return Err(Rejected::Late { attempt: key });
        }
        if !fence && waits {
            return Err(Rejected::Late { attempt: key });
        }
        attempt.stop = Some(Stopping { cause, at: now });
        out.records.push(Record::Stopping { attempt: key, cause, at: now });
        self.pursue_stop(now, key, out);
        Ok(())
    }

    /// Does what a wanted stop needs in the attempt's present phase. Safe to do again.
    pub(crate) fn pursue_stop(&mut self, now: Timestamp, key: AttemptKey, out: &mut Output) {
        let Some(attempt) = self.attempts.get(&key) else { return };
        let Some(stop) = attempt.stop else { return };
        match &attempt.phase {
            Phase::Accepted => {
                self.end(key, ending::never_ran(now), ManifestSummary::empty(), out);
            }
            Phase::Preparing => out.actions.push(Action::AbortPrepare(key)),
            Phase::Submitted | Phase::Running { .. } => {
                let grace = match stop.cause {
                    StopCause::Fenced => Span::default(),
                    StopCause::Cancelled
                    | StopCause::Preempted
                    | StopCause::Draining
                    | StopCause::RunTimeout
                    | StopCause::Stalled
                    | StopCause::NoContact => attempt.job.run.timeouts.kill_grace,
                };
                out.actions.push(Action::Stop { attempt: key, grace });
            }
            Phase::Exited { .. } if attempt.is_fenced() => self.drop_fenced(key, out),
            Phase::Exited { .. } | Phase::Ended { .. } => {}
        }
    }
}
