//! Waking those who wait for a commit: all of them, or those of one job.

use mesh_core::Change;
use mesh_schemas::JobId;
use tokio::sync::watch;

/// Jobs share so many wake-up lines. With thousands of waiters a commit then wakes those of its own
/// jobs and a few neighbours, who look and sleep on.
const SHARDS: usize = 256;

/// Where the stream NODE_EVENT is to be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestartPoint {
    /// Grows each time the engine has loaded its state from the store.
    pub load: u64,
    /// The position that the store has.
    pub position: u64,
}

/// Waits for one job.
#[derive(Debug)]
pub struct JobWatch(watch::Receiver<u64>);

impl JobWatch {
    /// Returns true after the next commit that may have touched the job, at once when there was one
    /// since the last call; false when the engine has ended and nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// The engine's side.
#[derive(Debug)]
pub(super) struct Watchers {
    all: watch::Sender<u64>,
    jobs: Vec<watch::Sender<u64>>,
    restart: watch::Sender<RestartPoint>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            all: watch::Sender::new(0),
            jobs: (0..SHARDS).map(|_| watch::Sender::new(0)).collect(),
            restart: watch::Sender::new(RestartPoint::default()),
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.all.subscribe()
    }

    pub(super) fn job(&self, job: JobId) -> JobWatch {
        JobWatch(self.jobs[shard(job)].subscribe())
    }

    pub(super) fn restart_point(&self) -> watch::Receiver<RestartPoint> {
        self.restart.subscribe()
    }

    /// The state was loaded: whoever reads the stream goes back to this position.
    pub(super) fn loaded(&self, position: u64) {
        self.restart.send_modify(|point| {
            point.load += 1;
            point.position = position;
        });
    }

    /// A round was committed.
    pub(super) fn committed(&self, event_seq: u64, changes: &[Change]) {
        let mut touched = [false; SHARDS];
        for job in changes.iter().filter_map(job_of) {
            touched[shard(job)] = true;
        }
        for (shard, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
            self.jobs[shard].send_replace(event_seq);
        }
        self.all.send_replace(event_seq);
    }
}

fn shard(job: JobId) -> usize {
    // The last byte of a version 7 UUID is random.
    usize::from(job.uuid().as_bytes()[15]) % SHARDS
}

fn job_of(change: &Change) -> Option<JobId> {
    match change {
        Change::JobAccepted(job) => Some(job.id),
        Change::JobProgress { job, .. } => Some(*job),
        Change::Task(task) => Some(task.job),
        Change::AttemptLeased { attempt, .. }
        | Change::AttemptStarted { attempt, .. }
        | Change::AttemptManifest { attempt, .. }
        | Change::AttemptReopened { attempt } => Some(attempt.job),
        Change::AttemptEnded(end) => Some(end.attempt.job),
        Change::Event(event) => event.job,
        Change::Node(_) | Change::NodeJournal { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::EventRecord;
    use mesh_schemas::{Timestamp, api::EventKind};
    use uuid::Uuid;

    use super::*;

    fn job(n: u128) -> JobId {
        JobId::from_uuid(Uuid::from_u128(n))
    }

    fn change(job: JobId) -> Change {
        Change::Event(EventRecord {
            at: Timestamp::from_millis(0),
            kind: EventKind::JobAccepted,
            job: Some(job),
            task: None,
            epoch: None,
            node: None,
            detail: None,
        })
    }

    #[tokio::test]
    async fn a_commit_wakes_those_who_wait_for_its_jobs_and_no_others() {
        let watchers = Watchers::new();
        let (mut one, mut two) = (watchers.job(job(1)), watchers.job(job(2)));
        let all = watchers.changes();
        watchers.committed(7, &[change(job(1))]);
        assert!(one.changed().await);
        assert_eq!(*all.borrow(), 7);
        assert!(!two.0.has_changed().unwrap());
        watchers.committed(8, &[change(job(2))]);
        assert!(two.changed().await);
        drop(watchers);
        assert!(!one.changed().await, "nothing changes after the engine's end");
    }
}
