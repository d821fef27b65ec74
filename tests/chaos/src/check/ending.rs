//! I13 and I16: after healing everything comes to its end, and memory and descriptors come back.

use mesh_schemas::JobId;

use super::{Invariant, Look, Verdict, index::Index};
use crate::history::{Sample, When};

/// What memory may have grown by whatever it was at the start: records that are kept on purpose (keys,
/// ended jobs of the last minutes) and pages that the allocator keeps.
const MEMORY_SLACK_KIB: u64 = 24 << 10;
/// Connections that peers keep open for their next request.
const FDS_SLACK: u64 = 16;

/// The setting of a node that was cut off for ever.
const REVOKED: &str = "revoked";

/// I13.
pub(super) fn drains(index: &Index<'_>) -> Verdict {
    let ending = &index.history.ending;
    let Some(drained) = ending.drained else {
        return Verdict::NotApplicable("nobody waited for the work to end".to_owned());
    };
    let mut look = Look::at(Invariant::I13);
    for job in index.jobs.values() {
        look.see();
        if !job.state.is_terminal() {
            let what = format!(
                "{} is still {} long after all faults: {:?}",
                job.id, job.state, job.counts
            );
            look.wrong(Some(job.id), what, index.slice(job.id, None, &recent(index, job.id)));
        }
    }
    for attempt in index.attempts.values().filter(|attempt| attempt.ended_at.is_none()) {
        let key = attempt.key;
        let slice = index.slice(key.job, Some(key.task), &[]);
        look.wrong(Some(key.job), format!("{key} is still leased"), slice);
    }
    // Nobody listens to a revoked node any more.
    let revoked = |node| index.nodes.get(node).is_some_and(|node| node.setting == REVOKED);
    for journal in index.history.journals.iter().filter(|journal| !revoked(&journal.node)) {
        let rest = &journal.unrecorded;
        if let Some(first) = rest.first() {
            let what = format!(
                "{} holds {} events that were never recorded, such as {first}",
                journal.node,
                rest.len()
            );
            look.wrong(None, what, rest.iter().take(10).cloned().collect());
        }
    }
    if !drained && look.breaches.is_empty() {
        look.wrong(
            None,
            format!("the work had not ended after {} ms", ending.drain_ms),
            Vec::new(),
        );
    }
    look.verdict("there were no jobs")
}

/// The last few events of a job: what happened before it stood still.
fn recent(index: &Index<'_>, job: JobId) -> Vec<u64> {
    index.events_of(job).iter().rev().take(12).map(|event| event.seq).collect()
}

/// I16.
pub(super) fn comes_back(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I16);
    let samples = &index.history.samples;
    let at = |when: When| samples.iter().filter(move |sample| sample.when == when);
    for end in at(When::End) {
        let Some(start) = at(When::Start).find(|start| start.part == end.part) else { continue };
        look.see();
        let (pss, fds) = (allowed(start.pss_kib, MEMORY_SLACK_KIB), allowed(start.fds, FDS_SLACK));
        if end.pss_kib > pss || end.fds > fds {
            look.wrong(None, grown(start, end), Vec::new());
        }
    }
    look.verdict("nobody measured at the start and after a drain")
}

/// A tenth more, or the slack, whichever is more.
fn allowed(start: u64, slack: u64) -> u64 {
    start + slack.max(start / 10)
}

fn grown(start: &Sample, end: &Sample) -> String {
    format!(
        "{} had {} KiB and {} descriptors at the start, {} KiB and {} after the drain",
        end.part, start.pss_kib, start.fds, end.pss_kib, end.fds
    )
}
