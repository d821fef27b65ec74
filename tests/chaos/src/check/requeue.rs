//! Beyond the list: what a dead node held is given up within the promised time, so that it can run
//! elsewhere.

use super::{Invariant, Look, Verdict, index::Index};
use crate::measure;

/// The promise: a lease of 30 s, and a beat.
const PROMISED_MS: u64 = 35_000;
/// Other faults of the run take time as well: an orchestrator that is away or frozen and the grace after
/// it, a full disk, a busy machine.
const SLACK_MS: u64 = 60_000;

pub(super) fn in_time(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::Requeue);
    for requeue in measure::requeues(index.history) {
        look.see();
        let (end, after_ms) = (requeue.end, requeue.after_ms);
        if let Some(job) = end.job.filter(|_| after_ms > PROMISED_MS + SLACK_MS) {
            let what = format!("work of a node that died was given up only after {after_ms} ms");
            look.wrong(Some(job), what, index.slice(job, end.task, &[end.seq]));
        }
    }
    look.verdict("no node died with work")
}
