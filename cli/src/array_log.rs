//! The output of all tasks of an array while it runs: each task is followed from its start, many at a
//! time, each line behind its task's index.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use mesh_schemas::{
    ErrorCode, JobId, Problem, TaskState,
    api::{EventKind, EventView, JobDetail, TaskView},
    manifest::StreamName,
};
use tokio::sync::mpsc;

use crate::{
    client::{Client, is_passing},
    log_printer::{Printer, Style},
    log_reader::{self, Source},
    sse::Reader,
};

/// Most tasks that are followed at once, a connection each; the others come when these have ended.
const FOLLOWED_MAX: usize = 64;
/// Started tasks that wait to be followed, before their finder waits too.
const WAITING_MAX: usize = 1_024;

/// Prints what the tasks write until the job has ended.
pub(crate) async fn print(client: &Client, job: JobId) -> Result<(), Problem> {
    let (sender, tasks) = mpsc::channel(WAITING_MAX);
    let finder = Finder { client, job, seen: BTreeSet::new(), after: None, sender };
    tokio::try_join!(finder.find(), follow(client, job, tasks)).map(drop)
}

async fn follow(client: &Client, job: JobId, tasks: mpsc::Receiver<u32>) -> Result<(), Problem> {
    let tasks = futures::stream::unfold(tasks, async |mut tasks| {
        tasks.recv().await.map(|task| (task, tasks))
    });
    let style = Style { tasks: true, ..Style::default() };
    let followed = tasks.map(|task| {
        let source = Source { job, task, epoch: None, follow: true };
        log_reader::print(client, source, StreamName::ALL, Printer::new(style, task))
    });
    followed.buffer_unordered(FOLLOWED_MAX).try_collect::<()>().await
}

/// Learns from the events which tasks have started.
struct Finder<'a> {
    client: &'a Client,
    job: JobId,
    /// Tasks that were handed on and may still be spoken of.
    seen: BTreeSet<u32>,
    /// The last event.
    after: Option<u64>,
    sender: mpsc::Sender<u32>,
}

impl Finder<'_> {
    async fn find(mut self) -> Result<(), Problem> {
        loop {
            match self.watch().await {
                Err(problem) if is_passing(&problem) => self.client.pause(&problem).await,
                result => return result,
            }
        }
    }

    async fn watch(&mut self) -> Result<(), Problem> {
        let after = self.after.map(|seq| format!("&after={seq}")).unwrap_or_default();
        let path = format!("/events?job={}{after}", self.job);
        // Opened before the look at what is there already, so that nothing falls in between.
        let mut body = self.client.stream(&path).await?.bytes_stream();
        if self.after.is_none() && self.catch_up().await? {
            return Ok(());
        }
        let mut reader = Reader::default();
        while let Some(event) = reader.next(&mut body).await? {
            // What cannot be read is of a kind that is newer than this command.
            let Ok(event) = serde_json::from_str::<EventView>(&event.data) else { continue };
            self.after = Some(event.seq);
            if self.take(&event).await {
                return Ok(());
            }
        }
        Err(Problem::new(ErrorCode::Unreachable, "the events broke off"))
    }

    /// Hands on what has started before anybody watched; true when the job has ended.
    async fn catch_up(&mut self) -> Result<bool, Problem> {
        let job: JobDetail = self.client.get(&format!("/jobs/{}", self.job)).await?;
        for state in TaskState::ALL.iter().filter(|state| **state != TaskState::Queued) {
            let path = format!("/jobs/{}/tasks?state={state}", self.job);
            let tasks: Vec<TaskView> = self.client.pages(&path, usize::MAX).await?;
            for task in tasks.iter().filter(|task| task.last.is_some()) {
                self.hand_on(task.task).await;
            }
        }
        Ok(job.view.state.is_terminal())
    }

    /// True when the job has ended.
    async fn take(&mut self, event: &EventView) -> bool {
        match (event.kind, event.task) {
            (EventKind::JobFinished, _) => return true,
            (EventKind::AttemptStarted, Some(task)) => self.hand_on(task).await,
            // Its start may not have been told.
            (EventKind::TaskFinished, Some(task)) => {
                self.hand_on(task).await;
                self.seen.remove(&task);
            }
            (
                EventKind::AttemptStarted
                | EventKind::TaskFinished
                | EventKind::JobAccepted
                | EventKind::JobCancelRequested
                | EventKind::JobRetried
                | EventKind::AttemptLeased
                | EventKind::ManifestCommitted
                | EventKind::AttemptEnded
                | EventKind::AttemptAdopted
                | EventKind::TaskQueued
                | EventKind::NodeJoined
                | EventKind::NodeChanged,
                _,
            ) => {}
        }
        false
    }

    async fn hand_on(&mut self, task: u32) {
        if self.seen.insert(task) {
            // Nobody takes it any more only when following has failed, which ends both.
            let _ = self.sender.send(task).await;
        }
    }
}
