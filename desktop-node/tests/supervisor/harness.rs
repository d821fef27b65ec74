//! A real supervisor, real processes, and a test in the agent's place.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use mesh_node::protocol::{Decoder, Event, Exited, Request, SOCKET_NAME, Snapshot, Spawn, encode};
use mesh_schemas::{AttemptKey, Epoch, JobId, spec::Resources};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes; a test that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

thread_local! {
    /// A job for each test: a new supervisor kills whatever carries the mark of a lost attempt.
    static JOB: JobId = JobId::from_uuid(uuid::Uuid::new_v4());
}

/// The attempt of a task number, in this test.
pub(crate) fn key(task: u32) -> AttemptKey {
    AttemptKey { job: JOB.with(|job| *job), task, epoch: Epoch(1) }
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A supervisor over a directory of its own.
pub(crate) struct Supervisor {
    pub(crate) dir: tempfile::TempDir,
    child: Child,
    cpu_millis: u32,
    wrapper: Vec<String>,
    pids_file: Option<PathBuf>,
}

impl Supervisor {
    pub(crate) fn start(cpu_millis: u32) -> Self {
        Self::launch(cpu_millis, Vec::new(), false)
    }

    /// One that sees no cgroups, as on a machine where they are not ours to write.
    pub(crate) fn without_cgroups(cpu_millis: u32) -> Self {
        let script = "umount -R /sys/fs/cgroup; exec \"$@\"";
        let wrapper = ["unshare", "--mount", "sh", "-c", script, "sh"];
        Self::launch(cpu_millis, wrapper.map(String::from).to_vec(), false)
    }

    pub(crate) fn with_stub_agent() -> Self {
        Self::launch(4_000, Vec::new(), true)
    }

    fn launch(cpu_millis: u32, wrapper: Vec<String>, agent: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pids_file = agent.then(|| dir.path().join("agent-pids"));
        let child = run(dir.path(), cpu_millis, &wrapper, pids_file.as_deref());
        let supervisor = Self { dir, child, cpu_millis, wrapper, pids_file };
        supervisor.wait_for_socket();
        supervisor
    }

    fn wait_for_socket(&self) {
        let socket = self.dir.path().join(SOCKET_NAME);
        wait_until("the socket takes connections", || UnixStream::connect(&socket).is_ok());
    }

    pub(crate) fn connect(&self) -> Agent {
        let stream = UnixStream::connect(self.dir.path().join(SOCKET_NAME)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let root = self.dir.path().to_owned();
        Agent { stream, decoder: Decoder::of_events(), root, seen: VecDeque::new() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the supervisor exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// As by a crash: no warning, and a new one over the same directory.
    pub(crate) fn kill_and_restart(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
        self.child =
            run(self.dir.path(), self.cpu_millis, &self.wrapper, self.pids_file.as_deref());
        self.wait_for_socket();
    }

    /// The stub agents there have been.
    pub(crate) fn agent_pids(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.pids_file.as_ref().unwrap()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _gone = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _status = self.child.wait();
    }
}

/// The supervisor without an agent. `cargo test -p mesh-node` builds it; with a single test target
/// named, cargo does not.
pub(crate) fn binary() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let binary = deps.parent().unwrap().with_file_name("examples").join("bare-supervisor");
    assert!(binary.exists(), "build it first: cargo build -p mesh-node --examples");
    binary
}

fn run(dir: &Path, cpu_millis: u32, wrapper: &[String], pids_file: Option<&Path>) -> Child {
    let binary = binary();
    let mut words = wrapper.to_vec();
    words.push(binary.to_str().unwrap().into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(dir).arg(cpu_millis.to_string());
    command.args(pids_file).spawn().unwrap()
}

/// The agent's end of the socket.
pub(crate) struct Agent {
    stream: UnixStream,
    decoder: Decoder,
    root: PathBuf,
    seen: VecDeque<Event>,
}

impl Agent {
    pub(crate) fn send(&mut self, requests: &[Request]) {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| encode(request, &mut bytes));
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next event; `None` when the supervisor has closed the connection.
    pub(crate) fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.seen.pop_front() {
            return Some(event);
        }
        let mut buffer = [0; 65_536];
        loop {
            if let Some(event) = self.decoder.next_message().unwrap() {
                return Some(event);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.decoder.push(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no event within {DEADLINE:?}: {error}"),
            }
        }
    }

    /// The first event that is the wanted one; those before it stay for later.
    pub(crate) fn wait_for<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let mut passed = VecDeque::new();
        loop {
            let event = self.next().expect("the connection is open");
            if let Some(found) = wanted(&event) {
                passed.append(&mut self.seen);
                self.seen = passed;
                return found;
            }
            passed.push_back(event);
        }
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.wait_for(|event| match event {
            Event::Snapshot(snapshot) => Some((**snapshot).clone()),
            _ => None,
        })
    }

    pub(crate) fn started(&mut self, task: u32) -> u32 {
        self.wait_for(|event| match event {
            Event::Started(started) if started.attempt == key(task) => Some(started.pid),
            _ => None,
        })
    }

    pub(crate) fn exited(&mut self, task: u32) -> Exited {
        self.wait_for(|event| match event {
            Event::Exited(exited) if exited.attempt == key(task) => Some(**exited),
            _ => None,
        })
    }

    /// The attempt's directory.
    pub(crate) fn dir(&self, task: u32) -> PathBuf {
        self.root.join("attempts").join(task.to_string())
    }

    pub(crate) fn output(&self, task: u32, file: &str) -> String {
        std::fs::read_to_string(self.dir(task).join(file)).unwrap_or_default()
    }

    /// A spawn of this command, to be changed and sent.
    pub(crate) fn command(&self, task: u32, argv: &[&str]) -> Spawn {
        Spawn {
            attempt: key(task),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            dir: self.dir(task),
            cwd: PathBuf::new(),
            resources: Resources::default(),
            enforce: false,
        }
    }

    pub(crate) fn spawn(&mut self, task: u32, argv: &[&str]) {
        let spawn = self.command(task, argv);
        self.send(&[Request::Spawn(Box::new(spawn))]);
    }

    pub(crate) fn shell(&mut self, task: u32, script: &str) {
        self.spawn(task, &["sh", "-c", script]);
    }

    pub(crate) fn kill(&mut self, task: u32, grace_ms: u64) {
        self.send(&[Request::Kill { attempt: key(task), grace_ms }]);
    }
}

/// Command lines of the processes that have something to do with this length of sleep.
pub(crate) fn running(sleep: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines =
        entries.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(sleep)).collect()
}

/// How many processes sleep for this length: not shells that speak of it, nor `setsid` on its way.
pub(crate) fn sleepers(sleep: &str) -> usize {
    running(sleep).iter().filter(|line| line.trim_end() == format!("sleep {sleep}")).count()
}

/// A length of sleep that no other process of this machine asks for, to find the sleeper by.
pub(crate) fn unique_sleep() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("1{:07}.{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
