//! A node of its own for each test: processes, directories, credentials.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_nats::Client;
use futures::StreamExt as _;
use mesh_node::agent::Identity;
use mesh_schemas::{
    AttemptKey, Epoch, JobSpec, NodeId, Span, TraceParent,
    manifest::StreamName,
    message::{
        AgentAnswer, AgentAsk, AttemptEnded, MESSAGE_VERSION, NodeCommand, NodeCommands,
        StartTasks, StopAttempts, StopReason, TaskStart,
    },
    subject,
};
use mesh_tests::{nats::NatsServer, process::Process, tmp, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use crate::orchestrator::{self, Heard};

/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) nats: NatsServer,
    pub(crate) node: NodeId,
    pub(crate) process: Process,
    client: Client,
    heard: Arc<Mutex<Heard>>,
    data: TempDir,
    _tracker: TaskTracker,
}

impl Bench {
    /// A node that has been welcomed.
    pub(crate) async fn new() -> Self {
        let nats = NatsServer::start();
        let client = nats.service("orchestrator").await;
        let tracker = TaskTracker::new();
        let heard = orchestrator::start(client.clone(), &tracker).await;
        let user = nats.new_node();
        let data = tmp::dir("node");
        let identity = Identity {
            node: user.node,
            seed: user.seed.clone(),
            jwt: user.jwt.read().unwrap().clone(),
            nats_urls: vec![nats.url()],
            ca_pem: None,
        };
        identity.save(data.path()).unwrap();
        let config = data.path().join("node.toml");
        let text = format!("data_dir = {:?}\ncpu = 2\ndrain_timeout = \"1s\"\n", data.path());
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-node"));
        command.arg("--config").arg(&config).env_clear();
        let process = Process::start(&mut command, &data.path().join("node.out"));
        let node = user.node;
        let bench = Self { nats, node, process, client, heard, data, _tracker: tracker };
        bench.wait("a hello", |heard| !heard.hellos.is_empty()).await;
        bench
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    pub(crate) async fn wait(&self, what: &str, wanted: impl Fn(&Heard) -> bool) {
        let what = format!("{what}; the node said:\n{}", self.process.log_tail());
        wait_for(DEADLINE, &what, async || wanted(&self.heard()).then_some(())).await;
    }

    /// A file that jobs and the test can both name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    pub(crate) async fn send(&self, command: NodeCommand) {
        let commands = NodeCommands { v: MESSAGE_VERSION, leader: 1, commands: vec![command] };
        self.send_raw(serde_json::to_vec(&commands).unwrap()).await;
    }

    pub(crate) async fn send_raw(&self, payload: Vec<u8>) {
        let to = subject::node_commands(self.node);
        self.client.publish(to, payload.into()).await.unwrap();
        self.client.flush().await.unwrap();
    }

    /// Starts tasks 0 to `count` of a job.
    pub(crate) async fn start(&self, spec: &JobSpec, count: u32) -> Vec<AttemptKey> {
        let job = mesh_fabric::ids::job_id();
        let epoch = Epoch(1);
        let task = |task| TaskStart { task, epoch, item: None, checkpoint: None };
        let tasks = (0..count).map(task).collect();
        let (run, trace) = (spec.into(), TraceParent::new(7, 7));
        let start = StartTasks { job, run, trace, journal: None, tasks };
        self.send(NodeCommand::StartTasks(Box::new(start))).await;
        (0..count).map(|task| AttemptKey { job, task, epoch }).collect()
    }

    /// One task that runs a shell script; `$T` is a directory that the test sees.
    pub(crate) async fn shell(&self, script: &str) -> AttemptKey {
        self.start(&self.script(script), 1).await[0]
    }

    pub(crate) fn script(&self, script: &str) -> JobSpec {
        let mut spec = JobSpec::new(["/bin/sh", "-c", script]);
        spec.env.insert("T".into(), self.data.path().to_string_lossy().into_owned());
        spec.timeouts.kill_grace = Span::from_secs(5);
        spec
    }

    pub(crate) async fn stop(&self, attempt: AttemptKey, reason: StopReason) {
        let stop = StopAttempts { attempts: vec![attempt], reason };
        self.send(NodeCommand::StopAttempts(stop)).await;
    }

    pub(crate) async fn file(&self, name: &str) -> String {
        let path = self.path(name);
        wait_for(DEADLINE, name, async || fs::read_to_string(&path).ok().filter(|t| !t.is_empty()))
            .await
    }

    pub(crate) async fn end_of(&self, attempt: AttemptKey) -> AttemptEnded {
        let end = |heard: &Heard| heard.ends().into_iter().find(|end| end.attempt == attempt);
        self.wait(&format!("the end of {attempt}"), |heard| end(heard).is_some()).await;
        end(&self.heard()).unwrap()
    }

    /// The last beat names this attempt, or does not.
    pub(crate) async fn wait_held(&self, attempt: AttemptKey, held: bool) {
        let names = |beat: &mesh_schemas::message::NodeBeat| {
            let task = (attempt.task, attempt.epoch);
            beat.held.iter().any(|of| of.job == attempt.job && of.tasks.contains(&task))
        };
        let what = format!("a beat with {attempt} held: {held}");
        self.wait(&what, |heard| heard.beats.last().is_some_and(|beat| names(beat) == held)).await;
    }

    /// Kills the agent with SIGKILL and waits for the hello of the next one.
    pub(crate) async fn kill_agent(&self) {
        let hellos = self.heard().hellos.len();
        let agent = agent_pid(&self.path("node.toml").to_string_lossy());
        kill_process(agent, Signal::KILL).unwrap();
        self.wait("another hello", |heard| heard.hellos.len() > hellos).await;
    }

    pub(crate) async fn read_log(&self, attempt: AttemptKey, offset: u64) -> AgentAnswer {
        let call = format!("c{offset}");
        let reply = subject::agent_reply(self.node, &call);
        let mut answers = self.client.subscribe(reply.clone()).await.unwrap();
        let ask = AgentAsk::ReadLog {
            attempt,
            stream: StreamName::Stdout,
            offset,
            bytes_max: 1_000,
            wait: Span::from_secs(20),
        };
        let payload = serde_json::to_vec(&ask).unwrap().into();
        let to = subject::agent_ask(self.node);
        self.client.publish_with_reply(to, reply, payload).await.unwrap();
        let answer = tokio::time::timeout(DEADLINE, answers.next()).await.unwrap().unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _status = self.process.stop(Duration::from_secs(20));
    }
}

/// The process whose command line is `… agent --config <file>`.
fn agent_pid(config: &str) -> Pid {
    let agent = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let words: Vec<&str> = line.split('\0').collect();
        (words.contains(&"agent") && words.contains(&config)).then_some(pid)
    });
    Pid::from_raw(agent.expect("an agent runs")).unwrap()
}
