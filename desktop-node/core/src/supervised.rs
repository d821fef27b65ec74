//! What the supervisor says: its snapshot at the start of each life of the agent, then each change.

use std::{collections::BTreeMap, time::Duration};

use mesh_schemas::{AttemptKey, Span, Timestamp, manifest::ManifestSummary};

use crate::{Action, Exit, Node, Output, Phase, Rejected, START_HOLD, Supervised, ending};

impl Node {
    pub(crate) fn on_snapshot(
        &mut self,
        now: Timestamp,
        held: Vec<(AttemptKey, Supervised)>,
        out: &mut Output,
    ) {
        self.supervised = true;
        let held: BTreeMap<_, _> = held.into_iter().collect();
        let waiting: Vec<AttemptKey> =
            self.attempts.keys().filter(|key| !held.contains_key(key)).copied().collect();
        for (key, state) in held {
            match self.attempts.contains_key(&key) {
                true => self.adopt(now, key, state, out),
                false => disown(key, &state, out),
            }
        }
        for key in waiting {
            self.resume(now, key, out);
        }
    }

    /// The supervisor has it: go on from there.
    fn adopt(&mut self, now: Timestamp, key: AttemptKey, state: Supervised, out: &mut Output) {
        if let Some(attempt) = self.attempts.get_mut(&key)
            && attempt.phase == Phase::Accepted
        {
            attempt.phase = Phase::Submitted;
        }
        // An attempt that has ended is held by the supervisor until its end is recorded.
        let _late = self.on_supervised(now, key, state, out);
        self.pursue_stop(now, key, out);
    }

    /// The supervisor does not have it: it was not handed over yet, or its end is in the journal.
    fn resume(&mut self, now: Timestamp, key: AttemptKey, out: &mut Output) {
        let Some(attempt) = self.attempts.get(&key) else { return };
        match (&attempt.phase, attempt.stop) {
            (Phase::Accepted, Some(_)) => self.pursue_stop(now, key, out),
            (Phase::Accepted, None) if attempt.from_former_boot => {
                let message = "lost: the machine was started anew before it ended".to_owned();
                self.end(key, ending::lost(now, message), ManifestSummary::empty(), out);
            }
            (Phase::Accepted, None) => self.begin(now, key, out),
            (
                Phase::Preparing
                | Phase::Submitted
                | Phase::Running { .. }
                | Phase::Exited { .. }
                | Phase::Ended { .. },
                _,
            ) => {}
        }
    }

    pub(crate) fn on_supervised(
        &mut self,
        now: Timestamp,
        key: AttemptKey,
        state: Supervised,
        out: &mut Output,
    ) -> Result<(), Rejected> {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            disown(key, &state, out);
            return Err(Rejected::Unknown { attempt: key });
        };
        match (&attempt.phase, state) {
            (Phase::Submitted, Supervised::Queued) => {}
            (Phase::Submitted, Supervised::Running { started_at, elapsed }) => {
                let since = elapsed.map_or(started_at, |elapsed| before(now, elapsed));
                attempt.phase = Phase::Running { started_at, since, output_at: now };
                self.starts.push_back((now + START_HOLD, key));
            }
            (Phase::Submitted | Phase::Running { .. }, Supervised::Exited(exit)) => {
                self.on_exited(key, exit, out);
            }
            (
                Phase::Accepted
                | Phase::Preparing
                | Phase::Running { .. }
                | Phase::Exited { .. }
                | Phase::Ended { .. },
                _,
            ) => return Err(Rejected::Late { attempt: key }),
        }
        Ok(())
    }

    fn on_exited(&mut self, key: AttemptKey, mut exit: Exit, out: &mut Output) {
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        if let (None, Phase::Running { started_at, .. }) = (exit.started_at, &attempt.phase) {
            exit.started_at = Some(*started_at);
        }
        let ran = exit.started_at.is_some() || matches!(exit.how, crate::ExitHow::Lost { .. });
        if attempt.is_fenced() || !ran {
            return self.end(key, exit, ManifestSummary::empty(), out);
        }
        attempt.phase = Phase::Exited { exit };
        out.actions.push(Action::StoreFinal(key));
    }
}

fn before(now: Timestamp, elapsed: Duration) -> Timestamp {
    let millis = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(millis))
}

/// Work that no line of the journal knows: it is not ours to run, and nobody waits for its end.
fn disown(key: AttemptKey, state: &Supervised, out: &mut Output) {
    match state {
        Supervised::Queued | Supervised::Running { .. } => {
            out.actions.push(Action::Stop { attempt: key, grace: Span::default() });
        }
        Supervised::Exited(_) => out.actions.push(Action::Forget(key)),
    }
}
