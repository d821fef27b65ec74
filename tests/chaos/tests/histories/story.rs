//! A good history, told step by step: a job that succeeds at once, one whose node was lost, one that was
//! adopted, one that failed and was retried, one that was cancelled, and a node that was revoked.

use std::collections::BTreeMap;

use mesh_chaos::history::*;
use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, NodeId, TaskState, Timestamp,
    api::{EventKind, EventView, TaskCounts},
    attempt::JobState,
    subject,
};
use uuid::Uuid;

/// Succeeds at the first try.
pub(crate) fn plain() -> JobId {
    job(1)
}

/// Its node was lost once; the second attempt succeeds.
pub(crate) fn lost() -> JobId {
    job(2)
}

/// Its lease ran out, and its node came back with it.
pub(crate) fn adopted() -> JobId {
    job(3)
}

/// Failed, was retried and succeeded.
pub(crate) fn retried() -> JobId {
    job(4)
}

/// Was cancelled while it waited.
pub(crate) fn cancelled() -> JobId {
    job(5)
}

pub(crate) fn job(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn attempt(job: JobId, epoch: u32) -> AttemptKey {
    AttemptKey { job, task: 0, epoch: Epoch(epoch) }
}

/// The hash that the file `out` of every job has.
pub(crate) const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

#[derive(Default)]
struct Story {
    history: History,
    clock: i64,
}

impl Story {
    fn event(&mut self, kind: EventKind, job: JobId, epoch: Option<u32>, detail: Option<&str>) {
        self.clock += 10;
        let seq = self.history.events.len() as u64 + 1;
        let by_node = [
            EventKind::AttemptLeased,
            EventKind::AttemptStarted,
            EventKind::ManifestCommitted,
            EventKind::AttemptEnded,
            EventKind::AttemptAdopted,
        ];
        self.history.events.push(EventView {
            seq,
            at: Timestamp::from_millis(self.clock),
            kind,
            job: Some(job),
            task: (epoch.is_some() || kind == EventKind::TaskFinished).then_some(0),
            epoch: epoch.map(Epoch),
            node: by_node.contains(&kind).then(|| node(u128::from(epoch.unwrap_or(1)))),
            detail: detail.map(Into::into),
        });
    }

    fn op(&mut self, action: Action, outcome: Outcome) {
        self.clock += 1;
        let (id, ms) = (self.history.ops.len() as u64, u64::try_from(self.clock).unwrap());
        let at = Timestamp::from_millis(self.clock);
        let done = Some(Done { ms, outcome });
        self.history.ops.push(Op { id, client: 1, at, invoked_ms: ms, action, done });
    }

    fn submit(&mut self, job: JobId, end: Option<JobState>) {
        let wanted = Wanted {
            tasks: 1,
            end,
            stdout: Some("hello {task}\n".into()),
            files: BTreeMap::from([("out".into(), HASH.into())]),
        };
        let action = Action::Submit { key: format!("key of {job}"), body: "body".into(), wanted };
        self.event(EventKind::JobAccepted, job, None, None);
        self.op(action, Outcome::Ok(Answer::Submitted { job, created: true }));
    }

    fn run(&mut self, job: JobId, epoch: u32, class: EndClass) {
        self.event(EventKind::AttemptLeased, job, Some(epoch), None);
        self.event(EventKind::AttemptStarted, job, Some(epoch), None);
        self.end(job, epoch, class);
    }

    fn end(&mut self, job: JobId, epoch: u32, class: EndClass) {
        self.event(EventKind::ManifestCommitted, job, Some(epoch), None);
        self.event(EventKind::AttemptEnded, job, Some(epoch), Some(class.as_str()));
        let key = attempt(job, epoch);
        self.history.attempts.push(AttemptRow {
            key,
            node: node(u128::from(epoch)),
            leased_at: Timestamp::from_millis(self.clock - 30),
            ended_at: Some(Timestamp::from_millis(self.clock)),
            class: Some(class),
            manifest: Some(2),
        });
        for version in [1, 2] {
            self.history.manifests.push(manifest(key, version));
        }
    }

    /// The node's plug was pulled shortly before the last event.
    fn dies(&mut self, node: &str) {
        self.history.faults.push(FaultNote {
            at: Timestamp::from_millis(self.clock - 5),
            scenario: "C2c".into(),
            what: format!("all of {node}"),
            died: Some(node.into()),
            lasts_ms: 0,
        });
    }

    /// The task and the job are over; their rows.
    fn over(&mut self, job: JobId, state: TaskState, epoch: u32) {
        let ended: JobState = state.as_str().parse().unwrap();
        self.event(EventKind::TaskFinished, job, None, Some(state.as_str()));
        self.event(EventKind::JobFinished, job, None, Some(ended.as_str()));
        let mut counts = TaskCounts { total: 1, ..TaskCounts::default() };
        // Stories end well or are cancelled.
        counts.succeeded = u32::from(state == TaskState::Succeeded);
        counts.cancelled = 1 - counts.succeeded;
        let owner = (epoch > 0).then(|| node(u128::from(epoch)));
        self.history.tasks.push(TaskRow { job, task: 0, state, epoch, node: owner });
        self.history.jobs.push(JobRow {
            id: job,
            key: Some(format!("key of {job}")),
            state: ended,
            counts,
            fresh: None,
            fresh_state: TaskState::Queued,
            trace: mesh_schemas::TraceParent::new(1, 2).to_string(),
            created_at: Timestamp::from_millis(1),
            finished_at: Some(Timestamp::from_millis(self.clock)),
        });
        self.op(Action::Look(job), Outcome::Ok(Answer::Seen(ended)));
    }
}

fn manifest(attempt: AttemptKey, version: u32) -> StoredManifest {
    let prefix = subject::attempt_prefix(attempt);
    StoredManifest {
        attempt,
        key: Some(format!("{prefix}m{version}-0123.json")),
        version,
        complete: version == 2,
        recorded: version == 2,
        packs: vec![format!("{prefix}p1")],
        files: BTreeMap::from([("out".into(), HASH.into())]),
        log_bytes: [8, 0],
        stdout: Some("hello 0\n".into()),
        checkpoint: false,
        verified_bytes: 100,
        damage: Vec::new(),
    }
}

/// A history in which every promise is kept.
pub(crate) fn good() -> History {
    let mut story = Story::default();
    story.submit(plain(), Some(JobState::Succeeded));
    story.run(plain(), 1, EndClass::Success);
    story.over(plain(), TaskState::Succeeded, 1);

    story.submit(lost(), Some(JobState::Succeeded));
    story.run(lost(), 1, EndClass::NodeLost);
    story.dies("node-1");
    story.event(EventKind::TaskQueued, lost(), Some(1), Some("after node_lost"));
    story.run(lost(), 2, EndClass::Success);
    story.over(lost(), TaskState::Succeeded, 2);

    story.submit(adopted(), Some(JobState::Succeeded));
    story.event(EventKind::AttemptLeased, adopted(), Some(1), None);
    story.event(EventKind::AttemptEnded, adopted(), Some(1), Some("node_lost"));
    story.event(EventKind::TaskQueued, adopted(), Some(1), Some("after node_lost"));
    story.event(EventKind::AttemptAdopted, adopted(), Some(1), None);
    story.end(adopted(), 1, EndClass::Success);
    story.over(adopted(), TaskState::Succeeded, 1);

    story.submit(retried(), None);
    story.run(retried(), 1, EndClass::UserError);
    story.event(EventKind::TaskFinished, retried(), None, Some("failed"));
    story.event(EventKind::JobFinished, retried(), None, Some("failed"));
    story.event(EventKind::JobRetried, retried(), None, Some("1 tasks wait"));
    story.op(Action::Retry(retried()), Outcome::Ok(Answer::Changed(1)));
    story.run(retried(), 2, EndClass::Success);
    story.over(retried(), TaskState::Succeeded, 2);

    story.submit(cancelled(), Some(JobState::Succeeded));
    story.event(EventKind::JobCancelRequested, cancelled(), None, None);
    story.op(Action::Cancel(cancelled()), Outcome::Ok(Answer::Changed(1)));
    story.over(cancelled(), TaskState::Cancelled, 0);
    ideas(&mut story);
    surroundings(story)
}

/// Two ideas, one of which waited on the stream at first, and two heads that were seen.
fn ideas(story: &mut Story) {
    let file = |n: u8| Action::File { entry: format!("entry_{n}") };
    let filed = |index| Outcome::Ok(Answer::Filed { index });
    let head = |size: u64| Answer::Head { size, root: format!("root {size}"), key: "key".into() };
    story.op(file(1), filed(Some(0)));
    story.op(Action::Head, Outcome::Ok(head(1)));
    story.op(file(2), filed(None));
    story.op(file(2), filed(Some(1)));
    story.op(Action::Head, Outcome::Ok(head(2)));
    story.history.ledger = Some(Ledger {
        entries: vec!["entry_1".into(), "entry_2".into()],
        roots: (0..=2).map(|size| format!("root {size}")).collect(),
        findings: Vec::new(),
    });
}

/// The nodes, one of which was revoked, and everything that is measured beside the jobs.
fn surroundings(mut story: Story) -> History {
    story.event(EventKind::NodeChanged, plain(), None, Some("revoked"));
    let revocation = story.history.events.last_mut().unwrap();
    (revocation.job, revocation.node) = (None, Some(node(3)));
    let mut history = story.history;
    let named = |number| NodeRow {
        id: node(number),
        name: format!("node-{number}"),
        setting: "active".into(),
    };
    history.nodes = [1, 2, 3].map(named).into();
    let line = |act: &str, job: JobId| AuditLine { act: act.into(), subject: job.to_string() };
    history.audit = Some(vec![line("retry", retried()), line("cancel", cancelled())]);
    history.scan = Some(Scan { secrets: 4, bytes: 1_000, found: Vec::new() });
    let journal = |node| NodeJournal { node, unrecorded: Vec::new(), damaged: false };
    history.journals = vec![journal(node(1)), journal(node(2))];
    let sample = |when| Sample { part: "orchestrator".into(), when, pss_kib: 40_000, fds: 30 };
    history.samples = vec![sample(When::Start), sample(When::End)];
    history.ending = Ending { drained: Some(true), drain_ms: 1_500 };
    history
}
