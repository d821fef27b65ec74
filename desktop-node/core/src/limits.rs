//! What time brings: time-outs, the end of the drain, silence of the orchestrator, resends.

use std::time::Duration;

use mesh_schemas::{AttemptKey, Timestamp};

use crate::{Action, Attempt, Node, Output, Phase, StopCause};

/// The orchestrator is asked for a sign of life after so long a silence, or a quarter of the grace.
const SILENCE_MAX: Duration = Duration::from_secs(60);

impl Node {
    pub(crate) fn on_tick(&mut self, now: Timestamp, out: &mut Output) {
        self.events.on_tick(now);
        self.tell_starts(now, out);
        self.check_contact(now, out);
        let silent = now.since(self.heard_at) >= self.settings.disconnect_grace;
        let over = self.drain.is_some_and(|deadline| now >= deadline);
        let due: Vec<(AttemptKey, StopCause)> = self
            .attempts
            .iter()
            .filter_map(|(key, attempt)| Some((*key, due_stop(now, attempt, silent, over)?)))
            .collect();
        for (key, cause) in due {
            // Judged from the attempt's present phase a moment ago: it cannot be late.
            let done = self.stop(now, key, cause, out);
            out.note(done);
        }
    }

    /// Asks for a sign of life now and then, so that silence means that nobody is there.
    fn check_contact(&mut self, now: Timestamp, out: &mut Output) {
        let patience = SILENCE_MAX.min(self.settings.disconnect_grace / 4);
        if now.since(self.heard_at) >= patience && now.since(self.asked_at) >= patience {
            self.asked_at = now;
            out.actions.push(Action::Hello);
        }
    }

    pub(crate) fn on_drain(&mut self, now: Timestamp, deadline: Timestamp, out: &mut Output) {
        if self.drain.is_some() {
            return;
        }
        self.drain = Some(deadline);
        out.actions.extend([Action::Hello, Action::Beat]);
        let waiting: Vec<AttemptKey> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.stop.is_none() && waits(&attempt.phase))
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            let done = self.stop(now, key, StopCause::Draining, out);
            out.note(done);
        }
    }
}

/// Has not started to run.
const fn waits(phase: &Phase) -> bool {
    match phase {
        Phase::Accepted | Phase::Preparing | Phase::Submitted => true,
        Phase::Running { .. } | Phase::Exited { .. } | Phase::Ended { .. } => false,
    }
}

/// Why this attempt is to end now, if it is.
fn due_stop(now: Timestamp, attempt: &Attempt, silent: bool, over: bool) -> Option<StopCause> {
    if attempt.stop.is_some() {
        return None;
    }
    let timeouts = &attempt.job.run.timeouts;
    match attempt.phase {
        Phase::Running { started_at: _, since, output_at } => {
            let passed = |limit: Option<mesh_schemas::Span>, from: Timestamp| {
                limit.is_some_and(|limit| now.since(from) >= limit.duration())
            };
            if passed(timeouts.run, since) {
                Some(StopCause::RunTimeout)
            } else if passed(timeouts.stall, output_at) {
                Some(StopCause::Stalled)
            } else if over {
                Some(StopCause::Draining)
            } else {
                silent.then_some(StopCause::NoContact)
            }
        }
        Phase::Accepted | Phase::Preparing | Phase::Submitted => {
            silent.then_some(StopCause::NoContact)
        }
        Phase::Exited { .. } | Phase::Ended { .. } => None,
    }
}
