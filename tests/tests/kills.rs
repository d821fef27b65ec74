//! `kill -9` of each part in mid-run, with real processes: every accepted task ends exactly once.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use mesh_schemas::{
    EndClass, JobId, JobSpec, Span, TaskState,
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use mesh_tests::{
    mesh::{Mesh, Options, kill_pid},
    wait::wait_for,
};

/// Longest wait for all of it: a lease, a rescue and the work again.
const LONG: Duration = Duration::from_secs(120);
/// How often the long job's output is stored.
const UPLOAD_EVERY: Duration = Duration::from_secs(1);
/// How long storing may take on a busy machine, the report of it included.
const UPLOAD_SLACK: Duration = Duration::from_secs(2);
/// Ticks before a kill, so that many versions were stored: over five seconds.
const TICKS: usize = 50;
/// Tasks of the array that runs meanwhile.
const TASKS: u32 = 120;

/// A mesh with an array of short tasks and one long job at work.
struct Busy {
    mesh: Mesh,
    array: JobId,
    long: JobId,
    /// Ends the long job when it appears.
    flag: PathBuf,
    /// Process ids of the long job's runs, one a line.
    runs: PathBuf,
    /// Each number the long job has written to its output, and when: nanoseconds since 1970.
    ticks: PathBuf,
}

impl Busy {
    async fn start() -> Self {
        let args = vec!["--lease-ttl".into(), "6s".into()];
        let mesh = Mesh::start(&Options { nodes: 2, args, ..Options::default() }).await;
        let flag = mesh.scratch().join("flag");
        let runs = mesh.scratch().join("runs");
        let ticks = mesh.scratch().join("ticks");
        // The output changes in one step, so that no stored version of it is torn.
        let line = format!(
            "echo $$ >>{}; n=0; while ! test -e {}; do n=$((n+1)); echo tick $n; \
             echo $n >new; mv new counter; echo $n $(date +%s%N) >>{}; sleep 0.1; done",
            runs.display(),
            flag.display(),
            ticks.display()
        );
        let mut spec = JobSpec::new(["sh", "-c", &line]);
        spec.outputs = vec!["counter".into()];
        spec.upload.every = Span::from_secs(UPLOAD_EVERY.as_secs());
        let long = mesh.submit(&spec).await.job;
        wait_for(LONG, "the long job runs", async || runs.exists().then_some(())).await;
        let mut spec = JobSpec::new(["sh", "-c", "sleep 0.1; echo $MESH_TASK_INDEX"]);
        spec.resources.cpu.0 = 500;
        spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: TASKS - 1 }));
        let array = mesh.submit(&spec).await.job;
        let busy = Self { mesh, array, long, flag, runs, ticks };
        busy.wait_done(10).await;
        busy
    }

    async fn wait_done(&self, wanted: u32) {
        wait_for(LONG, "tasks succeed", async || {
            let path = format!("/api/v1/jobs/{}", self.array);
            let (_, body) = self.mesh.http().get(&path).await.ok()?;
            let done = u32::try_from(body["counts"]["succeeded"].as_u64()?).ok()?;
            (done >= wanted).then_some(())
        })
        .await;
    }

    /// The name of the node that runs the long job.
    async fn owner(&self) -> String {
        let node = self.mesh.attempts(self.long, 0).await.last().unwrap().node;
        self.mesh.nodes().await.into_iter().find(|n| n.id == node).unwrap().name
    }

    fn runs(&self) -> usize {
        fs::read_to_string(&self.runs).unwrap_or_default().lines().count()
    }

    /// What the long job wrote, in whole lines: numbers and their times since 1970.
    fn ticks(&self) -> Vec<(u64, Duration)> {
        let text = fs::read_to_string(&self.ticks).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let tick = |line: &str| {
            let (n, at) = line.split_once(' ').unwrap();
            (n.parse().unwrap(), Duration::from_nanos(at.parse().unwrap()))
        };
        whole.lines().map(tick).collect()
    }

    /// The number that the mesh has stored of the long job's first attempt.
    async fn stored(&self) -> u64 {
        let (job, to) = (self.long.to_string(), self.mesh.scratch().join("stored"));
        let to_arg = to.to_string_lossy();
        let args = ["artifacts", "get", &job, "--task", "0", "--epoch", "1", "--to", &to_arg];
        let got = self.mesh.cli(&args).await;
        assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
        fs::read_to_string(to.join("counter")).unwrap().trim().parse().unwrap()
    }

    /// Lets everything end and looks at every task: each ended once, and well.
    async fn all_end_once(&self) {
        let array = self.mesh.finished(self.array, LONG).await;
        assert_eq!((array.state, array.counts.succeeded), (JobState::Succeeded, TASKS));
        fs::write(&self.flag, "").unwrap();
        assert_eq!(self.mesh.finished(self.long, LONG).await.state, JobState::Succeeded);
        for job in [self.array, self.long] {
            for task in self.mesh.tasks(job).await {
                let attempts = self.mesh.attempts(job, task.task).await;
                let good = attempts.iter().filter(|a| a.class == Some(EndClass::Success));
                assert_eq!(
                    (task.state, good.count()),
                    (TaskState::Succeeded, 1),
                    "{job}/{}",
                    task.task
                );
                assert!(attempts.is_sorted_by(|a, b| a.attempt.epoch < b.attempt.epoch));
                assert!(attempts.iter().all(|a| a.ended_at.is_some() && a.manifest.is_some()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_neither_stops_nor_restarts_its_jobs() {
    let busy = Busy::start().await;
    let owner = busy.owner().await;
    let agent =
        busy.mesh.children_of(&owner).into_iter().find(|(_, line)| line.contains(" agent "));
    kill_pid(agent.expect("the supervisor has an agent").0);
    busy.all_end_once().await;
    assert_eq!(busy.runs(), 1, "the long job ran once");
    assert_eq!(busy.mesh.attempts(busy.long, 0).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_supervisor_loses_attempts_but_no_task() {
    let busy = Busy::start().await;
    let first: u32 = fs::read_to_string(&busy.runs).unwrap().trim().parse().unwrap();
    wait_for(LONG, "the long job ticks", async || (busy.ticks().len() >= TICKS).then_some(()))
        .await;
    let owner = busy.owner().await;
    let old = UNIX_EPOCH.elapsed().unwrap() - UPLOAD_EVERY - UPLOAD_SLACK;
    busy.mesh.kill(&owner);
    // Fetched at once: what a node that is back may still store of the lost attempt proves nothing.
    let stored = busy.stored().await;
    let ticks = busy.ticks();
    let (due, _) = ticks.iter().rfind(|(_, at)| *at <= old).expect("it ticked for long enough");
    assert!(stored >= *due, "{stored} is stored, {due} was due; the ticks: {ticks:?}");
    wait_for(LONG, "the long job runs again", async || (busy.runs() == 2).then_some(())).await;
    assert!(!mesh_tests::mesh::command_line(first).contains("tick"), "the first run is dead");
    busy.all_end_once().await;
    let attempts = busy.mesh.attempts(busy.long, 0).await;
    assert_eq!(attempts[0].class, Some(EndClass::NodeLost));
    assert_eq!(attempts[0].manifest.as_ref().unwrap().files, 1, "what was stored is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_orchestrator_is_not_noticed_by_running_jobs() {
    let busy = Busy::start().await;
    for done in [30, 60] {
        busy.mesh.kill("orchestrator");
        busy.wait_done(done).await;
    }
    busy.all_end_once().await;
    assert_eq!(busy.runs(), 1, "the long job ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing() {
    let busy = Busy::start().await;
    for done in [30, 60] {
        busy.mesh.kill("nats");
        busy.wait_done(done).await;
    }
    busy.all_end_once().await;
    assert_eq!(busy.runs(), 1, "the long job ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_object_store_delays_but_loses_nothing() {
    let busy = Busy::start().await;
    busy.mesh.kill("store");
    busy.all_end_once().await;
    assert_eq!(busy.runs(), 1, "the long job ran once");
}
