//! Waking those who wait for a commit: all of them, or those of one job.

use std::{collections::BTreeMap, sync::Arc};

use mesh_core::{Change, JobProgress};
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

/// What the last commit did to the jobs of one line.
#[derive(Debug, Clone, Default)]
struct Line {
    /// Commits so far.
    commits: u64,
    /// Where its jobs stand since the last one, if that has changed.
    progress: Arc<BTreeMap<JobId, JobProgress>>,
}

/// What a watcher learns about where its job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It now stands here.
    Progress(JobProgress),
    /// As before: the commit was about something else.
    Nothing,
    /// The store knows: more than one commit came to pass.
    Unknown,
    /// Nothing will change any more: the engine has ended.
    Ended,
}

/// Waits for one job.
#[derive(Debug)]
pub struct JobWatch {
    job: JobId,
    line: watch::Receiver<Line>,
    /// Commits of the line that this watcher has heard of.
    heard: u64,
}

impl JobWatch {
    fn new(job: JobId, mut line: watch::Receiver<Line>) -> Self {
        let heard = line.borrow_and_update().commits;
        Self { job, line, heard }
    }

    /// Returns true after the next commit that may have touched the job, at once when there was one
    /// since the last call; false when the engine has ended and nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.news().await != News::Ended
    }

    /// Where the job stands after the next commit that may have touched it. Whoever looked at the store
    /// after this watch was made and heeds the news since knows what the store has.
    pub async fn news(&mut self) -> News {
        if self.line.changed().await.is_err() {
            return News::Ended;
        }
        let line = self.line.borrow_and_update();
        let missed = line.commits != self.heard + 1;
        self.heard = line.commits;
        match line.progress.get(&self.job) {
            _ if missed => News::Unknown,
            Some(progress) => News::Progress(progress.clone()),
            None => News::Nothing,
        }
    }
}

/// The engine's side.
#[derive(Debug)]
pub(super) struct Watchers {
    all: watch::Sender<u64>,
    jobs: Vec<watch::Sender<Line>>,
    restart: watch::Sender<RestartPoint>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            all: watch::Sender::new(0),
            jobs: (0..SHARDS).map(|_| watch::Sender::default()).collect(),
            restart: watch::Sender::new(RestartPoint::default()),
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.all.subscribe()
    }

    pub(super) fn job(&self, job: JobId) -> JobWatch {
        JobWatch::new(job, self.jobs[shard(job)].subscribe())
    }

    pub(super) fn restart_point(&self) -> watch::Receiver<RestartPoint> {
        self.restart.subscribe()
    }

    /// The state was loaded: whoever reads the stream goes back to this position, and whoever waits for a
    /// job looks at the store, as a commit may have come to pass without a word.
    pub(super) fn loaded(&self, position: u64) {
        for line in &self.jobs {
            line.send_modify(|line| line.commits += 2);
        }
        self.restart.send_modify(|point| {
            point.load += 1;
            point.position = position;
        });
    }

    /// A round was committed.
    pub(super) fn committed(&self, event_seq: u64, changes: &[Change]) {
        let mut touched: BTreeMap<usize, BTreeMap<JobId, JobProgress>> = BTreeMap::new();
        for change in changes {
            let Some(job) = job_of(change) else { continue };
            let line = touched.entry(shard(job)).or_default();
            if let Change::JobProgress { progress, .. } = change {
                line.insert(job, progress.clone());
            }
        }
        for (shard, progress) in touched {
            self.jobs[shard].send_modify(|line| {
                line.commits += 1;
                line.progress = Arc::new(progress);
            });
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
    use mesh_schemas::{
        TaskState, Timestamp,
        api::{EventKind, TaskCounts},
        attempt::JobState,
    };
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
        assert!(!two.line.has_changed().unwrap());
        watchers.committed(8, &[change(job(2))]);
        assert!(two.changed().await);
        drop(watchers);
        assert!(!one.changed().await, "nothing changes after the engine's end");
    }

    #[tokio::test]
    async fn one_commit_tells_its_progress_and_more_than_one_do_not() {
        let watchers = Watchers::new();
        let mut watch = watchers.job(job(1));
        let progress = |tasks: u32| JobProgress {
            state: JobState::Running,
            counts: TaskCounts { total: tasks, ..TaskCounts::default() },
            fresh: None,
            fresh_state: TaskState::Queued,
            cancel_requested: false,
            finished_at: None,
        };
        let moved = |tasks| Change::JobProgress { job: job(1), progress: progress(tasks) };
        watchers.committed(1, &[moved(1)]);
        assert_eq!(watch.news().await, News::Progress(progress(1)));
        watchers.committed(2, &[change(job(1))]);
        assert_eq!(watch.news().await, News::Nothing);
        watchers.committed(3, &[moved(3)]);
        watchers.committed(4, &[change(job(1))]);
        assert_eq!(watch.news().await, News::Unknown);
        watchers.loaded(0);
        assert_eq!(
            watch.news().await,
            News::Unknown,
            "what was committed before the load is not known"
        );
        watchers.committed(5, &[moved(5)]);
        assert_eq!(watch.news().await, News::Progress(progress(5)));
    }
}
