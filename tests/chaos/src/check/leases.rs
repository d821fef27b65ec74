//! I5: epochs of a task strictly grow, and two leases never overlap. Judged by the order of the log,
//! which is the database's; clocks of nodes do not come into it.

use mesh_schemas::{
    EndClass, JobId,
    api::{EventKind, EventView},
};

use super::{
    Invariant, Look, Verdict,
    index::{Index, word},
};

/// The leases of one task, as the log tells them.
#[derive(Default)]
struct Leases<'a> {
    /// The last that was granted.
    last: Option<&'a EventView>,
    open: bool,
    /// How the last one ended, when it has.
    ended: Option<&'a EventView>,
}

pub(super) fn never_overlap(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I5);
    for (&(job, task), events) in &index.task_events {
        let mut leases = Leases::default();
        for event in events {
            if let Some((what, since)) = leases.apply(event) {
                let what = format!("task {task} of {job}: {what}");
                look.wrong(Some(job), what, index.slice(job, Some(task), &[since, event.seq]));
            }
            if event.kind == EventKind::AttemptLeased {
                look.see();
            }
        }
    }
    rows(index, &mut look);
    look.verdict("nothing was ever leased")
}

impl<'a> Leases<'a> {
    /// Takes the next event; what is wrong with it, and since which event.
    fn apply(&mut self, event: &'a EventView) -> Option<(String, u64)> {
        let since = self.last.map_or(event.seq, |lease| lease.seq);
        match event.kind {
            EventKind::AttemptLeased => {
                let wrong = self.grant(event);
                self.last = Some(event);
                self.open = true;
                self.ended = None;
                wrong.map(|what| (what, since))
            }
            EventKind::AttemptEnded => {
                let was_open = self.open && self.is_last(event);
                self.open = false;
                self.ended = Some(event);
                (!was_open).then(|| ("an end of a lease that was not open".to_owned(), since))
            }
            EventKind::AttemptAdopted => {
                let lost = self.ended.is_some_and(|end| word(end) == EndClass::NodeLost.as_str());
                let right = !self.open && lost && self.is_last(event) && self.same_node(event);
                self.open = true;
                self.ended = None;
                (!right).then(|| ("a lease was adopted that nobody had lost".to_owned(), since))
            }
            EventKind::AttemptStarted | EventKind::ManifestCommitted => {
                let right = self.open && self.is_last(event) && self.same_node(event);
                (!right).then(|| (format!("{} of a lease that was not open", event.kind), since))
            }
            EventKind::TaskFinished => {
                self.open.then(|| ("it ended while a lease was open".to_owned(), since))
            }
            EventKind::TaskQueued => {
                self.open.then(|| ("it was queued while a lease was open".to_owned(), since))
            }
            EventKind::JobAccepted
            | EventKind::JobCancelRequested
            | EventKind::JobRetried
            | EventKind::JobFinished
            | EventKind::NodeJoined
            | EventKind::NodeChanged => None,
        }
    }

    fn grant(&self, event: &EventView) -> Option<String> {
        let (before, now) = (self.last.and_then(|lease| lease.epoch), event.epoch);
        if before >= now {
            return Some("an epoch did not grow".to_owned());
        }
        self.open.then(|| "it was leased while another lease was open".to_owned())
    }

    fn is_last(&self, event: &EventView) -> bool {
        self.last.is_some_and(|lease| lease.epoch == event.epoch)
    }

    fn same_node(&self, event: &EventView) -> bool {
        self.last.is_some_and(|lease| lease.node == event.node)
    }
}

/// Each lease of the log has its row, with the same node; each row has its lease.
fn rows(index: &Index<'_>, look: &mut Look) {
    let mut told: std::collections::BTreeMap<_, _> = std::collections::BTreeMap::new();
    for event in &index.history.events {
        if event.kind == EventKind::AttemptLeased
            && let (Some(job), Some(task), Some(epoch)) = (event.job, event.task, event.epoch)
        {
            told.insert((job, task, epoch), event.node);
        }
    }
    for attempt in index.attempts.values() {
        let key = attempt.key;
        if told.remove(&(key.job, key.task, key.epoch)) != Some(Some(attempt.node)) {
            missing(index, key.job, key.task, &format!("{key} has a row and no such lease"), look);
        }
    }
    for (job, task, epoch) in told.keys() {
        let what = format!("epoch {epoch} of task {task} of {job} was leased and has no row");
        missing(index, *job, *task, &what, look);
    }
}

fn missing(index: &Index<'_>, job: JobId, task: u32, what: &str, look: &mut Look) {
    look.wrong(Some(job), what, index.slice(job, Some(task), &[]));
}
