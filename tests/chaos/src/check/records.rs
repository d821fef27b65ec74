//! I10, I12, I14 and I15: what must be on record, and what must not.

use mesh_schemas::{
    EndClass, NodeId, TaskState, TraceParent,
    api::{EventKind, EventView, NodeState},
};

use super::{
    Invariant, Look, Verdict,
    index::{Index, word},
};
use crate::history::Action;

/// How long after its revocation a node may still be heard, in milliseconds.
const REVOKED_WITHIN_MS: i64 = 5_000;

/// I10.
pub(super) fn complete(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I10);
    for job in index.jobs.values() {
        if job.trace.parse::<TraceParent>().is_err() {
            look.wrong(Some(job.id), format!("{} has no trace", job.id), Vec::new());
        }
    }
    for task in index.tasks.values().filter(|task| task.state == TaskState::Succeeded) {
        look.see();
        if task.node.is_none() {
            let what = format!("task {} of {} has no owner node", task.task, task.job);
            look.wrong(Some(task.job), what, index.slice(task.job, Some(task.task), &[]));
        }
    }
    for attempt in index.attempts.values().filter(|attempt| attempt.ended_at.is_some()) {
        look.see();
        let missing = [
            (attempt.manifest.is_none(), "result"),
            (attempt.class.is_none(), "class"),
            (!index.nodes.contains_key(&attempt.node), "node that ever joined"),
        ];
        for (_, what) in missing.into_iter().filter(|(missing, _)| *missing) {
            let key = attempt.key;
            let slice = index.slice(key.job, Some(key.task), &[]);
            look.wrong(Some(key.job), format!("{key} ended and has no {what}"), slice);
        }
    }
    look.verdict("nothing has ended")
}

/// I12.
pub(super) fn revoked_are_silent(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I12);
    let events = &index.history.events;
    let revoked = |event: &&EventView| {
        event.kind == EventKind::NodeChanged && word(event) == NodeState::Revoked.as_str()
    };
    for revocation in events.iter().filter(revoked) {
        let Some(node) = revocation.node else { continue };
        look.see();
        let later = events.iter().filter(|event| event.seq > revocation.seq);
        for event in later.filter(|event| event.node == Some(node)) {
            if let Some(job) = event.job.filter(|_| writes(event, revocation)) {
                let slice = index.slice(job, event.task, &[revocation.seq, event.seq]);
                let what = format!("{node} was revoked, then came {} of it", event.kind);
                look.wrong(Some(job), what, slice);
            }
        }
    }
    look.verdict("no node was revoked")
}

/// The event is by the node's own word, and too late; or gives it new work.
fn writes(event: &EventView, revocation: &EventView) -> bool {
    let late = event.at.as_millis() - revocation.at.as_millis() > REVOKED_WITHIN_MS;
    match event.kind {
        EventKind::AttemptLeased | EventKind::AttemptAdopted => true,
        EventKind::AttemptStarted | EventKind::ManifestCommitted => late,
        // The mesh itself ends a revoked node's leases as lost.
        EventKind::AttemptEnded => late && word(event) != EndClass::NodeLost.as_str(),
        EventKind::JobAccepted
        | EventKind::JobCancelRequested
        | EventKind::JobRetried
        | EventKind::JobFinished
        | EventKind::TaskQueued
        | EventKind::TaskFinished
        | EventKind::NodeJoined
        | EventKind::NodeChanged => false,
    }
}

/// I14.
pub(super) fn audited(index: &Index<'_>) -> Verdict {
    let Some(lines) = &index.history.audit else {
        return Verdict::NotApplicable("the orchestrator's log is not there".to_owned());
    };
    let mut look = Look::at(Invariant::I14);
    for op in index.history.ops.iter().filter(|op| op.answer().is_some()) {
        let (act, subject) = match &op.action {
            Action::Cancel(job) => ("cancel", job.to_string()),
            Action::Retry(job) => ("retry", job.to_string()),
            Action::Node(node, act) => (act.as_str(), NodeId::to_string(node)),
            Action::Submit { .. } | Action::Look(_) | Action::File { .. } | Action::Head => {
                continue;
            }
        };
        look.see();
        if !lines.iter().any(|line| line.act == act && line.subject == subject) {
            let what = format!("{act} of {subject} has no audit line");
            look.wrong(op.job(), what, index.slice_of_op(op));
        }
    }
    look.verdict("nobody did anything that is audited")
}

/// I15.
pub(super) fn no_secrets(index: &Index<'_>) -> Verdict {
    let Some(scan) = &index.history.scan else {
        return Verdict::NotApplicable("nobody searched for secrets".to_owned());
    };
    let mut look = Look::at(Invariant::I15);
    look.seen = scan.secrets;
    for (secret, place) in &scan.found {
        look.wrong(None, format!("{secret} is in {place}"), Vec::new());
    }
    look.verdict("there are no secrets to look for")
}
